//! Who asks: credentials of every kind, cookies, tokens that are fetched and renewed; and that no secret of theirs is written.
use super::*;
use axum::{
    extract::State,
    http::{HeaderName, header::AUTHORIZATION},
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Everything that was noted, as it would be written.
fn written(s: &Harness) -> String {
    let kinds = [EvidenceKind::Request, EvidenceKind::Reproduce, EvidenceKind::Response, EvidenceKind::Note];
    let all: Vec<String> = kinds.into_iter().flat_map(|k| s.evidence(k)).collect();
    let text = all.join("\n");
    s.secrets.mask(&text).unwrap_or(text)
}

async fn as_whom(s: &Harness, body: &str) -> Json {
    told(s, body).await["headers"]["authorization"].clone()
}

#[tokio::test]
async fn basic_and_bearer_are_headers_and_secrets() {
    let base = echo().await;
    let s = stage(&format!(
        "{{ http: {base}, basic: {{ user: aladdin, password: '${{password}}' }}, \
         identities: {{ other: {{ bearer: '${{token}}' }} }} }}"
    ))
    .await;
    // RFC 7617: `user:password` in base64
    assert_eq!(as_whom(&s, "request: GET /").await, "Basic YWxhZGRpbjpvcGVuOnNlc2FtZSAx");
    assert_eq!(as_whom(&s, "{ request: GET /, identity: other }").await, "Bearer t0k3n");
    assert_eq!(as_whom(&s, "{ request: GET /, identity: none }").await, Json::Null);
    assert_eq!(as_whom(&s, "{ request: GET /, headers: { Authorization: mine } }").await, "mine");
    let written = written(&s);
    for secret in ["open:sesame 1", "YWxhZGRpbjpvcGVuOnNlc2FtZSAx", "t0k3n"] {
        assert!(!written.contains(secret), "{secret} in {written}");
    }
    assert!(written.contains("Bearer ‹other.authorization›"), "{written}");
}

/// Asks for Digest by MD5 as in RFC 7616, 3.9.1, and knows one right answer only: that of the user `Mufasa`.
async fn digest() -> (String, Arc<AtomicUsize>) {
    let challenges = Arc::new(AtomicUsize::new(0));
    let count = challenges.clone();
    let router = Router::new().fallback(async move |request: Request| {
        let said = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string();
        let (method, uri) = (request.method().to_string(), request.uri().to_string());
        let body = axum::body::to_bytes(request.into_body(), 1000).await.unwrap();
        let part = |name: &str| {
            let rest = said.split_once(&format!("{name}=")).map(|(_, r)| r).unwrap_or_default();
            rest.split(['"', ',']).find(|p| !p.is_empty()).unwrap_or_default().to_string()
        };
        let hash = |text: String| hex::encode(sha2::Sha256::digest(text));
        use sha2::Digest;
        let secret = hash("Mufasa:http-auth@example.org:Circle of Life".into());
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let right = hash(format!(
            "{secret}:{nonce}:{}:{}:auth:{}",
            part("nc"),
            part("cnonce"),
            hash(format!("{method}:{uri}"))
        ));
        if !said.is_empty() && part("response") == right && part("uri") == uri {
            return (StatusCode::OK, HeaderMap::new(), format!("{} {}", part("nc"), String::from_utf8_lossy(&body)));
        }
        count.fetch_add(1, Ordering::SeqCst);
        let mut headers = HeaderMap::new();
        let challenge =
            format!("Digest realm=\"http-auth@example.org\", qop=\"auth\", algorithm=SHA-256, nonce=\"{nonce}\"");
        headers.insert("www-authenticate", challenge.parse().unwrap());
        (StatusCode::UNAUTHORIZED, headers, "who?".into())
    });
    (serve(router).await, challenges)
}

#[tokio::test]
async fn a_digest_challenge_is_answered() {
    let (base, challenges) = digest().await;
    let s = stage(&format!(
        "{{ http: {base}, digest: {{ user: Mufasa, password: 'Circle of Life' }}, \
         identities: {{ wrong: {{ digest: {{ user: Mufasa, password: Scar-and-hyenas }} }} }} }}"
    ))
    .await;
    let out = perform(&s, "{ request: POST '/a?b=c', text: body }".replace('\'', "").as_str()).await.unwrap().value;
    assert_eq!(out.get("text"), Some(&Value::text("00000001 body")), "with its content, the second time");
    assert_eq!(challenges.load(Ordering::SeqCst), 1);
    let out = perform(&s, "request: GET /again").await.unwrap().value;
    assert_eq!(out.get("text"), Some(&Value::text("00000002 ")));
    assert_eq!(challenges.load(Ordering::SeqCst), 1, "a challenge that is known is not waited for");
    let refused = perform(&s, "{ request: GET /, identity: wrong }").await.unwrap().value;
    assert_eq!(refused.get("status"), Some(&Value::Int(401)), "the server's answer is the answer");
    let line = s.evidence(EvidenceKind::Reproduce).remove(0);
    assert!(line.contains("--digest --user 'Mufasa:Circle of Life'"), "{line}");
    let ran = tokio::process::Command::new("sh").args(["-c", &line]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&ran.stdout).ends_with("00000001 body"), "{line}");
    let response = s.evidence(EvidenceKind::Request)[1].split_once("response=\"").unwrap().1[..64].to_string();
    let written = written(&s);
    assert!(!written.contains("Circle of Life") && !written.contains(&response), "{written}");
}

