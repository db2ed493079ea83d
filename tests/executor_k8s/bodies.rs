//! What a body may say, and what an action needs; without a cluster.
use crate::executor_stage;
use std::{collections::BTreeSet, path::Path, sync::Arc};
use tp_runner::{
    engine::{
        compile,
        needs::{self, Needs},
        scopes::{base_scope, run_scope},
    },
    executor::{Need, RunInfo},
    executors,
    expr::Scope,
    plan::{
        environment,
        read::{FileLoader, Reader},
    },
    secrets::Secrets,
    source::Source,
    value::Value,
};

struct NoFiles;

impl FileLoader for NoFiles {
    fn read(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// What a plan and the first environment of a file will ask of their targets.
pub fn needs_of(plan: &str, environments: &str) -> Needs {
    let registry = executors::registry();
    let source = |name: &str, text: &str| Arc::new(Source { name: name.into(), text: text.into() });
    let mut reader = Reader::new(registry.verbs().collect(), &NoFiles);
    let plan = reader.plan(&source("plan.yaml", plan)).unwrap();
    let here = environment::read(&mut reader, &source("tp-runner.yaml", environments)).unwrap().all.remove(0);
    let (schedule, problems) = compile::compile(plan, &registry, Some(here), vec![], &|_| true);
    let drawn: String = problems.0.iter().chain(&reader.problems.0).map(|d| d.render(false)).collect();
    assert_eq!(problems.errors() + reader.problems.errors(), 0, "{drawn}");
    let (schedule, secrets) = (schedule.unwrap(), Arc::new(Secrets::default()));
    let run = RunInfo { id: "r1".into(), started: jiff::Timestamp::now(), dir: ".".into() };
    let known = base_scope(&run, &secrets, &schedule.vars, &run_scope(&run, &secrets)).unwrap();
    needs::of(&schedule, &known)
}

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
        let problems = executor_stage::compile("k8s", body).err().unwrap_or_else(|| panic!("{body} compiles"));
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
        assert!(executor_stage::compile("k8s", body).is_ok(), "{body}");
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
        executor_stage::compile("k8s", body).unwrap().needs(&known).into_iter().map(one).collect()
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

/// Wherever an action stands: in an action that is used, in a branch, in an undo, and around the cases.
#[test]
fn what_a_plan_needs_is_gathered_from_everywhere() {
    let plan = r#"
plan: P
title: T
vars: { ns: blue }
actions:
  see:
    inputs: { kind: , name: some }
    do:
      - k8s: { get: "${inputs.kind}/${inputs.name}", namespace: "${ns}" }
        as: seen
        expect: { found: true }
        undo:
          - k8s: { delete: "${inputs.kind}/${seen.object.metadata.name}" }
            expect: { found: true }
    outputs: { seen: seen }
cases:
  - id: A
    title: T
    tier: must
    steps:
      - step: S
        do:
          - fault: { break: cut }
          - use: { see: { kind: pods } }
            expect: { seen: { found: true } }
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
    let all = needs_of(plan, &environments);
    let told: BTreeSet<String> = all
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
    assert_eq!(told.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
