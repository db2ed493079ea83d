//! Parses and checks the YAML body of `k8s`, without a cluster.
use super::{
    manifest::Manifests,
    types::{
        ApplyOptions, DeleteTarget, K8sAction, ListQuery, Operation, PatchType, Propagation, SelectorSource,
        Subresource,
    },
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body},
    expr::{Part, Template, Tree},
    yaml::{Kind as NodeKind, Node},
};

/// Each operation with the keys that are allowed beside it.
const OPERATIONS: &[(&str, &[&str])] = &[
    ("get", &["subresource"]),
    ("list", &["labels", "fields", "owner"]),
    ("create", &[]),
    ("apply", &["manager", "force", "subresource"]),
    ("patch", &["merge", "json", "strategic", "subresource"]),
    ("delete", &["propagation", "grace"]),
    ("events", &[]),
];

pub fn compile(body: &mut Body<'_>) -> Option<K8sAction> {
    let (name, keys_valid) = operation_name(body)?;
    let node = body.get(name).cloned()?;
    let namespace = body.template("namespace");
    let errors = body.problems.errors();
    let (operation, summary) = operation(body, name, &node)?;
    let valid = keys_valid && body.problems.errors() == errors;
    valid.then(|| K8sAction { operation, namespace, summary: format!("{name}{summary}") })
}

/// The operation, and the rest of its summary after the name.
fn operation(body: &mut Body<'_>, name: &str, node: &Node) -> Option<(Operation, String)> {
    match name {
        "get" => {
            let object = object_reference(body, node);
            let subresource = subresource(body);
            let object = object?;
            let summary = format!(" {}", object.source());
            Some((Operation::Get { object, subresource }, summary))
        }
        "list" => {
            let query = list_query(body, node)?;
            let summary = format!(" {}", query.resource.source());
            Some((Operation::List(query), summary))
        }
        "create" => {
            let manifests = Manifests::compile(body, node, true)?;
            let summary = format!(" {}", manifests.summary());
            Some((Operation::Create(manifests), summary))
        }
        "apply" => {
            let manifests = Manifests::compile(body, node, false);
            let manager = body.template("manager");
            let force = flag(body, "force");
            let subresource = subresource(body);
            let manifests = manifests?;
            let summary = format!(" {}", manifests.summary());
            Some((Operation::Apply(ApplyOptions { manifests, manager, force, subresource }), summary))
        }
        "patch" => {
            let object = object_reference(body, node);
            let patch = patch(body);
            let subresource = subresource(body);
            let (object, (patch_type, patch)) = (object?, patch?);
            let summary = format!(" {}", object.source());
            Some((Operation::Patch { object, patch_type, patch, subresource }, summary))
        }
        "delete" => {
            let target = match &node.kind {
                NodeKind::Map(_) => Manifests::compile(body, node, false).map(DeleteTarget::Manifests),
                _ => object_reference(body, node).map(DeleteTarget::Object),
            };
            let propagation = keyword(body, "propagation", Propagation::from_keyword, Propagation::KEYWORDS);
            let propagation = propagation.unwrap_or(Propagation::Background);
            let grace = grace(body);
            let target = target?;
            let summary = match &target {
                DeleteTarget::Object(object) => format!(" {}", object.source()),
                DeleteTarget::Manifests(manifests) => format!(" {}", manifests.summary()),
            };
            Some((Operation::Delete { target, propagation, grace }, summary))
        }
        _ if matches!(node.kind, NodeKind::Bool(true)) => Some((Operation::Events(None), String::new())),
        _ => {
            let object = object_reference(body, node)?;
            let summary = format!(" {}", object.source());
            Some((Operation::Events(Some(object)), summary))
        }
    }
}

/// The one operation in the body, and whether all keys beside it are allowed there.
fn operation_name(body: &mut Body<'_>) -> Option<(&'static str, bool)> {
    let mut known: Vec<&str> =
        OPERATIONS.iter().flat_map(|(name, keys)| [*name].into_iter().chain(keys.iter().copied())).collect();
    known.push("namespace");
    known.dedup();
    body.keys(&known).then_some(())?;
    let present: Vec<&'static str> =
        OPERATIONS.iter().map(|(name, _)| *name).filter(|name| body.get(name).is_some()).collect();
    let [name] = present[..] else {
        let all: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
        let d = match present[..] {
            [] => Diagnostic::error("missing-key", body.span(), "expected an operation, found none")
                .help(format!("add one of {}", quoted(&all))),
            _ => {
                let message = format!("expected one operation, found {}", quoted(&present));
                Diagnostic::error("multiple-verbs", body.span(), message).help("keep one of them")
            }
        };
        body.problem(d);
        return None;
    };
    let allowed = OPERATIONS.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, keys)| keys);
    let mut keys_valid = true;
    let node = body.node;
    for (key, _) in node.entries() {
        let text = key.key_text();
        if text == name || text == "namespace" || allowed.contains(&text.as_str()) {
            continue;
        }
        let owners: Vec<&str> =
            OPERATIONS.iter().filter(|(_, keys)| keys.contains(&text.as_str())).map(|(n, _)| *n).collect();
        let message = format!("`{text}` is allowed with {}, not with `{name}`", quoted(&owners));
        body.problem(Diagnostic::error("unknown-key", &key.span, message));
        keys_valid = false;
    }
    Some((name, keys_valid))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// `plural.group/name`. The slash is only checked in the text before the first placeholder.
