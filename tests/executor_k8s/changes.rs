//! Apply, strategic patches, subresources, propagation, and manifests in files.
use crate::test_cluster::{POLL_INTERVAL, TestCluster, WAIT_TIMEOUT, on_both, on_real};
use std::time::Instant;
use tp_runner::{event::EvidenceKind, testing::at, value::Value};

on_both!(
    creates_file_manifests_in_order_and_deletes_in_reverse,
    deletes_manifests_of_the_plan,
    reports_invalid_manifest_files,
    status_subresource_is_separate,
    deleting_an_owner_deletes_its_dependents,
    masks_the_data_of_a_created_secret,
);
on_real!(
    apply_owns_fields_and_reports_conflicts_as_output,
    invalid_object_error_lists_every_cause,
    strategic_patch_merges_lists_by_key,
    finalizer_keeps_a_deleted_object,
    foreground_deletes_dependents_and_orphan_keeps_them,
);

const TWO: &str = "# a setting and its user\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: first, labels: { of: file } }\ndata: { a: '${not.a.placeholder}' }\n---\napiVersion: stream.space/v1alpha1\nkind: Session\nmetadata: { name: second, labels: { of: file } }\nspec: { user: ann, template: t, state: running }\n";

async fn creates_file_manifests_in_order_and_deletes_in_reverse(cluster: TestCluster) {
    std::fs::write(cluster.dir.path().join("two.yaml"), TWO).unwrap();
    let created = cluster.stage.output("create: { file: two.yaml }").await;
    assert_eq!(
        (at(&created, "found"), at(&created, "object"), at(&created, "error")),
        (Value::Bool(true), Value::Null, Value::Null)
    );
    assert_eq!(
        at(&created, "items.0.data.a"),
        Value::text("${not.a.placeholder}"),
        "placeholders in files are not filled"
    );
    assert_eq!(at(&created, "items.1.kind"), Value::text("Session"));
    let line = cluster.stage.take_evidence(EvidenceKind::Reproduce);
    assert!(
        line.starts_with(&format!("kubectl create -n {} -f ", cluster.namespace)) && line.contains("two.yaml"),
        "{line}"
    );

    // The first exists already, so the second is not created.
    cluster.direct.output("delete: sessions.stream.space/second").await;
    let again = cluster.stage.output("create: { file: two.yaml }").await;
    assert_eq!((at(&again, "found"), at(&again, "error.reason")), (Value::Bool(false), Value::text("AlreadyExists")));
    assert_eq!(at(&again, "items").as_list().map(<[Value]>::len), Some(0));
    let second = cluster.stage.output("get: sessions.stream.space/second").await;
    assert_eq!(at(&second, "found"), Value::Bool(false));

    cluster.stage.take_evidence(EvidenceKind::Request);
    let deleted = cluster.stage.output("delete: { file: two.yaml }").await;
    assert_eq!((at(&deleted, "found"), at(&deleted, "error")), (Value::Bool(true), Value::Null), "one did not exist");
    let sent = cluster.stage.take_evidence(EvidenceKind::Request);
    assert!(sent.find("sessions/second").unwrap() < sent.find("configmaps/first").unwrap(), "{sent}");
    let deleted = cluster.stage.output("delete: { file: two.yaml }").await;
    assert_eq!(at(&deleted, "found"), Value::Bool(false));

    // Several manifests in the plan.
    let body = "create: [{ apiVersion: v1, kind: ConfigMap, metadata: { name: x } }, { apiVersion: v1, kind: ConfigMap, metadata: { generateName: y- } }]";
    let created = cluster.stage.output(body).await;
    assert_eq!(at(&created, "items.0.metadata.name"), Value::text("x"), "{created}");
    assert!(at(&created, "items.1.metadata.name").to_string().starts_with("y-"), "{created}");
}

