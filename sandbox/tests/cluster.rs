//! Tests the embedded Kubernetes API over its socket: with plain HTTP, kube's client and runtime, and kubectl.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Client, Config, ResourceExt as _,
    api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
    runtime::{Controller, controller::Action, finalizer, watcher},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Write as _,
    net::SocketAddr,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tp_runner_sandbox::cluster::{Cluster, Options, serve};

const SESSIONS: &str = "/apis/stream.space/v1alpha1/namespaces/streamspace/sessions";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/streamspace/deployments";
const CONFIGMAPS: &str = "/api/v1/namespaces/streamspace/configmaps";
const TOKEN: &str = "let-me-in";
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

struct Server {
    cluster: Cluster,
    http: reqwest::Client,
}

async fn start() -> Server {
    start_with(10_000).await
}

async fn start_with(window: usize) -> Server {
    // another test of this process may have installed the provider
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cluster = serve(listener, Options { token: TOKEN.into(), window }).await;
    let api = Server { cluster, http: reqwest::Client::builder().no_proxy().build().unwrap() };
    // these tests do not cover schemas, so sessions may have extra fields
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sessions.stream.space";
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let schema = [json!({ "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": open })];
    let (code, body) = api.send(Method::PATCH, path, "application/json-patch+json", json!(schema).to_string()).await;
    assert_eq!(code, 200, "{body}");
    api
}

impl Server {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.cluster.address())
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.http.request(method, self.url(path)).bearer_auth(TOKEN);
        let response = request.header("content-type", content).body(body).send().await.unwrap();
        let code = response.status().as_u16();
        (code, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, "application/json", "").await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::POST, path, "application/json", body.to_string()).await
    }

    async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::PUT, path, "application/json", body.to_string()).await
    }

    async fn merge(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::PATCH, path, "application/merge-patch+json", body.to_string()).await
    }

    async fn delete(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(Method::DELETE, path, "application/json", body).await
    }

    /// Creates a session and returns it as stored.
    async fn session(&self, name: &str) -> Value {
        let (code, made) = self.post(SESSIONS, &session(name)).await;
        assert_eq!(code, 201, "{made}");
        made
    }

    async fn watch(&self, path: &str) -> Watch {
        Watch::open(self.cluster.address(), path).await
    }

    /// Waits until the object does not exist.
    async fn wait_until_deleted(&self, path: &str) {
        let began = Instant::now();
        while self.get(path).await.0 != 404 {
            assert!(began.elapsed() < WAIT_TIMEOUT, "{path} still exists: {}", self.get(path).await.1);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn client(&self) -> Client {
        let mut config = Config::new(self.url("/").parse().unwrap());
        config.auth_info.token = Some(TOKEN.to_owned().into());
        config.default_namespace = "streamspace".into();
        Client::try_from(config).unwrap()
    }

    fn sessions(&self) -> Api<DynamicObject> {
        Api::default_namespaced_with(self.client(), &session_resource())
    }
}

fn session_resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("stream.space", "v1alpha1", "Session"))
}

fn session(name: &str) -> Value {
    json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session", "metadata": { "name": name },
        "spec": { "user": "ann", "template": "firefox", "state": "running" },
    })
}

fn configmap(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "a": "b" } })
}

fn owned_by(owner: &Value, blocks: bool) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks,
    }])
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// A watch read straight from the socket, so that a test decides when it reads.
struct Watch {
    lines: BufReader<TcpStream>,
}

impl Watch {
    async fn open(address: SocketAddr, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        lines.read_line(&mut line).await.unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            assert!(lines.read_line(&mut line).await.unwrap() > 0, "the head has no end");
        }
        Self { lines }
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        let read = async {
            let mut line = String::new();
            loop {
                line.clear();
                if self.lines.read_line(&mut line).await.unwrap() == 0 {
                    return None;
                }
                // chunk sizes and line breaks are not events
                if line.starts_with('{') {
                    return Some(serde_json::from_str(&line).unwrap());
                }
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, read).await.expect("an event before the timeout")
    }

    async fn expect(&mut self, what: &str, name: &str) -> Value {
        let event = self.next().await.expect("the stream ended");
        assert_eq!(
            (event["type"].as_str(), event["object"]["metadata"]["name"].as_str()),
            (Some(what), Some(name)),
            "{event}"
        );
        event["object"].clone()
    }
}

#[tokio::test]
async fn refuses_requests_without_the_token() {
    let api = start().await;
    for path in ["/version", SESSIONS, "/nonsense", "/bearer/wrong/version", "/%ff"] {
        let response = api.http.get(api.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 401, "{path}");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(body["reason"], "Unauthorized");
    }
    let response = api.http.get(api.url(SESSIONS)).bearer_auth("wrong").send().await.unwrap();
    assert_eq!(response.status(), 401);
    let response = api.http.get(api.url(&format!("/bearer/{TOKEN}/version"))).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn creates_reads_and_deletes_like_the_real_server() {
    let api = start().await;
    let made = api.session("one").await;
    let metadata = &made["metadata"];
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["namespace"], "streamspace");
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(metadata["creationTimestamp"].as_str().unwrap().ends_with('Z'));

    let (code, twice) = api.post(SESSIONS, &session("one")).await;
    assert_eq!((code, &twice["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(twice["message"], "sessions.stream.space \"one\" already exists");

    let (code, missing) = api.get(&format!("{SESSIONS}/x")).await;
    assert_eq!(code, 404);
    assert_eq!(
        missing,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "sessions.stream.space \"x\" not found", "reason": "NotFound",
            "details": { "name": "x", "group": "stream.space", "kind": "sessions" }, "code": 404,
        })
    );

    let (code, gone) = api.delete(&format!("{SESSIONS}/one"), &Value::Null).await;
    assert_eq!((code, &gone["status"]), (200, &json!("Success")));
    assert_eq!(api.get(&format!("{SESSIONS}/one")).await.0, 404);
    assert_eq!(api.delete(&format!("{SESSIONS}/one"), &Value::Null).await.0, 404);
}

