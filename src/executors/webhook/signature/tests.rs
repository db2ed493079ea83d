//! Each scheme against a vector of its documentation if there is one, else against `openssl`.
use super::*;

fn product(scheme: &str) -> Signature {
    Signature { scheme: Scheme::of_product(scheme).unwrap(), tolerance: DEFAULT_TOLERANCE }
}

fn hmac(hash: Hash, encoding: Encoding, prefix: &'static str) -> Signature {
    let header = HeaderName::from_static("x-signature");
    Signature {
        scheme: Scheme::Hmac { header, prefix: prefix.into(), hash, encoding, id: None },
        tolerance: DEFAULT_TOLERANCE,
    }
}

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    all.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

/// `seconds`: the time of arrival.
fn verify(
    s: &Signature,
    sent: &[(&'static str, &str)],
    raw: &[u8],
    secret: &str,
    seconds: i64,
) -> Result<(), SignatureError> {
    let mut map = HeaderMap::new();
    for (name, value) in sent {
        map.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    let arrived = Timestamp::from_second(seconds).unwrap();
    s.verify(&SignedBytes { headers: &map, raw, arrived }, &s.scheme.key(secret).unwrap())
}

/// RFC 4231, cases 2 and 6, and for SHA-1 RFC 2202, case 2. The base64 forms encode the same digests.
#[test]
fn verifies_the_vectors_of_the_standard() {
    let (key, raw) = ("Jefe", b"what do ya want for nothing?".as_slice());
    let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
    let sha1 = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
    let base64 =
        |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hex::decode(text).unwrap());
    for (hash, tag) in [(Hash::Sha256, sha256), (Hash::Sha512, sha512), (Hash::Sha1, sha1)] {
        let check = |encoding, tag: &str| verify(&hmac(hash, encoding, ""), &[("x-signature", tag)], raw, key, 0);
        assert_eq!(check(Encoding::Hex, tag), Ok(()), "{hash:?}");
        assert_eq!(check(Encoding::Hex, &tag.to_uppercase()), Ok(()), "{hash:?}");
        assert_eq!(check(Encoding::Base64, &base64(tag)), Ok(()), "{hash:?}");
    }
    let prefixed = hmac(Hash::Sha256, Encoding::Hex, "sha256=");
    assert_eq!(verify(&prefixed, &[("x-signature", &format!("sha256={sha256}"))], raw, key, 0), Ok(()));
    let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
    let tag = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
    let map = headers(&[("x-signature", tag)]);
    let signed = SignedBytes { headers: &map, raw: long, arrived: Timestamp::UNIX_EPOCH };
    assert_eq!(hmac(Hash::Sha256, Encoding::Hex, "").verify(&signed, &[0xaa; 131]), Ok(()));
}

#[test]
fn explains_invalid_hmac_signatures() {
    let raw = b"what do ya want for nothing?".as_slice();
    let valid = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let error = |prefix: &'static str, sent: &[&str], raw: &[u8], key: &str| {
        let sent: Vec<_> = sent.iter().map(|v| ("x-signature", *v)).collect();
        verify(&hmac(Hash::Sha256, Encoding::Hex, prefix), &sent, raw, key, 0).unwrap_err()
    };
    assert_eq!(error("", &[valid], b"what do ya want for nothing!", "Jefe"), SignatureError::Mismatch);
    assert_eq!(error("", &[valid], raw, "jefe"), SignatureError::Mismatch);
    assert_eq!(error("", &[&valid[..62]], raw, "Jefe"), SignatureError::Mismatch);
    assert_eq!(error("", &[""], raw, "Jefe"), SignatureError::Mismatch);
    assert_eq!(error("", &[], raw, "Jefe").to_string(), "the header `x-signature` is missing");
    let malformed = |prefix: &'static str, sent: &[&str], reason: &str| {
        let error = error(prefix, sent, raw, "Jefe");
        assert_eq!(error.code(), "malformed");
        assert!(error.to_string().contains(reason), "{error}");
    };
    malformed("", &["no hex at all"], "hexadecimal");
    malformed("", &[valid, valid], "more than once");
    malformed("sha256=", &[valid], "does not begin");
    malformed("", &[&format!("sha256={valid}")], "hexadecimal");
    assert!(hmac(Hash::Sha256, Encoding::Hex, "").scheme.key("").is_err());
}

