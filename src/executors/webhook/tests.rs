use super::Webhook;
use crate::{
    address::Address,
    event::EvidenceKind,
    executor::{Output, StepError},
    executors::stage::{Stage, action, wrong, wrong_target},
    expr::Scope,
    value::Value,
};
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

const SIGNED: &str = "{ webhook: '127.0.0.1:0', signature: { header: X-Signature, scheme: hmac-sha256-hex } }";

async fn stage(target: &str) -> Stage {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Stage::new(std::env::temp_dir()).with_target(&Webhook, target).await
}

async fn perform(stage: &Stage, body: &str) -> Result<Output, StepError> {
    action(&Webhook, body).perform(&stage.cx()).await
}

async fn open(stage: &Stage, body: &str) -> String {
    perform(stage, body).await.unwrap().value.get("url").unwrap().to_string()
}

async fn received(stage: &Stage, body: &str) -> Vec<Value> {
    deliveries(&perform(stage, body).await.unwrap())
}

fn deliveries(out: &Output) -> Vec<Value> {
    out.value.get("deliveries").unwrap().as_list().unwrap().to_vec()
}

async fn post(url: &str, body: &str) -> Result<StatusCode, reqwest::Error> {
    Client::new().post(url).body(body.to_string()).send().await.map(|r| r.status())
}

