//! Tests the sandbox platform over real sockets, with an embedded cluster and SQLite, or with PostgreSQL if
//! `TP_TEST_POSTGRES` is set.
#![cfg(feature = "sandbox")]

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
};
use futures::future::join_all;
use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use std::{
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tp_runner::relay::{FaultMode, Relay};
use tp_runner_sandbox::{self as sandbox, Database, Options, Sandbox, cluster};

const PASSWORD: &str = "correct-horse-battery";
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

fn free_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A platform, its cluster, the relay between them, and direct connections to cluster and database.
struct Platform {
    sandbox: Sandbox,
    cluster: cluster::Cluster,
    cluster_link: Relay,
    database_link: Option<Relay>,
    kube: Client,
    database: Direct,
    http: reqwest::Client,
    token: String,
    #[allow(dead_code)]
    folder: tempfile::TempDir,
}

/// A direct connection to the database.
enum Direct {
    Lite(sqlx::SqlitePool),
    Pg(sqlx::PgPool),
}

impl Direct {
    /// The first column of each row, as text.
    async fn column(&self, sql: String) -> Vec<String> {
        match self {
            Direct::Lite(pool) => {
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Direct::Pg(pool) => {
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    async fn execute(&self, sql: String) -> u64 {
        match self {
            Direct::Lite(pool) => sqlx::query(AssertSqlSafe(sql)).execute(pool).await.unwrap().rows_affected(),
            Direct::Pg(pool) => sqlx::query(AssertSqlSafe(sql)).execute(pool).await.unwrap().rows_affected(),
        }
    }
}

/// The response to a request, and its duration.
#[derive(Debug)]
struct Response {
    status: u16,
    body: Value,
    text: String,
    took: Duration,
}

async fn sqlite() -> Platform {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("platform.db");
    platform(folder, Database::Sqlite(path), None, None).await
}

/// A platform with a database on the server of `TP_TEST_POSTGRES`. `cargo test` ignores the tests that call this;
/// `tests/run` starts the server.
async fn postgres() -> Platform {
    let url = std::env::var("TP_TEST_POSTGRES").expect("TP_TEST_POSTGRES: run the ignored tests with `tests/run`");
    // a separate database, so that tests do not see each other's rows
    let name = format!("tp_{}", uuid::Uuid::new_v4().simple());
    let admin = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&admin).await.unwrap();
    let mut direct = reqwest::Url::parse(&url).unwrap();
    direct.set_path(&name);
    let upstream = format!("{}:{}", direct.host_str().unwrap(), direct.port().unwrap_or(5432));
    let upstream = tokio::net::lookup_host(upstream).await.unwrap().next().unwrap();
    let relay = Relay::bind(free_port()).await.unwrap();
    relay.set_upstream(upstream);
    let mut through = direct.clone();
    through.set_host(Some("127.0.0.1")).unwrap();
    through.set_port(Some(relay.address().port())).unwrap();
    let pool = sqlx::PgPool::connect(direct.as_str()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    platform(folder, Database::Postgres(through.to_string()), Some(Direct::Pg(pool)), Some(relay)).await
}

async fn platform(
    folder: tempfile::TempDir,
    database: Database,
    direct: Option<Direct>,
    link: Option<Relay>,
) -> Platform {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = cluster::serve(TcpListener::bind(free_port()).await.unwrap(), cluster::Options::default()).await;
    let cluster_link = Relay::bind(free_port()).await.unwrap();
    cluster_link.set_upstream(cluster.address());
    let write = |name: &str, address: SocketAddr| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, cluster.kubeconfig(&format!("http://{address}"))).unwrap();
        path
    };
    let through = write("through.kubeconfig", cluster_link.address());
    let own = write("own.kubeconfig", cluster.address());
    let own = kube::config::Kubeconfig::read_from(own).unwrap();
    let own = kube::Config::from_custom_kubeconfig(own, &Default::default()).await.unwrap();
    let options = Options {
        database: database.clone(),
        kubeconfig: through,
        namespace: "streamspace".into(),
        listen: free_port(),
        admin_password: PASSWORD.into(),
        log_file: folder.path().join("platform.log"),
        defects: Default::default(),
        as_built: false,
        quota: None,
        variations: vec![],
        delays: Default::default(),
    };
    let began = Instant::now();
    let sandbox = sandbox::start(options).await.unwrap();
    eprintln!("{:?} until the platform runs", began.elapsed());
    let database = match (direct, database) {
        (Some(direct), _) => direct,
        (None, Database::Sqlite(path)) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(path)
                .busy_timeout(SETTLE_TIMEOUT)
                .foreign_keys(true);
            Direct::Lite(sqlx::SqlitePool::connect_with(options).await.unwrap())
        }
        (None, Database::Postgres(_)) => unreachable!("`postgres` passes a direct connection"),
    };
    let mut platform = Platform {
        sandbox,
        cluster,
        cluster_link,
        database_link: link,
        kube: Client::try_from(own).unwrap(),
        database,
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        token: String::new(),
        folder,
    };
    let login = platform.post("/api/v1/auth/login", json!({ "username": "admin", "password": PASSWORD })).await;
    assert_eq!(login.status, 200, "{}", login.text);
    platform.token = login.body["token"].as_str().unwrap().to_owned();
    platform
}

impl Platform {
    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Response {
        let began = Instant::now();
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.sandbox.api()));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Response { status, body, text, took: began.elapsed() }
    }

    async fn get(&self, path: &str) -> Response {
        self.send("GET", path, None).await
    }
    async fn post(&self, path: &str, body: Value) -> Response {
        self.send("POST", path, Some(body)).await
    }
    async fn patch(&self, name: &str, body: Value) -> Response {
        self.send("PATCH", &format!("/api/v1/sessions/{name}"), Some(body)).await
    }
    async fn delete(&self, name: &str) -> Response {
        self.send("DELETE", &format!("/api/v1/sessions/{name}"), None).await
    }
    async fn session(&self, name: &str) -> Response {
        self.get(&format!("/api/v1/sessions/{name}")).await
    }

    fn objects(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.kube.clone(), "streamspace", &resource)
    }
    fn sessions(&self) -> Api<DynamicObject> {
        self.objects("stream.space", "v1alpha1", "Session")
    }
    async fn object(&self, name: &str) -> Option<Value> {
        self.sessions().get_opt(name).await.unwrap().map(|object| serde_json::to_value(object).unwrap())
    }
    async fn deployment(&self, name: &str) -> Option<Value> {
        let deployments = self.objects("apps", "v1", "Deployment");
        let list = deployments.list(&ListParams::default().labels(&format!("session={name}"))).await.unwrap();
        assert!(list.items.len() < 2);
        list.items.first().map(|object| serde_json::to_value(object).unwrap())
    }
    /// The number of objects with the session's label.
    async fn labelled(&self, name: &str) -> usize {
        let mut count = 0;
        for (group, kind) in [("apps", "Deployment"), ("", "Service"), ("", "Pod")] {
            let only = ListParams::default().labels(&format!("session={name}"));
            count += self.objects(group, "v1", kind).list(&only).await.unwrap().items.len();
        }
        count
    }

    async fn template(&self, name: &str) {
        let api = self.objects("stream.space", "v1alpha1", "Template");
        let template: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "stream.space/v1alpha1", "kind": "Template", "metadata": { "name": name },
            "spec": { "displayName": name, "baseImage": "registry.k8s.io/pause:3.10" },
        }))
        .unwrap();
        api.create(&PostParams::default(), &template).await.unwrap();
        until("the template is valid", || async {
            api.get(name).await.unwrap().data["status"]["valid"] == json!(true)
        })
        .await;
    }

    async fn create_session(&self, template: &str) -> Response {
        let resources = json!({ "cpu": "100m", "memory": "128Mi" });
        self.post("/api/v1/sessions", json!({ "user": "admin", "template": template, "resources": resources })).await
    }

    /// Creates a session, waits until it runs, and returns its name.
    async fn running(&self, template: &str) -> String {
        self.template(template).await;
        let made = self.create_session(template).await;
        assert_eq!(made.status, 202, "{}", made.text);
        let name = made.body["name"].as_str().unwrap().to_owned();
        self.assert_state(&name, "running", "Running", 1).await;
        name
    }

    /// Waits until API, cluster and database agree on this state.
    async fn assert_state(&self, name: &str, state: &str, phase: &str, replicas: i64) {
        until(&format!("{name} is {state} everywhere"), || async {
            let api = self.session(name).await.body;
            let object = self.object(name).await.unwrap_or_default();
            let deployment = self.deployment(name).await.unwrap_or_default();
            let row = self.database.column(format!("select state from sessions where id = '{name}'")).await;
            api["state"] == state
                && api["status"]["phase"] == phase
                && object["spec"]["state"] == state
                && object["status"]["phase"] == phase
                && deployment["spec"]["replicas"] == replicas
                && deployment["status"]["availableReplicas"].as_i64().unwrap_or(0) == replicas
                && row == [state]
        })
        .await;
    }

    async fn assert_gone(&self, name: &str) {
        until(&format!("{name} is deleted everywhere"), || async {
            self.session(name).await.status == 404
                && self.object(name).await.is_none()
                && self.labelled(name).await == 0
                && self.database.column(format!("select id from sessions where id = '{name}'")).await.is_empty()
        })
        .await;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.sandbox.log_file()).unwrap()
    }

    async fn close(self) {
        self.sandbox.shutdown().await;
        self.cluster_link.shutdown().await;
        self.cluster.shutdown().await;
    }
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < SETTLE_TIMEOUT, "within {SETTLE_TIMEOUT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    eprintln!("{:>6.1} ms until {what}", began.elapsed().as_secs_f64() * 1000.0);
}

