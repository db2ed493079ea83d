//! Discovery documents: server version, API groups and resources.
use super::kinds::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const CUSTOM_VERBS: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const NAMESPACE_VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

pub(super) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "37",
        "gitVersion": "v1.37.0+embedded",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// `/api`
pub(super) fn core_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
}

/// `/apis`
pub(super) fn groups(kinds: &[Arc<Kind>]) -> Value {
    let mut names: Vec<&str> = Vec::new();
    for kind in kinds {
        if !kind.group.is_empty() && !names.contains(&kind.group.as_str()) {
            names.push(&kind.group);
        }
    }
    let groups: Vec<Value> = names.iter().filter_map(|name| group(kinds, name, false)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/GROUP` (`typed`), or one entry of `/apis`, which has no `kind`.
pub(super) fn group(kinds: &[Arc<Kind>], name: &str, typed: bool) -> Option<Value> {
    let mut versions: Vec<Value> = Vec::new();
    for kind in kinds.iter().filter(|k| !name.is_empty() && k.group == name) {
        let version = json!({ "groupVersion": kind.api_version(), "version": kind.version });
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    let preferred = versions.first()?.clone();
    let mut group = if typed { json!({ "kind": "APIGroup", "apiVersion": "v1" }) } else { json!({}) };
    group["name"] = json!(name);
    group["versions"] = json!(versions);
    group["preferredVersion"] = preferred;
    Some(group)
}

/// `/api/v1`, `/apis/GROUP/VERSION`
pub(super) fn resources(kinds: &[Arc<Kind>], group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    let served: Vec<_> = kinds.iter().filter(|k| k.group == group && k.version == version).collect();
    for kind in &served {
        let mut resource = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": match kind.plural.as_str() {
                // the real server lists the verbs of custom resources in another order
                _ if kind.custom => CUSTOM_VERBS,
                "namespaces" => NAMESPACE_VERBS,
                _ => VERBS,
            },
        });
        if !kind.short_names.is_empty() {
            resource["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        resources.push(resource);
        if kind.status {
            resources.push(json!({
                "name": format!("{}/status", kind.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let mut list = json!({ "kind": "APIResourceList" });
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    list["groupVersion"] = json!(served.first()?.api_version());
    list["resources"] = json!(resources);
    Some(list)
}
