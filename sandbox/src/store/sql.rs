//! SQL for SQLite and PostgreSQL behind one interface: pools, transactions, values and errors. Knows no tables.
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

/// Limit of concurrent transactions; further ones wait for a permit.
const MAX_CONNECTIONS: u32 = 12;
/// Timeout for opening or checking a connection, and so for noticing a dead database.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(900);
/// Timeout for getting a permit. Long, because a busy machine is not a dead database.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of one transaction, so that an unresponsive link is noticed.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(6);

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A unique key exists already.
    #[error("duplicate key: {0}")]
    Duplicate(String),
    /// A foreign key refers to a row that does not exist.
    #[error("missing reference: {0}")]
    MissingReference(String),
    /// The statement itself is wrong.
    #[error("database error: {0}")]
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
                    StoreError::MissingReference(message)
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

/// Whether an error code is about the server and not about the statement: PostgreSQL's classes 08, 53 and 57P,
/// SQLite's busy, locked, I/O, full and cannot-open.
fn unavailable(code: &str) -> bool {
    if code.len() == 5 {
        return code.starts_with("08") || code.starts_with("53") || code.starts_with("57P");
    }
    matches!(code.parse::<u32>().map(|c| c & 0xff), Ok(5 | 6 | 10 | 13 | 14))
}

/// Closes and opens the store within the process.
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

    fn check(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        Ok(())
    }
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The SQL dialect, for the few differences between the schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

#[derive(Clone)]
pub struct Db {
    pool: Pool,
    permits: Arc<Semaphore>,
    /// SQLite allows one writer. This queue is fair and wakes waiters at once; SQLite's busy handler does neither.
    writers: Arc<Semaphore>,
    pub gate: Arc<Gate>,
    delays: Delays,
}

/// A value that can be bound.
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
    fn from(value: bool) -> Self {
        Value::Bool(value)
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

/// A `timestamptz` in PostgreSQL's binary format: microseconds since 2000.
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

/// ISO 8601 in UTC with a fixed number of digits, so that text order is time order.
fn iso(at: Timestamp) -> String {
    format!("{at:.6}")
}

pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub fn optional_string(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        })
    }

    pub fn string(&self, column: &str) -> Result<String, StoreError> {
        Ok(self.optional_string(column)?.unwrap_or_default())
    }

    pub fn optional_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        })
    }

    pub fn int(&self, column: &str) -> Result<i64, StoreError> {
        Ok(self.optional_int(column)?.unwrap_or_default())
    }

    pub fn bool(&self, column: &str) -> Result<bool, StoreError> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        })
    }

    pub fn time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        match self {
            Row::Sqlite(row) => {
                let text: Option<String> = row.try_get(column)?;
                Ok(text.and_then(|text| text.parse().ok()))
            }
            Row::Postgres(row) => Ok(row.try_get::<Option<PgTime>, _>(column)?.map(|at| at.0)),
        }
    }

    pub fn json(&self, column: &str) -> Result<Json, StoreError> {
        let json: Option<sqlx::types::Json<Json>> = match self {
            Row::Sqlite(row) => row.try_get_unchecked(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        };
        Ok(json.map_or(Json::Null, |json| json.0))
    }
}

/// A transaction; rolled back unless committed.
pub struct Work {
    transaction: Tx,
    until: tokio::time::Instant,
    _permit: OwnedSemaphorePermit,
    _writer: Option<OwnedSemaphorePermit>,
}

enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

macro_rules! bound {
    ($query:expr, $values:expr, $time:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Int(number) => query.bind(number),
                Value::Bool(value) => query.bind(value),
                Value::Time(at) => query.bind(at.map($time)),
                Value::Json(json) => query.bind(sqlx::types::Json(json)),
            };
        }
        query
    }};
}

