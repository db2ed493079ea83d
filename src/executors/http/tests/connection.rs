//! Proxies, sockets, host names, HTTP versions, and the errors when connecting fails.
use super::*;

fn unreachable_reason(error: Option<ActionError>) -> String {
    let error = error.unwrap();
    assert!(matches!(error, ActionError::Unreachable(_)), "{error:?}");
    error.to_string()
}

/// A proxy that sends `response` and closes the connection; and the requests that it received.
pub(super) async fn proxy(response: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(Mutex::new(vec![]));
    let list = requests.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            let n = stream.read(&mut buffer).await.unwrap_or(0);
            list.lock().unwrap().push(String::from_utf8_lossy(&buffer[..n]).into_owned());
            let _ = stream.write_all(response.as_bytes()).await;
        }
    });
    (address.to_string(), requests)
}

#[tokio::test]
async fn sends_requests_through_the_proxy() {
    let (at, requests) = proxy("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy").await;
    let s = stage(&format!("{{ http: 'http://api.invalid/v1', proxy: 'http://me:s3cret-word@{at}' }}")).await;
    let out = perform(&s, "request: GET /x").await.unwrap();
    assert_eq!(out.value.get("text"), Some(&Value::text("proxy")));
    let request = requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("GET http://api.invalid/v1/x HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("proxy-authorization: basic bwu6cznjcmv0lxdvcmq="), "{request}");
    let line = s.evidence(EvidenceKind::Reproduce).remove(0);
    assert!(line.contains(&format!("--proxy http://me:s3cret-word@{at}")), "{line}");
    let masked = s.secrets.mask(&line).expect("the password is a secret");
    assert!(!masked.contains("s3cret-word"), "{masked}");
}

#[tokio::test]
async fn explains_why_the_proxy_refused() {
    for scheme in ["http", "https"] {
        let (at, _) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
        let s = stage(&format!("{{ http: '{scheme}://api.invalid', proxy: 'http://{at}' }}")).await;
        let reason = unreachable_reason(perform(&s, "request: GET /").await.err());
        let wanted =
            format!("authentication at the proxy http://{at} failed (407): put user and password in the proxy URL");
        assert_eq!(reason, wanted, "{scheme}");
    }
    let (at, _) = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    let s = stage(&format!("{{ http: 'https://api.invalid', proxy: 'http://{at}' }}")).await;
    let reason = unreachable_reason(perform(&s, "request: GET /").await.err());
    assert_eq!(reason, format!("the proxy http://{at} refused to connect to https://api.invalid"));
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let s = stage(&format!("{{ http: 'http://api.invalid', proxy: 'http://{free}' }}")).await;
    let reason = unreachable_reason(perform(&s, "request: GET /").await.err());
    assert_eq!(reason, format!("connection refused by the proxy http://{free}: is it running?"));
    let s = stage("{ http: 'http://api.invalid', proxy: 'http://no-such-proxy.invalid:1' }").await;
    let reason = unreachable_reason(perform(&s, "request: GET /").await.err());
    assert!(reason.starts_with("the host of the proxy cannot be resolved: "), "{reason}");
}

#[tokio::test]
async fn proxy_none_disables_the_proxy() {
    let s = stage(&format!("{{ http: {}, proxy: none }}", echo().await)).await;
    echoed(&s, "request: GET /").await;
    assert!(s.evidence(EvidenceKind::Reproduce)[0].contains("--noproxy '*'"));
}

#[tokio::test]
async fn connects_to_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let router = Router::new().fallback(async |request: Request| {
        let host = request.headers().get("host").unwrap().to_str().unwrap().to_string();
        json!({ "host": host }).to_string()
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let socket = path.to_str().unwrap().replace('\'', "''");
    let s = stage(&format!("{{ http: 'http://docker.invalid', socket: '{socket}' }}")).await;
    assert_eq!(echoed(&s, "request: GET /info").await, json!({ "host": "docker.invalid" }));
    let line = s.evidence(EvidenceKind::Reproduce).remove(0);
    assert!(line.contains("--unix-socket "), "{line}");
    assert_eq!(curl(&line).await, json!({ "host": "docker.invalid" }));

    let missing = folder.path().join("none.sock");
    let s = stage(&format!("{{ http: 'http://docker.invalid', socket: '{}' }}", missing.display())).await;
    let reason = unreachable_reason(perform(&s, "request: GET /").await.err());
    let wanted = format!("cannot connect to the socket `{}`: No such file", missing.display());
    assert!(reason.starts_with(&wanted) && reason.ends_with("is the server running?"), "{reason}");
    assert!(!s.sent());
}

#[tokio::test]
async fn resolve_overrides_dns() {
    let base = echo().await;
    let port = base.rsplit(':').next().unwrap();
    let s = stage(&format!("{{ http: 'http://api.invalid:{port}', resolve: {{ api.invalid: 127.0.0.1 }} }}")).await;
    let mut ours = echoed(&s, "request: GET /x").await;
    assert_eq!(ours["headers"]["host"], format!("api.invalid:{port}"));
    let line = s.evidence(EvidenceKind::Reproduce).remove(0);
    assert!(line.contains(&format!("--resolve api.invalid:{port}:127.0.0.1")), "{line}");
    let mut theirs = curl(&line).await;
    for request in [&mut ours, &mut theirs] {
        let headers = request["headers"].as_object_mut().unwrap();
        headers.retain(|k, _| !["user-agent", "accept-encoding"].contains(&k.as_str()));
    }
    assert_eq!(ours, theirs, "{line}");
    let s = Harness::new(&Http, std::env::temp_dir());
    let wrong = s.connect("{ http: http://x, resolve: { x: there } }").await.err().unwrap();
    assert_eq!(wrong.to_string(), "expected an IP address in `resolve.x`, found `there`");
}

#[tokio::test]
async fn protocol_selects_the_http_version() {
    let base = echo().await;
    for (protocol, version) in [("http2", "HTTP/2.0"), ("http1", "HTTP/1.1")] {
        let s = stage(&format!("{{ http: {base}, protocol: {protocol} }}")).await;
        echoed(&s, "request: GET /").await;
        assert!(s.evidence(EvidenceKind::Response)[0].starts_with(version), "{protocol}");
        let line = s.evidence(EvidenceKind::Reproduce).remove(0);
        let ran = tokio::process::Command::new("sh").args(["-c", &line]).output().await.unwrap();
        assert!(ran.stdout.starts_with(&version.as_bytes()[..6]), "{line}");
    }
}

#[tokio::test]
async fn compression_can_be_disabled() {
    let s = stage(&format!("{{ http: {}, compression: false }}", echo().await)).await;
    assert_eq!(echoed(&s, "request: GET /").await["headers"]["accept-encoding"], Json::Null);
    let s = stage(&format!("http: {}", echo().await)).await;
    assert_eq!(echoed(&s, "request: GET /").await["headers"]["accept-encoding"], "gzip,deflate,br");
}

#[test]
fn refuses_invalid_connection_settings() {
    let problem = |text: &str| target_problems(&Http, text).remove(0);
    assert_eq!(problem("{ http: http://x, proxy: 'ftp://y' }"), ("invalid-url", "'ftp://y'".into()));
    assert_eq!(problem("{ http: http://x, protocol: http3 }"), ("wrong-type", "http3".into()));
    assert_eq!(problem("{ http: http://x, compression: maybe }"), ("wrong-type", "maybe".into()));
    assert_eq!(problem("{ http: http://x, resolve: [a] }").0, "wrong-type");
    assert_eq!(problem("{ http: http://x, key: a }").0, "missing-key");
    assert_eq!(problem("{ http: http://x, sokcet: a }"), ("unknown-key", "sokcet".into()));
}
