//! Writing requests: create, update, patches, status, generation, finalizers, owners, deletion.

use crate::pair::{APPLY, How, JSON, MERGE, OPERATIONS, Pair, STRATEGIC};
use http::Method;
use serde_json::{Value, json};

pub const MAPS: &str = "/api/v1/namespaces/$ns/configmaps";
pub const THINGS: &str = "/apis/$group/v1/namespaces/$ns/things";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/$ns/deployments";

pub async fn ask(pair: &mut Pair) {
    create(pair).await;
    names(pair).await;
    update(pair).await;
    patches(pair).await;
    parts(pair).await;
    finalizers(pair).await;
    owners(pair).await;
    deletion(pair).await;
    namespaces(pair).await;
}

pub fn map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "a": "b" } })
}

pub fn thing(name: &str) -> Value {
    json!({ "apiVersion": "$group/v1", "kind": "Thing", "metadata": { "name": name }, "spec": { "size": 1 } })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    object.pointer_mut(parent).expect("a parent")[field] = value;
    object
}

fn at(list: &str, name: &str) -> String {
    format!("{list}/{name}")
}

async fn create(pair: &mut Pair) {
    pair.topic("create");
    pair.post("a map", MAPS, map("one")).await;
    pair.post("it again", MAPS, map("one")).await;
    pair.get("read it", &at(MAPS, "one")).await;
    pair.get("read what is not there", &at(MAPS, "none")).await;
    pair.post("a thing", THINGS, thing("one")).await;
    pair.post("the thing again", THINGS, thing("one")).await;
    pair.get("read the thing", &at(THINGS, "one")).await;
    pair.get("read a thing that is not there", &at(THINGS, "none")).await;
    pair.post("without kind", MAPS, json!({ "metadata": { "name": "bare" }, "data": {} })).await;
    pair.post("a thing without kind", THINGS, json!({ "metadata": { "name": "bare" }, "spec": { "size": 1 } })).await;
    pair.post("of another kind", MAPS, with(map("x"), "/kind", "Secret".into())).await;
    pair.post("of another version", MAPS, with(map("x"), "/apiVersion", "v2".into())).await;
    pair.post("a thing of another kind", THINGS, with(thing("x"), "/kind", "Other".into())).await;
    pair.post("a thing of another version", THINGS, with(thing("x"), "/apiVersion", "$group/v2".into())).await;
    pair.post("into a namespace that is not there", "/api/v1/namespaces/$ns-none/configmaps", map("x")).await;
    pair.post("into another namespace than it says", MAPS, with(map("x"), "/metadata/namespace", "other".into())).await;
    pair.post("with a version", MAPS, with(map("x"), "/metadata/resourceVersion", "5".into())).await;
    let odd = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "ours", "uid": "6f0d3f0e-0000-4000-8000-000000000000", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7,
        "deletionTimestamp": "2001-01-01T00:00:00Z", "selfLink": "/x",
    } });
    pair.post("with what is the server's to say", MAPS, odd).await;
    pair.post("a thing with what is the server's to say", THINGS, {
        let thing = with(thing("ours"), "/metadata/generation", 7.into());
        with(thing, "/metadata/uid", "6f0d3f0e-0000-4000-8000-000000000000".into())
    })
    .await;
    pair.post("a thing with a status", THINGS, with(thing("born-done"), "/status", json!({ "phase": "Done" }))).await;
    for (name, body) in [("nothing", ""), ("no JSON", "{"), ("a list", "[]"), ("a number", "5"), ("null", "null")] {
        pair.ask(&format!("from {name}"), Method::POST, MAPS, How::default(), body).await;
        pair.ask(&format!("a thing from {name}"), Method::POST, THINGS, How::default(), body).await;
    }
    pair.ask(
        "from a form",
        Method::POST,
        MAPS,
        How { content: "application/x-www-form-urlencoded", ..How::default() },
        "a=b",
    )
    .await;
    pair.ask("from text", Method::POST, THINGS, How { content: "text/plain", ..How::default() }, "a").await;
    let bare = map("no-type").to_string();
    pair.ask("without a content type", Method::POST, MAPS, How { content: "", ..How::default() }, &bare).await;
    let charset = How { content: "application/json; charset=utf-8", ..How::default() };
    pair.ask("with a charset", Method::POST, MAPS, charset, &map("charset").to_string()).await;
    pair.post("as a trial", &format!("{MAPS}?dryRun=All"), map("trial")).await;
    pair.get("what a trial made", &at(MAPS, "trial")).await;
    pair.post("as another trial", &format!("{MAPS}?dryRun=Some"), map("trial")).await;
    pair.post("with odd strictness", &format!("{MAPS}?fieldValidation=Sometimes"), map("x")).await;
    pair.post("at an address of its own", &at(MAPS, "x"), map("x")).await;
    pair.ask("in all namespaces", Method::POST, "/api/v1/configmaps", How::default(), &map("x").to_string()).await;
    pair.post("of an unknown resource", "/api/v1/namespaces/$ns/nothings", map("x")).await;
    let wrong = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x", "labels": { "a": 1 } } });
    pair.post("with a number for a label", MAPS, wrong).await;
    pair.post("a thing with a number for a label", THINGS, with(thing("x"), "/metadata/labels", json!({ "a": 1 })))
        .await;
    pair.post("a thing with a list for metadata", THINGS, with(thing("x"), "/metadata", json!([]))).await;
}

