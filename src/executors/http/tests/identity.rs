//! Identities: all kinds of credentials, cookies, fetched and renewed tokens; and masking of their secrets.
use super::*;
use axum::{
    extract::State,
    http::{HeaderName, header::AUTHORIZATION},
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// All evidence, masked as in a record.
fn masked_evidence(s: &Harness) -> String {
    let kinds = [EvidenceKind::Request, EvidenceKind::Reproduce, EvidenceKind::Response, EvidenceKind::Note];
    let all: Vec<String> = kinds.into_iter().flat_map(|k| s.evidence(k)).collect();
    let text = all.join("\n");
    s.secrets.mask(&text).unwrap_or(text)
}

async fn sent_authorization(s: &Harness, body: &str) -> Json {
    echoed(s, body).await["headers"]["authorization"].clone()
}

#[tokio::test]
async fn basic_and_bearer_set_a_masked_header() {
    let base = echo().await;
    let s = stage(&format!(
        "{{ http: {base}, basic: {{ user: aladdin, password: '${{password}}' }}, \
         identities: {{ other: {{ bearer: '${{token}}' }} }} }}"
    ))
    .await;
    // RFC 7617: `user:password` in base64
    assert_eq!(sent_authorization(&s, "request: GET /").await, "Basic YWxhZGRpbjpvcGVuOnNlc2FtZSAx");
    assert_eq!(sent_authorization(&s, "{ request: GET /, identity: other }").await, "Bearer t0k3n");
    assert_eq!(sent_authorization(&s, "{ request: GET /, identity: none }").await, Json::Null);
    assert_eq!(sent_authorization(&s, "{ request: GET /, headers: { Authorization: mine } }").await, "mine");
    let evidence = masked_evidence(&s);
    for secret in ["open:sesame 1", "YWxhZGRpbjpvcGVuOnNlc2FtZSAx", "t0k3n"] {
        assert!(!evidence.contains(secret), "{secret} in {evidence}");
    }
    assert!(evidence.contains("Bearer ‹other.authorization›"), "{evidence}");
}

/// A server with a Digest challenge (RFC 7616, 3.9.1) that accepts only the user `Mufasa`; and the number of
/// challenges.
async fn digest_server() -> (String, Arc<AtomicUsize>) {
    let challenges = Arc::new(AtomicUsize::new(0));
    let count = challenges.clone();
    let router = Router::new().fallback(async move |request: Request| {
        let authorization =
            request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string();
        let (method, uri) = (request.method().to_string(), request.uri().to_string());
        let body = axum::body::to_bytes(request.into_body(), 1000).await.unwrap();
        let part = |name: &str| {
            let rest = authorization.split_once(&format!("{name}=")).map(|(_, r)| r).unwrap_or_default();
            rest.split(['"', ',']).find(|p| !p.is_empty()).unwrap_or_default().to_string()
        };
        let hash = |text: String| hex::encode(sha2::Sha256::digest(text));
        use sha2::Digest;
        let secret = hash("Mufasa:http-auth@example.org:Circle of Life".into());
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let expected = hash(format!(
            "{secret}:{nonce}:{}:{}:auth:{}",
            part("nc"),
            part("cnonce"),
            hash(format!("{method}:{uri}"))
        ));
        if !authorization.is_empty() && part("response") == expected && part("uri") == uri {
            return (StatusCode::OK, HeaderMap::new(), format!("{} {}", part("nc"), String::from_utf8_lossy(&body)));
        }
        count.fetch_add(1, Ordering::SeqCst);
        let mut headers = HeaderMap::new();
        let challenge =
            format!("Digest realm=\"http-auth@example.org\", qop=\"auth\", algorithm=SHA-256, nonce=\"{nonce}\"");
        headers.insert("www-authenticate", challenge.parse().unwrap());
        (StatusCode::UNAUTHORIZED, headers, "unauthorized".into())
    });
    (serve(router).await, challenges)
}

#[tokio::test]
async fn answers_digest_challenges() {
    let (base, challenges) = digest_server().await;
    let s = stage(&format!(
        "{{ http: {base}, digest: {{ user: Mufasa, password: 'Circle of Life' }}, \
         identities: {{ wrong: {{ digest: {{ user: Mufasa, password: Scar-and-hyenas }} }} }} }}"
    ))
    .await;
    let out = perform(&s, "{ request: POST '/a?b=c', text: body }".replace('\'', "").as_str()).await.unwrap().value;
    assert_eq!(out.get("text"), Some(&Value::text("00000001 body")), "the repeated request has its body");
    assert_eq!(challenges.load(Ordering::SeqCst), 1);
    let out = perform(&s, "request: GET /again").await.unwrap().value;
    assert_eq!(out.get("text"), Some(&Value::text("00000002 ")));
    assert_eq!(challenges.load(Ordering::SeqCst), 1, "a known challenge is answered at once");
    let refused = perform(&s, "{ request: GET /, identity: wrong }").await.unwrap().value;
    assert_eq!(refused.get("status"), Some(&Value::Int(401)), "the 401 is the response");
    let line = s.evidence(EvidenceKind::Reproduce).remove(0);
    assert!(line.contains("--digest --user 'Mufasa:Circle of Life'"), "{line}");
    let ran = tokio::process::Command::new("sh").args(["-c", &line]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&ran.stdout).ends_with("00000001 body"), "{line}");
    let response = s.evidence(EvidenceKind::Request)[1].split_once("response=\"").unwrap().1[..64].to_string();
    let evidence = masked_evidence(&s);
    assert!(!evidence.contains("Circle of Life") && !evidence.contains(&response), "{evidence}");
}

