//! Verifies the signatures of deliveries, over the bytes received and in constant time.
mod error;
mod scheme;
#[cfg(test)]
mod tests;

pub(super) use self::error::SignatureError;
use self::scheme::{Encoding, Hash, Scheme};
use crate::{
    diagnostic::Diagnostic,
    executor::Body,
    language::{Key, Shape},
    yaml::Kind,
};
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

pub(super) const SCHEME: Shape = Shape::Word(&[
    "hmac-sha256-hex",
    "hmac-sha256-base64",
    "hmac-sha512-hex",
    "hmac-sha512-base64",
    "hmac-sha1-hex",
    "hmac-sha1-base64",
    "github",
    "stripe",
    "slack",
    "standard-webhooks",
    "svix",
]);
/// Each scheme has some of them.
pub(super) const KEYS: &[Key] = &[
    Key::new("scheme", SCHEME).required().means("how deliveries are signed"),
    Key::new("header", Shape::Name).means("the header with the signature"),
    Key::new("prefix", Shape::Text).means("text before the signature in the header"),
    Key::new("tolerance", Shape::Duration)
        .means("allowed difference between the time of the signature and the arrival"),
];

/// The signature settings of a target.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub scheme: Scheme,
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
        let mut part = body.part(&node);
        let is_map = matches!(node.kind, Kind::Map(_));
        let Some(name) = (if is_map { node.get("scheme") } else { Some(&node) }) else {
            part.only(&[KEYS]);
            part.missing("scheme");
            return None;
        };
        let text = name.key_text();
        let scheme = match HMAC_SCHEMES.iter().find(|(name, ..)| *name == text) {
            Some((_, hash, encoding)) => compile_hmac(*hash, *encoding, &mut part)?,
            None => Scheme::of_product(&text).or_else(|| {
                let d = Diagnostic::error("unknown-scheme", &name.span, format!("unknown signature scheme `{text}`"));
                let known = HMAC_SCHEMES.map(|(name, ..)| name).into_iter().chain(PRODUCT_SCHEMES);
                part.problem(d.suggest(&text, known));
                None
            })?,
        };
        if is_map {
            part.keys(scheme.keys());
        }
        let tolerance = part.duration("tolerance", "`5m`").unwrap_or(DEFAULT_TOLERANCE);
        Some(Signature { scheme, tolerance })
    }

    /// Checks that the headers have a signature of the bytes by `key`, and that its time is within the tolerance.
    pub fn verify(&self, signed: &SignedBytes<'_>, key: &[u8]) -> Result<(), SignatureError> {
        let Some(time) = self.scheme.verify(signed.headers, signed.raw, key)? else { return Ok(()) };
        let age = signed.arrived.as_second().saturating_sub(time);
        if Duration::from_secs(age.unsigned_abs()) > self.tolerance { Err(SignatureError::Stale(age)) } else { Ok(()) }
    }
}

/// Compiles a scheme that needs `header`.
fn compile_hmac(hash: Hash, encoding: Encoding, part: &mut Body<'_>) -> Option<Scheme> {
    let node = part.required("header")?;
    let name = node.key_text();
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        part.problem(Diagnostic::error("invalid-header", &node.span, format!("invalid header name `{name}`")));
        return None;
    };
    let prefix = part.get("prefix").map(|n| n.key_text()).unwrap_or_default();
    Some(Scheme::Hmac { header, prefix: prefix.into(), hash, encoding, id: None })
}
