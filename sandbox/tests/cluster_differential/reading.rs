//! Reading requests: lists, selectors, pages, watches, tables, discovery and authentication.

use crate::{
    pair::{How, MERGE, PARTIAL, PARTIAL_LIST, Pair, TABLE},
    writing::{MAPS, THINGS, map, thing},
};
use http::Method;
use serde_json::{Value, json};

const SHELF: &str = "/api/v1/namespaces/$ns-r/configmaps";

pub async fn ask(pair: &mut Pair) {
    pair.topic("shelf");
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "$ns-r" } });
    pair.post("a namespace", "/api/v1/namespaces", namespace).await;
    for (n, tier) in [(1, "web"), (2, "web"), (3, "db"), (4, "db"), (5, "none")] {
        let mut object = map(&format!("m{n}"));
        if tier != "none" {
            object["metadata"]["labels"] = json!({ "tier": tier, "n": n.to_string() });
        }
        pair.post(&format!("m{n}"), SHELF, object).await;
    }
    pair.keep("shelf_version", "/metadata/resourceVersion");
    selectors(pair).await;
    pages(pair).await;
    versions(pair).await;
    watches(pair).await;
    forms(pair).await;
    discovery(pair).await;
    callers(pair).await;
    pair.quietly(Method::DELETE, "/api/v1/namespaces/$ns-r").await;
}

async fn selectors(pair: &mut Pair) {
    pair.topic("select");
    pair.get("all", SHELF).await;
    pair.get("in an unknown namespace", "/api/v1/namespaces/$ns-none/configmaps").await;
    pair.get("things in an unknown namespace", "/apis/$group/v1/namespaces/$ns-none/things").await;
    for (name, selector) in [
        ("equal", "tier=web"),
        ("twice equal", "tier==web"),
        ("not equal", "tier!=web"),
        ("in", "tier in (web, db)"),
        ("not in", "tier notin (web)"),
        ("exists", "tier"),
        ("does not exist", "!tier"),
        ("both", "tier=web,n!=1"),
        ("none", "tier=x"),
        ("empty", ""),
        ("empty value", "tier="),
        ("no operator", "tier web"),
        ("no closing parenthesis", "tier in (web"),
        ("no value", "tier in"),
        ("bad value", "tier=a b"),
        ("bad key", "=x"),
        ("ends in a comma", "tier=web,"),
        ("greater", "n>3"),
        ("greater than a word", "n>x"),
    ] {
        let query: String = url(selector);
        pair.get(&format!("label {name}"), &format!("{SHELF}?labelSelector={query}")).await;
    }
    for (name, selector) in [
        ("name", "metadata.name=m1"),
        ("not name", "metadata.name!=m1"),
        ("namespace", "metadata.namespace=$ns-r"),
        ("unknown", "data.a=b"),
        ("no operator", "metadata.name"),
        ("none", "metadata.name=none"),
    ] {
        pair.get(&format!("field {name}"), &format!("{SHELF}?fieldSelector={}", url(selector))).await;
    }
    pair.get("label and field", &format!("{SHELF}?labelSelector=tier%3Dweb&fieldSelector=metadata.name%3Dm2")).await;
    pair.get("a thing's field", &format!("{THINGS}?fieldSelector={}", url("spec.size=1"))).await;
    pair.get("a thing's name", &format!("{THINGS}?fieldSelector={}", url("metadata.name=one"))).await;
    pair.get("a pod's phase", &format!("/api/v1/namespaces/$ns-r/pods?fieldSelector={}", url("status.phase=Running")))
        .await;
    pair.get(
        "an event's object",
        &format!("/api/v1/namespaces/$ns-r/events?fieldSelector={}", url("involvedObject.name=x")),
    )
    .await;
}

fn url(text: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || "-._$/".contains(c);
    text.chars().map(|c| if kept(c) { c.to_string() } else { format!("%{:02X}", c as u32) }).collect()
}