/// A server that issues `token-number-1`, `token-number-2`, … and accepts only the last one.
struct TokenServer {
    base: String,
    state: Arc<TokenState>,
}

#[derive(Default)]
struct TokenState {
    fetched: AtomicUsize,
    revoked: AtomicUsize,
    token_requests: Mutex<Vec<String>>,
    lifetime: Mutex<Option<u64>>,
}

async fn token_server() -> TokenServer {
    async fn token(State(state): State<Arc<TokenState>>, headers: HeaderMap, body: String) -> impl IntoResponse {
        let authorization = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string();
        state.token_requests.lock().unwrap().push(format!("{authorization} {body}"));
        // `client:s3cret/word`, both form-encoded first
        if authorization != "Basic Y2xpZW50OnMzY3JldCUyRndvcmQ=" && !body.contains("client_secret=s3cret%2Fword") {
            let refusal = json!({"error": "invalid_client", "error_description": "no such client"});
            return (StatusCode::UNAUTHORIZED, refusal.to_string());
        }
        let n = state.fetched.fetch_add(1, Ordering::SeqCst) + 1;
        // Long enough for the other requests to wait for it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut response = json!({"access_token": format!("token-number-{n}"), "token_type": "Bearer"});
        if let Some(seconds) = *state.lifetime.lock().unwrap() {
            response["expires_in"] = json!(seconds);
        }
        (StatusCode::OK, response.to_string())
    }
    async fn check_token(State(state): State<Arc<TokenState>>, headers: HeaderMap) -> impl IntoResponse {
        let authorization = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string();
        let (last, revoked) = (state.fetched.load(Ordering::SeqCst), state.revoked.load(Ordering::SeqCst));
        let accepted = authorization == format!("Bearer token-number-{last}") && last > revoked;
        (if accepted { StatusCode::OK } else { StatusCode::UNAUTHORIZED }, authorization)
    }
    let state = Arc::new(TokenState::default());
    let router =
        Router::new().route("/token", axum::routing::post(token)).fallback(check_token).with_state(state.clone());
    TokenServer { base: serve(router).await, state }
}

impl TokenServer {
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
async fn fetches_a_token_once_for_all_requests() {
    let server = token_server().await;
    let s = stage(&server.target("")).await;
    let calls = (0..20).map(|_| status(&s, "request: GET /"));
    assert_eq!(futures::future::join_all(calls).await, [200; 20]);
    assert_eq!(server.fetched(), 1);
    let asked = server.state.token_requests.lock().unwrap()[0].clone();
    assert!(asked.ends_with("grant_type=client_credentials&scope=read+write"), "{asked}");
    let evidence = masked_evidence(&s);
    for secret in ["s3cret", "Y2xpZW50OnMzY3JldCUyRndvcmQ", "token-number-1"] {
        assert!(!evidence.contains(secret), "{secret} in {evidence}");
    }
    assert!(s.evidence(EvidenceKind::Note)[0].ends_with("/token, for the token of `http`: 200 OK"));
    let s = stage(&server.target(", client_in: body, parameters: { audience: a b }")).await;
    assert_eq!(status(&s, "request: GET /").await, 200);
    let asked = server.state.token_requests.lock().unwrap()[1].clone();
    assert!(asked.starts_with(" grant") && asked.contains("audience=a+b&client_id=client&client_secret="), "{asked}");
}

#[tokio::test]
async fn renews_an_expired_token() {
    let server = token_server().await;
    let s = stage(&server.target("")).await;
    *server.state.lifetime.lock().unwrap() = Some(0);
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (200, 1));
    *server.state.lifetime.lock().unwrap() = Some(3600);
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (200, 2), "expired at once");
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (200, 2), "valid for an hour");
}

