//! Tokens that the target fetches itself: OAuth 2.0 client credentials (RFC 6749, 4.4), or a log-in. Each is fetched once for all
//! cases, kept while it is valid, and renewed when its time is over or when the server does not accept it any more.
use super::{Identity, bearer};
use crate::{
    executor::{ActionContext, ActionError, Body, Started},
    expr::{Expression, Template, Tree},
    value::Value,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use reqwest::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue},
};
use std::{
    sync::RwLock,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

use super::super::{
    answer,
    content::{Sent, encoded},
    exchange,
    request::{Prepared, Request},
    target::HttpTarget,
};

/// A token is renewed so long before its end, or in the last tenth of its life.
const EARLY: Duration = Duration::from_secs(10);
/// Of an answer that refuses, so much is shown.
const SHOWN: usize = 200;

pub(super) enum Source {
    OAuth(Box<OAuth>),
    Login(Box<Login>),
}

pub(super) struct OAuth {
    url: Template,
    id: Template,
    secret: Template,
    scope: Option<Tree>,
    parameters: Vec<(String, Tree)>,
    /// Where the client says who it is: in the body, not in `Authorization`.
    in_body: bool,
}

pub(super) struct Login {
    request: Request,
    /// Over the answer. Without one the session is its cookies.
    token: Option<Expression>,
    expires: Option<Expression>,
}

#[derive(Clone)]
struct Token {
    header: Option<HeaderValue>,
    until: Option<Instant>,
    generation: u64,
}

impl Token {
    fn valid(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// A token as one request uses it.
pub(super) struct Held {
    token: Token,
    /// Fetched for this very request: refused, it would be refused again.
    pub fresh: bool,
}

impl Held {
    pub fn header(&self) -> Option<&HeaderValue> {
        self.token.header.as_ref()
    }
}

#[derive(Default)]
pub(super) struct Tokens {
    token: RwLock<Option<Token>>,
    /// Held while one is fetched: the others wait for it.
    fetching: Mutex<()>,
}

impl Tokens {
    fn there(&self) -> Option<Token> {
        self.token.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    pub async fn current(
        &self,
        source: &Source,
        cx: &ActionContext<'_>,
        target: &HttpTarget,
        who: &Identity,
    ) -> Result<Held, ActionError> {
        match self.there().filter(Token::valid) {
            Some(token) => Ok(Held { token, fresh: false }),
            None => self.fetch(source, cx, target, who, |t| t.valid()).await,
        }
    }

    /// Another than `refused`, which the server does not accept.
    pub async fn renew(
        &self,
        source: &Source,
        cx: &ActionContext<'_>,
        target: &HttpTarget,
        who: &Identity,
        refused: &Held,
    ) -> Result<Held, ActionError> {
        self.fetch(source, cx, target, who, |t| t.valid() && t.generation != refused.token.generation).await
    }

    /// One that somebody else has fetched meanwhile is enough, if it `will_do`.
    async fn fetch(
        &self,
        source: &Source,
        cx: &ActionContext<'_>,
        target: &HttpTarget,
        who: &Identity,
        will_do: impl Fn(&Token) -> bool + Send + Sync,
    ) -> Result<Held, ActionError> {
        let _fetching = self.fetching.lock().await;
        let before = self.there();
        if let Some(token) = before.as_ref().filter(|t| will_do(t)) {
            return Ok(Held { token: token.clone(), fresh: false });
        }
        let (header, lasts) = match source {
            Source::OAuth(o) => o.fetch(cx, target, who).await?,
            Source::Login(l) => Box::pin(l.fetch(cx, target, who)).await?,
        };
        let until = lasts.and_then(|l| Instant::now().checked_add(l - EARLY.min(l / 10)));
        let token = Token { header, until, generation: before.map_or(0, |t| t.generation + 1) };
        *self.token.write().unwrap_or_else(|e| e.into_inner()) = Some(token.clone());
        Ok(Held { token, fresh: true })
    }
}

type Fetched = (Option<HeaderValue>, Option<Duration>);

impl Source {
    pub fn compile(body: &mut Body<'_>, key: &str) -> Option<Source> {
        let node = body.get(key)?.clone();
        let mut part = body.part(&node);
        if key == "oauth2" {
            OAuth::compile(&mut part).map(|o| Source::OAuth(Box::new(o)))
        } else {
            Login::compile(&mut part).map(|l| Source::Login(Box::new(l)))
        }
    }
}

impl OAuth {
    fn compile(body: &mut Body<'_>) -> Option<OAuth> {
        const REQUIRED: [&str; 3] = ["token_url", "client_id", "client_secret"];
        if !body.keys(&[&REQUIRED[..], &["scope", "parameters", "client_in"]].concat()) {
            return None;
        }
        for key in REQUIRED {
            if body.get(key).is_none() {
                body.missing(key);
            }
        }
        Some(OAuth {
            scope: body.tree("scope"),
            parameters: body.pairs("parameters"),
            in_body: body.literal::<Place>("client_in", "`header` or `body`").is_some_and(|p| p == Place::Body),
            url: body.template("token_url")?,
            id: body.template("client_id")?,
            secret: body.template("client_secret")?,
        })
    }

    async fn fetch(&self, cx: &ActionContext<'_>, target: &HttpTarget, who: &Identity) -> Result<Fetched, ActionError> {
        let scope = cx.environment;
        let (id, secret) = (self.id.render_text(scope)?, self.secret.render_text(scope)?);
        cx.secrets.add(&format!("{}.client_secret", who.label()), &secret);
        let mut form = vec![("grant_type".to_string(), "client_credentials".to_string())];
        if let Some(tree) = &self.scope {
            let scopes = match tree.render(scope)? {
                Value::List(all) => all.iter().map(Value::to_string).collect::<Vec<_>>().join(" "),
                one => one.to_string(),
            };
            form.push(("scope".into(), scopes));
        }
        for (name, tree) in &self.parameters {
            form.push((name.clone(), tree.render(scope)?.to_string()));
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if self.in_body {
            form.extend([("client_id".into(), id), ("client_secret".into(), secret)]);
        } else {
            // each is encoded first: RFC 6749, 2.3.1
            let part = |s: String| encoded(vec![(String::new(), s)]).trim_start_matches('=').to_string();
            let pair = STANDARD.encode(format!("{}:{}", part(id), part(secret)));
            cx.secrets.add(&format!("{}.client", who.label()), &pair);
            headers.insert(AUTHORIZATION, super::value(&format!("Basic {pair}"))?);
        }
        let url = target.resolve(&self.url.render_text(scope)?)?;
        let at = url.to_string();
        let content = Sent::Text(encoded(form));
        let mut request =
            Prepared { method: Method::POST, url, headers, content, who: Some(who), proof: Default::default() };
        let response =
            exchange::aside(cx, target, &mut request, &format!("for the token of `{}`", who.label())).await?;
        let status = response.status();
        let text = exchange::small(response).await;
        let json = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
        let Some(token) = json["access_token"].as_str().filter(|_| status.is_success()) else {
            let why = match (json["error"].as_str(), json["error_description"].as_str()) {
                (Some(error), Some(more)) => format!("{error}: {more}"),
                (Some(error), None) => error.to_string(),
                _ if status.is_success() => "its answer has no `access_token`".into(),
                _ => shown(&text),
            };
            return Err(ActionError::Unreachable(format!(
                "the token endpoint {at} refuses the credentials of `{}`: {status}, {why}",
                who.label()
            )));
        };
        cx.secrets.add(&format!("{}.token", who.label()), token);
        let lasts = json["expires_in"].as_u64().or_else(|| json["expires_in"].as_str()?.parse().ok());
        Ok((Some(bearer(token)?), lasts.map(Duration::from_secs)))
    }
}

#[derive(PartialEq)]
enum Place {
    Header,
    Body,
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "header" => Ok(Place::Header),
            "body" => Ok(Place::Body),
            _ => Err(()),
        }
    }
}

impl Login {
    fn compile(body: &mut Body<'_>) -> Option<Login> {
        let request = Request::compile(body, &["token", "expires"]);
        let token = body.expression("token", answer::FIELDS);
        let expires = body.expression("expires", answer::FIELDS);
        Some(Login { request: request?, token, expires })
    }

    async fn fetch(&self, cx: &ActionContext<'_>, target: &HttpTarget, who: &Identity) -> Result<Fetched, ActionError> {
        let started = Started::now();
        let within = ActionContext {
            address: cx.address,
            run: cx.run,
            scope: cx.environment,
            environment: cx.environment,
            cancel: cx.cancel.clone(),
            secrets: cx.secrets,
            target: None,
            evidence: cx.evidence,
            sent: cx.sent,
        };
        let mut request = self.request.render(&within, target, |_| Ok(None)).await?;
        request.who = Some(who);
        if let Some(cookie) = who.jar.as_ref().and_then(|jar| jar.cookie(&request.url)) {
            request.headers.entry(COOKIE).or_insert(cookie);
        }
        let line = format!("{} {}", request.method, request.url);
        let response = exchange::aside(cx, target, &mut request, &format!("to log in as `{}`", who.label())).await?;
        let status = response.status();
        let output = answer::whole(response, started).await?;
        if status.is_client_error() || status.is_server_error() {
            let text = output.get("text").and_then(Value::as_str).unwrap_or_default();
            return Err(ActionError::Unreachable(format!(
                "the server refuses to log in `{}`: {line} answered {status}, {}",
                who.label(),
                shown(text)
            )));
        }
        let scope = cx.environment.with_all(&output);
        let wrong = |what: &str, e: &dyn std::fmt::Display| {
            ActionError::Unreachable(format!(
                "the log-in of `{}` by {line} answered {status}, and `{what}`: {e}",
                who.label()
            ))
        };
        let header = match &self.token {
            None => None,
            Some(e) => match e.eval(&scope).map_err(|e| wrong("token", &e))? {
                Value::Text(token) if !token.is_empty() => {
                    cx.secrets.add(&format!("{}.token", who.label()), &token);
                    Some(bearer(&token)?)
                }
                other => return Err(wrong("token", &format!("gave a {}, not a text", other.kind()))),
            },
        };
        let lasts = match &self.expires {
            None => None,
            Some(e) => {
                let value = e.eval(&scope).map_err(|e| wrong("expires", &e))?;
                Some(lasts(&value).ok_or_else(|| wrong("expires", &format!("gave {value}, which is no time")))?)
            }
        };
        Ok((header, lasts))
    }
}

/// How long from now: a duration, a time, a number of seconds from now, or one since 1970.
fn lasts(value: &Value) -> Option<Duration> {
    const EPOCH: f64 = 1e9;
    let left = |until: Timestamp| Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    match value {
        Value::Duration(d) => Duration::try_from(*d).ok(),
        Value::Time(t) => Some(left(*t)),
        Value::Text(s) => s.parse().ok().map(left),
        number => {
            let seconds = number.to_json().as_f64().filter(|s| *s >= 0.0)?;
            if seconds < EPOCH {
                return Some(Duration::from_secs_f64(seconds));
            }
            Timestamp::from_second(seconds as i64).ok().map(left)
        }
    }
}

fn shown(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { "without a word".into() } else { text[..text.floor_char_boundary(SHOWN)].to_string() }
}
