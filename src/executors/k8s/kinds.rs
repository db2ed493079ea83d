//! Which resources a cluster serves, and how plans may call them: plural, kind, singular or short name, with or without group and
//! version. Pure; whoever asks the cluster fills it in.
use crate::diagnostic::nearest;
use serde_json::Value as Json;
use std::sync::Arc;

/// A served resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub short: Vec<String>,
    pub namespaced: bool,
    pub verbs: Vec<String>,
    /// Whether its version is the one that its group prefers.
    pub preferred: bool,
}

impl Kind {
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `sessions.stream.space`; `pods` for the core group.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The path of the collection, or of one object in it. The namespace is left out where the resource has none.
    pub fn path(&self, namespace: &str, name: Option<&str>) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let mut path = format!("/{root}/{}", self.api_version());
        if self.namespaced && !namespace.is_empty() {
            path = format!("{path}/namespaces/{namespace}");
        }
        path = format!("{path}/{}", self.plural);
        name.map_or(path.clone(), |n| format!("{path}/{n}"))
    }

    /// How well `word` names it; smaller is better.
    fn rank(&self, word: &str) -> Option<usize> {
        if self.plural == word {
            Some(0)
        } else if self.singular == word || self.kind.eq_ignore_ascii_case(word) {
            Some(1)
        } else if self.short.iter().any(|s| s == word) {
            Some(2)
        } else {
            None
        }
    }
}

/// Every resource, in the server's order: core first, and within a group the preferred version first.
#[derive(Debug, Default)]
pub struct Catalog {
    pub kinds: Vec<Arc<Kind>>,
    /// Groups that did not answer, with the reason.
    pub silent: Vec<String>,
}

impl Catalog {
    /// Adds what an APIResourceList names.
    pub fn add(&mut self, list: &Json, group: &str, version: &str, preferred: bool) {
        let text = |v: &Json, key: &str| v[key].as_str().unwrap_or_default().to_string();
        let texts = |v: &Json| -> Vec<String> {
            v.as_array().into_iter().flatten().filter_map(|s| s.as_str().map(str::to_string)).collect()
        };
        for r in list["resources"].as_array().into_iter().flatten() {
            let plural = text(r, "name");
            if plural.is_empty() || plural.contains('/') {
                continue;
            }
            let kind = text(r, "kind");
            let singular = Some(text(r, "singularName")).filter(|s| !s.is_empty());
            self.kinds.push(Arc::new(Kind {
                group: group.to_string(),
                version: version.to_string(),
                plural,
                singular: singular.unwrap_or_else(|| kind.to_lowercase()),
                kind,
                short: texts(&r["shortNames"]),
                namespaced: r["namespaced"].as_bool().unwrap_or(false),
                verbs: texts(&r["verbs"]),
                preferred,
            }));
        }
    }

    /// Adds a group of an APIGroupDiscoveryList, whose versions stand in the order in which the server prefers them.
    pub fn add_group(&mut self, group: &Json) {
        let text = |v: &Json, key: &str| v[key].as_str().unwrap_or_default().to_string();
        let texts = |v: &Json| -> Vec<String> {
            v.as_array().into_iter().flatten().filter_map(|s| s.as_str().map(str::to_string)).collect()
        };
        let name = text(&group["metadata"], "name");
        for (i, version) in group["versions"].as_array().into_iter().flatten().enumerate() {
            let v = text(version, "version");
            // An extension that does not answer the server; what it said last may be gone.
            if version["freshness"] == "Stale" {
                self.silent.push(format!("{name}/{v}"));
            }
            for r in version["resources"].as_array().into_iter().flatten() {
                let kind = text(&r["responseKind"], "kind");
                let singular = Some(text(r, "singularResource")).filter(|s| !s.is_empty());
                self.kinds.push(Arc::new(Kind {
                    group: name.clone(),
                    version: v.clone(),
                    plural: text(r, "resource"),
                    singular: singular.unwrap_or_else(|| kind.to_lowercase()),
                    kind,
                    short: texts(&r["shortNames"]),
                    namespaced: r["scope"] == "Namespaced",
                    verbs: texts(&r["verbs"]),
                    preferred: i == 0,
                }));
            }
        }
    }

    /// The resource that a plan calls `word`: `sessions`, `ses`, `Session.stream.space`, `deployments.v1.apps`.
    pub fn find(&self, word: &str) -> Option<Arc<Kind>> {
        let word = word.to_lowercase();
        let (head, place) = word.split_once('.').unwrap_or((&word, ""));
        let placed = |k: &Kind| {
            place.is_empty()
                || place == k.group
                || place == format!("{}.{}", k.version, k.group)
                || (k.group.is_empty() && place == k.version)
        };
        let fitting = self.kinds.iter().filter(|k| placed(k));
        fitting.filter_map(|k| Some((k.rank(head)?, k))).min_by_key(|(rank, _)| *rank).map(|(_, k)| k.clone())
    }