/// A server of tokens and of what they open: `t-1`, `t-2`, … of which only the last one is accepted.
struct Tokens {
    base: String,
    state: Arc<Given>,
}

#[derive(Default)]
struct Given {
    fetched: AtomicUsize,
    revoked: AtomicUsize,
    asked: Mutex<Vec<String>>,
    lifetime: Mutex<Option<u64>>,
}

async fn tokens() -> Tokens {
    async fn token(State(state): State<Arc<Given>>, headers: HeaderMap, body: String) -> impl IntoResponse {
        let who = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string();
        state.asked.lock().unwrap().push(format!("{who} {body}"));
        // `client:s3cret/word`, each part encoded first
        if who != "Basic Y2xpZW50OnMzY3JldCUyRndvcmQ=" && !body.contains("client_secret=s3cret%2Fword") {
            let refusal = json!({"error": "invalid_client", "error_description": "no such client"});
            return (StatusCode::UNAUTHORIZED, refusal.to_string());
        }
        let n = state.fetched.fetch_add(1, Ordering::SeqCst) + 1;
        // long enough for the others to ask as well
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut answer = json!({"access_token": format!("token-number-{n}"), "token_type": "Bearer"});
        if let Some(seconds) = *state.lifetime.lock().unwrap() {
            answer["expires_in"] = json!(seconds);
        }
        (StatusCode::OK, answer.to_string())
    }
    async fn open(State(state): State<Arc<Given>>, headers: HeaderMap) -> impl IntoResponse {
        let who = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string();
        let (last, revoked) = (state.fetched.load(Ordering::SeqCst), state.revoked.load(Ordering::SeqCst));
        let fits = who == format!("Bearer token-number-{last}") && last > revoked;
        (if fits { StatusCode::OK } else { StatusCode::UNAUTHORIZED }, who)
    }
    let state = Arc::new(Given::default());
    let router = Router::new().route("/token", axum::routing::post(token)).fallback(open).with_state(state.clone());
    Tokens { base: serve(router).await, state }
}

impl Tokens {
    fn target(&self, more: &str) -> String {
        let base = &self.base;
        format!(
            "{{ http: {base}, oauth2: {{ token_url: /token, client_id: client, client_secret: s3cret/word, \
             scope: [read, write]{more} }} }}"
        )
    }
    fn fetched(&self) -> usize {
        self.state.fetched.load(Ordering::SeqCst)
    }
}

