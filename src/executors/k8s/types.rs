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
        subresource: Option<Subresource>,
    },
    List(ListQuery),
    Create(Manifests),
    Apply(ApplyOptions),
    Patch {
        object: Template,
        patch_type: PatchType,
        patch: Tree,
        subresource: Option<Subresource>,
    },
    Delete {
        target: DeleteTarget,
        propagation: Propagation,
        grace: Option<Template>,
    },
    /// Of one object, or of the whole namespace.
    Events(Option<Template>),
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

pub struct ApplyOptions {
    pub manifests: Manifests,
    pub manager: Option<Template>,
    pub force: bool,
    pub subresource: Option<Subresource>,
}

pub enum DeleteTarget {
    Object(Template),
    /// Deleted in reverse order.
    Manifests(Manifests),
}

/// An enum of keywords: as plans and kubectl write them, and as the API names them.
macro_rules! keyword_enum {
    ($name:ident { $($variant:ident = $keyword:literal, $api_name:literal;)* }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($variant),* }

        impl $name {
            pub const KEYWORDS: &[&str] = &[$($keyword),*];

            pub fn from_keyword(keyword: &str) -> Option<Self> {
                match keyword { $($keyword => Some(Self::$variant),)* _ => None }
            }

            pub fn keyword(self) -> &'static str {
                match self { $(Self::$variant => $keyword),* }
            }

            pub fn api_name(self) -> &'static str {
                match self { $(Self::$variant => $api_name),* }
            }
        }
    };
}

keyword_enum! {
    PatchType {
        Merge = "merge", "application/merge-patch+json";
        Json = "json", "application/json-patch+json";
        Strategic = "strategic", "application/strategic-merge-patch+json";
    }
}
keyword_enum! {
    Propagation {
        Background = "background", "Background";
        Foreground = "foreground", "Foreground";
        Orphan = "orphan", "Orphan";
    }
}
keyword_enum! {
    Subresource {
        Status = "status", "status";
        Scale = "scale", "scale";
        Resize = "resize", "resize";
    }
}
