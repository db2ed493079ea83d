//! A cluster for tests: the embedded Kubernetes API, or the real one of `TP_TEST_KUBECONFIG`, in a namespace of its
//! own. The verb connects through a proxy that counts requests, drops connections, and can rewind a watch to an expired
//! version.
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value as Json, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tp_runner::{
    executors::k8s::K8s,
    testing::{Harness, at},
    value::Value,
};
use tp_runner_sandbox::cluster::{Cluster, Options, serve};

pub const POLL_INTERVAL: Duration = Duration::from_millis(100);
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// A TCP proxy that reads the requests.
pub struct Proxy {
    pub address: SocketAddr,
    watch_requests: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    rewind_next_watch: Arc<AtomicBool>,
    offline: Arc<AtomicBool>,
    refused_connections: Arc<AtomicUsize>,
    drop_signal: watch::Sender<u64>,
}

impl Proxy {
    async fn start(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy {
            address: listener.local_addr().unwrap(),
            watch_requests: Arc::default(),
            requests: Arc::default(),
            rewind_next_watch: Arc::default(),
            offline: Arc::default(),
            refused_connections: Arc::default(),
            drop_signal: watch::Sender::new(0),
        };
        let (watch_requests, requests) = (proxy.watch_requests.clone(), proxy.requests.clone());
        let (rewind, dropped) = (proxy.rewind_next_watch.clone(), proxy.drop_signal.subscribe());
        let (offline, refused) = (proxy.offline.clone(), proxy.refused_connections.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if offline.load(Ordering::SeqCst) {
                    refused.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let (watch_requests, requests) = (watch_requests.clone(), requests.clone());
                let (rewind, mut dropped) = (rewind.clone(), dropped.clone());
                dropped.borrow_and_update();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = forward(client, upstream, &watch_requests, &requests, &rewind) => {}
                        _ = dropped.changed() => {}
                    }
                });
            }
        });
        proxy
    }

    pub fn drop_connections(&self) {
        self.drop_signal.send_modify(|n| *n += 1);
    }

    /// Drops all connections and refuses new ones, like a killed server.
    pub fn go_offline(&self) {
        self.offline.store(true, Ordering::SeqCst);
        self.drop_connections();
    }

    pub fn go_online(&self) {
        self.offline.store(false, Ordering::SeqCst);
    }

    /// The connections refused while offline.
    pub fn refused_connections(&self) -> usize {
        self.refused_connections.load(Ordering::SeqCst)
    }

    pub fn watch_requests(&self) -> usize {
        self.watch_requests.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn forward(
    client: TcpStream,
    upstream: SocketAddr,
    watch_requests: &AtomicUsize,
    requests: &AtomicUsize,
    rewind: &AtomicBool,
) -> std::io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut cr, mut cw), (mut sr, mut sw)) = (client.into_split(), server.into_split());
    let up = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = cr.read(&mut buffer).await?;
            let text = String::from_utf8_lossy(&buffer[..n]);
            watch_requests.fetch_add(text.matches("watch=1").count(), Ordering::SeqCst);
            requests.fetch_add(text.matches(" HTTP/1.1\r\n").count(), Ordering::SeqCst);
            if n == 0 {
                return std::io::Result::Ok(());
            }
            if text.contains("watch=1") && rewind.swap(false, Ordering::SeqCst) {
                let (head, rest) = text.split_once("&resourceVersion=").expect("a watch with a resourceVersion");
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                sw.write_all(format!("{head}&resourceVersion=1{rest}").as_bytes()).await?;
            } else {
                sw.write_all(&buffer[..n]).await?;
            }
        }
    };
    tokio::select! {
        r = up => r,
        r = tokio::io::copy(&mut sr, &mut cw) => r.map(|_| ()),
    }
}