async fn deletes_manifests_of_the_plan(mut cluster: TestCluster) {
    let manifest = |name: &str| format!("{{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {name} }} }}");
    let (x, both) = (manifest("x"), format!("[{}, {}]", manifest("x"), manifest("z")));
    let value = |text: &str| Value::from(serde_saphyr::from_str::<serde_json::Value>(text).unwrap());
    cluster.stage = cluster.stage.with("one", value(&x)).with("both", value(&both)).with("name", "configmaps/x");
    let (one, list) = (format!("delete: {x}"), format!("delete: {both}"));
    for (body, deleted) in [
        (&*one, &["x"][..]),
        (&*list, &["z", "x"]),
        ("delete: '${one}'", &["x"]),
        ("delete: '${both}'", &["z", "x"]),
        ("delete: '${name}'", &["x"]),
    ] {
        for name in ["x", "z"] {
            cluster.direct.output(&format!("create: {}", manifest(name))).await;
        }
        cluster.stage.take_evidence(EvidenceKind::Request);
        let output = cluster.stage.output(body).await;
        assert_eq!((at(&output, "found"), at(&output, "error")), (Value::Bool(true), Value::Null), "{body}: {output}");
        let sent = cluster.stage.take_evidence(EvidenceKind::Request);
        let at: Vec<_> = deleted.iter().map(|name| sent.find(&format!("configmaps/{name}\n")).unwrap()).collect();
        assert!(at.is_sorted() && sent.matches("DELETE").count() == deleted.len(), "{body}: {sent}");
        for name in ["x", "z"] {
            cluster.direct.output(&format!("delete: configmaps/{name}")).await;
        }
    }
    let e = cluster.stage.error("delete: '${[one, 1]}'").await.to_string();
    assert!(e.contains("missing `apiVersion` in the manifest"), "{e}");
}

async fn reports_invalid_manifest_files(cluster: TestCluster) {
    for (text, expected) in [
        ("kind: ConfigMap\n", "missing `apiVersion`"),
        ("# nothing\n", "found none"),
        ("a: [\n", "invalid manifest in"),
        ("apiVersion: v1\nkind: Sesion\nmetadata: { name: x }\n", "serves no kind `Sesion`"),
    ] {
        std::fs::write(cluster.dir.path().join("f.yaml"), text).unwrap();
        let e = cluster.stage.error("create: { file: f.yaml }").await.to_string();
        assert!(e.contains(expected), "{text}: {e}");
    }
    let e = cluster.stage.error("create: { file: nowhere.yaml }").await.to_string();
    assert!(e.starts_with("manifest file `") && e.contains("nowhere.yaml` does not exist"), "{e}");
}

async fn status_subresource_is_separate(cluster: TestCluster) {
    cluster.create_session("a").await;
    let main = cluster.stage.output("{ patch: sessions.stream.space/a, merge: { status: { phase: Running } } }").await;
    assert_eq!(at(&main, "object.status"), Value::Null, "the main resource ignores the status");
    let body = "{ patch: sessions.stream.space/a, merge: { status: { phase: Running }, spec: { state: hibernated } }, subresource: status }";
    let part = cluster.stage.output(body).await;
    assert_eq!(at(&part, "object.status.phase"), Value::text("Running"), "{part}");
    assert_eq!(at(&part, "object.spec.state"), Value::text("running"), "the status subresource ignores the spec");
    assert!(cluster.stage.take_evidence(EvidenceKind::Reproduce).contains("--subresource=status"));
    let observed = cluster.stage.output("{ get: sessions.stream.space/a, subresource: status }").await;
    assert_eq!(at(&observed, "object.status.phase"), Value::text("Running"), "{observed}");
}

async fn deleting_an_owner_deletes_its_dependents(cluster: TestCluster) {
    let uid = at(&cluster.create_session("owner").await, "object.metadata.uid").to_string();
    let child = format!(
        "create: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: child, ownerReferences: [{{ apiVersion: \
         stream.space/v1alpha1, kind: Session, name: owner, uid: {uid} }}] }} }}"
    );
    cluster.stage.output(&child).await;
    let action = cluster.stage.action("get: configmaps/child");
    let mut last = action.perform(&cluster.stage.context()).await.unwrap();
    cluster.stage.output("delete: sessions.stream.space/owner").await;
    let until = Instant::now() + 3 * WAIT_TIMEOUT;
    while at(&last.value, "found") == Value::Bool(true) && Instant::now() < until {
        last = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
    }
    assert_eq!(at(&last.value, "found"), Value::Bool(false));
}

