//! User and password: Basic (RFC 7617) and Digest (RFC 7616).
use super::value;
use crate::{
    executor::{ActionContext, ActionError, Body},
    expr::Template,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http_auth::{PasswordClient, PasswordParams};
use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use std::sync::Mutex;

use super::super::request::Prepared;

pub(super) struct Password {
    user: Template,
    password: Template,
}

impl Password {
    pub fn compile(body: &mut Body<'_>, key: &str) -> Option<Password> {
        let node = body.get(key)?.clone();
        let mut part = body.part(&node);
        if !part.keys(&["user", "password"]) {
            return None;
        }
        for key in ["user", "password"] {
            if part.get(key).is_none() {
                part.missing(key);
            }
        }
        Some(Password { user: part.template("user")?, password: part.template("password")? })
    }

    pub fn render(&self, cx: &ActionContext<'_>, label: &str) -> Result<(String, String), ActionError> {
        let (user, password) = (self.user.render_text(cx.environment)?, self.password.render_text(cx.environment)?);
        cx.secrets.add(&format!("{label}.password"), &password);
        Ok((user, password))
    }

    pub fn basic(&self, cx: &ActionContext<'_>, label: &str) -> Result<HeaderValue, ActionError> {
        let (user, password) = self.render(cx, label)?;
        value(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }
}

/// The server's last challenge, and how often it was answered.
#[derive(Default)]
pub(super) struct Digest(Mutex<Option<PasswordClient>>);

impl Digest {
    /// Takes the challenge of a 401. `false` where there is none that can be answered.
    pub fn challenged(&self, headers: &HeaderMap) -> bool {
        let mut builder = PasswordClient::builder();
        for header in headers.get_all(WWW_AUTHENTICATE) {
            builder = builder.challenges(header.to_str().unwrap_or_default());
        }
        let client = builder.build().ok();
        let can = client.is_some();
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = client;
        can
    }

    /// `None` as long as there was no challenge.
    pub fn respond(
        &self,
        password: &Password,
        cx: &ActionContext<'_>,
        label: &str,
        request: &Prepared<'_>,
    ) -> Result<Option<HeaderValue>, ActionError> {
        let mut challenge = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let Some(client) = challenge.as_mut() else { return Ok(None) };
        let (user, password) = password.render(cx, label)?;
        let params = PasswordParams {
            username: &user,
            password: &password,
            uri: &path(&request.url),
            method: request.method.as_str(),
            body: request.content.bytes(),
        };
        let answer = client
            .respond(&params)
            .map_err(|e| ActionError::Invalid(format!("the server's challenge cannot be answered: {e}")))?;
        if let Some(response) = answer.split_once("response=\"").and_then(|(_, r)| r.split('"').next()) {
            cx.secrets.add(&format!("{label}.digest"), response);
        }
        value(&answer).map(Some)
    }
}

/// What stands in the request line.
fn path(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_string(),
    }
}
