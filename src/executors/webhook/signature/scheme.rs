//! The signature schemes: the headers of each, the bytes that it signs, and the form of its secrets.
//!
//! Sources: [GitHub](https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries),
//! [Stripe](https://docs.stripe.com/webhooks#verify-manually),
//! [Slack](https://docs.slack.dev/authentication/verifying-requests-from-slack),
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md),
//! [Svix](https://docs.svix.com/receiving/verifying-payloads/how-manual).
use super::error::SignatureError;
use axum::http::{HeaderMap, HeaderName};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use std::borrow::Cow;

#[derive(Clone, Copy, Debug)]
pub enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, Debug)]
pub enum Encoding {
    Hex,
    Base64,
}

#[derive(Clone, Debug)]
pub enum Scheme {
    /// A header with the signature of the body, after an optional prefix.
    Hmac { header: HeaderName, prefix: Cow<'static, str>, hash: Hash, encoding: Encoding, id: Option<&'static str> },
    /// `Stripe-Signature: t=TIME,v1=HEX,…` over `TIME.BODY`.
    Stripe,
    /// `X-Slack-Signature: v0=HEX` over `v0:TIME:BODY`.
    Slack,
    /// Space-separated `v1,BASE64` over `ID.TIME.BODY`; id, time and signature in headers.
    Standard { id: HeaderName, time: HeaderName, signature: HeaderName, id_expression: &'static str },
}

const STRIPE: HeaderName = HeaderName::from_static("stripe-signature");
const SLACK: HeaderName = HeaderName::from_static("x-slack-signature");
const SLACK_TIME: HeaderName = HeaderName::from_static("x-slack-request-timestamp");

impl Scheme {
    /// The scheme of a product or standard, which defines its headers.
    pub fn of_product(name: &str) -> Option<Scheme> {
        let header = HeaderName::from_static;
        Some(match name {
            "github" => Scheme::Hmac {
                header: header("x-hub-signature-256"),
                prefix: "sha256=".into(),
                hash: Hash::Sha256,
                encoding: Encoding::Hex,
                id: Some(r#"headers["x-github-delivery"]"#),
            },
            "stripe" => Scheme::Stripe,
            "slack" => Scheme::Slack,
            "standard-webhooks" => Scheme::Standard {
                id: header("webhook-id"),
                time: header("webhook-timestamp"),
                signature: header("webhook-signature"),
                id_expression: r#"headers["webhook-id"]"#,
            },
            "svix" => Scheme::Standard {
                id: header("svix-id"),
                time: header("svix-timestamp"),
                signature: header("svix-signature"),
                id_expression: r#"headers["svix-id"]"#,
            },
            _ => return None,
        })
    }

    /// The keys of its settings.
    pub fn keys(&self) -> &'static [&'static str] {
        match self {
            Scheme::Hmac { id: None, .. } => &["scheme", "header", "prefix"],
            Scheme::Hmac { .. } => &["scheme"],
            _ => &["scheme", "tolerance"],
        }
    }

    /// The id of a delivery, equal on each retry: an expression over its fields.
    pub fn id(&self) -> Option<&'static str> {
        match self {
            Scheme::Hmac { id, .. } => *id,
            Scheme::Stripe => Some("body.id"),
            Scheme::Slack => Some("body.event_id"),
            Scheme::Standard { id_expression, .. } => Some(id_expression),
        }
    }

