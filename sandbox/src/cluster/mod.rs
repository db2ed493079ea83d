//! An in-memory Kubernetes API server on a real socket.
//!
//! It follows the real server's rules for names, resource versions, generations, finalizers, owner references and
//! watches. It runs no scheduler, no kubelet and no controller except the garbage collector. Custom objects
//! are validated against their schema. Built-in objects are validated in their metadata only and get no defaults;
//! `metadata.managedFields` is not kept. Unsupported requests (server-side apply, protobuf and YAML bodies, strategic
//! merge of lists, subresources other than `status`, CEL validation rules, OpenAPI) are refused with a `Status` that
//! says so. `tests/cluster_differential/` sends the same requests to a real server.
//!
//! | File | Job |
//! |---|---|
//! | `routes`, `params`, `call`, `response` | HTTP: token, path, query, content types; one request on one resource |
//! | `list`, `watch`, `format` | reading objects, and the formats in which they are returned |
//! | `write`, `patch`, `object_rules`, `names`, `schema`, `selector` | the rules; pure |
//! | `store`, `shared` | objects, versions, bounded history; the lock and the notification around them |
//! | `gc` | garbage collection |
//! | `kinds`, `definitions`, `discovery` | which resources are served |
//! | `seed` | the initial objects |
//! | `metadata` | access to the fields of `metadata` |
//! | `status`, `cause` | errors as `Status` bodies |

mod call;
mod cause;
mod definitions;
mod discovery;
mod format;
mod gc;
mod kinds;
mod list;
mod metadata;
mod names;
mod object_rules;
mod params;
mod patch;
mod response;
mod routes;
mod schema;
mod seed;
mod selector;
mod shared;
mod status;
mod store;
mod watch;
mod write;

use self::shared::{Shared, TOKEN_PREFIX};
use axum::{Router, serve::ListenerExt as _};
use serde_json::json;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Options of the server.
#[derive(Clone)]
pub struct Options {
    /// The bearer token that every request must carry; without it the response is 401.
    pub token: String,
    /// The number of past changes that are kept, for resumed watches and paged lists.
    pub window: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { token: uuid::Uuid::new_v4().simple().to_string(), window: 10_000 }
    }
}

/// A running server. It stops on `shutdown` or when it is dropped.
pub struct Cluster {
    address: SocketAddr,
    token: String,
    closing: DropGuard,
    serving: JoinHandle<()>,
}

/// Serves on a bound listener. The store is seeded with the namespaces `default`, `kube-system` and `streamspace` and
/// with the definitions of Session and Template (`stream.space/v1alpha1`).
pub async fn serve(listener: tokio::net::TcpListener, options: Options) -> Cluster {
    let address = listener.local_addr().unwrap_or_else(|_| (Ipv4Addr::LOCALHOST, 0).into());
    let closing = CancellationToken::new();
    let shared = Arc::new(Shared {
        store: Mutex::new(seed::seeded_store(options.window)),
        versions: tokio::sync::watch::Sender::new(0),
        closing: closing.clone(),
        token: options.token.clone(),
    });
    tokio::spawn(run_gc(shared.clone()));
    let router = Router::new().fallback(routes::handle).with_state(shared);
    // without TCP_NODELAY a watch event, a small write, is delayed by tens of milliseconds
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

/// Runs the garbage collector's tasks as they are queued.
async fn run_gc(shared: Arc<Shared>) {
    let mut versions = shared.versions.subscribe();
    loop {
        versions.borrow_and_update();
        while let Some(key) = {
            let mut store = shared.lock();
            store.next_gc_task()
        } {
            shared.write(|store| gc::collect(store, &key));
            tokio::task::yield_now().await;
        }
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { return },
            () = shared.closing.cancelled() => return,
        }
    }
}

impl Cluster {
    /// The address on which the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig that reaches this server at `server` (its own address or that of a relay) with the namespace
    /// `streamspace`.
    ///
    /// Over plain HTTP the token is also in the path, since kubectl sends credentials only over TLS.
    pub fn kubeconfig(&self, server: &str) -> String {
        let server = server.trim_end_matches('/');
        let token = &self.token;
        let server =
            if server.starts_with("http://") { format!("{server}/{TOKEN_PREFIX}/{token}") } else { server.to_owned() };
        // JSON strings are valid YAML scalars
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

    /// Stops listening, ends all watches and waits up to two seconds for running requests.
    pub async fn shutdown(self) {
        let Self { closing, mut serving, .. } = self;
        closing.disarm().cancel();
        if tokio::time::timeout(Duration::from_secs(2), &mut serving).await.is_err() {
            // a client that does not read its response must not block the shutdown
            serving.abort();
        }
    }
}
