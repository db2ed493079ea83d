//! The request of an action or of a login: compiled with the plan, rendered when it is performed.
use super::{
    endpoint::{Endpoint, scheme},
    headers::Headers,
    prepared_request::PreparedRequest,
    request_body::{self, BodyTemplate, RequestBody, render_pairs},
    request_target,
};
use crate::{
    diagnostic::{Diagnostic, nearest},
    executor::{ActionContext, ActionError, Body},
    expr::{Template, Tree},
    language::{Key, Shape, VALUES},
    yaml::{Kind, Node},
};
use reqwest::{Method, Url, header::HeaderMap};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
pub(super) const KEYS: [Key; 3] =
    [Key::new("request", Shape::Text).required(), Key::new("query", VALUES), Key::new("headers", VALUES)];
const REQUEST_FORM: &str = "`METHOD path-or-URL`, for example `GET /status`";

pub(super) struct Request {
    pub method: Method,
    /// All of `request`, with the method: a template cannot be split.
    line: Template,
    query: Vec<(String, Tree)>,
    /// They override all others, so they are applied after the credentials.
    pub headers: Headers,
    body: Option<BodyTemplate>,
}

impl Request {
    /// `more_keys`: the keys that are allowed beside those of a request.
    pub fn compile(body: &mut Body<'_>, more_keys: &[&[Key]]) -> Option<Request> {
        let keys = [&[&KEYS[..], &request_body::KEYS], more_keys].concat();
        if !body.only(&keys) && !matches!(body.node.kind, Kind::Map(_)) {
            return None;
        }
        let line = compile_line(body);
        let query = body.pairs("query");
        let headers = Headers::compile(body, "headers");
        let template = BodyTemplate::compile(body);
        let (method, line) = line?;
        Some(Request { method, line, query, headers, body: template })
    }

    pub fn summary(&self) -> String {
        self.line.source()
    }

    /// Renders everything but `headers`.
    pub async fn render(&self, cx: &ActionContext<'_>, endpoint: &Endpoint) -> Result<PreparedRequest, ActionError> {
        let is_undo = cx.address.is_in("undo");
        let target = request_target::render(&self.line, self.method.as_str(), cx.scope, is_undo)?;
        let mut url = endpoint.resolve(&target)?;
        if is_undo {
            request_target::check_undo_query(&self.query, cx.scope)?;
        }
        let query = render_pairs("query", &self.query, cx)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = HeaderMap::new();
        let body = match &self.body {
            Some(template) => template.render(cx, &mut headers).await?,
            None => RequestBody::Empty,
        };
        Ok(PreparedRequest { method: self.method.clone(), url, headers, body })
    }
}

/// Compiles `METHOD path-or-URL`.
fn compile_line(body: &mut Body<'_>) -> Option<(Method, Template)> {
    let node = body.required("request")?;
    let template = body.template_of(node)?;
    let Some(text) = node.as_str() else {
        let d = Diagnostic::error("wrong-type", &node.span, "`request` must be a string");
        body.problem(d.help(REQUEST_FORM));
        return None;
    };
    let start = text.len() - text.trim_start().len();
    let word = text[start..].split_whitespace().next().unwrap_or_default();
    let at = node.inner(start..start + word.len());
    if word.is_empty() || word.starts_with(['/', '$']) || word.contains("://") {
        let d = Diagnostic::error("missing-method", &at, "expected a method at the beginning of `request`");
        body.problem(d.help(REQUEST_FORM));
        return None;
    }
    if !METHODS.contains(&word) {
        let d = Diagnostic::error("unknown-method", &at, format!("unknown method `{word}`"));
        body.problem(match nearest(&word.to_uppercase(), METHODS) {
            Some(near) => d.help(format!("did you mean `{near}`?")),
            None => d.help(format!("methods: {}", METHODS.map(|m| format!("`{m}`")).join(", "))),
        });
        return None;
    }
    if text[start + word.len()..].trim().is_empty() {
        let d = Diagnostic::error("missing-path", &at, format!("expected a path or a URL after `{word}`"));
        body.problem(d.help(REQUEST_FORM));
        return None;
    }
    if let Some(at) = find_fragment(text) {
        let d = Diagnostic::error("fragment-in-path", &node.inner(at..text.len()), "a fragment is never sent");
        body.problem(d.help("remove it, or write `%23` for the character `#`"));
        return None;
    }
    let address = text[start + word.len()..].trim_start();
    if !address.starts_with(['/', '?', '$', '.', '%']) && scheme(address).is_none() {
        let at = start + word.len() + text[start + word.len()..].len() - address.len();
        let d =
            Diagnostic::warning("relative-path", &node.inner(at..text.len()), "a path without a `/` at its beginning");
        let written = format!("/{address}");
        body.problem(d.help(format!("write `{word} {written}`")).replace_with(written));
    }
    check_host(body, node, address);
    Some((Method::from_bytes(word.as_bytes()).ok()?, template))
}

/// Reports the host of a URL that is known before the run, and refused.
fn check_host(body: &mut Body<'_>, node: &Node, address: &str) {
    let Some(scheme) = scheme(address) else { return };
    let end = address[scheme.len()..].find(['/', '?', '\\']).map_or(address.len(), |i| scheme.len() + i);
    // the scheme of a WebSocket has the same default port
    let url = Url::parse(&address[..end]).ok().filter(|_| !address[..end].contains("${"));
    if let Some(Err(refused)) = url.map(|url| body.access.check_host(&url)) {
        body.error("not-allowed", &node.span, refused.message, refused.help);
    }
}

/// The first `#` outside placeholders.
fn find_fragment(text: &str) -> Option<usize> {
    text.match_indices('#').map(|(i, _)| i).find(|i| match text[..*i].rsplit_once("${") {
        Some((_, inside)) => inside.contains('}'),
        None => true,
    })
}
