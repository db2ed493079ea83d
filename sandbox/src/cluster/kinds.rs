//! The resources that are served: the built-in table, and the `Kind` that describes one resource.
use super::{names::Naming, schema::Schema};
use std::sync::{Arc, LazyLock};

pub(super) const NAMESPACES: &str = "namespaces";

/// A printer column, as `kubectl get` shows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub name: String,
    pub kind: String,
    /// A dotted path such as `.spec.user`.
    pub path: String,
    pub format: String,
    pub description: String,
    /// 0 for columns that are always shown.
    pub priority: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub short_names: Vec<String>,
    pub namespaced: bool,
    /// Whether it has a status subresource.
    pub status: bool,
    /// Whether `metadata.generation` counts changes of its spec.
    pub generation: bool,
    pub custom: bool,
    /// Groups of resources with a common name, such as `all`.
    pub categories: Vec<String>,
    pub naming: Naming,
    pub columns: Vec<Column>,
    /// Field selectors beyond name and namespace.
    pub fields: &'static [&'static str],
    /// Schema of a custom resource; `None` for built-in ones.
    pub schema: Option<Arc<Schema>>,
}

impl Kind {
    /// `sessions.stream.space`, or `pods` for the core group.
    pub fn resource(&self) -> String {
        join(&self.plural, &self.group)
    }

    /// `Session.stream.space`, or `Pod` for the core group.
    pub fn qualified(&self) -> String {
        join(&self.kind, &self.group)
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

fn join(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

struct Builtin {
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    flags: &'static str,
    fields: &'static [&'static str],
}

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "type",
];

/// Flags: `n` namespaced, `s` status subresource, `g` generation, `a` in `kubectl get all`.
#[rustfmt::skip]
const BUILTINS: &[Builtin] = &[
    Builtin { group: "", version: "v1", plural: "namespaces", kind: "Namespace", short: &["ns"], flags: "s", fields: &["status.phase"] },
    Builtin { group: "", version: "v1", plural: "events", kind: "Event", short: &["ev"], flags: "n", fields: EVENT_FIELDS },
    Builtin { group: "", version: "v1", plural: "pods", kind: "Pod", short: &["po"], flags: "nsga", fields: &["status.phase", "spec.nodeName"] },
    Builtin { group: "", version: "v1", plural: "services", kind: "Service", short: &["svc"], flags: "nsa", fields: &[] },
    Builtin { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", short: &["cm"], flags: "n", fields: &[] },
    Builtin { group: "", version: "v1", plural: "secrets", kind: "Secret", short: &[], flags: "n", fields: &["type"] },
    Builtin { group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount", short: &["sa"], flags: "n", fields: &[] },
    Builtin { group: "", version: "v1", plural: "persistentvolumeclaims", kind: "PersistentVolumeClaim", short: &["pvc"], flags: "ns", fields: &[] },
    Builtin { group: "apps", version: "v1", plural: "deployments", kind: "Deployment", short: &["deploy"], flags: "nsga", fields: &[] },
    Builtin { group: "apps", version: "v1", plural: "replicasets", kind: "ReplicaSet", short: &["rs"], flags: "nsga", fields: &[] },
    Builtin { group: "networking.k8s.io", version: "v1", plural: "ingresses", kind: "Ingress", short: &["ing"], flags: "nsg", fields: &[] },
    Builtin { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease", short: &[], flags: "n", fields: &[] },
    Builtin { group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions", kind: "CustomResourceDefinition", short: &["crd", "crds"], flags: "sg", fields: &[] },
];

static BUILTIN_KINDS: LazyLock<Vec<Arc<Kind>>> = LazyLock::new(|| {
    let served = BUILTINS.iter().map(|b| {
        Arc::new(Kind {
            group: b.group.into(),
            version: b.version.into(),
            plural: b.plural.into(),
            singular: b.kind.to_lowercase(),
            kind: b.kind.into(),
            short_names: b.short.iter().map(|s| (*s).into()).collect(),
            namespaced: b.flags.contains('n'),
            status: b.flags.contains('s'),
            generation: b.flags.contains('g'),
            custom: false,
            categories: match b.kind {
                _ if b.flags.contains('a') => vec!["all".into()],
                "CustomResourceDefinition" => vec!["api-extensions".into()],
                _ => Vec::new(),
            },
            naming: match b.plural {
                "namespaces" => Naming::Label,
                "services" => Naming::Label1035,
                _ => Naming::Subdomain,
            },
            columns: Vec::new(),
            fields: b.fields,
            schema: None,
        })
    });
    served.collect()
});

pub(super) fn builtin() -> &'static [Arc<Kind>] {
    &BUILTIN_KINDS
}
