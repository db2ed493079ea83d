//! The body of `http`: read when the plan is read, filled in when it is performed. Sends nothing.
use super::{headers::Headers, target::HttpTarget};
use crate::{
    diagnostic::{Diagnostic, nearest},
    executor::{Body, StepContext, StepError},
    expr::{Template, Tree},
    value::Value,
    yaml::{Kind, Node},
};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use std::path::PathBuf;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
const KEYS: [&str; 9] = ["request", "query", "headers", "json", "form", "multipart", "text", "file", "identity"];
const CONTENTS: [&str; 5] = ["json", "form", "multipart", "text", "file"];
/// Larger files are refused: they are held in memory.
const LARGEST_FILE: u64 = 256 << 20;

pub(super) struct Request {
    method: Method,
    /// The whole of `request`, method included: a template cannot be cut.
    line: Template,
    query: Vec<(String, Tree)>,
    headers: Headers,
    content: Option<Content>,
    identity: Option<Template>,
}

enum Content {
    Json(Tree),
    Form(Vec<(String, Tree)>),
    Multipart(Vec<(String, PartSpec)>),
    Text(Template),
    File(Template),
}

struct PartSpec {
    value: Tree,
    /// Whether the value is the path of a file.
    file: bool,
    filename: Option<Template>,
    mime: Option<Template>,
}

