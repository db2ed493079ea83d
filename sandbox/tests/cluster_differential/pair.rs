//! Sends a request to both servers, normalises the responses and collects their differences.

use futures::{AsyncBufReadExt as _, StreamExt as _};
use http::{Method, Request, header};
use kube::{Client, Config};
use regex::{Captures, Regex};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::{Duration, Instant},
};

/// Timeout for asynchronous effects.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

pub const JSON: &str = "application/json";
pub const MERGE: &str = "application/merge-patch+json";
pub const OPERATIONS: &str = "application/json-patch+json";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
pub const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
pub const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

/// Values that differ between servers and over time, with their placeholders.
static VARIABLE_TEXTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let words = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "PRECISE TIME"),
        (r"\bgen-[a-z0-9]{5}\b", "gen-RANDOM"),
        (r"\bGen_[a-z0-9]{5}\b", "Gen_RANDOM"),
        (r"too old resource version: \d+ \(\d+\)", "too old resource version: VERSION (VERSION)"),
        (r"Too large resource version: \d+, current: \d+", "Too large resource version: VERSION, current: VERSION"),
        (r"in record \(\d+\)", "in record (VERSION)"),
    ];
    words.into_iter().map(|(pattern, word)| (Regex::new(pattern).expect("a pattern"), word)).collect()
});
static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$([a-z_]+)").expect("a pattern"));
static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+[smhdy])+$").expect("a pattern"));

struct Side {
    client: Client,
    /// The same client without credentials.
    anonymous: Client,
    /// The values of `$name` in requests.
    kept: BTreeMap<String, String>,
    /// The last version of each object, by uid.
    versions: BTreeMap<String, String>,
}

/// A field that differs between the two responses.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub request: String,
    /// `code`, `warnings`, or a JSON pointer into the body.
    pub field: String,
    pub embedded: Value,
    pub real: Value,
}

/// Options of a request.
#[derive(Clone, Copy)]
pub struct How<'a> {
    pub content: &'a str,
    pub accept: &'a str,
    pub anonymous: bool,
    /// Reduces the body of a response to the part that is compared.
    pub of_interest: fn(&mut Value),
}

impl Default for How<'_> {
    fn default() -> Self {
        How { content: JSON, accept: JSON, anonymous: false, of_interest: |_| {} }
    }
}

/// The embedded server and a real one.
pub struct Pair {
    sides: [Side; 2],
    topic: &'static str,
    last: [Value; 2],
    names: BTreeSet<String>,
    pub compared: usize,
    pub differences: Vec<Difference>,
}

impl Side {
    fn new(mut config: Config) -> Side {
        // a 504 is compared, not retried
        config.default_retry = false;
        let mut anonymous = config.clone();
        anonymous.auth_info = Default::default();
        let client = |config| Client::try_from(config).expect("a client");
        let kept = BTreeMap::new();
        Side { client: client(config), anonymous: client(anonymous), kept, versions: BTreeMap::new() }
    }

    /// Replaces `$name` by its value.
    fn fill(&self, text: &str) -> String {
        let value = |found: &Captures<'_>| self.kept.get(&found[1]).cloned().unwrap_or_else(|| found[0].to_owned());
        NAME.replace_all(text, value).into_owned()
    }

    fn request(&self, method: &Method, path: &str, how: How<'_>, body: &str) -> Request<Vec<u8>> {
        let request = Request::builder().method(method).uri(self.fill(path)).header(header::ACCEPT, how.accept);
        let request = if how.content.is_empty() { request } else { request.header(header::CONTENT_TYPE, how.content) };
        request.body(self.fill(body).into_bytes()).expect("a request")
    }

    async fn ask(&mut self, method: &Method, path: &str, how: How<'_>, body: &str) -> (Value, Value) {
        let client = if how.anonymous { &self.anonymous } else { &self.client };
        let request = self.request(method, path, how, body).map(kube::client::Body::from);
        let response = client.send(request).await.expect("a response");
        let code = response.status().as_u16();
        let headers = |key: header::HeaderName| -> Vec<String> {
            response.headers().get_all(key).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect()
        };
        let (content, warnings) = (headers(header::CONTENT_TYPE), headers(header::WARNING));
        let bytes = response.into_body().collect_bytes().await.expect("a body");
        let raw: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        let mut body = raw.clone();
        (how.of_interest)(&mut body);
        let mut seen = json!({ "code": code, "content": content, "warnings": warnings, "body": body });
        if let Some(version_change) = self.version_change(&raw) {
            seen["version"] = version_change.into();
        }
        normalize(&mut seen);
        (seen, raw)
    }