#[tokio::test]
async fn validates_new_objects() {
    let api = start().await;
    let (code, refusal) = api.post(SESSIONS, &session("Upper")).await;
    assert_eq!((code, &refusal["reason"]), (422, &json!("Invalid")));
    let message = refusal["message"].as_str().unwrap();
    assert!(message.starts_with("Session.stream.space \"Upper\" is invalid: metadata.name: Invalid value: \"Upper\": a lowercase RFC 1123 subdomain"), "{message}");
    assert_eq!(refusal["details"]["causes"][0]["field"], "metadata.name");

    let elsewhere = SESSIONS.replace("streamspace", "nowhere");
    let (code, refusal) = api.post(&elsewhere, &session("one")).await;
    assert_eq!((code, &refusal["message"]), (404, &json!("namespaces \"nowhere\" not found")));

    let mut nameless = session("");
    assert_eq!(api.post(SESSIONS, &nameless).await.0, 422);
    nameless["metadata"] = json!({ "generateName": "s-" });
    let (code, made) = api.post(SESSIONS, &nameless).await;
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(code == 201 && name.starts_with("s-") && name.len() == 7, "{made}");

    let mut other = session("one");
    other["kind"] = json!("Template");
    assert_eq!(api.post(SESSIONS, &other).await.0, 422);
    let mut other = session("one");
    other["metadata"]["namespace"] = json!("default");
    assert_eq!(api.post(SESSIONS, &other).await.0, 400);
    let mut with_status = session("early");
    with_status["status"] = json!({ "phase": "Running" });
    let (_, made) = api.post(SESSIONS, &with_status).await;
    assert_eq!(made.get("status"), None, "status is a subresource");
}