async fn masks_the_data_of_a_created_secret(cluster: TestCluster) {
    cluster
        .stage
        .output("create: { apiVersion: v1, kind: Secret, metadata: { name: s }, data: { key: aHVudGVyMg== } }")
        .await;
    let request = cluster.stage.take_evidence(EvidenceKind::Request);
    assert_eq!(cluster.stage.secrets.names_in(&request), ["key"], "{request}");
    assert_eq!(cluster.stage.secrets.names_in("the word is hunter2"), ["key"]);
    if cluster.is_real() {
        cluster
            .stage
            .output(
                "apply: { apiVersion: v1, kind: Secret, metadata: { name: t }, stringData: { word: 'correct horse' } }",
            )
            .await;
        assert_eq!(cluster.stage.secrets.names_in("correct horse"), ["word"]);
    }
}

async fn apply_owns_fields_and_reports_conflicts_as_output(cluster: TestCluster) {
    let settings =
        |data: &str| format!("apiVersion: v1, kind: ConfigMap, metadata: {{ name: settings }}, data: {data}");
    let created = cluster.stage.output(&format!("apply: {{ {} }}", settings("{ a: '1', b: '1' }"))).await;
    assert_eq!(
        (at(&created, "found"), at(&created, "object.data.b")),
        (Value::Bool(true), Value::text("1")),
        "{created}"
    );
    assert_eq!(at(&created, "object.metadata.managedFields.0.manager"), Value::text("tp-runner"));
    let line = cluster.stage.take_evidence(EvidenceKind::Reproduce);
    assert!(line.starts_with("kubectl apply --server-side --field-manager=tp-runner -n "), "{line}");

    // Apply removes fields that are no longer applied; a merge would keep them.
    let less = cluster.stage.output(&format!("apply: {{ {} }}", settings("{ a: '1' }"))).await;
    assert_eq!(at(&less, "object.data"), Value::from(serde_json::json!({ "a": "1" })), "{less}");

    let body = format!("{{ apply: {{ {} }}, manager: another }}", settings("{ a: '2' }"));
    let conflict = cluster.stage.output(&body).await;
    assert_eq!((at(&conflict, "found"), at(&conflict, "error.reason")), (Value::Bool(false), Value::text("Conflict")));
    assert_eq!(at(&conflict, "error.details.causes.0.reason"), Value::text("FieldManagerConflict"), "{conflict}");
    assert_eq!(at(&conflict, "error.details.causes.0.field"), Value::text(".data.a"));
    assert_eq!(at(&conflict, "error.details.causes.0.message"), Value::text("conflict with \"tp-runner\""));
    let body = format!("{{ apply: {{ {} }}, manager: another, force: true }}", settings("{ a: '2' }"));
    let forced = cluster.stage.output(&body).await;
    assert_eq!(at(&forced, "object.data.a"), Value::text("2"), "{forced}");
    assert!(cluster.stage.take_evidence(EvidenceKind::Reproduce).contains("--force-conflicts"));
}

async fn invalid_object_error_lists_every_cause(cluster: TestCluster) {
    let body = "create: { apiVersion: stream.space/v1alpha1, kind: Session, metadata: { name: x }, spec: { user: ann, state: asleep } }";
    let observed = cluster.stage.output(body).await;
    assert_eq!((at(&observed, "found"), at(&observed, "error.code")), (Value::Bool(false), Value::Int(422)));
    assert_eq!(at(&observed, "error.reason"), Value::text("Invalid"));
    let causes = at(&observed, "error.details.causes");
    let fields: Vec<String> = causes.as_list().unwrap().iter().map(|c| at(c, "field").to_string()).collect();
    assert!(fields.contains(&"spec.template".into()) && fields.contains(&"spec.state".into()), "{observed}");
}

