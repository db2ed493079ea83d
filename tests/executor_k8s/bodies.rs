//! Compiling bodies, and the permissions that actions need; without a cluster.
use std::{collections::BTreeSet, sync::Arc};
use tp_runner::{
    engine::{
        compile,
        permissions::{self, Permissions},
        scopes::{base_scope, run_scope},
    },
    executor::{Permission, RunInfo},
    executors::{self, k8s::K8s},
    expr::Scope,
    plan::{Reader, environment},
    secrets::Secrets,
    source::Source,
    testing::{NoFiles, compile},
    value::Value,
};

/// The needs of a plan in the first environment of a file.
pub fn plan_needs(plan: &str, environments: &str) -> Permissions {
    let registry = executors::registry();
    let source = |name: &str, text: &str| Arc::new(Source::new(name, text));
    let mut reader = Reader::new(registry.verbs().collect(), &NoFiles);
    let plan = reader.plan(&source("plan.yaml", plan)).unwrap();
    let here = environment::read(&mut reader, &source("tp-runner.yaml", environments)).unwrap().all.remove(0);
    let (schedule, problems) = compile::compile(plan, &registry, Some(here), vec![], &|_| true);
    let rendered: String = problems.0.iter().chain(&reader.problems.0).map(|d| d.render(false)).collect();
    assert_eq!(problems.errors() + reader.problems.errors(), 0, "{rendered}");
    let (schedule, secrets) = (schedule.unwrap(), Arc::new(Secrets::default()));
    let run = RunInfo { id: "r1".into(), started: jiff::Timestamp::now(), dir: ".".into(), trace: None };
    let known = base_scope(&run, &secrets, &schedule.vars, &run_scope(&run, &secrets)).unwrap();
    permissions::of(&schedule, &known)
}

#[test]
fn refuses_invalid_bodies_with_a_diagnostic() {
    for (body, expected) in [
        ("get: sessions.stream.space", "plural.group/name"),
        ("list: sessions.stream.space/x", "without a name"),
        ("apply: { kind: X }", "missing `apiVersion`"),
        ("apply: { apiVersion: v1, kind: ConfigMap, metadata: { generateName: x } }", "missing `name`"),
        ("{ get: a/b, list: c }", "expected one operation, found `get`, `list`"),
        ("namespace: x", "expected an operation, found none"),
        ("patch: a/b", "one of `merge`, `json` and `strategic`"),
        ("{ patch: a/b, merge: {}, strategic: {} }", "one of `merge`, `json` and `strategic`"),
        ("{ patch: a/b, json: { op: x } }", "expected a list of operations, found a map"),
        ("{ patch: a/b, merge: [x] }", "expected a map with the fields to change, found a list"),
        ("{ get: a/b, labels: { x: y } }", "`labels` is allowed with `list`, not with `get`"),
        ("{ delete: a/b, force: true }", "`force` is allowed with `apply`"),
        ("{ list: a, subresource: status }", "is allowed with `get`, `apply`, `patch`"),
        ("{ get: a/b, subresource: staus }", "did you mean `status`"),
        ("{ delete: a/b, propagation: forground }", "did you mean `foreground`"),
        ("{ delete: a/b, grace: soon }", "expected a duration"),
        ("{ delete: a/b, grace: 500ms }", "expected whole seconds"),
        ("{ apply: '${x}', force: please }", "`true` or `false`"),
        ("create: { apiVersion: v1, kind: Pod, metadata: {} }", "missing `name` or `generateName`"),
        ("create: { kind: Pod, metadata: { name: x } }", "missing `apiVersion`"),
        ("create: [{ apiVersion: v1, kind: Pod, metadata: { name: x } }, { kind: Pod }]", "missing `apiVersion`"),
        ("create: deployment.yaml", "or `{ file: PATH }`"),
        ("create: []", "expected a manifest"),
        ("delete: []", "expected a manifest"),
        ("delete: [{ apiVersion: v1, kind: Pod, metadata: { generateName: x } }]", "missing `name`"),
        ("{ get: a/b, namespce: x }", "namespace"),
        ("{ get: 'a/${b' }", "close the placeholder"),
    ] {
        let problems = compile(&K8s, body).err().unwrap_or_else(|| panic!("{body} compiles"));
        assert!(problems.iter().any(|p| p.message.contains(expected)), "{body}: {problems:?}");
    }
    for body in [
        "create: '${manifest}'",
        "get: '${what}/${name}'",
        "events: true",
        "{ list: '*', owner: '${uid}' }",
        "create: { file: a.yaml }",
        "{ apply: { file: '${dir}/a.yaml' }, manager: me, force: true }",
        "{ delete: { file: a.yaml }, propagation: foreground, grace: 0s }",
        "delete: '${manifest}'",
        "delete: [{ apiVersion: v1, kind: Pod, metadata: { name: x } }]",
        "{ patch: deploy/x, strategic: { spec: {} } }",
        "{ patch: a/b, merge: '${patch}', subresource: status }",
        "create: [{ apiVersion: v1, kind: Pod, metadata: { name: x } }]",
    ] {
        assert!(compile(&K8s, body).is_ok(), "{body}");
    }
}

