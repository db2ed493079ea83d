//! A small, honest, in-memory Kubernetes API server over real sockets.
//!
//! It keeps what it is given under the real server's rules for names, versions, generations, finalizers, owners and watches, and
//! runs nothing: no scheduler, no kubelet, no controllers but the garbage collector. Custom objects are held to their schema;
//! built-in ones are neither validated beyond their metadata nor given defaults, and `metadata.managedFields` is not kept. What it
//! does not speak (server-side apply, protobuf and YAML bodies, strategic merge of lists, subresources other than `status`, validation
//! rules, openapi) is answered with a `Status` that says so. `tests/cluster_differential.rs` sends the same requests to a real server.
//!
//! | File | Owns |
//! |---|---|
//! | `routes` | token, path, query, content types |
//! | `list`, `watch`, `table` | how objects are read, and in which form |
//! | `write`, `patch`, `metadata`, `schema`, `selector` | the rules; pure |
//! | `store` | objects, versions, the bounded history |
//! | `gc` | what happens by itself |
//! | `kinds`, `discovery` | which resources there are |
//! | `status` | refusals |

mod discovery;
mod gc;
mod kinds;
mod list;
mod metadata;
mod patch;
mod routes;
mod schema;
mod selector;
mod status;
mod store;
mod table;
mod watch;
mod write;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use store::Store;

/// The first segment of a path that carries the token: kubectl sends no credentials over plain HTTP.
const TOKEN_PREFIX: &str = "bearer";

/// How the server is to run.
#[derive(Clone)]
pub struct Options {
    /// The bearer token that every request must carry; without it the answer is 401.
    pub token: String,
    /// How many past changes a watch can resume from, or a page go back to.
    pub window: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { token: uuid::Uuid::new_v4().simple().to_string(), window: 10_000 }
    }
}

/// A server that answers until `shutdown`, or until this is dropped.
pub struct Cluster {
    address: SocketAddr,
    token: String,
    closing: DropGuard,
    serving: JoinHandle<()>,
}

struct Shared {
    store: Mutex<Store>,
    versions: tokio::sync::watch::Sender<u64>,
    closing: CancellationToken,
    token: String,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the store and wakes whoever waits for changes.
    fn write<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let (done, version) = {
            let mut store = self.lock();
            let done = change(&mut store);
            (done, store.version())
        };
        self.versions.send_if_modified(|seen| {
            let newer = version > *seen;
            *seen = version.max(*seen);
            newer
        });
        done
    }
}

/// Serves on a listener that is bound already. Namespaces `default`, `kube-system` and `streamspace` are there, and the definitions
/// of Session and Template (`stream.space/v1alpha1`).
pub async fn serve(listener: tokio::net::TcpListener, options: Options) -> Cluster {
    let address = listener.local_addr().unwrap_or_else(|_| (Ipv4Addr::LOCALHOST, 0).into());
    let closing = CancellationToken::new();
    let shared = Arc::new(Shared {
        store: Mutex::new(furnished(options.window)),
        versions: tokio::sync::watch::Sender::new(0),
        closing: closing.clone(),
        token: options.token.clone(),
    });
    tokio::spawn(keep_house(shared.clone()));
    let router = Router::new().fallback(routes::answer).with_state(shared);
    // A watch event is a small write: waiting to fill a packet would delay it by tens of milliseconds.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let closed = closing.clone().cancelled_owned();
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(closed).await {
            tracing::error!(%error, "the embedded Kubernetes API stopped");
        }
    });
    Cluster { address, token: options.token, closing: closing.drop_guard(), serving }
}

fn furnished(window: usize) -> Store {
    let mut store = Store::new(window);
    let namespaces = ["default", "kube-system", "streamspace"].map(|name| {
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        (kinds::NAMESPACES, object)
    });
    let definitions: Vec<Value> = serde_saphyr::from_multiple(super::crds::DEFINITIONS).expect("written here");
    let definitions = definitions.into_iter().map(|d| (kinds::DEFINITIONS, d));
    for (resource, object) in namespaces.into_iter().chain(definitions) {
        if let Some(kind) = store.kind_of(resource)
            && let Err(refusal) = write::create(&mut store, &kind, "", object, false)
        {
            tracing::error!(reason = refusal.message, "the embedded Kubernetes API lacks a part of its furniture");
        }
    }
    store
}

/// Works off the garbage collector's chores as they come up.
async fn keep_house(shared: Arc<Shared>) {
    let mut versions = shared.versions.subscribe();
    loop {
        versions.borrow_and_update();
        while let Some(key) = {
            let mut store = shared.lock();
            store.next_chore()
        } {
            shared.write(|store| gc::tend(store, &key));
            tokio::task::yield_now().await;
        }
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { return },
            () = shared.closing.cancelled() => return,
        }
    }
}

impl Cluster {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig that reaches this server at `server`, its own address or that of a relay to it. Namespace `streamspace`.
    ///
    /// Over plain HTTP the token is in the path too: kubectl sends the user's credentials only over TLS.
    pub fn kubeconfig(&self, server: &str) -> String {
        let server = server.trim_end_matches('/');
        let token = &self.token;
        let server =
            if server.starts_with("http://") { format!("{server}/{TOKEN_PREFIX}/{token}") } else { server.to_owned() };
        // Every scalar is quoted as JSON, which YAML reads as it is.
        let (server, token) = (json!(server), json!(token));
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: sandbox\n\
             \x20 cluster:\n\
             \x20   server: {server}\n\
             users:\n\
             - name: sandbox\n\
             \x20 user:\n\
             \x20   token: {token}\n\
             contexts:\n\
             - name: sandbox\n\
             \x20 context:\n\
             \x20   cluster: sandbox\n\
             \x20   user: sandbox\n\
             \x20   namespace: streamspace\n\
             current-context: sandbox\n"
        )
    }

    /// Stops listening, ends all watches and waits for the requests under way, at most two seconds.
    pub async fn shutdown(self) {
        let Self { closing, mut serving, .. } = self;
        closing.disarm().cancel();
        if tokio::time::timeout(Duration::from_secs(2), &mut serving).await.is_err() {
            // A client that does not read its answer does not hold up the end.
            serving.abort();
        }
    }
}