async fn strategic_patch_merges_lists_by_key(cluster: TestCluster) {
    let body = "create: { apiVersion: apps/v1, kind: Deployment, metadata: { name: web }, spec: { selector: { matchLabels: { app: web } }, \
        template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: a, image: a:1 }, { name: b, image: b:1 }] } } } }";
    cluster.stage.output(body).await;
    let containers = "spec: { template: { spec: { containers: [{ name: b, image: 'b:2' }] } } }";
    let done = cluster.stage.output(&format!("{{ patch: deploy/web, strategic: {{ {containers} }} }}")).await;
    assert_eq!(at(&done, "object.spec.template.spec.containers.1.image"), Value::text("b:2"), "{done}");
    assert_eq!(at(&done, "object.spec.template.spec.containers.0.image"), Value::text("a:1"));
    assert!(cluster.stage.take_evidence(EvidenceKind::Reproduce).contains("--type=strategic"));
    let done = cluster.stage.output(&format!("{{ patch: deploy/web, merge: {{ {containers} }} }}")).await;
    let left = at(&done, "object.spec.template.spec.containers");
    assert_eq!(left.as_list().map(<[Value]>::len), Some(1), "a merge patch replaces the list");
    // Only built-in kinds have merge keys.
    cluster.create_session("a").await;
    let observed =
        cluster.stage.output("{ patch: sessions.stream.space/a, strategic: { spec: { state: hibernated } } }").await;
    assert_eq!(
        (at(&observed, "found"), at(&observed, "error.code")),
        (Value::Bool(false), Value::Int(415)),
        "{observed}"
    );
    let scale =
        cluster.stage.output("{ patch: deploy/web, merge: { spec: { replicas: 3 } }, subresource: scale }").await;
    assert_eq!((at(&scale, "object.kind"), at(&scale, "object.spec.replicas")), (Value::text("Scale"), Value::Int(3)));
}

async fn finalizer_keeps_a_deleted_object(cluster: TestCluster) {
    let body = "create: { apiVersion: v1, kind: ConfigMap, metadata: { name: held, finalizers: [x.example/hold] } }";
    cluster.stage.output(body).await;
    let deleted = cluster.stage.output("delete: configmaps/held").await;
    assert_eq!(at(&deleted, "found"), Value::Bool(true));
    assert!(at(&deleted, "object.metadata.deletionTimestamp") != Value::Null, "{deleted}");
    cluster.stage.output("{ patch: configmaps/held, merge: { metadata: { finalizers: null } } }").await;
    assert_eq!(at(&cluster.stage.output("get: configmaps/held").await, "found"), Value::Bool(false));
}

async fn foreground_deletes_dependents_and_orphan_keeps_them(cluster: TestCluster) {
    for (propagation, survives) in [("foreground", false), ("orphan", true)] {
        let owner = format!("owner-{propagation}");
        let body = format!("create: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: {owner} }} }}");
        let uid = at(&cluster.stage.output(&body).await, "object.metadata.uid").to_string();
        let body = format!(
            "create: {{ apiVersion: v1, kind: ConfigMap, metadata: {{ name: child-{propagation}, ownerReferences: [{{ apiVersion: v1, \
             kind: ConfigMap, name: {owner}, uid: {uid}, blockOwnerDeletion: true }}] }} }}"
        );
        cluster.stage.output(&body).await;
        let body = format!("{{ delete: configmaps/{owner}, propagation: {propagation}, grace: 0s }}");
        let deleted = cluster.stage.output(&body).await;
        assert_eq!(at(&deleted, "found"), Value::Bool(true), "{deleted}");
        let line = cluster.stage.take_evidence(EvidenceKind::Reproduce);
        assert!(line.contains(&format!("--cascade={propagation} --grace-period=0 --force")), "{line}");
        let action = cluster.stage.action(&format!("get: configmaps/{owner}"));
        let mut last = action.perform(&cluster.stage.context()).await.unwrap();
        let until = Instant::now() + 3 * WAIT_TIMEOUT;
        while at(&last.value, "found") == Value::Bool(true) && Instant::now() < until {
            last = cluster.stage.next(&*action, &last, POLL_INTERVAL).await.unwrap();
        }
        assert_eq!(at(&last.value, "found"), Value::Bool(false), "the owner is deleted");
        let child = cluster.stage.output(&format!("get: configmaps/child-{propagation}")).await;
        assert_eq!(at(&child, "found"), Value::Bool(survives), "{propagation}: {child}");
        if survives {
            assert_eq!(at(&child, "object.metadata.ownerReferences"), Value::Null);
        }
    }
}

#[tokio::test]
async fn embedded_server_refuses_apply() {
    let cluster = TestCluster::embedded().await;
    let observed = cluster.stage.output("apply: { apiVersion: v1, kind: ConfigMap, metadata: { name: x } }").await;
    assert_eq!(
        (at(&observed, "found"), at(&observed, "error.code")),
        (Value::Bool(false), Value::Int(415)),
        "{observed}"
    );
    assert!(at(&observed, "error.message").to_string().starts_with("server-side apply is not supported"), "{observed}");
}