#[tokio::test]
async fn changes_versions_and_generations_like_the_real_server() {
    let api = start().await;
    let path = format!("{SESSIONS}/one");
    let first = api.session("one").await;

    let (code, same) = api.put(&path, &first).await;
    assert_eq!((code, version(&same)), (200, version(&first)), "an update without a change keeps the version");
    let (_, same) = api.merge(&path, &json!({ "spec": { "state": "running" } })).await;
    assert_eq!(version(&same), version(&first));

    let (_, labelled) = api.merge(&path, &json!({ "metadata": { "labels": { "a": "b" } } })).await;
    assert_eq!(labelled["metadata"]["generation"], 1);
    assert!(version(&labelled) > version(&first));
    let (_, slept) = api.merge(&path, &json!({ "spec": { "state": "hibernated" } })).await;
    assert_eq!(slept["metadata"]["generation"], 2);

    let (code, stale) = api.put(&path, &first).await;
    assert_eq!((code, &stale["reason"]), (409, &json!("Conflict")));
    assert_eq!(
        stale["message"],
        "Operation cannot be fulfilled on sessions.stream.space \"one\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let mut unversioned = slept.clone();
    unversioned["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(api.put(&path, &unversioned).await.0, 422);
    let mut other = slept.clone();
    other["metadata"]["uid"] = json!("other");
    assert_eq!(api.put(&path, &other).await.0, 409);
    other = slept.clone();
    other["metadata"]["name"] = json!("two");
    assert_eq!(api.put(&path, &other).await.0, 400);
    let (_, kept) =
        api.merge(&path, &json!({ "metadata": { "uid": null, "creationTimestamp": "1999-01-01T00:00:00Z" } })).await;
    assert_eq!(kept, slept, "the server keeps its own fields");
}

#[tokio::test]
async fn writes_status_and_spec_separately() {
    let api = start().await;
    let path = format!("{SESSIONS}/one");
    let status = format!("{path}/status");
    api.session("one").await;

    let both = json!({ "spec": { "state": "hibernated" }, "status": { "phase": "Running" }, "metadata": { "labels": { "a": "b" } } });
    let (code, after) = api.merge(&status, &both).await;
    assert_eq!(code, 200);
    assert_eq!(after["status"]["phase"], "Running");
    assert_eq!(after["spec"]["state"], "running");
    assert_eq!(after["metadata"]["generation"], 1);
    assert_eq!(after["metadata"].get("labels"), None);

    let (_, after) =
        api.merge(&path, &json!({ "spec": { "state": "hibernated" }, "status": { "phase": "Gone" } })).await;
    assert_eq!(after["status"]["phase"], "Running");
    assert_eq!(after["spec"]["state"], "hibernated");

    let mut replacement = after.clone();
    replacement["status"] = json!({ "phase": "Hibernated" });
    replacement["spec"] = json!({});
    let (code, after) = api.put(&status, &replacement).await;
    assert_eq!((code, &after["status"]["phase"], &after["spec"]["user"]), (200, &json!("Hibernated"), &json!("ann")));
    assert_eq!(api.put(&status, &replacement).await.0, 409);
    assert_eq!(api.get(&status).await.1, after);
    assert_eq!(api.get(&format!("{CONFIGMAPS}/x/status")).await.0, 404);
}

#[tokio::test]
async fn refuses_unsupported_patches() {
    let api = start().await;
    let path = format!("{SESSIONS}/one");
    api.session("one").await;
    let patch = |content: &'static str, body: Value| api.send(Method::PATCH, &path, content, body.to_string());

    let (code, refusal) = patch("application/apply-patch+yaml", json!({})).await;
    assert_eq!(code, 415);
    assert!(refusal["message"].as_str().unwrap().contains("server-side apply"), "{refusal}");
    assert_eq!(patch("application/strategic-merge-patch+json", json!({})).await.0, 415);
    assert_eq!(patch("text/plain", json!({})).await.0, 415);
    assert_eq!(patch("application/merge-patch+json", json!([])).await.0, 400);

    let (code, after) = patch(
        "application/json-patch+json",
        json!([{ "op": "replace", "path": "/spec/state", "value": "hibernated" }]),
    )
    .await;
    assert_eq!((code, &after["spec"]["state"]), (200, &json!("hibernated")));
    let (code, refusal) =
        patch("application/json-patch+json", json!([{ "op": "test", "path": "/spec/state", "value": "running" }]))
            .await;
    assert_eq!((code, &refusal["reason"]), (422, &json!("Invalid")));
    assert_eq!(patch("application/json-patch+json", json!([{ "op": "replace", "path": "", "value": 5 }])).await.0, 422);
    let stale = json!({ "metadata": { "resourceVersion": "1" }, "spec": { "state": "running" } });
    assert_eq!(patch("application/merge-patch+json", stale).await.0, 409);
}

#[tokio::test]
async fn keeps_an_object_until_its_last_finalizer_is_removed() {
    let api = start().await;
    let path = format!("{SESSIONS}/one");
    let mut held = session("one");
    held["metadata"]["finalizers"] = json!(["a.b/first", "a.b/second"]);
    api.post(SESSIONS, &held).await;
    let mut watch = api.watch(&format!("{SESSIONS}?watch=true")).await;
    watch.expect("ADDED", "one").await;

    let (code, waiting) = api.delete(&path, &Value::Null).await;
    assert_eq!(code, 200);
    assert!(waiting["metadata"]["deletionTimestamp"].is_string(), "{waiting}");
    let again = api.delete(&path, &Value::Null).await.1;
    assert_eq!(again, waiting, "a second delete changes nothing");
    let (code, _) =
        api.merge(&path, &json!({ "metadata": { "finalizers": ["a.b/first", "a.b/second", "a.b/new"] } })).await;
    assert_eq!(code, 422);
    api.merge(&path, &json!({ "metadata": { "finalizers": ["a.b/second"] } })).await;
    assert_eq!(api.get(&path).await.0, 200);
    api.merge(&path, &json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!(api.get(&path).await.0, 404);

    watch.expect("MODIFIED", "one").await;
    let last = watch.expect("MODIFIED", "one").await;
    let gone = watch.expect("DELETED", "one").await;
    assert!(version(&gone) > version(&last), "a deletion gets its own version");
}

#[tokio::test]
async fn checks_deletion_preconditions() {
    let api = start().await;
    let path = format!("{SESSIONS}/one");
    let made = api.session("one").await;
    for wrong in [json!({ "uid": "other" }), json!({ "resourceVersion": "1" })] {
        let (code, refusal) = api.delete(&path, &json!({ "preconditions": wrong })).await;
        assert_eq!((code, &refusal["reason"]), (409, &json!("Conflict")));
    }
    assert_eq!(api.delete(&path, &json!({ "propagationPolicy": "Sideways" })).await.0, 422);
    let right = json!({ "preconditions": { "uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"] } });
    assert_eq!(api.delete(&path, &right).await.0, 200);
}

#[tokio::test]
async fn dry_run_changes_nothing() {
    let api = start().await;
    let path = format!("{SESSIONS}/one");
    assert_eq!(api.post(&format!("{SESSIONS}?dryRun=All"), &session("one")).await.0, 201);
    assert_eq!(api.get(&path).await.0, 404);
    let made = api.session("one").await;
    let (code, would) = api.merge(&format!("{path}?dryRun=All"), &json!({ "spec": { "state": "hibernated" } })).await;
    assert_eq!((code, &would["spec"]["state"]), (200, &json!("hibernated")));
    assert_eq!(api.delete(&format!("{path}?dryRun=All"), &Value::Null).await.0, 200);
    assert_eq!(api.delete(&path, &json!({ "dryRun": ["All"] })).await.0, 200);
    assert_eq!(api.delete(&format!("{SESSIONS}?dryRun=All"), &Value::Null).await.0, 200);
    assert_eq!(api.get(&path).await.1, made);
    assert_eq!(api.delete(&format!("{path}?dryRun=Some"), &Value::Null).await.0, 422);
}

#[tokio::test]
async fn deletes_children_with_their_owner() {
    let api = start().await;
    for policy in
        [Value::Null, json!({ "propagationPolicy": "Background" }), json!({ "propagationPolicy": "Foreground" })]
    {
        let owner = api.session("owner").await;
        let mut child = configmap("child");
        child["metadata"]["ownerReferences"] = owned_by(&owner, true);
        let (_, child) = api.post(CONFIGMAPS, &child).await;
        let mut grandchild = configmap("grandchild");
        grandchild["metadata"]["ownerReferences"] = owned_by(&child, true);
        assert_eq!(api.post(CONFIGMAPS, &grandchild).await.0, 201);
        api.delete(&format!("{SESSIONS}/owner"), &policy).await;
        for gone in [format!("{CONFIGMAPS}/child"), format!("{CONFIGMAPS}/grandchild"), format!("{SESSIONS}/owner")] {
            api.wait_until_deleted(&gone).await;
        }
    }
}

#[tokio::test]
async fn watches_receive_garbage_collection() {
    let api = start().await;
    let owner = api.session("owner").await;
    let mut parent = owner.clone();
    let mut watch = api.watch(&format!("{CONFIGMAPS}?watch=1")).await;
    let line = ["child", "grandchild", "great-grandchild", "last"];
    for name in line {
        let mut object = configmap(name);
        object["metadata"]["ownerReferences"] = owned_by(&parent, false);
        parent = api.post(CONFIGMAPS, &object).await.1;
        watch.expect("ADDED", name).await;
    }
    let (_, deleted) = api.delete(&format!("{SESSIONS}/owner"), &Value::Null).await;
    assert_eq!(deleted["details"]["uid"], owner["metadata"]["uid"]);
    // nothing else is written, so the garbage collector itself must notify the watch
    for name in line {
        watch.expect("DELETED", name).await;
    }
}

#[tokio::test]
async fn foreground_deletion_removes_the_owner_last() {
    let api = start().await;
    let owner = api.session("owner").await;
    let mut child = configmap("child");
    child["metadata"]["ownerReferences"] = owned_by(&owner, true);
    child["metadata"]["finalizers"] = json!(["a.b/hold"]);
    api.post(CONFIGMAPS, &child).await;
    let (code, waiting) = api.delete(&format!("{SESSIONS}/owner"), &json!({ "propagationPolicy": "Foreground" })).await;
    assert_eq!(code, 200);
    assert_eq!(waiting["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(api.get(&format!("{SESSIONS}/owner")).await.0, 200, "a blocking child still exists");
    let freed = json!({ "metadata": { "finalizers": null } });
    assert_eq!(api.merge(&format!("{CONFIGMAPS}/child"), &freed).await.0, 200);
    api.wait_until_deleted(&format!("{SESSIONS}/owner")).await;
}

#[tokio::test]
async fn orphaned_children_lose_their_reference_and_stay() {
    let api = start().await;
    let owner = api.session("owner").await;
    let mut child = configmap("child");
    child["metadata"]["ownerReferences"] = owned_by(&owner, false);
    api.post(CONFIGMAPS, &child).await;
    api.delete(&format!("{SESSIONS}/owner"), &json!({ "propagationPolicy": "Orphan" })).await;
    api.wait_until_deleted(&format!("{SESSIONS}/owner")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (code, child) = api.get(&format!("{CONFIGMAPS}/child")).await;
    assert_eq!((code, child["metadata"].get("ownerReferences")), (200, None));
}

#[tokio::test]
async fn collects_objects_without_a_living_owner() {
    let api = start().await;
    let living = api.session("living").await;
    let mut dead = living.clone();
    dead["metadata"]["uid"] = json!("3d3cbd5c-0000-4000-8000-000000000000");
    let mut child = configmap("child");
    child["metadata"]["ownerReferences"] = owned_by(&dead, false);
    assert_eq!(api.post(CONFIGMAPS, &child).await.0, 201);
    api.wait_until_deleted(&format!("{CONFIGMAPS}/child")).await;

    // with one living owner it stays and loses the other reference
    let mut both = owned_by(&dead, false);
    both.as_array_mut().unwrap().extend(owned_by(&living, false).as_array().unwrap().clone());
    child["metadata"]["ownerReferences"] = both;
    api.post(CONFIGMAPS, &child).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (_, child) = api.get(&format!("{CONFIGMAPS}/child")).await;
    assert_eq!(child["metadata"]["ownerReferences"], owned_by(&living, false));
}

#[tokio::test]
async fn deletes_a_namespace_with_its_contents() {
    let api = start().await;
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "short" } });
    assert_eq!(api.post("/api/v1/namespaces", &namespace).await.0, 201);
    let inside = CONFIGMAPS.replace("streamspace", "short");
    let mut held = configmap("held");
    held["metadata"]["finalizers"] = json!(["a.b/hold"]);
    api.post(&inside, &held).await;
    api.post(&inside, &configmap("free")).await;
    let (_, ending) = api.delete("/api/v1/namespaces/short", &Value::Null).await;
    assert_eq!(ending["status"]["phase"], "Terminating");
    api.wait_until_deleted(&format!("{inside}/free")).await;
    assert_eq!(api.post(&inside, &configmap("late")).await.0, 403);
    assert_eq!(api.get("/api/v1/namespaces/short").await.0, 200);
    api.merge(&format!("{inside}/held"), &json!({ "metadata": { "finalizers": [] } })).await;
    api.wait_until_deleted("/api/v1/namespaces/short").await;
    assert_eq!(api.delete("/api/v1/namespaces/default", &Value::Null).await.0, 403);
}

#[tokio::test]
async fn selects_lists_by_labels_and_fields() {
    let api = start().await;
    for (name, tier) in [("a", "web"), ("b", "db"), ("c", "web")] {
        let mut object = session(name);
        object["metadata"]["labels"] = json!({ "tier": tier });
        api.post(SESSIONS, &object).await;
    }
    api.post(&SESSIONS.replace("streamspace", "default"), &session("d")).await;
    let names = |list: Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|o| o["metadata"]["name"].as_str().unwrap().into()).collect()
    };
    for (query, expected) in [
        ("", "a b c"),
        ("?labelSelector=tier%3Dweb", "a c"),
        ("?labelSelector=tier%20notin%20(web)", "b"),
        ("?labelSelector=!tier", ""),
        ("?fieldSelector=metadata.name%3Db", "b"),
    ] {
        let (code, list) = api.get(&format!("{SESSIONS}{query}")).await;
        assert_eq!((code, list["kind"].as_str()), (200, Some("SessionList")));
        assert_eq!(names(list).join(" "), expected, "{query}");
    }
    assert_eq!(names(api.get("/apis/stream.space/v1alpha1/sessions").await.1).join(" "), "d a b c");
    let (code, refusal) = api.get(&format!("{SESSIONS}?fieldSelector=spec.user%3Dann")).await;
    assert_eq!((code, &refusal["reason"]), (400, &json!("BadRequest")));
    assert!(refusal["message"].as_str().unwrap().ends_with("field label not supported: spec.user"), "{refusal}");
    assert_eq!(api.get(&format!("{SESSIONS}?labelSelector=a%20in")).await.0, 400);

    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e" },
        "involvedObject": { "kind": "Session", "name": "a", "namespace": "streamspace" }, "reason": "Created",
    });
    let events = "/api/v1/namespaces/streamspace/events";
    assert_eq!(api.post(events, &event).await.0, 201);
    let of = |name: &str| format!("{events}?fieldSelector=involvedObject.kind%3DSession,involvedObject.name%3D{name}");
    assert_eq!(names(api.get(&of("a")).await.1), ["e"]);
    assert_eq!(names(api.get(&of("b")).await.1).len(), 0);

    let (code, _) = api.delete(&format!("{SESSIONS}?labelSelector=tier%3Dweb"), &Value::Null).await;
    assert_eq!(code, 200);
    assert_eq!(names(api.get(SESSIONS).await.1), ["b"]);
}

