//! How deliveries are signed, and whether one is. Over the bytes that came, in constant time. Knows no box.
use crate::{diagnostic::Diagnostic, executor::Body};
use axum::http::{HeaderMap, HeaderName};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

const SCHEMES: [(&str, Scheme); 4] = [
    ("hmac-sha256-hex", Scheme::Sha256Hex),
    ("hmac-sha256-base64", Scheme::Sha256Base64),
    ("hmac-sha512-hex", Scheme::Sha512Hex),
    ("hmac-sha1-hex", Scheme::Sha1Hex),
];

#[derive(Clone, Copy, Debug)]
enum Scheme {
    Sha256Hex,
    Sha256Base64,
    Sha512Hex,
    Sha1Hex,
}

#[derive(Clone, Debug)]
pub(super) struct Signature {
    header: HeaderName,
    scheme: Scheme,
    prefix: String,
}

impl Signature {
    /// `signature: { header, scheme, prefix? }`.
    pub fn compile(body: &mut Body<'_>) -> Option<Signature> {
        let node = body.get("signature").cloned()?;
        let mut part = body.part(&node);
        if !part.keys(&["header", "scheme", "prefix"]) {
            return None;
        }
        for key in ["header", "scheme"] {
            if part.get(key).is_none() {
                part.missing(key);
            }
        }
        let header = part.get("header").map(|n| {
            let name = n.key_text();
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                Diagnostic::error("bad-header", &n.span, format!("`{name}` cannot be the name of a header"))
            })
        });
        let scheme = part.get("scheme").map(|n| {
            let word = n.key_text();
            SCHEMES.iter().find(|(name, _)| *name == word).map(|(_, s)| *s).ok_or_else(|| {
                let d =
                    Diagnostic::error("unknown-scheme", &n.span, format!("`{word}` is no way to sign that is known"));
                d.meant(&word, SCHEMES.map(|(name, _)| name))
            })
        });
        let prefix = part.get("prefix").map(|n| n.key_text()).unwrap_or_default();
        match (header?, scheme?) {
            (Ok(header), Ok(scheme)) => Some(Signature { header, scheme, prefix }),
            (header, scheme) => {
                [header.err(), scheme.err()].into_iter().flatten().for_each(|d| part.problem(d));
                None
            }
        }
    }

    /// Whether the delivery carries the signature of `raw` under `key`, once.
    pub fn verifies(&self, headers: &HeaderMap, raw: &[u8], key: &[u8]) -> bool {
        let mut values = headers.get_all(&self.header).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some(said) = value.to_str().ok().and_then(|v| v.trim().strip_prefix(&self.prefix)) else { return false };
        match self.scheme {
            Scheme::Sha256Hex => hex::decode(said).is_ok_and(|tag| is::<Hmac<Sha256>>(key, raw, &tag)),
            Scheme::Sha256Base64 => STANDARD.decode(said).is_ok_and(|tag| is::<Hmac<Sha256>>(key, raw, &tag)),
            Scheme::Sha512Hex => hex::decode(said).is_ok_and(|tag| is::<Hmac<Sha512>>(key, raw, &tag)),
            Scheme::Sha1Hex => hex::decode(said).is_ok_and(|tag| is::<Hmac<Sha1>>(key, raw, &tag)),
        }
    }
}

fn is<M: Mac + KeyInit>(key: &[u8], raw: &[u8], tag: &[u8]) -> bool {
    <M as KeyInit>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(raw).verify_slice(tag).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifies(scheme: Scheme, prefix: &str, sent: &[&str], raw: &[u8], key: &[u8]) -> bool {
        let s = Signature { header: HeaderName::from_static("x-signature"), scheme, prefix: prefix.into() };
        let mut headers = HeaderMap::new();
        for v in sent {
            headers.append("x-signature", v.parse().unwrap());
        }
        s.verifies(&headers, raw, key)
    }

    /// RFC 4231, cases 2 and 6; RFC 2202 for SHA-1, case 2.
    #[test]
    fn the_vectors_of_the_standard_verify() {
        let (key, raw) = (b"Jefe".as_slice(), b"what do ya want for nothing?".as_slice());
        let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
        assert!(verifies(Scheme::Sha256Hex, "", &[sha256], raw, key));
        assert!(verifies(Scheme::Sha512Hex, "", &[sha512], raw, key));
        assert!(verifies(Scheme::Sha1Hex, "", &["effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"], raw, key));
        assert!(verifies(Scheme::Sha256Base64, "", &["W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="], raw, key));
        assert!(verifies(Scheme::Sha256Hex, "sha256=", &[&format!("sha256={sha256}")], raw, key));
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let tag = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert!(verifies(Scheme::Sha256Hex, "", &[tag], long, &[0xaa; 131]));
    }

    #[test]
    fn anything_else_does_not() {
        let (key, raw) = (b"Jefe".as_slice(), b"what do ya want for nothing?".as_slice());
        let right = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let no = |prefix: &str, sent: &[&str], raw: &[u8], key: &[u8]| {
            assert!(!verifies(Scheme::Sha256Hex, prefix, sent, raw, key), "{sent:?}")
        };
        no("", &[right], b"what do ya want for nothing!", key);
        no("", &[right], raw, b"jefe");
        no("", &[], raw, key);
        no("", &[""], raw, key);
        no("", &[&right[..62]], raw, key);
        no("", &["no hex at all"], raw, key);
        no("", &[right, right], raw, key);
        no("sha256=", &[right], raw, key);
        no("", &[&format!("sha256={right}")], raw, key);
    }
}
