//! Connects to SQLite, where types belong to values; the column's type is only a hint.
use super::{
    address::OptionError,
    bound_statement::BoundStatement,
    connect_error::{ServerAddress, TlsOptions},
    literal,
    scan::Dialect,
    server::{
        Cell, ClientInput, DecodeError, ErrorClass, ResultStream, Server, Session, SqlxResult, StatementError,
        StreamItem, result_stream,
    },
};
use crate::{executor::shell_word, value::Value};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column, ConnectOptions, Connection, Either, Executor, Row, SqliteConnection,
    TypeInfo, ValueRef,
    error::BoxDynError,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteQueryResult, SqliteRow},
};
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Makes the connection notice tables that another connection has altered. Otherwise a statement is prepared for the
/// old table, and a row with an additional column kills the library's worker thread.
const REFRESH_SCHEMA: &str = "select 1 from sqlite_master limit 0";
/// After a shorter idle time the schema is not refreshed. If a table was altered meanwhile, the read fails and is
/// repeated.
const RECENT_USE: Duration = Duration::from_millis(50);
/// The number of virtual machine instructions between two checks for cancellation.
const CANCEL_CHECK_INTERVAL: i32 = 1000;

pub struct Sqlite {
    options: SqliteConnectOptions,
    path: PathBuf,
    /// The path as it was written, for the client command.
    shown_path: String,
}

impl Sqlite {
    /// `url`: the address for messages.
    pub fn new(path: &Path, parameters: &str, url: &str) -> Result<(Sqlite, ServerAddress), OptionError> {
        let options = SqliteConnectOptions::from_str(&format!("sqlite://?{parameters}"))?;
        // The path is set separately, because it may contain `%` or `?`. A missing file is an error and never created.
        let options = options
            .filename(path)
            .create_if_missing(false)
            .busy_timeout(Duration::from_secs(5))
            .foreign_keys(true)
            .disable_statement_logging();
        let address = ServerAddress {
            url: url.into(),
            endpoint: path.display().to_string(),
            user: String::new(),
            database: String::new(),
            has_password: false,
            tls: TlsOptions::default(),
        };
        let shown_path = url.strip_prefix("sqlite://").unwrap_or(url).split('?').next().unwrap_or(url);
        Ok((Sqlite { options, path: path.into(), shown_path: shown_path.into() }, address))
    }
}

#[async_trait]
impl Server for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn version_query(&self) -> &'static str {
        "select 'SQLite ' || sqlite_version()"
    }

    async fn connect(&self) -> SqlxResult<Box<dyn Session>> {
        let mut connection = match self.options.connect().await {
            Err(_) if !self.path.exists() => {
                return Err(sqlx::Error::InvalidArgument(format!("no such database file: `{}`", self.path.display())));
            }
            connected => connected?,
        };
        let cancelled = Arc::new(AtomicBool::new(false));
        let flag = cancelled.clone();
        let keep_running = move || !flag.load(Ordering::Relaxed);
        connection.lock_handle().await?.set_progress_handler(CANCEL_CHECK_INTERVAL, keep_running);
        Ok(Box::new(SqliteSession { connection, cancelled }))
    }

    fn parameter(&self, index: usize) -> String {
        format!("?{}", index + 1)
    }

    fn begin(&self) -> &'static str {
        // `immediate` waits for the write lock. Otherwise two transactions that read first and then write fail without
        // waiting. The `select` is `REFRESH_SCHEMA`.
        "begin immediate; select 1 from sqlite_master limit 0"
    }

    fn classify(&self, e: &sqlx::Error, _: &str) -> ErrorClass {
        use sqlx::Error as E;
        match (error_code(e), e) {
            (Some(code), E::Database(db)) if ![5, 6, 10, 11, 14, 26].contains(&(code & 0xff)) => {
                ErrorClass::Rejected(format!("the database refused: {} ({code})", db.message()))
            }
            (None, E::Encode(_) | E::Decode(_) | E::ColumnDecode { .. }) => ErrorClass::Rejected(e.to_string()),
            _ => ErrorClass::ConnectionLost,
        }
    }

    fn error_code(&self, e: &sqlx::Error) -> Option<String> {
        error_code(e).map(|c| c.to_string())
    }

    fn literal(&self, value: &Value) -> String {
        literal::literal(value)
    }

    fn client_command(&self, input: ClientInput<'_>) -> String {
        let path = shell_word(&self.shown_path);
        match input {
            ClientInput::Sql(sql) => format!("sqlite3 {path} {}", shell_word(sql)),
            ClientInput::File(file) => format!("sqlite3 {path} < {}", shell_word(file)),
        }
    }
}