#[tokio::test]
async fn all_pages_show_the_same_version() {
    let api = start().await;
    for n in 0..5 {
        api.session(&format!("s{n}")).await;
    }
    let (_, first) = api.get(&format!("{SESSIONS}?limit=2")).await;
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    // changes between two pages do not appear in them
    api.delete(&format!("{SESSIONS}/s3"), &Value::Null).await;
    api.session("s2a").await;
    let mut names: Vec<Value> =
        first["items"].as_array().unwrap().iter().map(|o| o["metadata"]["name"].clone()).collect();
    let mut token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    while !token.is_empty() {
        let (code, page) = api.get(&format!("{SESSIONS}?limit=2&continue={token}")).await;
        assert_eq!(code, 200, "{page}");
        assert_eq!(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        names.extend(page["items"].as_array().unwrap().iter().map(|o| o["metadata"]["name"].clone()));
        token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(names, ["s0", "s1", "s2", "s3", "s4"]);
    let then = first["metadata"]["resourceVersion"].as_str().unwrap();
    let (_, past) = api.get(&format!("{SESSIONS}?resourceVersion={then}&resourceVersionMatch=Exact")).await;
    assert_eq!(past["items"].as_array().unwrap().len(), 5);
    assert!(past["items"].as_array().unwrap().iter().any(|o| o["metadata"]["name"] == "s3"));
    let (_, present) = api.get(&format!("{SESSIONS}?resourceVersion={then}")).await;
    assert!(present["items"].as_array().unwrap().iter().all(|o| o["metadata"]["name"] != "s3"));
    for bad in ["xyz", "e30", "%00"] {
        assert_eq!(api.get(&format!("{SESSIONS}?limit=2&continue={bad}")).await.0, 400);
    }
    let (code, early) = api.get(&format!("{SESSIONS}?resourceVersion=999999")).await;
    assert_eq!((code, &early["reason"]), (504, &json!("Timeout")));
}

#[tokio::test]
async fn pages_older_than_the_history_expire() {
    let api = start_with(10).await;
    for n in 0..3 {
        api.session(&format!("s{n}")).await;
    }
    let token = api.get(&format!("{SESSIONS}?limit=1")).await.1["metadata"]["continue"].as_str().unwrap().to_owned();
    for n in 0..20 {
        api.merge(&format!("{SESSIONS}/s0"), &json!({ "spec": { "n": n } })).await;
    }
    let (code, refusal) = api.get(&format!("{SESSIONS}?limit=1&continue={token}")).await;
    assert_eq!((code, &refusal["reason"]), (410, &json!("Expired")));
}

#[tokio::test]
async fn watches_receive_each_change_once_and_in_order() {
    let api = start().await;
    let first = api.session("one").await;
    let path = format!("{SESSIONS}/one");
    for n in 0..20 {
        api.merge(&path, &json!({ "spec": { "n": n } })).await;
    }
    let mut watch = api.watch(&format!("{SESSIONS}?watch=1&resourceVersion={}", version(&first))).await;
    for n in 0..20 {
        assert_eq!(watch.expect("MODIFIED", "one").await["spec"]["n"], n);
    }
    api.delete(&path, &Value::Null).await;
    let gone = watch.expect("DELETED", "one").await;
    assert_eq!(gone["spec"]["n"], 19);
    api.post(&SESSIONS.replace("streamspace", "default"), &session("elsewhere")).await;
    api.session("two").await;
    assert!(version(&watch.expect("ADDED", "two").await) > version(&gone));
}

#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    let api = start().await;
    let first = api.session("one").await;
    let mut watch = api.watch(&format!("{SESSIONS}?watch=1&resourceVersion={}", version(&first))).await;
    // enough to fill the socket buffers many times
    let padding = "x".repeat(40_000);
    let began = Instant::now();
    for n in 0..500 {
        let (code, _) = api.merge(&format!("{SESSIONS}/one"), &json!({ "spec": { "n": n, "padding": padding } })).await;
        assert_eq!(code, 200);
    }
    tokio::time::sleep(Duration::from_secs(2).saturating_sub(began.elapsed())).await;
    let mut last = version(&first);
    for n in 0..500 {
        let seen = watch.expect("MODIFIED", "one").await;
        assert_eq!(seen["spec"]["n"], n);
        assert!(version(&seen) > last);
        last = version(&seen);
    }
    // another watch, resumed in the middle
    let mut resumed = api.watch(&format!("{SESSIONS}?watch=1&resourceVersion={}", last - 100)).await;
    for n in 400..500 {
        assert_eq!(resumed.expect("MODIFIED", "one").await["spec"]["n"], n);
    }
}

#[tokio::test]
async fn a_watch_of_an_old_version_expires() {
    let api = start_with(10).await;
    let first = api.session("one").await;
    for n in 0..20 {
        api.merge(&format!("{SESSIONS}/one"), &json!({ "spec": { "n": n } })).await;
    }
    let mut watch = api.watch(&format!("{SESSIONS}?watch=1&resourceVersion={}", version(&first))).await;
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!((&event["object"]["code"], &event["object"]["reason"]), (&json!(410), &json!("Expired")));
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_watch_behind_the_history_expires() {
    let api = start_with(10).await;
    let first = api.session("one").await;
    let mut watch = api.watch(&format!("{SESSIONS}?watch=1&resourceVersion={}", version(&first))).await;
    let padding = "x".repeat(200_000);
    for n in 0..100 {
        api.merge(&format!("{SESSIONS}/one"), &json!({ "spec": { "n": n, "padding": padding } })).await;
    }
    let mut seen = 0;
    loop {
        let event = watch.next().await.expect("it ends with an error");
        if event["type"] == "ERROR" {
            assert_eq!(event["object"]["code"], 410);
            break;
        }
        assert_eq!(event["object"]["spec"]["n"], seen, "no change is missing before the gap");
        seen += 1;
    }
    assert!(seen < 100);
}

#[tokio::test]
async fn watches_receive_short_lived_states() {
    let api = start().await;
    api.session("one").await;
    let mut watch = api.watch(&format!("{SESSIONS}?watch=1&fieldSelector=metadata.name%3Done")).await;
    watch.expect("ADDED", "one").await;
    let status = format!("{SESSIONS}/one/status");
    api.merge(&status, &json!({ "status": { "phase": "Pending" } })).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    api.merge(&status, &json!({ "status": { "phase": "Running" } })).await;
    assert_eq!(watch.expect("MODIFIED", "one").await["status"]["phase"], "Pending");
    assert_eq!(watch.expect("MODIFIED", "one").await["status"]["phase"], "Running");
}

#[tokio::test]
async fn selection_changes_are_added_and_deleted_events() {
    let api = start().await;
    let path = format!("{SESSIONS}/one");
    let made = api.session("one").await;
    let mut watch =
        api.watch(&format!("{SESSIONS}?watch=1&labelSelector=in%3Dyes&resourceVersion={}", version(&made))).await;
    let label = |value: Value| json!({ "metadata": { "labels": { "in": value } } });
    api.merge(&path, &label(json!("yes"))).await;
    api.merge(&path, &json!({ "spec": { "n": 1 } })).await;
    let (_, left) = api.merge(&path, &label(Value::Null)).await;
    api.merge(&path, &json!({ "spec": { "n": 2 } })).await;
    api.merge(&path, &label(json!("yes"))).await;
    api.delete(&path, &Value::Null).await;
    watch.expect("ADDED", "one").await;
    watch.expect("MODIFIED", "one").await;
    let last = watch.expect("DELETED", "one").await;
    assert_eq!((&last["metadata"]["labels"]["in"], version(&last)), (&json!("yes"), version(&left)));
    watch.expect("ADDED", "one").await;
    watch.expect("DELETED", "one").await;
}

#[tokio::test]
async fn sends_initial_events_bookmarks_and_timeouts() {
    let api = start().await;
    api.session("one").await;
    api.session("two").await;
    let query =
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1";
    let began = Instant::now();
    let mut watch = api.watch(&format!("{SESSIONS}?{query}")).await;
    watch.expect("ADDED", "one").await;
    watch.expect("ADDED", "two").await;
    let bookmark = watch.next().await.unwrap();
    assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("Session")));
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    // changes outside the selection also advance the bookmark
    let (_, other) = api.post(CONFIGMAPS, &configmap("x")).await;
    let bookmark = watch.next().await.unwrap();
    assert_eq!((&bookmark["type"], version(&bookmark["object"])), (&json!("BOOKMARK"), version(&other)));
    assert_eq!(watch.next().await, None);
    assert!(began.elapsed() >= Duration::from_millis(950));
    assert_eq!(api.get(&format!("{SESSIONS}?watch=1&sendInitialEvents=true")).await.0, 422);
    assert_eq!(api.get(&format!("{SESSIONS}?watch=1&resourceVersion=x")).await.0, 500);
}