async fn pages(pair: &mut Pair) {
    pair.topic("page");
    pair.get("first", &format!("{SHELF}?limit=2")).await;
    pair.keep("token", "/metadata/continue");
    pair.post("one more meanwhile", SHELF, map("m0")).await;
    pair.get("second", &format!("{SHELF}?limit=2&continue=$token")).await;
    pair.keep("second", "/metadata/continue");
    pair.get("last", &format!("{SHELF}?limit=2&continue=$second")).await;
    pair.get("last without a limit", &format!("{SHELF}?continue=$second")).await;
    pair.get("with a selector", &format!("{SHELF}?limit=1&labelSelector=tier%3Dweb")).await;
    pair.get("larger than all", &format!("{SHELF}?limit=100")).await;
    pair.get("exactly all", &format!("{SHELF}?limit=6")).await;
    pair.get("of no token", &format!("{SHELF}?limit=2&continue=odd")).await;
    pair.get("of a token and a version", &format!("{SHELF}?limit=2&continue=$token&resourceVersion=$shelf_version"))
        .await;
    pair.get("with an invalid limit", &format!("{SHELF}?limit=x")).await;
    pair.get("of less than nothing", &format!("{SHELF}?limit=-1")).await;
    pair.get("of a table", &format!("{THINGS}?limit=1&labelSelector=none")).await;
}

async fn versions(pair: &mut Pair) {
    pair.topic("version");
    pair.get("any", &format!("{SHELF}?resourceVersion=0")).await;
    pair.get("not older", &format!("{SHELF}?resourceVersion=$shelf_version&resourceVersionMatch=NotOlderThan")).await;
    pair.get("exactly a version", &format!("{SHELF}?resourceVersion=$shelf_version&resourceVersionMatch=Exact")).await;
    pair.get("exactly version 0", &format!("{SHELF}?resourceVersion=0&resourceVersionMatch=Exact")).await;
    pair.get("a match without a version", &format!("{SHELF}?resourceVersionMatch=Exact")).await;
    pair.get("an unknown match", &format!("{SHELF}?resourceVersion=$shelf_version&resourceVersionMatch=Nearly")).await;
    pair.get("an invalid version", &format!("{SHELF}?resourceVersion=odd")).await;
    pair.get("a future version", &format!("{SHELF}?resourceVersion=99999999")).await;
    pair.get("of one object, not older", &format!("{SHELF}/m1?resourceVersion=$shelf_version")).await;
    pair.get("of one object, an invalid version", &format!("{SHELF}/m1?resourceVersion=odd")).await;
}