#[tokio::test]
async fn renews_a_rejected_token_once() {
    let server = token_server().await;
    let s = stage(&server.target("")).await;
    assert_eq!(status(&s, "request: GET /").await, 200);
    server.state.revoked.store(1, Ordering::SeqCst);
    let calls = (0..5).map(|_| status(&s, "{ request: POST /x, json: { a: 1 } }"));
    assert_eq!(futures::future::join_all(calls).await, [200; 5], "each request is repeated");
    assert_eq!(server.fetched(), 2, "one new token serves all requests");
    let note = "401: the token is no longer accepted and was renewed; the request is repeated";
    assert!(s.evidence(EvidenceKind::Note).iter().any(|n| n == note), "{:?}", s.evidence(EvidenceKind::Note));
    // For a token of the plan, or one that was just fetched, the 401 is the response.
    assert_eq!(status(&s, "{ request: GET /, headers: { Authorization: Bearer old } }").await, 401);
    assert_eq!(status(&s, "{ request: GET /, identity: none }").await, 401);
    assert_eq!(server.fetched(), 2);
    server.state.revoked.store(1000, Ordering::SeqCst);
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (401, 3), "renewed once, not repeatedly");
    let s = stage(&server.target("")).await;
    assert_eq!((status(&s, "request: GET /").await, server.fetched()), (401, 4));
}

