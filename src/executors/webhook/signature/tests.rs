//! Each scheme against a vector of its own documentation, where that gives one; else against `openssl`, which knows nothing of ours.
use super::*;

fn named(scheme: &str) -> Signature {
    Signature { scheme: Scheme::named(scheme).unwrap(), tolerance: TOLERANCE }
}

fn plain(hash: Hash, code: Code, prefix: &'static str) -> Signature {
    let header = HeaderName::from_static("x-signature");
    Signature { scheme: Scheme::Plain { header, prefix: prefix.into(), hash, code, id: None }, tolerance: TOLERANCE }
}

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    all.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

/// `seconds`: when it came.
fn verify(s: &Signature, sent: &[(&'static str, &str)], raw: &[u8], secret: &str, seconds: i64) -> Result<(), Refusal> {
    let mut map = HeaderMap::new();
    for (name, value) in sent {
        map.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    let at = Timestamp::from_second(seconds).unwrap();
    s.verify(&Sent { headers: &map, raw, at }, &s.key(secret).unwrap())
}

/// RFC 4231, cases 2 and 6; RFC 2202 for SHA-1, case 2. The base64 forms are those digests written anew.
#[test]
fn the_vectors_of_the_standard_verify() {
    let (key, raw) = ("Jefe", b"what do ya want for nothing?".as_slice());
    let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
    let sha1 = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
    let base64 =
        |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hex::decode(text).unwrap());
    for (hash, tag) in [(Hash::Sha256, sha256), (Hash::Sha512, sha512), (Hash::Sha1, sha1)] {
        let is = |code, tag: &str| verify(&plain(hash, code, ""), &[("x-signature", tag)], raw, key, 0);
        assert_eq!(is(Code::Hex, tag), Ok(()), "{hash:?}");
        assert_eq!(is(Code::Hex, &tag.to_uppercase()), Ok(()), "{hash:?}");
        assert_eq!(is(Code::Base64, &base64(tag)), Ok(()), "{hash:?}");
    }
    let prefixed = plain(Hash::Sha256, Code::Hex, "sha256=");
    assert_eq!(verify(&prefixed, &[("x-signature", &format!("sha256={sha256}"))], raw, key, 0), Ok(()));
    let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
    let tag = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
    let map = headers(&[("x-signature", tag)]);
    let sent = Sent { headers: &map, raw: long, at: Timestamp::UNIX_EPOCH };
    assert_eq!(plain(Hash::Sha256, Code::Hex, "").verify(&sent, &[0xaa; 131]), Ok(()));
}

#[test]
fn a_plain_signature_that_is_not_valid_says_why() {
    let raw = b"what do ya want for nothing?".as_slice();
    let right = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let why = |prefix: &'static str, sent: &[&str], raw: &[u8], key: &str| {
        let sent: Vec<_> = sent.iter().map(|v| ("x-signature", *v)).collect();
        verify(&plain(Hash::Sha256, Code::Hex, prefix), &sent, raw, key, 0).unwrap_err()
    };
    assert_eq!(why("", &[right], b"what do ya want for nothing!", "Jefe"), Refusal::Mismatch);
    assert_eq!(why("", &[right], raw, "jefe"), Refusal::Mismatch);
    assert_eq!(why("", &[&right[..62]], raw, "Jefe"), Refusal::Mismatch);
    assert_eq!(why("", &[""], raw, "Jefe"), Refusal::Mismatch);
    assert_eq!(why("", &[], raw, "Jefe").to_string(), "the header `x-signature` is missing");
    let malformed = |prefix: &'static str, sent: &[&str], says: &str| {
        let refusal = why(prefix, sent, raw, "Jefe");
        assert_eq!(refusal.word(), "malformed");
        assert!(refusal.to_string().contains(says), "{refusal}");
    };
    malformed("", &["no hex at all"], "no hexadecimal");
    malformed("", &[right, right], "more than once");
    malformed("sha256=", &[right], "does not begin");
    malformed("", &[&format!("sha256={right}")], "no hexadecimal");
    assert!(plain(Hash::Sha256, Code::Hex, "").key("").is_err());
}

/// "Testing the webhook payload validation" in GitHub's
/// [Validating webhook deliveries](https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries).
#[test]
fn github_signs_as_its_documentation_says() {
    let (secret, body) = ("It's a Secret to Everybody", b"Hello, World!".as_slice());
    let said = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let github = named("github");
    assert_eq!(verify(&github, &[("x-hub-signature-256", said)], body, secret, 0), Ok(()));
    assert_eq!(verify(&github, &[("x-hub-signature-256", said)], b"Hello, world!", secret, 0), Err(Refusal::Mismatch));
    assert_eq!(verify(&github, &[("x-hub-signature-256", said)], body, "another", 0), Err(Refusal::Mismatch));
    let missing = verify(&github, &[("x-hub-signature", said)], body, secret, 0).unwrap_err();
    assert_eq!(missing.word(), "missing-header");
}

