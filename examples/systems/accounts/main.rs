//! A tiny API with accounts, protected by OpenID Connect. It is the issuer too: discovery, keys, and tokens (ES256) for
//! clients and for a user.
//!
//! `cargo run -p tp-runner-systems --bin accounts -- --help`
mod tokens;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, RawForm, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
        request::Parts,
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Parser, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use systems::{MainResult, listen, serve};
use tokens::{Claims, Issuer, Rejection};

/// Who may fetch tokens: name, secret, scope, and how many seconds a token lives. A real issuer has them in a database.
const CLIENTS: [(&str, &str, &str, i64); 2] =
    [("auditor", "auditor-demo-7f31", "accounts:read", 300), ("kiosk", "kiosk-demo-91d4", "accounts:read", 3)];
const USER: (&str, &str, &str, i64) = ("ann", "ann-demo-3b6e", "accounts:read accounts:write", 300);

#[derive(Parser)]
struct Options {
    /// The address of the issuer and of the API.
    #[arg(long, default_value = "127.0.0.1:8084")]
    listen: SocketAddr,
    /// The URL of the issuer, in tokens and in its discovery document; default: http:// and the address.
    #[arg(long)]
    issuer: Option<String>,
    /// A bug for the plan to find.
    #[arg(long)]
    bug: Option<Bug>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Bug {
    /// A token without the scope of the route is accepted.
    IgnoresScope,
    /// A token is accepted after it has expired.
    IgnoresExpiry,
    /// The message of a 401 quotes the token.
    QuotesToken,
}

struct Bank {
    issuer: Issuer,
    bug: Option<Bug>,
    accounts: Mutex<BTreeMap<String, Value>>,
}

#[tokio::main]
async fn main() -> MainResult {
    let options = Options::parse();
    let listener = listen(options.listen).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let issuer = Issuer::new(options.issuer.unwrap_or(address))?;
    let api = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/keys", get(keys))
        .route("/token", post(token))
        .route("/accounts/{id}", get(read).put(write).delete(remove))
        .with_state(Arc::new(Bank { issuer, bug: options.bug, accounts: Mutex::default() }));
    serve("accounts", listener, api).await
}

async fn discovery(State(bank): State<Arc<Bank>>) -> Json<Value> {
    let issuer = &bank.issuer.url;
    Json(json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "grant_types_supported": ["client_credentials", "password"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn keys(State(bank): State<Arc<Bank>>) -> Json<Value> {
    Json(json!({ "keys": [bank.issuer.public_key()] }))
}

/// The token endpoint: a client with its secret as Basic credentials, or a user with a password.
async fn token(State(bank): State<Arc<Bank>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    let form: BTreeMap<_, _> = url::form_urlencoded::parse(&form).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let grant_type = field("grant_type");
    let basic = || {
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        let pair = String::from_utf8(STANDARD.decode(header).ok()?).ok()?;
        let (name, secret) = pair.split_once(':')?;
        CLIENTS.into_iter().find(|client| (client.0, client.1) == (name, secret))
    };
    let known = match grant_type {
        "client_credentials" => basic(),
        "password" => Some(USER).filter(|user| (user.0, user.1) == (field("username"), field("password"))),
        _ => return (StatusCode::BAD_REQUEST, Json(json!({ "error": "unsupported_grant_type" }))).into_response(),
    };
    let error = if grant_type == "password" { "invalid_grant" } else { "invalid_client" };
    let Some((subject, _, scope, lifetime)) = known else {
        let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        return (status, Json(json!({ "error": error }))).into_response();
    };
    match bank.issuer.issue(subject, scope, lifetime) {
        Some(token) => {
            let token =
                json!({ "access_token": token, "token_type": "Bearer", "expires_in": lifetime, "scope": scope });
            Json(token).into_response()
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The claims of the caller, whose token has the scope that the method needs.
struct Caller(Claims);

impl FromRequestParts<Arc<Bank>> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, bank: &Arc<Bank>) -> Result<Self, Response> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(token) = header.strip_prefix("Bearer ") else {
            return Err(refuse(StatusCode::UNAUTHORIZED, "Bearer", "a token is required"));
        };
        let claims = match bank.issuer.verify(token) {
            Err(Rejection::Expired(claims)) if bank.bug == Some(Bug::IgnoresExpiry) => *claims,
            Err(rejection) => {
                let quoted = if bank.bug == Some(Bug::QuotesToken) { format!(": {token}") } else { String::new() };
                let challenge = "Bearer error=\"invalid_token\"";
                return Err(refuse(StatusCode::UNAUTHORIZED, challenge, &format!("{rejection}{quoted}")));
            }
            Ok(claims) => claims,
        };
        let needed = if parts.method == "GET" { "accounts:read" } else { "accounts:write" };
        if !claims.scope.split(' ').any(|scope| scope == needed) && bank.bug != Some(Bug::IgnoresScope) {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"");
            return Err(refuse(StatusCode::FORBIDDEN, &challenge, &format!("the scope {needed} is required")));
        }
        Ok(Caller(claims))
    }
}

fn refuse(status: StatusCode, challenge: &str, message: &str) -> Response {
    (status, [(WWW_AUTHENTICATE, challenge)], Json(json!({ "error": message }))).into_response()
}

async fn read(Caller(_): Caller, State(bank): State<Arc<Bank>>, Path(id): Path<String>) -> Response {
    match bank.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
        Some(account) => Json(account.clone()).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({ "error": "the account does not exist" }))).into_response(),
    }
}

#[derive(Deserialize)]
struct Change {
    limit: i64,
}

async fn write(
    Caller(claims): Caller,
    State(bank): State<Arc<Bank>>,
    Path(id): Path<String>,
    Json(change): Json<Change>,
) -> Json<Value> {
    let account = json!({ "id": &id, "limit": change.limit, "changed_by": claims.sub });
    bank.accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(id, account.clone());
    Json(account)
}

async fn remove(Caller(_): Caller, State(bank): State<Arc<Bank>>, Path(id): Path<String>) -> StatusCode {
    bank.accounts.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    StatusCode::NO_CONTENT
}
