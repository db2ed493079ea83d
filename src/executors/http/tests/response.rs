//! How responses are read: limits, redirects, streams.
use super::*;
use axum::response::sse::{Event, Sse};
use futures::{SinkExt, StreamExt, stream};
use tokio_tungstenite::tungstenite::Message;

#[test]
fn refuses_invalid_response_options() {
    let problem = |text: &str| {
        let all = body_problems(&Http, text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    assert_eq!(problem("{ request: GET /, follow: perhaps }"), ("wrong-type", "perhaps".into()));
    assert_eq!(problem("{ request: GET /, follow: 0 }"), ("wrong-type", "0".into()));
    assert_eq!(problem("{ request: GET /, limit: much }"), ("invalid-size", "much".into()));
    assert_eq!(problem("{ request: GET /, events: { count: 0 } }"), ("wrong-type", "0".into()));
    assert_eq!(problem("{ request: GET /, events: { within: soon } }"), ("invalid-duration", "soon".into()));
    assert_eq!(problem("{ request: GET /, events: { send: a } }"), ("unknown-key", "send".into()));
    assert_eq!(problem("{ request: GET /, events: { until: 'it ==' } }").0, "expression-syntax");
    assert_eq!(problem("{ request: GET /, events: 5 }").0, "wrong-type");
    assert_eq!(problem("{ request: GET /, events: {}, messages: {} }").0, "events-and-messages");
    assert_eq!(problem("{ request: POST /, messages: {} }"), ("websocket-method", "POST /".into()));
}

#[tokio::test]
async fn cuts_the_body_at_the_limit_and_notes_it() {
    let router = Router::new().route("/", any(async || "x".repeat(5000))).route(
        "/zipped",
        any(async || {
            // 100,000 times `a`, by `gzip -9n`
            use std::io::Write;
            let mut child = std::process::Command::new("gzip")
                .arg("-9n")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(&[b'a'; 100_000]).unwrap();
            ([("content-encoding", "gzip")], child.wait_with_output().unwrap().stdout)
        }),
    );
    let s = stage(&format!("http: {}", serve(router).await)).await;
    for (body, length, cut) in [
        ("{ request: GET /, limit: 4 KiB }", 4096, true),
        ("{ request: GET /, limit: 5000 }", 5000, false),
        ("{ request: GET /zipped, limit: 64KiB }", 65536, true),
    ] {
        let out = perform(&s, body).await.unwrap().value;
        let text = match out.get("text").unwrap() {
            Value::Partial(part) if cut => part.value.clone(),
            whole => whole.clone(),
        };
        assert_eq!(text.as_str().unwrap().len(), length, "{body}");
        assert_eq!(out.get("cut"), Some(&Value::Bool(cut)), "{body}");
    }
    let notes = s.evidence(EvidenceKind::Note);
    assert_eq!(notes[0], "the body is longer than 4 KiB: the rest was not read");
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[tokio::test]
async fn follows_redirects_if_asked_to() {
    let elsewhere = echo().await;
    let cross_origin = format!("{elsewhere}/far");
    let to = |status: StatusCode, location: String| any(async move || (status, [("location", location)], "moved"));
    let router = Router::new()
        .route("/a", to(StatusCode::FOUND, "/b".into()))
        .route("/b", to(StatusCode::TEMPORARY_REDIRECT, "echo?x=1".into()))
        .route("/see", to(StatusCode::SEE_OTHER, "/echo".into()))
        .route("/out", to(StatusCode::TEMPORARY_REDIRECT, cross_origin.clone()))
        .route("/round", to(StatusCode::FOUND, "/round".into()))
        .route("/echo", any(describe_request));
    let base = serve(router).await;
    let s = stage(&format!("{{ http: {base}, headers: {{ Authorization: '${{token}}', X-Mine: m }} }}")).await;
    let out = perform(&s, "{ request: POST /a, text: hi, follow: true }").await.unwrap().value;
    let body = out.get("body").unwrap().to_json();
    assert_eq!((&body["method"], &body["uri"], &body["body"]), (&json!("GET"), &json!("/echo?x=1"), &json!("")));
    assert_eq!(body["headers"]["content-type"], Json::Null, "the body was dropped");
    assert_eq!(body["headers"]["authorization"], "t0k3n");
    assert_eq!(out.get("url").unwrap().as_str(), Some(&*format!("{base}/echo?x=1")));
    let chain = json!([
        { "status": 302, "location": format!("{base}/b") },
        { "status": 307, "location": format!("{base}/echo?x=1") },
    ]);
    assert_eq!(out.get("redirects").unwrap().to_json(), chain);
    assert_eq!(s.evidence(EvidenceKind::Response).len(), 3, "every response is evidence");
    assert!(s.evidence(EvidenceKind::Reproduce)[0].contains("--location --max-redirs 10"));

    let see = echoed(&s, "{ request: PUT /see, text: hi, follow: true }").await;
    assert_eq!(see["method"], "GET");
    let far =
        echoed(&s, "{ request: POST /out, text: hi, follow: true, headers: { Cookie: c=1, X-Api-Key: k } }").await;
    assert_eq!((&far["method"], &far["uri"], &far["body"]), (&json!("POST"), &json!("/far"), &json!("hi")));
    for name in ["authorization", "cookie", "x-mine", "x-api-key"] {
        assert_eq!(far["headers"][name], Json::Null, "`{name}` is not sent cross-origin");
    }
    let round = perform(&s, "{ request: GET /round, follow: 3 }").await.unwrap().value;
    assert_eq!(round.get("status"), Some(&Value::Int(302)));
    assert_eq!(round.get("redirects").unwrap().as_list().unwrap().len(), 3);
    assert!(s.evidence(EvidenceKind::Note).iter().any(|n| n == "more than 3 redirects: the last one is the response"));
    let call = action(&Http, "{ request: GET /, follow: true }");
    assert_eq!(out.as_map().unwrap().keys().collect::<Vec<_>>(), call.fields());
}

/// A server that sends three events, and then one per text in the channel.
async fn event_server() -> (String, tokio::sync::mpsc::UnboundedSender<&'static str>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let stream = async move || {
        let first = ["{\"n\": 1}", "two\nlines", "last"].into_iter().enumerate().map(|(i, data)| {
            let event = Event::default().data(data).id(i.to_string());
            if i == 1 { event.event("progress") } else { event }
        });
        let rest = futures::stream::unfold(receiver, async |receiver| {
            let data = receiver.lock().await.recv().await?;
            Some((Event::default().data(data), receiver))
        });
        Sse::new(futures::stream::iter(first).chain(rest).map(Ok::<_, std::convert::Infallible>))
    };
    let router = Router::new()
        .route("/events", axum::routing::get(stream))
        .route("/none", any(async || (StatusCode::FORBIDDEN, [("content-type", "application/json")], "{\"a\":1}")));
    (serve(router).await, sender)
}

fn data(out: &Output) -> Vec<String> {
    let messages = out.value.get("messages").unwrap().as_list().unwrap();
    messages.iter().map(|m| m.get("data").unwrap().to_string()).collect()
}

#[tokio::test]
async fn reads_server_sent_events() {
    let (base, more) = event_server().await;
    let s = stage(&format!("http: {base}")).await;
    let out = perform(&s, "{ request: GET /events, events: { count: 2 } }").await.unwrap();
    let messages = out.value.get("messages").unwrap().to_json();
    assert_eq!(messages.as_array().unwrap().len(), 2);
    let message = |i: usize| (messages[i]["event"].clone(), messages[i]["id"].clone(), messages[i]["data"].clone());
    assert_eq!(message(0), (json!("message"), json!("0"), json!({"n": 1})));
    assert_eq!(message(1), (json!("progress"), json!("1"), json!("two\nlines")));
    assert_eq!(out.value.get("closed"), Some(&Value::Null));
    assert_eq!(s.evidence(EvidenceKind::Response).len(), 2, "head and messages");
    assert!(s.evidence(EvidenceKind::Reproduce)[0].contains("--no-buffer"));
    let call = action(&Http, "{ request: GET /events, events: { count: 2 } }");
    assert_eq!(out.value.as_map().unwrap().keys().collect::<Vec<_>>(), call.fields());

    let until = perform(&s, "{ request: GET /events, events: { until: 'it.event == \"progress\"' } }").await.unwrap();
    assert_eq!(data(&until), ["{\"n\":1}", "two\nlines"]);
    drop(more);
    let ended = perform(&s, "{ request: GET /events, events: {} }").await.unwrap();
    assert_eq!(data(&ended).len(), 3);
    assert_eq!(ended.value.get("closed").unwrap().get("reason"), Some(&Value::text("the server ended the stream")));
    let other = perform(&s, "{ request: GET /none, events: {} }").await.unwrap().value;
    assert_eq!(other.get("body").unwrap().to_json(), json!({"a": 1}), "not a stream, so an ordinary response");
    assert_eq!(other.as_map().unwrap().keys().collect::<Vec<_>>(), call.fields());
}

#[tokio::test]
async fn no_message_is_lost_between_two_attempts() {
    let (base, more) = event_server().await;
    let s = stage(&format!("http: {base}")).await;
    let call = action(&Http, "{ request: GET /events, events: { count: 3 } }");
    let (first, cx) = (call.perform(&s.context()).await.unwrap(), s.context());
    assert_eq!(data(&first).len(), 3);
    more.send("between").unwrap();
    let second = call.next(&cx, &first, Duration::from_secs(60)).await.unwrap();
    assert_eq!(data(&second), ["{\"n\":1}", "two\nlines", "last", "between"]);
    // Without a new message, the same after `pace`.
    let third = call.next(&cx, &second, Duration::from_millis(20)).await.unwrap();
    assert_eq!(data(&third).len(), 4);
    let later = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        more.send("while it waits").unwrap();
    };
    let (fourth, ()) = tokio::join!(call.next(&cx, &third, Duration::from_secs(60)), later);
    assert_eq!(data(&fourth.unwrap())[4], "while it waits");
    assert_eq!(s.evidence(EvidenceKind::Request).len(), 1, "one request for all attempts");
}

#[tokio::test]
async fn next_observation_of_a_cut_stream_waits_for_the_pace() {
    let (base, _more) = event_server().await;
    let s = stage(&format!("http: {base}")).await;
    let call = action(&Http, "{ request: GET /events, limit: 1, events: { within: 60s } }");
    let (first, cx) = (call.perform(&s.context()).await.unwrap(), s.context());
    assert_eq!(first.value.get("cut"), Some(&Value::Bool(true)));
    let (began, pace) = (std::time::Instant::now(), Duration::from_millis(120));
    let second = call.next(&cx, &first, pace).await.unwrap();
    assert!(began.elapsed() >= pace, "{:?}", began.elapsed());
    assert_eq!(second.value.get("messages"), first.value.get("messages"));
    assert_eq!(s.evidence(EvidenceKind::Request).len(), 1);
}

#[tokio::test]
async fn an_event_without_end_is_cut_at_the_limit() {
    let endless = async || {
        let start = stream::iter(["data: one\n\ndata: two\n\ndata: ".to_string()]);
        let body = start.chain(stream::repeat("x".repeat(1000))).map(Ok::<_, std::convert::Infallible>);
        ([("content-type", "text/event-stream")], axum::body::Body::from_stream(body))
    };
    let s = stage(&format!("http: {}", serve(Router::new().route("/", any(endless))).await)).await;
    let out = perform(&s, "{ request: GET /, limit: 100 KiB, events: { within: 60s } }").await.unwrap();
    assert_eq!((out.value.get("cut"), out.value.get("closed")), (Some(&Value::Bool(true)), Some(&Value::Null)));
    let Some(Value::Partial(messages)) = out.value.get("messages") else { panic!("{}", out.value) };
    let received: Vec<_> = messages.value.items().iter().map(|m| m.get("data").unwrap().to_string()).collect();
    assert_eq!(received, ["one", "two"], "an incomplete event is left out");
    assert_eq!(&*messages.reason, "the stream is longer than 100 KiB: the rest was not read");
}

#[tokio::test]
async fn json_that_would_take_too_much_memory_is_not_decoded() {
    let numbers = async || ([("content-type", "application/json")], format!("[{}1]", "1,".repeat(4_000_000)));
    let s = stage(&format!("http: {}", serve(Router::new().route("/", any(numbers))).await)).await;
    let out = perform(&s, "request: GET /").await.unwrap().value;
    let Some(Value::Unset(reason)) = out.get("body") else { panic!("decoded") };
    assert!(
        reason.starts_with("the body was not read as JSON: more values than fit into 64 MiB of memory"),
        "{reason}"
    );
    assert_eq!(out.get("text").and_then(Value::as_str).map(str::len), Some(8_000_003), "the text is complete");
    let out = perform(&s, "{ request: GET /, limit: 64 MiB }").await.unwrap().value;
    assert_eq!(out.get("body").and_then(Value::as_list).map(<[Value]>::len), Some(4_000_001));
}

#[tokio::test]
async fn control_characters_count_as_the_journal_writes_them() {
    let zeros = async || ([("content-type", "text/plain")], vec![0; 512 << 10]);
    let s = stage(&format!("http: {}", serve(Router::new().route("/", any(zeros))).await)).await;
    let out = perform(&s, "{ request: GET /, limit: 1 MiB }").await.unwrap().value;
    let Some(Value::Partial(text)) = out.get("text") else { panic!("complete") };
    assert_eq!(text.value.as_str().map(str::len), Some((2 << 20) / 6));
    let reason = "the text is longer than 2 MiB with its control characters escaped: the rest was not kept";
    assert_eq!((&*text.reason, out.get("cut")), (reason, Some(&Value::Bool(true))));
}

/// A WebSocket server that greets with URI and credentials, then echoes, and closes at `bye`.
async fn websocket_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut greeting = String::new();
                #[allow(clippy::result_large_err)] // the shape is the library's
                let note = |request: &tokio_tungstenite::tungstenite::handshake::server::Request, response| {
                    let token = request.headers().get("authorization").and_then(|v| v.to_str().ok());
                    greeting = format!("{} {}", request.uri(), token.unwrap_or("anonymous"));
                    Ok(response)
                };
                let mut socket = tokio_tungstenite::accept_hdr_async(stream, note).await.unwrap();
                socket.send(Message::text(greeting)).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message == Message::text("bye") {
                        let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
                            code: 4001.into(),
                            reason: "as you wish".into(),
                        };
                        let _ = socket.close(Some(frame)).await;
                    } else if !message.is_close() {
                        socket.send(message).await.unwrap();
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn reads_and_sends_websocket_messages() {
    let base = websocket_server().await;
    let s = stage(&format!("{{ http: {base}, bearer: '${{token}}' }}")).await;
    let body = "{ request: GET /ws, query: { a: 1 }, messages: { send: [hello, { a: [1] }], count: 3 } }";
    let out = perform(&s, body).await.unwrap();
    assert_eq!(data(&out), ["/ws?a=1 Bearer t0k3n", "hello", "{\"a\":[1]}"]);
    assert_eq!(out.value.get("status"), Some(&Value::Int(101)));
    assert_eq!(out.value.get("messages").unwrap().at(2).unwrap().get("data").unwrap().to_json(), json!({"a": [1]}));
    assert!(action(&Http, body).changes() && !action(&Http, "{ request: GET /ws, messages: {} }").changes());
    let bye = perform(&s, "{ request: GET /ws, messages: { send: bye } }").await.unwrap();
    assert_eq!(bye.value.get("closed").unwrap().to_json(), json!({"code": 4001, "reason": "as you wish"}));
    // A full URL with the scheme `ws`.
    let full_url = format!("{{ request: 'GET {}/x', messages: {{ count: 1 }} }}", base.replace("http", "ws"));
    assert_eq!(data(&perform(&s, &full_url).await.unwrap()), ["/x Bearer t0k3n"]);
}

#[tokio::test]
async fn websocket_stays_open_between_attempts() {
    let s = stage(&format!("http: {}", websocket_server().await)).await;
    let call = action(&Http, "{ request: GET /ws, messages: { send: [a, b], count: 1 } }");
    let (first, cx) = (call.perform(&s.context()).await.unwrap(), s.context());
    assert_eq!(data(&first), ["/ws anonymous"]);
    let second = call.next(&cx, &first, Duration::from_secs(60)).await.unwrap();
    let third = call.next(&cx, &second, Duration::from_secs(60)).await.unwrap();
    assert_eq!(data(&third), ["/ws anonymous", "a", "b"]);
}

#[tokio::test]
async fn refused_websocket_handshake_is_an_ordinary_response() {
    let s = stage(&format!("http: {}", echo().await)).await;
    let out = perform(&s, "{ request: GET /ws, messages: {} }").await.unwrap().value;
    assert_eq!(out.get("status"), Some(&Value::Int(200)));
    assert_eq!(out.get("messages"), Some(&Value::unset("the response is not a stream: it has status 200 OK")));
    assert_eq!(out.get("body").unwrap().to_json()["headers"]["upgrade"], "websocket");
    let invalid =
        raw_server(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n").await;
    let s = stage(&format!("http: {invalid}")).await;
    perform(&s, "{ request: GET /ws, messages: { within: 100ms } }").await.unwrap();
    assert!(s.evidence(EvidenceKind::Note).iter().any(|n| n.contains("does not match the key")));
}

#[tokio::test]
async fn no_cut_leaves_a_part_of_a_secret() {
    let page = |rest: &'static str| any(async move || format!("{}{rest}", "x".repeat(90)));
    let router = Router::new()
        .route("/plain", page("open:sesame 1 and more"))
        .route("/basic", page("b3BlbjpzZXNhbWUgMQ== and more"))
        .route("/csrf", page(" <input name=csrf_token value=\"Zx81kQ0pPw7yTt\"> and more"))
        .route("/json", page(" \"csrfToken\": \"Zx81kQ0pPw7yTt\", and more"));
    let base = serve(router).await;
    let broken = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nit is open:sesa").await;
    for (base, path, limit) in [
        (&base, "/plain", 100),
        (&base, "/basic", 100),
        (&base, "/csrf", 130),
        (&base, "/json", 115),
        (&base, "/json", 120),
        (&broken, "/", 1000),
    ] {
        let s = stage(&format!("http: {base}")).await;
        s.secrets.add("password", "open:sesame 1");
        let out = perform(&s, &format!("{{ request: GET {path}, limit: {limit} }}")).await.unwrap().value;
        let Some(Value::Partial(text)) = out.get("text") else { panic!("{out}") };
        for text in s.evidence(EvidenceKind::Response).iter().chain([&text.value.to_string()]) {
            let masked = s.secrets.mask(text).unwrap_or_else(|| text.clone());
            let part = ["open:s", "b3Blbjpz", "Zx81kQ0p"].into_iter().find(|part| masked.contains(part));
            assert_eq!(part, None, "{path}: {masked}");
        }
    }
}

#[tokio::test]
async fn masks_csrf_tokens_and_cookies_of_a_stream() {
    const MESSAGES: [&str; 6] = [
        "{\"csrf\": {\"token\": \"tok3n-of-messages-1\"}}",
        "{\"headerName\": \"X-CSRF-TOKEN\", \"token\": \"tok3n-of-messages-2\"}",
        "42[\"hello\",{\"xsrfToken\":\"tok3n-of-messages-3\"}]",
        "<meta name=\"csrf-token\" content=\"tok3n-of-messages-4\">",
        "Set-Cookie: sid=tok3n-of-messages-5; Path=/",
        "{\"headers\": {\"set-cookie\": [\"sid=tok3n-of-messages-6; Path=/\"]}}",
    ];
    let events = async || {
        Sse::new(futures::stream::iter(MESSAGES).map(|m| Ok::<_, std::convert::Infallible>(Event::default().data(m))))
    };
    let events = serve(Router::new().route("/", axum::routing::get(events))).await;
    let send = serde_json::to_string(&MESSAGES).unwrap();
    for (base, request) in [
        (events, "{ request: GET /, events: { count: 6 } }".to_string()),
        (websocket_server().await, format!("{{ request: GET /, messages: {{ send: {send}, count: 7 }} }}")),
    ] {
        let s = stage(&format!("http: {base}")).await;
        let out = perform(&s, &request).await.unwrap().value;
        for i in 1..=6 {
            let token = format!("tok3n-of-messages-{i}");
            assert!(out.to_string().contains(&token));
            assert_eq!(s.secrets.names_in(&token).len(), 1, "{token}");
        }
        assert!(s.secrets.names_in("X-CSRF-TOKEN xsrfToken csrf-token").is_empty(), "names are no secrets");
    }
}

#[tokio::test]
async fn an_event_without_its_end_is_discarded() {
    let text = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: 1\n\ndata: 2\n";
    let s = stage(&format!("http: {}", raw_server(text).await)).await;
    let out = perform(&s, "{ request: GET /, events: { within: 5s } }").await.unwrap();
    assert_eq!((data(&out), out.value.get("messages").unwrap().incomplete()), (vec!["1".to_string()], None));
}

#[tokio::test]
async fn a_text_that_cannot_be_decoded_is_partial() {
    for (content_type, body, incomplete) in [
        ("text/plain", &b"caf\xc3\xa9"[..], false),
        ("text/plain", b"caf\xe9", true),
        ("text/plain; charset=ISO-8859-1", b"caf\xe9", false),
        ("text/plain; charset=utf-8", b"\xff\xfe", false),
        ("application/octet-stream", b"\x89PNG\xff", true),
    ] {
        let router = Router::new().fallback(any(async move || ([("content-type", content_type)], body)));
        let s = stage(&format!("http: {}", serve(router).await)).await;
        let out = perform(&s, "{ request: GET / }").await.unwrap().value;
        let text = out.get("text").unwrap();
        assert_eq!(text.incomplete().is_some(), incomplete, "{content_type} {body:?}: {text}");
        assert_eq!(out.get("answered"), Some(&Value::Bool(true)));
    }
}
