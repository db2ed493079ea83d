//! What is written is what is sent: paths, the placeholders in them, and numbers without quotes.
use super::*;
use crate::{executors::http::request_body::form_encode, testing::SPELLINGS};

/// A path as it is written, and as it is sent.
const PATHS: &[(&str, &str)] = &[
    ("/a/../b", "/a/../b"),
    ("/a/./b/.", "/a/./b/."),
    ("/..", "/.."),
    ("/a/%2e%2E/b", "/a/%2e%2E/b"),
    ("/a%2Fb%5c%00", "/a%2Fb%5c%00"),
    ("//x//y/", "//x//y/"),
    (r"/a\b\..\c", r"/a\b\..\c"),
    ("/100%", "/100%"),
    ("/e?a&b=&=c", "/e?a&b=&=c"),
    ("/q?x=/../y'z|{}`", "/q?x=/../y'z|{}`"),
    ("/;v=1/a:b@c,d=e+f!$&(*)~^|", "/;v=1/a:b@c,d=e+f!$&(*)~^|"),
    ("/é x/\"<>`", "/%C3%A9%20x/%22%3C%3E%60"),
];

fn request_of(path: &str) -> String {
    format!("request: 'GET {}'", path.replace('\'', "''"))
}

#[tokio::test]
async fn a_path_is_sent_as_written() {
    let base = echo().await;
    for target in [format!("http: {base}"), format!("{{ http: '{base}', protocol: http2 }}")] {
        let s = stage(&target).await;
        for (written, sent) in PATHS {
            for path in [written.to_string(), format!("{base}{written}")] {
                let got = echoed(&s, &request_of(&path)).await;
                let uri = got["uri"].as_str().unwrap();
                assert_eq!(uri.strip_prefix(&base).unwrap_or(uri), *sent, "{target}: {path}");
            }
        }
    }
    let s = stage(&format!("http: {base}/v1/")).await;
    assert_eq!(echoed(&s, "request: GET ../x").await["uri"], "/v1/../x");
    assert_eq!(echoed(&s, "request: GET ?x=1").await["uri"], "/v1?x=1");
    assert_eq!(echoed(&s, "{ request: GET /a/../b?x=1, query: { y: 'ü' } }").await["uri"], "/v1/a/../b?x=1&y=%C3%BC");
}