#[test]
fn derives_the_needs_of_an_action_before_the_run() {
    let known = Scope::default().with("ns", "blue").with("kind", "pods").with(
        "manifest",
        Value::from(serde_json::json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x" } })),
    );
    let needs = |body: &str| -> Vec<String> {
        let text = |n: Permission| {
            let namespace = n.namespace.map(|n| format!(" in {n}")).unwrap_or_default();
            format!("{} {}{namespace}{}", n.verb, n.resource, if n.essential { "" } else { "?" })
        };
        compile(&K8s, body).unwrap().permissions(&known).into_iter().map(text).collect()
    };
    let get_needs = |r: &str| vec![format!("get {r}"), format!("list {r}?"), format!("watch {r}?")];
    assert_eq!(needs("get: 'sessions.stream.space/${name}'"), get_needs("sessions.stream.space"));
    assert_eq!(needs("get: '${kind}/${name}'"), get_needs("pods"));
    assert_eq!(needs("get: '${what}/${name}'"), get_needs("${what}/${name}"), "known only during the run");
    assert_eq!(needs("{ get: deploy/x, subresource: scale }"), ["get deploy/scale"]);
    assert_eq!(needs("{ list: pods, namespace: '${ns}' }"), ["list pods in blue", "watch pods in blue?"]);
    assert_eq!(needs("list: '*'"), ["list *?"]);
    assert_eq!(needs("events: pods/x"), ["list events"]);
    assert_eq!(needs("create: '${manifest}'"), ["create Deployment.v1.apps"]);
    assert_eq!(
        needs("create: { apiVersion: v1, kind: Pod, metadata: { name: '${x}' } }"),
        ["create Pod.v1"],
        "an unknown name does not hide the kind"
    );
    assert_eq!(
        needs(
            "apply: [{ apiVersion: v1, kind: Pod, metadata: { name: x } }, { apiVersion: a.b/v1, kind: C, metadata: { name: x } }]"
        ),
        ["patch Pod.v1", "create Pod.v1", "patch C.v1.a.b", "create C.v1.a.b"]
    );
    assert_eq!(needs("{ patch: Session/x, merge: {}, subresource: status }"), ["patch Session/status"]);
    assert_eq!(needs("delete: pods/x"), ["delete pods"]);
    assert_eq!(needs("delete: { file: x.yaml }"), ["delete objects in `x.yaml`"]);
    assert_eq!(needs("delete: '${manifest}'"), ["delete Deployment.v1.apps"]);
    assert_eq!(needs("delete: [{ apiVersion: v1, kind: Pod, metadata: { name: x } }]"), ["delete Pod.v1"]);
    assert_eq!(needs("delete: '${unknown}'"), ["delete ${unknown}"], "known only during the run");
}

/// From reusable actions, branches, undos, and the lists around the cases.
#[test]
fn collects_needs_from_all_places_of_a_plan() {
    let plan = r#"
plan: P
title: T
vars: { ns: blue }
actions:
  see:
    inputs: { kind: , name: some }
    do:
      - k8s: { get: "${inputs.kind}/${inputs.name}", namespace: "${ns}" }
        as: observed
        expect: { found: true }
        undo:
          - k8s: { delete: "${inputs.kind}/${observed.object.metadata.name}" }
            expect: { found: true }
    outputs: { observed: observed }
cases:
  - id: A
    title: T
    tier: must
    steps:
      - step: S
        do:
          - fault: { break: cut }
          - use: { see: { kind: pods } }
            expect: { observed: { found: true } }
          - parallel:
              branches:
                - k8s: { events: true }
                  expect: { found: true }
                - k8s: { list: nodes }
                  target: other
                  expect: { found: true }
    expected:
      - result: R
        do:
          - k8s: { get: secrets/x }
            expect: { found: false }
"#;
    let one = |body: &str| format!("[{{ k8s: {{ {body} }}, expect: {{ found: true }} }}]");
    let environments = format!(
        "environments:\n  here:\n    targets: {{ cluster: {{ k8s: }}, other: {{ k8s: }} }}\n    setup: {}\n    teardown: {}\n    \
         on_failure: [{{ k8s: {{ list: jobs }} }}]\n    faults: {{ cut: {{ do: {}, heal: {} }} }}\n",
        one("get: namespaces/x"),
        one("delete: leases/x"),
        one("patch: services/x, merge: { a: b }"),
        one("patch: endpoints/x, merge: { a: b }"),
    );
    let all = plan_needs(plan, &environments);
    let essential: BTreeSet<String> = all
        .into_iter()
        .filter(|(_, n)| n.essential)
        .map(|(target, n)| {
            format!("{target}: {} {} {}", n.verb, n.resource, n.namespace.unwrap_or_default()).trim().to_string()
        })
        .collect();
    let expected = [
        "cluster: delete leases",
        "cluster: delete pods",
        "cluster: get namespaces",
        "cluster: get pods blue",
        "cluster: get secrets",
        "cluster: list events",
        "cluster: list jobs",
        "cluster: patch endpoints",
        "cluster: patch services",
        "other: list nodes",
    ];
    assert_eq!(essential.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