#[tokio::test]
async fn rejected_token_is_the_response_if_the_login_fails_too() {
    type Revoked = Arc<AtomicBool>;
    let open = |State(revoked): State<Revoked>| async move {
        if revoked.load(Ordering::SeqCst) {
            (StatusCode::UNAUTHORIZED, r#"{"error":"User not found"}"#)
        } else {
            (StatusCode::OK, r#"{"token":"given-once"}"#)
        }
    };
    let revoked = Revoked::default();
    let base = serve(Router::new().fallback(open).with_state(revoked.clone())).await;
    let login = "login: { request: POST /login, json: { user: ann }, token: body.token }";
    let s = stage(&format!("{{ http: {base}, {login} }}")).await;
    assert_eq!(status(&s, "request: GET /").await, 200);
    revoked.store(true, Ordering::SeqCst);
    let out = perform(&s, "request: GET /").await.unwrap().value;
    assert_eq!(out.get("text"), Some(&Value::text(r#"{"error":"User not found"}"#)));
    assert!(s.sent());
    let notes = s.evidence(EvidenceKind::Note);
    let prefix = "401: the token is no longer accepted, and the login of `http` was rejected: ";
    assert!(notes.iter().any(|note| note.starts_with(prefix)), "{notes:?}");
}

#[tokio::test]
async fn explains_a_failing_token_endpoint() {
    let server = token_server().await;
    let base = &server.base;
    let target = |url: &str, secret: &str| {
        format!("{{ http: {base}, oauth2: {{ token_url: '{url}', client_id: client, client_secret: {secret} }} }}")
    };
    let error = async |url: &str, secret: &str| {
        let s = stage(&target(url, secret)).await;
        let error = perform(&s, "request: GET /").await.err().unwrap();
        assert!(matches!(error, ActionError::Unreachable(_)) && !s.sent(), "{error:?}");
        error.to_string()
    };
    assert_eq!(
        error("/token", "another").await,
        format!(
            "the token endpoint {base}/token rejected the credentials of `http`: 401 Unauthorized, invalid_client: no such client"
        )
    );
    for (body, reason) in [
        (
            r#"{"access_token": "first-token", "access_token": "second-token"}"#,
            "the response is not valid JSON: duplicate key `access_token` at line 1, column 33",
        ),
        (r#"{"access_token": "cut-tok"#, "the response is not valid JSON: incomplete document at line 1, column 26"),
        (r#"{"access_token": ""}"#, "no `access_token` in the response"),
        (r#"{"access_token": 1}"#, "no `access_token` in the response"),
        ("", "the response is not valid JSON: incomplete document at line 1, column 1"),
    ] {
        let url = serve(Router::new().fallback(async move || body)).await;
        assert_eq!(
            error(&url, "another").await,
            format!("the token endpoint {url}/ returned no token for `http`: 200 OK, {reason}")
        );
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{free}/token");
    assert_eq!(
        error(&url, "another").await,
        format!("POST {url}, for the token of `http`: connection refused by http://{free}: is it running?")
    );
}

/// A server with a login, session cookies and CSRF protection; and the number of logins. The CSRF cookie is
/// percent-encoded and `Secure`, the header must be decoded, and every `GET` sets another cookie.
async fn session_server() -> (String, Arc<AtomicUsize>) {
    let logins = Arc::new(AtomicUsize::new(0));
    let (count, csrf_cookies) = (logins.clone(), Arc::new(AtomicUsize::new(0)));
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
                let n = csrf_cookies.fetch_add(1, Ordering::SeqCst);
                let cookie = format!("csrf_token=abc{n}%3D%3D; Path=/; Max-Age=86400; HttpOnly; Secure");
                headers.insert("set-cookie", cookie.parse().unwrap());
                return (StatusCode::OK, headers, format!("{cookies} {}", header(AUTHORIZATION)));
            }
            let csrf = cookies.split("; ").find_map(|c| c.strip_prefix("csrf_token="));
            let equal = csrf.is_some_and(|c| c.replace("%3D", "=") == token);
            (if equal { StatusCode::CREATED } else { StatusCode::FORBIDDEN }, headers, cookies)
        });
    (serve(router).await, logins)
}

const LOGIN: &str = "login: { request: POST /login, json: { username: ann, password: '${password}' }";

#[tokio::test]
async fn each_identity_has_its_own_session_cookies() {
    let (base, logins) = session_server().await;
    let csrf = "csrf: { cookie: csrf_token, header: X-CSRF-Token, from: /any }";
    let s = stage(&format!(
        "{{ http: {base}, identities: {{ ann: {{ {LOGIN} }}, cookies: insecure, {csrf} }}, \
         bob: {{ {LOGIN} }}, cookies: insecure }} }} }}"
    ))
    .await;
    assert_eq!(status(&s, "request: GET /").await, 401);
    let out = perform(&s, "{ request: POST /things, identity: ann, json: {} }").await.unwrap().value;
    assert_eq!(out.get("status"), Some(&Value::Int(201)), "{out}");
    assert_eq!(out.get("text"), Some(&Value::text("session=session-number-1; lang=de; csrf_token=abc0%3D%3D")));
    for _ in 0..3 {
        assert_eq!(status(&s, "{ request: GET /, identity: ann }").await, 200, "sets another CSRF cookie");
        assert_eq!(status(&s, "{ request: DELETE /x, identity: ann }").await, 201);
    }
    assert_eq!(status(&s, "{ request: POST /things, identity: bob }").await, 403, "no CSRF header");
    assert_eq!(logins.load(Ordering::SeqCst), 2, "one login each");
    let evidence = masked_evidence(&s);
    assert!(!evidence.contains("session-number") && evidence.contains("‹cookie session›"), "{evidence}");
    // Cookies in the output.
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
    let csrf = open.get("cookies").unwrap().get("csrf_token").unwrap().to_json();
    assert!(csrf["value"].as_str().unwrap().ends_with("%3D%3D") && csrf["decoded"].as_str().unwrap().ends_with("=="));
}

#[tokio::test]
async fn sends_secure_cookies_over_plain_http_only_if_insecure() {
    // A host name, since loopback addresses count as secure.
    let (base, _) = session_server().await;
    let port = base.rsplit(':').next().unwrap();
    for (cookies, expected) in [("true", 401), ("insecure", 200)] {
        let s = stage(&format!(
            "{{ http: 'http://app.test:{port}', resolve: {{ app.test: 127.0.0.1 }}, {LOGIN} }}, cookies: {cookies} }}"
        ))
        .await;
        assert_eq!(status(&s, "request: GET /").await, expected, "{cookies}");
    }
}

#[tokio::test]
async fn login_fetches_a_token_and_explains_failures() {
    let (base, logins) = session_server().await;
    let s = stage(&format!("{{ http: {base}, {LOGIN}, token: body.token, expires: body.expiresAt }} }}")).await;
    for _ in 0..3 {
        let out = perform(&s, "request: GET /").await.unwrap().value;
        assert_eq!(out.get("text"), Some(&Value::text(" Bearer login-number-1")));
    }
    assert_eq!(logins.load(Ordering::SeqCst), 1);
    assert!(
        !masked_evidence(&s).contains("login-number") && !masked_evidence(&s).contains("open:sesame"),
        "{}",
        masked_evidence(&s)
    );

    let error = async |target: String| {
        let s = stage(&target).await;
        perform(&s, "request: GET /").await.err().unwrap().to_string()
    };
    let wrong = LOGIN.replace("ann", "eve");
    assert_eq!(
        error(format!("{{ http: {base}, {wrong} }} }}")).await,
        format!(
            "the login of `http` was rejected: POST {base}/login returned 401 Unauthorized, {{\"error\":\"Invalid credentials\"}}"
        )
    );
    let reason = error(format!("{{ http: {base}, {LOGIN}, token: body.tokne }} }}")).await;
    assert!(reason.contains("returned 200 OK, but `token`: ") && reason.contains("tokne"), "{reason}");
    let reason = error(format!("{{ http: {base}, {LOGIN}, token: body }} }}")).await;
    assert!(reason.ends_with("`token`: expected a string, found a map"), "{reason}");
    let reason = error(format!("{{ http: {base}, {LOGIN}, token: body.token, expires: status > 1 }} }}")).await;
    assert!(reason.ends_with("`expires`: expected a time, a duration or seconds, found true"), "{reason}");
}

#[test]
fn refuses_invalid_identities() {
    let problem = |settings: &str| {
        let all = target_problems(&Http, &format!("{{ http: http://x, {settings} }}"));
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    assert_eq!(problem("basic: { user: a }").0, "missing-key");
    assert_eq!(problem("basic: { usr: a, password: b }"), ("unknown-key", "usr".into()));
    assert_eq!(problem("basic: ann").0, "wrong-type");
    assert_eq!(problem("bearer: a, digest: { user: a, password: b }"), ("multiple-credentials", "digest".into()));
    assert_eq!(problem("oauth2: { token_url: /t, client_id: a }").0, "missing-key");
    let all = "token_url: /t, client_id: a, client_secret: b";
    assert_eq!(problem(&format!("oauth2: {{ {all}, client_in: url }}")), ("wrong-type", "url".into()));
    assert_eq!(problem("login: { request: PSOT /x }"), ("unknown-method", "PSOT".into()));
    assert_eq!(problem("login: { request: POST /x, token: 'body.' }").0, "expression-syntax");
    assert_eq!(problem("login: { request: POST /x, identity: a }"), ("unknown-key", "identity".into()));
    assert_eq!(problem("cookies: all"), ("wrong-type", "all".into()));
    assert_eq!(problem("csrf: { cookie: a, header: b }").0, "csrf-without-cookies");
    assert_eq!(problem("cookies: true, csrf: { cookie: a }").0, "missing-key");
    assert_eq!(problem("cookies: true, csrf: { cookie: a, header: 'b c' }").0, "invalid-header");
    assert_eq!(problem("identities: { a: { proxy: b } }"), ("unknown-key", "proxy".into()));
}

#[tokio::test]
async fn probe_tries_every_identity() {
    let (server, free) = (token_server().await, TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
    let base = &server.base;
    let target = format!(
        "{{ http: {base}, identities: {{ good: {{ oauth2: {{ token_url: /token, client_id: client, \
         client_secret: s3cret/word }} }}, bad: {{ oauth2: {{ token_url: /token, client_id: client, \
         client_secret: another }} }}, old: {{ bearer: over }} }} }}"
    );
    let found = stage(&target).await.target.unwrap().probe(&[], &Scope::default()).await;
    let lines: Vec<String> = found.iter().map(|f| format!("{:?} {}: {}", f.status, f.check, f.found)).collect();
    assert_eq!(lines[0], format!("Ok GET {base}/: 401 Unauthorized"), "no credentials, so a 401 is fine");
    assert_eq!(lines[1], format!("Ok GET {base}/ as `good`: 200 OK"));
    assert!(lines[2].starts_with(&format!("Error GET {base}/ as `bad`: the token endpoint {base}/token rejected")));
    assert_eq!(lines[3], format!("Error GET {base}/ as `old`: 401 Unauthorized"));
    assert_eq!(lines[4..], ["Ok compare clocks: within 3 s"]);
    let found = stage(&format!("http: http://{free}")).await.target.unwrap().probe(&[], &Scope::default()).await;
    assert_eq!(found[0].found, format!("connection refused by http://{free}"));
    let late = raw_server(b"HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n").await;
    let found = stage(&format!("http: {late}")).await.target.unwrap().probe(&[], &Scope::default()).await;
    assert!(found[1].check == "compare clocks" && found[1].found.contains(" s ahead of "), "{found:?}");
}
