//! What a request carries: read when the plan is read, filled in when it is performed. Knows neither URL nor server.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body},
    expr::{Template, Tree},
    value::Value,
    yaml::{Kind, Node},
};
use axum::body::Bytes;
use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
    multipart,
};
use std::{fmt::Write, path::PathBuf};

pub(super) const KEYS: [&str; 5] = ["json", "form", "multipart", "text", "file"];
/// Larger files are refused: they are held in memory.
const LARGEST_FILE: u64 = 256 << 20;
/// How much of it evidence shows.
const SHOWN: usize = 64 << 10;

pub(super) enum Content {
    Json(Tree),
    Form(Vec<(String, Tree)>),
    Multipart(Vec<(String, PartSpec)>),
    Text(Template),
    File(Template),
}

pub(super) struct PartSpec {
    value: Tree,
    /// Whether the value is the path of a file.
    file: bool,
    filename: Option<Template>,
    mime: Option<Template>,
}

/// With nothing left to fill in. Cheap to clone where it is large.
#[derive(Clone)]
pub(super) enum Sent {
    Nothing,
    Text(String),
    File { path: PathBuf, bytes: Bytes },
    Multipart(Vec<Part>),
}

#[derive(Clone)]
pub(super) struct Part {
    pub name: String,
    pub bytes: Bytes,
    /// Where it was read from.
    pub file: Option<PathBuf>,
    pub filename: Option<String>,
    pub mime: Option<String>,
}

impl Content {
    pub fn compile(body: &mut Body<'_>) -> Option<Content> {
        let node = body.node;
        let mut there = node.entries().iter().filter(|(k, _)| k.as_str().is_some_and(|k| KEYS.contains(&k)));
        let (key, value) = there.next()?;
        let first = key.as_str()?;
        for (second, _) in there.filter(|(k, _)| k.as_str() != Some(first)) {
            let message =
                format!("a request has one body: `{first}` is here already, so `{}` cannot be", second.key_text());
            body.problem(Diagnostic::error("multiple-bodies", &second.span, message));
        }
        Some(match first {
            "json" => Content::Json(body.tree_of(value)),
            "form" => Content::Form(body.pairs("form")),
            "text" => Content::Text(body.template_of(value)?),
            "file" => Content::File(body.template_of(value)?),
            _ => Content::Multipart(parts(body, value)),
        })
    }

    /// Sets `Content-Type` in `headers`.
    pub async fn render(&self, cx: &ActionContext<'_>, headers: &mut HeaderMap) -> Result<Sent, ActionError> {
        let mut is = |mime: &'static str| headers.insert(CONTENT_TYPE, HeaderValue::from_static(mime));
        Ok(match self {
            Content::Json(tree) => {
                is("application/json");
                Sent::Text(cx.render_tree(tree)?.to_json().to_string())
            }
            Content::Form(pairs) => {
                is("application/x-www-form-urlencoded");
                Sent::Text(encoded(flat("form", pairs, cx)?))
            }
            Content::Text(t) => {
                is("text/plain; charset=utf-8");
                Sent::Text(cx.render_text(t)?)
            }
            Content::File(t) => {
                is("application/octet-stream");
                let (path, bytes) = read(cx, &cx.render_text(t)?).await?;
                Sent::File { path, bytes }
            }
            Content::Multipart(specs) => {
                let mut parts = vec![];
                for (name, spec) in specs {
                    part(name, spec, cx, &mut parts).await?;
                }
                Sent::Multipart(parts)
            }
        })
    }
}

