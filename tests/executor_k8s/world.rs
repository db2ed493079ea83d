//! A cluster to try things on: the embedded Kubernetes API, or the real one that `TP_TEST_KUBECONFIG` names, in a namespace of its own.
//! Between it and the verb lies a wire that counts, can be cut, and can send a watch back to a version that is long forgotten.
use super::executor_stage::{Stage, at};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value as Json, json};
use std::{
    io::Write as _,
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
use tp_runner::value::Value;
use tp_runner_sandbox::cluster::{Cluster, Options, serve};

pub const PACE: Duration = Duration::from_millis(100);
/// How long a test waits for what must come.
pub const LONG: Duration = Duration::from_secs(20);

/// Passes bytes on, counts what goes by, and can break every connection.
pub struct Wire {
    pub address: SocketAddr,
    watches: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    rewind: Arc<AtomicBool>,
    down: Arc<AtomicBool>,
    turned_away: Arc<AtomicUsize>,
    cut: watch::Sender<u64>,
}

impl Wire {
    async fn to(server: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Wire {
            address: listener.local_addr().unwrap(),
            watches: Arc::default(),
            requests: Arc::default(),
            rewind: Arc::default(),
            down: Arc::default(),
            turned_away: Arc::default(),
            cut: watch::Sender::new(0),
        };
        let (w, r, b, c) = (wire.watches.clone(), wire.requests.clone(), wire.rewind.clone(), wire.cut.subscribe());
        let (down, turned_away) = (wire.down.clone(), wire.turned_away.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if down.load(Ordering::SeqCst) {
                    turned_away.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let (w, r, b, mut c) = (w.clone(), r.clone(), b.clone(), c.clone());
                c.borrow_and_update();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = pass(client, server, &w, &r, &b) => {}
                        _ = c.changed() => {}
                    }
                });
            }
        });
        wire
    }

    pub fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }

    /// As if the server had been killed: what is open breaks, and nobody new is let in.
    pub fn go_down(&self) {
        self.down.store(true, Ordering::SeqCst);
        self.cut();
    }

    pub fn come_back(&self) {
        self.down.store(false, Ordering::SeqCst);
    }

    /// How many connections were refused while it was down.
    pub fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::SeqCst)
    }

    pub fn watches(&self) -> usize {
        self.watches.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn pass(
    client: TcpStream,
    server: SocketAddr,
    watches: &AtomicUsize,
    requests: &AtomicUsize,
    rewind: &AtomicBool,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut cr, mut cw), (mut sr, mut sw)) = (client.into_split(), server.into_split());
    let up = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = cr.read(&mut buffer).await?;
            let text = String::from_utf8_lossy(&buffer[..n]);
            watches.fetch_add(text.matches("watch=1").count(), Ordering::SeqCst);
            requests.fetch_add(text.matches(" HTTP/1.1\r\n").count(), Ordering::SeqCst);
            if n == 0 {
                return std::io::Result::Ok(());
            }
            if text.contains("watch=1") && rewind.swap(false, Ordering::SeqCst) {
                let (head, rest) = text.split_once("&resourceVersion=").expect("a watch from somewhere");
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

/// The real server, over plain HTTP and without a need to log in, so that the wire can read what goes by.
async fn plain(client: Client) -> SocketAddr {
    let answer = move |request: axum::extract::Request| {
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
            let answer = client.send(out.body(kube::client::Body::from(bytes.to_vec())).unwrap()).await;
            let (head, body) = answer.map_err(|_| http::StatusCode::BAD_GATEWAY)?.into_parts();
            let mut answer = http::Response::builder().status(head.status);
            for (name, value) in &head.headers {
                if [http::header::CONTENT_TYPE, http::header::DATE].contains(name) {
                    answer = answer.header(name, value);
                }
            }
            Ok::<_, http::StatusCode>(answer.body(axum::body::Body::new(body)).unwrap())
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|c| drop(c.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    address
}

pub struct World {
    /// By the wire.
    pub stage: Stage,
    /// The same cluster by a way of its own, for changes.
    pub other: Stage,
    pub wire: Wire,
    pub namespace: String,
    /// Absent where the cluster is a real one.
    pub embedded: Option<Cluster>,
    /// A kubeconfig that can do everything.
    pub admin: PathBuf,
    pub dir: tempfile::TempDir,
}

impl World {
    pub async fn embedded() -> World {
        World::embedded_with(Options::default()).await
    }

    /// Whose server forgets quickly.
    pub async fn forgetful() -> World {
        World::embedded_with(Options { window: 3, ..Options::default() }).await
    }

    async fn embedded_with(options: Options) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), options).await;
        let wire = Wire::to(cluster.address()).await;
        let by_wire = cluster.kubeconfig(&format!("http://{}", wire.address));
        let direct = cluster.kubeconfig(&format!("http://{}", cluster.address()));
        World::between("streamspace", Some(cluster), wire, by_wire, direct).await
    }

    /// `None` where there is none, and the tests may do without.
    pub async fn real() -> Option<World> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = admin()?;
        let n = NEXT.fetch_add(1, Ordering::SeqCst);
        let namespace = format!("tp-k8s-{}-{n}", std::process::id());
        config["contexts"][0]["context"]["namespace"] = json!(namespace);
        let direct = config.to_string();
        let client = client(&direct).await;
        let made = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        send(&client, "POST", "/api/v1/namespaces", Some(&made)).await;
        let wire = Wire::to(plain(client).await).await;
        let by_wire = json!({ "apiVersion": "v1", "kind": "Config", "current-context": "w",
            "contexts": [{ "name": "w", "context": { "cluster": "w", "user": "w", "namespace": namespace } }],
            "clusters": [{ "name": "w", "cluster": { "server": format!("http://{}", wire.address) } }],
            "users": [{ "name": "w", "user": {} }] });
        Some(World::between(&namespace, None, wire, by_wire.to_string(), direct).await)
    }

    async fn between(namespace: &str, embedded: Option<Cluster>, wire: Wire, by_wire: String, direct: String) -> World {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("wire"), by_wire).unwrap();
        std::fs::write(dir.path().join("direct"), direct).unwrap();
        let (stage, other) = (open(dir.path(), "wire").await, open(dir.path(), "direct").await);
        let admin = dir.path().join("direct");
        World { stage, other, wire, namespace: namespace.into(), embedded, admin, dir }
    }

    pub fn is_real(&self) -> bool {
        self.embedded.is_none()
    }

    /// The next watch is told that what it asks for is too long ago.
    pub fn forget_history(&self) {
        self.wire.rewind.store(true, Ordering::SeqCst);
    }

    pub async fn make(&self, name: &str) -> Value {
        let made = self.other.see(&session(name)).await;
        assert_eq!(at(&made, "found"), Value::Bool(true), "{made}");
        made
    }

    /// Changes a session so that everybody who looks can tell it from before.
    pub async fn state(&self, name: &str, state: &str) {
        let body = format!(
            "{{ patch: sessions.stream.space/{name}, merge: {{ metadata: {{ labels: {{ state: '{state}' }} }} }} }}"
        );
        let done = self.other.see(&body).await;
        assert_eq!(at(&done, "object.metadata.labels.state"), Value::text(state), "{done}");
    }

    pub async fn raw(&self, method: &str, path: &str, body: Option<&Json>) -> Json {
        send(&client(&std::fs::read_to_string(&self.admin).unwrap()).await, method, path, body).await
    }

    /// A stage of somebody who may do no more than these rules say.
    pub async fn limited(&self, rules: Json) -> Stage {
        let (ns, rbac) = (&self.namespace, "rbac.authorization.k8s.io");
        let named = json!({ "name": "limited", "namespace": ns });
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": named });
        let role = json!({ "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": named, "rules": rules });
        let binding = json!({ "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": named,
            "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "limited" },
            "subjects": [{ "kind": "ServiceAccount", "name": "limited", "namespace": ns }] });
        self.raw("POST", &format!("/api/v1/namespaces/{ns}/serviceaccounts"), Some(&account)).await;
        self.raw("POST", &format!("/apis/{rbac}/v1/namespaces/{ns}/roles"), Some(&role)).await;
        self.raw("POST", &format!("/apis/{rbac}/v1/namespaces/{ns}/rolebindings"), Some(&binding)).await;
        self.account("limited", "limited").await
    }

    /// Opens the cluster as a service account of the namespace.
    pub async fn account(&self, name: &str, file: &str) -> Stage {
        let ask = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{name}/token", self.namespace);
        let token = self.raw("POST", &path, Some(&ask)).await["status"]["token"].clone();
        let mut config = read(&self.admin);
        config["users"][0]["user"] = json!({ "token": token });
        std::fs::write(self.dir.path().join(file), config.to_string()).unwrap();
        open(self.dir.path(), file).await
    }
}