#[tokio::test]
async fn a_proxy_and_a_websocket_get_the_path_as_written() {
    let (at, requests) = super::connection::proxy("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let s = stage(&format!("{{ http: 'http://api.invalid/v1', proxy: 'http://{at}' }}")).await;
    perform(&s, "request: GET /a/../%2e/x").await.unwrap();
    let s = stage(&format!("http: 'http://{at}'")).await;
    perform(&s, "{ request: GET /a/../ws, messages: { count: 1 } }").await.unwrap();
    let lines: Vec<String> = requests.lock().unwrap().iter().map(|r| r.lines().next().unwrap().into()).collect();
    assert_eq!(lines, ["GET http://api.invalid/v1/a/../%2e/x HTTP/1.1", "GET /a/../ws HTTP/1.1"]);
}

#[tokio::test]
async fn the_line_that_repeats_a_request_keeps_its_path() {
    let s = stage(&format!("http: {}", echo().await)).await;
    echoed(&s, "request: GET /a/../%2e/b").await;
    let line = s.evidence(EvidenceKind::Reproduce).remove(0);
    assert_eq!(curl(&line).await["uri"], "/a/../%2e/b", "{line}");
}

#[tokio::test]
async fn a_placeholder_in_a_path_is_one_segment() {
    let base = echo().await;
    let mut s = stage(&format!("http: {base}")).await;
    for (value, sent) in [
        ("web", "web"),
        ("a b", "a%20b"),
        ("a ", "a%20"),
        ("a/../../users/b", "a%2F..%2F..%2Fusers%2Fb"),
        ("/", "%2F"),
        ("a?b#c", "a%3Fb%23c"),
        ("%2e%2e", "%252e%252e"),
        (r"..\x", "..%5Cx"),
        ("...", "..."),
        ("a;b=c", "a%3Bb=c"),
        ("ann@x.y:1", "ann@x.y:1"),
        ("é", "%C3%A9"),
    ] {
        s.scope = Scope::default().with("name", value);
        assert_eq!(echoed(&s, "request: 'DELETE /s/${name}/x'").await["uri"], format!("/s/{sent}/x"));
        assert_eq!(echoed(&s, "request: 'DELETE /s/x-${name}.json?y=1'").await["uri"], format!("/s/x-{sent}.json?y=1"));
    }
    s.scope = Scope::default().with("n", 7i64).with("name", "a&b=c#d+e f%é").with("empty", "");
    let got = echoed(&s, "request: 'GET /${n}?x=${name}&y=${empty}&${n}'").await;
    assert_eq!(got["uri"], "/7?x=a%26b%3Dc%23d%2Be%20f%25%C3%A9&y=&7");
}

#[tokio::test]
async fn a_placeholder_that_leads_to_another_path_is_refused_before_anything_is_sent() {
    let base = echo().await;
    let mut s = stage(&format!("http: {base}")).await;
    let values = ["", ".", "..", "a\tb", "a\nb", "\0", "a\u{7f}"].map(Value::text);
    let others = [Value::Null, Value::list(vec!["a".into()]), Value::map([("a".into(), Value::Null)])];
    for value in values.into_iter().chain(others) {
        s.scope = Scope::default().with("name", value.clone());
        for request in ["DELETE /s/${name}", "DELETE /s/${name}/x", "DELETE /s/${name}?x=1"] {
            let error = perform(&s, &format!("request: '{request}'")).await.err().unwrap();
            assert!(matches!(error, ActionError::Invalid(_)), "{value:?}: {error:?}");
            assert!(error.to_string().contains("`${name}`") && !s.sent(), "{value:?}: {error}");
        }
    }
    s.scope = Scope::default().with("dot", ".").with("none", Value::Null);
    for path in ["/a/${dot}${dot}", "/a/.${dot}/b", "/a/%2E${dot}", "/a?x=${none}"] {
        let error = perform(&s, &format!("request: 'GET {path}'")).await.err().unwrap();
        assert!(matches!(error, ActionError::Invalid(_)) && !s.sent(), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn a_placeholder_at_the_beginning_may_be_a_whole_address() {
    let base = echo().await;
    let mut s = stage(&format!("http: {base}")).await;
    let host = base.trim_start_matches("http://").to_string();
    s.scope = Scope::default()
        .with("link", format!("{base}/x/../y?z=%20"))
        .with("path", "/p/q?r=1")
        .with("host", host)
        .with("fragment", "/x#y")
        .with("elsewhere", "other.invalid/x?");
    assert_eq!(echoed(&s, "request: 'GET ${link}'").await["uri"], "/x/../y?z=%20");
    assert_eq!(echoed(&s, "request: 'GET ${path}&s=${path}'").await["uri"], "/p/q?r=1&s=/p/q%3Fr%3D1");
    assert_eq!(echoed(&s, "request: 'GET http://${host}/x'").await["uri"], "/x");
    for line in ["GET ${fragment}", "GET http://${elsewhere}/x"] {
        let error = perform(&s, &format!("request: '{line}'")).await.err().unwrap();
        assert!(matches!(error, ActionError::Invalid(_)), "{line}: {error:?}");
    }
}

#[tokio::test]
async fn numbers_and_booleans_are_sent_as_they_are_spelled() {
    let s = stage(&format!("http: {}", echo().await)).await;
    for v in SPELLINGS {
        let encoded = form_encode(vec![("v".into(), v.to_string())]);
        let body = format!("{{ request: POST /, query: {{ v: {v} }}, headers: {{ X-V: {v} }}, form: {{ v: {v} }} }}");
        let got = echoed(&s, &body).await;
        assert_eq!((&got["uri"], &got["headers"]["x-v"]), (&json!(format!("/?{encoded}")), &json!(v)));
        assert_eq!(got["body"], encoded);
        assert_eq!(echoed(&s, &format!("{{ request: POST /, text: {v} }}")).await["body"], *v);
        let got = echoed(&s, &format!("{{ request: POST /, multipart: {{ a: {v}, b: {{ text: {v} }} }} }}")).await;
        assert_eq!(got["body"].as_str().unwrap().matches(&format!("\r\n\r\n{v}\r\n")).count(), 2, "{v}: {got}");
        let got = echoed(&s, &format!("{{ request: POST /, query: {{ v: [{v}, {v}] }}, json: {{ {v}: a }} }}")).await;
        assert_eq!(got["uri"], format!("/?{encoded}&{encoded}"));
        assert_eq!(got["body"], format!(r#"{{"{v}":"a"}}"#));
    }
}

#[test]
fn a_number_that_loses_its_spelling_in_json_is_reported() {
    let problems = |v: &str| {
        let all = body_problems(&Http, &format!("{{ request: POST /, json: {{ v: {v} }} }}"));
        all.into_iter().map(|(code, _)| code).collect::<Vec<_>>()
    };
    for kept in [
        "1",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "-0.5",
        ".5",
        "18446744073709551615",
        "'010'",
        "0",
        "0.0",
        "2026-01-02",
        "22:22",
    ] {
        assert_eq!(problems(&format!("{kept}, w: 010")), ["respelled-number"], "{kept}: only the other one");
    }
    for lost in ["010", "0x1F", "0o17", "1_000"] {
        assert_eq!(problems(lost), ["respelled-number"], "{lost}");
    }
}
