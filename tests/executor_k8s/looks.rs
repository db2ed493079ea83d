//! Looking, making, changing, deleting; on both servers.
use crate::{
    executor_stage::at,
    world::{LONG, PACE, World, on_both, session},
};
use std::time::Instant;
use tp_runner::{event::EvidenceKind, executor::ActionError, value::Value};

on_both!(
    makes_looks_changes_and_deletes,
    lists_by_label_field_owner_and_everything,
    a_selector_that_the_cluster_refuses_says_nothing_about_what_is_there,
    events_of_an_object_and_of_the_namespace,
    resources_are_found_by_every_name_and_unknown_ones_with_what_was_meant,
    a_definition_that_comes_while_the_plan_runs_is_found,
    a_name_that_would_change_the_path_is_refused,
    what_is_served_is_asked_once,
    all_namespaces_are_looked_at_when_asked_for,
);

async fn makes_looks_changes_and_deletes(w: World) {
    let s = &w.stage;
    let missing = s.see("get: sessions.stream.space/a").await;
    assert_eq!(at(&missing, "found"), Value::Bool(false));
    assert_eq!(at(&missing, "object"), Value::Null);
    assert_eq!(at(&missing, "error.code"), Value::Int(404));
    assert_eq!(at(&missing, "error.reason"), Value::text("NotFound"));

    let made = s.see(&session("a")).await;
    assert_eq!((at(&made, "found"), at(&made, "error")), (Value::Bool(true), Value::Null));
    assert!(s.noted(EvidenceKind::Reproduce).contains(&format!("kubectl create -n {} --kubeconfig", w.namespace)));

    let again = s.see(&session("a")).await;
    assert_eq!((at(&again, "found"), at(&again, "error.reason")), (Value::Bool(false), Value::text("AlreadyExists")));

    let seen = s.see("get: sessions.stream.space/a").await;
    assert_eq!(at(&seen, "object"), at(&made, "object"), "a list leaves apiVersion and kind out; a look does not");
    let evidence = s.noted(EvidenceKind::Reproduce);
    let line = format!("kubectl get sessions.stream.space a -n {} -o yaml", w.namespace);
    assert!(evidence.contains(&line), "{evidence}");

    let patched = s.see("{ patch: Session/a, json: [{ op: replace, path: /spec/state, value: hibernated }] }").await;
    assert_eq!(at(&patched, "object.spec.state"), Value::text("hibernated"), "{patched}");
    let patched = s.see("{ patch: sessions.stream.space/a, merge: { spec: { state: running } } }").await;
    assert_eq!(at(&patched, "object.spec.state"), Value::text("running"), "{patched}");
    let by_hand = s.noted(EvidenceKind::Reproduce);
    let line = format!(r#"--type=merge -p '{{"spec":{{"state":"running"}}}}' -n {}"#, w.namespace);
    assert!(by_hand.contains(&line), "{by_hand}");
    let stale = s
        .see("{ patch: sessions.stream.space/a, merge: { metadata: { resourceVersion: '1' }, spec: { state: hibernated } } }")
        .await;
    assert_eq!((at(&stale, "found"), at(&stale, "error.reason")), (Value::Bool(false), Value::text("Conflict")));
    let nobody = s.see("{ patch: sessions.stream.space/b, merge: { spec: {} } }").await;
    assert_eq!((at(&nobody, "found"), at(&nobody, "error.code")), (Value::Bool(false), Value::Int(404)));

    let gone = s.see("delete: sessions.stream.space/a").await;
    assert_eq!(at(&gone, "found"), Value::Bool(true));
    let gone = s.see("delete: sessions.stream.space/a").await;
    assert_eq!((at(&gone, "found"), at(&gone, "error.code")), (Value::Bool(false), Value::Int(404)));
}

async fn lists_by_label_field_owner_and_everything(w: World) {
    let owner = w.make("a").await;
    w.make("b").await;
    let uid = at(&owner, "object.metadata.uid").to_string();
    for (kind, name) in [("ConfigMap", "mine"), ("Secret", "mine")] {
        let body = format!(
            "create: {{ apiVersion: v1, kind: {kind}, metadata: {{ name: {name}, labels: {{ app: a }}, ownerReferences: \
             [{{ apiVersion: stream.space/v1alpha1, kind: Session, name: a, uid: {uid} }}] }} }}"
        );
        w.stage.see(&body).await;
    }
    let count = async |body: &str| {
        let v = w.stage.see(body).await;
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
    assert_eq!(count("{ list: '*', owner: 00000000-0000-0000-0000-000000000000 }").await.0, 0);
    let e = w.stage.fail("{ list: sessions.stream.space, labels: { app: 'a,b' } }").await;
    assert!(e.to_string().contains("cannot be the value of a label"), "{e}");
}

async fn a_selector_that_the_cluster_refuses_says_nothing_about_what_is_there(w: World) {
    let v = w.stage.see("{ list: sessions.stream.space, fields: { spec.nonsense: x } }").await;
    assert_eq!((at(&v, "found"), at(&v, "items")), (Value::Null, Value::Null), "{v}");
    assert_eq!(at(&v, "error.code"), Value::Int(400));
}

async fn events_of_an_object_and_of_the_namespace(w: World) {
    for (name, of) in [("e1", "a"), ("e2", "b")] {
        let body = format!(
            "create: {{ apiVersion: v1, kind: Event, metadata: {{ name: {name} }}, reason: Made, type: Normal, \
             involvedObject: {{ apiVersion: stream.space/v1alpha1, kind: Session, name: {of}, namespace: {} }} }}",
            w.namespace
        );
        assert_eq!(at(&w.stage.see(&body).await, "found"), Value::Bool(true));
    }
    let of_a = w.stage.see("events: sessions.stream.space/a").await;
    assert_eq!(at(&of_a, "items").as_list().map(<[Value]>::len), Some(1), "{of_a}");
    assert_eq!(at(&of_a, "items.0.involvedObject.name"), Value::text("a"));
    let all = w.stage.see("events: true").await;
    assert_eq!(at(&all, "items").as_list().map(<[Value]>::len), Some(2));
}

async fn resources_are_found_by_every_name_and_unknown_ones_with_what_was_meant(w: World) {
    for word in ["sessions.stream.space", "session", "Session.v1alpha1.stream.space", "sessions"] {
        assert_eq!(at(&w.stage.see(&format!("get: {word}/x")).await, "found"), Value::Bool(false), "{word}");
    }
    assert_eq!(at(&w.stage.see("list: deploy").await, "found"), Value::Bool(false));
    assert_eq!(at(&w.stage.see(&format!("get: ns/{}", w.namespace)).await, "object.kind"), Value::text("Namespace"));
    let e = w.stage.fail("get: sesions.stream.space/x").await;
    assert!(
        matches!(e, ActionError::Invalid(_)) && e.to_string().contains("did you mean `sessions.stream.space`?"),
        "{e}"
    );
    let e = w.stage.fail("create: { apiVersion: stream.space/v2, kind: Session, metadata: { name: x } }").await;
    assert!(e.to_string().contains("but in `stream.space/v1alpha1`"), "{e}");
}

async fn a_definition_that_comes_while_the_plan_runs_is_found(w: World) {
    let group = format!("{}.example", w.namespace);
    let gadget = format!(
        "create: {{ apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {{ name: gadgets.{group} }}, \
         spec: {{ group: {group}, scope: Namespaced, names: {{ plural: gadgets, singular: gadget, kind: Gadget }}, versions: \
         [{{ name: v1, served: true, storage: true, schema: {{ openAPIV3Schema: {{ type: object, \
         x-kubernetes-preserve-unknown-fields: true }} }} }}] }} }}"
    );
    let list = format!("list: gadgets.{group}");
    assert!(w.stage.perform(&list).await.is_err());
    let made = w.stage.see(&gadget).await;
    assert_eq!(at(&made, "found"), Value::Bool(true), "{made}");
    // The real server needs a moment between a definition and serving it.
    let until = Instant::now() + LONG;
    let seen = loop {
        match w.stage.perform(&list).await {
            Err(e) if Instant::now() > until => panic!("{e}"),
            Err(_) => tokio::time::sleep(PACE).await,
            Ok(seen) => break seen,
        }
    };
    assert_eq!(at(&seen.value, "found"), Value::Bool(false));
    w.other.see(&format!("delete: crd/gadgets.{group}")).await;
}

async fn a_name_that_would_change_the_path_is_refused(w: World) {
    for name in ["a/../b", "..", "a?x=1", "a b", "a%2Fb"] {
        let e = w.stage.fail(&format!("get: 'sessions.stream.space/{name}'")).await;
        assert!(e.to_string().contains("cannot be the name of an object"), "{e}");
    }
}

async fn all_namespaces_are_looked_at_when_asked_for(w: World) {
    let name = format!("{}-everywhere", w.namespace);
    w.make(&name).await;
    let body = format!("{{ list: sessions.stream.space, namespace: '*', labels: {{ app: {name} }} }}");
    let seen = w.stage.see(&body).await;
    assert_eq!(at(&seen, "items").as_list().map(<[Value]>::len), Some(1), "{seen}");
    assert!(w.stage.noted(EvidenceKind::Reproduce).contains("kubectl get sessions.stream.space -A -l"));
    let e = w.stage.fail("{ get: sessions.stream.space/x, namespace: '*' }").await;
    assert!(e.to_string().contains("`*` cannot be a namespace"), "{e}");
}

async fn what_is_served_is_asked_once(w: World) {
    w.stage.see("get: sessions.stream.space/x").await;
    let first = w.wire.requests();
    // The real server says all of it in two answers; the embedded one wants a question for each group.
    assert_eq!(first == 3, w.is_real(), "{first} requests");
    w.stage.see("list: deploy").await;
    assert_eq!(w.wire.requests(), first + 1);
}
