//! SQLite, whose values have types of their own, whatever their column says.
use super::{
    bound::Bound,
    literal,
    scan::Dialect,
    server::{Answer, ByHand, Came, Cell, Failed, Ran, Server, Session, Verdict, answer},
    trouble::{Place, Tls},
};
use crate::{executor::shell_word, value::Value};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column, ConnectOptions, Connection, Either, Executor, Row, SqliteConnection,
    TypeInfo, ValueRef,
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

/// Reads nothing, but makes the connection look whether another one altered a table since. Without it a statement is prepared for the
/// table as it was, and the library's thread dies over a row that has a column more.
const CHECK: &str = "select 1 from sqlite_master limit 0";
/// In a row of statements nobody altered a table; if somebody did all the same, what only reads is asked again.
const RESTED: Duration = Duration::from_millis(50);
/// After so many steps of its machine a statement looks whether it is to end.
const STEPS: i32 = 1000;

pub struct Sqlite {
    options: SqliteConnectOptions,
    path: PathBuf,
    shown: String,
}

impl Sqlite {
    /// # Errors
    /// A parameter has a value that it cannot have.
    pub fn new(path: &Path, parameters: &str, shown: &str) -> Result<(Sqlite, Place), String> {
        let options = SqliteConnectOptions::from_str(&format!("sqlite://?{parameters}")).map_err(|e| e.to_string())?;
        // The path as it is, whatever the parser made of a `%` or a `?` in the folder's name. The runner looks at a database and
        // never makes one: a missing file is said, and not replaced by an empty one.
        let options = options
            .filename(path)
            .create_if_missing(false)
            .busy_timeout(Duration::from_secs(5))
            .foreign_keys(true)
            .disable_statement_logging();
        let place = Place {
            address: shown.into(),
            at: path.display().to_string(),
            user: String::new(),
            database: String::new(),
            has_password: false,
            tls: Tls::default(),
        };
        let shown = shown.strip_prefix("sqlite://").unwrap_or(shown).split('?').next().unwrap_or(shown);
        Ok((Sqlite { options, path: path.into(), shown: shown.into() }, place))
    }
}

#[async_trait]
impl Server for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn version(&self) -> &'static str {
        "select 'SQLite ' || sqlite_version()"
    }

    async fn connect(&self) -> Ran<Box<dyn Session>> {
        let mut connection = match self.options.connect().await {
            Err(_) if !self.path.exists() => {
                return Err(sqlx::Error::InvalidArgument(format!(
                    "there is no database file `{}`",
                    self.path.display()
                )));
            }
            connected => connected?,
        };
        let stopped = Arc::new(AtomicBool::new(false));
        let look = stopped.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS, move || !look.load(Ordering::Relaxed));
        Ok(Box::new(Open { connection, stopped }))
    }

    fn placeholder(&self, index: usize) -> String {
        format!("?{}", index + 1)
    }

    fn begin(&self) -> &'static str {
        // Immediate: two that read first and write then would otherwise refuse each other without waiting. Then as `CHECK`.
        "begin immediate; select 1 from sqlite_master limit 0"
    }

    fn verdict(&self, e: &sqlx::Error, _: &str) -> Verdict {
        use sqlx::Error as E;
        match (code(e), e) {
            (Some(code), E::Database(said)) if ![5, 6, 10, 11, 14, 26].contains(&(code & 0xff)) => {
                Verdict::Refused(format!("the database refused: {} ({code})", said.message()))
            }
            (None, E::Encode(_) | E::Decode(_) | E::ColumnDecode { .. }) => Verdict::Refused(e.to_string()),
            _ => Verdict::Lost,
        }
    }

    fn code(&self, e: &sqlx::Error) -> Option<String> {
        code(e).map(|c| c.to_string())
    }

    fn literal(&self, value: &Value) -> String {
        literal::literal(value)
    }

    fn by_hand(&self, what: ByHand<'_>) -> String {
        let path = shell_word(&self.shown);
        match what {
            ByHand::Sql(sql) => format!("sqlite3 {path} {}", shell_word(sql)),
            ByHand::File(file) => format!("sqlite3 {path} < {}", shell_word(file)),
        }
    }
}

