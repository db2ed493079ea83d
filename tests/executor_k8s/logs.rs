//! Logs of pods. No pods run here, so a stub server serves the logs. The real server is used for the error messages of
//! pods without a log.
use crate::test_cluster::TestCluster;
use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value as Data, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;
use tp_runner::{
    event::EvidenceKind,
    executor::ActionError,
    executors::logs::Logs,
    expr::Scope,
    testing::{Harness, at},
    value::Value,
};

type Parameters = BTreeMap<String, String>;
/// Pod and container of each request, with its parameters.
type Requests = Arc<Mutex<Vec<(String, Parameters)>>>;

/// Two pods: `web-0` with two containers, one of them still waiting, and `web-1`.
async fn stub_server() -> (String, Requests) {
    let requests: Requests = Arc::default();
    let pod = |name: &str, containers: &[&str]| {
        let containers: Vec<Data> = containers.iter().map(|c| json!({ "name": c })).collect();
        json!({ "metadata": { "name": name }, "spec": { "containers": containers, "initContainers": [{ "name": "prepare" }] } })
    };
    let pods = move |Query(q): Query<Parameters>| async move {
        let all = match (q.get("labelSelector").map(String::as_str), q.get("fieldSelector").map(String::as_str)) {
            (Some("app=web"), None) => vec![pod("web-0", &["api", "side"]), pod("web-1", &["api"])],
            (None, Some("metadata.name=web-1")) => vec![pod("web-1", &["api"])],
            (Some("app=crash"), None) => {
                let mut pod = pod("web-1", &["api"]);
                let before = json!({ "terminated": { "finishedAt": "2026-01-02T03:00:00Z" } });
                let state = json!({ "name": "api", "restartCount": 1, "lastState": before });
                pod["status"] = json!({ "containerStatuses": [state] });
                vec![pod]
            }
            (Some("app=slow"), None) => vec![pod("slow-0", &["side"])],
            _ => vec![],
        };
        Json(json!({ "kind": "PodList", "apiVersion": "v1", "items": all }))
    };
    async fn log(
        State(requests): State<Requests>,
        Path(pod): Path<String>,
        Query(q): Query<Parameters>,
    ) -> Result<String, (StatusCode, Json<Data>)> {
        let container = q["container"].clone();
        let previous = q.contains_key("previous");
        requests.lock().unwrap().push((format!("{pod}/{container}"), q));
        match (pod.as_str(), container.as_str(), previous) {
            ("web-0", "api", false) => Ok("2026-01-02T03:04:05.100000000Z one\n2026-01-02T03:04:05.300000000Z three\n\
                                           2026-01-02T03:04:06.000000000Z \n"
                .into()),
            ("web-1", "api", false) => Ok("2026-01-02T03:04:05.200000000Z two 2026-01-02T09:09:09Z\n".into()),
            ("web-1", "api", true) => Ok("2026-01-02T03:00:00Z it crashed\n".into()),
            (pod, container, _) => {
                let message =
                    format!("container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating");
                let status = json!({ "kind": "Status", "code": 400, "reason": "BadRequest", "message": message });
                Err((StatusCode::BAD_REQUEST, Json(status)))
            }
        }
    }
    let app = axum::Router::new()
        .route("/api/v1/namespaces/blue/pods", get(pods))
        .route("/api/v1/namespaces/blue/pods/{pod}/log", get(log))
        .with_state(requests.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, requests)
}

struct LogServer {
    dir: tempfile::TempDir,
    requests: Requests,
}

impl LogServer {
    async fn new() -> LogServer {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (url, requests) = stub_server().await;
        let dir = tempfile::tempdir().unwrap();
        let config = json!({ "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "contexts": [{ "name": "x", "context": { "cluster": "x", "user": "x", "namespace": "blue" } }],
            "clusters": [{ "name": "x", "cluster": { "server": url } }], "users": [{ "name": "x", "user": {} }] });
        std::fs::write(dir.path().join("config"), config.to_string()).unwrap();
        LogServer { dir, requests }
    }