async fn names(pair: &mut Pair) {
    pair.topic("names");
    pair.post("none", MAPS, json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {} })).await;
    pair.post("none for a thing", THINGS, with(thing("x"), "/metadata", json!({}))).await;
    pair.post("upper case", MAPS, map("One")).await;
    pair.post("upper case for a thing", THINGS, thing("One")).await;
    pair.post("too long", MAPS, map(&"x".repeat(254))).await;
    pair.post("generated", MAPS, with(map("x"), "/metadata", json!({ "generateName": "gen-" }))).await;
    pair.post("generated for a thing", THINGS, with(thing("x"), "/metadata", json!({ "generateName": "gen-" }))).await;
    pair.post("generated badly", MAPS, with(map("x"), "/metadata", json!({ "generateName": "Gen_" }))).await;
    for (name, labels) in [
        ("a label's value", json!({ "a": "no spaces" })),
        ("a label's long value", json!({ "a": "x".repeat(64) })),
        ("a label's key", json!({ "no spaces": "a" })),
        ("a label's prefix", json!({ "A_B/c": "a" })),
        ("a label's empty key", json!({ "": "a" })),
        ("labels that may be", json!({ "a.b/c": "", "d_e.f-g": "H.i_j-0" })),
    ] {
        let object = with(map(&format!("l{}", name.len())), "/metadata/labels", labels);
        pair.post(name, &format!("{MAPS}?dryRun=All"), object).await;
    }
    let annotated = with(map("x"), "/metadata/annotations", json!({ "no spaces": "a" }));
    pair.post("an annotation's key", MAPS, annotated).await;
    pair.post("a finalizer", MAPS, with(map("x"), "/metadata/finalizers", json!(["No Spaces"]))).await;
    pair.post(
        "a finalizer of a thing without a domain",
        &format!("{THINGS}?dryRun=All"),
        with(thing("x"), "/metadata/finalizers", json!(["plain"])),
    )
    .await;
    let two = with(with(map("X"), "/metadata/labels", json!({ "a": "b c" })), "/metadata/finalizers", json!(["a b"]));
    pair.post("two faults at once", MAPS, two).await;
}

