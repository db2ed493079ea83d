//! The sandbox: a small StreamSpace platform and an embedded Kubernetes API server, for trying and testing `tp-runner`.
//!
//! `start` runs a platform on a given cluster and database; `cluster::serve` runs the API server. Clients use both
//! over sockets only. There is no global state: many platforms may run in one process.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr, clippy::exit, clippy::unwrap_used))]

mod api;
mod background;
pub mod cluster;
mod controller;
mod crds;
mod damage;
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
pub mod variation;

use self::{
    background::Background,
    defect::Defects,
    delays::Delays,
    link::{ClusterError, error_chain},
    log::Log,
    store::{Store, StoreError},
    variation::Variation,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Timeout until the sessions of the cluster are listed at the start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout for running requests at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The platform's database.
#[derive(Clone)]
pub enum Database {
    /// A file, created if it does not exist. Other processes may open it at the same time.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/name`
    Postgres(String),
}

/// Options of a platform.
#[derive(Clone)]
pub struct Options {
    pub database: Database,
    /// Access to the cluster.
    pub kubeconfig: PathBuf,
    /// The namespace of sessions and templates; created if it does not exist.
    pub namespace: String,
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The password of the user `admin`.
    pub admin_password: String,
    /// One line per event; created, or appended to if it exists.
    pub log_file: PathBuf,
    /// Injected defects; none by default.
    pub defects: Defects,
    /// Serves the routes of StreamSpace as built, with its known bugs.
    pub as_built: bool,
    /// How many sessions of one user may run. `None`: any number.
    pub quota: Option<u32>,
    /// Differences from the reference that are right all the same; none by default.
    pub variations: Vec<Variation>,
    /// Random delays; none by default.
    pub delays: Delays,
}

/// Why a platform cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the platform cannot write its log {path}: {cause}")]
    Log { path: PathBuf, cause: std::io::Error },
    #[error("the platform cannot use its database: {0}")]
    Database(#[from] StoreError),
    #[error("the platform cannot use its cluster: {0}")]
    Cluster(#[from] ClusterError),
    #[error("the platform cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: std::io::Error },
    #[error("the platform cannot send webhooks: {}", error_chain(.0))]
    Http(#[from] reqwest::Error),
}

/// Closes and opens the database within the process: for SQLite, which has no connection that a relay could cut.
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

    /// The number of accesses that were refused while the database was closed.
    pub fn refused(&self) -> u64 {
        self.gate.refused()
    }
}

/// A running platform. Dropping it also stops it, without waiting.
pub struct Sandbox {
    address: SocketAddr,
    log_file: PathBuf,
    store: Store,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Starts a platform. Returns when its tables exist, the cluster serves its kinds and the API listens.
pub async fn start(options: Options) -> Result<Sandbox, Error> {
    let as_built = if options.as_built { defect::AS_BUILT } else { &[] };
    let defects = as_built.iter().fold(options.defects, |all, one| all.with(*one));
    let (log_file, delays) = (options.log_file, options.delays);
    let format = if options.as_built { log::Format::Go } else { log::Format::Rfc3339 };
    let log = Log::open(&log_file, format).map_err(|cause| Error::Log { path: log_file.clone(), cause })?;
    let address = options.listen;
    let listener = TcpListener::bind(address).await.map_err(|cause| Error::Listen { address, cause })?;
    let address = listener.local_addr().map_err(|cause| Error::Listen { address, cause })?;

    let store = match &options.database {
        Database::Sqlite(path) => Store::sqlite(path, defects, delays.clone()).await,
        Database::Postgres(url) => Store::postgres(url, defects, delays.clone()).await,
    };
    let store = store?;
    let password = options.admin_password;
    let hash = tokio::task::spawn_blocking(move || api::hash_password(&password)).await;
    let hash = hash.expect("hashing a password does not panic");
    store.seed_admin(&hash).await?;
    let pending = store.pending_deliveries().await?;

    let namespace = options.namespace;
    let client = link::client(&options.kubeconfig, &namespace).await?;
    crds::install(&client, &namespace).await?;
    let real_nodes = nodes::has_nodes(&client).await?;

    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    // an early return stops what has been started
    let started = stop.clone().drop_guard();
    let dispatcher = dispatcher::start(store.clone(), defects, delays.clone(), log.clone(), pending, &tasks, &stop);
    let dispatcher = dispatcher?;
    let background = Background {
        client: client.clone(),
        namespace: namespace.clone(),
        defects,
        slow_pods: options.quota.is_some(),
        delays: delays.clone(),
        log: log.clone(),
        tasks: tasks.clone(),
        stop: stop.clone(),
    };
    if !real_nodes {
        nodes::start(&background);
    }
    let templates = controller::start(&background);
    let (changes, listed) = syncer::start(store.clone(), dispatcher.clone(), &background);
    // waiting on a controller's own store would consume its wake-up, so only the syncer is waited for; the controllers
    // began to list earlier, and also find objects that are created before they are ready
    let _ = tokio::time::timeout(START_TIMEOUT, listed).await.map_err(|_| ClusterError::Timeout)?;

    let key = [*uuid::Uuid::new_v4().as_bytes(), *uuid::Uuid::new_v4().as_bytes()].concat();
    let api = api::Api {
        store: store.clone(),
        changes,
        dispatcher,
        templates,
        client,
        namespace,
        log: log.clone(),
        key,
        defects,
        as_built: options.as_built,
        quota: options.quota,
        delays,
        variations: options.variations,
        shown: Mutex::default(),
        races: api::RaceState::default(),
        previous_errors: api::PreviousErrors::default(),
        breaker: api::Breaker::default(),
        lost: api::Lost::default(),
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

    /// Stops listening, waits for running requests, stops the controllers and closes the database.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.tasks.wait()).await;
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.store.close()).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
