//! The reference platform: a small StreamSpace, spoken to only over sockets.
//!
//! This file is the whole seam: start it, ask where it is, stop it. Whoever starts it brings the cluster and the
//! database; it must not know who its clients are or what they test. Nothing here is global: many may run in one process.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr, clippy::exit, clippy::unwrap_used))]

mod api;
mod background;
pub mod cluster;
mod controller;
mod crds;
pub mod defect;
pub mod delays;
mod dispatcher;
mod kinds;
mod link;
mod log;
mod nodes;
mod quantity;
mod store;
mod syncer;

use self::{background::Background, defect::Defects, delays::Delays, link::chain, log::Log, store::Store};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long cluster and database may take to answer at the start.
const READY: Duration = Duration::from_secs(30);
/// How long requests under way may take to end at the end.
const LEAVE: Duration = Duration::from_secs(2);

/// Where the platform keeps its tables.
#[derive(Clone)]
pub enum Database {
    /// A file, made if it is not there. Others may open it at the same time.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/name`
    Postgres(String),
}

/// What a platform needs to start.
#[derive(Clone)]
pub struct Options {
    pub database: Database,
    /// How the platform reaches its cluster.
    pub kubeconfig: PathBuf,
    /// Where sessions and templates live; made if it is not there.
    pub namespace: String,
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The password of the user `admin`.
    pub admin_password: String,
    /// One line for each event; made if it is not there, appended to if it is.
    pub log_file: PathBuf,
    /// What it gets wrong; by default nothing.
    pub defects: Defects,
    /// With the routes and all that StreamSpace gets wrong today.
    pub as_built: bool,
    /// How slow it is for no reason; by default not at all.
    pub delays: Delays,
}

/// Why a platform could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the platform cannot write its log {path}: {cause}")]
    Log { path: PathBuf, cause: std::io::Error },
    #[error("the platform cannot use its database: {0}")]
    Database(String),
    #[error("the platform cannot use its cluster: {0}")]
    Cluster(String),
    #[error("the platform cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: std::io::Error },
    #[error("the platform cannot send webhooks: {0}")]
    Http(String),
}

/// Closes and opens the platform's own store: for SQLite, which has no wire that could be cut.
#[derive(Debug, Clone)]
pub struct DatabaseSwitch {
    gate: Arc<store::Gate>,
}

impl DatabaseSwitch {
    pub fn cut(&self) {
        self.gate.set(true);
    }

    pub fn heal(&self) {
        self.gate.set(false);
    }

    /// How often the store was asked while it was closed.
    pub fn refused(&self) -> u64 {
        self.gate.refused()
    }
}

/// A running platform. Dropping it stops it too, but waits for nothing.
pub struct Sandbox {
    address: SocketAddr,
    log_file: PathBuf,
    store: Store,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Returns when everything answers: tables made, kinds known to the cluster, controllers at work, API listening.
pub async fn start(options: Options) -> Result<Sandbox, Error> {
    let built = if options.as_built { defect::AS_BUILT } else { &[] };
    let defects = built.iter().fold(options.defects, |all, one| all.with(*one));
    let (log_file, delays) = (options.log_file, options.delays);
    let log = Log::open(&log_file).map_err(|cause| Error::Log { path: log_file.clone(), cause })?;
    let address = options.listen;
    let listener = TcpListener::bind(address).await.map_err(|cause| Error::Listen { address, cause })?;
    let address = listener.local_addr().map_err(|cause| Error::Listen { address, cause })?;

    let store = match &options.database {
        Database::Sqlite(path) => Store::sqlite(path, defects, delays.clone()).await,
        Database::Postgres(url) => Store::postgres(url, defects, delays.clone()).await,
    };
    let store = store.map_err(|error| Error::Database(error.to_string()))?;
    let password = options.admin_password;
    let hash = tokio::task::spawn_blocking(move || api::hash_password(&password)).await;
    let hash = hash.map_err(|error| Error::Database(error.to_string()))?;
    store.seed_admin(&hash).await.map_err(|error| Error::Database(error.to_string()))?;
    let left = store.pending_deliveries().await.map_err(|error| Error::Database(error.to_string()))?;

    let namespace = options.namespace;
    let client = link::client(&options.kubeconfig, &namespace).await.map_err(Error::Cluster)?;
    crds::install(&client, &namespace).await.map_err(|error| Error::Cluster(error.to_string()))?;
    let real_nodes = nodes::real(&client).await.map_err(|error| Error::Cluster(error.to_string()))?;

    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    // Until everything stands, leaving early stops what stands already.
    let started = stop.clone().drop_guard();
    let dispatcher = dispatcher::start(store.clone(), defects, delays.clone(), log.clone(), left, &tasks, &stop);
    let dispatcher = dispatcher.map_err(|error| Error::Http(chain(&error)))?;
    let background = Background {
        client: client.clone(),
        namespace: namespace.clone(),
        defects,
        delays: delays.clone(),
        log: log.clone(),
        tasks: tasks.clone(),
        stop: stop.clone(),
    };
    if !real_nodes {
        nodes::start(&background);
    }
    let templates = controller::start(&background);
    let (wishes, listed) = syncer::start(store.clone(), dispatcher.clone(), &background);
    // A client that waits on a controller's own store takes the controller's wake-up away, so only the syncer is waited for.
    // The controllers began to list before it did, and what comes before they are through they still find.
    let silent = |_| Error::Cluster("its sessions could not be listed in time".into());
    let _ = tokio::time::timeout(READY, listed).await.map_err(silent)?;

    let key = [*uuid::Uuid::new_v4().as_bytes(), *uuid::Uuid::new_v4().as_bytes()].concat();
    let api = api::Api {
        store: store.clone(),
        wishes,
        dispatcher,
        templates,
        client,
        namespace,
        log: log.clone(),
        key,
        defects,
        as_built: options.as_built,
        delays,
        at_once: api::AtOnce::default(),
        leftover: api::Leftover::default(),
        breaker: api::Breaker::default(),
    };
    tasks.spawn(api::serve(listener, Arc::new(api), stop.clone()));
    log.info("platform started", &[("listen", &address), ("node_stand_in", &!real_nodes)]);
    started.disarm();
    Ok(Sandbox { address, log_file, store, stop, tasks })
}

impl Sandbox {
    /// `http://127.0.0.1:PORT`
    pub fn api(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn log_file(&self) -> &Path {
        &self.log_file
    }

    pub fn database_switch(&self) -> DatabaseSwitch {
        DatabaseSwitch { gate: self.store.gate() }
    }

    /// Stops accepting, lets requests under way end, stops the controllers, closes the store.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(LEAVE, self.tasks.wait()).await;
        let _ = tokio::time::timeout(LEAVE, self.store.close()).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