fn object_reference(body: &mut Body<'_>, node: &Node) -> Option<Template> {
    let t = body.template_of(node)?;
    let invalid = match t.parts() {
        [Part::Text(text)] => !text.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty()),
        [Part::Text(first), ..] => first.starts_with('/'),
        _ => false,
    };
    if invalid {
        let message = format!("expected an object as `plural.group/name`, found `{}`", t.source());
        let d = Diagnostic::error("wrong-type", &node.span, message);
        body.problem(d.help("for example `sessions.stream.space/web` or `pods/web`"));
        return None;
    }
    Some(t)
}

fn patch(body: &mut Body<'_>) -> Option<(PatchType, Tree)> {
    let present: Vec<&str> = PatchType::KEYWORDS.iter().copied().filter(|k| body.get(k).is_some()).collect();
    let [key] = present[..] else {
        let found = if present.is_empty() { "none".into() } else { quoted(&present) };
        let message = format!("expected one of `merge`, `json` and `strategic` beside `patch`, found {found}");
        body.problem(Diagnostic::error("missing-key", body.span(), message));
        return None;
    };
    let (patch_type, node) = (PatchType::from_keyword(key)?, body.get(key).cloned()?);
    let is_placeholder = matches!(&node.kind, NodeKind::Str(s) if s.contains("${"));
    let (valid, expected, help) = match patch_type {
        PatchType::Json => (
            matches!(node.kind, NodeKind::Seq(_)),
            "a list of operations",
            "write `json: [{ op: replace, path: /spec/state, value: running }]`",
        ),
        _ => (
            matches!(node.kind, NodeKind::Map(_)),
            "a map with the fields to change",
            "write `merge: { spec: { state: running } }`; `null` removes a field",
        ),
    };
    if !valid && !is_placeholder {
        let message = format!("expected {expected}, found {}", node.what());
        body.problem(Diagnostic::error("wrong-type", &node.span, message).help(help));
        return None;
    }
    Some((patch_type, body.tree_of(&node)))
}

fn list_query(body: &mut Body<'_>, node: &Node) -> Option<ListQuery> {
    let resource = body.template_of(node);
    if let Some(text) = resource.as_ref().and_then(Template::as_literal).filter(|t| t.contains('/') || t.is_empty()) {
        let message = format!("expected a resource without a name, found `{text}`");
        let d = Diagnostic::error("wrong-type", &node.span, message)
            .help("write `list: plural.group`, or `get: plural.group/name` for one object");
        body.problem(d);
        return None;
    }
    let labels = selector_source(body, "labels");
    let fields = selector_source(body, "fields");
    Some(ListQuery { resource: resource?, labels, fields, owner: body.template("owner") })
}

fn selector_source(body: &mut Body<'_>, key: &str) -> Option<SelectorSource> {
    match body.get(key)?.kind {
        NodeKind::Str(_) => body.template(key).map(SelectorSource::Text),
        _ => Some(SelectorSource::Pairs(body.pairs(key))),
    }
}

fn subresource(body: &mut Body<'_>) -> Option<Subresource> {
    keyword(body, "subresource", Subresource::from_keyword, Subresource::KEYWORDS)
}

fn keyword<T>(body: &mut Body<'_>, key: &str, parse: fn(&str) -> Option<T>, known: &[&str]) -> Option<T> {
    let node = body.get(key)?.clone();
    let text = node.to_value().to_string();
    let parsed = parse(&text);
    if parsed.is_none() {
        let message = format!("expected one of {}, found `{text}`", quoted(known));
        body.problem(Diagnostic::error("wrong-type", &node.span, message).suggest(&text, known.iter().copied()));
    }
    parsed
}

fn flag(body: &mut Body<'_>, key: &str) -> bool {
    match body.get(key).map(|n| (n.kind.clone(), n.span.clone(), n.what())) {
        Some((NodeKind::Bool(b), ..)) => b,
        Some((_, span, found)) => {
            let message = format!("expected `true` or `false`, found {found}");
            body.problem(Diagnostic::error("wrong-type", &span, message));
            false
        }
        None => false,
    }
}

fn grace(body: &mut Body<'_>) -> Option<Template> {
    let node = body.get("grace")?.clone();
    let t = body.template("grace")?;
    if let Some(Err(e)) = t.as_literal().map(whole_seconds) {
        let d = Diagnostic::error("invalid-duration", &node.span, e.to_string());
        body.problem(d.help("write `grace: 30s`; `0s` kills immediately"));
    }
    Some(t)
}

#[derive(Debug, thiserror::Error)]
pub enum GraceError {
    #[error("expected a duration like `30s`, found `{0}`")]
    NotADuration(String),
    #[error("expected whole seconds, found `{0}`")]
    Fraction(String),
}

impl From<GraceError> for ActionError {
    fn from(e: GraceError) -> Self {
        ActionError::Invalid(e.to_string())
    }
}

/// Parses a grace period. The API accepts only whole seconds.
pub fn whole_seconds(text: &str) -> Result<u64, GraceError> {
    match humantime::parse_duration(text.trim()) {
        Ok(d) if d.subsec_nanos() == 0 => Ok(d.as_secs()),
        Ok(_) => Err(GraceError::Fraction(text.into())),
        Err(_) => Err(GraceError::NotADuration(text.into())),
    }
}