async fn update(pair: &mut Pair) {
    pair.topic("update");
    pair.post("a map to change", MAPS, map("up")).await;
    pair.keep("up_version", "/metadata/resourceVersion");
    pair.keep("up_uid", "/metadata/uid");
    let at_up = at(MAPS, "up");
    pair.put("unconditionally", &at_up, with(map("up"), "/data", json!({ "a": "c" }))).await;
    let stale = with(with(map("up"), "/metadata/resourceVersion", "$up_version".into()), "/data", json!({ "a": "d" }));
    pair.put("a stale version", &at_up, stale).await;
    pair.put("without a change", &at_up, with(map("up"), "/data", json!({ "a": "c" }))).await;
    pair.put("under another name", &at_up, map("other")).await;
    pair.put("without a name", &at_up, json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": {} })).await;
    pair.put("a missing map", &at(MAPS, "absent"), map("absent")).await;
    let other = with(map("up"), "/metadata/uid", "6f0d3f0e-0000-4000-8000-000000000000".into());
    pair.put("of another uid", &at_up, other).await;
    pair.put("of its uid", &at_up, with(map("up"), "/metadata/uid", "$up_uid".into())).await;
    pair.put("with labels", &at_up, with(map("up"), "/metadata/labels", json!({ "a": "b" }))).await;
    pair.put("with empty labels", &at_up, with(map("up"), "/metadata/labels", json!({}))).await;
    pair.put("as a trial", &format!("{at_up}?dryRun=All"), with(map("up"), "/data", json!({ "x": "y" }))).await;
    pair.get("after the trial", &at_up).await;
    pair.put("the collection", MAPS, map("up")).await;
    pair.put("a thing unconditionally", &at(THINGS, "one"), thing("one")).await;
    pair.get("the thing", &at(THINGS, "one")).await;
    pair.keep("one_version", "/metadata/resourceVersion");
    let now = with(with(thing("one"), "/metadata/resourceVersion", "$one_version".into()), "/spec/size", 2.into());
    pair.put("a thing at its version", &at(THINGS, "one"), now.clone()).await;
    pair.put("a thing at its old version", &at(THINGS, "one"), now).await;
    let future = with(map("up"), "/metadata/resourceVersion", "99999999".into());
    pair.put("at a future version", &at_up, future).await;
    let odd = with(map("up"), "/metadata/resourceVersion", "odd".into());
    pair.put("at an invalid version", &at_up, odd).await;
}

async fn patches(pair: &mut Pair) {
    pair.topic("patch");
    pair.post("a map to patch", MAPS, with(map("p"), "/data", json!({ "a": "b", "c": "d" }))).await;
    let p = at(MAPS, "p");
    pair.patch("merge", MERGE, &p, json!({ "data": { "a": null, "e": "f" }, "metadata": { "labels": { "x": "y" } } }))
        .await;
    pair.patch("merge nothing", MERGE, &p, json!({})).await;
    pair.patch("merge what is so", MERGE, &p, json!({ "data": { "e": "f" } })).await;
    pair.patch("merge a stale version", MERGE, &p, json!({ "metadata": { "resourceVersion": "1" }, "data": {} })).await;
    pair.patch(
        "merge another uid",
        MERGE,
        &p,
        json!({ "metadata": { "uid": "6f0d3f0e-0000-4000-8000-000000000000" } }),
    )
    .await;
    pair.patch("merge another name", MERGE, &p, json!({ "metadata": { "name": "q" } })).await;
    pair.patch("merge another kind", MERGE, &p, json!({ "kind": "Secret" })).await;
    pair.patch("merge another namespace", MERGE, &p, json!({ "metadata": { "namespace": "other" } })).await;
    pair.patch("merge a bad label", MERGE, &p, json!({ "metadata": { "labels": { "x": "a b" } } })).await;
    pair.patch("merge a number for a label", MERGE, &p, json!({ "metadata": { "labels": { "x": 1 } } })).await;
    pair.patch("merge into nothing", MERGE, &at(MAPS, "absent"), json!({})).await;
    pair.patch("merge as a trial", MERGE, &format!("{p}?dryRun=All"), json!({ "data": { "t": "t" } })).await;
    pair.patch(
        "by operations",
        OPERATIONS,
        &p,
        json!([
            { "op": "test", "path": "/data/e", "value": "f" }, { "op": "replace", "path": "/data/e", "value": "g" },
            { "op": "add", "path": "/data/h", "value": "i" }, { "op": "remove", "path": "/data/c" },
        ]),
    )
    .await;
    pair.patch("a test that fails", OPERATIONS, &p, json!([{ "op": "test", "path": "/data/e", "value": "x" }])).await;
    pair.patch("remove what is not there", OPERATIONS, &p, json!([{ "op": "remove", "path": "/data/none" }])).await;
    pair.patch(
        "replace what is not there",
        OPERATIONS,
        &p,
        json!([{ "op": "replace", "path": "/data/none", "value": "x" }]),
    )
    .await;
    pair.patch(
        "add below what is not there",
        OPERATIONS,
        &p,
        json!([{ "op": "add", "path": "/none/none", "value": "x" }]),
    )
    .await;
    pair.patch("copy and move", OPERATIONS, &p, json!([
        { "op": "copy", "from": "/data/e", "path": "/data/f" }, { "op": "move", "from": "/data/h", "path": "/data/j" },
    ])).await;
    pair.patch("an unknown operation", OPERATIONS, &p, json!([{ "op": "turn", "path": "/data" }])).await;
    pair.patch("operations that are no list", OPERATIONS, &p, json!({ "op": "remove" })).await;
    pair.patch("no operations", OPERATIONS, &p, json!([])).await;
    pair.patch("strategic", STRATEGIC, &p, json!({ "data": { "a": "s" } })).await;
    pair.patch("strategic removal", STRATEGIC, &p, json!({ "data": { "a": null } })).await;
    pair.patch("strategic, with a directive", STRATEGIC, &p, json!({ "data": { "$patch": "replace", "z": "z" } }))
        .await;
    pair.patch("a list to merge", MERGE, &p, json!([1])).await;
    pair.ask("no JSON to merge", Method::PATCH, &p, How { content: MERGE, ..How::default() }, "{").await;
    pair.patch("plain JSON", JSON, &p, json!({})).await;
    pair.patch("the collection", MERGE, MAPS, json!({})).await;
    pair.patch("strategic, a thing", STRATEGIC, &at(THINGS, "one"), json!({ "spec": { "size": 3 } })).await;
    pair.patch("merge a thing", MERGE, &at(THINGS, "one"), json!({ "spec": { "size": 3 } })).await;
    pair.patch(
        "operations on a thing",
        OPERATIONS,
        &at(THINGS, "one"),
        json!([{ "op": "replace", "path": "/spec/size", "value": 4 }]),
    )
    .await;
    pair.patch("a thing to what it must not be", MERGE, &at(THINGS, "one"), json!({ "spec": { "size": "big" } })).await;
    pair.patch("a thing, with an unknown field", MERGE, &at(THINGS, "one"), json!({ "spec": { "odd": 1 } })).await;
    let strict = format!("{}?fieldValidation=Strict", at(THINGS, "one"));
    pair.patch("a thing, strictly", MERGE, &strict, json!({ "spec": { "odd": 1 } })).await;
    let applied =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "applied" }, "data": { "a": "b" } });
    pair.patch("apply", APPLY, &format!("{}?fieldManager=test", at(MAPS, "applied")), applied).await;
    pair.patch("apply a thing", APPLY, &format!("{}?fieldManager=test", at(THINGS, "applied")), thing("applied")).await;
    for applied in [at(MAPS, "applied"), at(THINGS, "applied")] {
        pair.quietly(Method::DELETE, &applied).await;
    }
}

