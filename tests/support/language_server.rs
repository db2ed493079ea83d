//! A real yaml-language-server, driven by the Language Server Protocol over its standard input and output.
#![allow(dead_code)] // each test file uses its own part
use serde_json::{Value, json};
use std::{
    fmt,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long the server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of what the server printed is shown when a test fails.
const MAX_PRINTED_BYTES: usize = 4000;

/// A server with schemas for file names. It ends with this value.
pub struct LanguageServer {
    child: Child,
    /// Messages for the server. A thread writes them: the server may stop to read.
    to_server: Sender<Value>,
    from_server: Receiver<Value>,
    /// What the server printed, and the messages of its log.
    printed: Arc<Mutex<String>>,
    /// Reads what the server prints.
    errors: JoinHandle<()>,
    settings: Value,
    documents: usize,
    last_id: u64,
    /// `textDocument/publishDiagnostics` that nothing has awaited yet.
    published: Vec<Value>,
}

/// An underlined range of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line and column of its first character, from 1.
    pub start: (usize, usize),
    /// Line and column behind its last character, from 1.
    pub end: (usize, usize),
    pub message: String,
}

/// A proposal of a completion.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub label: String,
    /// Empty if the server has nothing to say.
    pub documentation: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((line, column), (end_line, end_column)) = (self.start, self.end);
        write!(f, "{line}:{column}-{end_line}:{end_column}: {}", self.message)
    }
}

impl Drop for LanguageServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl LanguageServer {
    /// Starts the server of `TP_TEST_YAML_LANGUAGE_SERVER`. Documents whose names end in `.<suffix>.yaml` have the schema of
    /// that suffix. Panics unless the server uses each schema.
    pub fn start(schemas: &[(&str, &Path)]) -> Self {
        let by_uri = schemas.iter().map(|(suffix, path)| {
            assert!(path.is_file(), "{} is missing", path.display());
            (file_uri(path), json!([format!("*.{suffix}.yaml")]))
        });
        let mut server = LanguageServer::launch(Value::Object(by_uri.collect()), Value::Null);
        for (suffix, path) in schemas {
            server.wait_until_used(suffix, path);
        }
        server
    }

    /// Starts it for a folder, with the setting `yaml.schemas`.
    pub fn in_folder(folder: &Path, schemas: Value) -> Self {
        LanguageServer::launch(schemas, file_uri(folder).into())
    }

