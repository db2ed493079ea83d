//! The way to a server: proxies, sockets, names, versions of HTTP; and what is said where it does not lead there.
use super::*;

fn said(error: Option<ActionError>) -> String {
    let error = error.unwrap();
    assert!(matches!(error, ActionError::Unreachable(_)), "{error:?}");
    error.to_string()
}

/// What a proxy was asked for, one line for each connection; answers with `answer` and closes.
async fn proxy(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(vec![]));
    let list = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            let n = stream.read(&mut buffer).await.unwrap_or(0);
            list.lock().unwrap().push(String::from_utf8_lossy(&buffer[..n]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address.to_string(), seen)
}

#[tokio::test]
async fn a_proxy_is_asked_in_the_servers_place() {
    let (at, seen) = proxy("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy").await;
    let s = stage(&format!("{{ http: 'http://api.invalid/v1', proxy: 'http://me:s3cret-word@{at}' }}")).await;
    let out = perform(&s, "request: GET /x").await.unwrap();
    assert_eq!(out.value.get("text"), Some(&Value::text("proxy")));
    let asked = seen.lock().unwrap()[0].clone();
    assert!(asked.starts_with("GET http://api.invalid/v1/x HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_lowercase().contains("proxy-authorization: basic bwu6cznjcmv0lxdvcmq="), "{asked}");
    let line = s.evidence(EvidenceKind::Reproduce).remove(0);
    assert!(line.contains(&format!("--proxy http://me:s3cret-word@{at}")), "{line}");
    let masked = s.secrets.mask(&line).expect("it is a secret");
    assert!(!masked.contains("s3cret-word"), "{masked}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_said() {
    for scheme in ["http", "https"] {
        let (at, _) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
        let s = stage(&format!("{{ http: '{scheme}://api.invalid', proxy: 'http://{at}' }}")).await;
        let sentence = said(perform(&s, "request: GET /").await.err());
        let wanted =
            format!("the proxy http://{at} does not accept who asks (407): its user and password stand in its URL");
        assert_eq!(sentence, wanted, "{scheme}");
    }
    let (at, _) = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    let s = stage(&format!("{{ http: 'https://api.invalid', proxy: 'http://{at}' }}")).await;
    let sentence = said(perform(&s, "request: GET /").await.err());
    assert_eq!(sentence, format!("the proxy http://{at} refuses to connect to https://api.invalid"));
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let s = stage(&format!("{{ http: 'http://api.invalid', proxy: 'http://{free}' }}")).await;
    let sentence = said(perform(&s, "request: GET /").await.err());
    assert_eq!(sentence, format!("connection refused by the proxy http://{free}: is it running?"));
    let s = stage("{ http: 'http://api.invalid', proxy: 'http://no-such-proxy.invalid:1' }").await;
    let sentence = said(perform(&s, "request: GET /").await.err());
    assert!(sentence.starts_with("the host of the proxy cannot be resolved: "), "{sentence}");
}

#[tokio::test]
async fn a_proxy_may_be_refused_by_name() {
    let s = stage(&format!("{{ http: {}, proxy: none }}", echo().await)).await;
    told(&s, "request: GET /").await;
    assert!(s.evidence(EvidenceKind::Reproduce)[0].contains("--noproxy '*'"));
}

#[tokio::test]
async fn a_socket_is_asked_in_place_of_an_address() {
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
    assert_eq!(told(&s, "request: GET /info").await, json!({ "host": "docker.invalid" }));
    let line = s.evidence(EvidenceKind::Reproduce).remove(0);
    assert!(line.contains("--unix-socket "), "{line}");
    assert_eq!(curl(&line).await, json!({ "host": "docker.invalid" }));

    let missing = folder.path().join("none.sock");
    let s = stage(&format!("{{ http: 'http://docker.invalid', socket: '{}' }}", missing.display())).await;
    let sentence = said(perform(&s, "request: GET /").await.err());
    let wanted = format!("no connection to the socket `{}`: No such file", missing.display());
    assert!(sentence.starts_with(&wanted) && sentence.ends_with("is the server running?"), "{sentence}");
    assert!(!s.sent());
}

#[tokio::test]
async fn a_name_may_lead_elsewhere() {
    let base = echo().await;
    let port = base.rsplit(':').next().unwrap();
    let s = stage(&format!("{{ http: 'http://api.invalid:{port}', resolve: {{ api.invalid: 127.0.0.1 }} }}")).await;
    let mut ours = told(&s, "request: GET /x").await;
    assert_eq!(ours["headers"]["host"], format!("api.invalid:{port}"));
    let line = s.evidence(EvidenceKind::Reproduce).remove(0);
    assert!(line.contains(&format!("--resolve api.invalid:{port}:127.0.0.1")), "{line}");
    let mut theirs = curl(&line).await;
    for one in [&mut ours, &mut theirs] {
        let headers = one["headers"].as_object_mut().unwrap();
        headers.retain(|k, _| !["user-agent", "accept-encoding"].contains(&k.as_str()));
    }
    assert_eq!(ours, theirs, "{line}");
    let s = Harness::new(&Http, std::env::temp_dir());
    let wrong = s.connect("{ http: http://x, resolve: { x: there } }").await.err().unwrap();
    assert_eq!(wrong.to_string(), "`resolve.x` gave `there`, which is no IP address");
}

#[tokio::test]
async fn http_2_may_be_spoken_without_asking() {
    let base = echo().await;
    for (protocol, version) in [("http2", "HTTP/2.0"), ("http1", "HTTP/1.1")] {
        let s = stage(&format!("{{ http: {base}, protocol: {protocol} }}")).await;
        told(&s, "request: GET /").await;
        assert!(s.evidence(EvidenceKind::Response)[0].starts_with(version), "{protocol}");
        let line = s.evidence(EvidenceKind::Reproduce).remove(0);
        let ran = tokio::process::Command::new("sh").args(["-c", &line]).output().await.unwrap();
        assert!(ran.stdout.starts_with(&version.as_bytes()[..6]), "{line}");
    }
}

#[tokio::test]
async fn compression_can_be_left_alone() {
    let s = stage(&format!("{{ http: {}, compression: false }}", echo().await)).await;
    assert_eq!(told(&s, "request: GET /").await["headers"]["accept-encoding"], Json::Null);
    let s = stage(&format!("http: {}", echo().await)).await;
    assert_eq!(told(&s, "request: GET /").await["headers"]["accept-encoding"], "gzip,deflate,br");
}

#[test]
fn what_is_wrong_with_the_way_is_said_where_it_stands() {
    let one = |text: &str| target_problems(&Http, text).remove(0);
    assert_eq!(one("{ http: http://x, proxy: 'ftp://y' }"), ("invalid-url", "'ftp://y'".into()));
    assert_eq!(one("{ http: http://x, protocol: http3 }"), ("wrong-type", "http3".into()));
    assert_eq!(one("{ http: http://x, compression: maybe }"), ("wrong-type", "maybe".into()));
    assert_eq!(one("{ http: http://x, resolve: [a] }").0, "wrong-type");
    assert_eq!(one("{ http: http://x, key: a }").0, "missing-key");
    assert_eq!(one("{ http: http://x, sokcet: a }"), ("unknown-key", "sokcet".into()));
}