/// Status and spec are written separately, and the generation counts changes of the spec.
async fn parts(pair: &mut Pair) {
    pair.topic("parts");
    let one = at(THINGS, "part");
    let status = format!("{one}/status");
    pair.post("a thing", THINGS, thing("part")).await;
    pair.patch("status merged", MERGE, &status, json!({ "status": { "phase": "Ready" } })).await;
    pair.patch("spec beside status", MERGE, &status, json!({ "spec": { "size": 9 }, "status": { "phase": "Done" } }))
        .await;
    pair.patch(
        "a label beside status",
        MERGE,
        &status,
        json!({ "metadata": { "labels": { "a": "b" } }, "status": { "phase": "Done" } }),
    )
    .await;
    pair.patch("status beside spec", MERGE, &one, json!({ "spec": { "size": 2 }, "status": { "phase": "Lost" } }))
        .await;
    pair.patch("status alone where it is ignored", MERGE, &one, json!({ "status": { "phase": "Lost" } })).await;
    pair.patch("a label", MERGE, &one, json!({ "metadata": { "labels": { "c": "d" } } })).await;
    pair.patch("the same spec", MERGE, &one, json!({ "spec": { "size": 2 } })).await;
    pair.patch("a generation by hand", MERGE, &one, json!({ "metadata": { "generation": 40 } })).await;
    pair.patch(
        "operations on status",
        OPERATIONS,
        &status,
        json!([{ "op": "replace", "path": "/status/phase", "value": "Ready" }]),
    )
    .await;
    pair.patch("a status that must not be", MERGE, &status, json!({ "status": { "phase": 5 } })).await;
    pair.patch("an unknown field in status", MERGE, &status, json!({ "status": { "odd": 5 } })).await;
    pair.get("status", &status).await;
    pair.keep("part_version", "/metadata/resourceVersion");
    let put = with(
        with(thing("part"), "/metadata/resourceVersion", "$part_version".into()),
        "/status",
        json!({ "phase": "Put" }),
    );
    pair.put("status put", &status, put.clone()).await;
    pair.put("status put at an old version", &status, put).await;
    pair.patch("status of nothing", MERGE, &format!("{}/status", at(THINGS, "absent")), json!({ "status": {} })).await;
    pair.delete("status away", &status, Value::Null).await;
    pair.post("status new", &status, thing("part")).await;
    pair.patch(
        "status of a map, which has none",
        MERGE,
        &format!("{}/status", at(MAPS, "one")),
        json!({ "status": {} }),
    )
    .await;
    pair.get("another subresource", &format!("{one}/other")).await;
    pair.get("scale of a thing, which has none", &format!("{one}/scale")).await;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" },
        "spec": {
            "replicas": 1, "selector": { "matchLabels": { "a": "b" } },
            "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } },
        },
    });
    pair.post("a Deployment", DEPLOYMENTS, deployment).await;
    let d = at(DEPLOYMENTS, "d");
    pair.patch(
        "a Deployment's status",
        MERGE,
        &format!("{d}/status"),
        json!({ "status": { "replicas": 1, "observedGeneration": 1 } }),
    )
    .await;
    pair.patch("a Deployment's replicas", MERGE, &d, json!({ "spec": { "replicas": 2 } })).await;
    pair.patch("a Deployment's replicas strategically", STRATEGIC, &d, json!({ "spec": { "replicas": 3 } })).await;
    pair.get("a Deployment's scale", &format!("{d}/scale")).await;
    pair.delete("the Deployment away", &d, json!({ "propagationPolicy": "Background" })).await;
}

