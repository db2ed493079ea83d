//! Connects to SQLite, where types belong to values; the column's type is only a hint.
use super::{
    bound_statement::BoundStatement,
    cell::{Cell, bool_or_int, cells, hex_text, too_large},
    connect_error::{ServerAddress, error_code},
    scan::Dialect,
    server::{
        ClientInput, ErrorClass, Opened, ResultStream, Server, Session, SqlxResult, StatementError, StreamItem,
        bind_all, file_in_transaction, result_stream,
    },
};
use crate::{executor::limits::size, shell::shell_word, value::Value};
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
/// The memory of all SQLite databases of the process: a row is there as a whole before its size is known.
const MAX_MEMORY_BYTES: usize = 64 << 20;
/// The result code of a statement that needs more.
const OUT_OF_MEMORY: i64 = 7;

pub struct Sqlite {
    options: SqliteConnectOptions,
    path: PathBuf,
    /// The path as it was written, for the client command.
    shown_path: String,
}

impl Sqlite {
    /// `url`: the address for messages.
    pub fn open(path: &Path, parameters: &str, url: &str) -> Opened {
        let options = SqliteConnectOptions::from_str(&format!("sqlite://?{parameters}"))?;
        // The path is set separately, because it may contain `%` or `?`. A missing file is an error and never created.
        let options = options
            .filename(path)
            .create_if_missing(false)
            .busy_timeout(Duration::from_secs(5))
            .foreign_keys(true)
            .pragma("hard_heap_limit", MAX_MEMORY_BYTES.to_string())
            .disable_statement_logging();
        let endpoint = path.display().to_string();
        let address = ServerAddress { url: url.into(), endpoint, ..ServerAddress::default() };
        let shown_path = url.strip_prefix("sqlite://").unwrap_or(url).split('?').next().unwrap_or(url);
        Ok((Box::new(Sqlite { options, path: path.into(), shown_path: shown_path.into() }), address))
    }
}

#[async_trait]
impl Server for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
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

    fn classify(&self, e: &sqlx::Error, _: &str) -> ErrorClass {
        use sqlx::Error as E;
        // The extended result code; its lower byte is the kind of error.
        match (error_code(e).and_then(|c| c.parse::<i64>().ok()), e) {
            (Some(OUT_OF_MEMORY), _) => ErrorClass::Rejected(format!(
                "the statement needs more than {} of memory: select fewer or smaller values",
                size(MAX_MEMORY_BYTES)
            )),
            (Some(code), E::Database(db)) if ![5, 6, 10, 11, 14, 26].contains(&(code & 0xff)) => {
                ErrorClass::Rejected(format!("the database refused: {} ({code})", db.message()))
            }
            (None, E::Encode(_) | E::Decode(_) | E::ColumnDecode { .. }) => ErrorClass::Rejected(e.to_string()),
            _ => ErrorClass::ConnectionLost,
        }
    }

    fn client_command(&self, input: ClientInput<'_>) -> String {
        let path = shell_word(&self.shown_path);
        match input {
            ClientInput::Sql(sql) => format!("sqlite3 {path} {}", shell_word(sql)),
            ClientInput::File(file) => file_in_transaction(file, &format!("sqlite3 -bail {path}")),
        }
    }
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
        let arguments = bind_all(&bound.values, bind)?;
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
    let items = result_stream(rows, SqliteQueryResult::rows_affected, row_cells)
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
        Value::Decimal(text) => Err(format!("no number of SQLite holds {text} exactly: bind it as a string").into()),
        Value::Unset(reason) => Err(reason.to_string().into()),
        Value::Partial(partial) => Err(partial.reason.to_string().into()),
        Value::List(_) | Value::Map(_) => arguments.add(value.to_string()),
        Value::Text(_) | Value::Time(_) | Value::Duration(_) => arguments.add(value.to_string()),
    }
}

fn row_cells(row: &SqliteRow) -> Vec<(String, Cell)> {
    cells(row, |i| cell(row, i).map_err(|e| e.to_string()))
}

fn cell(row: &SqliteRow, i: usize) -> SqlxResult<Value> {
    let raw = row.try_get_raw(i)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_string();
    drop(raw);
    Ok(match kind.as_str() {
        // SQLite has no boolean type; the declared type decides.
        "INTEGER" if row.column(i).type_info().name() == "BOOLEAN" => bool_or_int(row.try_get_unchecked(i)?),
        "INTEGER" => Value::Int(row.try_get_unchecked(i)?),
        "REAL" => Value::Float(row.try_get_unchecked(i)?),
        _ => {
            let bytes: &[u8] = row.try_get_unchecked(i)?;
            let text = || std::str::from_utf8(bytes).map_or_else(|_| Value::from(hex_text(bytes)), Value::from);
            too_large(bytes.len()).unwrap_or_else(text)
        }
    })
}
