//! Connection pool of one target. A connection returns to the pool only after its statement has ended. If a statement
//! is dropped midway (timeout, cancelled run), it is cancelled on the server and the connection is closed, which rolls
//! back its transaction.
//!
//! sqlx's own pool is not used: it retries a refused connection until its timeout and then reports only the timeout, it
//! pings before every statement, and it does not cancel statements on the server. This pool reports the first refusal
//! immediately.
use super::server::{Server, Session};
use crate::executor::ActionError;
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::task::TaskTracker;

pub const MAX_CONNECTIONS: usize = 8;
/// Limit for connecting, and for waiting until a connection is free.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit for cancelling a statement on the server.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(3);
/// Limit for closing one connection cleanly; an unreachable server does not respond.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub struct Pool {
    pub server: Box<dyn Server>,
    idle: Mutex<Vec<(Box<dyn Session>, Instant)>>,
    permits: Semaphore,
    cancellations: TaskTracker,
}

/// Why no connection could be leased.
pub enum LeaseError {
    Connect(sqlx::Error),
    /// The server did not respond in time.
    TimedOut,
    /// All connections stayed in use.
    Exhausted,
}

/// A connection in use. Dropping it cancels its statement on the server and closes it.
pub struct Lease<'p> {
    pool: &'p Pool,
    session: Option<Box<dyn Session>>,
    /// How long the connection was idle; `None` for a new one. An idle connection may have died.
    pub idle_time: Option<Duration>,
    _permit: SemaphorePermit<'p>,
}

impl Pool {
    pub fn new(server: Box<dyn Server>) -> Self {
        let permits = Semaphore::new(MAX_CONNECTIONS);
        Pool { server, idle: Mutex::default(), permits, cancellations: TaskTracker::new() }
    }

    pub async fn lease(&self) -> Result<Lease<'_>, LeaseError> {
        let permit = tokio::time::timeout(CONNECT_TIMEOUT, self.permits.acquire()).await;
        let permit = permit.map_err(|_| LeaseError::Exhausted)?.map_err(|_| LeaseError::Exhausted)?;
        let idle = self.idle.lock().pop();
        let (session, idle_time) = match idle {
            Some((session, since)) => (session, Some(since.elapsed())),
            None => {
                let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.server.connect()).await;
                (connected.map_err(|_| LeaseError::TimedOut)?.map_err(LeaseError::Connect)?, None)
            }
        };
        Ok(Lease { pool: self, session: Some(session), idle_time, _permit: permit })
    }

    /// Closes all idle connections: after one was lost, the others are probably lost too.
    pub async fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        for (session, _) in idle {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, session.close()).await;
        }
    }

    /// Waits for pending cancellations, then closes all connections.
    pub async fn close(&self) {
        self.permits.close();
        self.cancellations.close();
        let _ = tokio::time::timeout(CANCEL_TIMEOUT, self.cancellations.wait()).await;
        self.clear().await;
    }
}

impl Lease<'_> {
    pub fn session(&mut self) -> Result<&mut dyn Session, ActionError> {
        match &mut self.session {
            Some(session) => Ok(&mut **session),
            None => Err(ActionError::Invalid("the connection was already returned to the pool".into())),
        }
    }

    /// Returns the connection to the pool. Its statement must have ended.
    pub fn release(mut self) {
        if let Some(session) = self.session.take() {
            self.pool.idle.lock().push((session, Instant::now()));
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
            self.pool.cancellations.spawn(async move {
                let cancel = session.cancel();
                let _ = tokio::time::timeout(CANCEL_TIMEOUT, cancel).await;
                drop(session);
            });
        }
    }
}
