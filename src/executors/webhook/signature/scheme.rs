//! The schemes: where each has its signatures, what they are taken over, and what its secrets look like.
//!
//! Sources: [GitHub](https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries),
//! [Stripe](https://docs.stripe.com/webhooks#verify-manually),
//! [Slack](https://docs.slack.dev/authentication/verifying-requests-from-slack),
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md),
//! [Svix](https://docs.svix.com/receiving/verifying-payloads/how-manual).
use super::Refusal;
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
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Code {
    Hex,
    Base64,
}

#[derive(Clone, Debug)]
pub(super) enum Scheme {
    /// A header holds the signature of the body, and nothing else but perhaps a prefix.
    Plain { header: HeaderName, prefix: Cow<'static, str>, hash: Hash, code: Code, id: Option<&'static str> },
    /// `Stripe-Signature: t=TIME,v1=HEX,…` over `TIME.BODY`.
    Stripe,
    /// `X-Slack-Signature: v0=HEX` over `v0:TIME:BODY`.
    Slack,
    /// Space-separated `v1,BASE64` over `ID.TIME.BODY`; id, time and signature in headers.
    Standard { id: HeaderName, time: HeaderName, signature: HeaderName, shown: &'static str },
}

const STRIPE: HeaderName = HeaderName::from_static("stripe-signature");
const SLACK: HeaderName = HeaderName::from_static("x-slack-signature");
const SLACK_TIME: HeaderName = HeaderName::from_static("x-slack-request-timestamp");

impl Scheme {
    pub fn named(word: &str) -> Option<Scheme> {
        let name = HeaderName::from_static;
        Some(match word {
            "github" => Scheme::Plain {
                header: name("x-hub-signature-256"),
                prefix: "sha256=".into(),
                hash: Hash::Sha256,
                code: Code::Hex,
                id: Some(r#"headers["x-github-delivery"]"#),
            },
            "stripe" => Scheme::Stripe,
            "slack" => Scheme::Slack,
            "standard-webhooks" => Scheme::Standard {
                id: name("webhook-id"),
                time: name("webhook-timestamp"),
                signature: name("webhook-signature"),
                shown: r#"headers["webhook-id"]"#,
            },
            "svix" => Scheme::Standard {
                id: name("svix-id"),
                time: name("svix-timestamp"),
                signature: name("svix-signature"),
                shown: r#"headers["svix-id"]"#,
            },
            _ => return None,
        })
    }

    /// The keys that it may be told with.
    pub fn keys(&self) -> &'static [&'static str] {
        match self {
            Scheme::Plain { id: None, .. } => &["scheme", "header", "prefix"],
            Scheme::Plain { .. } => &["scheme"],
            _ => &["scheme", "tolerance"],
        }
    }

    /// Where it says which delivery it is, the same on each retry: an expression over one.
    pub fn id(&self) -> Option<&'static str> {
        match self {
            Scheme::Plain { id, .. } => *id,
            Scheme::Stripe => Some("body.id"),
            Scheme::Slack => Some("body.event_id"),
            Scheme::Standard { shown, .. } => Some(shown),
        }
    }

    /// The key that a secret stands for: its bytes, or with Standard Webhooks those that it writes in base64.
    pub fn key(&self, secret: &str) -> Result<Vec<u8>, String> {
        if secret.is_empty() {
            return Err("`secret` is empty: no signature can be verified".into());
        }
        let Scheme::Standard { .. } = self else { return Ok(secret.as_bytes().to_vec()) };
        if ["whpk_", "whsk_"].iter().any(|p| secret.starts_with(p)) {
            return Err(
                "`secret` is an ed25519 key; only signatures by a shared secret (`whsec_…`) are verified".into()
            );
        }
        let text = secret.strip_prefix("whsec_").unwrap_or(secret).trim_end_matches('=');
        STANDARD_NO_PAD
            .decode(text)
            .map_err(|_| "`secret` is no base64, which a secret of this scheme is, mostly after `whsec_`".into())
    }

