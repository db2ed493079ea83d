//! Requests, responses, and the errors of either.
use super::*;

#[test]
fn refuses_invalid_bodies() {
    let problem = |text: &str| {
        let all = body_problems(&Http, text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    assert_eq!(problem("request: PSOT /x"), ("unknown-method", "PSOT".into()));
    assert_eq!(problem("request: get /x"), ("unknown-method", "get".into()));
    assert_eq!(problem("request: /api/v1"), ("missing-method", "/api/v1".into()));
    assert_eq!(problem("request: http://x/y"), ("missing-method", "http://x/y".into()));
    assert_eq!(problem("request: '${url}'").0, "missing-method");
    assert_eq!(problem("request: POST"), ("missing-path", "POST".into()));
    assert_eq!(problem("request: ''").0, "missing-method");
    assert_eq!(problem("request: 12").0, "wrong-type");
    assert_eq!(problem("request: [GET, /x]").0, "wrong-type");
    assert_eq!(problem("json: {}").0, "missing-key");
    assert_eq!(problem("GET /x").0, "wrong-type");
    assert_eq!(problem("{ request: GET /x, jsno: {} }"), ("unknown-key", "jsno".into()));
    assert_eq!(problem("{ request: POST /x, json: {}, text: a }"), ("multiple-bodies", "text".into()));
    assert_eq!(problem("{ request: GET /x, headers: { 'a b': c } }"), ("invalid-header", "'a b'".into()));
    assert_eq!(problem("{ request: GET /x, headers: [a] }").0, "wrong-type");
    assert_eq!(problem("{ request: GET /x, query: a=b }").0, "wrong-type");
    assert_eq!(problem("{ request: POST /x, multipart: { f: { fiel: a } } }"), ("unknown-key", "fiel".into()));
}

#[test]
fn part_needs_exactly_one_of_text_and_file() {
    let all = body_problems(&Http, "{ request: POST /x, multipart: { f: { text: a, file: b } } }");
    assert_eq!(all[0].0, "invalid-part");
    assert_eq!(body_problems(&Http, "{ request: POST /x, multipart: { f: { type: a/b } } }")[0].0, "invalid-part");
}

#[test]
fn refuses_invalid_targets() {
    assert_eq!(target_problems(&Http, "http: ftp://x")[0], ("invalid-url", "ftp://x".into()));
    assert_eq!(target_problems(&Http, "http: nonsense")[0], ("invalid-url", "nonsense".into()));
    assert_eq!(target_problems(&Http, "{ http: http://x, haeders: {} }")[0], ("unknown-key", "haeders".into()));
    assert_eq!(target_problems(&Http, "{ http: { headers: {} } }")[0].0, "missing-key");
    assert_eq!(target_problems(&Http, "{ http: http://x, insecure: perhaps }")[0], ("wrong-type", "perhaps".into()));
    assert_eq!(target_problems(&Http, "{ http: http://x, identities: { none: {} } }")[0].0, "reserved-identity");
    assert_eq!(
        target_problems(&Http, "{ http: http://x, identities: { a: { header: {} } } }")[0],
        ("unknown-key", "header".into())
    );
}

#[test]
fn changes_depends_on_the_method() {
    for (line, changes) in
        [("GET /", false), ("HEAD /", false), ("OPTIONS /", false), ("POST /", true), ("DELETE /", true)]
    {
        assert_eq!(action(&Http, &format!("request: {line}")).changes(), changes, "{line}");
    }
    assert_eq!(action(&Http, "request: GET /a/${x}").summary(), "GET /a/${x}");
}

#[tokio::test]
async fn address_omits_credentials() {
    let address = |text: &str| {
        let source = std::sync::Arc::new(crate::source::Source::new("t", text));
        let node = crate::yaml::parse(&source).unwrap();
        let (mut reads, mut problems) = (vec![], crate::diagnostic::Diagnostics::default());
        let mut body = crate::executor::Body {
            node: &node,
            references: &mut reads,
            problems: &mut problems,
            access: &crate::access::AccessRules::unlimited(),
        };
        crate::executor::Executor::target(&Http, &mut body).unwrap().address(&crate::expr::Scope::default())
    };
    assert_eq!(address("http: https://joe:pw@api.example/v1"), "https://api.example/v1");
    assert_eq!(address("http: '${env.URL}'"), "${env.URL}");
}

#[tokio::test]
async fn sends_method_url_headers_and_body() {
    let base = echo().await;
    let mut s =
        stage(&format!("{{ http: '{base}/base/', headers: {{ Authorization: 'Bearer ${{token}}', X-A: a }} }}")).await;
    s.scope = Scope::default().with("name", "a b").with("many", Value::list(vec![1i64.into(), 2i64.into()]));
    let body = "{ request: 'PATCH /s/${name}?x=1', query: { q: 'ü&', n: '${many}', gone: null }, \
                headers: { x-a: b, X-M: [1, 2] }, json: { n: '${many}', t: '${name}' } }";
    let got = echoed(&s, body).await;
    assert_eq!(got["method"], "PATCH");
    assert_eq!(got["uri"], "/base/s/a%20b?x=1&q=%C3%BC%26&n=1&n=2");
    assert_eq!(got["body"], r#"{"n":[1,2],"t":"a b"}"#);
    assert_eq!(got["headers"]["authorization"], "Bearer t0k3n");
    assert_eq!(got["headers"]["x-a"], "b", "the plan overrides the target");
    assert_eq!(got["headers"]["x-m"], "1|2");
    assert_eq!(got["headers"]["content-type"], "application/json");
    assert!(s.sent());
}

#[tokio::test]
async fn sends_every_kind_of_body() {
    let base = echo().await;
    let s = stage(&format!("http: {base}")).await;
    let dir = tempfile::tempdir_in(&s.run.dir).unwrap();
    let file = dir.path().join("f.bin");
    std::fs::write(&file, "from a file").unwrap();
    let got = echoed(&s, "{ request: POST /, form: { a: 'x y', b: [1, 2], c: null } }").await;
    assert_eq!(
        (got["body"].as_str(), &got["headers"]["content-type"]),
        (Some("a=x+y&b=1&b=2"), &json!("application/x-www-form-urlencoded"))
    );
    let got = echoed(&s, "{ request: POST /, text: hello, headers: { Content-Type: text/csv } }").await;
    assert_eq!((got["body"].as_str(), &got["headers"]["content-type"]), (Some("hello"), &json!("text/csv")));
    let got = echoed(&s, &format!("{{ request: PUT /, file: '{}' }}", file.display())).await;
    assert_eq!(got["body"], "from a file");
    let body =
        format!("{{ request: POST /, multipart: {{ a: one, f: {{ file: '{}', type: text/x }} }} }}", file.display());
    let got = echoed(&s, &body).await;
    let text = got["body"].as_str().unwrap();
    assert!(
        text.contains("name=\"a\"\r\n\r\none") && text.contains("filename=\"f.bin\"") && text.contains("text/x"),
        "{text}"
    );
    let missing = perform(&s, "{ request: POST /, file: no/such/file }").await.err().unwrap();
    assert!(matches!(&missing, ActionError::Invalid(m) if m.contains("no/such/file")), "{missing}");
}

#[tokio::test]
async fn identity_is_selectable_and_never_sent_cross_origin_by_default() {
    let (base, elsewhere) = (echo().await, echo().await);
    let target = format!(
        "{{ http: {{ url: '{base}', headers: {{ Authorization: '${{token}}' }}, \
         identities: {{ eve: {{ headers: {{ Authorization: eve }} }} }} }} }}"
    );
    let s = stage(&target).await;
    let authorization = async |body: &str| echoed(&s, body).await["headers"]["authorization"].clone();
    assert_eq!(authorization("{ request: GET / }").await, "t0k3n");
    assert_eq!(authorization("{ request: GET /, identity: none }").await, Json::Null);
    assert_eq!(authorization("{ request: GET /, identity: eve }").await, "eve");
    assert_eq!(authorization("{ request: GET /, headers: { Authorization: null } }").await, Json::Null);
    assert_eq!(authorization(&format!("request: 'GET {base}/x'")).await, "t0k3n", "the same server by its full URL");
    assert_eq!(authorization(&format!("request: 'GET {elsewhere}/x'")).await, Json::Null);
    assert_eq!(authorization(&format!("{{ request: 'GET {elsewhere}/x', identity: eve }}")).await, "eve");
    let unknown = perform(&s, "{ request: GET /, identity: adam }").await.err().unwrap().to_string();
    assert!(unknown.contains("`adam`") && unknown.contains("`eve`"), "{unknown}");
    assert!(matches!(perform(&s, "request: 'GET /${undefined}'").await, Err(ActionError::Undefined(_))));
    assert!(matches!(perform(&s, "{ request: GET /, headers: { a: \"x\\ny\" } }").await, Err(ActionError::Invalid(_))));
    assert!(matches!(perform(&s, "{ request: GET /, query: { a: { b: 1 } } }").await, Err(ActionError::Invalid(_))));
}

#[tokio::test]
async fn output_has_all_parts_of_the_response() {
    async fn many() -> impl IntoResponse {
        let mut headers = HeaderMap::new();
        headers.append("X-Many", "1".parse().unwrap());
        headers.append("X-Many", "2".parse().unwrap());
        headers.insert("content-type", "text/plain".parse().unwrap());
        (StatusCode::IM_A_TEAPOT, headers, r#" {"a": [1, 2.5, null]} "#)
    }
    let router = Router::new()
        .route("/many", any(many))
        .route("/moved", any(async || (StatusCode::FOUND, [("location", "/many")], "")))
        .route("/text", any(async || "12"))
        .route("/number", any(async || ([("content-type", "application/problem+json")], "12")))
        .route("/broken", any(async || ([("content-type", "application/json")], "{\"a\":")))
        .route("/latin", any(async || ([("content-type", "text/plain; charset=iso-8859-1")], b"caf\xe9".to_vec())))
        .route("/bytes", any(async || b"\xff\xfa".to_vec()))
        .route(
            "/zipped",
            any(async || {
                // `{"z": 1}`, by `gzip -n`
                let z = hex::decode("1f8b0800000000000203ab56aa52b25230ac0500cf7cb09208000000").unwrap();
                ([("content-encoding", "gzip"), ("content-type", "application/json")], z)
            }),
        )
        .route("/huge", any(async || vec![b'x'; (32 << 20) + 5]));
    let s = stage(&format!("http: {}", serve(router).await)).await;
    let get = async |path: &str| perform(&s, &format!("request: GET {path}")).await.unwrap().value;
    let many = get("/many").await;
    assert_eq!(many.get("status"), Some(&Value::Int(418)));
    assert_eq!(many.get("headers").unwrap().get("x-many"), Some(&Value::text("1, 2")));
    assert_eq!(many.get("body").unwrap().to_json(), json!({"a": [1, 2.5, null]}), "JSON is detected by content");
    assert_eq!(many.get("text"), Some(&Value::text(r#" {"a": [1, 2.5, null]} "#)));
    assert!(matches!(many.get("timing").unwrap().get("total"), Some(Value::Duration(_))));
    assert_eq!(get("/moved").await.get("status"), Some(&Value::Int(302)), "redirects are not followed");
    assert!(reason(&get("/text").await, "body").starts_with("the body is not JSON (text/plain"));
    assert_eq!(reason(&get("/moved").await, "body"), "the body is empty");
    assert_eq!(get("/number").await.get("body"), Some(&Value::Int(12)));
    let broken = get("/broken").await;
    assert_eq!(broken.get("text"), Some(&Value::text("{\"a\":")));
    assert!(
        reason(&broken, "body").starts_with("the body is invalid JSON: incomplete document at line 1"),
        "{broken:?}"
    );
    assert_eq!(get("/latin").await.get("text"), Some(&Value::text("café")));
    assert_eq!(reason(&get("/bytes").await, "text"), "the body has bytes that are not UTF-8");
    assert_eq!(get("/zipped").await.get("body").unwrap().to_json(), json!({"z": 1}));
    let huge = get("/huge").await;
    assert!(matches!(huge.get("text"), Some(Value::Partial(p)) if p.value.as_str().unwrap().len() == 8 << 20));
    assert_eq!(reason(&huge, "body"), "the body is longer than 8 MiB: the rest was not read");
    assert!(s.evidence(EvidenceKind::Note).iter().any(|n| n.contains("8 MiB")));
    let fields = action(&Http, "request: GET /").fields();
    assert_eq!(many.as_map().unwrap().keys().collect::<Vec<_>>(), fields, "`fields` lists the output");
}

/// Why a field is incomplete.
fn reason(output: &Value, field: &str) -> String {
    output.get(field).and_then(Value::incomplete).expect(field).to_string()
}

#[tokio::test]
async fn a_transfer_that_breaks_off_keeps_what_arrived() {
    let s = stage(&format!("http: {}", raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await)).await;
    let out = perform(&s, "request: POST /").await.unwrap().value;
    assert_eq!((out.get("status"), out.get("cut")), (Some(&Value::Int(200)), Some(&Value::Bool(false))));
    assert!(matches!(out.get("text"), Some(Value::Partial(p)) if p.value == Value::text("half")), "{out:?}");
    assert!(matches!(out.get("body"), Some(Value::Unset(_))), "{out:?}");
    assert!(reason(&out, "text").starts_with("the body is incomplete: "), "{out:?}");
}

#[tokio::test]
async fn a_missing_response_differs_from_an_unreachable_server() {
    for response in [&b""[..], b"what is this?\r\n\r\n"] {
        let s = stage(&format!("http: {}", raw_server(response).await)).await;
        let none = perform(&s, "request: POST /").await.err().unwrap();
        assert!(matches!(none, ActionError::NoResponse(_)), "{response:?}: {none}");
        assert!(s.sent());
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let s = stage(&format!("http: http://{free}")).await;
    let refused = perform(&s, "request: GET /").await.err().unwrap();
    let reason = format!("connection refused by http://{free}: is it running?");
    assert!(matches!(&refused, ActionError::Unreachable(m) if *m == reason), "{refused}");
    let unknown = perform(&s, "request: GET http://no-such-host.invalid/").await.err().unwrap();
    assert!(
        matches!(&unknown, ActionError::Unreachable(m) if m.starts_with("the host `no-such-host.invalid` cannot")),
        "{unknown}"
    );
    let plain = raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.replace("http:", "https:");
    let tls = perform(&s, &format!("request: GET {plain}/")).await.err().unwrap();
    assert!(
        matches!(&tls, ActionError::Unreachable(m) if m.ends_with("does not speak TLS: should the URL begin with `http://`?")),
        "{tls}"
    );
}

#[tokio::test]
async fn sent_is_recorded_if_the_response_is_not_awaited() {
    let router = Router::new().fallback(async || tokio::time::sleep(Duration::from_secs(60)).await);
    let s = stage(&format!("http: {}", serve(router).await)).await;
    let call = action(&Http, "{ request: POST /slow, json: { a: 1 } }");
    let cx = s.context();
    let dropped = tokio::time::timeout(Duration::from_millis(100), call.perform(&cx)).await;
    assert!(dropped.is_err() && s.sent());
    let request = &s.evidence(EvidenceKind::Request)[0];
    assert!(request.starts_with("POST http://127.0.0.1") && request.ends_with("\n{\"a\":1}"), "{request}");
    assert_eq!(s.evidence(EvidenceKind::Reproduce).len(), 1);
    assert_eq!(s.evidence(EvidenceKind::Response).len(), 0);
}

#[tokio::test]
async fn not_sent_while_connecting() {
    // Accepts connections and never answers, so the TLS handshake does not complete.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let s = stage(&format!("http: https://{address}")).await;
    let (call, cx) = (action(&Http, "request: POST /"), s.context());
    assert!(tokio::time::timeout(Duration::from_millis(200), call.perform(&cx)).await.is_err());
    assert!(!s.sent());
    // Without TLS the request is sent to the same server.
    let s = stage(&format!("http: http://{address}")).await;
    let cx = s.context();
    assert!(tokio::time::timeout(Duration::from_millis(200), call.perform(&cx)).await.is_err());
    assert!(s.sent());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let s = stage(&format!("http: http://{free}")).await;
    assert!(perform(&s, "request: POST /").await.is_err() && !s.sent(), "refused");
}

#[tokio::test]
async fn sent_on_a_reused_connection() {
    let router = Router::new()
        .route("/slow", any(async || tokio::time::sleep(Duration::from_secs(60)).await))
        .fallback(async || "here");
    let s = stage(&format!("http: {}", serve(router).await)).await;
    let (first, slow) = (action(&Http, "request: GET /"), action(&Http, "request: GET /slow"));
    first.perform(&s.context()).await.unwrap();
    let mut again = Harness::new(&Http, std::env::temp_dir());
    again.target = s.target.clone();
    let cx = again.context();
    assert!(tokio::time::timeout(Duration::from_millis(100), slow.perform(&cx)).await.is_err());
    assert!(again.sent());
}

#[tokio::test]
async fn evidence_has_the_request_and_the_status_line() {
    let s = stage(&format!("{{ http: {}, headers: {{ X-A: b }} }}", echo().await)).await;
    echoed(&s, "{ request: POST /p, text: sent }").await;
    let (request, response) = (&s.evidence(EvidenceKind::Request)[0], &s.evidence(EvidenceKind::Response)[0]);
    assert!(request.contains("\nx-a: b\n") && request.ends_with("\n\nsent"), "{request}");
    assert_eq!(response, "HTTP/1.1 200 OK", "the output has the rest");
}

#[tokio::test]
async fn curl_command_sends_the_same_request() {
    let base = echo().await;
    let mut s =
        stage(&format!("{{ http: {base}, headers: {{ Authorization: 'it''s ${{token}}', X-Empty: '' }} }}")).await;
    s.scope = Scope::default().with("tricky", "it's \"$HOME\" `x` \\ @f; é\nline");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it's a file");
    std::fs::write(&file, "in the file").unwrap();
    let f = file.to_str().unwrap().replace('\'', "''");
    for body in [
        "{ request: 'GET /a b?x[]={1}', query: { q: '${tricky}' } }",
        "{ request: DELETE /x }",
        "{ request: POST /x, json: { t: '${tricky}' } }",
        "{ request: POST /x, text: '${tricky}', headers: { Content-Type: a/b, X-T: [1, 2] } }",
        "{ request: POST /x, text: '' }",
        "{ request: PUT /x, form: { a: '${tricky}' } }",
        "{ request: GET /x, json: [1] }",
        &format!("{{ request: PUT /x, file: '{f}' }}"),
    ] {
        let mut ours = echoed(&s, body).await;
        let line = s.evidence(EvidenceKind::Reproduce).pop().unwrap();
        let mut theirs = curl(&line).await;
        for request in [&mut ours, &mut theirs] {
            let headers = request["headers"].as_object_mut().unwrap();
            headers.retain(|k, _| !["user-agent", "accept-encoding", "content-length"].contains(&k.as_str()));
        }
        assert_eq!(ours, theirs, "{line}");
    }
    // The boundary differs, the parts are equal.
    let body = format!(
        "{{ request: POST /x, multipart: {{ t: '${{tricky}}', f: {{ file: '{f}', type: text/x, filename: 'a b' }} }} }}"
    );
    echoed(&s, &body).await;
    let theirs = curl(&s.evidence(EvidenceKind::Reproduce).pop().unwrap()).await;
    let text = theirs["body"].as_str().unwrap();
    assert!(text.contains("it's \"$HOME\" `x` \\ @f; é\nline\r\n") && text.contains("in the file"), "{text}");
    assert!(text.contains("filename=\"a b\"") && text.contains("text/x"), "{text}");
}

#[tokio::test]
async fn curl_command_for_head_does_not_wait_for_a_body() {
    let requests = Arc::new(Mutex::new(vec![]));
    let router = Router::new().fallback({
        let requests = requests.clone();
        async move |method: axum::http::Method, body: String| {
            requests.lock().unwrap().push(format!("{method} {body}"));
            "twelve bytes"
        }
    });
    let s = stage(&format!("http: {}", serve(router).await)).await;
    for body in ["request: HEAD /", "{ request: HEAD /, json: [1] }"] {
        let out = perform(&s, body).await.unwrap();
        assert_eq!(out.value.get("text"), Some(&Value::text("")));
        let line = s.evidence(EvidenceKind::Reproduce).pop().unwrap();
        let ran = tokio::process::Command::new("sh").args(["-c", &line]).output();
        let ran = tokio::time::timeout(Duration::from_secs(5), ran).await.expect("curl ends").unwrap();
        assert!(ran.status.success() && ran.stdout.starts_with(b"HTTP/1.1 200"), "{line}\n{ran:?}");
    }
    assert_eq!(*requests.lock().unwrap(), ["HEAD ", "HEAD ", "HEAD [1]", "HEAD [1]"]);
}

#[tokio::test]
async fn reuses_connections() {
    let ports = std::sync::Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    let client_ports = ports.clone();
    let router = Router::new().fallback(
        async move |axum::extract::ConnectInfo(from): axum::extract::ConnectInfo<std::net::SocketAddr>| {
            client_ports.lock().unwrap().insert(from.port());
        },
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, router.into_make_service_with_connect_info::<std::net::SocketAddr>()).await
    });
    let s = stage(&format!("http: http://{address}")).await;
    for _ in 0..20 {
        perform(&s, "request: GET /").await.unwrap();
    }
    assert_eq!(ports.lock().unwrap().len(), 1);
}