impl Sent {
    /// The bytes that a signature covers; `None` where they are known only on the wire.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Sent::Nothing => Some(&[]),
            Sent::Text(text) => Some(text.as_bytes()),
            Sent::File { bytes, .. } => Some(bytes),
            Sent::Multipart(_) => None,
        }
    }

    /// As evidence shows it.
    pub fn show(&self, out: &mut String) {
        match self {
            Sent::Nothing => {}
            Sent::Text(text) => {
                out.push('\n');
                out.push_str(&text[..text.floor_char_boundary(SHOWN)]);
            }
            Sent::File { path, bytes } => {
                let _ = write!(out, "\n(the {} bytes of {})", bytes.len(), path.display());
            }
            Sent::Multipart(parts) => {
                for p in parts {
                    let _ = match &p.file {
                        Some(path) => write!(out, "\n{}: (the {} bytes of {})", p.name, p.bytes.len(), path.display()),
                        None => write!(out, "\n{}: {}", p.name, String::from_utf8_lossy(&p.bytes)),
                    };
                }
            }
        }
    }
}

/// As a browser writes a form or a query.
pub(super) fn encoded(pairs: Vec<(String, String)>) -> String {
    let mut url = Url::parse("http://form").expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_string()
}

pub(super) fn form(parts: Vec<Part>) -> Result<multipart::Form, ActionError> {
    let mut form = multipart::Form::new();
    for p in parts {
        let mut part = multipart::Part::stream(reqwest::Body::from(p.bytes));
        if let Some(name) = p.filename {
            part = part.file_name(name);
        }
        if let Some(mime) = p.mime {
            let why = |_| ActionError::Invalid(format!("`{mime}` is no media type"));
            part = part.mime_str(&mime).map_err(why)?;
        }
        form = form.part(p.name, part);
    }
    Ok(form)
}

fn parts(body: &mut Body<'_>, node: &Node) -> Vec<(String, PartSpec)> {
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
                let d = Diagnostic::error("invalid-part", &value.span, "a part has either `text` or `file`");
                body.problem(d);
            }
        }
    }
    parts
}

/// Names and texts: a list repeats its name, `null` leaves it out.
pub(super) fn flat(
    of: &str,
    pairs: &[(String, Tree)],
    cx: &ActionContext<'_>,
) -> Result<Vec<(String, String)>, ActionError> {
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
                    return Err(ActionError::Invalid(format!(
                        "`{of}.{name}` holds a {kind}; only plain values can stand there"
                    )));
                }
                v => out.push((name.clone(), v.to_string())),
            }
        }
    }
    Ok(out)
}

async fn part(name: &str, spec: &PartSpec, cx: &ActionContext<'_>, out: &mut Vec<Part>) -> Result<(), ActionError> {
    let mime = spec.mime.as_ref().map(|t| cx.render_text(t)).transpose()?;
    let filename = spec.filename.as_ref().map(|t| cx.render_text(t)).transpose()?;
    let value = cx.render_tree(&spec.value)?;
    let values = match &value {
        Value::List(items) => &items[..],
        one => std::slice::from_ref(one),
    };
    for v in values.iter().filter(|v| **v != Value::Null) {
        let (filename, mime) = (filename.clone(), mime.clone());
        if spec.file {
            let (path, bytes) = read(cx, &v.to_string()).await?;
            let own = || path.file_name().map(|n| n.to_string_lossy().into_owned());
            let filename = filename.or_else(own);
            out.push(Part { name: name.into(), bytes, file: Some(path), filename, mime });
        } else {
            let bytes = Bytes::from(v.to_string());
            out.push(Part { name: name.into(), bytes, file: None, filename, mime });
        }
    }
    Ok(())
}

async fn read(cx: &ActionContext<'_>, path: &str) -> Result<(PathBuf, Bytes), ActionError> {
    let path = cx.run.dir.join(path);
    let why = |e: std::io::Error| ActionError::Invalid(format!("the file `{}` cannot be read: {e}", path.display()));
    let size = tokio::fs::metadata(&path).await.map_err(why)?.len();
    if size > LARGEST_FILE {
        return Err(ActionError::Invalid(format!("the file `{}` is larger than 256 MiB", path.display())));
    }
    let bytes = tokio::fs::read(&path).await.map_err(why)?;
    Ok((path, bytes.into()))
}