/// Serves the real server over plain HTTP without credentials, so that the proxy can read the requests.
async fn plain_http(client: Client) -> SocketAddr {
    let handler = move |request: axum::extract::Request| {
        let client = client.clone();
        async move {
            let (head, body) = request.into_parts();
            let bytes = axum::body::to_bytes(body, 16 << 20).await.expect("a body");
            let mut out = http::Request::builder().method(head.method).uri(head.uri.path_and_query().unwrap().as_str());
            for name in [http::header::ACCEPT, http::header::CONTENT_TYPE] {
                if let Some(value) = head.headers.get(&name) {
                    out = out.header(name, value);
                }
            }
            let response = client.send(out.body(kube::client::Body::from(bytes.to_vec())).unwrap()).await;
            let (head, body) = response.map_err(|_| http::StatusCode::BAD_GATEWAY)?.into_parts();
            let mut response = http::Response::builder().status(head.status);
            for (name, value) in &head.headers {
                if [http::header::CONTENT_TYPE, http::header::DATE].contains(name) {
                    response = response.header(name, value);
                }
            }
            Ok::<_, http::StatusCode>(response.body(axum::body::Body::new(body)).unwrap())
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|c| drop(c.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(handler)).await });
    address
}

pub struct TestCluster {
    /// Connects through the proxy.
    pub stage: Harness,
    /// Connects to the cluster directly, for changes.
    pub direct: Harness,
    pub proxy: Proxy,
    pub namespace: String,
    /// `None` if the cluster is a real one.
    pub embedded: Option<Cluster>,
    /// A kubeconfig with all permissions.
    pub admin: PathBuf,
    pub dir: tempfile::TempDir,
}

impl TestCluster {
    pub async fn embedded() -> TestCluster {
        TestCluster::embedded_with(Options::default()).await
    }

    /// The embedded server, which keeps only the last three events.
    pub async fn with_short_history() -> TestCluster {
        TestCluster::embedded_with(Options { window: 3, ..Options::default() }).await
    }

    async fn embedded_with(options: Options) -> TestCluster {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), options).await;
        let proxy = Proxy::start(cluster.address()).await;
        let proxied = cluster.kubeconfig(&format!("http://{}", proxy.address));
        let direct = cluster.kubeconfig(&format!("http://{}", cluster.address()));
        TestCluster::open("streamspace", Some(cluster), proxy, proxied, direct).await
    }

    /// The cluster of `TP_TEST_KUBECONFIG`.
    pub async fn real() -> TestCluster {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = admin_config();
        let n = NEXT.fetch_add(1, Ordering::SeqCst);
        let namespace = format!("tp-k8s-{}-{n}", std::process::id());
        config["contexts"][0]["context"]["namespace"] = json!(namespace);
        let direct = config.to_string();
        let client = client(&direct).await;
        let manifest = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        send(&client, "POST", "/api/v1/namespaces", Some(&manifest)).await;
        let proxy = Proxy::start(plain_http(client).await).await;
        let proxied = json!({ "apiVersion": "v1", "kind": "Config", "current-context": "w",
            "contexts": [{ "name": "w", "context": { "cluster": "w", "user": "w", "namespace": namespace } }],
            "clusters": [{ "name": "w", "cluster": { "server": format!("http://{}", proxy.address) } }],
            "users": [{ "name": "w", "user": {} }] });
        TestCluster::open(&namespace, None, proxy, proxied.to_string(), direct).await
    }

    async fn open(
        namespace: &str,
        embedded: Option<Cluster>,
        proxy: Proxy,
        proxied: String,
        direct: String,
    ) -> TestCluster {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("proxied"), proxied).unwrap();
        std::fs::write(dir.path().join("direct"), direct).unwrap();
        let (stage, direct) = (open(dir.path(), "proxied").await, open(dir.path(), "direct").await);
        let admin = dir.path().join("direct");
        TestCluster { stage, direct, proxy, namespace: namespace.into(), embedded, admin, dir }
    }

    pub fn is_real(&self) -> bool {
        self.embedded.is_none()
    }

    /// Makes the next watch request an expired version.
    pub fn expire_next_watch(&self) {
        self.proxy.rewind_next_watch.store(true, Ordering::SeqCst);
    }

    pub async fn create_session(&self, name: &str) -> Value {
        let created = self.direct.output(&session(name)).await;
        assert_eq!(at(&created, "found"), Value::Bool(true), "{created}");
        created
    }

    /// Sets the label `state` of a session.
    pub async fn set_state(&self, name: &str, state: &str) {
        let body = format!(
            "{{ patch: sessions.stream.space/{name}, merge: {{ metadata: {{ labels: {{ state: '{state}' }} }} }} }}"
        );
        let done = self.direct.output(&body).await;
        assert_eq!(at(&done, "object.metadata.labels.state"), Value::text(state), "{done}");
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<&Json>) -> Json {
        send(&client(&std::fs::read_to_string(&self.admin).unwrap()).await, method, path, body).await
    }

    /// A harness that connects as a service account with exactly these RBAC rules.
    pub async fn stage_with_rules(&self, rules: Json) -> Harness {
        let (ns, rbac) = (&self.namespace, "rbac.authorization.k8s.io");
        let named = json!({ "name": "limited", "namespace": ns });
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": named });
        let role = json!({ "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": named, "rules": rules });
        let binding = json!({ "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": named,
            "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "limited" },
            "subjects": [{ "kind": "ServiceAccount", "name": "limited", "namespace": ns }] });
        self.send("POST", &format!("/api/v1/namespaces/{ns}/serviceaccounts"), Some(&account)).await;
        self.send("POST", &format!("/apis/{rbac}/v1/namespaces/{ns}/roles"), Some(&role)).await;
        self.send("POST", &format!("/apis/{rbac}/v1/namespaces/{ns}/rolebindings"), Some(&binding)).await;
        self.stage_as("limited", "limited").await
    }

    /// A harness that connects as a service account of the namespace; its kubeconfig is written to `file`.
    pub async fn stage_as(&self, name: &str, file: &str) -> Harness {
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{name}/token", self.namespace);
        let token = self.send("POST", &path, Some(&request)).await["status"]["token"].clone();
        let mut config = read(&self.admin);
        config["users"][0]["user"] = json!({ "token": token });
        std::fs::write(self.dir.path().join(file), config.to_string()).unwrap();
        open(self.dir.path(), file).await
    }
}