pub async fn open(dir: &Path, kubeconfig: &str) -> Stage {
    Stage::new("k8s", dir).open(&format!("k8s: {{ kubeconfig: {kubeconfig} }}")).await.unwrap()
}

pub fn read(kubeconfig: &Path) -> Json {
    serde_saphyr::from_str(&std::fs::read_to_string(kubeconfig).unwrap()).unwrap()
}

/// The kubeconfig of the real server.
pub fn admin() -> Option<Json> {
    let Some(path) = std::env::var_os("TP_TEST_KUBECONFIG") else {
        // Written past the test harness, which keeps to itself what a passing test says. `tests/run` counts it.
        let _ = std::io::stderr()
            .write_all(b"skipped: no TP_TEST_KUBECONFIG, so nothing of `k8s` is tried on a real server\n");
        return None;
    };
    Some(read(Path::new(&path)))
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

/// What `World::state` said last.
pub fn state(o: &tp_runner::executor::Output) -> String {
    at(&o.value, "object.metadata.labels.state").to_string()
}

/// Runs each test on the embedded server and on the real one.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::world::World::embedded().await).await;
            })*
        }
        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(world) = crate::world::World::real().await {
                    super::$name(world).await;
                }
            })*
        }
    };
}
/// Runs each test on the real server alone: the embedded one refuses what it asks.
macro_rules! on_real {
    ($($name:ident),* $(,)?) => {
        mod real_only {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(world) = crate::world::World::real().await {
                    super::$name(world).await;
                }
            })*
        }
    };
}
pub(crate) use {on_both, on_real};
