//! A real Chromium without a window, driven by its DevTools protocol.
#![allow(dead_code)] // each test file uses its own part
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// How long the browser may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with one page. It ends with this value.
pub struct Chromium {
    child: Child,
    socket: WebSocketStream<TcpStream>,
    session: String,
    last_id: u64,
    /// The events since the last `open`, with `method` and `params`.
    pub events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Chromium {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium is installed");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.split_once("DevTools listening on ")?.1.trim().to_owned()));
        let url = url.expect("the address of the DevTools");
        // the browser blocks when its messages are not read
        std::thread::spawn(move || lines.for_each(drop));
        let host = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).expect("a host");
        let stream = TcpStream::connect(host).await.expect("the DevTools");
        let (socket, _) = client_async(&url, stream).await.expect("a WebSocket");
        let mut browser =
            Chromium { child, socket, session: String::new(), last_id: 0, events: vec![], _profile: profile };
        let target = browser.send("Target.createTarget", json!({ "url": "about:blank" })).await["targetId"].clone();
        let attached = browser.send("Target.attachToTarget", json!({ "targetId": target, "flatten": true })).await;
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.send(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Sends a command and returns its result. Panics if the browser refuses it.
    pub async fn send(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut command = json!({ "id": self.last_id, "method": method, "params": params });
        if !self.session.is_empty() {
            command["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(command.to_string())).await.expect("the browser runs");
        loop {
            let message = self.receive(method).await;
            if message["id"] == self.last_id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    async fn receive(&mut self, what: &str) -> Value {
        loop {
            let next = tokio::time::timeout(ANSWER_TIMEOUT, self.socket.next()).await;
            let message = next.unwrap_or_else(|_| panic!("no answer to {what}")).expect("the browser runs");
            if let Ok(Message::Text(text)) = message {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }

    /// Opens a file and waits until it is loaded.
    pub async fn open(&mut self, file: &Path) {
        self.events.clear();
        let url = url::Url::from_file_path(file).expect("an absolute path");
        self.send("Page.navigate", json!({ "url": url.as_str() })).await;
        while !self.events.iter().any(|e| e["method"] == "Page.loadEventFired") {
            let event = self.receive("the page").await;
            self.events.push(event);
        }
        // lays it out
        self.evaluate("document.body.offsetHeight").await;
    }

    /// Waits until the page is drawn. Never returns without JavaScript.
    pub async fn wait_for_frame(&mut self) {
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))").await;
    }

    /// The value of a JavaScript expression; of a promise, what it resolves to.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.send("Runtime.evaluate", params).await;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    pub async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            " " => (32, " "),
            _ => panic!("unknown key {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = text.into();
            }
            self.send("Input.dispatchKeyEvent", params).await;
        }
    }

    /// Clicks the middle of the first element that a CSS selector finds.
    pub async fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        );
        self.evaluate(&middle).await;
        // input is ignored before the first frame, and the place is final only when it is drawn
        self.send("Page.captureScreenshot", json!({ "clip": { "x": 0, "y": 0, "width": 1, "height": 1, "scale": 1 } }))
            .await;
        let at = self.evaluate(&middle).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.send("Input.dispatchMouseEvent", params).await;
        }
    }

    pub async fn resize(&mut self, width: u32, height: u32) {
        let params = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.send("Emulation.setDeviceMetricsOverride", params).await;
    }

    /// `screen` or `print`, `light` or `dark`.
    pub async fn emulate(&mut self, media: &str, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.send("Emulation.setEmulatedMedia", json!({ "media": media, "features": features })).await;
    }

    /// Errors, blocked content, and requests for anything but the file itself, since the last `open`.
    pub fn problems(&self) -> Vec<String> {
        let problem = |e: &Value| match e["method"].as_str()? {
            "Log.entryAdded" => Some(e["params"]["entry"]["text"].to_string()),
            "Runtime.exceptionThrown" => Some(e["params"]["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" => Some(e["params"]["args"].to_string()),
            "Network.requestWillBeSent" => {
                let is_page = e["params"]["type"] == "Document";
                (!is_page).then(|| format!("request for {}", e["params"]["request"]["url"]))
            }
            _ => None,
        };
        self.events.iter().filter_map(problem).collect()
    }
}
