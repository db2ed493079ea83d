//! User and password: Basic (RFC 7617) and Digest (RFC 7616).
use super::value;
use crate::{
    executor::{Body, StepContext, StepError},
    expr::Template,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http_auth::{PasswordClient, PasswordParams};
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE},
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

    pub fn render(&self, cx: &StepContext<'_>, label: &str) -> Result<(String, String), StepError> {
        let (user, password) = (self.user.render_text(cx.environment)?, self.password.render_text(cx.environment)?);
        cx.secrets.add(&format!("{label}.password"), &password);
        Ok((user, password))
    }

    pub fn basic(&self, cx: &StepContext<'_>, label: &str) -> Result<HeaderValue, StepError> {
        let (user, password) = self.render(cx, label)?;
        value(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }
}

/// The server's last challenge, and how often it was answered.
#[derive(Default)]
pub(super) struct Digest {
    challenge: Mutex<Option<PasswordClient>>,
    /// What it answered last.
    said: Mutex<Option<HeaderValue>>,
}

impl Digest {
    /// Whether nobody else has said who asks.
    pub fn owns(&self, headers: &HeaderMap) -> bool {
        let said = self.said.lock().unwrap_or_else(|e| e.into_inner());
        headers.get(AUTHORIZATION).is_none_or(|there| said.as_ref() == Some(there))
    }

    /// Takes the challenge of a 401. `false` where there is none that can be answered.
    pub fn challenged(&self, headers: &HeaderMap) -> bool {
        let mut builder = PasswordClient::builder();
        for header in headers.get_all(WWW_AUTHENTICATE) {
            builder = builder.challenges(header.to_str().unwrap_or_default());
        }
        let client = builder.build().ok();
        let can = client.is_some();
        *self.challenge.lock().unwrap_or_else(|e| e.into_inner()) = client;
        can
    }

    /// `None` as long as there was no challenge.
    pub fn respond(
        &self,
        password: &Password,
        cx: &StepContext<'_>,
        label: &str,
        request: &Prepared<'_>,
    ) -> Result<Option<HeaderValue>, StepError> {
        let mut challenge = self.challenge.lock().unwrap_or_else(|e| e.into_inner());
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
            .map_err(|e| StepError::Invalid(format!("the server's challenge cannot be answered: {e}")))?;
        if let Some(response) = answer.split_once("response=\"").and_then(|(_, r)| r.split('"').next()) {
            cx.secrets.add(&format!("{label}.digest"), response);
        }
        let answer = value(&answer)?;
        *self.said.lock().unwrap_or_else(|e| e.into_inner()) = Some(answer.clone());
        Ok(Some(answer))
    }
}

/// What stands in the request line.
fn path(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_string(),
    }
}
