//! The permissions that an action needs, derived before the run. Pure.
use super::{
    manifest::Manifests,
    types::{ApplyOptions, DeleteTarget, K8sAction, Operation, Subresource},
};
use crate::{
    executor::Permission,
    expr::{Part, Scope, Template},
};
use serde_json::Value as Json;

/// API verbs, each with whether the action fails without it.
type RequiredVerbs<'a> = &'a [(&'static str, bool)];

pub fn of_action(action: &K8sAction, known: &Scope) -> Vec<Permission> {
    let namespace = action.namespace.as_ref().map(|t| render_or_source(t, known));
    let permission = |resource: &str, verbs: RequiredVerbs<'_>| -> Vec<Permission> {
        let permission = |(verb, essential): &(&'static str, bool)| Permission {
            verb,
            resource: resource.to_string(),
            namespace: namespace.clone(),
            essential: *essential,
        };
        verbs.iter().map(permission).collect()
    };
    let for_manifests = |manifests: &Manifests, subresource: Option<Subresource>, verbs: RequiredVerbs<'_>| {
        let kinds = manifest_kinds(manifests, known);
        kinds.iter().flat_map(|kind| permission(&with_subresource(kind, subresource), verbs)).collect()
    };
    match &action.operation {
        // Without list and watch, the object is polled.
        Operation::Get { object, subresource: None } => {
            permission(&resource_of(object, known), &[("get", true), ("list", false), ("watch", false)])
        }
        Operation::Get { object, subresource } => {
            permission(&with_subresource(&resource_of(object, known), *subresource), &[("get", true)])
        }
        Operation::List(query) => match render_or_source(&query.resource, known) {
            // A resource that may not be listed is left out, with a note.
            all if all == "*" => permission(&all, &[("list", false)]),
            resource => permission(&resource, &[("list", true), ("watch", false)]),
        },
        Operation::Events(_) => permission("events", &[("list", true)]),
        Operation::Create(manifests) => for_manifests(manifests, None, &[("create", true)]),
        // The server requires `create` too if the object does not exist.
        Operation::Apply(ApplyOptions { manifests, subresource: None, .. }) => {
            for_manifests(manifests, None, &[("patch", true), ("create", true)])
        }
        Operation::Apply(ApplyOptions { manifests, subresource, .. }) => {
            for_manifests(manifests, *subresource, &[("patch", true)])
        }
        Operation::Patch { object, subresource, .. } => {
            permission(&with_subresource(&resource_of(object, known), *subresource), &[("patch", true)])
        }
        Operation::Delete { target: DeleteTarget::Object(object), .. } => {
            permission(&resource_of(object, known), &[("delete", true)])
        }
        Operation::Delete { target: DeleteTarget::Manifests(manifests), .. } => {
            for_manifests(manifests, None, &[("delete", true)])
        }
    }
}

fn with_subresource(resource: &str, subresource: Option<Subresource>) -> String {
    subresource.map_or_else(|| resource.to_string(), |s| format!("{resource}/{}", s.api_name()))
}

fn render_or_source(t: &Template, known: &Scope) -> String {
    t.render_text(known).unwrap_or_else(|_| t.source())
}

/// The resource in `plural.group/name`. It can be rendered even if the name cannot yet.
fn resource_of(object: &Template, known: &Scope) -> String {
    let before_slash = |text: &str| text.split_once('/').map(|(resource, _)| resource.to_string());
    if let Some(resource) = object.render_text(known).ok().and_then(|t| before_slash(&t)) {
        return resource;
    }
    let mut head = String::new();
    for part in object.parts() {
        match part {
            Part::Text(text) => match before_slash(text) {
                Some(rest) => return head + &rest,
                None => head.push_str(text),
            },
            Part::Placeholder(e) => match e.eval(known) {
                Ok(value) => head.push_str(&value.to_string()),
                Err(_) => break,
            },
        }
    }
    object.source()
}

/// The kinds of manifests as plans may name them: `Session.v1alpha1.stream.space`.
fn manifest_kinds(manifests: &Manifests, known: &Scope) -> Vec<String> {
    let qualified = |api_version: &str, kind: &str| match api_version.split_once('/') {
        Some((group, version)) => format!("{kind}.{version}.{group}"),
        None => format!("{kind}.{api_version}"),
    };
    let (tree, summary, kinds) = match manifests {
        Manifests::File(path) => return vec![format!("objects in `{}`", render_or_source(path, known))],
        Manifests::Inline { tree, summary, kinds } => (tree, summary, kinds),
    };
    let rendered = tree.render(known).map(|v| v.to_json()).unwrap_or_default();
    let kind_of = |m: &Json| Some(qualified(m["apiVersion"].as_str()?, m["kind"].as_str()?));
    let rendered_kinds: Option<Vec<String>> = match &rendered {
        Json::Array(all) => all.iter().map(kind_of).collect(),
        single => kind_of(single).map(|kind| vec![kind]),
    };
    match rendered_kinds {
        Some(kinds) => kinds,
        None if kinds.is_empty() => vec![summary.clone()],
        None => kinds.iter().map(|(api_version, kind)| qualified(api_version, kind)).collect(),
    }
}
