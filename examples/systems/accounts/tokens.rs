//! Tokens in JWT form, signed with ES256 by a key that is made at the start.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

const AUDIENCE: &str = "accounts";
/// What the issuer signs with; nothing else is accepted, `none` in particular.
const ALGORITHM: &str = "ES256";

pub struct Issuer {
    pub url: String,
    key: EcdsaKeyPair,
    key_id: String,
    random: SystemRandom,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    pub sub: String,
    aud: String,
    pub scope: String,
    iat: i64,
    exp: i64,
    jti: String,
}

/// Why a token is rejected.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    #[error("the token is not valid")]
    Invalid,
    #[error("the token has expired")]
    Expired(Box<Claims>),
}

impl Issuer {
    pub fn new(url: String) -> Result<Issuer, String> {
        let (random, failed) = (SystemRandom::new(), |error| format!("no key: {error}"));
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let document = document.map_err(|error| failed(error.to_string()))?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        let key = key.map_err(|error| failed(error.to_string()))?;
        Ok(Issuer { url, key, key_id: Uuid::new_v4().to_string(), random })
    }

    /// The public key as a JSON Web Key.
    pub fn public_key(&self) -> Value {
        // an uncompressed point: 4, then x and y of 32 bytes each
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": self.key_id,
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        })
    }

    /// A new token; `None` if it cannot be signed.
    pub fn issue(&self, subject: &str, scope: &str, lifetime: i64) -> Option<String> {
        let now = Timestamp::now().as_second();
        let claims = Claims {
            iss: self.url.clone(),
            sub: subject.into(),
            aud: AUDIENCE.into(),
            scope: scope.into(),
            iat: now,
            exp: now + lifetime,
            jti: Uuid::new_v4().to_string(),
        };
        let header = json!({ "alg": ALGORITHM, "typ": "JWT", "kid": self.key_id }).to_string();
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(serde_json::to_vec(&claims).ok()?));
        let signature = self.key.sign(&self.random, signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", BASE64.encode(signature)))
    }

    /// The claims of a token that this issuer signed, for this API, and that has not expired.
    pub fn verify(&self, token: &str) -> Result<Claims, Rejection> {
        let claims = self.signed_claims(token).ok_or(Rejection::Invalid)?;
        if claims.exp <= Timestamp::now().as_second() {
            return Err(Rejection::Expired(Box::new(claims)));
        }
        Ok(claims)
    }

    fn signed_claims(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref());
        key.verify(signed.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
        let claims: Claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
        (header["alg"] == ALGORITHM && claims.iss == self.url && claims.aud == AUDIENCE).then_some(claims)
    }
}