#[tokio::test]
async fn serves_a_resource_while_its_definition_exists() {
    let api = start().await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "things.x.example" },
        "spec": {
            "group": "x.example", "scope": "Cluster", "names": { "plural": "things", "kind": "Thing" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }],
        },
    });
    let things = "/apis/x.example/v1/things";
    let thing = json!({ "apiVersion": "x.example/v1", "kind": "Thing", "metadata": { "name": "t" } });
    assert_eq!(api.post(things, &thing).await.0, 404);
    let (code, made) = api.post(definitions, &definition).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["status"]["conditions"][1]["type"], "Established");
    assert_eq!(api.post(things, &thing).await.0, 201);
    assert_eq!(api.get("/apis/x.example/v1").await.1["resources"][0]["kind"], "Thing");
    api.delete(&format!("{definitions}/things.x.example"), &Value::Null).await;
    api.wait_until_deleted(&format!("{definitions}/things.x.example")).await;
    assert_eq!(api.get(things).await.0, 404);
    assert_eq!(api.get("/apis/x.example").await.0, 404);

    let mut two = definition.clone();
    two["spec"]["versions"] = json!([{ "name": "v1", "served": true }, { "name": "v2", "served": true }]);
    assert_eq!(api.post(definitions, &two).await.0, 422);
    for broken in [json!(null), json!({}), json!({ "group": 1, "names": [] }), json!("x")] {
        let mut bad = definition.clone();
        bad["spec"] = broken;
        assert_eq!(api.post(definitions, &bad).await.0, 422);
    }
}

