//! Owns which resources are served: the built-in ones, and those that a stored CustomResourceDefinition describes.
//!
//! Must not know HTTP or the store.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::metadata;
use super::schema::Schema;
use super::status::{Cause, Refusal};

pub(super) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
pub(super) const NAMESPACES: &str = "namespaces";
/// Holds a definition until the last of its objects is gone, as in the real server.
pub(super) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What a name has to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    Subdomain,
    Label,
    /// A label that begins with a letter (services).
    Label1035,
}

/// A column of `kubectl get`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub name: String,
    pub kind: String,
    /// Dotted, such as `.spec.user`.
    pub path: String,
    pub format: String,
    pub description: String,
    /// Shown always if it is 0.
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
    /// Has a status subresource.
    pub status: bool,
    /// Counts changes of its spec in `metadata.generation`.
    pub generation: bool,
    pub custom: bool,
    /// Groups of resources that can be asked for by one word, such as `all`.
    pub categories: Vec<String>,
    pub naming: Naming,
    pub columns: Vec<Column>,
    /// Field selectors beyond name and namespace.
    pub fields: &'static [&'static str],
    /// What custom objects are held to; those that are built in are not.
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
    marks: &'static str,
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

/// Marks: `n` namespaced, `s` status subresource, `g` generation, `a` in `kubectl get all`.
#[rustfmt::skip]
const BUILTINS: &[Builtin] = &[
    Builtin { group: "", version: "v1", plural: "namespaces", kind: "Namespace", short: &["ns"], marks: "s", fields: &["status.phase"] },
    Builtin { group: "", version: "v1", plural: "events", kind: "Event", short: &["ev"], marks: "n", fields: EVENT_FIELDS },
    Builtin { group: "", version: "v1", plural: "pods", kind: "Pod", short: &["po"], marks: "nsga", fields: &["status.phase", "spec.nodeName"] },
    Builtin { group: "", version: "v1", plural: "services", kind: "Service", short: &["svc"], marks: "nsa", fields: &[] },
    Builtin { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", short: &["cm"], marks: "n", fields: &[] },
    Builtin { group: "", version: "v1", plural: "secrets", kind: "Secret", short: &[], marks: "n", fields: &["type"] },
    Builtin { group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount", short: &["sa"], marks: "n", fields: &[] },
    Builtin { group: "", version: "v1", plural: "persistentvolumeclaims", kind: "PersistentVolumeClaim", short: &["pvc"], marks: "ns", fields: &[] },
    Builtin { group: "apps", version: "v1", plural: "deployments", kind: "Deployment", short: &["deploy"], marks: "nsga", fields: &[] },
    Builtin { group: "apps", version: "v1", plural: "replicasets", kind: "ReplicaSet", short: &["rs"], marks: "nsga", fields: &[] },
    Builtin { group: "networking.k8s.io", version: "v1", plural: "ingresses", kind: "Ingress", short: &["ing"], marks: "nsg", fields: &[] },
    Builtin { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease", short: &[], marks: "n", fields: &[] },
    Builtin { group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions", kind: "CustomResourceDefinition", short: &["crd", "crds"], marks: "sg", fields: &[] },
];

static SERVED: LazyLock<Vec<Arc<Kind>>> = LazyLock::new(|| {
    let served = BUILTINS.iter().map(|b| {
        Arc::new(Kind {
            group: b.group.into(),
            version: b.version.into(),
            plural: b.plural.into(),
            singular: b.kind.to_lowercase(),
            kind: b.kind.into(),
            short_names: b.short.iter().map(|s| (*s).into()).collect(),
            namespaced: b.marks.contains('n'),
            status: b.marks.contains('s'),
            generation: b.marks.contains('g'),
            custom: false,
            categories: match b.kind {
                _ if b.marks.contains('a') => vec!["all".into()],
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
    &SERVED
}

/// The kind that a stored definition makes served; `None` if it is not one that `define` let through.
pub(super) fn defined(definition: &Value) -> Option<Kind> {
    let spec = definition.get("spec")?;
    let names = spec.get("names")?;
    let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).map(str::to_owned);
    let version = spec.get("versions")?.as_array()?.iter().find(|v| v.get("served") == Some(&Value::Bool(true)))?;
    let kind = text(names, "kind")?;
    let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
    let columns = columns.into_iter().flatten().filter_map(|c| {
        let path = text(c, "jsonPath")?;
        let plain = || format!("Custom resource definition column (in JSONPath format): {path}");
        Some(Column {
            name: text(c, "name")?,
            kind: text(c, "type")?,
            format: text(c, "format").unwrap_or_default(),
            description: text(c, "description").unwrap_or_else(plain),
            priority: c.get("priority").and_then(Value::as_i64).unwrap_or_default(),
            path,
        })
    });
    let words = |field: &str| -> Vec<String> {
        let list = names.get(field).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|s| s.as_str().map(str::to_owned)).collect()
    };
    Some(Kind {
        group: text(spec, "group")?,
        version: text(version, "name")?,
        plural: text(names, "plural")?,
        singular: text(names, "singular").unwrap_or_else(|| kind.to_lowercase()),
        short_names: words("shortNames"),
        namespaced: text(spec, "scope")? == "Namespaced",
        status: version.get("subresources").and_then(|s| s.get("status")).is_some(),
        generation: true,
        custom: true,
        categories: words("categories"),
        naming: Naming::Subdomain,
        columns: columns.collect(),
        fields: &[],
        schema: Schema::read(version.pointer("/schema/openAPIV3Schema")?, "").ok().map(Arc::new),
        kind,
    })
}

/// Accepts a definition: it is complete enough to be served, and says so in its conditions.
///
/// # Errors
/// 422 for one that names no group, plural, kind or scope, whose name is not `plural.group`, or that serves other than one version
/// (conversion between versions is not offered here).
pub(super) fn define(kind: &Kind, definition: &mut Value, now: &str) -> Result<(), Refusal> {
    complete(definition);
    let name = metadata::text(definition, "name").to_owned();
    let spec = definition.get("spec").cloned().unwrap_or_default();
    let at = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut causes = Vec::new();
    for pointer in ["/group", "/names/plural", "/names/kind", "/scope"] {
        if at(pointer).is_empty() {
            causes.push(Cause::required(&format!("spec{}", pointer.replace('/', ".")), ""));
        }
    }
    if causes.is_empty() {
        let expected = format!("{}.{}", at("/names/plural"), at("/group"));
        if name != expected {
            causes.push(Cause::invalid("metadata.name", &name, "must be spec.names.plural+\".\"+spec.group"));
        }
        if !["Namespaced", "Cluster"].contains(&at("/scope")) {
            let given = format!("{:?}", at("/scope"));
            causes.push(Cause::unsupported("spec.scope", &given, &["Cluster", "Namespaced"]));
        }
        if let Some(why) = metadata::bad_label_1035(at("/names/plural")) {
            causes.push(Cause::invalid("spec.names.plural", at("/names/plural"), why));
        }
        if !at("/group").contains('.') {
            causes.push(Cause::invalid("spec.group", at("/group"), "should be a domain with at least one dot"));
        }
        if builtin().iter().any(|k| k.group == at("/group")) {
            causes.push(Cause::invalid("spec.group", at("/group"), "this group is built in"));
        }
    }
    let versions = spec.get("versions").and_then(Value::as_array).cloned().unwrap_or_default();
    let served = versions.iter().filter(|v| v.get("served") == Some(&Value::Bool(true))).count();
    if served != 1 {
        causes.push(Cause::invalid(
            "spec.versions",
            &served.to_string(),
            "the embedded API server serves exactly one version of a custom resource",
        ));
    }
    for (n, version) in versions.iter().enumerate() {
        match version.pointer("/schema/openAPIV3Schema") {
            None => {
                let field = format!("spec.versions[{n}].schema.openAPIV3Schema");
                causes.push(Cause::required(&field, ""));
            }
            // A single version's schema is what the real server keeps apart, and calls so.
            Some(written) => {
                let wrong = Schema::read(written, "spec.validation.openAPIV3Schema").err();
                causes.extend(wrong.into_iter().flatten());
            }
        }
    }
    if causes.is_empty() && defined(definition).is_none() {
        causes.push(Cause::required("spec.versions[0].name", ""));
    }
    if !causes.is_empty() {
        return Err(Refusal::invalid(kind, &name, causes));
    }
    let condition = |what: &str, reason: &str, message: &str| json!({ "type": what, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message });
    let stored: Vec<_> = versions.iter().filter(|v| v.get("storage") == Some(&Value::Bool(true))).collect();
    let status = json!({
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": spec.get("names"),
        "storedVersions": stored.iter().filter_map(|v| v.get("name")).collect::<Vec<_>>(),
    });
    if let Some(fields) = definition.as_object_mut() {
        fields.insert("status".into(), status);
    }
    Ok(())
}

/// What the real server fills in of a definition.
fn complete(definition: &mut Value) {
    let Some(spec) = definition.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("conversion").or_insert_with(|| json!({ "strategy": "None" }));
    let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) else { return };
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
    names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
}

/// Says of a definition that it is being deleted.
pub(super) fn terminate(definition: &mut Value, now: &str) {
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    let terminating = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": now,
        "reason": "InstanceDeletionPending", "message": message,
    });
    if let Some(conditions) = definition.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        conditions.push(terminating);
    }
}
