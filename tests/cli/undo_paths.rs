//! An undo whose path has a placeholder without a usable value: nothing is sent, and the case says what is left behind.
use crate::runner::Fixture;
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

/// A server that answers each request with `body`, and the request lines it received.
fn server(body: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(vec![]));
    let received = requests.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).unwrap_or(0);
            let head = String::from_utf8_lossy(&buffer[..length]).into_owned();
            received.lock().unwrap().extend(head.lines().next().map(String::from));
            let head = "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-type: application/json";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    (base, requests)
}

#[test]
fn an_undo_without_a_usable_path_is_not_sent() {
    for (body, path, sent) in [
        (r#"{"id": ""}"#, "/items/${made.body.id}", None),
        (r#"{"id": null}"#, "/items/${made.body.id}", None),
        (r#"{"id": ".."}"#, "/items/${made.body.id}", None),
        (r#"{"id": "."}"#, "/items/${made.body.id}/x", None),
        (r#"{"id": []}"#, "/items/${made.body.id}", None),
        (r#"{"id": "a\nb"}"#, "/items/${made.body.id}", None),
        (r#"{}"#, "/items/${made.body.id}", None),
        (r#"{"id": null}"#, "/items?id=${made.body.id}", None),
        (r#"{"id": ""}"#, "/items?id=${made.body.id}", None),
        (r#"{"id": ""}"#, "/items?a=1&id=x-${made.body.id}", None),
        (r#"{"id": ""}"#, "/items', query: { id: '${made.body.id}' }, identity: 'none", None),
        (r#"{"id": null}"#, "/items', query: { id: '${made.body.id}' }, identity: 'none", None),
        (r#"{"id": []}"#, "/items', query: { id: '${made.body.id}' }, identity: 'none", None),
        (r#"{"id": ""}"#, "/items', query: { id: 'x-${made.body.id}' }, identity: 'none", None),
        (r#"{"id": ""}"#, "/items', query: { id: ['${made.body.id}'] }, identity: 'none", None),
        (r#"{"id": "a/b"}"#, "/items/${made.body.id}", Some("DELETE /items/a%2Fb HTTP/1.1")),
        (r#"{"id": 7}"#, "/items/${made.body.id}", Some("DELETE /items/7 HTTP/1.1")),
    ] {
        let (base, requests) = server(body);
        let fixture = Fixture::new();
        let environment =
            format!("default: x\nenvironments: {{ x: {{ targets: {{ api: {{ http: '{base}' }} }} }} }}\n");
        let plan = format!(
            "plan: U\ncases:\n  - id: A\n    tier: must\n    steps:\n      - step: s\n        do:\n          - http: {{ request: POST /items }}\n            \
             target: api\n            expect: {{ status: 201 }}\n            as: made\n            \
             undo: [{{ http: {{ request: 'DELETE {path}' }}, target: api, expect: {{ status: 201 }} }}]\n    \
             expected: [{{ result: r, check: made.status == 201 }}]\n"
        );
        std::fs::write(fixture.path().join("environment.yaml"), environment).unwrap();
        std::fs::write(fixture.path().join("undo.yaml"), plan).unwrap();
        let output = fixture.command(&["run", "undo.yaml", "--config", "environment.yaml"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let received = requests.lock().unwrap().clone();
        assert_eq!(received.first().map(String::as_str), Some("POST /items HTTP/1.1"), "{text}");
        assert_eq!(received.get(1).map(String::as_str), sent, "{body} {path}: {text}");
        assert_eq!(output.status.success(), sent.is_some(), "{body} {path}: {text}");
        assert_eq!(text.contains("left behind"), sent.is_none(), "{body} {path}: {text}");
    }
}
