//! Running statements on PostgreSQL. Each is prepared first, so that the server says which types its placeholders have.
use super::{
    act::{Asked, Done, row_map},
    bound::Bound,
    pg_read,
    pg_write::{Misfit, Param},
    pool::{Lease, Pool, unreachable},
    scan::Statement,
};
use crate::{
    executor::{StepContext, StepError},
    value::Value,
};
use futures::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, Connection, Either, Executor, PgConnection, Row, SqlSafeStr, Statement as _, TypeInfo,
    postgres::{PgArguments, PgDatabaseError, PgErrorPosition, PgRow, PgStatement},
};

type Ran<T> = Result<T, sqlx::Error>;

/// One statement, or several in a transaction.
pub async fn run(
    cx: &StepContext<'_>,
    pool: &Pool<PgConnection>,
    address: &str,
    work: &Asked,
) -> Result<Done, StepError> {
    let mut lease = open(cx, pool, address, work.changes()).await?;
    let mut ran = perform(lease.connection()?, work).await;
    if let Err((Failed::Server(e), _)) = &ran
        && is_lost(e)
        && lease.kept
        && !work.changes()
    {
        // The connection died while nobody used it. What changes nothing may be asked again; for the rest it was tried beforehand.
        drop(lease);
        pool.clear().await;
        lease = pool.lease().await.map_err(|e| unreachable(address, e))?;
        ran = perform(lease.connection()?, work).await;
    }
    let error = match ran {
        Ok(done) => {
            lease.give_back();
            return Ok(done);
        }
        Err((failed, sql)) => failed.said(&sql, address),
    };
    // After a refusal the connection is as good as before; a lost one is not kept.
    if matches!(error, StepError::Invalid(_))
        && (!work.transaction || lease.connection()?.execute("rollback").await.is_ok())
    {
        lease.give_back();
    }
    Err(error)
}

/// With the error comes the statement that it is about.
async fn perform(c: &mut PgConnection, work: &Asked) -> Result<Done, (Failed, String)> {
    let about = |sql: &str| {
        let sql = sql.to_string();
        move |e: sqlx::Error| (Failed::Server(e), sql)
    };
    let mut done = Done::default();
    if work.transaction {
        c.execute("begin").await.map_err(about("begin"))?;
    }
    for bound in &work.statements {
        let sql = bound.sql(|i, _| format!("${}", i + 1));
        let mut ran = one(c, bound, &sql).await;
        if let Err(Failed::Server(e)) = &ran
            && !work.transaction
            && code(e).as_deref() == Some("0A000")
            && e.to_string().contains("cached plan")
        {
            // The table was altered since the statement was first prepared. It was not executed, so it may be asked again.
            c.clear_cached_statements().await.map_err(about(&sql))?;
            ran = one(c, bound, &sql).await;
        }
        done.add(ran.map_err(|e| (e, sql))?, bound.changes);
    }
    if work.transaction {
        c.execute("commit").await.map_err(about("commit"))?;
    }
    Ok(done)
}

/// A file of statements, in a transaction.
pub async fn run_file(
    cx: &StepContext<'_>,
    pool: &Pool<PgConnection>,
    address: &str,
    sql: &str,
) -> Result<Done, StepError> {
    let mut lease = open(cx, pool, address, true).await?;
    let connection = lease.connection()?;
    connection.execute("begin").await.map_err(|e| refused(e, "begin", address))?;
    let ran = collect(connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql.to_string())))).await;
    let done = match ran {
        Ok(mut done) => {
            done.affected -= done.looked_at;
            done
        }
        Err(e) => {
            let error = refused(e, sql, address);
            if matches!(error, StepError::Invalid(_)) && connection.execute("rollback").await.is_ok() {
                lease.give_back();
            }
            return Err(error);
        }
    };
    connection.execute("commit").await.map_err(|e| refused(e, "commit", address))?;
    lease.give_back();
    Ok(done)
}

/// A connection. Where something is going to be changed it is asked for a sign of life first: a statement that was sent on a
/// connection that breaks cannot be sent again, because nobody knows whether it was performed.
async fn open<'p>(
    cx: &StepContext<'_>,
    pool: &'p Pool<PgConnection>,
    address: &str,
    changes: bool,
) -> Result<Lease<'p, PgConnection>, StepError> {
    loop {
        let mut lease = pool.lease().await.map_err(|e| unreachable(address, e))?;
        if lease.kept && changes && lease.connection()?.ping().await.is_err() {
            drop(lease);
            pool.clear().await;
            continue;
        }
        cx.depart();
        return Ok(lease);
    }
}

enum Failed {
    Server(sqlx::Error),
    Value(String),
}

impl From<sqlx::Error> for Failed {
    fn from(e: sqlx::Error) -> Self {
        Failed::Server(e)
    }
}

impl Failed {
    fn said(self, sql: &str, address: &str) -> StepError {
        match self {
            Failed::Server(e) => refused(e, sql, address),
            Failed::Value(why) => StepError::Invalid(why),
        }
    }
}

async fn prepare(c: &mut PgConnection, sql: String) -> Ran<PgStatement> {
    c.prepare(AssertSqlSafe(sql).into_sql_str()).await
}