    /// The resource of a manifest's `apiVersion` and `kind`.
    pub fn of_manifest(&self, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
        self.kinds.iter().find(|k| k.api_version() == api_version && k.kind == kind).cloned()
    }

    /// A sentence about a word that names nothing, with what was probably meant.
    pub fn unknown(&self, word: &str) -> String {
        let names: Vec<String> = self
            .kinds
            .iter()
            .flat_map(|k| [k.resource(), k.plural.clone(), k.kind.clone(), k.singular.clone()])
            .collect();
        let lower = word.to_lowercase();
        // A right plural with a wrong group is farther away than a slip of the pen; so it is looked for by its head too.
        let head = lower.split('.').next().unwrap_or_default();
        let near = nearest(&lower, names.iter().map(String::as_str)).map(str::to_string);
        let near = near.or_else(|| self.find(head).map(|k| k.resource()));
        let near = near.or_else(|| nearest(head, names.iter().map(String::as_str)).map(str::to_string));
        let mut sentence = format!("the cluster serves no resource `{word}`");
        if let Some(near) = near {
            sentence = format!("{sentence}; did you mean `{near}`?");
        }
        if !self.silent.is_empty() {
            sentence = format!("{sentence} (no answer about {})", self.silent.join(", "));
        }
        sentence
    }

    /// A sentence about a manifest's kind that is not served.
    pub fn unknown_manifest(&self, api_version: &str, kind: &str) -> String {
        let others: Vec<String> =
            self.kinds.iter().filter(|k| k.kind == kind).map(|k| format!("`{}`", k.api_version())).collect();
        if !others.is_empty() {
            return format!("the cluster serves no `{kind}` in `{api_version}`, but in {}", others.join(", "));
        }
        let near = nearest(kind, self.kinds.iter().map(|k| k.kind.as_str()));
        let near = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
        format!("the cluster serves no kind `{kind}` in `{api_version}`{near}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalog() -> Catalog {
        let mut c = Catalog::default();
        let verbs = json!(["get", "list"]);
        c.add(
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
        c.add(&sessions, "stream.space", "v1alpha2", true);
        c.add(&sessions, "stream.space", "v1alpha1", false);
        c.add(
            &json!({ "resources": [{ "name": "pods", "singularName": "pod", "kind": "PodMetrics", "namespaced": true }] }),
            "metrics.k8s.io",
            "v1beta1",
            true,
        );
        c
    }

    #[test]
    fn a_resource_is_found_by_every_name_that_people_use() {
        let c = catalog();
        for word in [
            "sessions",
            "session",
            "Session",
            "ses",
            "sessions.stream.space",
            "ses.v1alpha2.stream.space",
            "Session.stream.space",
        ] {
            let k = c.find(word).unwrap_or_else(|| panic!("{word}"));
            assert_eq!((k.plural.as_str(), k.version.as_str()), ("sessions", "v1alpha2"), "{word}");
        }
        assert_eq!(c.find("sessions.v1alpha1.stream.space").unwrap().version, "v1alpha1");
        assert_eq!(c.find("pods").unwrap().group, "");
        assert_eq!(c.find("pods.v1").unwrap().group, "");
        assert_eq!(c.find("pods.metrics.k8s.io").unwrap().kind, "PodMetrics");
        assert_eq!(c.find("event").unwrap().singular, "event");
        assert!(c.find("sessions.other.space").is_none() && c.find("pods/status").is_none());
    }

    #[test]
    fn what_is_unknown_is_answered_with_what_was_meant() {
        let c = catalog();
        assert!(
            c.unknown("sesions.stream.space").contains("`sessions.stream.space`"),
            "{}",
            c.unknown("sesions.stream.space")
        );
        assert!(c.unknown("sessions.strem.io").contains("did you mean `sessions.stream.space`"));
        assert!(c.unknown_manifest("stream.space/v1", "Session").contains("but in `stream.space/v1alpha2`"));
        assert!(c.unknown_manifest("v1", "Pdo").contains("did you mean `Pod`"));
    }

    #[test]
    fn both_ways_of_a_server_to_say_what_it_serves_mean_the_same() {
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
        let old = catalog();
        for word in ["pods", "node", "ses", "sessions.v1alpha1.stream.space"] {
            assert_eq!(c.find(word), old.find(word), "{word}");
        }
        assert_eq!(c.silent, ["metrics.k8s.io/v1"]);
    }

    #[test]
    fn paths() {
        let c = catalog();
        let session = c.find("ses").unwrap();
        assert_eq!(session.path("ns", Some("a")), "/apis/stream.space/v1alpha2/namespaces/ns/sessions/a");
        assert_eq!(c.find("node").unwrap().path("ns", None), "/api/v1/nodes");
    }
}
