//! The plan for a namespace of Kubernetes.
use crate::init::{
    plan::{Case, Content, Drafts, Part, Plan, Sentence, Tier, Written, write},
    words::sentence,
    yaml::{Yaml, map, text, word},
};

/// Cases of one plan; the rest of a large namespace is left to the reader.
const MAX_CASES: usize = 40;
/// How long a rollout may take.
const ROLLOUT: &str = "60s";

/// The objects of a namespace that were observed.
#[derive(Clone, Debug, Default)]
pub struct KubernetesObservation {
    pub namespace: String,
    pub objects: Vec<KubernetesObject>,
}

#[derive(Clone, Debug, Default)]
pub struct KubernetesObject {
    /// As the verb `k8s` names it: `deployments.apps`, `services`.
    pub resource: String,
    pub kind: String,
    pub name: String,
    /// `spec.replicas`, if it has them.
    pub replicas: Option<u64>,
}

/// Writes the plan: workloads that run are available, other objects exist. `None` without objects.
pub fn kubernetes(id: &str, observation: &KubernetesObservation) -> Option<Written> {
    let objects = observation.objects.iter().filter(|o| is_name(&o.name) && is_resource(&o.resource));
    let cases: Vec<Case> = objects.take(MAX_CASES).map(case).collect();
    let left = observation.objects.len().saturating_sub(cases.len());
    let mut comments = vec![
        sentence(&format!("Written by `tp-runner init` from the objects of the namespace {}.", observation.namespace)),
        "Add the steps that change them, and what follows from it.".into(),
    ];
    if left > 0 {
        comments.push(format!("{left} more objects are not asserted."));
    }
    (!cases.is_empty()).then(|| {
        write(&Plan {
            id: id.into(),
            title: sentence(&format!("Namespace {}", observation.namespace)),
            comments,
            variables: vec![],
            cases,
            drafts: Drafts::default(),
        })
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
}

fn is_resource(name: &str) -> bool {
    is_name(name)
}

fn case(object: &KubernetesObject) -> Case {
    let kind = sentence(&object.kind);
    let get = map([("get", text(format!("{}/{}", object.resource, object.name)))]);
    let is_workload =
        matches!(object.kind.as_str(), "Deployment" | "StatefulSet" | "ReplicaSet") && object.replicas > Some(0);
    let (action, results) = if is_workload {
        let status = match object.kind.as_str() {
            "Deployment" => map([(
                "conditions",
                map([("$contains", map([("type", text("Available")), ("status", text("True"))]))]),
            )]),
            _ => map([("readyReplicas", map([("$type", word("int"))]))]),
        };
        let expect = map([("object", map([("status", status)]))]);
        let action = map([("k8s", get), ("eventually", word(ROLLOUT)), ("expect", expect), ("as", word("found"))]);
        let ready = Content::Check("found.object.status.readyReplicas == found.object.spec.replicas".into());
        (action, vec![("It has as many ready replicas as it should have", ready)])
    } else {
        let expect = map([("found", map([("found", word("true")), ("object", metadata(object))]))]);
        (map([("k8s", get), ("as", word("found"))]), vec![("It exists", Content::Expect(expect))])
    };
    let step = if is_workload {
        format!("Wait until the {kind} {} is available", object.name)
    } else {
        format!("Look for the {kind} {}", object.name)
    };
    let result = |(text, content): (&str, Content)| Sentence { text: text.into(), part: Part::Response, content };
    Case {
        key: format!("{}/{}", object.resource, object.name),
        title: format!("{kind} {}", object.name),
        tier: if is_workload { Tier::Must } else { Tier::Should },
        steps: vec![Sentence { text: step, part: Part::Response, content: Content::Actions(vec![action]) }],
        expected: results.into_iter().map(result).collect(),
    }
}

fn metadata(object: &KubernetesObject) -> Yaml {
    map([("metadata", map([("name", text(&object.name))]))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_available_and_other_objects_exist() {
        let object = |resource: &str, kind: &str, replicas| KubernetesObject {
            resource: resource.into(),
            kind: kind.into(),
            name: "web".into(),
            replicas,
        };
        let objects = vec![
            object("deployments.apps", "Deployment", Some(2)),
            object("services", "Service", None),
            object("deployments.apps", "Deployment", Some(0)),
        ];
        let written = kubernetes("SHOP", &KubernetesObservation { namespace: "shop".into(), objects }).unwrap();
        assert_eq!(written.counts(), (3, 0));
        for part in [
            "k8s: { get: deployments.apps/web }",
            r#"$contains: { type: "Available", status: "True" }"#,
            "check: found.object.status.readyReplicas == found.object.spec.replicas",
            r#"expect: { found: { found: true, object: { metadata: { name: "web" } } } }"#,
        ] {
            assert!(written.yaml.contains(part), "{part}\n{}", written.yaml);
        }
    }
}
