//! One way to speak SQL to SQLite and to PostgreSQL.
//!
//! It owns pools, connections, how values are bound and read, and what a database's error means for the platform. It must
//! not know a table.
use crate::delays::Delays;
use jiff::Timestamp;
use serde_json::Value as Json;
use sqlx::{
    AssertSqlSafe, Decode, Encode, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Transaction, Type,
    postgres::{PgArgumentBuffer, PgConnectOptions, PgPoolOptions, PgRow, PgTypeInfo, PgValueRef, types::Oid},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many statements at once; the rest wait for a turn.
const CONNECTIONS: u32 = 12;
/// How long a connection may take to be made or checked. Whoever asks a dead database hears so within this.
const CONNECT: Duration = Duration::from_millis(900);
/// How long one may wait for a turn on a database that answers. Long, because a busy machine is not a dead database.
const TURN: Duration = Duration::from_secs(5);
/// How long one unit of work may take, so that a link which swallows everything is noticed.
const WORK: Duration = Duration::from_secs(6);

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It could not be asked.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A key is taken.
    #[error("already there: {0}")]
    Duplicate(String),
    /// Something refers to a row that is not there.
    #[error("refers to nothing: {0}")]
    Dangling(String),
    /// Our own fault.
    #[error("the database refused: {0}")]
    Refused(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => {
                StoreError::Unavailable(error.to_string())
            }
            E::Database(cause) => {
                let code = cause.code().unwrap_or_default();
                let message = cause.message().to_owned();
                if cause.is_unique_violation() {
                    StoreError::Duplicate(message)
                } else if cause.is_foreign_key_violation() {
                    StoreError::Dangling(message)
                } else if unavailable(&code) {
                    StoreError::Unavailable(message)
                } else {
                    StoreError::Refused(message)
                }
            }
            _ => StoreError::Refused(error.to_string()),
        }
    }
}

/// Codes that speak of the server's condition and not of the statement: PostgreSQL's classes 08, 53 and 57P, SQLite's
/// busy, locked, I/O, full and cannot-open.
fn unavailable(code: &str) -> bool {
    if code.len() == 5 {
        return code.starts_with("08") || code.starts_with("53") || code.starts_with("57P");
    }
    matches!(code.parse::<u32>().map(|c| c & 0xff), Ok(5 | 6 | 10 | 13 | 14))
}

/// Closes and opens the store from inside the process.
#[derive(Debug, Default)]
pub struct Gate {
    closed: AtomicBool,
    refused: AtomicU64,
}

impl Gate {
    pub fn set(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    fn pass(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        Ok(())
    }
}

#[derive(Clone)]
enum Pool {
    Lite(SqlitePool),
    Pg(PgPool),
}

/// Which of the two it is, for the few words in which their schemas differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Lite,
    Pg,
}

#[derive(Clone)]
pub struct Db {
    pool: Pool,
    turns: Arc<Semaphore>,
    /// SQLite takes one writer; waiting here is fair and wakes at once, waiting in its busy handler is neither.
    writers: Arc<Semaphore>,
    pub gate: Arc<Gate>,
    delays: Delays,
}

/// What can be bound.
#[derive(Debug, Clone)]
pub enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Bool(bool),
    Time(Option<Timestamp>),
    Json(Json),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Some(text.to_owned()))
    }
}
impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::Text(Some(text.clone()))
    }
}
impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Value::Text(text.map(str::to_owned))
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(Some(number))
    }
}
impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Value::Int(number)
    }
}
impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}
impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Value::Time(Some(at))
    }
}
impl From<Option<Timestamp>> for Value {
    fn from(at: Option<Timestamp>) -> Self {
        Value::Time(at)
    }
}
impl From<Json> for Value {
    fn from(json: Json) -> Self {
        Value::Json(json)
    }
}

/// A timestamp as PostgreSQL sends it (`timestamptz`): microseconds since 2000.
struct PgTime(Timestamp);

