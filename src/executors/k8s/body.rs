//! What a plan may write under `k8s`, read and checked without a cluster.
use crate::{
    diagnostic::Diagnostic,
    executor::Body,
    expr::{Part, Template, Tree},
    yaml::{Kind as NodeKind, Node},
};

/// One action, ready to be performed.
pub struct K8sAction {
    pub verb: Verb,
    pub namespace: Option<Template>,
    pub summary: String,
}

pub enum Verb {
    /// `plural.group/name`, here and below.
    Get(Template),
    List(List),
    Create(Tree),
    Patch {
        of: Template,
        kind: PatchKind,
        patch: Tree,
    },
    Delete(Template),
    /// Of one object, or of the whole namespace.
    Events(Option<Template>),
}

pub struct List {
    /// `plural.group`, or `*`.
    pub what: Template,
    pub labels: Option<Selection>,
    pub fields: Option<Selection>,
    pub owner: Option<Template>,
}

/// A selector as a map, whose values are rendered one by one, or as a text.
pub enum Selection {
    Pairs(Vec<(String, Tree)>),
    Text(Template),
}

#[derive(Clone, Copy)]
pub enum PatchKind {
    Merge,
    Json,
}

const VERBS: &[&str] = &["get", "list", "create", "patch", "delete", "events"];
const KNOWN: &[&str] =
    &["get", "list", "create", "patch", "delete", "events", "namespace", "labels", "fields", "owner", "merge", "json"];

pub fn compile(body: &mut Body<'_>) -> Option<K8sAction> {
    if let Some((key, _)) = body.node.entries().iter().find(|(k, _)| k.as_str() == Some("apply")) {
        let d = Diagnostic::error("not-built", &key.span, "`apply` is not built yet")
            .help("use `create` for what is not there, and `patch` with `merge` for what is");
        body.problem(d);
        return None;
    }
    body.keys(KNOWN).then_some(())?;
    let present: Vec<&str> = VERBS.iter().copied().filter(|v| body.get(v).is_some()).collect();
    let [verb] = present[..] else {
        let message = match present[..] {
            [] => "no verb here".to_string(),
            _ => format!("two verbs here: {}", present.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ")),
        };
        let d = Diagnostic::error(if present.is_empty() { "missing-key" } else { "two-verbs" }, body.span(), message)
            .help("one of `get`, `list`, `create`, `patch`, `delete`, `events` belongs here");
        body.problem(d);
        return None;
    };
    let allowed: &[&str] = match verb {
        "list" => &["labels", "fields", "owner"],
        "patch" => &["merge", "json"],
        _ => &[],
    };
    let mut right = true;
    for (key, _) in body.node.entries().iter().filter(|(k, _)| {
        let k = k.key_text();
        k != verb && k != "namespace" && !allowed.contains(&k.as_str())
    }) {
        let owner = if ["merge", "json"].contains(&key.key_text().as_str()) { "patch" } else { "list" };
        let d = Diagnostic::error(
            "unknown-key",
            &key.span,
            format!("`{}` belongs to `{owner}`, not to `{verb}`", key.key_text()),
        );
        body.problem(d);
        right = false;
    }
    let node = body.get(verb).cloned()?;
    let namespace = body.template("namespace");
    let (verb, summary) = match verb {
        "get" => {
            let of = named(body, &node)?;
            let summary = format!("get {}", of.source());
            (Verb::Get(of), summary)
        }
        "delete" => {
            let of = named(body, &node)?;
            let summary = format!("delete {}", of.source());
            (Verb::Delete(of), summary)
        }
        "patch" => {
            let of = named(body, &node)?;
            let summary = format!("patch {}", of.source());
            (patch(body, of)?, summary)
        }
        "list" => {
            let list = list(body, &node)?;
            let summary = format!("list {}", list.what.source());
            (Verb::List(list), summary)
        }
        "create" => {
            let summary = manifest(body, &node)?;
            (Verb::Create(body.tree_of(&node)), summary)
        }
        _ => match node.kind {
            NodeKind::Bool(true) => (Verb::Events(None), "events".to_string()),
            _ => {
                let of = named(body, &node)?;
                let summary = format!("events {}", of.source());
                (Verb::Events(Some(of)), summary)
            }
        },
    };
    right.then_some(K8sAction { verb, namespace, summary })
}

/// `plural.group/name`. Whether the slash is there can be told where a text stands before the first hole, or there is none.
fn named(body: &mut Body<'_>, node: &Node) -> Option<Template> {
    let t = body.template_of(node)?;
    let wrong = match t.parts() {
        [Part::Text(text)] => !text.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty()),
        [Part::Text(first), ..] => first.starts_with('/'),
        _ => false,
    };
    if wrong {
        let d = Diagnostic::error("wrong-type", &node.span, "an object is named by its resource and its name")
            .help("write `plural.group/name`: `sessions.stream.space/web`, `pods/web`");
        body.problem(d);
        return None;
    }
    Some(t)
}

