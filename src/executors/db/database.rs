//! The open target `db`: a connection pool. A connection returns to the pool only after its statement has ended. If a
//! statement is dropped midway (timeout, cancelled run), it is cancelled on the server and the connection is closed,
//! which rolls back its transaction.
//!
//! sqlx's own pool is not used: it retries a refused connection until its timeout and then reports only the timeout, it
//! pings before every statement, and it does not cancel statements on the server. This pool reports the first refusal
//! immediately.
use super::{
    connect_error::ServerAddress,
    server::{Server, Session},
};
use crate::executor::ActionError;
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tokio_util::task::TaskTracker;

const MAX_CONNECTIONS: usize = 8;
/// Limit for connecting, and for waiting until a connection is free.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit for cancelling a statement on the server.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(3);
/// Limit for closing one connection cleanly; an unreachable server does not respond.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub struct Database {
    pub server: Box<dyn Server>,
    pub address: ServerAddress,
    /// How many bytes of rows a statement keeps.
    pub limit: usize,
    idle: Mutex<Vec<(Box<dyn Session>, Instant)>>,
    permits: Semaphore,
    cancellations: TaskTracker,
}

/// A connection in use. Dropping it cancels its statement on the server and closes it.
pub struct Lease<'d> {
    database: &'d Database,
    /// `None` once it is released or discarded.
    session: Option<Box<dyn Session>>,
    /// How long the connection was idle; `None` for a new one. An idle connection may have died.
    pub idle_time: Option<Duration>,
    _permit: SemaphorePermit<'d>,
}

impl Database {
    pub fn new(server: Box<dyn Server>, address: ServerAddress, limit: usize) -> Self {
        let permits = Semaphore::new(MAX_CONNECTIONS);
        Database { server, address, limit, idle: Mutex::default(), permits, cancellations: TaskTracker::new() }
    }

    pub async fn lease(&self) -> Result<Lease<'_>, ActionError> {
        let seconds = CONNECT_TIMEOUT.as_secs();
        let Ok(Ok(permit)) = timeout(CONNECT_TIMEOUT, self.permits.acquire()).await else {
            let why = format!("all {MAX_CONNECTIONS} connections were in use for {seconds} s");
            return Err(self.address.unreachable(&why));
        };
        let idle = self.idle.lock().pop();
        let (session, idle_time) = match idle {
            Some((session, since)) => (session, Some(since.elapsed())),
            None => match timeout(CONNECT_TIMEOUT, self.server.connect()).await {
                Ok(connected) => (connected.map_err(|e| self.address.connect_error(&e))?, None),
                Err(_) => {
                    let why = format!("no response from {} within {seconds} s", self.address.endpoint);
                    return Err(self.address.unreachable(&why));
                }
            },
        };
        Ok(Lease { database: self, session: Some(session), idle_time, _permit: permit })
    }

    /// Closes all idle connections: after one was lost, the others are probably lost too.
    pub async fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        for (session, _) in idle {
            let _ = timeout(CLOSE_TIMEOUT, session.close()).await;
        }
    }

    /// Waits for pending cancellations, then closes all connections.
    pub async fn close_all(&self) {
        self.permits.close();
        self.cancellations.close();
        let _ = timeout(CANCEL_TIMEOUT, self.cancellations.wait()).await;
        self.clear().await;
    }
}

impl Lease<'_> {
    pub fn session(&mut self) -> &mut dyn Session {
        &mut **self.session.as_mut().expect("a lease is consumed when its session is taken")
    }

    /// Returns the connection to the pool. Its statement must have ended.
    pub fn release(mut self) {
        if let Some(session) = self.session.take() {
            self.database.idle.lock().push((session, Instant::now()));
        }
    }

    /// Drops a broken connection without a clean shutdown.
    pub fn discard(mut self) {
        self.session = None;
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if tokio::runtime::Handle::try_current().is_ok() {
            self.database.cancellations.spawn(async move {
                let cancel = session.cancel();
                let _ = timeout(CANCEL_TIMEOUT, cancel).await;
                drop(session);
            });
        }
    }
}