/// The extended result code; its lower byte is the kind of error.
fn error_code(e: &sqlx::Error) -> Option<i64> {
    e.as_database_error()?.code()?.parse().ok()
}

struct SqliteSession {
    connection: SqliteConnection,
    /// Ends the running statement when set.
    cancelled: Arc<AtomicBool>,
}

#[async_trait]
impl Session for SqliteSession {
    async fn execute(&mut self, sql: &'static str) -> SqlxResult<()> {
        self.connection.execute(sqlx::raw_sql(sql)).await.map(drop)
    }

    async fn run_statement<'s>(
        &'s mut self,
        bound: &'s BoundStatement,
        sql: String,
    ) -> Result<(ResultStream<'s>, Vec<String>), StatementError> {
        let mut arguments = SqliteArguments::default();
        for (i, value) in bound.values.iter().enumerate() {
            bind(&mut arguments, value).map_err(|e| StatementError::NotSent(format!("parameter ?{}: {e}", i + 1)))?;
        }
        // Preparing takes microseconds, and a cached statement would miss an altered table.
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
        Ok((checked_stream(self.connection.fetch_many(query)), vec![]))
    }

    fn run_script(&mut self, sql: String) -> ResultStream<'_> {
        checked_stream(self.connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql))))
    }

    async fn revalidate(&mut self, idle_time: Duration, changes: bool) -> SqlxResult<()> {
        if changes || idle_time > RECENT_USE { self.connection.execute(REFRESH_SCHEMA).await.map(drop) } else { Ok(()) }
    }

    /// After a statement without changes SQLite repeats the previous count, so the counts in a script are unusable.
    async fn total_changes(&mut self) -> SqlxResult<Option<u64>> {
        let total: i64 = self.connection.fetch_one("select total_changes()").await?.try_get_unchecked(0)?;
        Ok(u64::try_from(total).ok())
    }

    fn cancel(&self) -> BoxFuture<'static, ()> {
        self.cancelled.store(true, Ordering::Relaxed);
        async {}.boxed()
    }

    async fn close(self: Box<Self>) {
        let _ = self.connection.close().await;
    }
}

/// Fails if the stream ends without a `StatementEnd`: the library ends it silently when its worker thread dies.
fn checked_stream<'s>(
    rows: stream::BoxStream<'s, SqlxResult<Either<SqliteQueryResult, SqliteRow>>>,
) -> ResultStream<'s> {
    let ended = Arc::new(AtomicBool::new(false));
    let flag = ended.clone();
    let items = result_stream(rows, SqliteQueryResult::rows_affected, cells)
        .inspect_ok(move |item| flag.store(matches!(item, StreamItem::StatementEnd(_)), Ordering::Relaxed));
    let end = stream::once(async move {
        match ended.load(Ordering::Relaxed) {
            true => Ok(StreamItem::StatementEnd(0)),
            false => Err(sqlx::Error::WorkerCrashed),
        }
    });
    items.chain(end).boxed()
}

fn bind(arguments: &mut SqliteArguments, value: &Value) -> Result<(), BoxDynError> {
    match value {
        Value::Null => arguments.add(None::<i64>),
        Value::Bool(b) => arguments.add(*b),
        Value::Int(i) => arguments.add(*i),
        Value::Uint(u) => Err(format!("{u} exceeds the largest integer of SQLite").into()),
        Value::Float(f) => arguments.add(*f),
        Value::List(_) | Value::Map(_) => arguments.add(value.to_json().to_string()),
        Value::Text(_) | Value::Time(_) | Value::Duration(_) => arguments.add(value.to_string()),
    }
}

fn cells(row: &SqliteRow) -> Vec<(String, Cell)> {
    let cells = row.columns().iter().enumerate().map(|(i, column)| {
        let cell = || -> SqlxResult<Value> {
            let raw = row.try_get_raw(i)?;
            if raw.is_null() {
                return Ok(Value::Null);
            }
            let kind = raw.type_info().name().to_string();
            drop(raw);
            Ok(match kind.as_str() {
                "INTEGER" => {
                    let n: i64 = row.try_get_unchecked(i)?;
                    // SQLite has no boolean type; the declared type decides.
                    let declared = column.type_info().name() == "BOOLEAN";
                    if declared && (n == 0 || n == 1) { Value::Bool(n == 1) } else { Value::Int(n) }
                }
                "REAL" => Value::Float(row.try_get_unchecked(i)?),
                _ => {
                    let bytes: Vec<u8> = row.try_get_unchecked(i)?;
                    String::from_utf8(bytes)
                        .map_or_else(|e| Value::text(format!("\\x{}", hex::encode(e.as_bytes()))), Value::from)
                }
            })
        };
        (column.name().to_string(), cell().map_err(DecodeError::library))
    });
    cells.collect()
}