async fn watches(pair: &mut Pair) {
    pair.topic("watch");
    pair.get("the version to start from", SHELF).await;
    pair.keep("from", "/metadata/resourceVersion");
    pair.post("a map is created", SHELF, map("w1")).await;
    pair.patch("the map is changed", MERGE, &format!("{SHELF}/w1"), json!({ "data": { "a": "c" } })).await;
    pair.patch(
        "a label is added",
        MERGE,
        &format!("{SHELF}/w1"),
        json!({ "metadata": { "labels": { "seen": "yes" } } }),
    )
    .await;
    pair.patch("the labelled map is changed", MERGE, &format!("{SHELF}/w1"), json!({ "data": { "a": "d" } })).await;
    pair.patch("the label is removed", MERGE, &format!("{SHELF}/w1"), json!({ "metadata": { "labels": null } })).await;
    pair.delete("the map is deleted", &format!("{SHELF}/w1"), Value::Null).await;
    pair.post("another map is created", SHELF, map("w2")).await;
    let from = format!("{SHELF}?watch=true&resourceVersion=$from");
    pair.watch("every change after a version", &from, 7).await;
    pair.watch("with a label selector", &format!("{from}&labelSelector=seen%3Dyes"), 3).await;
    pair.watch("of one name", &format!("{from}&fieldSelector=metadata.name%3Dw2"), 1).await;
    pair.watch("as rows", &from, 1).await;
    pair.watch(
        "the present objects, until the timeout",
        &format!("{SHELF}?watch=1&timeoutSeconds=1&labelSelector=tier%3Dweb"),
        20,
    )
    .await;
    pair.watch(
        "from version 0",
        &format!("{SHELF}?watch=1&timeoutSeconds=1&resourceVersion=0&labelSelector=tier%3Ddb"),
        20,
    )
    .await;
    pair.watch("initial events and their end", &format!(
        "{SHELF}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&labelSelector=tier%3Dweb"
    ), 3).await;
    pair.watch("too old", &format!("{THINGS}?watch=1&resourceVersion=1"), 1).await;
    pair.watch("a future version", &format!("{SHELF}?watch=1&timeoutSeconds=1&resourceVersion=99999999"), 5).await;
    pair.get("an invalid version", &format!("{SHELF}?watch=1&resourceVersion=odd")).await;
    pair.get(
        "initial events without a match",
        &format!("{SHELF}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"),
    )
    .await;
    pair.get(
        "a match without initial events",
        &format!("{SHELF}?watch=1&resourceVersion=5&resourceVersionMatch=NotOlderThan"),
    )
    .await;
    pair.get(
        "an invalid match",
        &format!("{SHELF}?watch=1&sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=5"),
    )
    .await;
    pair.get("initial events of a list", &format!("{SHELF}?sendInitialEvents=true")).await;
    pair.get("with pages", &format!("{SHELF}?watch=1&timeoutSeconds=1&resourceVersion=odd&limit=1")).await;
    pair.get("of one object by its path", &format!("{SHELF}/none?watch=1&timeoutSeconds=1")).await;
    pair.get("an invalid timeout", &format!("{SHELF}?watch=1&timeoutSeconds=x")).await;
    pair.watch("an unknown flag", &format!("{SHELF}?watch=maybe&timeoutSeconds=1&labelSelector=tier%3Dweb"), 5).await;
    pair.get("the version of the things to start from", THINGS).await;
    pair.keep("from", "/metadata/resourceVersion");
    pair.post("a thing is created", THINGS, thing("w1")).await;
    pair.patch("its status changes", MERGE, &format!("{THINGS}/w1/status"), json!({ "status": { "phase": "Seen" } }))
        .await;
    pair.delete("the thing is deleted", &format!("{THINGS}/w1"), Value::Null).await;
    pair.watch("a thing's life", &format!("{THINGS}?watch=true&resourceVersion=$from"), 3).await;
}

async fn forms(pair: &mut Pair) {
    pair.topic("form");
    pair.get_as("a thing as a table", &format!("{THINGS}/one"), TABLE).await;
    pair.get_as("things as a table", &format!("{THINGS}?fieldSelector=metadata.name%3Done"), TABLE).await;
    pair.get_as(
        "rows without objects",
        &format!("{THINGS}?fieldSelector=metadata.name%3Done&includeObject=None"),
        TABLE,
    )
    .await;
    pair.get_as(
        "rows with objects",
        &format!("{THINGS}?fieldSelector=metadata.name%3Done&includeObject=Object"),
        TABLE,
    )
    .await;
    pair.get_as("rows with oddities", &format!("{THINGS}?includeObject=Some"), TABLE).await;
    pair.get_as("maps as a table", SHELF, TABLE).await;
    pair.get_as("no maps as a table", "/api/v1/namespaces/$ns-none/configmaps", TABLE).await;
    pair.get_as("a map that is not there, as a table", &format!("{SHELF}/none"), TABLE).await;
    pair.get_as("metadata of a map", &format!("{SHELF}/m1"), PARTIAL).await;
    pair.get_as("metadata of maps", SHELF, PARTIAL_LIST).await;
    pair.get_as("metadata of things", THINGS, PARTIAL_LIST).await;
    pair.get_as("HTML", &format!("{SHELF}/m1"), "text/html").await;
    pair.get_as("an unknown form", &format!("{SHELF}/m1"), "application/json;as=Odd;v=v1;g=meta.k8s.io").await;
    pair.get_as(
        "an unknown form or JSON",
        &format!("{SHELF}/m1"),
        "application/json;as=Odd;v=v1;g=meta.k8s.io,application/json",
    )
    .await;
    pair.get_as("anything", &format!("{SHELF}/m1"), "*/*").await;
    let table = How { accept: TABLE, ..How::default() };
    pair.ask("a new thing as a table", Method::POST, THINGS, table, &thing("tabled").to_string()).await;
}

