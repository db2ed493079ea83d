//! Reading, creating, changing and deleting, on both servers.
use crate::test_cluster::{POLL_INTERVAL, TestCluster, WAIT_TIMEOUT, on_both, session};
use std::time::Instant;
use tp_runner::{event::EvidenceKind, executor::ActionError, testing::at, value::Value};

on_both!(
    creates_reads_changes_and_deletes,
    lists_by_label_field_owner_and_all_resources,
    nothing_is_observed_after_a_refused_selector,
    reads_events_of_an_object_and_of_the_namespace,
    resolves_every_resource_name_and_suggests_one_for_unknown,
    finds_a_definition_created_during_the_run,
    refuses_names_that_would_change_the_path,
    discovers_once_per_run,
    lists_all_namespaces_with_asterisk,
    absence_in_a_namespace_that_does_not_exist_is_an_error,
);

async fn creates_reads_changes_and_deletes(cluster: TestCluster) {
    let s = &cluster.stage;
    let missing = s.output("get: sessions.stream.space/a").await;
    assert_eq!(at(&missing, "found"), Value::Bool(false));
    assert_eq!(at(&missing, "object"), Value::Null);
    assert_eq!(at(&missing, "error.code"), Value::Int(404));
    assert_eq!(at(&missing, "error.reason"), Value::text("NotFound"));

    let created = s.output(&session("a")).await;
    assert_eq!((at(&created, "found"), at(&created, "error")), (Value::Bool(true), Value::Null));
    assert!(
        s.take_evidence(EvidenceKind::Reproduce)
            .contains(&format!("kubectl create -n {} --kubeconfig", cluster.namespace))
    );

    let again = s.output(&session("a")).await;
    assert_eq!((at(&again, "found"), at(&again, "error.reason")), (Value::Bool(false), Value::text("AlreadyExists")));

    let observed = s.output("get: sessions.stream.space/a").await;
    assert_eq!(at(&observed, "object"), at(&created, "object"), "apiVersion and kind, which a list omits, are added");
    let evidence = s.take_evidence(EvidenceKind::Reproduce);
    let line = format!("kubectl get sessions.stream.space a -n {} -o yaml", cluster.namespace);
    assert!(evidence.contains(&line), "{evidence}");

    let patched = s.output("{ patch: Session/a, json: [{ op: replace, path: /spec/state, value: hibernated }] }").await;
    assert_eq!(at(&patched, "object.spec.state"), Value::text("hibernated"), "{patched}");
    let patched = s.output("{ patch: sessions.stream.space/a, merge: { spec: { state: running } } }").await;
    assert_eq!(at(&patched, "object.spec.state"), Value::text("running"), "{patched}");
    let commands = s.take_evidence(EvidenceKind::Reproduce);
    let line = format!(r#"--type=merge -p '{{"spec":{{"state":"running"}}}}' -n {}"#, cluster.namespace);
    assert!(commands.contains(&line), "{commands}");
    let stale = s
        .output("{ patch: sessions.stream.space/a, merge: { metadata: { resourceVersion: '1' }, spec: { state: hibernated } } }")
        .await;
    assert_eq!((at(&stale, "found"), at(&stale, "error.reason")), (Value::Bool(false), Value::text("Conflict")));
    let missing = s.output("{ patch: sessions.stream.space/b, merge: { spec: {} } }").await;
    assert_eq!((at(&missing, "found"), at(&missing, "error.code")), (Value::Bool(false), Value::Int(404)));

    let deleted = s.output("delete: sessions.stream.space/a").await;
    assert_eq!(at(&deleted, "found"), Value::Bool(true));
    let deleted = s.output("delete: sessions.stream.space/a").await;
    assert_eq!((at(&deleted, "found"), at(&deleted, "error.code")), (Value::Bool(false), Value::Int(404)));
}

async fn lists_by_label_field_owner_and_all_resources(cluster: TestCluster) {
    let owner = cluster.create_session("a").await;
    cluster.create_session("b").await;
    let uid = at(&owner, "object.metadata.uid").to_string();
    for (kind, name) in [("ConfigMap", "mine"), ("Secret", "mine")] {
        let body = format!(
            "create: {{ apiVersion: v1, kind: {kind}, metadata: {{ name: {name}, labels: {{ app: a }}, ownerReferences: \
             [{{ apiVersion: stream.space/v1alpha1, kind: Session, name: a, uid: {uid} }}] }} }}"
        );
        cluster.stage.output(&body).await;
    }
    let count = async |body: &str| {
        let v = cluster.stage.output(body).await;
        let n = at(&v, "items").as_list().unwrap_or_else(|| panic!("{body}: {v}")).len();
        assert_eq!(at(&v, "found"), Value::Bool(n > 0));
        (n, v)
    };
    assert_eq!(count("list: sessions.stream.space").await.0, 2);
    let (n, one) = count("{ list: sessions.stream.space, labels: { app: b } }").await;
    assert_eq!(
        (n, at(&one, "items.0.kind"), at(&one, "items.0.apiVersion")),
        (1, Value::text("Session"), Value::text("stream.space/v1alpha1"))
    );
    assert_eq!(count("{ list: sessions.stream.space, labels: 'app in (a, b), !old' }").await.0, 2);
    assert_eq!(count("{ list: sessions.stream.space, fields: { metadata.name: a } }").await.0, 1);
    assert_eq!(count("{ list: sessions.stream.space, namespace: default }").await.0, 0);
    assert_eq!(count(&format!("{{ list: configmaps, owner: {uid} }}")).await.0, 1);
    assert_eq!(count(&format!("{{ list: '*', owner: {uid} }}")).await.0, 2);
    assert_eq!(count("{ list: '*', labels: { app: a } }").await.0, 3);
    cluster.stage.take_evidence(EvidenceKind::Reproduce);
    assert_eq!(count("{ list: '*', labels: { app: a }, fields: { metadata.name: a } }").await.0, 1);
    let line = cluster.stage.take_evidence(EvidenceKind::Reproduce);
    assert!(line.contains(" -l app=a --field-selector=metadata.name=a -o yaml"), "{line}");
    assert_eq!(count("{ list: '*', owner: 00000000-0000-0000-0000-000000000000 }").await.0, 0);
    let e = cluster.stage.error("{ list: sessions.stream.space, labels: { app: 'a,b' } }").await;
    assert!(e.to_string().contains("cannot be the value of a label"), "{e}");
}

async fn nothing_is_observed_after_a_refused_selector(cluster: TestCluster) {
    let v = cluster.stage.output("{ list: sessions.stream.space, fields: { spec.nonsense: x } }").await;
    for field in ["found", "items"] {
        assert!(at(&v, field).incomplete().is_some_and(|why| why.contains("(400)")), "{v}");
    }
    assert_eq!(at(&v, "error.code"), Value::Int(400));
}

async fn reads_events_of_an_object_and_of_the_namespace(cluster: TestCluster) {
    for (name, of) in [("e1", "a"), ("e2", "b")] {
        let body = format!(
            "create: {{ apiVersion: v1, kind: Event, metadata: {{ name: {name} }}, reason: Made, type: Normal, \
             involvedObject: {{ apiVersion: stream.space/v1alpha1, kind: Session, name: {of}, namespace: {} }} }}",
            cluster.namespace
        );
        assert_eq!(at(&cluster.stage.output(&body).await, "found"), Value::Bool(true));
    }
    let of_a = cluster.stage.output("events: sessions.stream.space/a").await;
    assert_eq!(at(&of_a, "items").as_list().map(<[Value]>::len), Some(1), "{of_a}");
    assert_eq!(at(&of_a, "items.0.involvedObject.name"), Value::text("a"));
    let all = cluster.stage.output("events: true").await;
    assert_eq!(at(&all, "items").as_list().map(<[Value]>::len), Some(2));
}

async fn resolves_every_resource_name_and_suggests_one_for_unknown(cluster: TestCluster) {
    for word in ["sessions.stream.space", "session", "Session.v1alpha1.stream.space", "sessions"] {
        assert_eq!(at(&cluster.stage.output(&format!("get: {word}/x")).await, "found"), Value::Bool(false), "{word}");
    }
    assert_eq!(at(&cluster.stage.output("list: deploy").await, "found"), Value::Bool(false));
    assert_eq!(
        at(&cluster.stage.output(&format!("get: ns/{}", cluster.namespace)).await, "object.kind"),
        Value::text("Namespace")
    );
    let e = cluster.stage.error("get: sesions.stream.space/x").await;
    assert!(
        matches!(e, ActionError::Invalid(_)) && e.to_string().contains("did you mean `sessions.stream.space`?"),
        "{e}"
    );
    let e = cluster.stage.error("create: { apiVersion: stream.space/v2, kind: Session, metadata: { name: x } }").await;
    assert!(e.to_string().contains("but in `stream.space/v1alpha1`"), "{e}");
}

async fn finds_a_definition_created_during_the_run(cluster: TestCluster) {
    let group = format!("{}.example", cluster.namespace);
    let gadget = format!(
        "create: {{ apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {{ name: gadgets.{group} }}, \
         spec: {{ group: {group}, scope: Namespaced, names: {{ plural: gadgets, singular: gadget, kind: Gadget }}, versions: \
         [{{ name: v1, served: true, storage: true, schema: {{ openAPIV3Schema: {{ type: object, \
         x-kubernetes-preserve-unknown-fields: true }} }} }}] }} }}"
    );
    let list = format!("list: gadgets.{group}");
    assert!(cluster.stage.perform(&list).await.is_err());
    let created = cluster.stage.output(&gadget).await;
    assert_eq!(at(&created, "found"), Value::Bool(true), "{created}");
    // The real server serves a new definition after a short delay.
    let until = Instant::now() + WAIT_TIMEOUT;
    let observed = loop {
        match cluster.stage.perform(&list).await {
            Err(e) if Instant::now() > until => panic!("{e}"),
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
            Ok(observed) => break observed,
        }
    };
    assert_eq!(at(&observed.value, "found"), Value::Bool(false));
    cluster.direct.output(&format!("delete: crd/gadgets.{group}")).await;
}

async fn refuses_names_that_would_change_the_path(cluster: TestCluster) {
    for name in ["a/../b", "..", "a?x=1", "a b", "a%2Fb"] {
        let e = cluster.stage.error(&format!("get: 'sessions.stream.space/{name}'")).await;
        assert!(e.to_string().contains("cannot be the name of an object"), "{e}");
    }
}

async fn lists_all_namespaces_with_asterisk(cluster: TestCluster) {
    let name = format!("{}-everywhere", cluster.namespace);
    cluster.create_session(&name).await;
    let body = format!("{{ list: sessions.stream.space, namespace: '*', labels: {{ app: {name} }} }}");
    let observed = cluster.stage.output(&body).await;
    assert_eq!(at(&observed, "items").as_list().map(<[Value]>::len), Some(1), "{observed}");
    assert!(cluster.stage.take_evidence(EvidenceKind::Reproduce).contains("kubectl get sessions.stream.space -A -l"));
    let e = cluster.stage.error("{ get: sessions.stream.space/x, namespace: '*' }").await;
    assert!(e.to_string().contains("`*` cannot be a namespace"), "{e}");
}

async fn discovers_once_per_run(cluster: TestCluster) {
    cluster.stage.output("get: sessions.stream.space/x").await;
    let first = cluster.proxy.requests();
    // The real server supports aggregated discovery (two requests); the embedded one needs a request per group. Two
    // more read the object, and whether its namespace exists.
    assert_eq!(first == 4, cluster.is_real(), "{first} requests");
    cluster.stage.output("list: deploy").await;
    assert_eq!(cluster.proxy.requests(), first + 1);
}

async fn absence_in_a_namespace_that_does_not_exist_is_an_error(cluster: TestCluster) {
    for body in ["get: configmaps/x", "list: configmaps", "list: '*'", "events: true", "get: sessions.stream.space/x"] {
        let e = cluster.stage.error(&format!("{{ {body}, namespace: no-such-namespace }}")).await.to_string();
        assert!(e.contains("the namespace `no-such-namespace` does not exist"), "{body}: {e}");
    }
    let observed = cluster.stage.output("{ get: configmaps/x, namespace: default }").await;
    assert_eq!(at(&observed, "found"), Value::Bool(false), "{observed}");
}
