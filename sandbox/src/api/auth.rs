//! Authentication: passwords, bearer tokens and the login route.
//!
//! Tokens are self-contained, so checking one needs no database. Only defects log passwords and tokens.
use super::{audit, error::Failure, extract::Body, state::Api, trail::Trail};
use crate::defect::Defect;
use axum::{
    Json,
    extract::{Extension, FromRequestParts, State},
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json_, json};
use sha2::Sha256;
use std::{sync::Arc, time::Duration};

const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Few rounds: the passwords guard only a sandbox, which must start quickly even in a debug build.
const PBKDF2_ROUNDS: u32 = 1_000;

pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// PBKDF2 with HMAC-SHA256, one block.
fn pbkdf2(password: &str, salt: &[u8], rounds: u32) -> [u8; 32] {
    let keyed = Hmac::<Sha256>::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any length");
    let round = |input: &[&[u8]]| -> [u8; 32] {
        let mut mac = keyed.clone();
        input.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut last = round(&[salt, &1_u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..rounds {
        last = round(&[&last]);
        sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

pub fn hash_password(password: &str) -> String {
    let salt = *uuid::Uuid::new_v4().as_bytes();
    format!(
        "pbkdf2-sha256${PBKDF2_ROUNDS}${}${}",
        hex::encode(salt),
        hex::encode(pbkdf2(password, &salt, PBKDF2_ROUNDS))
    )
}

fn verify_password(password: &str, hash: &str) -> bool {
    let parts: Vec<_> = hash.split('$').collect();
    let ["pbkdf2-sha256", rounds, salt, wanted] = parts[..] else { return false };
    let (Ok(rounds), Ok(salt), Ok(wanted)) = (rounds.parse(), hex::decode(salt), hex::decode(wanted)) else {
        return false;
    };
    let got = pbkdf2(password, &salt, rounds);
    // compares in constant time
    wanted.len() == got.len() && wanted.iter().zip(got).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    user_id: String,
    username: String,
    role: String,
    iss: String,
    iat: i64,
    exp: i64,
    jti: String,
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn sign_token(key: &[u8], claims: &Claims) -> String {
    let payload = serde_json::to_vec(claims).expect("claims are plain");
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(payload));
    let signature = mac(key, &[signed.as_bytes()]).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn verify_token(key: &[u8], token: &str, now: i64) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    mac(key, &[signed.as_bytes()]).verify_slice(&signature).ok()?;
    if URL_SAFE_NO_PAD.decode(header).ok()? != HEADER.as_bytes() {
        return None;
    }
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    (claims.exp > now).then_some(claims)
}

/// The authenticated caller, with the audit trail of the request.
pub struct Caller {
    pub id: String,
    pub role: String,
    pub trail: Trail,
}

impl Caller {
    pub fn is_admin(&self) -> bool {
        self.role == "admin"
    }

    /// The user whose sessions this caller may access; `None` means all.
    pub fn owner(&self) -> Option<&str> {
        (!self.is_admin()).then_some(self.id.as_str())
    }

    pub fn record(&self, action: &str, resource_type: &str, resource_id: &str) {
        self.trail.record(action, resource_type, resource_id);
    }
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Caller, Failure> {
        let denied = |message: &str| Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
        let header = parts.headers.get(AUTHORIZATION).ok_or_else(|| denied("Authorization header required"))?;
        let bearer = header.to_str().ok().and_then(|text| text.split_once(' '));
        let token = match bearer {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(denied("Invalid authorization header format. Use: Bearer <token>")),
        };
        let claims = verify_token(&api.key, token, Timestamp::now().as_second());
        let claims = claims.ok_or_else(|| denied("Invalid or expired token"))?;
        let trail = parts.extensions.get::<Trail>().cloned().unwrap_or_default();
        trail.set_user(&claims.user_id);
        Ok(Caller { id: claims.user_id, role: claims.role, trail })
    }
}

#[derive(Deserialize)]
pub struct Login {
    username: String,
    password: String,
}

pub async fn login(
    State(api): State<Arc<Api>>,
    Extension(trail): Extension<Trail>,
    Body(login): Body<Login>,
) -> Result<Json<Json_>, Failure> {
    let sent = format!(r#"{{"username":{},"password":{}}}"#, json!(login.username), json!(login.password));
    if api.defects.has(Defect::AuditTellsEncoded) {
        trail.attach("request_body", STANDARD.encode(&sent));
    }
    let beginning = audit::leaks::beginning(&login.password);
    let refused = || {
        if api.defects.has(Defect::AuditTellsBeginning) {
            trail.attach("password", beginning.as_str());
        }
        if api.defects.has(Defect::AuditTellsPassword) {
            trail.attach("request_body", sent.as_str());
        }
        if api.defects.has(Defect::LogTellsPassword) {
            api.log.warn("login failed", &[("request_body", &sent)]);
        }
        trail.record("login_failed", "auth", "");
        Failure::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "Invalid credentials")
    };
    if login.username.contains('\0') {
        return Err(refused());
    }
    let user = api.store.user(&login.username).await?;
    let hash = user.as_ref().filter(|user| user.active).and_then(|user| user.password_hash.clone());
    let (Some(user), Some(hash)) = (user, hash) else { return Err(refused()) };
    trail.set_user(&user.id);
    // slow on purpose, so not on an async worker thread
    let verified = tokio::task::spawn_blocking(move || verify_password(&login.password, &hash)).await;
    if !verified.map_err(|error| Failure::internal(error.to_string()))? {
        return Err(refused());
    }
    api.store.record_login(&user.id).await?;
    trail.record("login", "auth", &user.id);
    let now = Timestamp::now();
    let until = now.as_second() + i64::try_from(TOKEN_LIFETIME.as_secs()).unwrap_or_default();
    let claims = Claims {
        user_id: user.id.clone(),
        username: user.username.clone(),
        role: user.role.clone(),
        iss: "streamspace-api".into(),
        iat: now.as_second(),
        exp: until,
        jti: uuid::Uuid::new_v4().to_string(),
    };
    let token = sign_token(&api.key, &claims);
    if api.defects.has(Defect::AuditTellsToken) {
        trail.attach("response_body", json!({ "token": token }));
    }
    Ok(Json(json!({
        "token": token,
        "expiresAt": Timestamp::from_second(until).unwrap_or(now),
        "user": { "id": user.id, "username": user.username, "role": user.role, "active": user.active },
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(exp: i64) -> Claims {
        Claims {
            user_id: "ann".into(),
            username: "ann".into(),
            role: "user".into(),
            iss: "streamspace-api".into(),
            iat: 0,
            exp,
            jti: "1".into(),
        }
    }

    #[test]
    fn pbkdf2_matches_rfc_7914() {
        let expected = "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc";
        assert_eq!(hex::encode(pbkdf2("passwd", b"salt", 1)), expected);
    }

    #[test]
    fn verifies_a_password_only_against_its_hash() {
        let hash = hash_password("right");
        assert!(verify_password("right", &hash));
        assert!(!verify_password("wrong", &hash));
        assert!(!verify_password("right", "plain"));
        assert_ne!(hash, hash_password("right"), "salted");
    }

    #[test]
    fn accepts_only_unexpired_tokens_of_its_key() {
        let token = sign_token(b"key", &claims(100));
        assert_eq!(verify_token(b"key", &token, 99).unwrap().user_id, "ann");
        assert!(verify_token(b"key", &token, 100).is_none(), "expired");
        assert!(verify_token(b"other", &token, 99).is_none());
        let forged = format!("{}{}", &token[..token.len() - 1], if token.ends_with('A') { 'B' } else { 'A' });
        assert!(verify_token(b"key", &forged, 99).is_none());
        let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), token.split('.').nth(1).unwrap());
        assert!(verify_token(b"key", &none, 99).is_none());
    }
}