    /// Whether the object's version changed since its last response.
    fn version_change(&mut self, object: &Value) -> Option<&'static str> {
        let uid = object.pointer("/metadata/uid")?.as_str()?.to_owned();
        let version = object.pointer("/metadata/resourceVersion")?.as_str()?.to_owned();
        match self.versions.insert(uid, version.clone()) {
            None => Some("first seen"),
            Some(before) if before == version => Some("as before"),
            Some(_) => Some("another"),
        }
    }

    async fn events(&self, path: &str, most: usize) -> Value {
        let request = self.request(&Method::GET, path, How::default(), "");
        let lines = match self.client.request_stream(request).await {
            Ok(lines) => lines.lines().take(most),
            Err(error) => return json!(format!("no stream: {error}")),
        };
        let read = lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("an event"));
        let mut events: Value = match tokio::time::timeout(WAIT_TIMEOUT, read.collect::<Vec<Value>>()).await {
            Ok(events) => events.into(),
            Err(_) => json!("timed out waiting for further events"),
        };
        normalize(&mut events);
        events
    }
}

impl Pair {
    pub fn new(embedded: Config, real: Config) -> Pair {
        Pair {
            sides: [Side::new(embedded), Side::new(real)],
            topic: "",
            last: [Value::Null, Value::Null],
            names: BTreeSet::new(),
            compared: 0,
            differences: Vec::new(),
        }
    }

    pub fn topic(&mut self, topic: &'static str) {
        self.topic = topic;
    }