    async fn open(&self, keys: &str) -> Harness {
        let target = format!("logs: {{ {keys}, kubeconfig: config }}");
        Harness::new(&Logs, self.dir.path()).open(&target).await.unwrap()
    }

    /// The requests since the last call, sorted by container.
    fn take_requests(&self) -> Vec<(String, Parameters)> {
        let mut all = std::mem::take(&mut *self.requests.lock().unwrap());
        all.sort();
        all
    }
}

fn texts(observed: &Value) -> Vec<String> {
    let lines = at(observed, "lines");
    let lines = if let Value::Partial(partial) = &lines { &partial.value } else { &lines };
    lines.as_list().unwrap().iter().map(|l| at(l, "text").to_string()).collect()
}

#[tokio::test]
async fn sorts_lines_of_all_pods_by_time() {
    let server = LogServer::new().await;
    let s = server.open("k8s: app=web").await;
    let Value::Partial(partial) = at(&s.output("{}").await, "lines") else { panic!("`web-0/side` has no log") };
    assert!(partial.reason.starts_with("no log of web-0/side (400): container"), "{}", partial.reason);
    let observed = Value::map([("lines".into(), partial.value.clone())]);
    assert_eq!(texts(&observed), ["one", "two 2026-01-02T09:09:09Z", "three", ""]);
    assert_eq!(
        at(&observed, "lines.1.at"),
        Value::Time("2026-01-02T03:04:05.2Z".parse().unwrap()),
        "the cluster's time"
    );
    assert_eq!(
        (at(&observed, "lines.1.pod"), at(&observed, "lines.1.container")),
        (Value::text("web-1"), Value::text("api"))
    );
    let requests = server.take_requests();
    let names: Vec<&str> = requests.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["web-0/api", "web-0/side", "web-1/api"]);
    assert!(
        // a third of 8 MiB
        requests.iter().all(|(_, q)| q["timestamps"] == "true" && q["limitBytes"] == "2796202" && q.len() == 3),
        "{requests:?}"
    );
    // A waiting container does not hide the logs of the others.
    let notes = s.evidence(EvidenceKind::Note);
    assert!(notes[0].starts_with("no log of web-0/side (400): container \"side\""), "{notes:?}");
    let line = s.take_evidence(EvidenceKind::Reproduce);
    assert!(
        line.starts_with(
            "kubectl logs -l app=web --prefix --tail=-1 --all-containers --timestamps -n blue --kubeconfig "
        ),
        "{line}"
    );
}

#[tokio::test]
async fn sends_since_tail_container_and_previous_to_the_cluster() {
    let server = LogServer::new().await;
    let s = server.open("k8s: app=web, container: api").await;
    let observed = s.output("{ since: '2026-01-02T03:04:05.200Z' }").await;
    assert_eq!(
        texts(&observed),
        ["two 2026-01-02T09:09:09Z", "three", ""],
        "older lines of the same second are left out"
    );
    assert!(server.take_requests().iter().all(|(_, q)| q["sinceTime"] == "2026-01-02T03:04:05Z"));
    let observed = s.output("{ tail: 2 }").await;
    assert_eq!(texts(&observed), ["three", ""], "the last two lines of all containers");
    let requests = server.take_requests();
    assert!(requests.len() == 2 && requests.iter().all(|(_, q)| q["tailLines"] == "2"), "{requests:?}");
    let line = s.take_evidence(EvidenceKind::Reproduce);
    assert!(line.contains("--container=api --timestamps --tail=2 -n blue"), "{line}");

    let s = server.open("k8s: pods/web-1, previous: true").await;
    assert_eq!(texts(&s.output("{}").await), ["it crashed"]);
    assert_eq!(server.take_requests()[0].1["previous"], "true");
    assert!(
        s.take_evidence(EvidenceKind::Reproduce)
            .starts_with("kubectl logs web-1 --all-containers --timestamps --previous -n blue")
    );
}