/// Keeps only the resources that both servers have.
fn served(value: &mut Value) {
    const OURS: &[&str] = &[
        "namespaces",
        "events",
        "pods",
        "services",
        "configmaps",
        "secrets",
        "serviceaccounts",
        "persistentvolumeclaims",
        "deployments",
        "replicasets",
        "ingresses",
        "leases",
        "customresourcedefinitions",
    ];
    if let Some(list) = value.get_mut("resources").and_then(Value::as_array_mut) {
        list.retain(|r| r["name"].as_str().is_some_and(|n| OURS.contains(&n.trim_end_matches("/status"))));
        list.sort_by_key(|r| r["name"].as_str().unwrap_or_default().to_owned());
        for resource in list {
            resource.as_object_mut().expect("a resource").remove("storageVersionHash");
        }
    }
}

/// Sorts the resources and removes what is not compared.
fn sorted(value: &mut Value) {
    let Some(list) = value.get_mut("resources").and_then(Value::as_array_mut) else { return };
    list.sort_by_key(|r| r["name"].as_str().unwrap_or_default().to_owned());
    for resource in list {
        resource.as_object_mut().expect("a resource").remove("storageVersionHash");
    }
}

/// Removes what depends on the cluster: addresses of the server and other groups.
fn without_addresses_and_groups(value: &mut Value) {
    for own in ["serverAddressByClientCIDRs", "groups"] {
        if let Some(map) = value.as_object_mut() {
            map.remove(own);
        }
    }
}

/// Keeps only the major and minor version.
fn major_minor(value: &mut Value) {
    *value = json!([value["major"], value["minor"]]);
}

async fn discovery(pair: &mut Pair) {
    pair.topic("discover");
    let how = |of_interest| How { of_interest, ..How::default() };
    pair.ask("the version", Method::GET, "/version", how(major_minor), "").await;
    pair.ask("core versions", Method::GET, "/api", how(without_addresses_and_groups), "").await;
    pair.ask("groups", Method::GET, "/apis", how(without_addresses_and_groups), "").await;
    pair.get("our group", "/apis/$group").await;
    pair.ask("our resources", Method::GET, "/apis/$group/v1", how(sorted), "").await;
    for group in [
        "api/v1",
        "apis/apps/v1",
        "apis/networking.k8s.io/v1",
        "apis/coordination.k8s.io/v1",
        "apis/apiextensions.k8s.io/v1",
    ] {
        pair.ask(&format!("resources of {group}"), Method::GET, &format!("/{group}"), how(served), "").await;
    }
    pair.get("an unknown group", "/apis/none.example.com").await;
    pair.get("an unknown version", "/apis/$group/v9").await;
    pair.get("an unknown version's objects", "/apis/$group/v9/namespaces/$ns/things").await;
    pair.get("an unknown path", "/nothing/at/all").await;
    pair.get("health", "/healthz").await;
    pair.get("readiness", "/readyz").await;
    pair.ask("a group by POST", Method::POST, "/apis/$group/v1", How::default(), "{}").await;
}

async fn callers(pair: &mut Pair) {
    pair.topic("caller");
    let anonymous = How { anonymous: true, ..How::default() };
    pair.ask("anonymous", Method::GET, MAPS, anonymous, "").await;
    pair.ask("anonymous, the version", Method::GET, "/version", How { of_interest: major_minor, ..anonymous }, "")
        .await;
}