    /// Sets `$name` to the same text on both sides.
    pub fn say(&mut self, name: &str, value: &str) {
        for side in &mut self.sides {
            side.kept.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Sets `$name` on each side to the value at that pointer of its last response.
    pub fn keep(&mut self, name: &str, pointer: &str) {
        for (side, last) in self.sides.iter_mut().zip(&self.last) {
            let value = last.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            side.kept.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Sends a request to both servers and compares the responses. `name` is unique.
    pub async fn ask(&mut self, name: &str, method: Method, path: &str, how: How<'_>, body: &str) {
        let [embedded, real] = &mut self.sides;
        let (e, r) = tokio::join!(embedded.ask(&method, path, how, body), real.ask(&method, path, how, body));
        self.last = [e.1, r.1];
        self.compare(name, &e.0, &r.0);
    }

    fn compare(&mut self, name: &str, embedded: &Value, real: &Value) {
        let request = format!("{}: {name}", self.topic);
        assert!(self.names.insert(request.clone()), "two requests are called {request:?}");
        self.compared += 1;
        let mut found = Vec::new();
        if embedded["code"] == real["code"] {
            differ("", Some(embedded), Some(real), &mut found);
        } else {
            // responses of different kinds differ everywhere; only that is reported
            let [embedded, real] = [embedded, real].map(|a| json!([a["code"], a["body"]["message"]]));
            found.push(("/code".to_owned(), embedded, real));
        }
        for (field, embedded, real) in found {
            self.differences.push(Difference { request: request.clone(), field, embedded, real });
        }
    }

    pub async fn get(&mut self, name: &str, path: &str) {
        self.ask(name, Method::GET, path, How::default(), "").await;
    }

    pub async fn get_as(&mut self, name: &str, path: &str, accept: &str) {
        self.ask(name, Method::GET, path, How { accept, ..How::default() }, "").await;
    }

    pub async fn post(&mut self, name: &str, path: &str, body: Value) {
        self.ask(name, Method::POST, path, How::default(), &body.to_string()).await;
    }

    pub async fn put(&mut self, name: &str, path: &str, body: Value) {
        self.ask(name, Method::PUT, path, How::default(), &body.to_string()).await;
    }

    pub async fn patch(&mut self, name: &str, content: &str, path: &str, body: Value) {
        self.ask(name, Method::PATCH, path, How { content, ..How::default() }, &body.to_string()).await;
    }

    pub async fn delete(&mut self, name: &str, path: &str, options: Value) {
        let body = if options.is_null() { String::new() } else { options.to_string() };
        self.ask(name, Method::DELETE, path, How::default(), &body).await;
    }

    /// Compares the first `most` events of a watch, or all if it ends before.
    pub async fn watch(&mut self, name: &str, path: &str, most: usize) {
        let (e, r) = tokio::join!(self.sides[0].events(path, most), self.sides[1].events(path, most));
        self.compare(name, &json!({ "events": e }), &json!({ "events": r }));
    }

    /// Waits, without comparing, until both responses satisfy `wanted`.
    pub async fn until(&mut self, what: &str, path: &str, wanted: fn(u16, &Value) -> bool) {
        let began = Instant::now();
        for (side, name) in self.sides.iter_mut().zip(["embedded", "real"]) {
            loop {
                let request = side.request(&Method::GET, path, How::default(), "").map(kube::client::Body::from);
                let response = side.client.send(request).await.expect("a response");
                let code = response.status().as_u16();
                let bytes = response.into_body().collect_bytes().await.expect("a body");
                let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                if wanted(code, &body) {
                    break;
                }
                assert!(began.elapsed() < WAIT_TIMEOUT, "timeout: {what} on the {name} server: {code} {body}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Waits, without comparing, until both refuse to create the object.
    pub async fn until_refused(&mut self, what: &str, path: &str, body: &str) {
        let began = Instant::now();
        for side in &self.sides {
            loop {
                let request = side.request(&Method::POST, path, How::default(), body).map(kube::client::Body::from);
                if side.client.send(request).await.expect("a response").status().as_u16() == 422 {
                    break;
                }
                assert!(began.elapsed() < WAIT_TIMEOUT, "timeout: {what}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Waits until the object does not exist.
    pub async fn gone(&mut self, path: &str) {
        self.until(&format!("the end of {path}"), path, |code, _| code == 404).await;
    }

    /// Sends a request that is not compared, for cleaning up.
    pub async fn quietly(&mut self, method: Method, path: &str) {
        for side in &self.sides {
            let request = side.request(&method, path, How::default(), "").map(kube::client::Body::from);
            let _ = side.client.send(request).await;
        }
    }
}

/// Replaces values that differ between servers and over time by placeholders.
fn normalize(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("managedFields");
            for (key, below) in map.iter_mut() {
                match (key.as_str(), &*below) {
                    ("resourceVersion", Value::String(version)) if version.parse::<u64>().is_ok() => {
                        *below = if version == "0" { "0" } else { "VERSION" }.into();
                    }
                    ("continue", Value::String(token)) if !token.is_empty() => *below = "TOKEN".into(),
                    ("cells", Value::Array(_)) => replace_ages(below),
                    _ => normalize(below),
                }
            }
            sort_causes(map);
        }
        Value::Array(list) => list.iter_mut().for_each(normalize),
        Value::String(text) => {
            for (pattern, word) in &*VARIABLE_TEXTS {
                let replaced = pattern.replace_all(text, *word).into_owned();
                *text = replaced;
            }
        }
        _ => {}
    }
}

fn replace_ages(cells: &mut Value) {
    for cell in cells.as_array_mut().into_iter().flatten() {
        if cell.as_str().is_some_and(|text| AGE.is_match(text)) {
            *cell = "AGE".into();
        }
    }
}

/// Sorts causes, which the real server reports in random order.
fn sort_causes(status: &mut Map<String, Value>) {
    let Some(causes) = status.get_mut("details").and_then(|d| d.get_mut("causes")).and_then(Value::as_array_mut) else {
        return;
    };
    causes.sort_by_key(Value::to_string);
    let mut texts: Vec<String> = causes
        .iter()
        .map(|c| format!("{}: {}", c["field"].as_str().unwrap_or_default(), c["message"].as_str().unwrap_or_default()))
        .collect();
    texts.sort_by_key(|s| std::cmp::Reverse(s.len()));
    if texts.len() > 1
        && let Some(Value::String(message)) = status.get_mut("message")
    {
        *message = texts.iter().fold(message.clone(), |m, cause| m.replace(cause, "CAUSE"));
    }
}

fn differ(at: &str, embedded: Option<&Value>, real: Option<&Value>, found: &mut Vec<(String, Value, Value)>) {
    match (embedded, real) {
        (Some(Value::Object(e)), Some(Value::Object(r))) => {
            let keys: BTreeSet<&String> = e.keys().chain(r.keys()).collect();
            for key in keys {
                differ(&format!("{at}/{key}"), e.get(key), r.get(key), found);
            }
        }
        (Some(Value::Array(e)), Some(Value::Array(r))) => {
            for n in 0..e.len().max(r.len()) {
                differ(&format!("{at}/{n}"), e.get(n), r.get(n), found);
            }
        }
        (e, r) if e == r => {}
        (e, r) => {
            let shown = |v: Option<&Value>| v.cloned().unwrap_or_else(|| "(absent)".into());
            found.push((at.to_owned(), shown(e), shown(r)));
        }
    }
}