pub async fn open(dir: &Path, kubeconfig: &str) -> Harness {
    Harness::new(&K8s, dir).open(&format!("k8s: {{ kubeconfig: {kubeconfig} }}")).await.unwrap()
}

pub fn read(kubeconfig: &Path) -> Json {
    serde_saphyr::from_str(&std::fs::read_to_string(kubeconfig).unwrap()).unwrap()
}

/// The kubeconfig of the real server. Tests that call this are ignored by `cargo test`; `tests/run` starts the server.
pub fn admin_config() -> Json {
    let path =
        std::env::var_os("TP_TEST_KUBECONFIG").expect("TP_TEST_KUBECONFIG: run the ignored tests with `tests/run`");
    read(Path::new(&path))
}

async fn client(kubeconfig: &str) -> Client {
    let file = Kubeconfig::from_yaml(kubeconfig).unwrap();
    Client::try_from(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap()).unwrap()
}

async fn send(client: &Client, method: &str, path: &str, body: Option<&Json>) -> Json {
    let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
    let bytes = body.map(|b| serde_json::to_vec(b).unwrap()).unwrap_or_default();
    client.request(request.body(bytes).unwrap()).await.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
}

pub fn session(name: &str) -> String {
    format!(
        "create: {{ apiVersion: stream.space/v1alpha1, kind: Session, metadata: {{ name: {name}, labels: {{ app: {name} }} }}, \
         spec: {{ user: ann, template: t, state: running }} }}"
    )
}

/// The label that `TestCluster::set_state` sets.
pub fn state_label(o: &tp_runner::executor::Output) -> String {
    at(&o.value, "object.metadata.labels.state").to_string()
}

/// Runs each test on the embedded server and on the real one.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::test_cluster::TestCluster::embedded().await).await;
            })*
        }
        mod real_cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs a Kubernetes API server: tests/run"]
            async fn $name() {
                super::$name(crate::test_cluster::TestCluster::real().await).await;
            })*
        }
    };
}
/// Runs each test on the real server only, because the embedded one does not support it.
macro_rules! on_real {
    ($($name:ident),* $(,)?) => {
        mod only_real_cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs a Kubernetes API server: tests/run"]
            async fn $name() {
                super::$name(crate::test_cluster::TestCluster::real().await).await;
            })*
        }
    };
}
pub(crate) use {on_both, on_real};
