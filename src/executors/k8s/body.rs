//! What a plan may write under `k8s`, read and checked without a cluster.
use super::manifest::Manifests;
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

/// `of` is `plural.group/name`.
pub enum Verb {
    Get {
        of: Template,
        subresource: Option<Subresource>,
    },
    List(List),
    Create(Manifests),
    Apply {
        manifests: Manifests,
        manager: Option<Template>,
        force: bool,
        subresource: Option<Subresource>,
    },
    Patch {
        of: Template,
        kind: PatchKind,
        patch: Tree,
        subresource: Option<Subresource>,
    },
    Delete {
        what: Doomed,
        propagation: Propagation,
        grace: Option<Template>,
    },
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

/// What is deleted: one object, or all that a file describes, last first.
pub enum Doomed {
    Object(Template),
    Manifests(Manifests),
}

/// A word out of a few, each with what the API calls it.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal, $api:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($variant),* }

        impl $name {
            pub const WORDS: &[&str] = &[$($word),*];

            fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }

            /// As a plan and kubectl write it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// As the API calls it.
            pub fn api(self) -> &'static str {
                match self { $(Self::$variant => $api),* }
            }
        }
    };
}

words! {
    PatchKind {
        Merge = "merge", "application/merge-patch+json";
        Json = "json", "application/json-patch+json";
        Strategic = "strategic", "application/strategic-merge-patch+json";
    }
}
words! {
    Propagation {
        Background = "background", "Background";
        Foreground = "foreground", "Foreground";
        Orphan = "orphan", "Orphan";
    }
}
words! {
    Subresource {
        Status = "status", "status";
        Scale = "scale", "scale";
        Resize = "resize", "resize";
    }
}

/// Each verb, and what may stand beside it.
const VERBS: &[(&str, &[&str])] = &[
    ("get", &["subresource"]),
    ("list", &["labels", "fields", "owner"]),
    ("create", &[]),
    ("apply", &["manager", "force", "subresource"]),
    ("patch", &["merge", "json", "strategic", "subresource"]),
    ("delete", &["propagation", "grace"]),
    ("events", &[]),
];

