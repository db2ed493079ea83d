//! The resource types that a cluster serves, and how plans may name them: plural, kind, singular or short name, with or
//! without group and version. Pure; `cluster` fills it from the discovery API.
use crate::{diagnostic::nearest, executor::ActionError};
use serde_json::Value as Json;
use std::sync::Arc;

/// A served resource type.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceType {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub short_names: Vec<String>,
    pub namespaced: bool,
    pub verbs: Vec<String>,
    /// Whether `version` is the one that the group prefers.
    pub preferred: bool,
}

impl ResourceType {
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `sessions.stream.space`; `pods` for the core group.
    pub fn qualified_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The path of the collection, or of one object. Without a namespace for all of them, or if the resource has none.
    pub fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let mut path = format!("/{root}/{}", self.api_version());
        if let Some(namespace) = namespace.filter(|_| self.namespaced) {
            path = format!("{path}/namespaces/{namespace}");
        }
        path = format!("{path}/{}", self.plural);
        name.map_or(path.clone(), |n| format!("{path}/{n}"))
    }

    /// How well `name` fits; smaller is better.
    fn rank(&self, name: &str) -> Option<usize> {
        if self.plural == name {
            Some(0)
        } else if self.singular == name || self.kind.eq_ignore_ascii_case(name) {
            Some(1)
        } else if self.short_names.iter().any(|s| s == name) {
            Some(2)
        } else {
            None
        }
    }
}

/// All resource types, in the server's order: the core group first, and within a group the preferred version first.
#[derive(Debug, Default)]
pub struct Catalog {
    pub types: Vec<Arc<ResourceType>>,
    /// Groups and versions that could not be read.
    pub unavailable: Vec<String>,
}

impl Catalog {
    /// Adds the resources of an `APIResourceList`.
    pub fn add_resource_list(&mut self, list: &Json, group: &str, version: &str, preferred: bool) {
        for r in list["resources"].as_array().into_iter().flatten() {
            let plural = text(r, "name");
            if plural.is_empty() || plural.contains('/') {
                continue;
            }
            let kind = text(r, "kind");
            let singular = Some(text(r, "singularName")).filter(|s| !s.is_empty());
            self.types.push(Arc::new(ResourceType {
                group: group.to_string(),
                version: version.to_string(),
                plural,
                singular: singular.unwrap_or_else(|| kind.to_lowercase()),
                kind,
                short_names: texts(&r["shortNames"]),
                namespaced: r["namespaced"].as_bool().unwrap_or(false),
                verbs: texts(&r["verbs"]),
                preferred,
            }));
        }
    }

    /// Adds a group of an `APIGroupDiscoveryList`, whose versions are in the server's order of preference.
    pub fn add_group(&mut self, group: &Json) {
        let name = text(&group["metadata"], "name");
        for (i, version) in group["versions"].as_array().into_iter().flatten().enumerate() {
            let version_name = text(version, "version");
            // An extension server that does not respond; its resources may be outdated.
            if version["freshness"] == "Stale" {
                self.unavailable.push(format!("{name}/{version_name}"));
            }
            for r in version["resources"].as_array().into_iter().flatten() {
                let kind = text(&r["responseKind"], "kind");
                let singular = Some(text(r, "singularResource")).filter(|s| !s.is_empty());
                self.types.push(Arc::new(ResourceType {
                    group: name.clone(),
                    version: version_name.clone(),
                    plural: text(r, "resource"),
                    singular: singular.unwrap_or_else(|| kind.to_lowercase()),
                    kind,
                    short_names: texts(&r["shortNames"]),
                    namespaced: r["scope"] == "Namespaced",
                    verbs: texts(&r["verbs"]),
                    preferred: i == 0,
                }));
            }
        }
    }

    /// Finds a type by a name of the plan: `sessions`, `ses`, `Session.stream.space`, `deployments.v1.apps`.
    ///
    /// # Errors
    /// `Invalid`, with the nearest name.
    pub fn find(&self, name: &str) -> Result<Arc<ResourceType>, ActionError> {
        self.best_match(name).ok_or_else(|| ActionError::Invalid(self.unknown_name(name)))
    }