impl Request {
    pub fn compile(body: &mut Body<'_>) -> Option<Request> {
        let errors = body.problems.errors();
        if !body.keys(&KEYS) && !matches!(body.node.kind, Kind::Map(_)) {
            return None;
        }
        let line = line(body);
        let query = body.pairs("query");
        let headers = Headers::compile(body, "headers");
        let content = content(body);
        let identity = body.template("identity");
        let (method, line) = line?;
        (body.problems.errors() == errors).then_some(Request { method, line, query, headers, content, identity })
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    pub fn summary(&self) -> String {
        self.line.source()
    }

    pub async fn render(&self, cx: &StepContext<'_>, target: &HttpTarget) -> Result<Prepared, StepError> {
        let line = cx.render_text(&self.line)?;
        let path = line.trim_start().get(self.method.as_str().len()..).unwrap_or_default().trim();
        if path.is_empty() {
            return Err(StepError::Invalid(format!("`{}` gave neither a path nor a URL", self.line.source())));
        }
        let mut url = target.resolve(path)?;
        let query = flat("query", &self.query, cx)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let identity = self.identity.as_ref().map(|t| cx.render_text(t)).transpose()?;
        let mut headers = HeaderMap::new();
        let content = self.content(cx, &mut headers).await?;
        target.identify(identity.as_deref(), &url, cx.environment, &mut headers)?;
        self.headers.lay(cx.scope, &mut headers)?;
        Ok(Prepared { method: self.method.clone(), url, headers, content })
    }

    async fn content(&self, cx: &StepContext<'_>, headers: &mut HeaderMap) -> Result<Sent, StepError> {
        let mut is = |mime: &'static str| headers.insert(CONTENT_TYPE, HeaderValue::from_static(mime));
        Ok(match &self.content {
            None => Sent::Nothing,
            Some(Content::Json(tree)) => {
                is("application/json");
                Sent::Text(cx.render_tree(tree)?.to_json().to_string())
            }
            Some(Content::Form(pairs)) => {
                is("application/x-www-form-urlencoded");
                let mut url = Url::parse("http://form").map_err(|e| StepError::Invalid(e.to_string()))?;
                url.query_pairs_mut().extend_pairs(flat("form", pairs, cx)?);
                Sent::Text(url.query().unwrap_or_default().to_string())
            }
            Some(Content::Text(t)) => {
                is("text/plain; charset=utf-8");
                Sent::Text(cx.render_text(t)?)
            }
            Some(Content::File(t)) => {
                is("application/octet-stream");
                let (path, bytes) = read(cx, &cx.render_text(t)?).await?;
                Sent::File { path, bytes }
            }
            Some(Content::Multipart(specs)) => {
                let mut parts = vec![];
                for (name, spec) in specs {
                    part(name, spec, cx, &mut parts).await?;
                }
                Sent::Multipart(parts)
            }
        })
    }
}

/// `METHOD path-or-URL`.
fn line(body: &mut Body<'_>) -> Option<(Method, Template)> {
    let Some(node) = body.get("request").cloned() else {
        body.missing("request");
        return None;
    };
    let template = body.template_of(&node)?;
    let form = "`METHOD path-or-URL`, for example `GET /health`";
    let Some(text) = node.as_str() else {
        body.problem(Diagnostic::error("wrong-type", &node.span, "`request` must be a text").help(form));
        return None;
    };
    let start = text.len() - text.trim_start().len();
    let word = text[start..].split_whitespace().next().unwrap_or_default();
    let at = node.inner(start..start + word.len());
    if word.is_empty() || word.starts_with(['/', '$']) || word.contains("://") {
        body.problem(Diagnostic::error("method-missing", &at, "`request` begins with no method").help(form));
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
        let d = Diagnostic::error("path-missing", &at, format!("a path or a URL is missing after `{word}`"));
        body.problem(d.help(form));
        return None;
    }
    Some((Method::from_bytes(word.as_bytes()).ok()?, template))
}

fn content(body: &mut Body<'_>) -> Option<Content> {
    let node = body.node;
    let mut there = node.entries().iter().filter(|(k, _)| k.as_str().is_some_and(|k| CONTENTS.contains(&k)));
    let (key, value) = there.next()?;
    let first = key.as_str()?;
    for (second, _) in there.filter(|(k, _)| k.as_str() != Some(first)) {
        let message =
            format!("a request has one body: `{first}` is here already, so `{}` cannot be", second.key_text());
        body.problem(Diagnostic::error("two-bodies", &second.span, message));
    }
    Some(match first {
        "json" => Content::Json(body.tree_of(value)),
        "form" => Content::Form(body.pairs("form")),
        "text" => Content::Text(body.template_of(value)?),
        "file" => Content::File(body.template_of(value)?),
        _ => Content::Multipart(multipart(body, value)),
    })
}

fn multipart(body: &mut Body<'_>, node: &Node) -> Vec<(String, PartSpec)> {
    if !matches!(node.kind, Kind::Map(_)) {
        body.problem(Diagnostic::error("wrong-type", &node.span, format!("a map is needed here, not {}", node.what())));
    }
    let mut parts = vec![];
    for (name, value) in node.entries() {
        let mut body = body.part(value);
        if !matches!(value.kind, Kind::Map(_)) {
            let spec = PartSpec { value: body.tree_of(value), file: false, filename: None, mime: None };
            parts.push((name.key_text(), spec));
            continue;
        }
        let known = body.keys(&["text", "file", "filename", "type"]);
        let (filename, mime) = (body.template("filename"), body.template("type"));
        match (body.tree("text"), body.tree("file")) {
            (Some(value), None) => parts.push((name.key_text(), PartSpec { value, file: false, filename, mime })),
            (None, Some(value)) => parts.push((name.key_text(), PartSpec { value, file: true, filename, mime })),
            _ if !known => {}
            _ => {
                let d = Diagnostic::error("wrong-part", &value.span, "a part has either `text` or `file`");
                body.problem(d);
            }
        }
    }
    parts
}

/// Names and texts: a list repeats its name, `null` leaves it out.
fn flat(of: &str, pairs: &[(String, Tree)], cx: &StepContext<'_>) -> Result<Vec<(String, String)>, StepError> {
    let mut out = Vec::with_capacity(pairs.len());
    for (name, tree) in pairs {
        let value = cx.render_tree(tree)?;
        let values = match &value {
            Value::List(items) => &items[..],
            one => std::slice::from_ref(one),
        };
        for v in values {
            match v {
                Value::Null => {}
                Value::Map(_) | Value::List(_) => {
                    let kind = v.kind();
                    return Err(StepError::Invalid(format!(
                        "`{of}.{name}` holds a {kind}; only plain values can stand there"
                    )));
                }
                v => out.push((name.clone(), v.to_string())),
            }
        }
    }
    Ok(out)
}

async fn part(name: &str, spec: &PartSpec, cx: &StepContext<'_>, out: &mut Vec<Part>) -> Result<(), StepError> {
    let mime = spec.mime.as_ref().map(|t| cx.render_text(t)).transpose()?;
    let filename = spec.filename.as_ref().map(|t| cx.render_text(t)).transpose()?;
    let value = cx.render_tree(&spec.value)?;
    if spec.file {
        let (path, bytes) = read(cx, &value.to_string()).await?;
        let own = || path.file_name().map(|n| n.to_string_lossy().into_owned());
        let filename = filename.or_else(own);
        out.push(Part { name: name.into(), bytes, file: Some(path), filename, mime });
        return Ok(());
    }
    let values = match &value {
        Value::List(items) => &items[..],
        one => std::slice::from_ref(one),
    };
    for v in values.iter().filter(|v| **v != Value::Null) {
        let (filename, mime) = (filename.clone(), mime.clone());
        out.push(Part { name: name.into(), bytes: v.to_string().into_bytes(), file: None, filename, mime });
    }
    Ok(())
}

async fn read(cx: &StepContext<'_>, path: &str) -> Result<(PathBuf, Vec<u8>), StepError> {
    let path = cx.run.dir.join(path);
    let why = |e: std::io::Error| StepError::Invalid(format!("the file `{}` cannot be read: {e}", path.display()));
    let size = tokio::fs::metadata(&path).await.map_err(why)?.len();
    if size > LARGEST_FILE {
        return Err(StepError::Invalid(format!("the file `{}` is larger than 256 MiB", path.display())));
    }
    let bytes = tokio::fs::read(&path).await.map_err(why)?;
    Ok((path, bytes))
}

/// A request with nothing left to fill in.
pub(super) struct Prepared {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub content: Sent,
}

pub(super) enum Sent {
    Nothing,
    Text(String),
    File { path: PathBuf, bytes: Vec<u8> },
    Multipart(Vec<Part>),
}

pub(super) struct Part {
    pub name: String,
    pub bytes: Vec<u8>,
    /// Where it was read from.
    pub file: Option<PathBuf>,
    pub filename: Option<String>,
    pub mime: Option<String>,
}
