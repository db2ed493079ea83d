//! Connections that are kept between statements. A connection comes back only from a statement that ended. One whose statement was
//! dropped midway (a time-out, a cancelled run) is never used again: what it performs is ended on the server, and it is closed, and with
//! it whatever it had begun. Knows no SQL.
//!
//! Not sqlx's pool: that one tries a refused connection again for as long as it may and then says only that it took too long, it
//! asks every connection for a sign of life before each statement, and it ends nothing on a server. Here the first refusal is said at
//! once.
use super::server::{Server, Session};
use crate::executor::ActionError;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::task::TaskTracker;

pub const MOST: usize = 8;
/// How long a server may take to let us in.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long a server may take to end what is to be ended.
const FAREWELL: Duration = Duration::from_secs(3);

pub struct Pool {
    pub server: Box<dyn Server>,
    idle: Mutex<Vec<(Box<dyn Session>, Instant)>>,
    permits: Semaphore,
    /// What is being ended.
    stopping: TaskTracker,
}

/// Why there is no connection.
pub enum Missing {
    Error(sqlx::Error),
    /// The server says nothing.
    Silent,
    /// All are in use.
    Busy,
}

/// A connection in use. Dropped without a word, its statement is ended on the server.
pub struct Lease<'p> {
    pool: &'p Pool,
    session: Option<Box<dyn Session>>,
    /// Whether it was kept from before, and so may have died since.
    pub kept: bool,
    /// How long it was not used.
    pub rested: Duration,
    _permit: SemaphorePermit<'p>,
}

impl Pool {
    pub fn new(server: Box<dyn Server>) -> Self {
        Pool { server, idle: Mutex::default(), permits: Semaphore::new(MOST), stopping: TaskTracker::new() }
    }

    pub async fn lease(&self) -> Result<Lease<'_>, Missing> {
        let permit = tokio::time::timeout(PATIENCE, self.permits.acquire()).await;
        let permit = permit.map_err(|_| Missing::Busy)?.map_err(|_| Missing::Busy)?;
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (was_kept, rested) = kept.as_ref().map_or((false, Duration::ZERO), |(_, since)| (true, since.elapsed()));
        let session = match kept {
            Some((session, _)) => session,
            None => {
                let connected = tokio::time::timeout(PATIENCE, self.server.connect()).await;
                connected.map_err(|_| Missing::Silent)?.map_err(Missing::Error)?
            }
        };
        Ok(Lease { pool: self, session: Some(session), kept: was_kept, rested, _permit: permit })
    }

    /// Closes what is kept: after a server went away, none of it is alive.
    pub async fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for (session, _) in idle {
            // A server that is gone does not take part in a farewell.
            let _ = tokio::time::timeout(Duration::from_secs(1), session.close()).await;
        }
    }

    /// Waits until nothing of ours is performed on the server any more.
    pub async fn close(&self) {
        self.permits.close();
        self.stopping.close();
        let _ = tokio::time::timeout(FAREWELL, self.stopping.wait()).await;
        self.clear().await;
    }
}

impl Lease<'_> {
    pub fn session(&mut self) -> Result<&mut dyn Session, ActionError> {
        match &mut self.session {
            Some(session) => Ok(&mut **session),
            None => Err(ActionError::Invalid("the connection was given back already".into())),
        }
    }

    /// Its statement ended: it can be used again.
    pub fn give_back(mut self) {
        if let Some(session) = self.session.take() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push((session, Instant::now()));
        }
    }

    /// It broke: there is nothing to be ended, and nobody to take leave of.
    pub fn discard(mut self) {
        self.session = None;
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if tokio::runtime::Handle::try_current().is_ok() {
            self.pool.stopping.spawn(async move {
                let stop = session.stop();
                let _ = tokio::time::timeout(FAREWELL, stop).await;
                drop(session);
            });
        }
    }
}
