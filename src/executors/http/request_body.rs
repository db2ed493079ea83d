//! The body of a request: compiled with the plan, rendered before each request.
use crate::{
    access::AccessRules,
    diagnostic::Diagnostic,
    executor::{ActionContext, ActionError, Body, FilePath},
    executors::processing::read_file_up_to,
    expr::{Template, Tree},
    language::{Key, Shape, VALUES},
    value::{Value, json},
    yaml::{Kind, Node, wrong_type},
};
use bytes::Bytes;
use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
    multipart,
};
use std::{fmt::Write, path::PathBuf};

pub(super) const KEYS: [Key; 5] = [
    Key::new("json", Shape::Any),
    Key::new("form", VALUES),
    Key::new("multipart", Shape::MapOf(&Shape::Either(&[Shape::Any, Shape::Keys(&[PART_KEYS])]))),
    Key::new("text", Shape::Text),
    Key::new("file", Shape::Path),
];
const PART_KEYS: &[Key] = &[
    Key::new("text", Shape::Text).means("content of the part"),
    Key::new("file", Shape::Path).means("file with the content of the part"),
    Key::new("filename", Shape::Text).means("name of the file, as the server sees it"),
    Key::new("type", Shape::Text).means("media type of the part"),
];
/// Larger files are refused, since files are held in memory.
const MAX_FILE_BYTES: u64 = 256 << 20;

pub(super) enum BodyTemplate {
    Json(Tree),
    Form(Vec<(String, Tree)>),
    Multipart(Vec<(String, PartTemplate)>),
    Text(Template),
    File(FilePath),
}

pub(super) struct PartTemplate {
    value: Tree,
    /// If the value is the path of a file: which files may be read.
    file: Option<AccessRules>,
    filename: Option<Template>,
    mime: Option<Template>,
}

/// A rendered body. Large ones are cheap to clone.
#[derive(Clone)]
pub(super) enum RequestBody {
    Empty,
    Text(String),
    File { path: PathBuf, bytes: Bytes },
    Multipart(Vec<Part>),
}

#[derive(Clone)]
pub(super) struct Part {
    pub name: String,
    pub bytes: Bytes,
    /// The file that `bytes` come from.
    pub file: Option<PathBuf>,
    pub filename: Option<String>,
    pub mime: Option<String>,
}

impl BodyTemplate {
    pub fn compile(body: &mut Body<'_>) -> Option<BodyTemplate> {
        let node = body.node;
        let mut found =
            node.entries().iter().filter(|(k, _)| k.as_str().is_some_and(|k| KEYS.iter().any(|key| key.name == k)));
        let (key, value) = found.next()?;
        let first = key.as_str()?;
        for (second, _) in found.filter(|(k, _)| k.as_str() != Some(first)) {
            let message = format!("expected one request body, found `{}` beside `{first}`", second.key_text());
            body.problem(Diagnostic::error("multiple-bodies", &second.span, message));
        }
        Some(match first {
            "json" => {
                if let Some(text) = value.as_str().filter(|text| text.trim_start().starts_with(['{', '[']))
                    && json::read(text).is_ok()
                {
                    let message = "sends a JSON string whose text is JSON";
                    let d = Diagnostic::warning("text-as-value", &value.span, message);
                    body.problem(
                        d.help("write the value itself: `json: { … }`; to send this text, `text:` and `headers`"),
                    );
                }
                BodyTemplate::Json(body.tree_of(value))
            }
            "form" => BodyTemplate::Form(body.pairs("form")),
            "text" => BodyTemplate::Text(body.template_of(value)?),
            "file" => BodyTemplate::File(body.file_of(value)?),
            _ => BodyTemplate::Multipart(compile_parts(body, value)),
        })
    }

    /// Renders the body and sets `Content-Type` in `headers`.
    pub async fn render(&self, cx: &ActionContext<'_>, headers: &mut HeaderMap) -> Result<RequestBody, ActionError> {
        let mut set_type = |mime: &'static str| headers.insert(CONTENT_TYPE, HeaderValue::from_static(mime));
        Ok(match self {
            BodyTemplate::Json(tree) => {
                set_type("application/json");
                let value = cx.render_tree(tree)?;
                cx.mask_fields("", &value);
                RequestBody::Text(value.json_text())
            }
            BodyTemplate::Form(pairs) => {
                set_type("application/x-www-form-urlencoded");
                RequestBody::Text(form_encode(render_pairs("form", pairs, cx)?))
            }
            BodyTemplate::Text(t) => {
                set_type("text/plain; charset=utf-8");
                RequestBody::Text(cx.render_text(t)?)
            }
            BodyTemplate::File(path) => {
                set_type("application/octet-stream");
                let (path, bytes) = read_file(path.render(cx)?).await?;
                RequestBody::File { path, bytes }
            }
            BodyTemplate::Multipart(templates) => {
                let mut parts = vec![];
                for (name, template) in templates {
                    render_part(name, template, cx, &mut parts).await?;
                }
                RequestBody::Multipart(parts)
            }
        })
    }
}

