//! What an environment says about an HTTP server, and the one client that all cases share. Knows no request.
use super::{departure::Watched, headers::Headers};
use crate::{
    diagnostic::Diagnostic,
    executor::{Body, RunContext, StepError, Target, TargetSpec},
    expr::{Scope, Template},
    yaml::Kind,
};
use async_trait::async_trait;
use reqwest::{Certificate, Client, Url, header::HeaderMap, redirect::Policy};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const CONNECT: Duration = Duration::from_secs(5);
/// Shorter than servers keep an idle connection: one that they close just as a request leaves would look like their answer.
const IDLE: Duration = Duration::from_secs(4);

pub(super) struct Spec {
    url: Template,
    who: Identities,
    ca: Option<Template>,
    insecure: bool,
}

/// Who asks. `headers` are everybody's who names no identity.
#[derive(Clone, Default)]
struct Identities {
    headers: Headers,
    named: Vec<(String, Headers)>,
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
        body.keys(&[key, "headers", "identities", "ca", "insecure"]);
        let headers = Headers::compile(body, "headers");
        let mut named = vec![];
        if let Some(node) = body.get("identities").cloned() {
            if !matches!(node.kind, Kind::Map(_)) {
                body.problem(Diagnostic::error(
                    "wrong-type",
                    &node.span,
                    format!("a map is needed here, not {}", node.what()),
                ));
            }
            for (name, identity) in node.entries() {
                if name.key_text() == "none" {
                    let d =
                        Diagnostic::error("identity-none", &name.span, "`none` already means: without any identity");
                    body.problem(d);
                }
                let mut part = body.part(identity);
                if part.keys(&["headers"]) {
                    named.push((name.key_text(), Headers::compile(&mut part, "headers")));
                }
            }
        }
        let ca = body.template("ca");
        let insecure = body.literal("insecure", "`true` or `false`").unwrap_or(false);
        if body.get(key).is_none() {
            body.missing(key);
        }
        let url = body.template(key)?;
        if let (Some(text), Some(node)) = (url.as_literal(), body.get(key))
            && let Err(why) = base(text)
        {
            let d = Diagnostic::error("bad-url", &node.span.clone(), why);
            body.problem(d.help("an address like `https://api.example:8443`"));
        }
        Some(Spec { url, who: Identities { headers, named }, ca, insecure })
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
    async fn connect(&self, run: &RunContext, scope: &Scope) -> Result<Arc<dyn Target>, StepError> {
        let (base, url) = base(&self.url.render_text(scope)?).map_err(StepError::Invalid)?;
        // The client panics without one; whoever embeds the runner may not have chosen.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut builder = Client::builder()
            .user_agent(concat!("tp-runner/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .connector_layer(Watched)
            .pool_idle_timeout(IDLE);
        if loopback(&url) {
            builder = builder.no_proxy();
        }
        let mut trust = Trust { ca: None, insecure: self.insecure };
        if let Some(ca) = &self.ca {
            let path = run.dir.join(ca.render_text(scope)?);
            for certificate in certificates(&path)? {
                builder = builder.add_root_certificate(certificate);
            }
            trust.ca = Some(path);
        }
        if self.insecure {
            builder = builder.danger_accept_invalid_certs(true);
        }
        let client =
            builder.build().map_err(|e| StepError::Invalid(format!("no HTTP client: {}", super::send::chain(&e))))?;
        Ok(Arc::new(HttpTarget { client, base, url, who: self.who.clone(), trust }))
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

fn loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|h| h == "localhost" || h == "[::1]" || h.starts_with("127."))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, StepError> {
    let name = path.display();
    let pem =
        std::fs::read(path).map_err(|e| StepError::Invalid(format!("the CA file `{name}` cannot be read: {e}")))?;
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() {
        return Err(StepError::Invalid(format!("the CA file `{name}` holds no PEM certificate")));
    }
    Ok(found)
}

/// Whose certificates are accepted beyond those of the system.
pub(super) struct Trust {
    pub ca: Option<PathBuf>,
    pub insecure: bool,
}

pub(super) struct HttpTarget {
    pub client: Client,
    base: String,
    url: Url,
    who: Identities,
    pub trust: Trust,
}

impl Target for HttpTarget {}

impl HttpTarget {
    /// A path on this server, or any absolute URL as it is.
    pub fn resolve(&self, text: &str) -> Result<Url, StepError> {
        let parsed = if absolute(text) {
            Url::parse(text)
        } else {
            let slash = if text.starts_with(['/', '?']) { "" } else { "/" };
            Url::parse(&[&self.base, slash, text].concat())
        };
        parsed.map_err(|e| StepError::Invalid(format!("`{text}` is neither a path nor a URL: {e}")))
    }

    /// The headers of whoever asks. Without an `identity` they go to this server alone: a URL elsewhere must not get its token.
    pub fn identify(
        &self,
        identity: Option<&str>,
        url: &Url,
        environment: &Scope,
        onto: &mut HeaderMap,
    ) -> Result<(), StepError> {
        let headers = match identity {
            Some("none") => return Ok(()),
            Some(name) => self.who.named.iter().find(|(n, _)| n == name).map(|(_, h)| h).ok_or_else(|| {
                let known: Vec<_> = self.who.named.iter().map(|(n, _)| format!("`{n}`")).collect();
                let known =
                    if known.is_empty() { "it names none".into() } else { format!("it has {}", known.join(", ")) };
                StepError::Invalid(format!("the target has no identity `{name}`: {known}, and `none` is always there"))
            })?,
            None if url.origin() != self.url.origin() => return Ok(()),
            None => &self.who.headers,
        };
        headers.lay(environment, onto)
    }
}

fn absolute(text: &str) -> bool {
    ["http://", "https://"].iter().any(|s| text.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
}