async fn lifecycle(platform: Platform) {
    platform.template("t").await;
    let made = platform.create_session("t").await;
    assert_eq!(made.status, 202, "{}", made.text);
    assert_eq!(made.body["state"], "pending");
    let name = made.body["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("admin-t-") && name.len() == "admin-t-".len() + 8, "{name}");
    platform.assert_state(&name, "running", "Running", 1).await;
    let object = platform.object(&name).await.unwrap();
    assert_eq!(object["metadata"]["labels"]["streamspace.io/user"], "admin");
    assert_eq!(object["metadata"]["labels"]["streamspace.io/template"], "t");
    assert_eq!(object["spec"]["resources"]["requests"], json!({ "cpu": "100m", "memory": "128Mi" }));

    assert_eq!(platform.patch(&name, json!({ "state": "hibernated" })).await.status, 202);
    platform.assert_state(&name, "hibernated", "Hibernated", 0).await;
    let after = platform.object(&name).await.unwrap();
    assert_eq!(after["metadata"]["uid"], object["metadata"]["uid"]);
    assert!(after["metadata"]["generation"].as_i64() > object["metadata"]["generation"].as_i64());

    // a change in the cluster: database and API follow it, and nothing reverts it
    let wake = Patch::Merge(json!({ "spec": { "state": "running" } }));
    platform.sessions().patch(&name, &PatchParams::default(), &wake).await.unwrap();
    platform.assert_state(&name, "running", "Running", 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(platform.session(&name).await.body["state"], "running");

    assert_eq!(platform.patch(&name, json!({ "resources": { "cpu": "250m" } })).await.status, 202);
    until("the cluster has the resources", || async {
        platform.object(&name).await.unwrap()["spec"]["resources"]["requests"]
            == json!({ "cpu": "250m", "memory": "128Mi" })
    })
    .await;
    let tagged = platform.patch(&name, json!({ "tags": ["a", "b"] })).await;
    assert_eq!((tagged.status, &tagged.body["tags"]), (202, &json!(["a", "b"])));

    let connect = format!(
        "insert into connections (id, session_id, user_id, client_ip, user_agent, connected_at, last_heartbeat)
         values ('c1', '{name}', 'admin', '192.0.2.1', 'test', current_timestamp, current_timestamp)"
    );
    assert_eq!(platform.database.execute(connect).await, 1);
    assert_eq!(platform.labelled(&name).await, 3, "Deployment, Service, Pod");
    assert_eq!(platform.delete(&name).await.status, 202);
    assert_eq!(platform.delete(&name).await.status, 404, "it is being deleted already");
    platform.assert_gone(&name).await;
    assert!(platform.database.column("select id from connections".into()).await.is_empty());
    assert_eq!(platform.delete(&name).await.status, 404);
    platform.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_lifecycle_agrees_in_api_cluster_and_sqlite() {
    lifecycle(sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run"]
async fn session_lifecycle_agrees_in_api_cluster_and_postgres() {
    lifecycle(postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_reports_partial_failures() {
    let platform = sqlite().await;
    let (a, b, c, other) = (
        platform.running("a").await,
        platform.running("b").await,
        platform.running("c").await,
        platform.running("d").await,
    );
    assert_eq!(platform.patch(&b, json!({ "state": "hibernated" })).await.status, 202);
    let batch = |op: &str, names: Value| {
        let path = format!("/api/v1/sessions/batch/{op}");
        let body = json!({ "sessions": names });
        let platform = &platform;
        async move { platform.post(&path, body).await }
    };
    // the pod of `b` may still exist: the requested state counts, not the state of the pod
    let response = batch("hibernate", json!([a, "no-such-session", b, c])).await;
    assert_eq!(response.status, 200);
    assert_eq!(
        response.body,
        json!({ "total": 4, "succeeded": 2, "failed": 2, "errors": [
            { "name": "no-such-session", "error": "Session not found" },
            { "name": b, "error": "Session already hibernated" },
        ] })
    );
    for name in [&a, &b, &c] {
        platform.assert_state(name, "hibernated", "Hibernated", 0).await;
    }
    platform.assert_state(&other, "running", "Running", 1).await;

    let response = batch("wake", json!([a, other])).await;
    assert_eq!(response.body["errors"], json!([{ "name": other, "error": "Session already running" }]));
    platform.assert_state(&a, "running", "Running", 1).await;

    assert_eq!(platform.delete(&c).await.status, 202);
    let response = batch("delete", json!([a, c, b, b])).await;
    let not_found = |name: &str| json!({ "name": name, "error": "Session not found" });
    assert_eq!(response.body["errors"], json!([not_found(&c), not_found(&b)]));
    assert_eq!(response.body["succeeded"], 2);
    for name in [&a, &b, &c] {
        platform.assert_gone(name).await;
    }
    platform.assert_state(&other, "running", "Running", 1).await;
    assert_eq!(batch("delete", json!([])).await.status, 400);
    assert_eq!(platform.post("/api/v1/sessions/batch/wake", json!({ "names": [] })).await.status, 400);
    platform.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_external_changes_in_the_cluster() {
    let platform = sqlite().await;
    let (lost, kept) = (platform.running("lost").await, platform.running("kept").await);
    platform.sessions().delete(&lost, &DeleteParams::default()).await.unwrap();
    until("the API reports it as missing", || async {
        let now = platform.session(&lost).await.body;
        now["state"] == "failed" && now["status"]["phase"] == "Missing"
    })
    .await;
    assert_eq!(platform.patch(&lost, json!({ "state": "running" })).await.status, 409);

    // the platform ignores malformed objects, if the definition admits them, and still finds the others
    let open = json!([{
        "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema",
        "value": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    }]);
    let open = Patch::Json::<()>(serde_json::from_value(open).unwrap());
    let definitions = Api::<CustomResourceDefinition>::all(platform.sessions().into_client());
    definitions.patch("sessions.stream.space", &PatchParams::default(), &open).await.unwrap();
    for (name, spec) in [
        ("odd", json!({ "user": 7, "state": [] })),
        ("foreign", json!({ "user": "unknown", "template": "t", "state": "running" })),
    ] {
        let odd = json!({ "apiVersion": "stream.space/v1alpha1", "kind": "Session", "metadata": { "name": name }, "spec": spec });
        platform.sessions().create(&PostParams::default(), &serde_json::from_value(odd).unwrap()).await.unwrap();
    }
    until("both are logged as not adopted", || async {
        let log = platform.log();
        ["odd", "foreign"].iter().all(|name| log.contains(&format!("code=session_not_adopted session={name} ")))
    })
    .await;

    platform.template("manual").await;
    let by_hand: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session", "metadata": { "name": "by-hand" },
        "spec": { "user": "admin", "template": "manual", "state": "running",
                  "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } } },
    }))
    .unwrap();
    platform.sessions().create(&PostParams::default(), &by_hand).await.unwrap();
    platform.assert_state("by-hand", "running", "Running", 1).await;
    let sleep = Patch::Merge(json!({ "spec": { "state": "hibernated" } }));
    platform.sessions().patch("by-hand", &PatchParams::default(), &sleep).await.unwrap();
    platform.assert_state("by-hand", "hibernated", "Hibernated", 0).await;
    assert_eq!(platform.patch("by-hand", json!({ "state": "running" })).await.status, 202);
    platform.assert_state("by-hand", "running", "Running", 1).await;

    let log = platform.log();
    let logged = |code: &str, name: &str| {
        log.lines()
            .filter(|line| line.contains(&format!("code={code} ")) && line.contains(&format!("session={name}")))
            .count()
    };
    assert_eq!((logged("session_missing", &lost), logged("session_adopted", "by-hand")), (1, 1), "{log}");
    assert_eq!((logged("session_missing", &kept), logged("session_adopted", &kept)), (0, 0), "{log}");
    let audited =
        |name: &str| format!("select action from audit_log where resource_id = '{name}' and user_id = 'system'");
    assert_eq!(platform.database.column(audited(&lost)).await, ["session_missing"]);
    assert_eq!(platform.database.column(audited("by-hand")).await, ["session_adopted"]);
    assert!(platform.database.column(audited(&kept)).await.is_empty());

    for name in [&lost, "by-hand"] {
        assert_eq!(platform.delete(name).await.status, 202);
        platform.assert_gone(name).await;
    }
    platform.assert_state(&kept, "running", "Running", 1).await;
    platform.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_keep_all_stores_consistent() {
    let platform = sqlite().await;
    let templates: Vec<String> = (0..10).map(|n| format!("t{n}")).collect();
    for template in &templates {
        platform.template(template).await;
    }
    let began = Instant::now();
    let made = join_all(templates.iter().map(|template| platform.create_session(template))).await;
    eprintln!("{:?} for ten creates", began.elapsed());
    let names: Vec<String> = made.iter().map(|made| made.body["name"].as_str().unwrap().to_owned()).collect();
    for (made, template) in made.iter().zip(&templates) {
        assert_eq!((made.status, made.body["template"].as_str()), (202, Some(template.as_str())));
        assert!(made.took < Duration::from_secs(2), "{:?}", made.took);
    }
    join_all(names.iter().map(|name| platform.assert_state(name, "running", "Running", 1))).await;
    eprintln!("{:?} until ten run", began.elapsed());

    let contested = &names[0];
    let states = ["hibernated", "running"].into_iter().cycle().take(10);
    let responses = join_all(states.map(|state| platform.patch(contested, json!({ "state": state })))).await;
    assert!(responses.iter().all(|response| response.status == 202));
    until("all agree", || async {
        let object = platform.object(contested).await.unwrap();
        let state = object["spec"]["state"].as_str().unwrap().to_owned();
        let replicas = i64::from(state == "running");
        platform.session(contested).await.body["state"] == state
            && platform.database.column(format!("select state from sessions where id = '{contested}'")).await == [state]
            && platform.deployment(contested).await.unwrap()["spec"]["replicas"] == replicas
    })
    .await;

    let began = Instant::now();
    let deleted = join_all(names.iter().map(|name| platform.delete(name))).await;
    eprintln!("{:?} for ten deletes", began.elapsed());
    assert!(deleted.iter().all(|response| response.status == 202));
    join_all(names.iter().map(|name| platform.assert_gone(name))).await;
    platform.close().await;
}

/// An endpoint that sends the given statuses, repeating the last one, and records the requests.
#[derive(Clone)]
struct Inbox {
    url: String,
    requests: Arc<Mutex<Vec<(Instant, HeaderMap, Bytes)>>>,
}

impl Inbox {
    async fn open(replies: &'static [u16]) -> Inbox {
        let listener = TcpListener::bind(free_port()).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<_>>> = Arc::default();
        let recorded = requests.clone();
        let router = axum::Router::new().fallback(move |headers: HeaderMap, body: Bytes| {
            let mut recorded = recorded.lock().unwrap();
            let reply = replies[recorded.len().min(replies.len() - 1)];
            recorded.push((Instant::now(), headers, body));
            async move { StatusCode::from_u16(reply).unwrap() }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Inbox { url, requests }
    }

    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn all_signed(&self, secret: &str) -> bool {
        self.requests.lock().unwrap().iter().all(|(_, headers, body)| {
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(body);
            let signatures: Vec<_> = headers.get_all("x-streamspace-signature").iter().collect();
            headers["x-own"] == "yes" && signatures == [&*hex::encode(mac.finalize().into_bytes())]
        })
    }
}

impl Platform {
    /// Creates a webhook and returns its id and secret.
    async fn webhook(&self, inbox: &Inbox, event: &str, delay: f64) -> (i64, String) {
        let made = self
            .post(
                "/api/v1/integrations/webhooks",
                json!({
                    "name": event, "url": inbox.url, "events": [event], "enabled": true,
                    "headers": { "X-Own": "yes", "X-StreamSpace-Signature": "forged" },
                    "retry_policy": { "max_retries": 2, "retry_delay_seconds": delay, "backoff_multiplier": 1 },
                }),
            )
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
        (made.body["id"].as_i64().unwrap(), made.body["secret"].as_str().unwrap().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_retries_and_gives_up_webhook_deliveries() {
    let platform = sqlite().await;
    let (steady, flaky, dead) = (Inbox::open(&[200]).await, Inbox::open(&[503, 200]).await, Inbox::open(&[500]).await);
    let (refusing, asleep) = (Inbox::open(&[400]).await, Inbox::open(&[200]).await);
    let (_, secret) = platform.webhook(&steady, "session.created", 0.05).await;
    let (flaky_id, flaky_secret) = platform.webhook(&flaky, "session.created", 0.05).await;
    let (dead_id, _) = platform.webhook(&dead, "session.created", 0.05).await;
    platform.webhook(&refusing, "session.created", 0.05).await;
    platform.webhook(&asleep, "session.hibernated", 0.05).await;
    assert!(secret.starts_with("whsec_") && secret != flaky_secret);

    platform.template("t").await;
    let began = Instant::now();
    let name = platform.create_session("t").await.body["name"].as_str().unwrap().to_owned();
    until("all received their deliveries", || async { steady.count() == 1 && flaky.count() == 2 && dead.count() == 3 })
        .await;
    eprintln!("{:?} from request to delivery", steady.requests.lock().unwrap()[0].0 - began);
    platform.assert_state(&name, "running", "Running", 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let counts = [&steady, &flaky, &dead, &refusing, &asleep].map(Inbox::count);
    assert_eq!(counts, [1, 2, 3, 1, 0]);

    assert!(steady.all_signed(&secret) && flaky.all_signed(&flaky_secret));
    assert!(!steady.all_signed(&flaky_secret));
    {
        let requests = flaky.requests.lock().unwrap();
        assert_eq!(requests[0].2, requests[1].2);
        let body: Value = serde_json::from_slice(&requests[0].2).unwrap();
        assert_eq!(body["event"], "session.created");
        assert_eq!(requests[0].1["x-streamspace-event"], "session.created");
        assert_eq!(body["data"]["name"], name.as_str());
        assert_eq!((&body["data"]["user"], &body["data"]["template"]), (&json!("admin"), &json!("t")));
        assert!(body["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    }
    let record = |id: i64| format!("/api/v1/integrations/webhooks/{id}/deliveries");
    let flaky_record = platform.get(&record(flaky_id)).await.body;
    assert_eq!(flaky_record["total"], 1);
    assert_eq!(
        (&flaky_record["deliveries"][0]["status"], &flaky_record["deliveries"][0]["attempts"]),
        (&json!("success"), &json!(2))
    );
    let dead_record = platform.get(&record(dead_id)).await.body;
    assert_eq!(
        (&dead_record["deliveries"][0]["status"], &dead_record["deliveries"][0]["attempts"]),
        (&json!("failed"), &json!(3))
    );

    assert_eq!(platform.patch(&name, json!({ "state": "hibernated" })).await.status, 202);
    until("the subscriber of hibernation receives it", || async { asleep.count() == 1 }).await;

    let list = platform.get("/api/v1/integrations/webhooks").await;
    assert_eq!(list.body["total"], 5);
    assert!(!list.text.contains("whsec_"), "the secret is shown once");
    let path = format!("/api/v1/integrations/webhooks/{dead_id}");
    assert_eq!(platform.send("DELETE", &path, None).await.status, 200);
    assert_eq!(platform.send("DELETE", &path, None).await.status, 404);
    assert_eq!(platform.get(&record(dead_id)).await.status, 404);
    assert!(!platform.log().contains("whsec_"));
    platform.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_deliveries_during_a_database_outage() {
    let platform = sqlite().await;
    let inbox = Inbox::open(&[503, 503, 200]).await;
    let (id, _) = platform.webhook(&inbox, "session.created", 0.2).await;
    platform.template("t").await;
    platform.create_session("t").await;
    until("the first attempt failed", || async { inbox.count() == 1 }).await;
    platform.sandbox.database_switch().cut();
    until("it was retried without a database", || async { inbox.count() == 3 }).await;
    platform.sandbox.database_switch().heal();
    until("the record caught up", || async {
        let record = platform.get(&format!("/api/v1/integrations/webhooks/{id}/deliveries")).await.body;
        record["deliveries"][0]["status"] == "success" && record["deliveries"][0]["attempts"] == 3
    })
    .await;
    platform.close().await;
}

async fn audited(platform: Platform) {
    platform.template("t").await;
    let before = jiff::Timestamp::now();
    let name = platform.create_session("t").await.body["name"].as_str().unwrap().to_owned();
    until("it runs", || async { platform.object(&name).await.is_some_and(|o| o["status"]["phase"] == "Running") })
        .await;
    platform.session(&name).await;
    platform.patch(&name, json!({ "state": "hibernated" })).await;
    until("it is hibernated", || async { platform.object(&name).await.unwrap()["status"]["phase"] == "Hibernated" })
        .await;
    platform.delete(&name).await;
    until("it is deleted", || async { platform.object(&name).await.is_none() }).await;
    let bait = "bait-4711";
    let login = platform.post("/api/v1/auth/login", json!({ "username": "admin", "password": bait })).await;
    assert_eq!(login.status, 401);
    assert_eq!(platform.get(&format!("/api/v1/sessions?user=admin&token={bait}")).await.status, 200);

    let logs = |query: String| {
        let platform = &platform;
        async move { platform.get(&format!("/api/v1/audit/logs?{query}")).await }
    };
    let ours = logs(format!("resource={name}")).await;
    let entries = ours.body["entries"].as_array().unwrap();
    let mut actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["create", "delete", "read", "update"]);
    assert_eq!(ours.body["total"], 4);
    for entry in entries {
        assert_eq!((&entry["user_id"], &entry["resource_type"]), (&json!("admin"), &json!("session")));
        let at: jiff::Timestamp = entry["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(at >= before && at <= jiff::Timestamp::now());
    }
    let count = |response: Response| response.body["entries"].as_array().unwrap().len();
    assert_eq!(count(logs(format!("resource={name}&action=delete")).await), 1);
    assert_eq!(count(logs(format!("resource={name}&user=admin")).await), 4);
    assert_eq!(count(logs(format!("resource={name}&user=unknown")).await), 0);
    assert_eq!(count(logs(format!("resource={name}-x")).await), 0);
    assert_eq!(count(logs(format!("resource={name}&to={before}")).await), 0);
    assert_eq!(count(logs(format!("resource={name}&from={before}")).await), 4);
    assert_eq!(count(logs(format!("resource={name}&from={}", jiff::Timestamp::now())).await), 0);
    assert_eq!(count(logs(format!("resource={name}&limit=2")).await), 2);
    assert_eq!(logs("limit=many".into()).await.status, 400);
    assert_eq!(logs("from=yesterday".into()).await.status, 400);

    let everything = logs("limit=10000".into()).await;
    let login = |entry: &Value| format!("{} {}", entry["action"], entry["resource_type"]).contains("login");
    assert!(everything.body["entries"].as_array().unwrap().iter().filter(|entry| login(entry)).count() >= 2);
    for secret in [bait, PASSWORD, platform.token.as_str()] {
        assert!(!everything.text.contains(secret) && !platform.log().contains(secret));
        let stored = "select cast(changes as text) || user_id || action || resource_type || resource_id from audit_log";
        assert!(platform.database.column(stored.into()).await.iter().all(|row| !row.contains(secret)));
    }
    platform.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audits_without_secrets_in_sqlite() {
    audited(sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run"]
async fn audits_without_secrets_in_postgres() {
    audited(postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_invalid_requests_with_a_reason() {
    let mut platform = sqlite().await;
    platform.template("t").await;
    let resources = |cpu: &str, memory: &str| json!({ "template": "t", "resources": { "cpu": cpu, "memory": memory } });
    let mut refused = vec![];
    for (cpu, memory, named, other) in [
        ("abc", "128Mi", "cpu", "memory"),
        ("-100m", "128Mi", "cpu", "memory"),
        ("65000m", "128Mi", "cpu", "memory"),
        ("100m", "lots", "memory", "cpu"),
        ("100m", "600Gi", "memory", "cpu"),
    ] {
        let response = platform.post("/api/v1/sessions", resources(cpu, memory)).await;
        let message = response.body["message"].as_str().unwrap().to_lowercase();
        assert!(message.contains(named) && !message.contains(other), "{message}");
        refused.push((400, response));
    }
    refused.push((400, platform.post("/api/v1/sessions", json!({ "template": "no-such-template" })).await));
    refused.push((400, platform.post("/api/v1/sessions", json!({ "template": "t", "user": "unknown" })).await));
    refused.push((400, platform.post("/api/v1/sessions", json!({ "template": 7 })).await));
    refused.push((400, platform.post("/api/v1/sessions", json!([])).await));
    refused.push((400, platform.send("POST", "/api/v1/sessions", None).await));
    refused.push((413, platform.post("/api/v1/sessions", json!({ "template": "x".repeat(1 << 20) })).await));
    refused.push((404, platform.session("no-such-session").await));
    refused.push((404, platform.session("%00..%2f").await));
    refused.push((400, platform.session("%ff").await));
    refused.push((400, platform.get("/api/v1/sessions?user=%00").await));
    refused.push((400, platform.post("/api/v1/sessions", json!({ "template": "t", "tags": ["\0"] })).await));
    refused.push((404, platform.get("/nowhere").await));
    refused.push((405, platform.send("PUT", "/api/v1/sessions", Some(json!({}))).await));
    refused.push((
        400,
        platform
            .post(
                "/api/v1/integrations/webhooks",
                json!({ "name": "x", "url": "nowhere", "events": ["session.created"] }),
            )
            .await,
    ));
    refused.push((404, platform.send("DELETE", "/api/v1/integrations/webhooks/x", None).await));
    platform.token.push('x');
    refused.push((401, platform.get("/api/v1/sessions").await));
    platform.token.clear();
    refused.push((401, platform.get("/api/v1/sessions").await));
    let log = platform.log();
    let mut ids = vec![];
    for (status, response) in &refused {
        assert_eq!(response.status, *status, "{}", response.text);
        for field in ["code", "message", "request_id"] {
            assert!(response.body[field].as_str().is_some_and(|text| !text.is_empty()), "{}", response.text);
        }
        ids.push(response.body["request_id"].as_str().unwrap());
        assert!(log.contains(ids.last().unwrap()), "{}", response.text);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), refused.len(), "each its own");
    assert_eq!(platform.get("/health").await.status, 200);
    assert!(platform.database.column("select id from sessions".into()).await.is_empty());
    platform.close().await;
}

async fn without_database(platform: Platform) {
    let control = platform.running("control").await;
    platform.template("t").await;
    let cut = |down: bool| match (&platform.database_link, down) {
        (Some(link), true) => link.start_fault(FaultMode::Cut),
        (Some(link), false) => link.stop_fault(FaultMode::Cut),
        (None, true) => platform.sandbox.database_switch().cut(),
        (None, false) => platform.sandbox.database_switch().heal(),
    };
    cut(true);
    let responses = [
        platform.create_session("t").await,
        platform.session(&control).await,
        platform.get("/api/v1/sessions").await,
        platform.delete(&control).await,
        platform.patch(&control, json!({ "state": "hibernated" })).await,
        platform.post("/api/v1/sessions/batch/hibernate", json!({ "sessions": [control] })).await,
        platform.get("/api/v1/integrations/webhooks").await,
        platform.get("/api/v1/audit/logs").await,
        platform.post("/api/v1/auth/login", json!({ "username": "admin", "password": PASSWORD })).await,
    ];
    for response in &responses {
        assert_eq!(
            (response.status, &response.body["code"]),
            (503, &json!("database_unavailable")),
            "{}",
            response.text
        );
        assert!(response.took < Duration::from_secs(1), "{:?}", response.took);
        assert!(platform.log().contains(response.body["request_id"].as_str().unwrap()));
    }
    eprintln!("{:?} at worst without a database", responses.iter().map(|response| response.took).max().unwrap());
    let refused = platform.database_link.as_ref().map_or_else(
        || platform.sandbox.database_switch().refused(),
        |relay| relay.affected_connections(FaultMode::Cut),
    );
    assert!(refused > 0);
    assert_eq!(platform.get("/health").await.status, 200);
    cut(false);
    until("it responds again", || async { platform.session(&control).await.status == 200 }).await;
    assert!(platform.database.column("select id from sessions where template_name = 't'".into()).await.is_empty());
    platform.assert_state(&control, "running", "Running", 1).await;
    assert_eq!(platform.delete(&control).await.status, 202);
    platform.assert_gone(&control).await;
    platform.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_a_closed_store_quickly_and_recovers() {
    without_database(sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run"]
async fn reports_unreachable_postgres_quickly_and_recovers() {
    without_database(postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accepts_requests_without_a_cluster_and_applies_them_later() {
    let platform = sqlite().await;
    let control = platform.running("control").await;
    let doomed = platform.running("doomed").await;
    platform.template("t").await;
    platform.cluster_link.start_fault(FaultMode::Cut);
    let made = platform.create_session("t").await;
    assert_eq!((made.status, made.took < Duration::from_secs(1)), (202, true), "{made:?}");
    let name = made.body["name"].as_str().unwrap().to_owned();
    assert_eq!(platform.session(&control).await.body["state"], "running");
    assert_eq!(platform.delete(&doomed).await.status, 202);
    let unknown = platform.post("/api/v1/sessions", json!({ "template": "never-seen" })).await;
    assert_eq!((unknown.status, &unknown.body["code"]), (503, &json!("cluster_unavailable")));
    // a change in the cluster during the outage is observed afterwards
    let sleep = Patch::Merge(json!({ "spec": { "state": "hibernated" } }));
    platform.sessions().patch(&control, &PatchParams::default(), &sleep).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(platform.object(&name).await.is_none());
    assert!(platform.object(&doomed).await.is_some());
    assert!(platform.cluster_link.affected_connections(FaultMode::Cut) > 0);
    assert!(platform.log().lines().any(|line| line.contains("WARN") && line.contains("cluster unreachable")));
    assert_eq!(platform.session(&name).await.body["state"], "pending");

    platform.cluster_link.stop_fault(FaultMode::Cut);
    platform.assert_state(&name, "running", "Running", 1).await;
    platform.assert_state(&control, "hibernated", "Hibernated", 0).await;
    platform.assert_gone(&doomed).await;
    let list = platform.sessions().list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.len(), 2, "made once");
    platform.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completes_requests_of_disconnected_clients() {
    let platform = sqlite().await;
    platform.template("t").await;
    let request =
        platform.http.post(format!("{}/api/v1/sessions", platform.sandbox.api())).bearer_auth(&platform.token);
    let _ = tokio::time::timeout(Duration::from_millis(1), request.json(&json!({ "template": "t" })).send()).await;
    let second = platform.create_session("t").await.body["name"].as_str().unwrap().to_owned();
    platform.assert_state(&second, "running", "Running", 1).await;
    let objects = || async { platform.sessions().list(&ListParams::default()).await.unwrap().items.len() };
    until("every row has its object", || async {
        platform.database.column("select id from sessions".into()).await.len() == objects().await
    })
    .await;
    platform.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_in_one_process_are_independent() {
    let worlds = join_all((0..4).map(|_| sqlite())).await;
    let names = join_all(worlds.iter().map(|platform| platform.running("same"))).await;
    for (platform, name) in worlds.iter().zip(&names) {
        let list = platform.get("/api/v1/sessions").await.body;
        assert_eq!((&list["total"], &list["sessions"][0]["name"]), (&json!(1), &json!(name)));
    }
    let other = worlds[0].http.get(format!("{}/api/v1/sessions", worlds[1].sandbox.api()));
    assert_eq!(other.bearer_auth(&worlds[0].token).send().await.unwrap().status(), 401);
    for platform in worlds {
        platform.close().await;
    }
}
