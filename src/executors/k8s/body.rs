//! Parses and checks the YAML body of `k8s`, without a cluster.
use super::{
    manifest::{Manifests, spelled_labels},
    types::{
        DeleteTarget, K8sAction, Keyword, ListQuery, Operation, PATCH_TYPES, PROPAGATIONS, SUBRESOURCES, SelectorSource,
    },
};
use crate::{
    diagnostic::Diagnostic,
    executor::Body,
    expr::{Part, Template, Tree},
    language::{Key, Shape, VALUES},
    yaml::{Kind as NodeKind, Node, wrong_type},
};

const MANIFESTS: Shape = Shape::Either(&[VALUES, Shape::List(&Shape::Any), Shape::Placeholder]);
pub const KEYS: &[Key] = &[
    Key::new("get", Shape::Text).means("reads an object: `plural.group/name`"),
    Key::new("list", Shape::Text).means("lists objects: `plural.group`, or `\"*\"`"),
    Key::new("create", MANIFESTS).means("creates objects from manifests; `generateName` is allowed"),
    Key::new("apply", MANIFESTS).means("creates or changes objects: server-side apply"),
    Key::new("patch", Shape::Text).means("changes an object: `plural.group/name`"),
    Key::new("delete", Shape::Either(&[Shape::Text, VALUES, Shape::List(&Shape::Any)]))
        .means("deletes an object, or those of manifests"),
    Key::new("events", Shape::Either(&[Shape::Text, Shape::True]))
        .means("lists the events of an object; `true`: of the namespace"),
    Key::new("namespace", Shape::Name).means("the namespace; default: that of the target"),
    Key::new("subresource", Shape::Word(SUBRESOURCES)).means("a part of the object"),
    Key::new("labels", Shape::Either(&[VALUES, Shape::Text]))
        .means("which labels: a map, or a selector like kubectl's `-l`"),
    Key::new("fields", Shape::Either(&[VALUES, Shape::Text])).means("which fields: a map, or a selector"),
    Key::new("owner", Shape::Text).means("uid of the owner of the objects"),
    Key::new("manager", Shape::Name).means("the field manager; default: `tp-runner`"),
    Key::new("force", Shape::Bool).means("takes fields that another manager owns"),
    Key::new("merge", VALUES).means("a merge patch: the fields to change"),
    Key::new("json", Shape::Either(&[Shape::List(&VALUES), Shape::Placeholder]))
        .means("a JSON patch: a list of operations"),
    Key::new("strategic", VALUES).means("a strategic merge patch: the fields to change"),
    Key::new("propagation", Shape::Word(&["background", "foreground", "orphan"]))
        .means("what happens to objects that the object owns"),
    Key::new("grace", Shape::Duration).means("grace period, in whole seconds"),
];

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
    let node = body.get(name)?;
    let namespace = body.template("namespace");
    let errors = body.problems.errors();
    let operation = operation(body, name, node)?;
    let valid = keys_valid && body.problems.errors() == errors;
    let summary = format!("{name} {}", operation.subject()).trim_end().to_string();
    valid.then(|| K8sAction { operation, namespace, summary })
}

fn operation(body: &mut Body<'_>, name: &str, node: &Node) -> Option<Operation> {
    Some(match name {
        "get" => {
            let (object, subresource) = (object_reference(body, node), subresource(body));
            Operation::Get { object: object?, subresource }
        }
        "list" => Operation::List(list_query(body, node)?),
        "create" => Operation::Create(Manifests::compile(body, node, true)?),
        "apply" => {
            let manifests = Manifests::compile(body, node, false);
            let (manager, force, subresource) = (body.template("manager"), flag(body, "force"), subresource(body));
            Operation::Apply { manifests: manifests?, manager, force, subresource }
        }
        "patch" => {
            let (object, patch, subresource) = (object_reference(body, node), patch(body), subresource(body));
            let (object, (patch_type, patch)) = (object?, patch?);
            Operation::Patch { object, patch_type, patch, subresource }
        }
        "delete" => {
            let target = match &node.kind {
                NodeKind::Map(_) | NodeKind::Seq(_) => {
                    Manifests::compile(body, node, false).map(DeleteTarget::Manifests)
                }
                _ => object_reference(body, node).map(DeleteTarget::Object),
            };
            let propagation = keyword(body, "propagation", PROPAGATIONS).unwrap_or(&PROPAGATIONS[0]);
            let grace = grace(body);
            Operation::Delete { target: target?, propagation, grace }
        }
        _ if matches!(node.kind, NodeKind::Bool(true)) => Operation::Events(None),
        _ => Operation::Events(Some(object_reference(body, node)?)),
    })
}