#[tokio::test]
async fn lines_are_partial_after_a_restart() {
    let server = LogServer::new().await;
    let s = server.open("k8s: app=crash").await;
    let lines = at(&s.output("{ since: '2026-01-02T03:00:00Z' }").await, "lines");
    let reason = lines.incomplete().map(ToString::to_string).unwrap_or_default();
    assert_eq!(reason, "web-1/api was restarted or deleted: the lines before are not in its log");
    for complete in ["{ since: '2026-01-02T03:00:01Z' }", "{}"] {
        assert_eq!(s.output(complete).await.get("lines").unwrap().incomplete(), None, "{complete}");
    }
}

#[tokio::test]
async fn reports_missing_pods_and_logs() {
    let server = LogServer::new().await;
    for (keys, expected) in [
        ("k8s: app=none", "no pods with `app=none` found in namespace `blue`"),
        ("k8s: pods/none", "pod `none` not found in namespace `blue`"),
        (
            "k8s: app=slow",
            "no log of slow-0/side (400): container \"side\" in pod \"slow-0\" is waiting to start: ContainerCreating",
        ),
    ] {
        match server.open(keys).await.error("{}").await {
            ActionError::Unreachable(e) => assert_eq!(e, expected),
            e => panic!("{e:?}"),
        }
    }
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server: tests/run"]
async fn reports_why_a_real_pod_has_no_log_on_real_cluster() {
    let cluster = TestCluster::real().await;
    let pod = |name: &str, more: &str| {
        format!(
            "create: {{ apiVersion: v1, kind: Pod, metadata: {{ name: {name}, labels: {{ app: {name} }} }}, spec: {{ {more} \
             containers: [{{ name: api, image: x }}] }} }}"
        )
    };
    for body in [pod("web", "nodeName: nowhere,"), pod("early", "")] {
        let created = cluster.direct.output(&body).await;
        assert_eq!(at(&created, "found"), Value::Bool(true), "{created}");
    }
    let open = async |what: &str, config: &str| {
        let target = format!("logs: {{ k8s: {what}, kubeconfig: {config} }}");
        Harness::new(&Logs, cluster.dir.path()).open(&target).await.unwrap()
    };
    let body = "{ tail: 5, since: '2026-01-02T03:04:05Z' }";
    let observed = open("app=early", "direct").await.output(body).await;
    assert_eq!(texts(&observed), [""; 0], "a pod that is not scheduled yet has an empty log");
    let e = open("app=web", "direct").await.error(body).await.to_string();
    assert_eq!(e, "no log of web/api (404): pods \"nowhere\" not found", "the node does not exist");
    let e = open("app=web, container: ap", "direct").await.error("{}").await.to_string();
    assert!(e.starts_with("no log of web/ap (400): container ap is not valid for pod web"), "{e}");
    let e = open("pods/web-1, container: api", "direct").await.error("{}").await.to_string();
    assert!(e.contains("(404): pods \"web-1\" not found"), "{e}");

    cluster.stage_with_rules(json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"] }])).await;
    let s = open("app=web", "limited").await;
    let e = s.error("{}").await.to_string();
    assert!(e.starts_with("no log of web/api (403): ") && e.contains("pods/log"), "{e}");
    let found = s.target.as_ref().unwrap().probe(&[], &Scope::default()).await;
    let observed = |check: &str| &found.iter().find(|f| f.check.starts_with(check)).unwrap().found;
    assert_eq!(observed("list pods"), "allowed");
    assert!(observed("get pods/log").starts_with("not allowed: get"), "{found:?}");
    let unlisted = "create: { apiVersion: v1, kind: ServiceAccount, metadata: { name: unlisted } }";
    cluster.direct.output(unlisted).await;
    cluster.stage_as("unlisted", "unlisted").await;
    let e = open("app=web", "unlisted").await.error("{}").await.to_string();
    assert!(e.contains("cannot list the pods of namespace") && e.contains("pods is forbidden"), "{e}");
}