async fn status(s: &Harness, body: &str) -> i64 {
    perform(s, body).await.unwrap().value.get("status").unwrap().as_i64().unwrap()
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all() {
    let server = tokens().await;
    let s = stage(&server.target("")).await;
    let calls = (0..20).map(|_| status(&s, "request: GET /"));
    assert_eq!(futures::future::join_all(calls).await, [200; 20]);
    assert_eq!(server.fetched(), 1);
    let asked = server.state.asked.lock().unwrap()[0].clone();
    assert!(asked.ends_with("grant_type=client_credentials&scope=read+write"), "{asked}");
    let written = written(&s);
    for secret in ["s3cret", "Y2xpZW50OnMzY3JldCUyRndvcmQ", "token-number-1"] {
        assert!(!written.contains(secret), "{secret} in {written}");
    }
    assert!(s.evidence(EvidenceKind::Note)[0].ends_with("/token, for the token of `http`: 200 OK"));
    let s = stage(&server.target(", client_in: body, parameters: { audience: a b }")).await;
    assert_eq!(status(&s, "request: GET /").await, 200);
    let asked = server.state.asked.lock().unwrap()[1].clone();
    assert!(asked.starts_with(" grant") && asked.contains("audience=a+b&client_id=client&client_secret="), "{asked}");
}

#[tokio::test]
async fn a_token_is_renewed_when_its_time_is_over() {
    let server = tokens().await;
    let s = stage(&server.target("")).await;
    *server.state.lifetime.lock().unwrap() = Some(0);
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (200, 1));
    *server.state.lifetime.lock().unwrap() = Some(3600);
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (200, 2), "over at once");
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (200, 2), "an hour");
}

#[tokio::test]
async fn a_token_that_is_refused_midway_is_renewed_once() {
    let server = tokens().await;
    let s = stage(&server.target("")).await;
    assert_eq!(status(&s, "request: GET /").await, 200);
    server.state.revoked.store(1, Ordering::SeqCst);
    let calls = (0..5).map(|_| status(&s, "{ request: POST /x, json: { a: 1 } }"));
    assert_eq!(futures::future::join_all(calls).await, [200; 5], "each is asked again");
    assert_eq!(server.fetched(), 2, "and one new token does for all");
    let said = "401: the token is not accepted any more; it is renewed, and the request is sent again";
    assert!(s.evidence(EvidenceKind::Note).iter().any(|n| n == said), "{:?}", s.evidence(EvidenceKind::Note));
    // a token of the plan's own, or one that has just been fetched, is refused, and that is the answer
    assert_eq!(status(&s, "{ request: GET /, headers: { Authorization: Bearer old } }").await, 401);
    assert_eq!(status(&s, "{ request: GET /, identity: none }").await, 401);
    assert_eq!(server.fetched(), 2);
    server.state.revoked.store(1000, Ordering::SeqCst);
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (401, 3), "renewed once, not for ever");
    let s = stage(&server.target("")).await;
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (401, 4));
}

