use super::Webhook;
use crate::{
    address::Address,
    event::EvidenceKind,
    executor::{ActionError, Output},
    expr::Scope,
    testing::{Harness, action, body_problems, target_problems},
    value::Value,
};
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

const SIGNED: &str = "{ webhook: '127.0.0.1:0', signature: { header: X-Signature, scheme: hmac-sha256-hex } }";

async fn harness(target: &str) -> Harness {
    crate::executors::net::install_tls_provider();
    Harness::new(&Webhook, std::env::temp_dir()).open(target).await.unwrap()
}

async fn perform(harness: &Harness, body: &str) -> Result<Output, ActionError> {
    action(&Webhook, body).perform(&harness.context()).await
}

async fn open(harness: &Harness, body: &str) -> String {
    perform(harness, body).await.unwrap().value.get("url").unwrap().to_string()
}

async fn received(harness: &Harness, body: &str) -> Vec<Value> {
    deliveries(&perform(harness, body).await.unwrap())
}

fn deliveries(out: &Output) -> Vec<Value> {
    out.value.get("deliveries").unwrap().as_list().unwrap().to_vec()
}

async fn post(url: &str, body: &str) -> Result<StatusCode, reqwest::Error> {
    Client::new().post(url).body(body.to_string()).send().await.map(|r| r.status())
}

