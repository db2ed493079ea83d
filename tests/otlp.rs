//! `run --otlp`: spans reach a collector, HTTP requests carry their ids, and a collector that is away changes no verdict.
#![cfg(feature = "otlp")]
mod support;

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use support::{BINARY, RunOutput};

type Requests = Arc<Mutex<Vec<(String, String)>>>;

const PLAN: &str = "plan: T
title: Traced
cases:
  - id: A
    title: The service responds
    tier: must
    expected:
      - result: It is ready
        do:
          - http: { request: GET /ready }
            expect: { status: 200 }
";

/// A server that says 200 to everything, and its requests: heads, each with its body.
fn server() -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let heads = Arc::new(Mutex::new(vec![]));
    let seen = heads.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut input = BufReader::new(stream.try_clone().expect("a second handle"));
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if input.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                head += &line;
            }
            let mut body = vec![0; length];
            let _ = input.read_exact(&mut body);
            seen.lock().expect("not poisoned").push((head, String::from_utf8_lossy(&body).into_owned()));
            let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (address, heads)
}

fn run(folder: &Path, service: &str, collector: &str) -> RunOutput {
    let environment = format!("environments:\n  here:\n    targets:\n      api: {{ http: '{service}' }}\n");
    fs::write(folder.join("tp-runner.yaml"), environment).expect("a file");
    fs::write(folder.join("t.yaml"), PLAN).expect("a file");
    let args = ["run", "t.yaml", "--env", "here", "--otlp", collector];
    Command::new(BINARY).args(args).current_dir(folder).output().expect("it starts").into()
}

/// The value of a header in one of the requests.
fn header(requests: &Requests, name: &str) -> Option<String> {
    let prefix = format!("{name}: ");
    let requests = requests.lock().expect("not poisoned");
    requests.iter().flat_map(|(head, _)| head.lines()).find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
}

#[test]
fn requests_carry_the_trace_and_spans_are_posted() {
    let folder = tempfile::tempdir().expect("a folder");
    let ((service, requests), (collector, posts)) = (server(), server());
    let output = run(folder.path(), &service, &collector).assert_code(0);
    let traceparent = header(&requests, "traceparent").expect("a header");
    let trace = traceparent.split('-').nth(1).expect("the id of the trace");
    assert!(
        output.stderr.contains(&format!("trace {trace}: 5 spans were sent to {collector}/v1/traces")),
        "{}",
        output.stderr
    );
    let report = fs::read_to_string(folder.path().join("tests/reports/t-report.md")).expect("a report");
    assert!(report.contains(trace), "{report}");
    let posts = posts.lock().expect("not poisoned");
    assert!(posts.iter().all(|(head, _)| head.starts_with("POST /v1/traces HTTP/1.1\r\n")), "{posts:?}");
    assert!(posts[0].0.to_lowercase().contains("content-type: application/x-protobuf"), "{posts:?}");
}

#[test]
fn a_collector_that_is_away_changes_no_verdict_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, _) = server();
    let output = run(folder.path(), &service, "http://127.0.0.1:9").assert_code(0);
    let warning = output.stderr.lines().find(|line| line.starts_with("warning: trace ")).expect("a warning");
    assert!(warning.contains(": 0 spans were sent to http://127.0.0.1:9/v1/traces, 5 were not: "), "{warning}");
    run(folder.path(), &service, "collector:4318").assert_code(2);
}

#[test]
fn without_the_option_requests_carry_no_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, requests) = server();
    fs::write(folder.path().join("t.yaml"), PLAN).expect("a file");
    let environment = format!("environments:\n  here:\n    targets:\n      api: {{ http: '{service}' }}\n");
    fs::write(folder.path().join("tp-runner.yaml"), environment).expect("a file");
    let args = ["run", "t.yaml", "--env", "here"];
    let output: RunOutput =
        Command::new(BINARY).args(args).current_dir(folder.path()).output().expect("it starts").into();
    output.assert_code(0);
    assert_eq!(requests.lock().expect("not poisoned").len(), 1);
    assert_eq!(header(&requests, "traceparent"), None);
}

/// A collector that forwards what it receives as JSON. Ends when it is dropped.
struct Collector(Child);

impl Collector {
    /// Returns it with its address.
    fn start(folder: &Path, forward_to: &str) -> (Collector, String) {
        let program = std::env::var("TP_TEST_COLLECTOR").expect("`TP_TEST_COLLECTOR` is set: run tests/run");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let config = format!(
            "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: '{free}' }} }} }} }}
exporters: {{ otlp_http: {{ endpoint: '{forward_to}', encoding: json, compression: none }} }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp_http] }} }}
"
        );
        let (path, log) = (folder.join("collector.yaml"), File::create(folder.join("collector.log")).expect("a file"));
        fs::write(&path, config).expect("a file");
        let child = Command::new(program).arg("--config").arg(path).stderr(log).spawn().expect("it starts");
        let collector = Collector(child);
        wait_until("the collector listens", || TcpStream::connect(free).is_ok());
        (collector, format!("http://{free}"))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The spans in what a collector forwarded.
fn spans(forwarded: &Requests) -> Vec<serde_json::Value> {
    let list = |json: &serde_json::Value, key: &str| json[key].as_array().cloned().unwrap_or_default();
    let forwarded = forwarded.lock().expect("not poisoned");
    let batches = forwarded.iter().filter_map(|(_, body)| serde_json::from_str::<serde_json::Value>(body).ok());
    let scopes = batches.flat_map(|batch| list(&batch, "resourceSpans")).flat_map(|r| list(&r, "scopeSpans"));
    scopes.flat_map(|scope| list(&scope, "spans")).collect()
}

#[test]
#[ignore = "needs an OpenTelemetry collector"]
fn a_real_collector_receives_the_run_down_to_the_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let ((service, requests), (receiver, forwarded)) = (server(), server());
    let (_collector, address) = Collector::start(folder.path(), &receiver);
    let output = run(folder.path(), &service, &address).assert_code(0);
    assert!(output.stderr.contains(": 5 spans were sent to "), "{}", output.stderr);
    let traceparent = header(&requests, "traceparent").expect("a header");
    let [_, trace, span, _] = &traceparent.split('-').collect::<Vec<_>>()[..] else { panic!("{traceparent}") };
    wait_until("5 spans are forwarded", || spans(&forwarded).len() >= 5);
    let spans = spans(&forwarded);
    assert!(spans.iter().all(|span| span["traceId"] == *trace), "{spans:?}");
    let by_id: HashMap<&str, &serde_json::Value> =
        spans.iter().filter_map(|span| Some((span["spanId"].as_str()?, span))).collect();
    let (mut names, mut next) = (vec![], *span);
    while let Some(found) = by_id.get(next) {
        names.push(found["name"].as_str().unwrap_or_default());
        next = found["parentSpanId"].as_str().unwrap_or_default();
    }
    let request = format!("GET {service}/ready");
    assert_eq!(names, [&*request, "http GET /ready", "It is ready", "A The service responds", "T Traced"]);
    let attributes = by_id[span]["attributes"].as_array().expect("attributes");
    let attribute = |key: &str| attributes.iter().find(|a| a["key"] == key).map(|a| a["value"].to_string());
    assert_eq!(attribute("http.request.method").as_deref(), Some(r#"{"stringValue":"GET"}"#));
    assert_eq!(attribute("http.response.status_code").as_deref(), Some(r#"{"intValue":"200"}"#));
}
