//! The permissions that an action needs, derived before the run. Pure.
use super::{
    manifest::Manifests,
    request::with_subresource,
    types::{DeleteTarget, K8sAction, Operation},
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
    let for_manifests = |manifests: &Manifests, subresource: Option<&str>, verbs: RequiredVerbs<'_>| {
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
        Operation::Apply { manifests, subresource: None, .. } => {
            for_manifests(manifests, None, &[("patch", true), ("create", true)])
        }
        Operation::Apply { manifests, subresource, .. } => for_manifests(manifests, *subresource, &[("patch", true)]),
        Operation::Patch { object, subresource, .. } => {
            permission(&with_subresource(&resource_of(object, known), *subresource), &[("patch", true)])
        }
        Operation::Delete { target: DeleteTarget::Object(object), .. } => {
            let kinds = object.render(known).ok().and_then(|v| rendered_kinds(&v.to_json()));
            let resources = kinds.unwrap_or_else(|| vec![resource_of(object, known)]);
            resources.iter().flat_map(|r| permission(r, &[("delete", true)])).collect()
        }
        Operation::Delete { target: DeleteTarget::Manifests(manifests), .. } => {
            for_manifests(manifests, None, &[("delete", true)])
        }
    }
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
    match manifests {
        Manifests::File(path) => vec![format!("objects in `{}`", render_or_source(path.template(), known))],
        Manifests::Inline { tree, summary, kinds } => {
            let rendered = tree.render(known).ok().and_then(|v| rendered_kinds(&v.to_json()));
            rendered.unwrap_or_else(|| match &kinds[..] {
                [] => vec![summary.clone()],
                kinds => kinds.iter().map(|(api_version, kind)| qualified_kind(api_version, kind)).collect(),
            })
        }
    }
}

/// The kinds of one manifest or a list; `None` if an item is not a manifest.
fn rendered_kinds(manifests: &Json) -> Option<Vec<String>> {
    let kind_of = |m: &Json| Some(qualified_kind(m["apiVersion"].as_str()?, m["kind"].as_str()?));
    match manifests {
        Json::Array(all) => all.iter().map(kind_of).collect(),
        single => kind_of(single).map(|kind| vec![kind]),
    }
}

fn qualified_kind(api_version: &str, kind: &str) -> String {
    match api_version.split_once('/') {
        Some((group, version)) => format!("{kind}.{version}.{group}"),
        None => format!("{kind}.{api_version}"),
    }
}