#[tokio::test]
async fn reports_unsupported_requests() {
    let api = start().await;
    for (method, path, content, code) in [
        (Method::POST, format!("{SESSIONS}/one"), "application/json", 405),
        (Method::PUT, SESSIONS.into(), "application/json", 405),
        (Method::POST, "/apis/stream.space/v1alpha1/sessions".into(), "application/json", 405),
        (Method::OPTIONS, SESSIONS.into(), "application/json", 405),
        (Method::POST, "/version".into(), "application/json", 405),
        (Method::GET, format!("{DEPLOYMENTS}/x/scale"), "application/json", 501),
        (Method::POST, CONFIGMAPS.into(), "application/vnd.kubernetes.protobuf", 415),
        (Method::POST, CONFIGMAPS.into(), "application/yaml", 415),
        (Method::GET, "/apis/stream.space/v1alpha1/sessions/one".into(), "application/json", 404),
    ] {
        let (got, body) = api.send(method.clone(), &path, content, "").await;
        assert_eq!((got, &body["kind"]), (code, &json!("Status")), "{method} {path}: {body}");
    }
    // the real server also responds without a `Status` to paths outside every group
    for path in ["/apis/stream.space/v2/sessions", "/apis/stream.space/v1alpha1/nothings", "/openapi/v3", "/"] {
        assert_eq!(api.get(path).await, (404, Value::Null), "{path}");
    }
}

#[tokio::test]
async fn survives_malformed_requests() {
    let api = start().await;
    api.session("one").await;
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let bodies = [
        "",
        "null",
        "5",
        "[]",
        "{}",
        "\u{0}",
        "{\"metadata\":null}",
        "{\"metadata\":[]}",
        "{\"metadata\":{\"labels\":5}}",
        "{\"kind\":\"Session\",\"apiVersion\":\"stream.space/v1alpha1\",\"metadata\":{\"generateName\":\"ää\"}}",
        "[{\"op\":\"move\",\"from\":\"\",\"path\":\"/a\"}]",
        "[{\"op\":\"remove\",\"path\":\"\"}]",
        "[{\"op\":\"add\",\"path\":\"/spec/-\",\"value\":1}]",
        &deep,
    ];
    let paths = [
        SESSIONS.to_owned(),
        format!("{SESSIONS}/one"),
        format!("{SESSIONS}/one/status"),
        format!("{SESSIONS}/%F0%9F%98%80"),
        format!("{SESSIONS}/%zz"),
        format!("{SESSIONS}/%"),
        "/%00/%ff".into(),
        "//".into(),
        "/api/v1/namespaces//".into(),
        "/apis///".into(),
        format!("{SESSIONS}?limit=-1"),
        format!("{SESSIONS}?limit=18446744073709551615"),
        format!("{SESSIONS}?%ff=%zz&watch=false"),
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".into(),
        "/api/v1/namespaces/status/status/status".into(),
        format!("{SESSIONS}?watch=1&timeoutSeconds=1&resourceVersion=99999999999"),
    ];
    for path in &paths {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::HEAD] {
            if method == Method::GET && path.contains("watch=1") {
                continue;
            }
            for body in bodies {
                let content = if method != Method::PATCH {
                    "application/json"
                } else if body.starts_with('[') {
                    "application/json-patch+json"
                } else {
                    "application/merge-patch+json"
                };
                let (code, response) = api.send(method.clone(), path, content, body.to_owned()).await;
                assert!((200..506).contains(&code) && code != 500, "{method} {path} {body}: {code} {response}");
            }
        }
    }
    let (code, _) = api.send(Method::POST, CONFIGMAPS, "application/json", "x".repeat(4 << 20)).await;
    assert_eq!(code, 413);
    assert_eq!(api.get("/version").await.0, 200);
}

