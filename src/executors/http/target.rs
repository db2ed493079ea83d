//! What an environment says about an HTTP server, and what all cases share of it. Knows no request.
use super::{
    connection::{self, Connection, Protocol},
    identity::{self, Identity},
    probe, tls,
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, Need, ProbeResult, RunInfo, Target, TargetSpec},
    expr::{Scope, Template},
    yaml::Kind,
};
use async_trait::async_trait;
use reqwest::{Client, Url};
use std::sync::{Arc, OnceLock};

pub(super) struct Spec {
    url: Template,
    connection: connection::Spec,
    /// Who asks where no identity is named, then those with a name.
    who: Vec<Arc<identity::Spec>>,
}

impl Spec {
    /// `http: URL` with its settings beside it, or `http: { url: URL, … }` with its settings within.
    pub fn compile(body: &mut Body<'_>) -> Option<Spec> {
        let errors = body.problems.errors();
        let inner = body.get("http").filter(|n| matches!(n.kind, Kind::Map(_))).cloned();
        let spec = match inner {
            Some(node) => {
                body.keys(&["http"]);
                Spec::settings(&mut body.part(&node), "url")
            }
            None => Spec::settings(body, "http"),
        }?;
        (body.problems.errors() == errors).then_some(spec)
    }

    fn settings(body: &mut Body<'_>, key: &'static str) -> Option<Spec> {
        let known = [&[key, "identities"], &connection::KEYS[..], &tls::KEYS, &identity::KEYS].concat();
        body.keys(&known);
        let mut who = vec![Arc::new(identity::Spec::compile(None, body))];
        if let Some(node) = body.get("identities").cloned() {
            if !matches!(node.kind, Kind::Map(_)) {
                let message = format!("a map is needed here, not {}", node.what());
                body.problem(Diagnostic::error("wrong-type", &node.span, message));
            }
            for (name, node) in node.entries() {
                if name.key_text() == "none" {
                    let message = "`none` already means: without any identity";
                    body.problem(Diagnostic::error("reserved-identity", &name.span, message));
                }
                let mut part = body.part(node);
                if part.keys(&[&identity::KEYS[..], &tls::PAIR].concat()) {
                    who.push(Arc::new(identity::Spec::compile(Some(name.key_text()), &mut part)));
                }
            }
        }
        let connection = connection::Spec::compile(body);
        if body.get(key).is_none() {
            body.missing(key);
        }
        let url = body.template(key)?;
        if let (Some(text), Some(node)) = (url.as_literal(), body.get(key))
            && let Err(why) = base(text)
        {
            let d = Diagnostic::error("invalid-url", &node.span.clone(), why);
            body.problem(d.help("an address like `https://api.example:8443`"));
        }
        Some(Spec { url, connection, who })
    }
}

/// The text of a base address without its last `/`, and the same parsed. `Err` is a sentence.
fn base(text: &str) -> Result<(String, Url), String> {
    let text = text.trim().trim_end_matches('/');
    let url = Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
    match url.scheme() {
        "http" | "https" if url.query().is_some() => Err("the address of a target has no query".into()),
        "http" | "https" => Ok((text.to_string(), url)),
        other => Err(format!("`{other}` is no scheme that `http` speaks; `http` and `https` are")),
    }
}

#[async_trait]
impl TargetSpec for Spec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        let (base, url) = base(&self.url.render_text(scope)?).map_err(ActionError::Invalid)?;
        if let Some(password) = url.password() {
            scope.secrets().add("password", password);
        }
        let connection = self.connection.read(run, scope, &url)?;
        let client = connection.client(None, connection.protocol)?;
        let mut who = vec![];
        for spec in &self.who {
            who.push(Identity::open(spec.clone(), run, scope, &connection)?);
        }
        Ok(Arc::new(HttpTarget {
            client,
            socket_client: OnceLock::new(),
            connection,
            base,
            url,
            who,
            run: run.clone(),
        }))
    }

    fn address(&self) -> String {
        let text = self.url.source();
        match Url::parse(&text) {
            Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
                let _ = (url.set_username(""), url.set_password(None));
                url.to_string().trim_end_matches('/').to_string()
            }
            _ => text,
        }
    }
}

pub(super) struct HttpTarget {
    client: Client,
    /// A WebSocket begins in HTTP/1.1.
    socket_client: OnceLock<Client>,
    pub connection: Connection,
    base: String,
    url: Url,
    who: Vec<Identity>,
    /// As they were when it was connected; for `probe`.
    run: RunInfo,
}

#[async_trait]
impl Target for HttpTarget {
    async fn probe(&self, _: &[Need], environment: &Scope) -> Vec<ProbeResult> {
        probe::everybody(self, &self.run, environment).await
    }
}

impl HttpTarget {
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn everybody(&self) -> &[Identity] {
        &self.who
    }

    /// The client of whoever asks.
    pub fn client<'t>(&'t self, who: Option<&'t Identity>) -> &'t Client {
        who.and_then(Identity::client).unwrap_or(&self.client)
    }

    pub fn socket_client(&self, who: Option<&Identity>) -> Result<Client, ActionError> {
        if let Some(pair) = who.and_then(Identity::pair) {
            return self.connection.client(Some(pair), Protocol::Http1);
        }
        match self.socket_client.get() {
            Some(client) => Ok(client.clone()),
            None => {
                let client = self.connection.client(None, Protocol::Http1)?;
                Ok(self.socket_client.get_or_init(|| client).clone())
            }
        }
    }

    /// A path on this server, or any absolute URL as it is.
    pub fn resolve(&self, text: &str) -> Result<Url, ActionError> {
        let parsed = if absolute(text, ["http://", "https://"]) {
            Url::parse(text)
        } else if absolute(text, ["ws://", "wss://"]) {
            Url::parse(&format!("http{}", &text[2..]))
        } else {
            let slash = if text.starts_with(['/', '?']) { "" } else { "/" };
            Url::parse(&[&self.base, slash, text].concat())
        };
        parsed.map_err(|e| ActionError::Invalid(format!("`{text}` is neither a path nor a URL: {e}")))
    }

    /// Who asks. Without an `identity` the target's own stands for this server alone: a URL elsewhere must not get its token.
    pub fn who(&self, identity: Option<&str>, url: &Url) -> Result<Option<&Identity>, ActionError> {
        match identity {
            Some("none") => Ok(None),
            Some(name) => self.who.iter().find(|w| w.name() == Some(name)).map(Some).ok_or_else(|| {
                let known: Vec<_> = self.who.iter().filter_map(Identity::name).map(|n| format!("`{n}`")).collect();
                let known =
                    if known.is_empty() { "it names none".into() } else { format!("it has {}", known.join(", ")) };
                ActionError::Invalid(format!(
                    "the target has no identity `{name}`: {known}, and `none` is always there"
                ))
            }),
            None if url.origin() != self.url.origin() => Ok(None),
            None => Ok(self.who.first()),
        }
    }
}

fn absolute(text: &str, schemes: [&str; 2]) -> bool {
    schemes.iter().any(|s| text.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
}