async fn finalizers(pair: &mut Pair) {
    pair.topic("finalizers");
    let held = with(thing("held"), "/metadata/finalizers", json!(["a.b/one", "a.b/two"]));
    let path = at(THINGS, "held");
    pair.post("a held thing", THINGS, held).await;
    pair.delete("it", &path, Value::Null).await;
    pair.get("it is still there", &path).await;
    pair.delete("it again", &path, Value::Null).await;
    pair.patch(
        "another finalizer",
        MERGE,
        &path,
        json!({ "metadata": { "finalizers": ["a.b/one", "a.b/two", "a.b/three"] } }),
    )
    .await;
    pair.patch("its spec while it goes", MERGE, &path, json!({ "spec": { "size": 5 } })).await;
    pair.patch("no deletion after all", MERGE, &path, json!({ "metadata": { "deletionTimestamp": null } })).await;
    pair.post("another of that name", THINGS, thing("held")).await;
    pair.patch("one finalizer less", MERGE, &path, json!({ "metadata": { "finalizers": ["a.b/two"] } })).await;
    pair.patch("the last finalizer", OPERATIONS, &path, json!([{ "op": "remove", "path": "/metadata/finalizers" }]))
        .await;
    pair.get("it is gone", &path).await;
    pair.post("a finalizer twice", THINGS, with(thing("twice"), "/metadata/finalizers", json!(["a.b/one", "a.b/one"])))
        .await;
    pair.patch("finalizers off what stays", MERGE, &at(THINGS, "twice"), json!({ "metadata": { "finalizers": null } }))
        .await;
}

fn owned(name: &str, blocks: bool) -> Value {
    let owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "$owner_uid", "blockOwnerDeletion": blocks });
    with(map(name), "/metadata/ownerReferences", json!([owner]))
}

async fn owners(pair: &mut Pair) {
    pair.topic("owners");
    let owner = at(MAPS, "owner");
    let empty = json!([{ "apiVersion": "v1", "kind": "", "name": "x", "uid": "" }]);
    pair.post("a reference with gaps", MAPS, with(map("x"), "/metadata/ownerReferences", empty)).await;
    let two = json!([
        { "apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1", "controller": true },
        { "apiVersion": "v1", "kind": "ConfigMap", "name": "y", "uid": "2", "controller": true },
    ]);
    pair.post("two controllers", MAPS, with(map("x"), "/metadata/ownerReferences", two)).await;
    for (how, policy) in [("background", "Background"), ("foreground", "Foreground"), ("orphan", "Orphan")] {
        pair.post(&format!("{how}: an owner"), MAPS, map("owner")).await;
        pair.keep("owner_uid", "/metadata/uid");
        pair.post(&format!("{how}: its child"), MAPS, owned("child", how == "foreground")).await;
        pair.delete(&format!("{how}: the owner is deleted"), &owner, json!({ "propagationPolicy": policy })).await;
        pair.gone(&owner).await;
        if how == "orphan" {
            pair.get("orphan: the child stays", &at(MAPS, "child")).await;
        } else {
            pair.gone(&at(MAPS, "child")).await;
            pair.get(&format!("{how}: the child is deleted"), &at(MAPS, "child")).await;
        }
    }
    pair.say("owner_uid", "6f0d3f0e-0000-4000-8000-000000000000");
    pair.post("a child of a missing owner", MAPS, owned("stray", false)).await;
    pair.gone(&at(MAPS, "stray")).await;
    pair.post("an owner of a child with a finalizer", MAPS, map("owner")).await;
    pair.keep("owner_uid", "/metadata/uid");
    let held = with(owned("held-child", true), "/metadata/finalizers", json!(["a.b/c"]));
    pair.post("the child with a finalizer", MAPS, held).await;
    pair.delete("the owner waits for it", &owner, json!({ "propagationPolicy": "Foreground" })).await;
    let going = |_: u16, body: &Value| body["metadata"]["deletionTimestamp"].is_string();
    pair.until("the child's deletion", &at(MAPS, "held-child"), going).await;
    pair.get("the owner meanwhile", &owner).await;
    pair.get("the child meanwhile", &at(MAPS, "held-child")).await;
    pair.patch("finalizer removed", MERGE, &at(MAPS, "held-child"), json!({ "metadata": { "finalizers": null } }))
        .await;
    pair.gone(&owner).await;
}

