//! Logs in with the request of an identity, and takes a token or a session cookie from the response.
use super::{
    super::{request::Request, response},
    authorization::{FetchedToken, bearer},
    auxiliary::AuxiliarySender,
    oauth::quote_body,
};
use crate::{
    executor::{ActionContext, ActionError, Body, Started},
    expr::Expression,
    language::{Key, Shape},
    value::Value,
};
use jiff::Timestamp;
use reqwest::header::COOKIE;
use std::{fmt::Display, time::Duration};

/// Beside those of a request.
pub(super) const KEYS: &[Key] = &[
    Key::new("token", Shape::Expression).means("the token, from the response"),
    Key::new("expires", Shape::Expression).means("when the token expires: a time, a duration, or seconds"),
];

pub(super) struct Login {
    request: Request,
    /// Evaluated over the response. `None`: the session is in the cookies.
    token: Option<Expression>,
    expires: Option<Expression>,
}

impl Login {
    pub fn compile(body: &mut Body<'_>) -> Option<Login> {
        let request = Request::compile(body, &[KEYS]);
        let token = body.expression("token", response::FIELDS);
        let expires = body.expression("expires", response::FIELDS);
        Some(Login { request: request?, token, expires })
    }

    pub async fn fetch(&self, sender: &AuxiliarySender<'_>) -> Result<FetchedToken, ActionError> {
        let AuxiliarySender { cx, endpoint, label, jar, .. } = sender;
        let started = Started::now();
        let environment_cx = ActionContext { scope: cx.environment, ..(*cx).clone() };
        let mut request = self.request.render(&environment_cx, endpoint).await?;
        self.request.headers.apply_to(&mut request.headers, cx.environment)?;
        if let Some(cookie) = jar.and_then(|jar| jar.cookie_header(&request.url)) {
            request.headers.entry(COOKIE).or_insert(cookie);
        }
        let line = format!("{} {}", request.method, request.url);
        let response = sender.send(&request, &format!("to log in as `{label}`")).await?;
        let status = response.status();
        let output = response::read_auxiliary(cx, response, started).await?;
        if status.is_client_error() || status.is_server_error() {
            let text = output.get("text").and_then(Value::as_str).unwrap_or_default();
            return Err(ActionError::Unreachable(format!(
                "the login of `{label}` was rejected: {line} returned {status}, {}",
                quote_body(cx, text)
            )));
        }
        let failed = |key: &str, reason: &dyn Display| {
            ActionError::Unreachable(format!(
                "the login of `{label}` failed: {line} returned {status}, but `{key}`: {reason}"
            ))
        };
        let scope = cx.environment.with_all(&output);
        let header = match &self.token {
            None => None,
            Some(e) => match e.eval(&scope).map_err(|e| failed("token", &e))? {
                Value::Text(token) if !token.is_empty() => {
                    cx.secrets.add(&format!("{label}.token"), &token);
                    Some(bearer(&token)?)
                }
                Value::Text(_) => return Err(failed("token", &"expected a non-empty string")),
                other => return Err(failed("token", &format!("expected a string, found a {}", other.kind()))),
            },
        };
        let lifetime = match &self.expires {
            None => None,
            Some(e) => {
                let value = e.eval(&scope).map_err(|e| failed("expires", &e))?;
                let expected = || failed("expires", &format!("expected a time, a duration or seconds, found {value}"));
                Some(lifetime(&value).ok_or_else(expected)?)
            }
        };
        Ok(FetchedToken { header, lifetime })
    }
}

/// How long a token is valid: a duration, a time, or seconds from now or since 1970.
fn lifetime(value: &Value) -> Option<Duration> {
    /// Larger numbers of seconds are times since 1970.
    const MIN_UNIX_SECONDS: f64 = 1e9;
    let remaining = |until: Timestamp| Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    match value {
        Value::Duration(d) => Duration::try_from(*d).ok(),
        Value::Time(t) => Some(remaining(*t)),
        Value::Text(s) => s.parse().ok().map(remaining),
        number => {
            let seconds = number.to_json().as_f64().filter(|s| *s >= 0.0)?;
            if seconds < MIN_UNIX_SECONDS {
                return Some(Duration::from_secs_f64(seconds));
            }
            Timestamp::from_second(seconds as i64).ok().map(remaining)
        }
    }
}