const TIMESTAMPTZ: Oid = Oid(1184);
const EPOCH_2000: i64 = 946_684_800_000_000;

impl Type<Postgres> for PgTime {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl Encode<'_, Postgres> for PgTime {
    fn encode_by_ref(
        &self,
        buffer: &mut PgArgumentBuffer,
    ) -> Result<sqlx::encode::IsNull, Box<dyn std::error::Error + Send + Sync>> {
        buffer.extend_from_slice(&(self.0.as_microsecond() - EPOCH_2000).to_be_bytes());
        Ok(sqlx::encode::IsNull::No)
    }
}

impl Decode<'_, Postgres> for PgTime {
    fn decode(value: PgValueRef<'_>) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let bytes: [u8; 8] = value.as_bytes()?.try_into()?;
        let micros = i64::from_be_bytes(bytes).checked_add(EPOCH_2000).ok_or("infinite timestamp")?;
        Ok(PgTime(Timestamp::from_microsecond(micros)?))
    }
}

/// ISO 8601 in UTC with a fixed number of digits, so that comparing as text is comparing in time.
fn iso(at: Timestamp) -> String {
    format!("{at:.6}")
}

pub enum Row {
    Lite(SqliteRow),
    Pg(PgRow),
}

impl Row {
    pub fn text(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(match self {
            Row::Lite(row) => row.try_get(column)?,
            Row::Pg(row) => row.try_get(column)?,
        })
    }

    pub fn word(&self, column: &str) -> Result<String, StoreError> {
        Ok(self.text(column)?.unwrap_or_default())
    }

    pub fn int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(match self {
            Row::Lite(row) => row.try_get(column)?,
            Row::Pg(row) => row.try_get(column)?,
        })
    }

    pub fn number(&self, column: &str) -> Result<i64, StoreError> {
        Ok(self.int(column)?.unwrap_or_default())
    }

    pub fn truth(&self, column: &str) -> Result<bool, StoreError> {
        Ok(match self {
            Row::Lite(row) => row.try_get(column)?,
            Row::Pg(row) => row.try_get(column)?,
        })
    }

    pub fn time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        match self {
            Row::Lite(row) => {
                let text: Option<String> = row.try_get(column)?;
                Ok(text.and_then(|text| text.parse().ok()))
            }
            Row::Pg(row) => Ok(row.try_get::<Option<PgTime>, _>(column)?.map(|at| at.0)),
        }
    }

    pub fn json(&self, column: &str) -> Result<Json, StoreError> {
        let json: Option<sqlx::types::Json<Json>> = match self {
            Row::Lite(row) => row.try_get_unchecked(column)?,
            Row::Pg(row) => row.try_get(column)?,
        };
        Ok(json.map_or(Json::Null, |json| json.0))
    }
}

/// A unit of work: everything in it becomes so at `commit`, or nothing.
pub struct Work {
    transaction: Tx,
    until: tokio::time::Instant,
    _turn: OwnedSemaphorePermit,
    _writer: Option<OwnedSemaphorePermit>,
}

enum Tx {
    Lite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

macro_rules! bound {
    ($query:expr, $values:expr, $time:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Int(number) => query.bind(number),
                Value::Bool(truth) => query.bind(truth),
                Value::Time(at) => query.bind(at.map($time)),
                Value::Json(json) => query.bind(sqlx::types::Json(json)),
            };
        }
        query
    }};
}