    /// The key of a secret: its bytes, or with Standard Webhooks the bytes that it encodes in base64.
    pub fn key(&self, secret: &str) -> Result<Vec<u8>, &'static str> {
        if secret.is_empty() {
            return Err("expected a secret, found an empty string in `secret`");
        }
        let Scheme::Standard { .. } = self else { return Ok(secret.as_bytes().to_vec()) };
        if ["whpk_", "whsk_"].iter().any(|p| secret.starts_with(p)) {
            return Err("expected a shared secret (`whsec_…`), found an ed25519 key in `secret`");
        }
        let text = secret.strip_prefix("whsec_").unwrap_or(secret).trim_end_matches('=');
        STANDARD_NO_PAD.decode(text).map_err(|_| "expected base64 in `secret`, usually after `whsec_`")
    }

    /// Checks that one of the signatures is that of the bytes. Returns its time in seconds since 1970 if there is one.
    pub fn verify(&self, headers: &HeaderMap, raw: &[u8], key: &[u8]) -> Result<Option<i64>, SignatureError> {
        match self {
            Scheme::Hmac { header, prefix, hash, encoding, .. } => {
                let reason = "does not begin with the prefix of this scheme";
                let text = single_value(headers, header)?.strip_prefix(&**prefix);
                let text = text.ok_or_else(|| SignatureError::Malformed(header.clone(), reason))?;
                let (tag, reason) = match encoding {
                    Encoding::Hex => (hex::decode(text).ok(), "does not contain hexadecimal digits"),
                    Encoding::Base64 => (STANDARD.decode(text).ok(), "does not contain base64"),
                };
                require_match(header, tag, reason, |tag| hash.matches(key, &[raw], tag))?;
                Ok(None)
            }
            Scheme::Stripe => {
                let parts: Vec<_> =
                    single_value(headers, &STRIPE)?.split(',').filter_map(|p| p.trim().split_once('=')).collect();
                let time = parts.iter().find(|(k, _)| *k == "t").map_or("", |(_, v)| *v);
                let seconds = parse_time(time, &STRIPE)?;
                let tags = parts.iter().filter(|(k, _)| *k == "v1").filter_map(|(_, v)| hex::decode(v).ok());
                let signed = [time.as_bytes(), b".", raw];
                require_match(&STRIPE, tags, "has no `v1=` signature", |t| Hash::Sha256.matches(key, &signed, t))?;
                Ok(Some(seconds))
            }
            Scheme::Slack => {
                let (text, time) = (single_value(headers, &SLACK)?, single_value(headers, &SLACK_TIME)?);
                let seconds = parse_time(time, &SLACK_TIME)?;
                let tag = text.strip_prefix("v0=").and_then(|tag| hex::decode(tag).ok());
                let signed = [b"v0:", time.as_bytes(), b":", raw];
                require_match(&SLACK, tag, "has no `v0=` signature", |t| Hash::Sha256.matches(key, &signed, t))?;
                Ok(Some(seconds))
            }
            Scheme::Standard { id, time, signature, .. } => {
                let (text, id) = (single_value(headers, signature)?, single_value(headers, id)?);
                let time_text = single_value(headers, time)?;
                let seconds = parse_time(time_text, time)?;
                let tags = text.split_whitespace().filter_map(|s| STANDARD.decode(s.strip_prefix("v1,")?).ok());
                let signed = [id.as_bytes(), b".", time_text.as_bytes(), b".", raw];
                require_match(signature, tags, "has no `v1,` signature", |t| Hash::Sha256.matches(key, &signed, t))?;
                Ok(Some(seconds))
            }
        }
    }
}

/// The value of a header that must occur exactly once.
fn single_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| SignatureError::MissingHeader(name.clone()))?;
    if values.next().is_some() {
        return Err(SignatureError::Malformed(name.clone(), "occurs more than once"));
    }
    let text = value.to_str().map_err(|_| SignatureError::Malformed(name.clone(), "is not text"))?;
    Ok(text.trim())
}

fn parse_time(text: &str, header: &HeaderName) -> Result<i64, SignatureError> {
    text.parse().map_err(|_| SignatureError::Malformed(header.clone(), "has no time in seconds since 1970"))
}

/// Checks that one of the `tags` in a header matches. `missing`: what is wrong with a header without any.
fn require_match(
    header: &HeaderName,
    tags: impl IntoIterator<Item = Vec<u8>>,
    missing: &'static str,
    matches: impl Fn(&[u8]) -> bool,
) -> Result<(), SignatureError> {
    // Compares all of them, so that the time taken does not depend on which one matches.
    let matched: Vec<bool> = tags.into_iter().map(|tag| matches(&tag)).collect();
    match matched[..] {
        [] => Err(SignatureError::Malformed(header.clone(), missing)),
        _ if matched.contains(&true) => Ok(()),
        _ => Err(SignatureError::Mismatch),
    }
}

impl Hash {
    fn matches(self, key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
        match self {
            Hash::Sha1 => verify_mac::<Hmac<Sha1>>(key, parts, tag),
            Hash::Sha256 => verify_mac::<Hmac<Sha256>>(key, parts, tag),
            Hash::Sha512 => verify_mac::<Hmac<Sha512>>(key, parts, tag),
        }
    }
}

/// Compares in constant time.
fn verify_mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(tag).is_ok()
}