    fn launch(schemas: Value, root: Value) -> Self {
        let program = std::env::var("TP_TEST_YAML_LANGUAGE_SERVER")
            .expect("TP_TEST_YAML_LANGUAGE_SERVER: run the ignored tests with `tests/run`");
        // Nothing may go to the network.
        let settings = json!({
            "schemas": schemas,
            "validate": true, "completion": true, "hover": true,
            "schemaStore": { "enable": false, "url": "" },
            "kubernetesCRDStore": { "enable": false },
        });
        let mut child = Command::new(&program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}"));
        let printed = Arc::new(Mutex::new(String::new()));
        let (to_server, messages) = channel::<Value>();
        let mut input = child.stdin.take().expect("a pipe");
        std::thread::spawn(move || {
            for message in messages {
                let text = message.to_string();
                let framed = format!("Content-Length: {}\r\n\r\n{text}", text.len());
                if input.write_all(framed.as_bytes()).and_then(|()| input.flush()).is_err() {
                    return;
                }
            }
        });
        let (received, from_server) = channel();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            while let Some(message) = read_message(&mut output) {
                if received.send(message).is_err() {
                    return;
                }
            }
        });
        let mut printing = BufReader::new(child.stderr.take().expect("a pipe"));
        let log = Arc::clone(&printed);
        let errors = std::thread::spawn(move || {
            let mut line = vec![];
            while printing.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                log.lock().expect("not poisoned").push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        let mut server = LanguageServer {
            child,
            to_server,
            from_server,
            printed,
            errors,
            settings,
            documents: 0,
            last_id: 0,
            published: vec![],
        };
        server.initialize(root);
        server
    }

    fn initialize(&mut self, root: Value) {
        let capabilities = json!({
            "workspace": { "configuration": true },
            "textDocument": {
                "completion": { "completionItem": { "snippetSupport": true, "documentationFormat": ["markdown", "plaintext"] } },
                "hover": { "contentFormat": ["markdown"] },
                "publishDiagnostics": {},
            },
        });
        let params = json!({ "processId": std::process::id(), "rootUri": root, "capabilities": capabilities });
        let result = self.request("initialize", params);
        for needed in ["completionProvider", "hoverProvider"] {
            assert!(result["capabilities"].get(needed).is_some(), "no `{needed}` in {result}");
        }
        self.notify("initialized", json!({}));
        self.notify("workspace/didChangeConfiguration", json!({ "settings": null }));
    }

    /// Opens documents with an unknown key until it is underlined: the server reads its settings after it has started.
    fn wait_until_used(&mut self, suffix: &str, schema: &Path) {
        let until = Instant::now() + ANSWER_TIMEOUT;
        while self.problems(suffix, "no-such-key: 1\n").is_empty() {
            assert!(Instant::now() < until, "the server does not use {}{}", schema.display(), self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What is underlined in a document, in the order of its lines.
    pub fn problems(&mut self, suffix: &str, text: &str) -> Vec<Problem> {
        let uri = self.open(suffix, text);
        self.problems_of(&uri)
    }

    /// What is underlined in a file, as soon as anything is. The file does not need to exist.
    pub fn problems_at(&mut self, file: &Path, text: &str) -> Vec<Problem> {
        let uri = file_uri(file);
        self.open_as(&uri, text);
        let until = Instant::now() + ANSWER_TIMEOUT;
        loop {
            // the server validates a document again when it has read its settings
            let problems = self.published_of(&uri, until);
            if !problems.is_empty() {
                return problems;
            }
        }
    }

    /// What is underlined in documents, each with the suffix of its schema and its text. Faster than one after the other: the
    /// server waits a moment before it validates a document.
    pub fn problems_of_all<'d>(&mut self, documents: impl Iterator<Item = (&'d str, &'d str)>) -> Vec<Vec<Problem>> {
        let opened: Vec<String> = documents.map(|(suffix, text)| self.open(suffix, text)).collect();
        opened.iter().map(|uri| self.problems_of(uri)).collect()
    }

    fn problems_of(&mut self, uri: &str) -> Vec<Problem> {
        self.published_of(uri, Instant::now() + ANSWER_TIMEOUT)
    }

    fn published_of(&mut self, uri: &str, until: Instant) -> Vec<Problem> {
        let published = loop {
            if let Some(at) = self.published.iter().position(|p| p["uri"] == uri) {
                break self.published.swap_remove(at);
            }
            self.receive("textDocument/publishDiagnostics", until);
        };
        let list = published["diagnostics"].as_array().expect("a list").iter();
        let mut problems: Vec<Problem> = list
            .map(|d| Problem {
                start: place(&d["range"]["start"]),
                end: place(&d["range"]["end"]),
                message: d["message"].as_str().expect("a message").to_owned(),
            })
            .collect();
        problems.sort();
        problems
    }

    /// What is proposed at the `|` of `text`.
    pub fn completions(&mut self, suffix: &str, text: &str) -> Vec<Proposal> {
        let result = self.at_mark("textDocument/completion", suffix, text);
        let items = result["items"].as_array().or(result.as_array());
        let items = items.unwrap_or_else(|| panic!("expected a list of completions, found {result}"));
        let proposal = |item: &Value| Proposal {
            label: item["label"].as_str().expect("a label").to_owned(),
            documentation: markup(&item["documentation"]),
        };
        items.iter().map(proposal).collect()
    }

    /// What is shown for the word after the `|` of `text`. Empty if it is nothing.
    pub fn hover(&mut self, suffix: &str, text: &str) -> String {
        markup(&self.at_mark("textDocument/hover", suffix, text)["contents"])
    }

    /// Ends the server as an editor does. Panics if it does not end, or fails.
    pub fn shut_down(mut self) {
        self.request("shutdown", Value::Null);
        self.notify("exit", Value::Null);
        let until = Instant::now() + ANSWER_TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                break status;
            }
            assert!(Instant::now() < until, "the server did not end within {ANSWER_TIMEOUT:?}{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "the server ended with {status}{}", self.log());
    }

    fn at_mark(&mut self, method: &str, suffix: &str, text: &str) -> Value {
        let (before, after) = text.split_once('|').unwrap_or_else(|| panic!("no mark in {text}"));
        assert!(!after.contains('|'), "two marks in {text}");
        let uri = self.open(suffix, &format!("{before}{after}"));
        let (line, column) = place_behind(before);
        let position = json!({ "line": line - 1, "character": column - 1 });
        self.request(method, json!({ "textDocument": { "uri": uri }, "position": position }))
    }

    /// Opens a new document, and returns its URI. No such file exists: the server knows only this text.
    fn open(&mut self, suffix: &str, text: &str) -> String {
        self.documents += 1;
        let uri = format!("file:///documents/{}.{suffix}.yaml", self.documents);
        self.open_as(&uri, text);
        uri
    }

    fn open_as(&mut self, uri: &str, text: &str) {
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = "2.0".into();
        if self.to_server.send(message).is_err() {
            self.panic_about_the_end("a message to it");
        }
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({ "method": method, "params": params }));
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        self.send(json!({ "id": self.last_id, "method": method, "params": params }));
        let until = Instant::now() + ANSWER_TIMEOUT;
        loop {
            if let Some(response) = self.receive(method, until) {
                assert_eq!(response["id"], self.last_id, "an answer to another request: {response}");
                assert!(response.get("error").is_none(), "{method}: {}{}", response["error"], self.log());
                return response["result"].clone();
            }
        }
    }

    /// Receives one message. Answers it if it is a request, keeps diagnostics, and returns a response.
    fn receive(&mut self, waiting_for: &str, until: Instant) -> Option<Value> {
        let message = match self.from_server.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no answer to {waiting_for} within {ANSWER_TIMEOUT:?}{}", self.log())
            }
            Err(RecvTimeoutError::Disconnected) => self.panic_about_the_end(waiting_for),
        };
        let Some(method) = message["method"].as_str() else { return Some(message) };
        if message.get("id").is_some() {
            let result = match method {
                "workspace/configuration" => {
                    let sections = message["params"]["items"].as_array().cloned().unwrap_or_default();
                    let section =
                        |item: &Value| if item["section"] == "yaml" { self.settings.clone() } else { json!({}) };
                    sections.iter().map(section).collect()
                }
                _ => Value::Null,
            };
            self.send(json!({ "id": message["id"], "result": result }));
        } else if method == "textDocument/publishDiagnostics" {
            self.published.push(message["params"].clone());
        } else if method == "window/logMessage" || method == "window/showMessage" {
            let line = format!("{}\n", message["params"]["message"].as_str().unwrap_or_default());
            self.printed.lock().expect("not poisoned").push_str(&line);
        }
        None
    }

    /// Panics with the last words of a server that has ended.
    fn panic_about_the_end(&self, during: &str) -> ! {
        let until = Instant::now() + Duration::from_secs(2);
        while !self.errors.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server ended during {during}{}", self.log())
    }

    /// The end of what the server printed, for messages.
    fn log(&self) -> String {
        let printed = self.printed.lock().expect("not poisoned");
        let skipped = printed.len().saturating_sub(MAX_PRINTED_BYTES);
        format!("\nThe server printed:\n{}", String::from_utf8_lossy(&printed.as_bytes()[skipped..]))
    }
}

/// Reads a message of the protocol; `None` at the end of the output.
fn read_message(output: &mut impl std::io::BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length?];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// Line and column behind the end of `text`, from 1. The protocol counts columns in UTF-16.
pub fn place_behind(text: &str) -> (usize, usize) {
    let last_line = text.rsplit('\n').next().unwrap_or_default();
    (text.matches('\n').count() + 1, last_line.encode_utf16().count() + 1)
}

fn place(position: &Value) -> (usize, usize) {
    let number = |name: &str| usize::try_from(position[name].as_u64().expect("a number")).expect("a small number");
    (number("line") + 1, number("character") + 1)
}

/// The text of a `MarkupContent`, or a text.
fn markup(value: &Value) -> String {
    value["value"].as_str().or(value.as_str()).unwrap_or_default().to_owned()
}

fn file_uri(path: &Path) -> String {
    let mut uri = String::from("file://");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
