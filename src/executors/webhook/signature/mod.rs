//! How deliveries are signed, and whether one is. Over the bytes that came, in constant time. Knows no box.
mod scheme;
#[cfg(test)]
mod tests;

use self::scheme::{Code, Hash, Scheme};
use crate::{diagnostic::Diagnostic, executor::Body, yaml::Kind};
use axum::http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use std::{fmt, time::Duration};

/// What Stripe, Slack and the libraries of Standard Webhooks take.
const TOLERANCE: Duration = Duration::from_secs(300);

const PLAIN: [(&str, Hash, Code); 6] = [
    ("hmac-sha256-hex", Hash::Sha256, Code::Hex),
    ("hmac-sha256-base64", Hash::Sha256, Code::Base64),
    ("hmac-sha512-hex", Hash::Sha512, Code::Hex),
    ("hmac-sha512-base64", Hash::Sha512, Code::Base64),
    ("hmac-sha1-hex", Hash::Sha1, Code::Hex),
    ("hmac-sha1-base64", Hash::Sha1, Code::Base64),
];
const NAMED: [&str; 5] = ["github", "stripe", "slack", "standard-webhooks", "svix"];

/// How a target's deliveries are signed.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    scheme: Scheme,
    /// How far the time in a signature may be from that of the arrival.
    tolerance: Duration,
}

/// What a signature is taken over, and when it came.
pub(super) struct Sent<'a> {
    pub headers: &'a HeaderMap,
    pub raw: &'a [u8],
    pub at: Timestamp,
}

/// Why a delivery is not validly signed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    /// Nobody named a secret.
    NotAsked,
    /// More bytes than a box takes, so they were not kept.
    TooLarge,
    MissingHeader(HeaderName),
    /// The header, and what is wrong with what it says.
    Malformed(HeaderName, &'static str),
    /// Signed with another secret, or over other bytes: the two cannot be told apart.
    Mismatch,
    /// The signature is right, and its time so many seconds before the arrival; negative: after it.
    Stale(i64),
}

impl Refusal {
    /// As `signature.why` shows it.
    pub fn word(&self) -> &'static str {
        match self {
            Refusal::NotAsked => "not-asked",
            Refusal::TooLarge => "too-large",
            Refusal::MissingHeader(_) => "missing-header",
            Refusal::Malformed(..) => "malformed",
            Refusal::Mismatch => "mismatch",
            Refusal::Stale(_) => "stale",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotAsked => f.write_str("no secret was named"),
            Refusal::TooLarge => f.write_str("it was too large to be kept"),
            Refusal::MissingHeader(name) => write!(f, "the header `{name}` is missing"),
            Refusal::Malformed(name, why) => write!(f, "the header `{name}` {why}"),
            Refusal::Mismatch => f.write_str("it is signed with another secret, or over other bytes"),
            Refusal::Stale(age @ 0..) => write!(f, "it was signed {age} s before it came"),
            Refusal::Stale(age) => write!(f, "it says that it was signed {} s after it came", age.unsigned_abs()),
        }
    }
}

impl Signature {
    /// `signature: SCHEME`, or `signature: { scheme, … }`.
    pub fn compile(body: &mut Body<'_>) -> Option<Signature> {
        let node = body.get("signature").cloned()?;
        let errors = body.problems.errors();
        let mut part = body.part(&node);
        let named = match &node.kind {
            Kind::Map(_) => {
                let Some(named) = node.get("scheme") else {
                    part.keys(&["scheme", "header", "prefix", "tolerance"]);
                    part.missing("scheme");
                    return None;
                };
                named
            }
            _ => &node,
        };
        let word = named.key_text();
        let Some(scheme) = Scheme::named(&word).or_else(|| plain(&word, &mut part)) else {
            if part.problems.errors() == errors {
                let d = Diagnostic::error(
                    "unknown-scheme",
                    &named.span,
                    format!("`{word}` is no way to sign that is known"),
                );
                part.problem(d.suggest(&word, PLAIN.map(|(name, ..)| name).into_iter().chain(NAMED)));
            }
            return None;
        };
        let mut tolerance = TOLERANCE;
        if matches!(node.kind, Kind::Map(_)) {
            part.keys(scheme.keys());
            if let Some(n) = node.get("tolerance") {
                match humantime::parse_duration(&n.key_text()) {
                    Ok(within) => tolerance = within,
                    Err(_) => part.problem(Diagnostic::error(
                        "invalid-duration",
                        &n.span,
                        format!("`{}` is no duration like `5m`", n.key_text()),
                    )),
                }
            }
        }
        (part.problems.errors() == errors).then_some(Signature { scheme, tolerance })
    }

    /// Where this scheme says which delivery it is: an expression over one.
    pub fn id(&self) -> Option<&'static str> {
        self.scheme.id()
    }

    /// The key that a secret stands for. `Err` is a sentence.
    pub fn key(&self, secret: &str) -> Result<Vec<u8>, String> {
        self.scheme.key(secret)
    }

    /// Whether it carries the signature of its bytes under `key`, taken not long before it came.
    pub fn verify(&self, sent: &Sent<'_>, key: &[u8]) -> Result<(), Refusal> {
        let Some(signed) = self.scheme.verify(sent.headers, sent.raw, key)? else { return Ok(()) };
        let age = sent.at.as_second().saturating_sub(signed);
        if Duration::from_secs(age.unsigned_abs()) > self.tolerance { Err(Refusal::Stale(age)) } else { Ok(()) }
    }
}

/// One that has no name of its own, and must be told its header. What is wrong has been said.
fn plain(word: &str, part: &mut Body<'_>) -> Option<Scheme> {
    let (_, hash, code) = *PLAIN.iter().find(|(name, ..)| *name == word)?;
    let Some(node) = part.get("header").cloned() else {
        part.missing("header");
        return None;
    };
    let name = node.key_text();
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        let d = Diagnostic::error("invalid-header", &node.span, format!("`{name}` cannot be the name of a header"));
        part.problem(d);
        return None;
    };
    let prefix = part.get("prefix").map(|n| n.key_text()).unwrap_or_default();
    Some(Scheme::Plain { header, prefix: prefix.into(), hash, code, id: None })
}