/// The one operation in the body, and whether all keys beside it are allowed there.
fn operation_name(body: &mut Body<'_>) -> Option<(&'static str, bool)> {
    body.only(&[KEYS]).then_some(())?;
    let present: Vec<&'static str> =
        OPERATIONS.iter().map(|(name, _)| *name).filter(|name| body.get(name).is_some()).collect();
    let [name] = present[..] else {
        let all: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
        if present.is_empty() {
            let help = format!("add one of {}", quoted(&all));
            body.error("missing-key", body.span(), "expected an operation, found none", help);
        } else {
            let message = format!("expected one operation, found {}", quoted(&present));
            body.error("multiple-verbs", body.span(), message, "keep one of them");
        }
        return None;
    };
    let allowed = OPERATIONS.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, keys)| keys);
    let mut keys_valid = true;
    for (key, _) in body.node.entries() {
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
        body.error("wrong-type", &node.span, message, "for example `sessions.stream.space/web` or `pods/web`");
        return None;
    }
    Some(t)
}

fn patch(body: &mut Body<'_>) -> Option<(&'static Keyword, Tree)> {
    let present: Vec<(&Keyword, &Node)> = PATCH_TYPES.iter().filter_map(|t| Some((t, body.get(t.name)?))).collect();
    let [(patch_type, node)] = present[..] else {
        let names: Vec<&str> = present.iter().map(|(t, _)| t.name).collect();
        let found = if names.is_empty() { "none".into() } else { quoted(&names) };
        let message = format!("expected one of `merge`, `json` and `strategic` beside `patch`, found {found}");
        body.problem(Diagnostic::error("missing-key", body.span(), message));
        return None;
    };
    let is_placeholder = matches!(&node.kind, NodeKind::Str(s) if s.contains("${"));
    let (valid, expected, help) = match patch_type.name {
        "json" => (
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
        body.problem(wrong_type(node, expected).help(help));
        return None;
    }
    Some((patch_type, body.tree_of(&spelled_labels(node))))
}

fn list_query(body: &mut Body<'_>, node: &Node) -> Option<ListQuery> {
    let resource = body.template_of(node);
    if let Some(text) = resource.as_ref().and_then(Template::as_literal).filter(|t| t.contains('/') || t.is_empty()) {
        let message = format!("expected a resource without a name, found `{text}`");
        let help = "write `list: plural.group`, or `get: plural.group/name` for one object";
        body.error("wrong-type", &node.span, message, help);
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

fn subresource(body: &mut Body<'_>) -> Option<&'static str> {
    one_of(body, "subresource", SUBRESOURCES)
}

fn keyword(body: &mut Body<'_>, key: &str, known: &'static [Keyword]) -> Option<&'static Keyword> {
    let names: Vec<&'static str> = known.iter().map(|k| k.name).collect();
    let name = one_of(body, key, &names)?;
    known.iter().find(|k| k.name == name)
}

fn one_of(body: &mut Body<'_>, key: &str, known: &[&'static str]) -> Option<&'static str> {
    let node = body.get(key)?;
    let text = node.key_text();
    let found = known.iter().copied().find(|k| *k == text);
    if found.is_none() {
        let message = format!("expected one of {}, found `{text}`", quoted(known));
        body.problem(Diagnostic::error("wrong-type", &node.span, message).suggest(&text, known.iter().copied()));
    }
    found
}

fn flag(body: &mut Body<'_>, key: &str) -> bool {
    let Some(node) = body.get(key) else { return false };
    if !matches!(node.kind, NodeKind::Bool(_)) {
        body.problem(wrong_type(node, "`true` or `false`"));
    }
    matches!(node.kind, NodeKind::Bool(true))
}

fn grace(body: &mut Body<'_>) -> Option<Template> {
    let node = body.get("grace")?;
    let t = body.template_of(node)?;
    if let Some(Err(message)) = t.as_literal().map(whole_seconds) {
        body.error("invalid-duration", &node.span, message, "write `grace: 30s`; `0s` kills immediately");
    }
    Some(t)
}

/// Parses a grace period. The API accepts only whole seconds.
pub fn whole_seconds(text: &str) -> Result<u64, String> {
    match humantime::parse_duration(text.trim()) {
        Ok(d) if d.subsec_nanos() == 0 => Ok(d.as_secs()),
        Ok(_) => Err(format!("expected whole seconds, found `{text}`")),
        Err(_) => Err(format!("expected a duration like `30s`, found `{text}`")),
    }
}