    /// Whether one of the signatures that came is that of the bytes; and when it was taken, in seconds since 1970, where the
    /// scheme says so.
    pub fn verify(&self, headers: &HeaderMap, raw: &[u8], key: &[u8]) -> Result<Option<i64>, Refusal> {
        match self {
            Scheme::Plain { header, prefix, hash, code, .. } => {
                let said = one(headers, header)?
                    .strip_prefix(&**prefix)
                    .ok_or(Refusal::Malformed(header.clone(), "does not begin as this scheme's do"))?;
                let tag = match code {
                    Code::Hex => hex::decode(said).ok(),
                    Code::Base64 => STANDARD.decode(said).ok(),
                };
                let tag = tag.ok_or(Refusal::Malformed(
                    header.clone(),
                    match code {
                        Code::Hex => "holds no hexadecimal digits",
                        Code::Base64 => "holds no base64",
                    },
                ))?;
                any(&[tag], |tag| hash.is(key, &[raw], tag))?;
                Ok(None)
            }
            Scheme::Stripe => {
                let parts: Vec<_> =
                    one(headers, &STRIPE)?.split(',').filter_map(|p| p.trim().split_once('=')).collect();
                let time = parts.iter().find(|(k, _)| *k == "t").map_or("", |(_, v)| *v);
                let seconds = seconds(time, &STRIPE)?;
                let tags: Vec<_> =
                    parts.iter().filter(|(k, _)| *k == "v1").filter_map(|(_, v)| hex::decode(v).ok()).collect();
                if tags.is_empty() {
                    return Err(Refusal::Malformed(STRIPE, "holds no `v1=` signature"));
                }
                any(&tags, |tag| Hash::Sha256.is(key, &[time.as_bytes(), b".", raw], tag))?;
                Ok(Some(seconds))
            }
            Scheme::Slack => {
                let (said, time) = (one(headers, &SLACK)?, one(headers, &SLACK_TIME)?);
                let seconds = seconds(time, &SLACK_TIME)?;
                let tag = said.strip_prefix("v0=").and_then(|said| hex::decode(said).ok());
                let tag = tag.ok_or(Refusal::Malformed(SLACK, "holds no `v0=` signature"))?;
                any(&[tag], |tag| Hash::Sha256.is(key, &[b"v0:", time.as_bytes(), b":", raw], tag))?;
                Ok(Some(seconds))
            }
            Scheme::Standard { id, time, signature, .. } => {
                let (said, which) = (one(headers, signature)?, one(headers, id)?);
                let at = one(headers, time)?;
                let seconds = seconds(at, time)?;
                let tags: Vec<_> =
                    said.split_whitespace().filter_map(|s| STANDARD.decode(s.strip_prefix("v1,")?).ok()).collect();
                if tags.is_empty() {
                    return Err(Refusal::Malformed(signature.clone(), "holds no `v1,` signature"));
                }
                let parts = [which.as_bytes(), b".", at.as_bytes(), b".", raw];
                any(&tags, |tag| Hash::Sha256.is(key, &parts, tag))?;
                Ok(Some(seconds))
            }
        }
    }
}

/// The value of a header that must be there, once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| Refusal::MissingHeader(name.clone()))?;
    if values.next().is_some() {
        return Err(Refusal::Malformed(name.clone(), "came more than once"));
    }
    let text = value.to_str().map_err(|_| Refusal::Malformed(name.clone(), "is no text"))?;
    Ok(text.trim())
}

fn seconds(text: &str, header: &HeaderName) -> Result<i64, Refusal> {
    text.parse().map_err(|_| Refusal::Malformed(header.clone(), "holds no time in seconds since 1970"))
}

fn any(tags: &[Vec<u8>], is: impl Fn(&[u8]) -> bool) -> Result<(), Refusal> {
    // all are looked at, however early one is right
    if tags.iter().filter(|t| is(t)).count() > 0 { Ok(()) } else { Err(Refusal::Mismatch) }
}

impl Hash {
    fn is(self, key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
        match self {
            Hash::Sha1 => is::<Hmac<Sha1>>(key, parts, tag),
            Hash::Sha256 => is::<Hmac<Sha256>>(key, parts, tag),
            Hash::Sha512 => is::<Hmac<Sha512>>(key, parts, tag),
        }
    }
}

/// In constant time.
fn is<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(tag).is_ok()
}