    /// Finds the type of a manifest.
    ///
    /// # Errors
    /// `Invalid`, with the versions that are served, or the nearest kind.
    pub fn find_kind(&self, api_version: &str, kind: &str) -> Result<Arc<ResourceType>, ActionError> {
        let found = self.types.iter().find(|t| t.api_version() == api_version && t.kind == kind);
        found.cloned().ok_or_else(|| ActionError::Invalid(self.unknown_kind(api_version, kind)))
    }

    fn best_match(&self, name: &str) -> Option<Arc<ResourceType>> {
        let name = name.to_lowercase();
        let (head, suffix) = name.split_once('.').unwrap_or((&name, ""));
        let suffix_fits = |t: &ResourceType| {
            suffix.is_empty()
                || suffix == t.group
                || suffix == format!("{}.{}", t.version, t.group)
                || (t.group.is_empty() && suffix == t.version)
        };
        let candidates = self.types.iter().filter(|t| suffix_fits(t));
        candidates.filter_map(|t| Some((t.rank(head)?, t))).min_by_key(|(rank, _)| *rank).map(|(_, t)| t.clone())
    }

    fn unknown_name(&self, name: &str) -> String {
        let names: Vec<String> = self
            .types
            .iter()
            .flat_map(|t| [t.qualified_name(), t.plural.clone(), t.kind.clone(), t.singular.clone()])
            .collect();
        let lower = name.to_lowercase();
        // A correct plural with a wrong group has a large edit distance; so the part before the group is compared too.
        let head = lower.split('.').next().unwrap_or_default();
        let near = nearest(&lower, names.iter().map(String::as_str)).map(str::to_string);
        let near = near.or_else(|| self.best_match(head).map(|t| t.qualified_name()));
        let near = near.or_else(|| nearest(head, names.iter().map(String::as_str)).map(str::to_string));
        let mut message = format!("the cluster serves no resource `{name}`");
        if let Some(near) = near {
            message = format!("{message}; did you mean `{near}`?");
        }
        if !self.unavailable.is_empty() {
            message = format!("{message} (API groups that could not be read: {})", self.unavailable.join(", "));
        }
        message
    }

    fn unknown_kind(&self, api_version: &str, kind: &str) -> String {
        let message = format!("the cluster serves no kind `{kind}` in `{api_version}`");
        let others: Vec<String> =
            self.types.iter().filter(|t| t.kind == kind).map(|t| format!("`{}`", t.api_version())).collect();
        if !others.is_empty() {
            return format!("{message}, but in {}", others.join(", "));
        }
        let near = nearest(kind, self.types.iter().map(|t| t.kind.as_str()));
        near.map_or(message.clone(), |n| format!("{message}; did you mean `{n}`?"))
    }
}

fn text(value: &Json, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_string()
}