#[tokio::test]
async fn a_product_that_takes_back_its_token_and_gives_no_other_has_answered() {
    type Shut = Arc<AtomicBool>;
    let open = |State(shut): State<Shut>| async move {
        if shut.load(Ordering::SeqCst) {
            (StatusCode::UNAUTHORIZED, r#"{"error":"User not found"}"#)
        } else {
            (StatusCode::OK, r#"{"token":"given-once"}"#)
        }
    };
    let shut = Shut::default();
    let base = serve(Router::new().fallback(open).with_state(shut.clone())).await;
    let login = "login: { request: POST /login, json: { user: ann }, token: body.token }";
    let s = stage(&format!("{{ http: {base}, {login} }}")).await;
    assert_eq!(status(&s, "request: GET /").await, 200);
    shut.store(true, Ordering::SeqCst);
    let out = perform(&s, "request: GET /").await.unwrap().value;
    assert_eq!(out.get("text"), Some(&Value::text(r#"{"error":"User not found"}"#)));
    assert!(s.sent(), "it was asked");
    let notes = s.evidence(EvidenceKind::Note);
    let said = "401: the token is not accepted any more, and the server refuses to log in `http`";
    assert!(notes.iter().any(|note| note.starts_with(said)), "{notes:?}");
}

#[tokio::test]
async fn a_token_endpoint_that_refuses_is_said() {
    let server = tokens().await;
    let base = &server.base;
    let target = |url: &str, secret: &str| {
        format!("{{ http: {base}, oauth2: {{ token_url: '{url}', client_id: client, client_secret: {secret} }} }}")
    };
    let refused = async |url: &str, secret: &str| {
        let s = stage(&target(url, secret)).await;
        let error = perform(&s, "request: GET /").await.err().unwrap();
        assert!(matches!(error, ActionError::Unreachable(_)) && !s.sent(), "{error:?}");
        error.to_string()
    };
    assert_eq!(
        refused("/token", "another").await,
        format!(
            "the token endpoint {base}/token refuses the credentials of `http`: 401 Unauthorized, invalid_client: no such client"
        )
    );
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{free}/token");
    assert_eq!(
        refused(&url, "another").await,
        format!("POST {url}, for the token of `http`: connection refused by http://{free}: is it running?")
    );
}

/// Logs in by a form, knows sessions by their cookie, and wants the StreamSpace pair for what changes something: the cookie is
/// percent-encoded and `Secure`, the header is not encoded, and every `GET` gives another.
async fn sessions() -> (String, Arc<AtomicUsize>) {
    let logins = Arc::new(AtomicUsize::new(0));
    let (count, pairs) = (logins.clone(), Arc::new(AtomicUsize::new(0)));
    let router = Router::new()
        .route(
            "/login",
            axum::routing::post(async move |body: String| {
                if body != "{\"username\":\"ann\",\"password\":\"open:sesame 1\"}" {
                    return (StatusCode::UNAUTHORIZED, HeaderMap::new(), "{\"error\":\"Invalid credentials\"}".into());
                }
                let n = count.fetch_add(1, Ordering::SeqCst) + 1;
                let mut headers = HeaderMap::new();
                let cookie = format!("session=session-number-{n}; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=60");
                headers.append("set-cookie", cookie.parse().unwrap());
                headers.append("set-cookie", "lang=de".parse().unwrap());
                let body = json!({"token": format!("login-number-{n}"), "expiresAt": "2999-01-01T00:00:00Z"});
                (StatusCode::OK, headers, body.to_string())
            }),
        )
        .fallback(async move |request: Request| {
            let header = |name: HeaderName| {
                request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string()
            };
            let (cookies, token) = (header(axum::http::header::COOKIE), header("x-csrf-token".parse().unwrap()));
            let mut headers = HeaderMap::new();
            if request.uri() != "/open" && !cookies.contains("session=") && header(AUTHORIZATION).is_empty() {
                return (StatusCode::UNAUTHORIZED, headers, cookies);
            }
            if request.method() == "GET" {
                let n = pairs.fetch_add(1, Ordering::SeqCst);
                let cookie = format!("csrf_token=abc{n}%3D%3D; Path=/; Max-Age=86400; HttpOnly; Secure");
                headers.insert("set-cookie", cookie.parse().unwrap());
                return (StatusCode::OK, headers, format!("{cookies} {}", header(AUTHORIZATION)));
            }
            let pair = cookies.split("; ").find_map(|c| c.strip_prefix("csrf_token="));
            let equal = pair.is_some_and(|p| p.replace("%3D", "=") == token);
            (if equal { StatusCode::CREATED } else { StatusCode::FORBIDDEN }, headers, cookies)
        });
    (serve(router).await, logins)
}

const LOGIN: &str = "login: { request: POST /login, json: { username: ann, password: '${password}' }";

#[tokio::test]
async fn a_session_is_its_cookies_and_each_identity_has_its_own() {
    let (base, logins) = sessions().await;
    let pair = "csrf: { cookie: csrf_token, header: X-CSRF-Token, from: /any }";
    let s = stage(&format!(
        "{{ http: {base}, identities: {{ ann: {{ {LOGIN} }}, cookies: insecure, {pair} }}, \
         bob: {{ {LOGIN} }}, cookies: insecure }} }} }}"
    ))
    .await;
    assert_eq!(status(&s, "request: GET /").await, 401);
    let out = perform(&s, "{ request: POST /things, identity: ann, json: {} }").await.unwrap().value;
    assert_eq!(out.get("status"), Some(&Value::Int(201)), "{out}");
    assert_eq!(out.get("text"), Some(&Value::text("session=session-number-1; lang=de; csrf_token=abc0%3D%3D")));
    for _ in 0..3 {
        assert_eq!(status(&s, "{ request: GET /, identity: ann }").await, 200, "another pair");
        assert_eq!(status(&s, "{ request: DELETE /x, identity: ann }").await, 201);
    }
    assert_eq!(status(&s, "{ request: POST /things, identity: bob }").await, 403, "no pair is sent");
    assert_eq!(logins.load(Ordering::SeqCst), 2, "one session each");
    let written = written(&s);
    assert!(!written.contains("session-number") && written.contains("‹cookie session›"), "{written}");
    // as data
    let out = perform(&s, "{ request: POST /login, json: { username: ann, password: '${word}' } }").await;
    assert!(matches!(out, Err(ActionError::Undefined(_))));
    let out = perform(&s, "{ request: POST /login, json: { username: ann, password: 'open:sesame 1' } }").await;
    let cookie = out.unwrap().value.get("cookies").unwrap().get("session").unwrap().to_json();
    let wanted = json!({
        "value": "session-number-3", "decoded": "session-number-3", "secure": true, "http_only": true,
        "same_site": "Lax", "path": "/", "max_age": 60,
    });
    assert_eq!(cookie, wanted);
    let open = perform(&s, "request: GET /open").await.unwrap().value;
    let pair = open.get("cookies").unwrap().get("csrf_token").unwrap().to_json();
    assert!(pair["value"].as_str().unwrap().ends_with("%3D%3D") && pair["decoded"].as_str().unwrap().ends_with("=="));
}

#[tokio::test]
async fn a_secure_cookie_goes_over_plain_http_only_where_that_is_said() {
    // a name, since loopback addresses count as secure
    let (base, _) = sessions().await;
    let port = base.rsplit(':').next().unwrap();
    for (cookies, status_then) in [("true", 401), ("insecure", 200)] {
        let s = stage(&format!(
            "{{ http: 'http://app.test:{port}', resolve: {{ app.test: 127.0.0.1 }}, {LOGIN} }}, cookies: {cookies} }}"
        ))
        .await;
        assert_eq!(status(&s, "request: GET /").await, status_then, "{cookies}");
    }
}

#[tokio::test]
async fn a_log_in_gives_a_token() {
    let (base, logins) = sessions().await;
    let s = stage(&format!("{{ http: {base}, {LOGIN}, token: body.token, expires: body.expiresAt }} }}")).await;
    for _ in 0..3 {
        let out = perform(&s, "request: GET /").await.unwrap().value;
        assert_eq!(out.get("text"), Some(&Value::text(" Bearer login-number-1")));
    }
    assert_eq!(logins.load(Ordering::SeqCst), 1);
    assert!(!written(&s).contains("login-number") && !written(&s).contains("open:sesame"), "{}", written(&s));

    let refused = async |target: String| {
        let s = stage(&target).await;
        perform(&s, "request: GET /").await.err().unwrap().to_string()
    };
    let wrong = LOGIN.replace("ann", "eve");
    assert_eq!(
        refused(format!("{{ http: {base}, {wrong} }} }}")).await,
        format!(
            "the server refuses to log in `http`: POST {base}/login answered 401 Unauthorized, {{\"error\":\"Invalid credentials\"}}"
        )
    );
    let lost = refused(format!("{{ http: {base}, {LOGIN}, token: body.tokne }} }}")).await;
    assert!(lost.contains("answered 200 OK, and `token`: ") && lost.contains("tokne"), "{lost}");
    let lost = refused(format!("{{ http: {base}, {LOGIN}, token: body }} }}")).await;
    assert!(lost.ends_with("`token`: gave a map, not a text"), "{lost}");
    let lost = refused(format!("{{ http: {base}, {LOGIN}, token: body.token, expires: status > 1 }} }}")).await;
    assert!(lost.ends_with("`expires`: gave true, which is no time"), "{lost}");
}

#[test]
fn what_is_wrong_with_an_identity_is_said_where_it_stands() {
    let one = |settings: &str| {
        let all = target_problems(&Http, &format!("{{ http: http://x, {settings} }}"));
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    assert_eq!(one("basic: { user: a }").0, "missing-key");
    assert_eq!(one("basic: { usr: a, password: b }"), ("unknown-key", "usr".into()));
    assert_eq!(one("basic: ann").0, "wrong-type");
    assert_eq!(one("bearer: a, digest: { user: a, password: b }"), ("multiple-credentials", "digest".into()));
    assert_eq!(one("oauth2: { token_url: /t, client_id: a }").0, "missing-key");
    let all = "token_url: /t, client_id: a, client_secret: b";
    assert_eq!(one(&format!("oauth2: {{ {all}, client_in: url }}")), ("wrong-type", "url".into()));
    assert_eq!(one("login: { request: PSOT /x }"), ("unknown-method", "PSOT".into()));
    assert_eq!(one("login: { request: POST /x, token: 'body.' }").0, "expression-syntax");
    assert_eq!(one("login: { request: POST /x, identity: a }"), ("unknown-key", "identity".into()));
    assert_eq!(one("cookies: all"), ("wrong-type", "all".into()));
    assert_eq!(one("csrf: { cookie: a, header: b }").0, "csrf-without-cookies");
    assert_eq!(one("cookies: true, csrf: { cookie: a }").0, "missing-key");
    assert_eq!(one("cookies: true, csrf: { cookie: a, header: 'b c' }").0, "invalid-header");
    assert_eq!(one("identities: { a: { proxy: b } }"), ("unknown-key", "proxy".into()));
}

#[tokio::test]
async fn everybody_is_tried_before_a_run() {
    let (server, free) = (tokens().await, TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
    let base = &server.base;
    let target = format!(
        "{{ http: {base}, identities: {{ good: {{ oauth2: {{ token_url: /token, client_id: client, \
         client_secret: s3cret/word }} }}, bad: {{ oauth2: {{ token_url: /token, client_id: client, \
         client_secret: another }} }}, old: {{ bearer: over }} }} }}"
    );
    let found = stage(&target).await.target.unwrap().probe(&[], &Scope::default()).await;
    let said: Vec<String> = found.iter().map(|f| format!("{:?} {}: {}", f.status, f.tried, f.seen)).collect();
    assert_eq!(said[0], format!("Ok GET {base}/: 401 Unauthorized"), "nobody has said who asks");
    assert_eq!(said[1], format!("Ok GET {base}/ as `good`: 200 OK"));
    assert!(said[2].starts_with(&format!("Error GET {base}/ as `bad`: the token endpoint {base}/token refuses")));
    assert_eq!(said[3], format!("Error GET {base}/ as `old`: 401 Unauthorized"));
    assert_eq!(said[4..], ["Ok compare clocks: within 3 s"]);
    let found = stage(&format!("http: http://{free}")).await.target.unwrap().probe(&[], &Scope::default()).await;
    assert_eq!(found[0].seen, format!("connection refused by http://{free}: is it running?"));
    let late = answering(b"HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n").await;
    let found = stage(&format!("http: {late}")).await.target.unwrap().probe(&[], &Scope::default()).await;
    assert!(found[1].tried == "compare clocks" && found[1].seen.contains(" s ahead of "), "{found:?}");
}