fn patch(body: &mut Body<'_>, of: Template) -> Option<Verb> {
    match (body.get("merge").is_some(), body.get("json").cloned()) {
        (true, None) => Some(Verb::Patch { of, kind: PatchKind::Merge, patch: body.tree("merge")? }),
        (false, Some(node)) => {
            if !matches!(node.kind, NodeKind::Seq(_) | NodeKind::Str(_)) {
                let d = Diagnostic::error("wrong-type", &node.span, "a JSON patch is a list of operations")
                    .help("write `json: [{ op: replace, path: /spec/state, value: running }]`");
                body.problem(d);
                return None;
            }
            Some(Verb::Patch { of, kind: PatchKind::Json, patch: body.tree_of(&node) })
        }
        _ => {
            let d = Diagnostic::error("missing-key", body.span(), "a `patch` needs either `merge` or `json` beside it");
            body.problem(d);
            None
        }
    }
}

fn list(body: &mut Body<'_>, node: &Node) -> Option<List> {
    let what = body.template_of(node)?;
    if what.as_literal().is_some_and(|t| t.contains('/') || t.is_empty()) {
        let d = Diagnostic::error("wrong-type", &node.span, "a list takes a resource and no name")
            .help("write `list: plural.group`, or `get: plural.group/name` for one object");
        body.problem(d);
        return None;
    }
    let labels = selection(body, "labels");
    let fields = selection(body, "fields");
    Some(List { what, labels, fields, owner: body.template("owner") })
}

fn selection(body: &mut Body<'_>, key: &str) -> Option<Selection> {
    match body.get(key)?.kind {
        NodeKind::Str(_) => body.template(key).map(Selection::Text),
        _ => Some(Selection::Pairs(body.pairs(key))),
    }
}

/// Checks what can be told of a manifest before it is rendered. Gives the summary.
fn manifest(body: &mut Body<'_>, node: &Node) -> Option<String> {
    match &node.kind {
        // The whole manifest comes from a name in scope.
        NodeKind::Str(s) if s.contains("${") => return Some(format!("create {s}")),
        NodeKind::Map(_) => {}
        _ => {
            let d = Diagnostic::error("wrong-type", &node.span, format!("a manifest is a map, not {}", node.what()));
            body.problem(d);
            return None;
        }
    }
    let mut whole = true;
    for key in ["apiVersion", "kind", "metadata"] {
        if node.get(key).is_none() {
            body.problem(Diagnostic::error("missing-key", &node.span, format!("the manifest lacks `{key}`")));
            whole = false;
        }
    }
    let metadata = node.get("metadata")?;
    if matches!(metadata.kind, NodeKind::Map(_))
        && metadata.get("name").is_none()
        && metadata.get("generateName").is_none()
    {
        let d = Diagnostic::error(
            "missing-key",
            &metadata.span,
            "the manifest's `metadata` lacks `name`, or `generateName`",
        );
        body.problem(d);
        whole = false;
    }
    let word = |n: Option<&Node>| n.map(|n| n.to_value().to_string()).unwrap_or_default();
    let name = metadata.get("name").or_else(|| metadata.get("generateName"));
    whole.then(|| format!("create {} {}", word(node.get("kind")), word(name)))
}
