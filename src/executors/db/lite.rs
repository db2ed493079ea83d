//! Running statements on SQLite, whose values have types of their own, whatever their column says.
use super::{
    act::{Asked, Done, row_map},
    pool::{Lease, Pool, unreachable},
};
use crate::{
    executor::{StepContext, StepError},
    value::Value,
};
use futures::TryStreamExt;
use sqlx::{
    Arguments as _, AssertSqlSafe, Column, Either, Executor, Row, SqliteConnection, TypeInfo, ValueRef,
    sqlite::{SqliteArguments, SqliteQueryResult, SqliteRow},
};
use std::time::Duration;

/// Reads nothing, but makes the connection look whether another one altered a table since. Without it a statement is prepared for the
/// table as it was, and the library's thread dies over a row that has a column more.
const CHECK: &str = "select 1 from sqlite_master limit 0";

type Ran<T> = Result<T, sqlx::Error>;

pub async fn run(
    cx: &StepContext<'_>,
    pool: &Pool<SqliteConnection>,
    address: &str,
    work: &Asked,
) -> Result<Done, StepError> {
    let mut lease = open(cx, pool, address).await?;
    // In a row of statements nobody altered a table; if somebody did all the same, what only reads is asked again below.
    let check = work.changes() || lease.rested > Duration::from_millis(50);
    let mut ran = perform(lease.connection()?, address, work, check).await;
    if let Err(StepError::Unreachable(_)) = ran
        && lease.kept
        && !work.changes()
    {
        drop(lease);
        pool.clear().await;
        lease = open(cx, pool, address).await?;
        ran = perform(lease.connection()?, address, work, true).await;
    }
    settle(lease, &ran, work.transaction).await;
    ran
}

async fn perform(c: &mut SqliteConnection, address: &str, work: &Asked, check: bool) -> Result<Done, StepError> {
    let mut done = Done::default();
    if work.transaction {
        // Immediate: two that read first and write then would otherwise refuse each other without waiting.
        c.execute("begin immediate").await.map_err(|e| refused(e, address))?;
    }
    if check {
        c.execute(CHECK).await.map_err(|e| refused(e, address))?;
    }
    for bound in &work.statements {
        if bound.has_strange_placeholders() {
            return Err(StepError::Invalid("a `?` stands in the statement; write `${ }`, which is bound".into()));
        }
        let sql = bound.sql(|i, _| format!("?{}", i + 1));
        let mut arguments = SqliteArguments::default();
        for (i, value) in bound.values.iter().enumerate() {
            bind(&mut arguments, value).map_err(|why| StepError::Invalid(format!("parameter ?{}: {why}", i + 1)))?;
        }
        // Not kept prepared: preparing costs microseconds here, and a kept statement does not see that a table was altered.
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
        done.add(collect(c.fetch_many(query)).await.map_err(|e| refused(e, address))?, bound.changes);
    }
    if work.transaction {
        c.execute("commit").await.map_err(|e| refused(e, address))?;
    }
    Ok(done)
}

pub async fn run_file(
    cx: &StepContext<'_>,
    pool: &Pool<SqliteConnection>,
    address: &str,
    sql: &str,
) -> Result<Done, StepError> {
    let mut lease = open(cx, pool, address).await?;
    let ran = async {
        let connection = lease.connection()?;
        connection.execute("begin immediate").await.map_err(|e| refused(e, address))?;
        connection.execute(CHECK).await.map_err(|e| refused(e, address))?;
        let before = total(connection).await.map_err(|e| refused(e, address))?;
        let ran = collect(connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql.to_string())))).await;
        let mut done = ran.map_err(|e| refused(e, address))?;
        // SQLite repeats the last count after a statement that changes nothing; so the file is counted as a whole.
        let after = total(connection).await.map_err(|e| refused(e, address))?;
        done.affected = u64::try_from(after - before).unwrap_or_default();
        connection.execute("commit").await.map_err(|e| refused(e, address))?;
        Ok(done)
    };
    let ran = ran.await;
    settle(lease, &ran, true).await;
    ran
}

/// Rows changed on this connection since it was opened.
async fn total(connection: &mut SqliteConnection) -> Ran<i64> {
    connection.fetch_one("select total_changes()").await?.try_get_unchecked(0)
}

async fn open<'p>(
    cx: &StepContext<'_>,
    pool: &'p Pool<SqliteConnection>,
    address: &str,
) -> Result<Lease<'p, SqliteConnection>, StepError> {
    let lease = pool.lease().await.map_err(|e| unreachable(address, e))?;
    cx.depart();
    Ok(lease)
}

/// Keeps the connection where nothing is left open on it.
async fn settle<T>(mut lease: Lease<'_, SqliteConnection>, ran: &Result<T, StepError>, transaction: bool) {
    let clean = match (ran, lease.connection()) {
        (Ok(_), _) => true,
        (Err(StepError::Invalid(_)), Ok(c)) => !transaction || c.execute("rollback").await.is_ok(),
        _ => false,
    };
    if clean {
        lease.give_back();
    }
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

async fn collect(mut stream: futures::stream::BoxStream<'_, Ran<Either<SqliteQueryResult, SqliteRow>>>) -> Ran<Done> {
    let mut done = Done::default();
    let (mut fresh, mut ended) = (true, false);
    while let Some(step) = stream.try_next().await? {
        match step {
            Either::Left(result) => {
                done.affected += result.rows_affected();
                (fresh, ended) = (true, true);
            }
            Either::Right(row) => {
                if fresh {
                    done.rows.clear();
                    fresh = false;
                }
                let value = read(&row, &mut done.notes);
                done.rows.push(value);
                ended = false;
            }
        }
    }
    // The library ends the stream without a word when its thread dies: that is no empty answer.
    if ended { Ok(done) } else { Err(sqlx::Error::WorkerCrashed) }
}

fn read(row: &SqliteRow, notes: &mut Vec<String>) -> Value {
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
    row_map(cells, notes)
}

fn refused(e: sqlx::Error, address: &str) -> StepError {
    let sqlx::Error::Database(db) = &e else {
        return match e {
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                StepError::Invalid(e.to_string())
            }
            other => unreachable(address, Some(other)),
        };
    };
    // The lower byte of a result code says what kind it is.
    let code: i64 = db.code().and_then(|c| c.parse().ok()).unwrap_or(1);
    match code & 0xff {
        5 | 6 => StepError::Unreachable(format!("the database {address} stayed locked by another connection for 5 s")),
        10 | 11 | 14 | 26 => unreachable(address, Some(e)),
        _ => StepError::Invalid(format!("the database refused: {} ({code})", db.message())),
    }
}
