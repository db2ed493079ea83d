//! What a body may say, and what an action needs; without a cluster.
use crate::executor_stage::compile;
use tp_runner::{executor::Need, expr::Scope, value::Value};

#[test]
fn a_body_that_cannot_be_performed_is_a_diagnostic() {
    for (body, expected) in [
        ("get: sessions.stream.space", "plural.group/name"),
        ("list: sessions.stream.space/x", "no name"),
        ("apply: { kind: X }", "lacks `apiVersion`"),
        ("apply: { apiVersion: v1, kind: ConfigMap, metadata: { generateName: x } }", "lacks `name`"),
        ("{ get: a/b, list: c }", "two verbs"),
        ("namespace: x", "no verb"),
        ("patch: a/b", "one of `merge`, `json` and `strategic`"),
        ("{ patch: a/b, merge: {}, strategic: {} }", "one of `merge`, `json` and `strategic`"),
        ("{ patch: a/b, json: { op: x } }", "list of operations"),
        ("{ patch: a/b, merge: [x] }", "is a map"),
        ("{ get: a/b, labels: { x: y } }", "`labels` belongs to `list`, not to `get`"),
        ("{ delete: a/b, force: true }", "`force` belongs to `apply`"),
        ("{ list: a, subresource: status }", "belongs to `get`, `apply`, `patch`"),
        ("{ get: a/b, subresource: staus }", "did you mean `status`"),
        ("{ delete: a/b, propagation: forground }", "did you mean `foreground`"),
        ("{ delete: a/b, grace: soon }", "no duration"),
        ("{ delete: a/b, grace: 500ms }", "whole seconds"),
        ("{ apply: '${x}', force: please }", "`true` or `false`"),
        ("create: { apiVersion: v1, kind: Pod, metadata: {} }", "lacks `name`, or `generateName`"),
        ("create: { kind: Pod, metadata: { name: x } }", "lacks `apiVersion`"),
        ("create: [{ apiVersion: v1, kind: Pod, metadata: { name: x } }, { kind: Pod }]", "lacks `apiVersion`"),
        ("create: deployment.yaml", "or `{ file: PATH }`"),
        ("create: []", "a manifest is a map"),
        ("{ get: a/b, namespce: x }", "namespace"),
        ("{ get: 'a/${b' }", "without a closing"),
    ] {
        let problems = compile("k8s", body).err().unwrap_or_else(|| panic!("{body} compiles"));
        assert!(problems.iter().any(|(_, m)| m.contains(expected)), "{body}: {problems:?}");
    }
    for body in [
        "create: '${manifest}'",
        "get: '${what}/${name}'",
        "events: true",
        "{ list: '*', owner: '${uid}' }",
        "create: { file: a.yaml }",
        "{ apply: { file: '${dir}/a.yaml' }, manager: me, force: true }",
        "{ delete: { file: a.yaml }, propagation: foreground, grace: 0s }",
        "{ patch: deploy/x, strategic: { spec: {} } }",
        "{ patch: a/b, merge: '${patch}', subresource: status }",
        "create: [{ apiVersion: v1, kind: Pod, metadata: { name: x } }]",
    ] {
        assert!(compile("k8s", body).is_ok(), "{body}");
    }
}

#[test]
fn what_an_action_needs_is_told_before_the_run() {
    let known = Scope::default().with("ns", "blue").with("kind", "pods").with(
        "manifest",
        Value::from(serde_json::json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x" } })),
    );
    let needs = |body: &str| -> Vec<String> {
        let one = |n: Need| {
            let namespace = n.namespace.map(|n| format!(" in {n}")).unwrap_or_default();
            format!("{} {}{namespace}{}", n.verb, n.resource, if n.essential { "" } else { "?" })
        };
        compile("k8s", body).unwrap().needs(&known).into_iter().map(one).collect()
    };
    let look = |r: &str| vec![format!("get {r}"), format!("list {r}?"), format!("watch {r}?")];
    assert_eq!(needs("get: 'sessions.stream.space/${name}'"), look("sessions.stream.space"));
    assert_eq!(needs("get: '${kind}/${name}'"), look("pods"));
    assert_eq!(needs("get: '${what}/${name}'"), look("${what}/${name}"), "it is known only in the run");
    assert_eq!(needs("{ get: deploy/x, subresource: scale }"), ["get deploy/scale"]);
    assert_eq!(needs("{ list: pods, namespace: '${ns}' }"), ["list pods in blue", "watch pods in blue?"]);
    assert_eq!(needs("list: '*'"), ["list *?"]);
    assert_eq!(needs("events: pods/x"), ["list events"]);
    assert_eq!(needs("create: '${manifest}'"), ["create Deployment.v1.apps"]);
    assert_eq!(
        needs("create: { apiVersion: v1, kind: Pod, metadata: { name: '${x}' } }"),
        ["create Pod.v1"],
        "a name of later does not hide the kind"
    );
    assert_eq!(
        needs(
            "apply: [{ apiVersion: v1, kind: Pod, metadata: { name: x } }, { apiVersion: a.b/v1, kind: C, metadata: { name: x } }]"
        ),
        ["patch Pod.v1", "create Pod.v1", "patch C.v1.a.b", "create C.v1.a.b"]
    );
    assert_eq!(needs("{ patch: Session/x, merge: {}, subresource: status }"), ["patch Session/status"]);
    assert_eq!(needs("delete: pods/x"), ["delete pods"]);
    assert_eq!(needs("delete: { file: x.yaml }"), ["delete what is in `x.yaml`"]);
}