/// "Testing the webhook payload validation" in GitHub's
/// [Validating webhook deliveries](https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries).
#[test]
fn verifies_the_example_of_github() {
    let (secret, body) = ("It's a Secret to Everybody", b"Hello, World!".as_slice());
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let github = product("github");
    assert_eq!(verify(&github, &[("x-hub-signature-256", signature)], body, secret, 0), Ok(()));
    assert_eq!(
        verify(&github, &[("x-hub-signature-256", signature)], b"Hello, world!", secret, 0),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(
        verify(&github, &[("x-hub-signature-256", signature)], body, "another", 0),
        Err(SignatureError::Mismatch)
    );
    let missing = verify(&github, &[("x-hub-signature", signature)], body, secret, 0).unwrap_err();
    assert_eq!(missing.code(), "missing-header");
}

/// The example of Slack's
/// [Verifying requests from Slack](https://docs.slack.dev/authentication/verifying-requests-from-slack).
#[test]
fn verifies_the_example_of_slack() {
    let (secret, time) = ("8f742231b10e8888abcd99yyyzzz85a5", "1531420618");
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let slack = product("slack");
    let sent = [("x-slack-signature", signature), ("x-slack-request-timestamp", time)];
    let at = |seconds| verify(&slack, &sent, body, secret, seconds);
    assert_eq!(at(1531420618), Ok(()));
    assert_eq!((at(1531420918), at(1531420318)), (Ok(()), Ok(())), "five minutes on either side");
    assert_eq!((at(1531420919), at(1531420317)), (Err(SignatureError::Stale(301)), Err(SignatureError::Stale(-301))));
    assert_eq!(
        verify(&slack, &sent, body, "another", 0),
        Err(SignatureError::Mismatch),
        "a wrong secret takes precedence over the age"
    );
    assert_eq!(
        verify(&slack, &sent[..1], body, secret, 0).unwrap_err().to_string(),
        "the header `x-slack-request-timestamp` is missing"
    );
    let other = [("x-slack-signature", signature), ("x-slack-request-timestamp", "1531420619")];
    assert_eq!(
        verify(&slack, &other, body, secret, 1531420619),
        Err(SignatureError::Mismatch),
        "the time is signed too"
    );
    let no_time = [("x-slack-signature", signature), ("x-slack-request-timestamp", "today")];
    assert_eq!(verify(&slack, &no_time, body, secret, 0).unwrap_err().code(), "malformed");
}

/// The example of Svix' [Verifying Webhooks Manually](https://docs.svix.com/receiving/verifying-payloads/how-manual),
/// and that of [How to Verify](https://docs.svix.com/receiving/verifying-payloads/how). Standard Webhooks is derived
/// from it and has other header names; its libraries are tested with the second example.
#[test]
fn verifies_the_examples_of_svix_and_standard_webhooks() {
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
        let scheme = product(scheme);
        for (secret, message_id, at, tag, body) in examples {
            let seconds: i64 = at.parse().unwrap();
            let sent = [(id, message_id), (time, at), (signature, tag)];
            assert_eq!(verify(&scheme, &sent, body, secret, seconds), Ok(()));
            assert_eq!(verify(&scheme, &sent, body, &secret["whsec_".len()..], seconds), Ok(()), "without `whsec_`");
            assert_eq!(verify(&scheme, &sent, body, secret, seconds + 301), Err(SignatureError::Stale(301)));
            assert_eq!(verify(&scheme, &sent, body, "whsec_AAAA", seconds), Err(SignatureError::Mismatch));
            assert_eq!(verify(&scheme, &sent, b"{}", secret, seconds), Err(SignatureError::Mismatch));
            let several = format!("v1a,AAAA v1,AAAA {tag}");
            let rotated = [(id, message_id), (time, at), (signature, several.as_str())];
            assert_eq!(verify(&scheme, &rotated, body, secret, seconds), Ok(()), "one of several matches");
            let other = [(id, "msg_other"), (time, at), (signature, tag)];
            assert_eq!(
                verify(&scheme, &other, body, secret, seconds),
                Err(SignatureError::Mismatch),
                "the id is signed too"
            );
            let asymmetric = [(id, message_id), (time, at), (signature, "v1a,AAAA")];
            assert_eq!(verify(&scheme, &asymmetric, body, secret, seconds).unwrap_err().code(), "malformed");
            for missing in 0..3 {
                let mut sent = sent.to_vec();
                sent.remove(missing);
                assert_eq!(verify(&scheme, &sent, body, secret, seconds).unwrap_err().code(), "missing-header");
            }
        }
        assert!(scheme.scheme.key("whsec_no base64!").unwrap_err().to_string().contains("base64"));
        assert!(scheme.scheme.key("whpk_AAAA").unwrap_err().to_string().contains("ed25519"));
    }
}

/// Stripe's [documentation](https://docs.stripe.com/webhooks#verify-manually) shows a header without payload and
/// secret, so this signature comes from:
/// `printf '%s' '1492774577.{"id": "evt_1", "object": "event"}' | openssl dgst -sha256 -hmac whsec_test_secret`.
#[test]
fn verifies_a_stripe_signature_made_by_openssl() {
    let (secret, body, time) = ("whsec_test_secret", r#"{"id": "evt_1", "object": "event"}"#, 1_492_774_577);
    let tag = "09357d4fb8d9eba6f07fdea6b2428fa819063ec7bb7f9eca18b88cf0ff729476";
    let old = "6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39";
    let stripe = product("stripe");
    let check = |header: &str, secret: &str, seconds| {
        verify(&stripe, &[("stripe-signature", header)], body.as_bytes(), secret, seconds)
    };
    let header = format!("t={time},v1={tag},v0={old}");
    assert_eq!(check(&header, secret, time), Ok(()));
    assert_eq!(check(&format!("t={time},v1={old},v1={tag}"), secret, time), Ok(()), "during a rotation of the secret");
    assert_eq!(check(&header, secret, time + 300), Ok(()));
    assert_eq!(check(&header, secret, time + 301), Err(SignatureError::Stale(301)));
    assert_eq!(check(&header, "whsec_another", time), Err(SignatureError::Mismatch));
    assert_eq!(check(&format!("t={},v1={tag}", time + 1), secret, time), Err(SignatureError::Mismatch));
    assert_eq!(check(&format!("t={time},v0={tag}"), secret, time).unwrap_err().code(), "malformed", "only `v1` counts");
    assert_eq!(check(&format!("v1={tag}"), secret, time).unwrap_err().code(), "malformed");
    assert_eq!(verify(&stripe, &[], body.as_bytes(), secret, time).unwrap_err().code(), "missing-header");
    let tolerant = Signature { tolerance: Duration::from_secs(3600), ..stripe.clone() };
    assert_eq!(verify(&tolerant, &[("stripe-signature", &header)], body.as_bytes(), secret, time + 3600), Ok(()));
}
