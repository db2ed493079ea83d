//! The body of `http`: read when the plan is read, filled in when it is performed. Sends nothing.
use super::{
    content::{self, Content, Sent, flat},
    headers::Headers,
    identity::{Identity, Proof},
    reading::Reading,
    target::HttpTarget,
};
use crate::{
    diagnostic::{Diagnostic, nearest},
    executor::{ActionContext, ActionError, Body},
    expr::{Template, Tree},
    yaml::Kind,
};
use reqwest::{Method, Url, header::HeaderMap};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
/// What any request may have, one that logs in too.
const KEYS: [&str; 3] = ["request", "query", "headers"];

pub(super) struct Request {
    method: Method,
    /// The whole of `request`, method included: a template cannot be cut.
    line: Template,
    query: Vec<(String, Tree)>,
    headers: Headers,
    content: Option<Content>,
}

/// A request with nothing left to fill in.
pub(super) struct Prepared<'t> {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub content: Sent,
    /// Who asks.
    pub who: Option<&'t Identity>,
    /// What of it the target itself has seen to, and may renew.
    pub proof: Proof,
}

/// An action: a request, who asks it, and what is read of the answer.
pub(super) struct Ask {
    pub request: Request,
    identity: Option<Template>,
    pub reading: Reading,
}

impl Ask {
    pub fn compile(body: &mut Body<'_>) -> Option<Ask> {
        let errors = body.problems.errors();
        let request = Request::compile(body, &[&["identity"], &Reading::KEYS[..]].concat());
        let identity = body.template("identity");
        let reading = Reading::compile(body);
        let request = request?;
        if reading.is_socket() && request.method != Method::GET {
            let (span, method) = (body.get("request")?.span.clone(), &request.method);
            let message = format!("`messages` opens a WebSocket, and that is asked for by `GET`, not `{method}`");
            body.problem(Diagnostic::error("websocket-method", &span, message));
        }
        (body.problems.errors() == errors).then_some(Ask { request, identity, reading })
    }

    pub async fn render<'t>(
        &self,
        cx: &ActionContext<'_>,
        target: &'t HttpTarget,
    ) -> Result<Prepared<'t>, ActionError> {
        let identity = self.identity.as_ref().map(|t| cx.render_text(t)).transpose()?;
        self.request.render(cx, target, |url| target.who(identity.as_deref(), url)).await
    }
}

impl Request {
    pub fn compile(body: &mut Body<'_>, beside: &[&str]) -> Option<Request> {
        let errors = body.problems.errors();
        let known = [&KEYS, &content::KEYS[..], beside].concat();
        if !body.keys(&known) && !matches!(body.node.kind, Kind::Map(_)) {
            return None;
        }
        let line = line(body);
        let query = body.pairs("query");
        let headers = Headers::compile(body, "headers");
        let content = Content::compile(body);
        let (method, line) = line?;
        (body.problems.errors() == errors).then_some(Request { method, line, query, headers, content })
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    pub fn summary(&self) -> String {
        self.line.source()
    }

    /// `who` says who asks at a URL.
    pub async fn render<'t>(
        &self,
        cx: &ActionContext<'_>,
        target: &'t HttpTarget,
        who: impl FnOnce(&Url) -> Result<Option<&'t Identity>, ActionError>,
    ) -> Result<Prepared<'t>, ActionError> {
        let line = cx.render_text(&self.line)?;
        let path = line.trim_start().get(self.method.as_str().len()..).unwrap_or_default().trim();
        if path.is_empty() {
            return Err(ActionError::Invalid(format!("`{}` gave neither a path nor a URL", self.line.source())));
        }
        let mut url = target.resolve(path)?;
        let query = flat("query", &self.query, cx)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let who = who(&url)?;
        let mut headers = HeaderMap::new();
        let content = match &self.content {
            Some(content) => content.render(cx, &mut headers).await?,
            None => Sent::Nothing,
        };
        let mut proof = Proof::default();
        if let Some(who) = who {
            proof = who.sign(cx, target, &self.method, &url, &mut headers).await?;
        }
        self.headers.lay(cx.scope, &mut headers)?;
        // what the plan says itself is the plan's
        proof.stands(&headers);
        Ok(Prepared { method: self.method.clone(), url, headers, content, who, proof })
    }
}

/// `METHOD path-or-URL`.
fn line(body: &mut Body<'_>) -> Option<(Method, Template)> {
    let Some(node) = body.get("request").cloned() else {
        body.missing("request");
        return None;
    };
    let template = body.template_of(&node)?;
    let form = "`METHOD path-or-URL`, for example `GET /status`";
    let Some(text) = node.as_str() else {
        body.problem(Diagnostic::error("wrong-type", &node.span, "`request` must be a text").help(form));
        return None;
    };
    let start = text.len() - text.trim_start().len();
    let word = text[start..].split_whitespace().next().unwrap_or_default();
    let at = node.inner(start..start + word.len());
    if word.is_empty() || word.starts_with(['/', '$']) || word.contains("://") {
        body.problem(Diagnostic::error("missing-method", &at, "`request` begins with no method").help(form));
        return None;
    }
    if !METHODS.contains(&word) {
        let d = Diagnostic::error("unknown-method", &at, format!("`{word}` is no method"));
        body.problem(match nearest(&word.to_uppercase(), METHODS) {
            Some(near) => d.help(format!("did you mean `{near}`?")),
            None => d.help(format!("known here: {}", METHODS.map(|m| format!("`{m}`")).join(", "))),
        });
        return None;
    }
    if text[start + word.len()..].trim().is_empty() {
        let d = Diagnostic::error("missing-path", &at, format!("a path or a URL is missing after `{word}`"));
        body.problem(d.help(form));
        return None;
    }
    Some((Method::from_bytes(word.as_bytes()).ok()?, template))
}