/// The example of Slack's [Verifying requests from Slack](https://docs.slack.dev/authentication/verifying-requests-from-slack).
#[test]
fn slack_signs_as_its_documentation_says() {
    let (secret, time) = ("8f742231b10e8888abcd99yyyzzz85a5", "1531420618");
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let said = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let slack = named("slack");
    let sent = [("x-slack-signature", said), ("x-slack-request-timestamp", time)];
    let at = |seconds| verify(&slack, &sent, body, secret, seconds);
    assert_eq!(at(1531420618), Ok(()));
    assert_eq!((at(1531420918), at(1531420318)), (Ok(()), Ok(())), "five minutes on either side");
    assert_eq!((at(1531420919), at(1531420317)), (Err(Refusal::Stale(301)), Err(Refusal::Stale(-301))));
    assert_eq!(verify(&slack, &sent, body, "another", 0), Err(Refusal::Mismatch), "a wrong secret outweighs its age");
    assert_eq!(
        verify(&slack, &sent[..1], body, secret, 0).unwrap_err().to_string(),
        "the header `x-slack-request-timestamp` is missing"
    );
    let other = [("x-slack-signature", said), ("x-slack-request-timestamp", "1531420619")];
    assert_eq!(verify(&slack, &other, body, secret, 1531420619), Err(Refusal::Mismatch), "the time is signed too");
    let no_time = [("x-slack-signature", said), ("x-slack-request-timestamp", "today")];
    assert_eq!(verify(&slack, &no_time, body, secret, 0).unwrap_err().word(), "malformed");
}

/// The example of Svix' [Verifying Webhooks Manually](https://docs.svix.com/receiving/verifying-payloads/how-manual), and that of
/// [How to Verify](https://docs.svix.com/receiving/verifying-payloads/how). Standard Webhooks, which grew out of it, differs by the
/// names of its headers, and its libraries are tested with the second one.
#[test]
fn svix_and_standard_webhooks_sign_as_their_documentation_says() {
    type Example = (&'static str, &'static str, &'static str, &'static str, &'static [u8]);
    let examples: [Example; 2] = [
        (
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            "1731705121",
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
            br#"{"event_type":"ping","data":{"success":true}}"#,
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            br#"{"test": 2432232314}"#,
        ),
    ];
    let schemes = [
        ("svix", ["svix-id", "svix-timestamp", "svix-signature"]),
        ("standard-webhooks", ["webhook-id", "webhook-timestamp", "webhook-signature"]),
    ];
    for (scheme, [id, time, signature]) in schemes {
        let scheme = named(scheme);
        for (secret, which, at, said, body) in examples {
            let seconds: i64 = at.parse().unwrap();
            let sent = [(id, which), (time, at), (signature, said)];
            assert_eq!(verify(&scheme, &sent, body, secret, seconds), Ok(()));
            assert_eq!(verify(&scheme, &sent, body, &secret["whsec_".len()..], seconds), Ok(()), "without its prefix");
            assert_eq!(verify(&scheme, &sent, body, secret, seconds + 301), Err(Refusal::Stale(301)));
            assert_eq!(verify(&scheme, &sent, body, "whsec_AAAA", seconds), Err(Refusal::Mismatch));
            assert_eq!(verify(&scheme, &sent, b"{}", secret, seconds), Err(Refusal::Mismatch));
            let several = format!("v1a,AAAA v1,AAAA {said}");
            let rotated = [(id, which), (time, at), (signature, several.as_str())];
            assert_eq!(verify(&scheme, &rotated, body, secret, seconds), Ok(()), "one of several is right");
            let other = [(id, "msg_other"), (time, at), (signature, said)];
            assert_eq!(verify(&scheme, &other, body, secret, seconds), Err(Refusal::Mismatch), "the id is signed too");
            let asymmetric = [(id, which), (time, at), (signature, "v1a,AAAA")];
            assert_eq!(verify(&scheme, &asymmetric, body, secret, seconds).unwrap_err().word(), "malformed");
            for left_out in 0..3 {
                let mut sent = sent.to_vec();
                sent.remove(left_out);
                assert_eq!(verify(&scheme, &sent, body, secret, seconds).unwrap_err().word(), "missing-header");
            }
        }
        assert!(scheme.key("whsec_no base64!").unwrap_err().contains("base64"));
        assert!(scheme.key("whpk_AAAA").unwrap_err().contains("ed25519"));
    }
}

/// Stripe's [documentation](https://docs.stripe.com/webhooks#verify-manually) shows a header without its payload and secret. So this
/// signature is that of another program:
/// `printf '%s' '1492774577.{"id": "evt_1", "object": "event"}' | openssl dgst -sha256 -hmac whsec_test_secret`.
#[test]
fn stripe_signs_as_openssl_does() {
    let (secret, body, time) = ("whsec_test_secret", r#"{"id": "evt_1", "object": "event"}"#, 1_492_774_577);
    let tag = "09357d4fb8d9eba6f07fdea6b2428fa819063ec7bb7f9eca18b88cf0ff729476";
    let old = "6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39";
    let stripe = named("stripe");
    let is = |header: &str, secret: &str, seconds| {
        verify(&stripe, &[("stripe-signature", header)], body.as_bytes(), secret, seconds)
    };
    let header = format!("t={time},v1={tag},v0={old}");
    assert_eq!(is(&header, secret, time), Ok(()));
    assert_eq!(is(&format!("t={time},v1={old},v1={tag}"), secret, time), Ok(()), "while a secret is rolled");
    assert_eq!(is(&header, secret, time + 300), Ok(()));
    assert_eq!(is(&header, secret, time + 301), Err(Refusal::Stale(301)));
    assert_eq!(is(&header, "whsec_another", time), Err(Refusal::Mismatch));
    assert_eq!(is(&format!("t={},v1={tag}", time + 1), secret, time), Err(Refusal::Mismatch));
    assert_eq!(is(&format!("t={time},v0={tag}"), secret, time).unwrap_err().word(), "malformed", "only `v1` counts");
    assert_eq!(is(&format!("v1={tag}"), secret, time).unwrap_err().word(), "malformed");
    assert_eq!(verify(&stripe, &[], body.as_bytes(), secret, time).unwrap_err().word(), "missing-header");
    let patient = Signature { tolerance: Duration::from_secs(3600), ..stripe.clone() };
    assert_eq!(verify(&patient, &[("stripe-signature", &header)], body.as_bytes(), secret, time + 3600), Ok(()));
}