#[tokio::test]
async fn shutdown_ends_watches_and_frees_the_port() {
    let api = start().await;
    let address = api.cluster.address();
    let mut watch = api.watch(&format!("{SESSIONS}?watch=1")).await;
    let began = Instant::now();
    api.cluster.shutdown().await;
    assert_eq!(watch.next().await, None);
    assert!(began.elapsed() < Duration::from_secs(3));
    TcpListener::bind(address).await.expect("the port is free again");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_slow_readers() {
    let api = start().await;
    let first = api.session("one").await;
    let path = format!("{SESSIONS}?watch=1&resourceVersion={}", version(&first));
    let mut watch = api.watch(&path).await;
    let padding = "x".repeat(500_000);
    for n in 0..40 {
        api.merge(&format!("{SESSIONS}/one"), &json!({ "spec": { "n": n, "padding": padding } })).await;
    }
    let address = api.cluster.address();
    let began = Instant::now();
    api.cluster.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    TcpListener::bind(address).await.expect("the port is free again");
    assert_eq!(watch.expect("MODIFIED", "one").await["spec"]["n"], 0);
}

#[tokio::test]
async fn works_with_the_kube_client() {
    let api = start().await;
    let client = api.client();
    let discovery = kube::discovery::Discovery::new(client.clone()).run().await.unwrap();
    let (resource, capabilities) =
        discovery.resolve_gvk(&GroupVersionKind::gvk("stream.space", "v1alpha1", "Session")).unwrap();
    assert_eq!(resource.plural, "sessions");
    assert!(capabilities.subresources.iter().any(|(s, _)| s.plural == "status"));

    let sessions = api.sessions();
    assert!(sessions.get_opt("one").await.unwrap().is_none());
    let object: DynamicObject = serde_json::from_value(session("one")).unwrap();
    let made = sessions.create(&PostParams::default(), &object).await.unwrap();
    let conflict = sessions.create(&PostParams::default(), &object).await.unwrap_err();
    assert!(matches!(conflict, kube::Error::Api(status) if status.is_already_exists()));
    let patch = Patch::Merge(json!({ "spec": { "state": "hibernated" } }));
    let patched = sessions.patch("one", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.metadata.generation, Some(2));
    let stale = sessions.replace("one", &PostParams::default(), &made).await.unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.is_conflict()));
    let status = Patch::Merge(json!({ "status": { "phase": "Hibernated" } }));
    sessions.patch_status("one", &PatchParams::default(), &status).await.unwrap();
    let list = sessions.list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items[0].data["status"]["phase"], "Hibernated");
    assert_eq!(sessions.list_metadata(&ListParams::default()).await.unwrap().items[0].name_any(), "one");

    let typed: Api<Deployment> = Api::default_namespaced(client);
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": { "name": "d" },
        "spec": { "selector": { "matchLabels": { "a": "b" } }, "template": { "metadata": { "labels": { "a": "b" } } } },
    }))
    .unwrap();
    typed.create(&PostParams::default(), &deployment).await.unwrap();
    let patch = Patch::Strategic(json!({ "spec": { "replicas": 0 } }));
    assert_eq!(typed.patch("d", &PatchParams::default(), &patch).await.unwrap().spec.replicas, Some(0));
    let apply = Patch::Apply(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" } }));
    let refused = typed.patch("d", &PatchParams::apply("test"), &apply).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 415));
    assert!(sessions.delete("one", &DeleteParams::default()).await.unwrap().is_right());
}