#[test]
fn what_is_wrong_with_a_body_is_said_where_it_stands() {
    let one = |text: &str| {
        let all = wrong(&Webhook, text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    assert_eq!(one("open").0, "wrong-type");
    assert_eq!(one("{ secret: x }").0, "missing-key");
    assert_eq!(one("{ open: a, received: b }"), ("unknown-key", "received".into()));
    assert_eq!(one("{ open: a, secret: b }"), ("unknown-key", "secret".into()));
    assert_eq!(one("{ received: a, replies: [200] }"), ("unknown-key", "replies".into()));
    assert_eq!(one("{ open: [a] }").0, "wrong-type");
    assert_eq!(one("{ open: a, replies: 200 }"), ("wrong-type", "200".into()));
    assert_eq!(one("{ open: a, replies: [] }").0, "no-replies");
    assert_eq!(one("{ open: a, replies: [200, 99] }"), ("bad-reply", "99".into()));
    assert_eq!(one("{ open: a, replies: [dorp] }"), ("bad-reply", "dorp".into()));
    assert_eq!(one("{ open: a, replies: [{ delay: soon }] }").0, "bad-reply");
    assert_eq!(one("{ open: a, replies: [{ headers: { 'a b': c } }] }").0, "bad-reply");
    assert_eq!(one("{ open: a, replies: [{ stauts: 200 }] }"), ("unknown-key", "stauts".into()));
    assert_eq!(one("{ open: a, about: { bdy: {} } }"), ("unknown-key", "bdy".into()));
    assert_eq!(one("{ open: a, about: { body: { x: $nonempty } } }"), ("about-matcher", "$nonempty".into()));
    assert_eq!(one("{ open: a, about: { body: { x: { $in: [1] } } } }"), ("about-matcher", "$in".into()));
}

#[test]
fn what_is_wrong_with_a_target_is_said_where_it_stands() {
    let one = |text: &str| wrong_target(&Webhook, text).into_iter().next().unwrap();
    assert_eq!(one("webhook: nowhere"), ("bad-address", "nowhere".into()));
    assert_eq!(one("webhook: http://x:80").0, "bad-address");
    assert_eq!(one("{ webhook: '127.0.0.1:0', public_ulr: x }"), ("unknown-key", "public_ulr".into()));
    assert_eq!(one("{ webhook: '127.0.0.1:0', public_url: runner }"), ("bad-url", "runner".into()));
    assert_eq!(one("{ webhook: { public_url: 'http://x' } }").0, "missing-key");
    assert_eq!(one("{ webhook: '127.0.0.1:0', signature: { scheme: hmac-sha256-hex } }").0, "missing-key");
    let scheme = one("{ webhook: '127.0.0.1:0', signature: { header: X-S, scheme: hmac-sha265-hex } }");
    assert_eq!(scheme, ("unknown-scheme", "hmac-sha265-hex".into()));
    assert_eq!(one("{ webhook: '127.0.0.1:0', signature: { header: 'X S', scheme: hmac-sha1-hex } }").0, "bad-header");
}

#[tokio::test]
async fn a_delivery_is_kept_with_all_that_came() {
    let s = stage(SIGNED).await;
    let url = open(&s, "open: in").await;
    let before = Timestamp::now();
    let call =
        Client::new().put(format!("{url}/sub?a=1")).header("X-One", "1").header("X-One", "2").body(r#"{"a":  [1]}"#);
    assert_eq!(call.send().await.unwrap().status(), 200);
    let all = received(&s, "received: in").await;
    assert_eq!(all.len(), 1);
    let d = &all[0];
    assert!(matches!(d.get("at"), Some(Value::Time(t)) if *t >= before && *t <= Timestamp::now()));
    assert_eq!(d.get("method"), Some(&Value::text("PUT")));
    assert_eq!(d.get("path"), Some(&Value::text("/sub?a=1")));
    assert_eq!(d.get("headers").unwrap().get("x-one"), Some(&Value::text("1, 2")));
    assert_eq!(d.get("body").unwrap().to_json(), json!({"a": [1]}));
    assert_eq!(d.get("text"), Some(&Value::text(r#"{"a":  [1]}"#)), "the bytes, not what they mean");
    assert_eq!(d.get("replied"), Some(&Value::Int(200)));
    assert_eq!(d.get("signature").unwrap().to_json(), json!({"valid": false}));
    let fields = action(&Webhook, "received: in").fields();
    assert_eq!(fields, ["deliveries"]);
}

#[tokio::test]
async fn a_script_is_followed_and_its_last_reply_repeats() {
    let s = stage(SIGNED).await;
    let url = open(
        &s,
        "{ open: in, replies: [503, drop, { status: 201, delay: 150ms, headers: { X-R: r }, body: { a: 1 } }] }",
    )
    .await;
    let client = Client::new();
    assert_eq!(client.post(&url).body("1").send().await.unwrap().status(), 503);
    let dropped = client.post(&url).body("2").send().await.unwrap_err();
    assert!(!dropped.is_connect() && dropped.is_request(), "{dropped:?}");
    let began = Instant::now();
    let last = client.post(&url).body("3").send().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert_eq!((last.status().as_u16(), last.headers()["x-r"].to_str().unwrap()), (201, "r"));
    assert_eq!(last.headers()["content-type"], "application/json");
    assert_eq!(last.text().await.unwrap(), r#"{"a":1}"#);
    assert_eq!(client.post(&url).body("4").send().await.unwrap().status(), 201);
    let replied: Json =
        received(&s, "received: in").await.iter().map(|d| d.get("replied").unwrap().to_json()).collect();
    assert_eq!(replied, json!([503, "drop", 201, 201]));
}

#[tokio::test]
async fn a_reply_may_be_known_only_when_it_is_opened() {
    let mut s = stage(SIGNED).await;
    s.scope = Scope::default().with("code", 418i64).with("bad", "tea");
    let url = open(&s, "{ open: in, replies: ['${code}'] }").await;
    assert_eq!(post(&url, "").await.unwrap(), 418);
    let e = perform(&s, "{ open: other, replies: ['${bad}'] }").await.err().unwrap();
    assert!(matches!(&e, StepError::Invalid(m) if m.contains("\"tea\"")), "{e}");
}

#[tokio::test]
async fn only_what_it_is_about_counts() {
    let mut s = stage(SIGNED).await;
    s.scope = Scope::default().with("t", "mine");
    let body = "{ open: in, replies: [500, 201], about: { method: post, headers: { X-Kind: 7 }, body: { data: { t: '${t}' } } } }";
    let url = open(&s, body).await;
    let send = async |kind: &str, body: &str| {
        Client::new().post(&url).header("x-kind", kind).body(body.to_string()).send().await.unwrap().status()
    };
    assert_eq!(send("7", r#"{"data": {"t": "other"}}"#).await, 200);
    assert_eq!(send("8", r#"{"data": {"t": "mine"}}"#).await, 200);
    assert_eq!(send("7", "no JSON").await, 200);
    assert_eq!(
        send("7", r#"{"data": {"t": "mine", "more": 1}}"#).await,
        500,
        "the script begins with the first that counts"
    );
    assert_eq!(send("7", r#"{"data": {"t": "other"}}"#).await, 200);
    assert_eq!(send("7", r#"{"data": {"t": "mine"}}"#).await, 201);
    assert_eq!(received(&s, "received: in").await.len(), 2);
    assert!(s.noted(EvidenceKind::Note).iter().any(|n| n.contains("4 more did not match")));
}

#[tokio::test]
async fn a_signature_is_that_of_the_bytes_and_the_secret() {
    let s = stage(SIGNED).await;
    let url = open(&s, "open: in").await;
    // the HMAC of the bytes as sent, which are not those of the same JSON written anew
    let tag = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    let text = "The quick brown fox jumps over the lazy dog";
    for (body, tag) in [(text, tag), ("The quick brown fox jumps over the lazy cog", tag)] {
        Client::new().post(&url).header("x-signature", tag).body(body).send().await.unwrap();
    }
    post(&url, text).await.unwrap();
    let valid = async |body: &str| -> Json {
        received(&s, body).await.iter().map(|d| d.get("signature").unwrap().get("valid").unwrap().to_json()).collect()
    };
    assert_eq!(valid("{ received: in, secret: key }").await, json!([true, false, false]));
    assert_eq!(valid("{ received: in, secret: kez }").await, json!([false, false, false]));
    assert_eq!(valid("received: in").await, json!([false, false, false]));
    let e = perform(&s, "{ received: in, secret: '${null}' }").await.err().unwrap();
    assert!(matches!(e, StepError::Invalid(_)));
    let unsigned = stage("webhook: 127.0.0.1:0").await;
    open(&unsigned, "open: in").await;
    let e = perform(&unsigned, "{ received: in, secret: key }").await.err().unwrap().to_string();
    assert!(e.contains("signature"), "{e}");
}

#[tokio::test]
async fn boxes_are_apart() {
    let mut s = stage(SIGNED).await;
    let a = open(&s, "open: in").await;
    let b = open(&s, "open: b").await;
    s.address = Address::new("TC-2/steps/0/do/0");
    let other = open(&s, "open: in").await;
    assert!(a != other && a != b);
    assert!(a.contains("/r1-tc-1-in-") && a.rsplit('-').next().unwrap().len() == 32, "{a}");
    post(&a, "a").await.unwrap();
    post(&other, "o").await.unwrap();
    let texts = async |s: &Stage, body: &str| -> Json {
        received(s, body).await.iter().map(|d| d.get("text").unwrap().to_json()).collect()
    };
    assert_eq!(texts(&s, "received: in").await, json!(["o"]));
    s.address = Address::new("TC-1/steps/3");
    assert_eq!(texts(&s, "received: in").await, json!(["a"]));
    assert_eq!(texts(&s, "received: b").await, json!([]));
    let root = a.rsplit_once('/').unwrap().0;
    assert_eq!(post(&format!("{root}/r1-tc-1-in"), "").await.unwrap(), 404);
    assert_eq!(post(root, "").await.unwrap(), 404);
}

#[tokio::test]
async fn a_box_is_opened_once_and_before_it_is_looked_into() {
    let mut s = stage(SIGNED).await;
    let e = perform(&s, "received: in").await.err().unwrap();
    assert!(
        matches!(&e, StepError::Invalid(m) if m == "the box `in` was never opened; this case has opened no box"),
        "{e}"
    );
    let first = open(&s, "open: in").await;
    post(&first, "1").await.unwrap();
    let again = open(&s, "open: in").await;
    assert_ne!(first, again, "the case is run again: a new box");
    assert_eq!(received(&s, "received: in").await.len(), 0);
    s.address = Address::new("TC-1/steps/0/do/1");
    let e = perform(&s, "open: in").await.err().unwrap();
    assert!(matches!(&e, StepError::Invalid(m) if m.contains("open already")), "{e}");
    let e = perform(&s, "received: on").await.err().unwrap().to_string();
    assert!(e.contains("has opened `in`"), "{e}");
}

#[tokio::test]
async fn nothing_is_lost_between_two_looks() {
    let s = stage(SIGNED).await;
    let url = open(&s, "open: in").await;
    let look = action(&Webhook, "received: in");
    let (cx, long) = (s.cx(), Duration::from_secs(30));
    let mut last = look.perform(&cx).await.unwrap();
    // came before anybody waited: found at once
    post(&url, "0").await.unwrap();
    let began = Instant::now();
    last = look.next(&cx, &last, long).await.unwrap();
    assert_eq!(deliveries(&last).len(), 1);
    // comes while somebody waits: wakes them
    let sender = tokio::spawn(async move {
        for i in 1..=50 {
            post(&url, &i.to_string()).await.unwrap();
        }
    });
    while deliveries(&last).len() < 51 {
        let before = deliveries(&last).len();
        last = look.next(&cx, &last, long).await.unwrap();
        assert!(deliveries(&last).len() > before, "it wakes for something new alone");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    sender.await.unwrap();
    // nothing comes: a fresh look after `pace`
    let began = Instant::now();
    let same = look.next(&cx, &last, Duration::from_millis(80)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(80));
    assert_eq!(deliveries(&same).len(), 51);
    assert!(same.at > last.at);
    s.cancel.cancel();
    assert!(matches!(look.next(&cx, &same, long).await, Err(StepError::Cancelled)));
}

#[tokio::test]
async fn what_is_too_large_or_broken_does_no_harm() {
    use tokio::io::AsyncWriteExt;
    let s = stage(SIGNED).await;
    let url = open(&s, "open: in").await;
    let address = url.trim_start_matches("http://").split('/').next().unwrap().to_string();
    let path = url.split_once(&address).unwrap().1.to_string();
    // half a body, then gone: never delivered
    let mut line = tokio::net::TcpStream::connect(&address).await.unwrap();
    line.write_all(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf").as_bytes())
        .await
        .unwrap();
    drop(line);
    let mut line = tokio::net::TcpStream::connect(&address).await.unwrap();
    line.write_all(b"\x00\xff no HTTP\r\n\r\n").await.unwrap();
    drop(line);
    // the answer may come while the body is still being sent, so the sender may not see it
    let _ = post(&url, &"x".repeat((8 << 20) + 1)).await;
    assert_eq!(Client::new().post(&url).body(vec![0xff, 0x00]).send().await.unwrap().status(), 200);
    let all = received(&s, "{ received: in, secret: k }").await;
    let replied: Json = all.iter().map(|d| d.get("replied").unwrap().to_json()).collect();
    assert_eq!(replied, json!([413, 200]));
    assert_eq!(all[1].get("text"), Some(&Value::text("\u{fffd}\0")));
    assert_eq!(all[1].get("body"), Some(&Value::Null));
}

#[tokio::test]
async fn the_public_url_is_what_the_product_is_told() {
    let s = stage("{ webhook: '127.0.0.1:0', public_url: 'https://runner.example/in/' }").await;
    assert!(open(&s, "open: a").await.starts_with("https://runner.example/in/r1-tc-1-a-"));
    let s = stage("{ webhook: { listen: '0.0.0.0:0' } }").await;
    let url = open(&s, "open: a").await;
    assert!(url.starts_with("http://127.0.0.1:") && post(&url, "").await.unwrap() == 200, "{url}");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _held = std::net::TcpListener::bind(taken).unwrap();
    let e = s.connect(&Webhook, &format!("webhook: {taken}")).await.err().unwrap();
    assert!(matches!(&e, StepError::Unreachable(m) if m.contains(&taken.to_string())), "{e}");
    assert!(action(&Webhook, "open: a").changes() && !action(&Webhook, "received: a").changes());
}
