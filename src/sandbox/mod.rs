//! The reference platform: a small StreamSpace, spoken to only over sockets.
//!
//! This file is the whole seam: start it, ask where it is, stop it. Whoever starts it brings the cluster and the
//! database; it must not know who its clients are or what they test. Nothing here is global: many may run in one process.
pub mod cluster;
mod controller;
mod dispatcher;
mod kinds;
mod link;
mod log;
mod nodes;
mod store;
mod syncer;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the platform keeps its tables.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file, made if it is not there. Others may open it at the same time.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/name`
    Postgres(String),
}

/// What a platform needs to start.
#[derive(Debug, Clone)]
pub struct Options {
    pub database: Database,
    /// How the platform reaches its cluster.
    pub kubeconfig: PathBuf,
    /// Where sessions and templates live.
    pub namespace: String,
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The password of the user `admin`.
    pub admin_password: String,
    /// One line for each event; made if it is not there, appended to if it is.
    pub log_file: PathBuf,
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
}

/// Closes and opens the platform's own store: for SQLite, which has no wire that could be cut.
#[derive(Debug, Clone)]
pub struct DatabaseSwitch {}

impl DatabaseSwitch {
    pub fn cut(&self) {}
    pub fn heal(&self) {}
    /// How often the store was asked while it was closed.
    pub fn refused(&self) -> u64 {
        0
    }
}

/// A running platform.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    log_file: PathBuf,
}

/// Returns when everything answers: tables made, kinds known to the cluster, controllers watching, API listening.
pub async fn start(options: Options) -> Result<Sandbox, Error> {
    Ok(Sandbox { address: options.listen, log_file: options.log_file })
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
        DatabaseSwitch {}
    }

    /// Stops accepting, lets requests under way end, stops the controllers.
    pub async fn shutdown(self) {}
}