impl Work {
    /// What a `select` says at its end so that nobody removes its rows before this work is done.
    pub fn keeping(&self) -> &'static str {
        match self.transaction {
            // one writer at a time: nobody can
            Tx::Lite(_) => "",
            Tx::Pg(_) => " for key share",
        }
    }

    /// Statements use `$1`, which both know.
    pub async fn rows(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let until = self.until;
        let sql = AssertSqlSafe(sql.to_owned());
        in_time(until, async {
            Ok(match &mut self.transaction {
                Tx::Lite(tx) => {
                    let rows = bound!(sqlx::query(sql), values, iso).fetch_all(&mut **tx).await?;
                    rows.into_iter().map(Row::Lite).collect()
                }
                Tx::Pg(tx) => {
                    let rows = bound!(sqlx::query(sql), values, PgTime).fetch_all(&mut **tx).await?;
                    rows.into_iter().map(Row::Pg).collect()
                }
            })
        })
        .await
    }

    pub async fn row(&mut self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// How many rows it touched.
    pub async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        let until = self.until;
        let sql = AssertSqlSafe(sql.to_owned());
        in_time(until, async {
            Ok(match &mut self.transaction {
                Tx::Lite(tx) => bound!(sqlx::query(sql), values, iso).execute(&mut **tx).await?.rows_affected(),
                Tx::Pg(tx) => bound!(sqlx::query(sql), values, PgTime).execute(&mut **tx).await?.rows_affected(),
            })
        })
        .await
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        let until = self.until;
        in_time(until, async {
            match self.transaction {
                Tx::Lite(tx) => tx.commit().await,
                Tx::Pg(tx) => tx.commit().await,
            }
        })
        .await
    }
}

async fn in_time<T>(
    until: tokio::time::Instant,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout_at(until, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
    }
}

impl Db {
    pub async fn sqlite(path: &Path, delays: Delays) -> Result<Db, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            // Others read and write this file while we do.
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(4));
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT).connect_with(options);
        Ok(Db::over(Pool::Lite(pool.await?), delays))
    }

    pub async fn postgres(url: &str, delays: Delays) -> Result<Db, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT);
        Ok(Db::over(Pool::Pg(pool.connect_with(options.application_name("streamspace-api")).await?), delays))
    }

    fn over(pool: Pool, delays: Delays) -> Db {
        Db {
            pool,
            turns: Arc::new(Semaphore::new(CONNECTIONS as usize)),
            writers: Arc::new(Semaphore::new(1)),
            gate: Arc::default(),
            delays,
        }
    }

    pub fn dialect(&self) -> Dialect {
        match self.pool {
            Pool::Lite(_) => Dialect::Lite,
            Pool::Pg(_) => Dialect::Pg,
        }
    }

    /// Work that only looks.
    pub async fn read(&self) -> Result<Work, StoreError> {
        self.begin(false).await
    }

    /// Work that changes something.
    pub async fn write(&self) -> Result<Work, StoreError> {
        self.delays.wait().await;
        self.begin(true).await
    }

    async fn begin(&self, write: bool) -> Result<Work, StoreError> {
        self.gate.pass()?;
        let waited = || StoreError::Unavailable("no connection came free".into());
        let turn = async {
            let writer = match (&self.pool, write) {
                (Pool::Lite(_), true) => Some(self.writers.clone().acquire_owned().await.map_err(|_| waited())?),
                _ => None,
            };
            Ok::<_, StoreError>((self.turns.clone().acquire_owned().await.map_err(|_| waited())?, writer))
        };
        let (turn, writer) = tokio::time::timeout(TURN, turn).await.map_err(|_| waited())??;
        let until = tokio::time::Instant::now() + WORK;
        let transaction = in_time(until, async {
            Ok(match &self.pool {
                // A deferred transaction that turns to writing later fails at once when somebody else wrote meanwhile.
                Pool::Lite(pool) if write => Tx::Lite(pool.begin_with("begin immediate").await?),
                Pool::Lite(pool) => Tx::Lite(pool.begin().await?),
                Pool::Pg(pool) => Tx::Pg(pool.begin().await?),
            })
        })
        .await?;
        Ok(Work { transaction, until, _turn: turn, _writer: writer })
    }

    pub async fn close(&self) {
        match &self.pool {
            Pool::Lite(pool) => pool.close().await,
            Pool::Pg(pool) => pool.close().await,
        }
    }
}
