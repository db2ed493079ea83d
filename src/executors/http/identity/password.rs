//! User and password: Basic (RFC 7617) and Digest (RFC 7616) authentication.
use super::{super::prepared_request::PreparedRequest, authorization::sensitive_value};
use crate::{
    executor::{ActionContext, ActionError, Body},
    expr::Template,
    language::{Key, Shape},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http_auth::{PasswordClient, PasswordParams};
use parking_lot::Mutex;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};

pub(super) const KEYS: &[Key] = &[
    Key::new("user", Shape::Text).required().means("name of the user"),
    Key::new("password", Shape::Text).required().means("password of the user"),
];

pub(super) struct Password {
    user: Template,
    password: Template,
}

impl Password {
    pub fn compile(body: &mut Body<'_>, key: &str) -> Option<Password> {
        let node = body.get(key)?.clone();
        let mut part = body.part(&node);
        if !part.only(&[KEYS]) {
            return None;
        }
        let (user, password) = (part.required_template("user"), part.required_template("password"));
        Some(Password { user: user?, password: password? })
    }

    /// User and password. The password is a secret from now on.
    pub fn render(&self, cx: &ActionContext<'_>, label: &str) -> Result<(String, String), ActionError> {
        let (user, password) = (self.user.render_text(cx.environment)?, self.password.render_text(cx.environment)?);
        cx.secrets.add(&format!("{label}.password"), &password);
        Ok((user, password))
    }

    pub fn basic(&self, cx: &ActionContext<'_>, label: &str) -> Result<HeaderValue, ActionError> {
        let (user, password) = self.render(cx, label)?;
        sensitive_value(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }
}

/// The last challenge of the server, and how often it was answered.
#[derive(Default)]
pub(super) struct DigestChallenge(Mutex<Option<PasswordClient>>);

impl DigestChallenge {
    /// Keeps the challenge of a 401. `false`: the response has none that can be answered.
    pub fn accept(&self, headers: &HeaderMap) -> bool {
        let mut builder = PasswordClient::builder();
        for header in headers.get_all(WWW_AUTHENTICATE) {
            builder = builder.challenges(header.to_str().unwrap_or_default());
        }
        let client = builder.build().ok();
        let accepted = client.is_some();
        *self.0.lock() = client;
        accepted
    }

    /// The `Authorization` that answers the challenge. `None`: there was no challenge yet.
    pub fn respond(
        &self,
        password: &Password,
        cx: &ActionContext<'_>,
        label: &str,
        request: &PreparedRequest,
    ) -> Result<Option<HeaderValue>, ActionError> {
        let mut challenge = self.0.lock();
        let Some(client) = challenge.as_mut() else { return Ok(None) };
        let (user, password) = password.render(cx, label)?;
        let params = PasswordParams {
            username: &user,
            password: &password,
            uri: &request_target(&request.url),
            method: request.method.as_str(),
            body: request.body.bytes(),
        };
        let authorization = client
            .respond(&params)
            .map_err(|e| ActionError::Invalid(format!("cannot answer the Digest challenge of the server: {e}")))?;
        let response = authorization.split_once("response=\"").and_then(|(_, rest)| rest.split('"').next());
        if let Some(response) = response {
            cx.secrets.add(&format!("{label}.digest"), response);
        }
        sensitive_value(&authorization).map(Some)
    }
}

/// Path and query, as in the request line.
fn request_target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_string(),
    }
}
