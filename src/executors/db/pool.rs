//! Connections that are kept between statements. A connection comes back only from a statement that ended; one whose statement was
//! dropped midway is closed, and with it whatever it had begun. Knows no SQL.
//!
//! Not sqlx's pool: that one tries a refused connection again for as long as it may and then says only that it took too long, and it
//! asks every connection for a sign of life before each statement. Here the first refusal is said at once.
use crate::executor::StepError;
use sqlx::{ConnectOptions, Connection};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};

const MOST: usize = 8;
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Pool<C: Connection> {
    options: C::Options,
    idle: Mutex<Vec<(C, Instant)>>,
    permits: Semaphore,
}

/// A connection in use.
pub struct Lease<'a, C: Connection> {
    pool: &'a Pool<C>,
    connection: Option<C>,
    /// Whether it was kept from before, and so may have died since.
    pub kept: bool,
    /// How long it was not used.
    pub rested: Duration,
    _permit: SemaphorePermit<'a>,
}

impl<C: Connection> Pool<C> {
    pub fn new(options: C::Options) -> Self {
        Pool { options, idle: Mutex::default(), permits: Semaphore::new(MOST) }
    }

    /// # Errors
    /// `Err(None)` where all are busy or the server does not answer for five seconds.
    pub async fn lease(&self) -> Result<Lease<'_, C>, Option<sqlx::Error>> {
        let permit =
            tokio::time::timeout(PATIENCE, self.permits.acquire()).await.map_err(|_| None)?.map_err(|_| None)?;
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (was_kept, rested) = kept.as_ref().map_or((false, Duration::ZERO), |(_, since)| (true, since.elapsed()));
        let connection = match kept {
            Some((c, _)) => c,
            None => tokio::time::timeout(PATIENCE, self.options.connect()).await.map_err(|_| None)?.map_err(Some)?,
        };
        Ok(Lease { pool: self, connection: Some(connection), kept: was_kept, rested, _permit: permit })
    }

    /// Closes what is kept: after a server went away, none of it is alive.
    pub async fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for (c, _) in idle {
            // A server that is gone does not take part in a farewell.
            let _ = tokio::time::timeout(Duration::from_secs(1), c.close()).await;
        }
    }

    pub async fn close(&self) {
        self.permits.close();
        self.clear().await;
    }
}

impl<C: Connection> Lease<'_, C> {
    pub fn connection(&mut self) -> Result<&mut C, StepError> {
        self.connection.as_mut().ok_or_else(|| StepError::Invalid("the connection was given back already".into()))
    }

    /// Its statement ended: it can be used again.
    pub fn give_back(mut self) {
        if let Some(c) = self.connection.take() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push((c, Instant::now()));
        }
    }
}

/// One sentence for a missing connection.
pub fn unreachable(address: &str, error: Option<sqlx::Error>) -> StepError {
    let why = match error {
        None => format!("no connection within {} s", PATIENCE.as_secs()),
        Some(sqlx::Error::Database(e)) => e.message().to_string(),
        Some(sqlx::Error::Io(e)) => e.to_string(),
        Some(e) => e.to_string(),
    };
    StepError::Unreachable(format!("cannot reach the database {address}: {why}"))
}