fn texts(list: &Json) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|s| s.as_str().map(str::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalog() -> Catalog {
        let mut c = Catalog::default();
        let verbs = json!(["get", "list"]);
        c.add_resource_list(
            &json!({ "resources": [
                { "name": "pods", "singularName": "pod", "kind": "Pod", "namespaced": true, "shortNames": ["po"], "verbs": verbs },
                { "name": "pods/status", "kind": "Pod", "namespaced": true, "verbs": verbs },
                { "name": "events", "singularName": "", "kind": "Event", "namespaced": true, "verbs": verbs },
                { "name": "nodes", "singularName": "node", "kind": "Node", "namespaced": false, "verbs": verbs } ] }),
            "",
            "v1",
            true,
        );
        let sessions = json!({ "resources": [
            { "name": "sessions", "singularName": "session", "kind": "Session", "namespaced": true, "shortNames": ["ses"], "verbs": verbs } ] });
        c.add_resource_list(&sessions, "stream.space", "v1alpha2", true);
        c.add_resource_list(&sessions, "stream.space", "v1alpha1", false);
        c.add_resource_list(
            &json!({ "resources": [{ "name": "pods", "singularName": "pod", "kind": "PodMetrics", "namespaced": true }] }),
            "metrics.k8s.io",
            "v1beta1",
            true,
        );
        c
    }

    #[test]
    fn finds_a_type_by_every_name() {
        let c = catalog();
        for name in [
            "sessions",
            "session",
            "Session",
            "ses",
            "sessions.stream.space",
            "ses.v1alpha2.stream.space",
            "Session.stream.space",
        ] {
            let k = c.find(name).unwrap();
            assert_eq!((k.plural.as_str(), k.version.as_str()), ("sessions", "v1alpha2"), "{name}");
        }
        assert_eq!(c.find("sessions.v1alpha1.stream.space").unwrap().version, "v1alpha1");
        assert_eq!(c.find("pods").unwrap().group, "");
        assert_eq!(c.find("pods.v1").unwrap().group, "");
        assert_eq!(c.find("pods.metrics.k8s.io").unwrap().kind, "PodMetrics");
        assert_eq!(c.find("event").unwrap().singular, "event");
        assert!(c.find("sessions.other.space").is_err() && c.find("pods/status").is_err());
    }

    #[test]
    fn unknown_names_get_a_suggestion() {
        let c = catalog();
        assert!(
            c.unknown_name("sesions.stream.space").contains("`sessions.stream.space`"),
            "{}",
            c.unknown_name("sesions.stream.space")
        );
        assert!(c.unknown_name("sessions.strem.io").contains("did you mean `sessions.stream.space`"));
        assert!(c.unknown_kind("stream.space/v1", "Session").contains("but in `stream.space/v1alpha2`"));
        assert!(c.unknown_kind("v1", "Pdo").contains("did you mean `Pod`"));
    }

    #[test]
    fn aggregated_and_plain_discovery_give_the_same_types() {
        let mut c = Catalog::default();
        let pods = json!({ "resource": "pods", "singularResource": "pod", "scope": "Namespaced", "shortNames": ["po"],
            "responseKind": { "group": "", "version": "", "kind": "Pod" }, "verbs": ["get", "list"],
            "subresources": [{ "subresource": "status" }] });
        let nodes = json!({ "resource": "nodes", "singularResource": "node", "scope": "Cluster", "verbs": ["get", "list"],
            "responseKind": { "kind": "Node" } });
        c.add_group(&json!({ "metadata": {}, "versions": [{ "version": "v1", "freshness": "Current", "resources": [pods, nodes] }] }));
        let sessions = json!([{ "resource": "sessions", "singularResource": "session", "scope": "Namespaced", "shortNames": ["ses"],
            "responseKind": { "kind": "Session" }, "verbs": ["get", "list"] }]);
        c.add_group(&json!({ "metadata": { "name": "stream.space" }, "versions": [
            { "version": "v1alpha2", "resources": sessions }, { "version": "v1alpha1", "resources": sessions }] }));
        c.add_group(&json!({ "metadata": { "name": "metrics.k8s.io" }, "versions": [{ "version": "v1", "freshness": "Stale" }] }));
        let plain = catalog();
        for name in ["pods", "node", "ses", "sessions.v1alpha1.stream.space"] {
            assert_eq!(c.find(name).unwrap(), plain.find(name).unwrap(), "{name}");
        }
        assert_eq!(c.unavailable, ["metrics.k8s.io/v1"]);
    }

    #[test]
    fn path_has_namespace_only_for_namespaced_types() {
        let c = catalog();
        let session = c.find("ses").unwrap();
        assert_eq!(session.path(Some("ns"), Some("a")), "/apis/stream.space/v1alpha2/namespaces/ns/sessions/a");
        assert_eq!(c.find("node").unwrap().path(Some("ns"), None), "/api/v1/nodes");
    }
}
