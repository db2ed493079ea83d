//! What an action will ask of the cluster, before it does. Pure.
use super::{
    body::{Doomed, K8sAction, Subresource, Verb},
    manifest::Manifests,
};
use crate::{
    executor::Need,
    expr::{Part, Scope, Template},
};

pub fn of(action: &K8sAction, known: &Scope) -> Vec<Need> {
    let namespace = action.namespace.as_ref().map(|t| told(t, known));
    let need = |resource: &str, verbs: &[(&'static str, bool)]| -> Vec<Need> {
        let one = |(verb, essential): &(&'static str, bool)| Need {
            verb,
            resource: resource.to_string(),
            namespace: namespace.clone(),
            essential: *essential,
        };
        verbs.iter().map(one).collect()
    };
    // Whoever may not list or watch is shown one state after the other by `get`.
    let look: &[(&str, bool)] = &[("get", true), ("list", false), ("watch", false)];
    let of_manifests = |all: &Manifests, part: Option<Subresource>, verbs: &[(&'static str, bool)]| {
        kinds(all, known).iter().flat_map(|r| need(&with_part(r, part), verbs)).collect()
    };
    match &action.verb {
        Verb::Get { of, subresource: None } => need(&resource(of, known), look),
        Verb::Get { of, subresource } => need(&with_part(&resource(of, known), *subresource), &[("get", true)]),
        Verb::List(list) => match told(&list.what, known) {
            // What may not be listed is left out of it, with a note.
            all if all == "*" => need(&all, &[("list", false)]),
            one => need(&one, &[("list", true), ("watch", false)]),
        },
        Verb::Events(_) => need("events", &[("list", true)]),
        Verb::Create(all) => of_manifests(all, None, &[("create", true)]),
        // The server asks for `create` too where the object is not there yet.
        Verb::Apply { manifests, subresource: None, .. } => {
            of_manifests(manifests, None, &[("patch", true), ("create", true)])
        }
        Verb::Apply { manifests, subresource, .. } => of_manifests(manifests, *subresource, &[("patch", true)]),
        Verb::Patch { of, subresource, .. } => need(&with_part(&resource(of, known), *subresource), &[("patch", true)]),
        Verb::Delete { what: Doomed::Object(of), .. } => need(&resource(of, known), &[("delete", true)]),
        Verb::Delete { what: Doomed::Manifests(all), .. } => of_manifests(all, None, &[("delete", true)]),
    }
}

fn with_part(resource: &str, part: Option<Subresource>) -> String {
    part.map_or_else(|| resource.to_string(), |s| format!("{resource}/{}", s.api()))
}

fn told(t: &Template, known: &Scope) -> String {
    t.render_text(known).unwrap_or_else(|_| t.source())
}

/// The resource of `plural.group/name`: it can be told where only the name is not known yet.
fn resource(of: &Template, known: &Scope) -> String {
    let before = |text: &str| text.split_once('/').map(|(resource, _)| resource.to_string());
    if let Some(resource) = of.render_text(known).ok().and_then(|t| before(&t)) {
        return resource;
    }
    let mut head = String::new();
    for part in of.parts() {
        match part {
            Part::Text(text) => match before(text) {
                Some(rest) => return head + &rest,
                None => head.push_str(text),
            },
            Part::Placeholder(e) => match e.eval(known) {
                Ok(value) => head.push_str(&value.to_string()),
                Err(_) => break,
            },
        }
    }
    of.source()
}

/// As plans may call them: `Session.v1alpha1.stream.space`.
fn kinds(all: &Manifests, known: &Scope) -> Vec<String> {
    let called = |api: &str, kind: &str| match api.split_once('/') {
        Some((group, version)) => format!("{kind}.{version}.{group}"),
        None => format!("{kind}.{api}"),
    };
    match all {
        Manifests::File(path) => vec![format!("what is in `{}`", told(path, known))],
        Manifests::Inline { tree, summary, kinds } => {
            let rendered = tree.render(known).map(|v| v.to_json()).unwrap_or_default();
            let one = |m: &serde_json::Value| Some(called(m["apiVersion"].as_str()?, m["kind"].as_str()?));
            let told: Option<Vec<String>> = match &rendered {
                serde_json::Value::Array(all) => all.iter().map(one).collect(),
                m => one(m).map(|k| vec![k]),
            };
            let written = || kinds.iter().map(|(api, kind)| called(api, kind)).collect();
            told.unwrap_or_else(|| if kinds.is_empty() { vec![summary.clone()] } else { written() })
        }
    }
}