async fn deletion(pair: &mut Pair) {
    pair.topic("delete");
    pair.post("a map", MAPS, map("gone")).await;
    pair.keep("gone_version", "/metadata/resourceVersion");
    let path = at(MAPS, "gone");
    pair.delete("of another uid", &path, json!({ "preconditions": { "uid": "6f0d3f0e-0000-4000-8000-000000000000" } }))
        .await;
    pair.delete("of another version", &path, json!({ "preconditions": { "resourceVersion": "1" } })).await;
    pair.delete("as a trial", &path, json!({ "dryRun": ["All"] })).await;
    pair.delete("as a trial, by the query", &format!("{path}?dryRun=All"), Value::Null).await;
    pair.delete("with an unknown policy", &path, json!({ "propagationPolicy": "Sideways" })).await;
    pair.delete("with two policies", &path, json!({ "propagationPolicy": "Orphan", "orphanDependents": true })).await;
    pair.delete("with a negative grace", &path, json!({ "gracePeriodSeconds": -5 })).await;
    pair.delete(
        "with the kind said",
        &path,
        json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "resourceVersion": "$gone_version" } }),
    )
    .await;
    pair.delete("it again", &path, Value::Null).await;
    pair.delete("a thing", &at(THINGS, "ours"), Value::Null).await;
    pair.delete("a thing that is not there", &at(THINGS, "absent"), Value::Null).await;
    pair.ask("with no JSON", Method::DELETE, &at(MAPS, "one"), How::default(), "{").await;
    for name in ["c1", "c2", "c3"] {
        let labelled = with(map(name), "/metadata/labels", json!({ "batch": if name == "c3" { "no" } else { "yes" } }));
        pair.post(&format!("one of several, {name}"), MAPS, labelled).await;
    }
    pair.delete("a selection", &format!("{MAPS}?labelSelector=batch%3Dyes"), Value::Null).await;
    pair.get("what is left of the selection", &format!("{MAPS}?labelSelector=batch")).await;
    pair.delete("a selection of none", &format!("{THINGS}?labelSelector=batch%3Dyes"), Value::Null).await;
}

async fn namespaces(pair: &mut Pair) {
    pair.topic("namespaces");
    pair.get("ours", "/api/v1/namespaces/$ns").await;
    pair.delete("default", "/api/v1/namespaces/default", Value::Null).await;
    let other = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "$ns-b" } });
    pair.post("another", "/api/v1/namespaces", other.clone()).await;
    pair.post("another again", "/api/v1/namespaces", other).await;
    let long = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "a.b" } });
    pair.post("an invalid name", "/api/v1/namespaces", long).await;
    let held = with(map("held"), "/metadata/finalizers", json!(["a.b/c"]));
    pair.post("a map with a finalizer in it", "/api/v1/namespaces/$ns-b/configmaps", held).await;
    pair.delete("another is deleted", "/api/v1/namespaces/$ns-b", Value::Null).await;
    pair.post("a map in a namespace that is being deleted", "/api/v1/namespaces/$ns-b/configmaps", map("late")).await;
    let going = |_: u16, body: &Value| body["metadata"]["deletionTimestamp"].is_string();
    pair.until("the held map's deletion", "/api/v1/namespaces/$ns-b/configmaps/held", going).await;
    pair.patch(
        "the finalizer is removed",
        MERGE,
        "/api/v1/namespaces/$ns-b/configmaps/held",
        json!({ "metadata": { "finalizers": null } }),
    )
    .await;
    pair.gone("/api/v1/namespaces/$ns-b").await;
}