impl Work {
    /// The clause at the end of a `select` that prevents its rows from being deleted before this transaction ends.
    pub fn key_share_clause(&self) -> &'static str {
        match self.transaction {
            // SQLite has one writer at a time
            Tx::Sqlite(_) => "",
            Tx::Postgres(_) => " for key share",
        }
    }

    /// Statements use `$1` placeholders, which both databases accept.
    pub async fn rows(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let until = self.until;
        let sql = AssertSqlSafe(sql.to_owned());
        within(until, async {
            Ok(match &mut self.transaction {
                Tx::Sqlite(tx) => {
                    let rows = bound!(sqlx::query(sql), values, iso).fetch_all(&mut **tx).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
                Tx::Postgres(tx) => {
                    let rows = bound!(sqlx::query(sql), values, PgTime).fetch_all(&mut **tx).await?;
                    rows.into_iter().map(Row::Postgres).collect()
                }
            })
        })
        .await
    }

    pub async fn row(&mut self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Returns the number of affected rows.
    pub async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        let until = self.until;
        let sql = AssertSqlSafe(sql.to_owned());
        within(until, async {
            Ok(match &mut self.transaction {
                Tx::Sqlite(tx) => bound!(sqlx::query(sql), values, iso).execute(&mut **tx).await?.rows_affected(),
                Tx::Postgres(tx) => bound!(sqlx::query(sql), values, PgTime).execute(&mut **tx).await?.rows_affected(),
            })
        })
        .await
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        let until = self.until;
        within(until, async {
            match self.transaction {
                Tx::Sqlite(tx) => tx.commit().await,
                Tx::Postgres(tx) => tx.commit().await,
            }
        })
        .await
    }
}

async fn within<T>(
    until: tokio::time::Instant,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout_at(until, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StoreError::Unavailable("no response in time".into())),
    }
}

impl Db {
    pub async fn sqlite(path: &Path, delays: Delays) -> Result<Db, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            // other processes read and write this file too
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(4));
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options);
        Ok(Db::new(Pool::Sqlite(pool.await?), delays))
    }

    pub async fn postgres(url: &str, delays: Delays) -> Result<Db, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new().max_connections(MAX_CONNECTIONS).acquire_timeout(CONNECT_TIMEOUT);
        Ok(Db::new(Pool::Postgres(pool.connect_with(options.application_name("streamspace-api")).await?), delays))
    }

    fn new(pool: Pool, delays: Delays) -> Db {
        Db {
            pool,
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS as usize)),
            writers: Arc::new(Semaphore::new(1)),
            gate: Arc::default(),
            delays,
        }
    }

    pub fn dialect(&self) -> Dialect {
        match self.pool {
            Pool::Sqlite(_) => Dialect::Sqlite,
            Pool::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Begins a read-only transaction.
    pub async fn read(&self) -> Result<Work, StoreError> {
        self.begin(false).await
    }

    /// Begins a writing transaction.
    pub async fn write(&self) -> Result<Work, StoreError> {
        self.delays.wait().await;
        self.begin(true).await
    }

    async fn begin(&self, write: bool) -> Result<Work, StoreError> {
        self.gate.check()?;
        let exhausted = || StoreError::Unavailable("no free connection".into());
        let permit = async {
            let writer = match (&self.pool, write) {
                (Pool::Sqlite(_), true) => Some(self.writers.clone().acquire_owned().await.map_err(|_| exhausted())?),
                _ => None,
            };
            Ok::<_, StoreError>((self.permits.clone().acquire_owned().await.map_err(|_| exhausted())?, writer))
        };
        let (permit, writer) = tokio::time::timeout(PERMIT_TIMEOUT, permit).await.map_err(|_| exhausted())??;
        let until = tokio::time::Instant::now() + TRANSACTION_TIMEOUT;
        let transaction = within(until, async {
            Ok(match &self.pool {
                // a deferred transaction fails when it first writes if another writer has committed in between
                Pool::Sqlite(pool) if write => Tx::Sqlite(pool.begin_with("begin immediate").await?),
                Pool::Sqlite(pool) => Tx::Sqlite(pool.begin().await?),
                Pool::Postgres(pool) => Tx::Postgres(pool.begin().await?),
            })
        })
        .await?;
        Ok(Work { transaction, until, _permit: permit, _writer: writer })
    }

    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}