/// The lower byte says what kind it is.
fn code(e: &sqlx::Error) -> Option<i64> {
    e.as_database_error()?.code()?.parse().ok()
}

/// One connection.
struct Open {
    connection: SqliteConnection,
    /// What is being performed is to end.
    stopped: Arc<AtomicBool>,
}

#[async_trait]
impl Session for Open {
    async fn plain(&mut self, sql: &'static str) -> Ran<()> {
        self.connection.execute(sqlx::raw_sql(sql)).await.map(drop)
    }

    async fn ask<'s>(&'s mut self, bound: &'s Bound, sql: String) -> Result<(Answer<'s>, Vec<String>), Failed> {
        let mut arguments = SqliteArguments::default();
        for (i, value) in bound.values.iter().enumerate() {
            bind(&mut arguments, value).map_err(|why| Failed::Value(format!("parameter ?{}: {why}", i + 1)))?;
        }
        // Not kept prepared: preparing costs microseconds here, and a kept statement does not see that a table was altered.
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
        Ok((whole(self.connection.fetch_many(query)), vec![]))
    }

    fn script(&mut self, sql: String) -> Answer<'_> {
        whole(self.connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql))))
    }

    async fn wake(&mut self, rested: Duration, changes: bool) -> Ran<()> {
        if changes || rested > RESTED { self.connection.execute(CHECK).await.map(drop) } else { Ok(()) }
    }

    /// SQLite repeats the last count after a statement that changes nothing; so a script is counted as a whole.
    async fn changed(&mut self) -> Ran<Option<u64>> {
        let total: i64 = self.connection.fetch_one("select total_changes()").await?.try_get_unchecked(0)?;
        Ok(u64::try_from(total).ok())
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        self.stopped.store(true, Ordering::Relaxed);
        async {}.boxed()
    }

    async fn close(self: Box<Self>) {
        let _ = self.connection.close().await;
    }
}

/// The library ends the stream without a word when its thread dies: that is no empty answer.
fn whole<'s>(rows: stream::BoxStream<'s, Ran<Either<SqliteQueryResult, SqliteRow>>>) -> Answer<'s> {
    let ended = Arc::new(AtomicBool::new(false));
    let seen = ended.clone();
    let rows = answer(rows, SqliteQueryResult::rows_affected, cells)
        .inspect_ok(move |came| seen.store(matches!(came, Came::End(_)), Ordering::Relaxed));
    let end = stream::once(async move {
        match ended.load(Ordering::Relaxed) {
            true => Ok(Came::End(0)),
            false => Err(sqlx::Error::WorkerCrashed),
        }
    });
    rows.chain(end).boxed()
}

fn bind(arguments: &mut SqliteArguments, value: &Value) -> Result<(), String> {
    let added = match value {
        Value::Null => arguments.add(None::<i64>),
        Value::Bool(b) => arguments.add(*b),
        Value::Int(i) => arguments.add(*i),
        Value::Uint(u) => return Err(format!("{u} is larger than any number that SQLite keeps")),
        Value::Float(f) => arguments.add(*f),
        Value::List(_) | Value::Map(_) => arguments.add(value.to_json().to_string()),
        Value::Text(_) | Value::Time(_) | Value::Duration(_) => arguments.add(value.to_string()),
    };
    added.map_err(|e| e.to_string())
}

fn cells(row: &SqliteRow) -> Vec<(String, Cell)> {
    let cells = row.columns().iter().enumerate().map(|(i, column)| {
        let cell = || -> Ran<Value> {
            let raw = row.try_get_raw(i)?;
            if raw.is_null() {
                return Ok(Value::Null);
            }
            let kind = raw.type_info().name().to_string();
            drop(raw);
            Ok(match kind.as_str() {
                "INTEGER" => {
                    let n: i64 = row.try_get_unchecked(i)?;
                    // SQLite has no boolean: the declaration says what is meant.
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
        (column.name().to_string(), cell().map_err(|e| e.to_string()))
    });
    cells.collect()
}