async fn one(c: &mut PgConnection, bound: &Bound, sql: &str) -> Result<Done, Failed> {
    let mut statement = prepare(c, sql.to_string()).await?;
    let types = match statement.parameters() {
        Some(Either::Left(types)) => types.to_vec(),
        _ => vec![],
    };
    if types.len() != bound.values.len() {
        let (had, has) = (bound.values.len(), types.len());
        return Err(Failed::Value(format!("the statement has {has} placeholders, but {had} values are bound")));
    }
    let mut params = vec![];
    let mut casts = vec![];
    for (i, (value, ty)) in bound.values.iter().zip(&types).enumerate() {
        match Param::new(value, ty) {
            Ok(p) => params.push(p),
            Err(Misfit::Cast) => {
                casts.push(i);
                params.push(Param::text(value));
            }
            Err(Misfit::Wrong(why)) => {
                return Err(Failed::Value(format!(
                    "parameter ${} ({}): `{value}` does not fit: {why}",
                    i + 1,
                    ty.name()
                )));
            }
        }
    }
    let mut text = sql.to_string();
    if !casts.is_empty() {
        text = bound.sql(|i, _| match casts.contains(&i) {
            true => format!("(${}::text)::{}", i + 1, types[i].name()),
            false => format!("${}", i + 1),
        });
        statement = prepare(c, text.clone()).await?;
    }
    let mut notes = vec![];
    let strange: Vec<String> = statement
        .columns()
        .iter()
        .filter(|col| !pg_read::known(col.type_info()))
        .map(|col| format!("{} ({})", col.name(), col.type_info().name()))
        .collect();
    if !strange.is_empty() {
        // Types that we cannot read are asked for as text. Decided before anything is executed: a statement runs once.
        if let Some(wrapped) = as_text(&text, &statement)
            && let Ok(other) = prepare(c, wrapped).await
        {
            statement = other;
        }
        notes.push(format!("columns read as text: {}", strange.join(", ")));
    }
    let mut arguments = PgArguments::default();
    for p in params {
        use sqlx::Arguments as _;
        arguments.add(p).map_err(|e| Failed::Value(e.to_string()))?;
    }
    let mut done = collect(c.fetch_many(statement.query_with(arguments))).await?;
    done.notes.extend(notes);
    Ok(done)
}

/// The same statement, with every column of an unknown type cast to text by the server.
fn as_text(sql: &str, statement: &PgStatement) -> Option<String> {
    let first = Statement(sql).first();
    if !["select", "values", "with", "table", "insert", "update", "delete"].contains(&first.as_str()) {
        return None;
    }
    let columns = statement.columns();
    let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let outer: Vec<String> = columns
        .iter()
        .zip(&names)
        .map(|(col, n)| {
            let cast = if pg_read::known(col.type_info()) { "" } else { "::text" };
            format!("{n}{cast} as \"{}\"", col.name().replace('"', "\"\""))
        })
        .collect();
    let sql = sql.trim_end().trim_end_matches(';');
    Some(format!("with q({}) as ({sql}\n) select {} from q", names.join(", "), outer.join(", ")))
}

async fn collect(
    mut stream: futures::stream::BoxStream<'_, Ran<Either<sqlx::postgres::PgQueryResult, PgRow>>>,
) -> Ran<Done> {
    let mut done = Done::default();
    let mut fresh = true;
    while let Some(step) = stream.try_next().await? {
        match step {
            Either::Left(result) => {
                done.affected += result.rows_affected();
                // A `select` counts its rows too.
                done.looked_at += if fresh { 0 } else { result.rows_affected() };
                fresh = true;
            }
            Either::Right(row) => {
                if fresh {
                    done.rows.clear();
                    fresh = false;
                }
                let value = read(&row, &mut done.notes);
                done.rows.push(value);
            }
        }
    }
    Ok(done)
}

fn read(row: &PgRow, notes: &mut Vec<String>) -> Value {
    let cells = row.columns().iter().enumerate().map(|(i, column)| {
        let value = row.try_get_raw(i).map_err(|e| e.to_string()).and_then(|raw| pg_read::value(&raw));
        (column.name().to_string(), value)
    });
    row_map(cells, notes)
}

fn code(e: &sqlx::Error) -> Option<String> {
    e.as_database_error()?.code().map(|c| c.to_string())
}

/// Whether the connection is gone, or the server is going.
fn is_lost(e: &sqlx::Error) -> bool {
    match code(e) {
        Some(c) => {
            ["57P01", "57P02", "57P03", "53300"].contains(&c.as_str()) || c.starts_with("08") || c.starts_with("28")
        }
        None => !matches!(e, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_)),
    }
}

/// What the server said, for people: its code, its sentence, the place in the statement, and its hint.
fn refused(e: sqlx::Error, sql: &str, address: &str) -> StepError {
    if is_lost(&e) {
        return unreachable(address, Some(e));
    }
    let sqlx::Error::Database(e) = e else { return StepError::Invalid(e.to_string()) };
    let Some(e) = e.try_downcast_ref::<PgDatabaseError>() else { return StepError::Invalid(e.message().to_string()) };
    let mut said = format!("the database refused: {} ({})", e.message(), e.code());
    if let Some(PgErrorPosition::Original(at)) = e.position() {
        let part: String = sql.chars().skip(at.saturating_sub(1)).take(40).collect();
        said = format!("{said}, at character {at}: `{}`", part.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    for (word, text) in [("detail", e.detail()), ("hint", e.hint())] {
        if let Some(text) = text {
            said = format!("{said}; {word}: {text}");
        }
    }
    StepError::Invalid(said)
}
