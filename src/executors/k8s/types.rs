//! An action of the verb `k8s` as data.
use super::manifest::Manifests;
use crate::expr::{Template, Tree};

pub struct K8sAction {
    pub operation: Operation,
    pub namespace: Option<Template>,
    pub summary: String,
}

/// `object` is `plural.group/name`.
pub enum Operation {
    Get {
        object: Template,
        subresource: Option<&'static str>,
    },
    List(ListQuery),
    Create(Manifests),
    Apply {
        manifests: Manifests,
        manager: Option<Template>,
        force: bool,
        subresource: Option<&'static str>,
    },
    Patch {
        object: Template,
        patch_type: &'static Keyword,
        patch: Tree,
        subresource: Option<&'static str>,
    },
    Delete {
        target: DeleteTarget,
        propagation: &'static Keyword,
        grace: Option<Template>,
    },
    /// Of one object, or of the whole namespace.
    Events(Option<Template>),
}

impl Operation {
    /// What it works on, as the plan writes it; empty for the whole namespace.
    pub fn subject(&self) -> String {
        match self {
            Operation::Get { object, .. }
            | Operation::Patch { object, .. }
            | Operation::Delete { target: DeleteTarget::Object(object), .. }
            | Operation::Events(Some(object)) => object.source(),
            Operation::List(query) => query.resource.source(),
            Operation::Create(manifests)
            | Operation::Apply { manifests, .. }
            | Operation::Delete { target: DeleteTarget::Manifests(manifests), .. } => manifests.summary(),
            Operation::Events(None) => String::new(),
        }
    }
}

pub struct ListQuery {
    /// `plural.group`, or `*`.
    pub resource: Template,
    pub labels: Option<SelectorSource>,
    pub fields: Option<SelectorSource>,
    /// The uid of an owner.
    pub owner: Option<Template>,
}

/// A selector as the plan writes it: a map with rendered values, or a text.
pub enum SelectorSource {
    Pairs(Vec<(String, Tree)>),
    Text(Template),
}

pub enum DeleteTarget {
    /// A placeholder alone may also give manifests.
    Object(Template),
    /// Deleted in reverse order.
    Manifests(Manifests),
}

/// A keyword as plans and kubectl write it, and as the API names it.
pub struct Keyword {
    pub name: &'static str,
    pub api_name: &'static str,
}

const fn keyword(name: &'static str, api_name: &'static str) -> Keyword {
    Keyword { name, api_name }
}

pub const PATCH_TYPES: &[Keyword] = &[
    keyword("merge", "application/merge-patch+json"),
    keyword("json", "application/json-patch+json"),
    keyword("strategic", "application/strategic-merge-patch+json"),
];
/// The first one is the default.
pub const PROPAGATIONS: &[Keyword] =
    &[keyword("background", "Background"), keyword("foreground", "Foreground"), keyword("orphan", "Orphan")];
pub const SUBRESOURCES: &[&str] = &["status", "scale", "resize"];
