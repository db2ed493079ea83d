//! Lists that arrive in pages, or incomplete, as through a gateway that limits them: a server with fixed responses.
use crate::test_cluster::open;
use axum::{Json, Router, extract::Query, http::StatusCode, routing::get};
use serde_json::{Value as Data, json};
use std::collections::HashMap;
use tp_runner::{
    event::EvidenceKind,
    executors::k8s::K8s,
    testing::{Harness, at},
    value::Value,
};

fn resources(path: &str, group_version: &str, names: &[&str]) -> Router {
    let resource = |name: &&str| json!({ "name": name, "singularName": "", "namespaced": true, "kind": name.to_uppercase(), "verbs": ["get", "list"] });
    let list = json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
        "resources": names.iter().map(resource).collect::<Vec<_>>() });
    Router::new().route(path, get(async move || Json(list.clone())))
}

fn status(code: u16, message: &str) -> (StatusCode, Json<Data>) {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message });
    (StatusCode::from_u16(code).unwrap(), Json(status))
}

/// Pages of one object each: `a`, `b`, and then `last`.
async fn pages(query: HashMap<String, String>, last: (StatusCode, Json<Data>)) -> (StatusCode, Json<Data>) {
    let page = |name: &str, next: &str| {
        let list = json!({ "kind": "ThingList", "apiVersion": "v1", "metadata": { "resourceVersion": "7", "continue": next },
            "items": [{ "metadata": { "name": name, "uid": name, "resourceVersion": "5" } }] });
        (StatusCode::OK, Json(list))
    };
    match query.get("continue").map(String::as_str) {
        None => page("a", "to b"),
        Some("to b") => page("b", "to c/d"),
        Some("to c/d") => last,
        other => panic!("{other:?}"),
    }
}

/// Serves `whole` (three pages), `expired` (two pages and a refusal), `forbidden`, `empty`, and `odd`, a single object.
async fn gateway(with_forbidden: bool) -> (Harness, tempfile::TempDir) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let names: &[&str] =
        if with_forbidden { &["empty", "forbidden"] } else { &["whole", "expired", "empty", "odd", "long"] };
    let versions = json!({ "kind": "APIVersions", "versions": ["v1"] });
    let groups = json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] });
    let third = json!({ "kind": "ThingList", "apiVersion": "v1", "metadata": { "resourceVersion": "7" },
        "items": [{ "metadata": { "name": "c", "uid": "c", "resourceVersion": "6" } }] });
    let whole =
        async move |Query(q): Query<HashMap<String, String>>| pages(q, (StatusCode::OK, Json(third.clone()))).await;
    let expired = async |Query(q): Query<HashMap<String, String>>| pages(q, status(410, "the token expired")).await;
    let empty = json!({ "kind": "ThingList", "apiVersion": "v1", "metadata": {}, "items": null });
    let odd = json!({ "kind": "Thing", "apiVersion": "v1", "metadata": { "name": "c" } });
    let things = "/api/v1/namespaces/default";
    let app = resources("/api/v1", "v1", names)
        .route("/api", get(async move || Json(versions.clone())))
        .route("/apis", get(async move || Json(groups.clone())))
        .route(&format!("{things}/whole"), get(whole))
        .route(&format!("{things}/expired"), get(expired))
        .route(&format!("{things}/empty"), get(async move || Json(empty.clone())))
        .route(&format!("{things}/odd"), get(async move || Json(odd.clone())))
        .route(
            &format!("{things}/long"),
            get(async || {
                Json(json!({ "kind": "ThingList", "apiVersion": "v1", "items": [
            { "metadata": { "name": "first" } }, { "metadata": { "name": "second" } },
            { "metadata": { "name": "x".repeat(2000) } }] }))
            }),
        )
        .route(&format!("{things}/forbidden"), get(async || status(403, "not yours")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = json!({ "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }], "users": [{ "name": "u", "user": {} }],
        "clusters": [{ "name": "c", "cluster": { "server": format!("http://{}", listener.local_addr().unwrap()) } }] });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config"), config.to_string()).unwrap();
    (open(dir.path(), "config").await, dir)
}

fn reason(output: &Value, field: &str) -> String {
    at(output, field).incomplete().map(ToString::to_string).unwrap_or_else(|| panic!("{field} is complete: {output}"))
}

#[tokio::test]
async fn all_pages_of_a_list_are_read() {
    let (s, _dir) = gateway(false).await;
    let all = s.output("list: whole").await;
    let names = at(&all, "items").items().iter().map(|i| at(i, "metadata.name").to_string()).collect::<Vec<_>>();
    assert_eq!(names, ["a", "b", "c"], "{all}");
    assert_eq!(all.incomplete(), None, "{all}");
    assert_eq!(at(&s.output("get: whole/c").await, "found"), Value::Bool(true), "on the last page");
    assert_eq!(at(&s.output("get: whole/d").await, "found"), Value::Bool(false));
    let none = s.output("list: empty").await;
    assert_eq!((at(&none, "found"), at(&none, "items")), (Value::Bool(false), Value::list(vec![])));
}

#[tokio::test]
async fn a_list_without_its_last_pages_is_partial() {
    let (s, _dir) = gateway(false).await;
    let all = s.output("list: expired").await;
    assert_eq!(at(&all, "found"), Value::Bool(true), "there are some");
    assert_eq!(reason(&all, "items"), "the list ends after 2 objects (410): the token expired");
    assert_eq!(s.output("get: expired/a").await.incomplete(), None, "this one was received");
    let missing = s.output("get: expired/c").await;
    for field in ["found", "object", "error"] {
        assert!(reason(&missing, field).contains("the list ends after"), "{missing}");
    }
}

#[tokio::test]
async fn a_single_object_in_place_of_a_list_is_an_error() {
    let (s, _dir) = gateway(false).await;
    for body in ["list: odd", "get: odd/c"] {
        let e = s.error(body).await.to_string();
        assert!(e.contains("expected a list with `items`, found `kind: Thing`"), "{e}");
    }
}

#[tokio::test]
async fn a_list_of_everything_is_partial_without_what_may_not_be_listed() {
    let (s, _dir) = gateway(true).await;
    let all = s.output("list: '*'").await;
    assert_eq!(reason(&all, "items"), "forbidden may not be listed (403)");
    assert_eq!(reason(&all, "found"), "forbidden may not be listed (403)");
}

#[tokio::test]
async fn a_list_beyond_the_limit_is_partial() {
    let (s, dir) = gateway(false).await;
    drop(s);
    let s = Harness::new(&K8s, dir.path()).open("k8s: { kubeconfig: config, limit: 1 KiB }").await.unwrap();
    let list = s.output("list: whole").await;
    assert_eq!(list.incomplete(), None);
    let long = s.output("list: long").await;
    let Value::Partial(items) = at(&long, "items") else { panic!("complete: {long}") };
    let names = items.value.items().iter().map(|i| at(i, "metadata.name").to_string()).collect::<Vec<_>>();
    assert_eq!(names, ["first", "second"], "those before the limit");
    let why = "the list ends after 2 objects: it is longer than 1 KiB; raise `limit` in the target";
    assert!(reason(&long, "items").starts_with(why), "{long}");
    assert!(s.evidence(EvidenceKind::Note).iter().any(|note| note.starts_with(why)));
    assert_eq!(s.output("get: long/first").await.incomplete(), None, "this one was received");
    assert!(reason(&s.output("get: long/other").await, "found").starts_with(why));
}