#[test]
fn refuses_invalid_bodies() {
    let problem = |text: &str| {
        let all = body_problems(&Webhook, text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    assert_eq!(problem("open").0, "wrong-type");
    assert_eq!(problem("{ secret: x }").0, "missing-key");
    assert_eq!(problem("{ open: a, received: b }"), ("unknown-key", "received".into()));
    assert_eq!(problem("{ open: a, secret: b }"), ("unknown-key", "secret".into()));
    assert_eq!(problem("{ received: a, replies: [200] }"), ("unknown-key", "replies".into()));
    assert_eq!(problem("{ open: [a] }").0, "wrong-type");
    assert_eq!(problem("{ open: a, replies: 200 }"), ("wrong-type", "200".into()));
    assert_eq!(problem("{ open: a, replies: [] }").0, "empty-replies");
    assert_eq!(problem("{ open: a, replies: [200, 99] }"), ("invalid-reply", "99".into()));
    assert_eq!(problem("{ open: a, replies: [dorp] }"), ("invalid-reply", "dorp".into()));
    assert_eq!(problem("{ open: a, replies: [{ delay: soon }] }").0, "invalid-reply");
    assert_eq!(problem("{ open: a, replies: [{ headers: { 'a b': c } }] }").0, "invalid-reply");
    assert_eq!(problem("{ open: a, replies: [{ stauts: 200 }] }"), ("unknown-key", "stauts".into()));
    assert_eq!(problem("{ open: a, about: { bdy: {} } }"), ("unknown-key", "bdy".into()));
    assert_eq!(problem("{ open: a, about: { body: { x: $nonempty } } }"), ("matcher-in-about", "$nonempty".into()));
    assert_eq!(problem("{ open: a, about: { body: { x: { $in: [1] } } } }"), ("matcher-in-about", "$in".into()));
}

#[test]
fn refuses_invalid_targets() {
    let problem = |text: &str| target_problems(&Webhook, text).into_iter().next().unwrap();
    assert_eq!(problem("webhook: nowhere"), ("invalid-address", "nowhere".into()));
    let with = |text: &str| problem(&format!("{{ webhook: '127.0.0.1:0', {text} }}"));
    assert_eq!(with("tls: { certificate: a.pem }").0, "missing-key");
    assert_eq!(with("tls: { certificate: a.pem, kye: b.pem }"), ("unknown-key", "kye".into()));
    assert_eq!(with("signature: strype"), ("unknown-scheme", "strype".into()));
    assert_eq!(with("signature: hmac-sha256-hex").0, "missing-key");
    assert_eq!(with("signature: { header: X-S }").0, "missing-key");
    assert_eq!(with("signature: { scheme: stripe, header: X-S }"), ("unknown-key", "header".into()));
    assert_eq!(with("signature: { scheme: github, tolerance: 5m }"), ("unknown-key", "tolerance".into()));
    assert_eq!(with("signature: { scheme: hmac-sha1-hex, header: X-S, tolerance: 5m }").0, "unknown-key");
    assert_eq!(with("signature: { scheme: slack, tolerance: soon }"), ("invalid-duration", "soon".into()));
    assert_eq!(with("id: 7"), ("wrong-type", "7".into()));
    assert_eq!(with("id: bdy.id").0, "undefined-name");
    assert_eq!(with("id: 'body.'").0, "expression-syntax");
    assert_eq!(problem("webhook: http://x:80").0, "invalid-address");
    assert_eq!(problem("{ webhook: '127.0.0.1:0', public_ulr: x }"), ("unknown-key", "public_ulr".into()));
    assert_eq!(problem("{ webhook: '127.0.0.1:0', public_url: runner }"), ("invalid-url", "runner".into()));
    assert_eq!(problem("{ webhook: { public_url: 'http://x' } }").0, "missing-key");
    assert_eq!(problem("{ webhook: '127.0.0.1:0', signature: { scheme: hmac-sha256-hex } }").0, "missing-key");
    let scheme = problem("{ webhook: '127.0.0.1:0', signature: { header: X-S, scheme: hmac-sha265-hex } }");
    assert_eq!(scheme, ("unknown-scheme", "hmac-sha265-hex".into()));
    assert_eq!(
        problem("{ webhook: '127.0.0.1:0', signature: { header: 'X S', scheme: hmac-sha1-hex } }").0,
        "invalid-header"
    );
}

#[tokio::test]
async fn delivery_has_all_parts_of_the_request() {
    let s = harness(SIGNED).await;
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
    assert_eq!(d.get("text"), Some(&Value::text(r#"{"a":  [1]}"#)), "the bytes as sent");
    assert_eq!(d.get("replied"), Some(&Value::Int(200)));
    assert_eq!(d.get("signature").unwrap().to_json(), json!({"valid": false, "why": "not-asked"}));
    // `printf '{"a":  [1]}' | sha256sum`
    let digest = "902e0042a32c95d1a8561e8ca015453452d0fd7981c57fe8b73c075a33ff58e7";
    assert_eq!(d.get("digest"), Some(&Value::text(digest)));
    assert_eq!((d.get("attempt"), d.get("gap")), (Some(&Value::Int(1)), Some(&Value::Null)));
    assert_eq!((d.get("id"), d.get("same_bytes")), (Some(&Value::Null), Some(&Value::from(true))));
    let fields = action(&Webhook, "received: in").fields();
    assert_eq!(fields, ["deliveries", "reached"]);
}

#[tokio::test]
async fn no_delivery_is_inconclusive_if_nothing_reached_the_inbox() {
    let s = harness(SIGNED).await;
    let (_, other) = (open(&s, "open: in").await, open(&s, "open: other").await);
    let received = action(&Webhook, "received: in");
    let out = received.perform(&s.context()).await.unwrap();
    let reason = received.inconclusive(&out.value).unwrap();
    assert!(reason.contains("nothing has reached this inbox"), "{reason}");
    post(&other, "1").await.unwrap();
    let out = received.perform(&s.context()).await.unwrap();
    assert_eq!((deliveries(&out).len(), received.inconclusive(&out.value)), (0, None), "it is reachable");
}

#[tokio::test]
async fn replies_are_used_in_order_and_the_last_one_repeats() {
    let s = harness(SIGNED).await;
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
async fn replies_may_have_placeholders() {
    let mut s = harness(SIGNED).await;
    s.scope = Scope::default().with("code", 418i64).with("bad", "tea");
    let url = open(&s, "{ open: in, replies: ['${code}'] }").await;
    assert_eq!(post(&url, "").await.unwrap(), 418);
    let e = perform(&s, "{ open: other, replies: ['${bad}'] }").await.err().unwrap();
    assert!(matches!(&e, ActionError::Invalid(m) if m.contains("\"tea\"")), "{e}");
}

#[tokio::test]
async fn deliveries_that_do_not_match_about_are_ignored() {
    let mut s = harness(SIGNED).await;
    s.scope = Scope::default().with("t", "mine");
    let body = "{ open: in, replies: [500, 201], about: { method: post, headers: { X-Kind: 7 }, body: { data: { t: '${t}' } } } }";
    let url = open(&s, body).await;
    let send = async |kind: &str, body: &str| {
        Client::new().post(&url).header("x-kind", kind).body(body.to_string()).send().await.unwrap().status()
    };
    assert_eq!(send("7", r#"{"data": {"t": "other"}}"#).await, 200);
    assert_eq!(send("8", r#"{"data": {"t": "mine"}}"#).await, 200);
    assert_eq!(send("7", "no JSON").await, 200);
    assert_eq!(send("7", r#"{"data": {"t": "mine", "more": 1}}"#).await, 500, "the first reply is for the first match");
    assert_eq!(send("7", r#"{"data": {"t": "other"}}"#).await, 200);
    assert_eq!(send("7", r#"{"data": {"t": "mine"}}"#).await, 201);
    assert_eq!(received(&s, "received: in").await.len(), 2);
    assert!(s.evidence(EvidenceKind::Note).iter().any(|n| n.contains("4 more did not match")));
}

#[tokio::test]
async fn signature_covers_the_bytes_as_sent() {
    let s = harness(SIGNED).await;
    let url = open(&s, "open: in").await;
    // The HMAC of these bytes.
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
    assert!(matches!(e, ActionError::Invalid(_)));
    let unsigned = harness("webhook: 127.0.0.1:0").await;
    open(&unsigned, "open: in").await;
    let e = perform(&unsigned, "{ received: in, secret: key }").await.err().unwrap().to_string();
    assert!(e.contains("signature"), "{e}");
}

#[tokio::test]
async fn explains_invalid_signatures() {
    let s = harness("{ webhook: '127.0.0.1:0', signature: { scheme: stripe, tolerance: 10s } }").await;
    let url = open(&s, "open: in").await;
    let now = Timestamp::now().as_second();
    let (secret, body) = ("whsec_of_this_test", r#"{"id": "evt_1"}"#);
    let signed = |time: i64| {
        use hmac::{KeyInit, Mac};
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.{body}").as_bytes());
        format!("t={time},v1={}", hex::encode(mac.finalize().into_bytes()))
    };
    let headers = [Some(signed(now)), Some(signed(now - 3600)), Some("v1=ff".to_string()), None];
    for header in headers {
        let call = header.into_iter().fold(Client::new().post(&url), |c, h| c.header("stripe-signature", h));
        call.body(body).send().await.unwrap();
    }
    let why = async |secret: &str| -> Json {
        let all = received(&s, &format!("{{ received: in, secret: {secret} }}")).await;
        all.iter().map(|d| d.get("signature").unwrap().get("why").unwrap().to_json()).collect()
    };
    assert_eq!(why(secret).await, json!([null, "stale", "malformed", "missing-header"]));
    assert_eq!(why("whsec_another").await, json!(["mismatch", "mismatch", "malformed", "missing-header"]));
    let notes = s.evidence(EvidenceKind::Note).join("\n");
    assert!(notes.contains("delivery 2 has no valid signature: it was signed 36"), "{notes}");
    assert!(notes.contains("delivery 4 has no valid signature: the header `stripe-signature` is missing"), "{notes}");
    assert_eq!(s.context().secrets.mask(&format!("with {secret}")).as_deref(), Some("with ‹webhook-secret›"));
    let ids: Json = received(&s, "received: in").await.iter().map(|d| d.get("id").unwrap().to_json()).collect();
    assert_eq!(ids, json!(["evt_1", "evt_1", "evt_1", "evt_1"]), "the scheme defines the id");
    let e = perform(&s, "{ received: in, secret: '' }").await.err().unwrap().to_string();
    assert!(e.contains("empty"), "{e}");
    let standard = harness("{ webhook: '127.0.0.1:0', signature: standard-webhooks }").await;
    open(&standard, "open: in").await;
    let e = perform(&standard, "{ received: in, secret: 'whsec_no base64' }").await.err().unwrap();
    assert!(matches!(&e, ActionError::Invalid(m) if m.contains("base64")), "{e}");
}

#[tokio::test]
async fn attempts_are_counted_per_id() {
    let s = harness("{ webhook: '127.0.0.1:0', id: 'headers[\"x-event\"]' }").await;
    let url = open(&s, "{ open: in, replies: [503] }").await;
    let send = async |event: Option<&str>, body: &str| {
        let call = event.into_iter().fold(Client::new().post(&url), |c, e| c.header("X-Event", e));
        call.body(body.to_string()).send().await.unwrap();
    };
    send(Some("a"), "one").await;
    send(Some("b"), "two").await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    send(Some("a"), "one").await;
    send(Some("a"), "another").await;
    send(Some("b"), "two").await;
    send(None, "three").await;
    send(None, "three").await;
    let all = received(&s, "received: in").await;
    let field = |name: &str| -> Json { all.iter().map(|d| d.get(name).unwrap().to_json()).collect() };
    assert_eq!(field("id"), json!(["a", "b", "a", "a", "b", null, null]));
    assert_eq!(field("attempt"), json!([1, 1, 2, 3, 2, 1, 2]));
    assert_eq!(field("same_bytes"), json!([true, true, true, false, true, true, true]));
    let gap = |i: usize| match all[i].get("gap") {
        Some(Value::Duration(d)) => Duration::try_from(*d).unwrap(),
        other => panic!("{other:?}"),
    };
    assert!([0, 1, 5].iter().all(|i| all[*i].get("gap") == Some(&Value::Null)));
    assert!(gap(2) >= Duration::from_millis(60) && gap(4) >= Duration::from_millis(60));
    assert!(gap(4) > gap(3), "the gap is since the last attempt of the same id: {:?} {:?}", gap(4), gap(3));
    assert_ne!(all[0].get("digest"), all[3].get("digest"));
}

#[tokio::test]
async fn only_equal_ids_are_attempts_of_one_delivery() {
    let s = harness("{ webhook: '127.0.0.1:0', id: body.id }").await;
    let url = open(&s, "{ open: in, replies: [503] }").await;
    for id in [
        "1",
        "\"1\"",
        "1.0",
        "100000000000000000000",
        "100000000000000000001",
        "1e400",
        "1e401",
        "null",
        "\"null\"",
        "[1]",
        "\"[1]\"",
        "{\"a\": 1}",
        "1e0",
    ] {
        Client::new().post(&url).body(format!("{{\"id\": {id}}}")).send().await.unwrap();
    }
    Client::new().post(&url).header("content-type", "application/json").body("{\"id\": 1").send().await.unwrap();
    let all = received(&s, "received: in").await;
    let attempts: Vec<_> = all.iter().map(|d| d.get("attempt").unwrap().as_i64().unwrap_or(0)).collect();
    assert_eq!(attempts, [1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 0]);
    for name in ["id", "attempt", "gap", "same_bytes"] {
        let value = all.last().unwrap().get(name).unwrap();
        assert!(matches!(value, Value::Unset(reason) if reason.contains("JSON")), "{name}: {value:?}");
    }
}

#[tokio::test]
async fn reply_can_close_or_reset_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let s = harness(SIGNED).await;
    let url = open(&s, "{ open: in, replies: [drop, { status: reset, delay: 10ms }, reset] }").await;
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut ends = vec![];
    for _ in 0..3 {
        let mut socket = tokio::net::TcpStream::connect(host).await.unwrap();
        let request = format!("POST /{path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}");
        socket.write_all(request.as_bytes()).await.unwrap();
        ends.push(socket.read(&mut [0; 64]).await.map_err(|e| e.kind()));
    }
    let reset = Err(std::io::ErrorKind::ConnectionReset);
    assert_eq!(ends, [Ok(0), reset, reset]);
    let replied: Json =
        received(&s, "received: in").await.iter().map(|d| d.get("replied").unwrap().to_json()).collect();
    assert_eq!(replied, json!(["drop", "reset", "reset"]));
}

/// An inbox with TLS, and its certificate.
async fn tls_harness(settings: &str) -> (Harness, tempfile::TempDir, reqwest::Certificate) {
    crate::executors::net::install_tls_provider();
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let target = format!("{{ webhook: '127.0.0.1:0', tls: {{ certificate: cert.pem, key: key.pem }}, {settings} }}");
    let s = Harness::new(&Webhook, folder.path()).open(&target).await.unwrap();
    (s, folder, reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap())
}

#[tokio::test]
async fn receives_over_tls_and_counts_failed_handshakes() {
    let (s, _folder, certificate) = tls_harness("signature: github").await;
    let url = open(&s, "{ open: in, replies: [201, reset] }").await;
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let trusting_client = Client::builder().tls_certs_only([certificate]).build().unwrap();
    assert_eq!(trusting_client.post(&url).body("{}").send().await.unwrap().status(), 201);
    let e = trusting_client.post(&url).body("{}").send().await.unwrap_err();
    assert!(e.is_request(), "{e:?}");
    // Neither a client that does not trust the certificate nor one without TLS delivers anything.
    assert!(Client::new().post(&url).body("{}").send().await.is_err());
    assert!(post(&url.replacen("https", "http", 1), "{}").await.is_err());
    let mut notes = String::new();
    for _ in 0..200 {
        let all = received(&s, "received: in").await;
        assert_eq!(all.len(), 2);
        notes = s.evidence(EvidenceKind::Note).join("\n");
        if notes.contains("; 2 to this inbox reached no box") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(notes.contains("the last one because the TLS handshake failed"), "{notes}");
}

#[tokio::test]
async fn explains_invalid_certificates() {
    let (s, folder, _) = tls_harness("signature: github").await;
    let with = async |certificate: &str, key: &str| {
        let target = format!("{{ webhook: '127.0.0.1:0', tls: {{ certificate: {certificate}, key: {key} }} }}");
        s.connect(&target).await.err().unwrap().to_string()
    };
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    std::fs::write(folder.path().join("other.pem"), other.serialize_pem()).unwrap();
    let all = [
        with("none.pem", "key.pem").await,
        with("empty.pem", "key.pem").await,
        with("cert.pem", "cert.pem").await,
        with("cert.pem", "other.pem").await,
    ];
    for (message, part) in all.iter().zip(["none.pem", "found none", "cert.pem", "other.pem"]) {
        assert!(message.starts_with("the inbox cannot speak TLS: ") && message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn probe_checks_where_the_public_url_leads() {
    let probe = async |target: &str| harness(target).await.target.clone().unwrap().probe(&[], &Scope::default()).await;
    use crate::executor::{ProbeResult, ProbeStatus};
    let status = |all: &[ProbeResult]| all.iter().map(|f| f.status).collect::<Vec<_>>();
    let own = probe("webhook: 127.0.0.1:0").await;
    assert_eq!(status(&own), [ProbeStatus::Ok, ProbeStatus::Ok, ProbeStatus::Warning], "{own:?}");
    assert!(own[0].found.contains("127.0.0.1:") && own[2].found.contains("loopback"), "{own:?}");

    let nowhere = probe("{ webhook: '127.0.0.1:0', public_url: 'http://no-such-host.invalid' }").await;
    assert_eq!(
        (status(&nowhere), nowhere[1].check.as_str()),
        (vec![ProbeStatus::Ok, ProbeStatus::Error], "resolve `no-such-host.invalid`")
    );

    let other = harness("webhook: 127.0.0.1:0").await;
    let elsewhere = open(&other, "open: in").await;
    let elsewhere = elsewhere.rsplit_once('/').unwrap().0;
    let other_inbox = probe(&format!("{{ webhook: '127.0.0.1:0', public_url: '{elsewhere}' }}")).await;
    assert_eq!(status(&other_inbox), [ProbeStatus::Ok, ProbeStatus::Error, ProbeStatus::Warning], "{other_inbox:?}");
    assert_eq!(other_inbox[1].found, "another server responds there, with status 404");
    assert!(other_inbox[1].remedy.as_ref().is_some_and(|r| r.contains("127.0.0.1:")), "{other_inbox:?}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = probe(&format!("{{ webhook: '127.0.0.1:0', public_url: 'http://{closed}' }}")).await;
    assert_eq!(status(&refused), [ProbeStatus::Ok, ProbeStatus::Error, ProbeStatus::Warning], "{refused:?}");
    assert!(refused[1].found.contains("refused"), "{refused:?}");

    let (s, _folder, _) = tls_harness("id: body.id").await;
    let untrusted = s.target.clone().unwrap().probe(&[], &Scope::default()).await;
    assert_eq!(status(&untrusted), [ProbeStatus::Ok, ProbeStatus::Warning, ProbeStatus::Warning], "{untrusted:?}");
    assert!(untrusted[0].found.ends_with("with TLS") && untrusted[1].found.contains("not trusted"), "{untrusted:?}");
}

#[tokio::test]
async fn requests_to_no_box_are_counted() {
    let s = harness(SIGNED).await;
    let url = open(&s, "open: in").await;
    let root = url.rsplit_once('/').unwrap().0;
    assert_eq!(post(&format!("{root}/old-address"), "").await.unwrap(), 404);
    // A proxy may add a path of its own.
    assert_eq!(post(&url.replacen(root, &format!("{root}/hooks/ci"), 1), "").await.unwrap(), 200);
    assert_eq!(received(&s, "received: in").await[0].get("path"), Some(&Value::text("")));
    let notes = s.evidence(EvidenceKind::Note).join("\n");
    let note = "1 delivery in `in`; 1 to this inbox reached no box, the last one because no box has the address POST /old-address";
    assert!(notes.contains(note), "{notes}");
}

#[tokio::test]
async fn cases_have_separate_boxes() {
    let mut s = harness(SIGNED).await;
    let a = open(&s, "open: in").await;
    let b = open(&s, "open: b").await;
    s.address = Address::new("TC-2/steps/0/do/0");
    let other = open(&s, "open: in").await;
    assert!(a != other && a != b);
    assert!(a.contains("/r1-tc-1-in-") && a.rsplit('-').next().unwrap().len() == 32, "{a}");
    post(&a, "a").await.unwrap();
    post(&other, "o").await.unwrap();
    let texts = async |s: &Harness, body: &str| -> Json {
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
async fn box_must_be_opened_once_before_it_is_read() {
    let mut s = harness(SIGNED).await;
    let e = perform(&s, "received: in").await.err().unwrap();
    assert!(
        matches!(&e, ActionError::Invalid(m) if m == "the box `in` was never opened; this case has opened no box"),
        "{e}"
    );
    let first = open(&s, "open: in").await;
    post(&first, "1").await.unwrap();
    let again = open(&s, "open: in").await;
    assert_ne!(first, again, "a repeated case gets a new box");
    assert_eq!(received(&s, "received: in").await.len(), 0);
    s.address = Address::new("TC-1/steps/0/do/1");
    let e = perform(&s, "open: in").await.err().unwrap();
    assert!(matches!(&e, ActionError::Invalid(m) if m.contains("already open")), "{e}");
    let e = perform(&s, "received: on").await.err().unwrap().to_string();
    assert!(e.contains("has opened `in`"), "{e}");
}

#[tokio::test]
async fn no_delivery_is_lost_between_two_attempts() {
    let s = harness(SIGNED).await;
    let url = open(&s, "open: in").await;
    let received = action(&Webhook, "received: in");
    let (cx, long) = (s.context(), Duration::from_secs(24 * 3600));
    let mut last = received.perform(&cx).await.unwrap();
    // Arrived before the wait: returned at once.
    post(&url, "0").await.unwrap();
    last = received.next(&cx, &last, long).await.unwrap();
    assert_eq!(deliveries(&last).len(), 1);
    // Arrives during the wait: ends it, or the test would take a day.
    let sender = tokio::spawn(async move {
        for i in 1..=50 {
            post(&url, &i.to_string()).await.unwrap();
        }
    });
    while deliveries(&last).len() < 51 {
        let before = deliveries(&last).len();
        last = received.next(&cx, &last, long).await.unwrap();
        assert!(deliveries(&last).len() > before, "a wait ends only for a new delivery");
    }
    sender.await.unwrap();
    // Without a delivery, the same after `pace`.
    let began = Instant::now();
    let same = received.next(&cx, &last, Duration::from_millis(80)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(80));
    assert_eq!(deliveries(&same).len(), 51);
    assert!(same.at > last.at);
    s.cancel.cancel();
    assert!(matches!(received.next(&cx, &same, long).await, Err(ActionError::Cancelled)));
}

#[tokio::test]
async fn deliveries_beyond_the_limit_are_counted_and_not_kept() {
    for (limit, max, kept) in [("", "16 MiB", 5), (", limit: 33 MiB", "33 MiB", 10)] {
        let s = harness(&format!("{{ webhook: '127.0.0.1:0'{limit} }}")).await;
        let url = open(&s, "{ open: in, replies: [201] }").await;
        let body = "x".repeat(3 << 20);
        for _ in 0..12 {
            assert_eq!(post(&url, &body).await.unwrap(), 201, "the product does not notice");
        }
        let out = perform(&s, "received: in").await.unwrap();
        let Some(Value::Partial(list)) = out.value.get("deliveries") else { panic!("all are kept") };
        assert_eq!(list.value.as_list().unwrap().len(), kept, "{}", list.reason);
        let reason = format!("{} more were not kept: the deliveries of the box take more than {max}", 12 - kept);
        assert!(list.reason.starts_with(&reason), "{}", list.reason);
    }
}

#[tokio::test]
async fn a_flood_of_deliveries_needs_few_attempts() {
    let s = harness(SIGNED).await;
    let url = open(&s, "open: in").await;
    let received = action(&Webhook, "received: in");
    assert!(received.can_miss_changes(), "those of the last moment are seen by a last attempt");
    let (cx, client) = (s.context(), Client::new());
    let sender = tokio::spawn(async move {
        for _ in 0..40 {
            let some = (0..25).map(|_| client.post(&url).body("x").send());
            futures::future::join_all(some).await.into_iter().for_each(|r| assert_eq!(r.unwrap().status(), 200));
        }
    });
    let (mut last, mut attempts) = (received.perform(&cx).await.unwrap(), 0);
    while deliveries(&last).len() < 1000 {
        last = received.next(&cx, &last, Duration::from_secs(60)).await.unwrap();
        attempts += 1;
    }
    sender.await.unwrap();
    assert!(attempts < 60, "{attempts} attempts");
}

#[tokio::test]
async fn a_body_is_kept_once_and_verified() {
    let s = harness(SIGNED).await;
    let url = open(&s, "open: in").await;
    post(&url, "text").await.unwrap();
    let first = received(&s, "received: in").await;
    let second = received(&s, "received: in").await;
    let map = |all: &[Value]| if let Value::Map(map) = &all[0] { map.clone() } else { panic!("a map") };
    assert!(std::sync::Arc::ptr_eq(&map(&first), &map(&second)), "outputs share a delivery");
    let verified = received(&s, "{ received: in, secret: k }").await;
    assert_eq!(verified[0].get("signature").unwrap().get("why"), Some(&Value::text("missing-header")));
}

#[tokio::test]
async fn oversized_and_broken_requests_do_no_harm() {
    use tokio::io::AsyncWriteExt;
    let s = harness(SIGNED).await;
    let url = open(&s, "open: in").await;
    let address = url.trim_start_matches("http://").split('/').next().unwrap().to_string();
    let path = url.split_once(&address).unwrap().1.to_string();
    // Disconnects within the body: not a delivery.
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    socket
        .write_all(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf").as_bytes())
        .await
        .unwrap();
    drop(socket);
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    socket.write_all(b"\x00\xff no HTTP\r\n\r\n").await.unwrap();
    drop(socket);
    // The response may arrive while the body is still being sent, so the sender may miss it.
    let _ = post(&url, &"x".repeat((8 << 20) + 1)).await;
    assert_eq!(Client::new().post(&url).body(vec![0xff, 0x00]).send().await.unwrap().status(), 200);
    let all = received(&s, "{ received: in, secret: k }").await;
    let replied: Json = all.iter().map(|d| d.get("replied").unwrap().to_json()).collect();
    assert_eq!(replied, json!([413, 200]));
    let reason = "the body has bytes that are not UTF-8";
    assert_eq!(all[1].get("text"), Some(&Value::partial("\u{fffd}\0".into(), reason)));
    assert!(matches!(all[1].get("body"), Some(Value::Unset(why)) if why.starts_with("the body is not JSON")));
    assert!(matches!(all[0].get("text"), Some(Value::Unset(why)) if why.contains("larger")));
}

#[tokio::test]
async fn boxes_have_the_public_url() {
    let s = harness("{ webhook: '127.0.0.1:0', public_url: 'https://runner.example/in/' }").await;
    assert!(open(&s, "open: a").await.starts_with("https://runner.example/in/r1-tc-1-a-"));
    let s = harness("{ webhook: { listen: '0.0.0.0:0' } }").await;
    let url = open(&s, "open: a").await;
    assert!(url.starts_with("http://127.0.0.1:") && post(&url, "").await.unwrap() == 200, "{url}");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _held = std::net::TcpListener::bind(taken).unwrap();
    let e = s.connect(&format!("webhook: {taken}")).await.err().unwrap();
    assert!(matches!(&e, ActionError::Unreachable(m) if m.contains(&taken.to_string())), "{e}");
    assert!(action(&Webhook, "open: a").changes() && !action(&Webhook, "received: a").changes());
}

#[tokio::test]
async fn a_delivery_that_may_match_makes_the_list_partial() {
    let h = harness(SIGNED).await;
    let json = async |url: &str, body: String| {
        let request = Client::new().post(url).header("content-type", "application/json").body(body);
        // What is too large may be refused before it is sent.
        let _ = request.send().await;
    };
    for (name, body, partial) in [
        ("cut", r#"{"event":"deleted""#.to_string(), Some("invalid JSON")),
        ("twice", r#"{"event":"a","event":"deleted"}"#.into(), Some("duplicate key `event`")),
        ("large", format!("{{\"event\":\"{}\"}}", "x".repeat(9 << 20)), Some("larger than a box accepts")),
        ("other", r#"{"event":"created"}"#.into(), None),
        ("empty", String::new(), None),
        ("list", r#"["deleted"]"#.into(), None),
    ] {
        let url = open(&h, &format!("{{ open: {name}, about: {{ body: {{ event: deleted }} }} }}")).await;
        json(&url, body).await;
        let out = perform(&h, &format!("received: {name}")).await.unwrap();
        let reason = out.value.get("deliveries").unwrap().incomplete().cloned();
        match partial {
            Some(text) => assert!(reason.as_ref().is_some_and(|r| r.contains(text)), "{name}: {reason:?}"),
            None => assert_eq!(reason, None, "{name}"),
        }
    }
    let url = open(&h, "{ open: text, about: { body: { event: deleted } } }").await;
    post(&url, "a ping in plain text").await.unwrap();
    assert!(received(&h, "received: text").await.is_empty(), "it has no entry `event`");
}