impl RequestBody {
    /// The bytes that a signature covers; `None` for multipart, whose bytes are not known before sending.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            RequestBody::Empty => Some(&[]),
            RequestBody::Text(text) => Some(text.as_bytes()),
            RequestBody::File { bytes, .. } => Some(bytes),
            RequestBody::Multipart(_) => None,
        }
    }

    /// Appends the body to the evidence of its request.
    pub fn write_evidence(&self, out: &mut String) {
        match self {
            RequestBody::Empty => {}
            RequestBody::Text(text) => {
                out.push('\n');
                out.push_str(text);
            }
            RequestBody::File { path, bytes } => {
                let _ = write!(out, "\n({} bytes of {})", bytes.len(), path.display());
            }
            RequestBody::Multipart(parts) => {
                for p in parts {
                    let _ = match &p.file {
                        Some(path) => write!(out, "\n{}: ({} bytes of {})", p.name, p.bytes.len(), path.display()),
                        None => write!(out, "\n{}: {}", p.name, String::from_utf8_lossy(&p.bytes)),
                    };
                }
            }
        }
    }
}

/// Encodes names and values as `application/x-www-form-urlencoded`.
pub(super) fn form_encode(pairs: Vec<(String, String)>) -> String {
    let mut url = Url::parse("http://form").expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_string()
}

pub(super) fn multipart_form(parts: Vec<Part>) -> Result<multipart::Form, ActionError> {
    let mut form = multipart::Form::new();
    for p in parts {
        let mut part = multipart::Part::stream(reqwest::Body::from(p.bytes));
        if let Some(name) = p.filename {
            part = part.file_name(name);
        }
        if let Some(mime) = p.mime {
            let invalid =
                |_| ActionError::Invalid(format!("expected a media type like `image/png` as `type`, found `{mime}`"));
            part = part.mime_str(&mime).map_err(invalid)?;
        }
        form = form.part(p.name, part);
    }
    Ok(form)
}

fn compile_parts(body: &mut Body<'_>, node: &Node) -> Vec<(String, PartTemplate)> {
    if !matches!(node.kind, Kind::Map(_)) {
        body.problem(wrong_type(node, "a map"));
    }
    let mut parts = vec![];
    for (name, value) in node.entries() {
        let mut body = body.part(value);
        if !matches!(value.kind, Kind::Map(_)) {
            let part = PartTemplate { value: body.texts_of(value), file: None, filename: None, mime: None };
            parts.push((name.key_text(), part));
            continue;
        }
        let keys_valid = body.only(&[PART_KEYS]);
        let (filename, mime) = (body.template("filename"), body.template("type"));
        let (value, file) = match (body.texts("text"), body.texts("file")) {
            (Some(value), None) => (value, None),
            (None, Some(value)) => {
                check_paths(&mut body, &value);
                (value, Some(body.access.clone()))
            }
            _ => {
                if keys_valid {
                    let message = "expected exactly one of `text` and `file` in this part";
                    body.problem(Diagnostic::error("invalid-part", &value.span, message));
                }
                continue;
            }
        };
        parts.push((name.key_text(), PartTemplate { value, file, filename, mime }));
    }
    parts
}

/// Reports the paths of a part that are known before the run, and refused.
fn check_paths(body: &mut Body<'_>, paths: &Tree) {
    let Some(node) = body.get("file") else { return };
    let nodes = if let Kind::Seq(items) = &node.kind { items.iter().collect() } else { vec![node] };
    let Tree::Value(value) = paths else { return };
    for (node, path) in nodes.iter().zip(value.items()) {
        body.check_path(node, path.as_str());
    }
}

/// Names and values as strings. A list repeats its name, `null` omits it. `key` is the key of the plan, for errors.
pub(super) fn render_pairs(
    key: &str,
    pairs: &[(String, Tree)],
    cx: &ActionContext<'_>,
) -> Result<Vec<(String, String)>, ActionError> {
    let mut out = Vec::with_capacity(pairs.len());
    for (name, tree) in pairs {
        for v in cx.render_tree(tree)?.items() {
            match v {
                Value::Null => {}
                Value::Map(_) | Value::List(_) => {
                    let message = format!(
                        "expected a string, a number or a list of them in `{key}.{name}`, found a {}",
                        v.kind()
                    );
                    return Err(ActionError::Invalid(message));
                }
                v => {
                    cx.mask_fields(name, v);
                    out.push((name.clone(), v.to_string()));
                }
            }
        }
    }
    Ok(out)
}

async fn render_part(
    name: &str,
    template: &PartTemplate,
    cx: &ActionContext<'_>,
    out: &mut Vec<Part>,
) -> Result<(), ActionError> {
    let mime = template.mime.as_ref().map(|t| cx.render_text(t)).transpose()?;
    let filename = template.filename.as_ref().map(|t| cx.render_text(t)).transpose()?;
    let value = cx.render_tree(&template.value)?;
    cx.mask_fields(name, &value);
    for v in value.items().iter().filter(|v| **v != Value::Null) {
        let (filename, mime) = (filename.clone(), mime.clone());
        if let Some(access) = &template.file {
            let (path, bytes) = read_file(access.file(&cx.run.dir, &v.to_string())?).await?;
            let filename = filename.or_else(|| path.file_name().map(|n| n.to_string_lossy().into_owned()));
            out.push(Part { name: name.into(), bytes, file: Some(path), filename, mime });
        } else {
            let bytes = Bytes::from(v.to_string());
            out.push(Part { name: name.into(), bytes, file: None, filename, mime });
        }
    }
    Ok(())
}

async fn read_file(path: PathBuf) -> Result<(PathBuf, Bytes), ActionError> {
    let unreadable =
        |e: std::io::Error| ActionError::Invalid(format!("cannot read the file `{}`: {e}", path.display()));
    let bytes = read_file_up_to(&path, MAX_FILE_BYTES).await.map_err(unreadable)?;
    Ok((path, bytes.into()))
}
