//! Verifies the signatures of deliveries, over the bytes received and in constant time.
mod error;
mod scheme;
#[cfg(test)]
mod tests;

pub(super) use self::error::{SecretError, SignatureError};
use self::scheme::{Encoding, Hash, Scheme};
use crate::{diagnostic::Diagnostic, executor::Body, yaml::Kind};
use axum::http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use std::time::Duration;

/// As in Stripe, Slack and the libraries of Standard Webhooks.
const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// Schemes that need a `header`.
const HMAC_SCHEMES: [(&str, Hash, Encoding); 6] = [
    ("hmac-sha256-hex", Hash::Sha256, Encoding::Hex),
    ("hmac-sha256-base64", Hash::Sha256, Encoding::Base64),
    ("hmac-sha512-hex", Hash::Sha512, Encoding::Hex),
    ("hmac-sha512-base64", Hash::Sha512, Encoding::Base64),
    ("hmac-sha1-hex", Hash::Sha1, Encoding::Hex),
    ("hmac-sha1-base64", Hash::Sha1, Encoding::Base64),
];
const PRODUCT_SCHEMES: [&str; 5] = ["github", "stripe", "slack", "standard-webhooks", "svix"];

/// The signature settings of a target.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    scheme: Scheme,
    /// How far the time of a signature may be from that of the arrival.
    tolerance: Duration,
}

/// The headers and bytes of a delivery, and its time of arrival.
pub(super) struct SignedBytes<'a> {
    pub headers: &'a HeaderMap,
    pub raw: &'a [u8],
    pub arrived: Timestamp,
}

impl Signature {
    /// Compiles `signature: SCHEME` or `signature: { scheme: SCHEME, … }`.
    pub fn compile(body: &mut Body<'_>) -> Option<Signature> {
        let node = body.get("signature").cloned()?;
        let errors = body.problems.errors();
        let mut part = body.part(&node);
        let name = match &node.kind {
            Kind::Map(_) => {
                let Some(name) = node.get("scheme") else {
                    part.keys(&["scheme", "header", "prefix", "tolerance"]);
                    part.missing("scheme");
                    return None;
                };
                name
            }
            _ => &node,
        };
        let text = name.key_text();
        let Some(scheme) = Scheme::of_product(&text).or_else(|| compile_hmac(&text, &mut part)) else {
            if part.problems.errors() == errors {
                let d = Diagnostic::error("unknown-scheme", &name.span, format!("unknown signature scheme `{text}`"));
                let known = HMAC_SCHEMES.map(|(name, ..)| name).into_iter().chain(PRODUCT_SCHEMES);
                part.problem(d.suggest(&text, known));
            }
            return None;
        };
        let mut tolerance = DEFAULT_TOLERANCE;
        if matches!(node.kind, Kind::Map(_)) {
            part.keys(scheme.keys());
            if let Some(n) = node.get("tolerance") {
                match humantime::parse_duration(&n.key_text()) {
                    Ok(duration) => tolerance = duration,
                    Err(_) => part.problem(Diagnostic::error(
                        "invalid-duration",
                        &n.span,
                        format!("expected a duration like `5m`, found `{}`", n.key_text()),
                    )),
                }
            }
        }
        (part.problems.errors() == errors).then_some(Signature { scheme, tolerance })
    }

    /// The id of a delivery in this scheme, as an expression over its fields.
    pub fn id(&self) -> Option<&'static str> {
        self.scheme.id()
    }

    /// The key of a secret.
    pub fn key(&self, secret: &str) -> Result<Vec<u8>, SecretError> {
        self.scheme.key(secret)
    }

    /// Checks that the headers have a signature of the bytes by `key`, and that its time is within the tolerance.
    pub fn verify(&self, signed: &SignedBytes<'_>, key: &[u8]) -> Result<(), SignatureError> {
        let Some(time) = self.scheme.verify(signed.headers, signed.raw, key)? else { return Ok(()) };
        let age = signed.arrived.as_second().saturating_sub(time);
        if Duration::from_secs(age.unsigned_abs()) > self.tolerance { Err(SignatureError::Stale(age)) } else { Ok(()) }
    }
}

/// Compiles a scheme that needs `header`. `None` without a problem: the scheme is unknown.
fn compile_hmac(scheme: &str, part: &mut Body<'_>) -> Option<Scheme> {
    let (_, hash, encoding) = *HMAC_SCHEMES.iter().find(|(name, ..)| *name == scheme)?;
    let Some(node) = part.get("header").cloned() else {
        part.missing("header");
        return None;
    };
    let name = node.key_text();
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        part.problem(Diagnostic::error("invalid-header", &node.span, format!("invalid header name `{name}`")));
        return None;
    };
    let prefix = part.get("prefix").map(|n| n.key_text()).unwrap_or_default();
    Some(Scheme::Hmac { header, prefix: prefix.into(), hash, encoding, id: None })
}