pub fn compile(body: &mut Body<'_>) -> Option<K8sAction> {
    let (verb, mut right) = chosen(body)?;
    let node = body.get(verb).cloned()?;
    let namespace = body.template("namespace");
    let errors = body.problems.errors();
    let (verb, summary) = match verb {
        "get" => {
            let of = named(body, &node);
            let subresource = word(body, "subresource", Subresource::of, Subresource::WORDS);
            let of = of?;
            let summary = format!("get {}", of.source());
            (Verb::Get { of, subresource }, summary)
        }
        "list" => {
            let list = list(body, &node)?;
            let summary = format!("list {}", list.what.source());
            (Verb::List(list), summary)
        }
        "create" => {
            let manifests = Manifests::compile(body, &node, true)?;
            let summary = format!("create {}", manifests.summary());
            (Verb::Create(manifests), summary)
        }
        "apply" => {
            let manifests = Manifests::compile(body, &node, false);
            let manager = body.template("manager");
            let force = flag(body, "force");
            let subresource = word(body, "subresource", Subresource::of, Subresource::WORDS);
            let manifests = manifests?;
            let summary = format!("apply {}", manifests.summary());
            (Verb::Apply { manifests, manager, force, subresource }, summary)
        }
        "patch" => {
            let of = named(body, &node);
            let patch = patch(body);
            let subresource = word(body, "subresource", Subresource::of, Subresource::WORDS);
            let (of, (kind, patch)) = (of?, patch?);
            let summary = format!("patch {}", of.source());
            (Verb::Patch { of, kind, patch, subresource }, summary)
        }
        "delete" => {
            let what = match &node.kind {
                NodeKind::Map(_) => Manifests::compile(body, &node, false).map(Doomed::Manifests),
                _ => named(body, &node).map(Doomed::Object),
            };
            let propagation = word(body, "propagation", Propagation::of, Propagation::WORDS);
            let grace = grace(body);
            let what = what?;
            let summary = match &what {
                Doomed::Object(of) => format!("delete {}", of.source()),
                Doomed::Manifests(all) => format!("delete {}", all.summary()),
            };
            (Verb::Delete { what, propagation: propagation.unwrap_or(Propagation::Background), grace }, summary)
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
    right &= body.problems.errors() == errors;
    right.then_some(K8sAction { verb, namespace, summary })
}

/// The one verb that is there, and whether all that stands beside it belongs to it.
fn chosen(body: &mut Body<'_>) -> Option<(&'static str, bool)> {
    let mut known: Vec<&str> =
        VERBS.iter().flat_map(|(v, beside)| [*v].into_iter().chain(beside.iter().copied())).collect();
    known.push("namespace");
    known.dedup();
    body.keys(&known).then_some(())?;
    let present: Vec<&'static str> = VERBS.iter().map(|(v, _)| *v).filter(|v| body.get(v).is_some()).collect();
    let quoted = |names: &[&str]| names.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
    let [verb] = present[..] else {
        let (code, message) = match present[..] {
            [] => ("missing-key", "no verb here".to_string()),
            _ => ("multiple-verbs", format!("two verbs here: {}", quoted(&present))),
        };
        let all: Vec<&str> = VERBS.iter().map(|(v, _)| *v).collect();
        let d = Diagnostic::error(code, body.span(), message).help(format!("one of {} belongs here", quoted(&all)));
        body.problem(d);
        return None;
    };
    let allowed = VERBS.iter().find(|(v, _)| *v == verb).map_or(&[][..], |(_, beside)| beside);
    let mut right = true;
    let node = body.node;
    for (key, _) in node.entries() {
        let name = key.key_text();
        if name == verb || name == "namespace" || allowed.contains(&name.as_str()) {
            continue;
        }
        let owners: Vec<&str> =
            VERBS.iter().filter(|(_, beside)| beside.contains(&name.as_str())).map(|(v, _)| *v).collect();
        let message = format!("`{name}` belongs to {}, not to `{verb}`", quoted(&owners));
        body.problem(Diagnostic::error("unknown-key", &key.span, message));
        right = false;
    }
    Some((verb, right))
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

fn patch(body: &mut Body<'_>) -> Option<(PatchKind, Tree)> {
    let present: Vec<&&str> = PatchKind::WORDS.iter().filter(|k| body.get(k).is_some()).collect();
    let [key] = present[..] else {
        let message = "a `patch` needs one of `merge`, `json` and `strategic` beside it";
        body.problem(Diagnostic::error("missing-key", body.span(), message));
        return None;
    };
    let (kind, node) = (PatchKind::of(key)?, body.get(key).cloned()?);
    let hole = matches!(&node.kind, NodeKind::Str(s) if s.contains("${"));
    let (fits, message, help) = match kind {
        PatchKind::Json => (
            matches!(node.kind, NodeKind::Seq(_)),
            "a JSON patch is a list of operations",
            "write `json: [{ op: replace, path: /spec/state, value: running }]`",
        ),
        _ => (
            matches!(node.kind, NodeKind::Map(_)),
            "this kind of patch is a map: the part of the object that becomes different",
            "write `merge: { spec: { state: running } }`; `null` takes a field away",
        ),
    };
    if !fits && !hole {
        body.problem(Diagnostic::error("wrong-type", &node.span, message).help(help));
        return None;
    }
    Some((kind, body.tree_of(&node)))
}

fn list(body: &mut Body<'_>, node: &Node) -> Option<List> {
    let what = body.template_of(node);
    if what.as_ref().and_then(Template::as_literal).is_some_and(|t| t.contains('/') || t.is_empty()) {
        let d = Diagnostic::error("wrong-type", &node.span, "a list takes a resource and no name")
            .help("write `list: plural.group`, or `get: plural.group/name` for one object");
        body.problem(d);
        return None;
    }
    let labels = selection(body, "labels");
    let fields = selection(body, "fields");
    Some(List { what: what?, labels, fields, owner: body.template("owner") })
}

fn selection(body: &mut Body<'_>, key: &str) -> Option<Selection> {
    match body.get(key)?.kind {
        NodeKind::Str(_) => body.template(key).map(Selection::Text),
        _ => Some(Selection::Pairs(body.pairs(key))),
    }
}

fn word<T>(body: &mut Body<'_>, key: &str, of: fn(&str) -> Option<T>, known: &[&str]) -> Option<T> {
    let node = body.get(key)?.clone();
    let text = node.to_value().to_string();
    let found = of(&text);
    if found.is_none() {
        let all = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
        let d = Diagnostic::error("wrong-type", &node.span, format!("`{key}` is one of {all}"));
        body.problem(d.meant(&text, known.iter().copied()));
    }
    found
}

fn flag(body: &mut Body<'_>, key: &str) -> bool {
    match body.get(key).map(|n| (n.kind.clone(), n.span.clone())) {
        Some((NodeKind::Bool(b), _)) => b,
        Some((_, span)) => {
            body.problem(Diagnostic::error("wrong-type", &span, format!("`{key}` must be `true` or `false`")));
            false
        }
        None => false,
    }
}

fn grace(body: &mut Body<'_>) -> Option<Template> {
    let node = body.get("grace")?.clone();
    let t = body.template("grace")?;
    if let Some(Err(why)) = t.as_literal().map(seconds) {
        let d = Diagnostic::error("invalid-duration", &node.span, why).help("write `grace: 30s`; `0s` kills at once");
        body.problem(d);
    }
    Some(t)
}

/// A duration of whole seconds: the API knows no shorter ones.
///
/// # Errors
/// A sentence.
pub fn seconds(text: &str) -> Result<u64, String> {
    match humantime::parse_duration(text.trim()) {
        Ok(d) if d.subsec_nanos() == 0 => Ok(d.as_secs()),
        Ok(_) => Err(format!("`{text}` is not a number of whole seconds")),
        Err(e) => Err(format!("`{text}` is no duration: {e}")),
    }
}