#[tokio::test]
async fn works_with_kube_watchers_and_the_kubeconfig() {
    let api = start().await;
    let text = api.cluster.kubeconfig(&api.url("/"));
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&text).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    assert_eq!(config.default_namespace, "streamspace");
    let sessions: Api<DynamicObject> =
        Api::default_namespaced_with(Client::try_from(config).unwrap(), &session_resource());
    for n in 0..3 {
        api.session(&format!("s{n}")).await;
    }
    for settings in [watcher::Config::default().page_size(2), watcher::Config::default().streaming_lists()] {
        let mut events = watcher(sessions.clone(), settings).boxed();
        let mut names = Vec::new();
        loop {
            match tokio::time::timeout(WAIT_TIMEOUT, events.try_next()).await.unwrap().unwrap().unwrap() {
                watcher::Event::Init => {}
                watcher::Event::InitApply(object) => names.push(object.name_any()),
                watcher::Event::InitDone => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(names, ["s0", "s1", "s2"]);
        api.session("late").await;
        let event = tokio::time::timeout(WAIT_TIMEOUT, events.try_next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(event, watcher::Event::Apply(object) if object.name_any() == "late"));
        api.delete(&format!("{SESSIONS}/late"), &Value::Null).await;
        let event = tokio::time::timeout(WAIT_TIMEOUT, events.try_next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(event, watcher::Event::Delete(object) if object.name_any() == "late"));
    }
}

#[tokio::test]
async fn works_with_kube_controllers_and_finalizers() {
    let api = start().await;
    let client = api.client();
    let sessions = api.sessions();
    let configmaps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::default_namespaced(client.clone());
    let reconciles = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = reconciles.clone();
    let reconcile = {
        let sessions = sessions.clone();
        move |object: Arc<DynamicObject>, _: Arc<()>| {
            let (sessions, configmaps, counted) = (sessions.clone(), configmaps.clone(), counted.clone());
            async move {
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                finalizer(&sessions.clone(), "stream.space/cleanup", object, |event| async move {
                    if let finalizer::Event::Apply(object) = event {
                        let owner = json!([{
                            "apiVersion": "stream.space/v1alpha1", "kind": "Session", "name": object.name_any(),
                            "uid": object.metadata.uid, "controller": true,
                        }]);
                        let child = json!({ "metadata": { "name": object.name_any(), "ownerReferences": owner } });
                        match configmaps.create(&PostParams::default(), &serde_json::from_value(child).unwrap()).await {
                            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                            other => drop(other?),
                        }
                        let status = Patch::Merge(json!({ "status": { "phase": "Running" } }));
                        sessions.patch_status(&object.name_any(), &PatchParams::default(), &status).await?;
                    }
                    Ok::<_, kube::Error>(Action::await_change())
                })
                .await
            }
        }
    };
    let children: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::default_namespaced(client);
    let controller = Controller::new_with(sessions.clone(), watcher::Config::default(), session_resource())
        .owns(children, watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_millis(50)), Arc::new(()))
        .for_each(|_| async {});
    let controller = tokio::spawn(controller);

    api.session("one").await;
    let path = format!("{SESSIONS}/one");
    let began = Instant::now();
    while api.get(&path).await.1["status"]["phase"] != "Running" {
        assert!(began.elapsed() < WAIT_TIMEOUT, "never reconciled: {}", api.get(&path).await.1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(api.get(&path).await.1["metadata"]["finalizers"], json!(["stream.space/cleanup"]));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let settled = reconciles.load(std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(reconciles.load(std::sync::atomic::Ordering::SeqCst), settled, "it reconciles without a change");
    api.delete(&path, &Value::Null).await;
    api.wait_until_deleted(&path).await;
    api.wait_until_deleted(&format!("{CONFIGMAPS}/one")).await;
    controller.abort();
}

/// kubectl with a kubeconfig for the server.
struct Kubectl {
    home: tempfile::TempDir,
}

impl Kubectl {
    fn new(api: &Server) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), api.cluster.kubeconfig(&api.url(""))).unwrap();
        Self { home }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        let clean: BTreeMap<&str, _> =
            [("HOME", self.home.path().into()), ("KUBECONFIG", self.home.path().join("config"))].into();
        command.args(args).envs(clean).kill_on_drop(true).stdin(Stdio::null());
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            command.env_remove(proxy);
        }
        command
    }

    async fn run(&self, args: &[&str]) -> (bool, String) {
        let output = self.command(args).output().await.expect("kubectl has to be installed for this test");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    async fn good(&self, args: &[&str]) -> String {
        let (good, text) = self.run(args).await;
        assert!(good, "kubectl {args:?}: {text}");
        text
    }

    fn file(&self, object: &Value) -> String {
        let path = self.home.path().join("object.json");
        std::fs::File::create(&path).unwrap().write_all(object.to_string().as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs kubectl: tests/run"]
async fn works_with_kubectl() {
    let api = start().await;
    let kubectl = Kubectl::new(&api);
    let file = kubectl.file(&session("one"));
    assert_eq!(kubectl.good(&["apply", "-f", &file]).await, "session.stream.space/one created\n");
    assert_eq!(kubectl.good(&["apply", "-f", &file]).await, "session.stream.space/one unchanged\n");
    let mut changed = session("one");
    changed["spec"]["state"] = json!("hibernated");
    assert_eq!(kubectl.good(&["apply", "-f", &kubectl.file(&changed)]).await, "session.stream.space/one configured\n");
    api.merge(&format!("{SESSIONS}/one/status"), &json!({ "status": { "phase": "Hibernated" } })).await;

    let table = kubectl.good(&["get", "sessions"]).await;
    let rows: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "USER", "TEMPLATE", "STATE", "PHASE", "AGE"]);
    assert_eq!(rows[1][..5], ["one", "ann", "firefox", "hibernated", "Hibernated"]);
    assert_eq!(kubectl.good(&["get", "ss", "one", "-o", "jsonpath={.spec.user}"]).await, "ann");
    assert!(kubectl.good(&["get", "sessions", "-A"]).await.contains("NAMESPACE"));
    assert!(kubectl.good(&["get", "namespaces"]).await.contains("streamspace"));
    assert!(kubectl.good(&["api-resources"]).await.contains("templates"));
    assert!(kubectl.good(&["get", "all"]).await.contains("No resources found"));

    let mut watching =
        kubectl.command(&["get", "sessions", "-w", "--no-headers"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = async || tokio::time::timeout(WAIT_TIMEOUT, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(next().await.contains("hibernated"));
    let patched =
        kubectl.good(&["patch", "session", "one", "--type=merge", "-p", "{\"spec\":{\"state\":\"running\"}}"]).await;
    assert_eq!(patched, "session.stream.space/one patched\n");
    let row = next().await;
    assert_eq!(row.split_whitespace().nth(3), Some("running"), "{row}");
    watching.kill().await.unwrap();

    kubectl.good(&["label", "session", "one", "tier=web"]).await;
    assert!(kubectl.good(&["get", "sessions", "-l", "tier=web", "-o", "name"]).await.contains("one"));
    kubectl.good(&["wait", "--for=jsonpath={.spec.state}=running", "session/one", "--timeout=5s"]).await;
    kubectl.good(&["describe", "session", "one"]).await;
    let deleted = kubectl.good(&["delete", "session", "one"]).await;
    assert!(deleted.contains("\"one\" deleted"), "{deleted}");
    let (good, text) = kubectl.run(&["get", "session", "one"]).await;
    assert!(!good && text.contains("Error from server (NotFound): sessions.stream.space \"one\" not found"), "{text}");
    let (good, text) = kubectl.run(&["apply", "--server-side", "-f", &file]).await;
    assert!(!good && text.contains("server-side apply is not supported"), "{text}");
    let (good, text) = kubectl.run(&["create", "namespace", "x"]).await;
    assert!(!good && text.contains("does not read protobuf"), "{text}");

    // kubectl patches built-in kinds strategically
    let mut deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" },
        "spec": {
            "replicas": 1, "selector": { "matchLabels": { "a": "b" } },
            "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } },
        },
    });
    kubectl.good(&["apply", "-f", &kubectl.file(&deployment)]).await;
    deployment["spec"]["replicas"] = json!(2);
    kubectl.good(&["apply", "-f", &kubectl.file(&deployment)]).await;
    assert_eq!(api.get(&format!("{DEPLOYMENTS}/d")).await.1["spec"]["replicas"], 2);
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other");
    let (good, text) = kubectl.run(&["apply", "-f", &kubectl.file(&deployment)]).await;
    assert!(!good && text.contains("strategic merge patch with lists"), "{text}");
}

#[tokio::test]
async fn releases_disconnected_watchers() {
    let api = start().await;
    api.session("one").await;
    for _ in 0..50 {
        let mut watch = api.watch(&format!("{SESSIONS}?watch=1")).await;
        watch.expect("ADDED", "one").await;
    }
    let mut raw = TcpStream::connect(api.cluster.address()).await.unwrap();
    raw.write_all(b"NONSENSE\r\n\r\n").await.unwrap();
    let mut response = Vec::new();
    raw.read_to_end(&mut response).await.unwrap();
    assert_eq!(api.merge(&format!("{SESSIONS}/one"), &json!({ "spec": { "n": 1 } })).await.0, 200);
}
