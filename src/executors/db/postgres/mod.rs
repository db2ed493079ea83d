//! PostgreSQL. Each statement is prepared first, so that the server says which types its placeholders have.
mod read;
mod write;

use super::{
    address::Wire,
    bound::Bound,
    literal,
    scan::{Dialect, Scanner, Statement},
    server::{Answer, ByHand, Cell, Failed, Ran, Server, Session, Verdict, answer},
    target::named_file,
    trouble::{Place, Tls},
};
use crate::{executor::shell_word, value::Value};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column, ConnectOptions, Connection, Either, Executor, PgConnection, Row, SqlSafeStr,
    Statement as _, TypeInfo,
    postgres::{
        PgArguments, PgConnectOptions, PgDatabaseError, PgErrorPosition, PgQueryResult, PgRow, PgSslMode, PgStatement,
    },
};
use std::{path::Path, str::FromStr, time::Duration};
use write::{Misfit, Param};

pub struct Postgres {
    options: PgConnectOptions,
    /// For its own client.
    shown: String,
}

impl Postgres {
    /// # Errors
    /// An option has a value that it cannot have.
    pub fn new(wire: &Wire, dir: &Path, shown: &str) -> Result<(Postgres, Place), String> {
        let mut options = PgConnectOptions::from_str(&wire.url).map_err(|e| e.to_string())?;
        options = options.application_name("tp-runner").disable_statement_logging();
        if let Some(path) = &wire.ca {
            options = options.ssl_root_cert(named_file(dir, "sslrootcert", path)?);
        }
        if let Some(path) = &wire.certificate {
            options = options.ssl_client_cert(named_file(dir, "sslcert", path)?);
        }
        if let Some(path) = &wire.key {
            options = options.ssl_client_key(named_file(dir, "sslkey", path)?);
        }
        let mode = match options.get_ssl_mode() {
            PgSslMode::Require => "sslmode=require",
            PgSslMode::VerifyCa => "sslmode=verify-ca",
            PgSslMode::VerifyFull => "sslmode=verify-full",
            _ => "sslmode",
        };
        let place = Place {
            address: shown.into(),
            at: match options.get_socket() {
                Some(folder) => folder.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
            user: options.get_username().into(),
            database: options.get_database().unwrap_or(options.get_username()).into(),
            has_password: wire.password.is_some(),
            tls: Tls { mode: mode.into(), ca: "sslrootcert", certificate: "sslcert` and `sslkey" },
        };
        Ok((Postgres { options, shown: shown.into() }, place))
    }
}

#[async_trait]
impl Server for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn version(&self) -> &'static str {
        "select 'PostgreSQL ' || current_setting('server_version')"
    }

    async fn connect(&self) -> Ran<Box<dyn Session>> {
        let mut connection = self.options.connect().await?;
        let process = connection.fetch_one("select pg_backend_pid()").await?.try_get(0)?;
        Ok(Box::new(Open { connection, process, options: self.options.clone(), statement: None }))
    }

    fn placeholder(&self, index: usize) -> String {
        format!("${}", index + 1)
    }

    fn begin(&self) -> &'static str {
        "begin"
    }

    fn verdict(&self, e: &sqlx::Error, sql: &str) -> Verdict {
        if is_lost(e) {
            return Verdict::Lost;
        }
        let sqlx::Error::Database(db) = e else { return Verdict::Refused(e.to_string()) };
        let Some(e) = db.try_downcast_ref::<PgDatabaseError>() else { return Verdict::Refused(db.message().into()) };
        // The table was altered since the statement was first prepared.
        if e.code() == "0A000" && e.message().contains("cached plan") {
            return Verdict::Stale;
        }
        Verdict::Refused(refused(e, sql))
    }

    fn code(&self, e: &sqlx::Error) -> Option<String> {
        code(e)
    }

    fn literal(&self, value: &Value) -> String {
        literal::postgres(value)
    }

    fn by_hand(&self, what: ByHand<'_>) -> String {
        let address = shell_word(&self.shown);
        match what {
            ByHand::Sql(sql) => format!("psql {address} -c {}", shell_word(sql)),
            ByHand::File(path) => format!("psql {address} -1 -f {}", shell_word(path)),
        }
    }
}

/// Asked all the same, the server would wait for data that never comes.
const NO_COPY: &str = "`copy` from `stdin` or to `stdout` is for a client like psql; write `insert` and `select`";

/// One connection.
struct Open {
    connection: PgConnection,
    /// The server's process for it.
    process: i32,
    options: PgConnectOptions,
    /// The one that is being performed.
    statement: Option<PgStatement>,
}

#[async_trait]
impl Session for Open {
    async fn plain(&mut self, sql: &'static str) -> Ran<()> {
        self.connection.execute(sql).await.map(drop)
    }

    async fn ask<'s>(&'s mut self, bound: &'s Bound, sql: String) -> Result<(Answer<'s>, Vec<String>), Failed> {
        if bound.statement().copies() {
            return Err(Failed::Value(NO_COPY.into()));
        }
        let (statement, arguments, notes) = match prepared(&mut self.connection, bound, sql.clone()).await {
            // Nothing was performed yet, and a script gives every type as text.
            Err(Failed::Server(e)) if is_beyond_the_library(&e) => match bound.values.is_empty() {
                true => {
                    return Ok((
                        self.script(sql),
                        vec!["columns read as text: a type that cannot be described".into()],
                    ));
                }
                false => {
                    return Err(Failed::Value(
                        "a type in this statement cannot be described; cast it: `x::text`".into(),
                    ));
                }
            },
            prepared => prepared?,
        };
        let statement = self.statement.insert(statement);
        let stream = self.connection.fetch_many(statement.query_with(arguments));
        Ok((answer(stream, PgQueryResult::rows_affected, cells), notes))
    }

    fn script(&mut self, sql: String) -> Answer<'_> {
        let mut scanner = Scanner::new(Dialect::Postgres);
        scanner.text(&sql);
        if Statement(&scanner.code).copies() {
            return stream::once(async { Err(sqlx::Error::InvalidArgument(NO_COPY.into())) }).boxed();
        }
        answer(self.connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql))), PgQueryResult::rows_affected, cells)
    }

    async fn wake(&mut self, _: Duration, changes: bool) -> Ran<()> {
        if changes { self.connection.ping().await } else { Ok(()) }
    }

    async fn forget(&mut self) -> Ran<()> {
        self.connection.clear_cached_statements().await
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let (options, process) = (self.options.clone(), self.process);
        async move {
            let Ok(mut other) = options.connect().await else { return };
            let _ = sqlx::query("select pg_cancel_backend($1)").bind(process).execute(&mut other).await;
            let _ = other.close().await;
        }
        .boxed()
    }

    async fn close(self: Box<Self>) {
        let _ = self.connection.close().await;
    }
}

/// The library fails over kinds of types that came after it, such as multiranges.
fn is_beyond_the_library(e: &sqlx::Error) -> bool {
    matches!(e, sqlx::Error::ColumnDecode { index, .. } if index.contains("typtype"))
}

async fn prepare(c: &mut PgConnection, sql: String) -> Ran<PgStatement> {
    c.prepare(AssertSqlSafe(sql).into_sql_str()).await
}

/// The statement with each value in the form that the server wants, and what of its columns comes as text.
async fn prepared(
    c: &mut PgConnection,
    bound: &Bound,
    mut sql: String,
) -> Result<(PgStatement, PgArguments, Vec<String>), Failed> {
    let mut statement = prepare(c, sql.clone()).await?;
    let types = match statement.parameters() {
        Some(Either::Left(types)) => types.to_vec(),
        _ => vec![],
    };
    if types.len() != bound.values.len() {
        let (had, has) = (bound.values.len(), types.len());
        return Err(Failed::Value(format!("the statement has {has} placeholders, but {had} values are bound")));
    }
    let mut arguments = PgArguments::default();
    let mut casts = vec![];
    for (i, (value, ty)) in bound.values.iter().zip(&types).enumerate() {
        let param = match Param::new(value, ty) {
            Ok(param) => param,
            Err(Misfit::Cast) => {
                casts.push(i);
                Param::text(value)
            }
            Err(Misfit::Wrong(why)) => {
                let (number, name) = (i + 1, ty.name());
                return Err(Failed::Value(format!("parameter ${number} ({name}): `{value}` does not fit: {why}")));
            }
        };
        arguments.add(param).map_err(|e| Failed::Value(e.to_string()))?;
    }
    if !casts.is_empty() {
        sql = bound.sql(|i, _| match casts.contains(&i) {
            true => format!("(${}::text)::{}", i + 1, types[i].name()),
            false => format!("${}", i + 1),
        });
        statement = prepare(c, sql.clone()).await?;
    }
    let strange: Vec<String> = statement
        .columns()
        .iter()
        .filter(|col| !read::known(col.type_info()))
        .map(|col| format!("{} ({})", col.name(), col.type_info().name()))
        .collect();
    if strange.is_empty() {
        return Ok((statement, arguments, vec![]));
    }
    // Types that we cannot read are asked for as text. Decided before anything is executed: a statement runs once.
    if let Some(wrapped) = as_text(&sql, &statement) {
        // Within a transaction a refusal would end it; outside of one there is nothing to be saved.
        let saved = c.execute("savepoint tp_runner").await.is_ok();
        match prepare(c, wrapped).await {
            Ok(other) => statement = other,
            Err(_) if saved => c.execute("rollback to savepoint tp_runner").await.map(drop)?,
            Err(_) => {}
        }
        if saved {
            c.execute("release savepoint tp_runner").await?;
        }
    }
    Ok((statement, arguments, vec![format!("columns read as text: {}", strange.join(", "))]))
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
            let cast = if read::known(col.type_info()) { "" } else { "::text" };
            format!("{n}{cast} as \"{}\"", col.name().replace('"', "\"\""))
        })
        .collect();
    let sql = sql.trim_end().trim_end_matches(';');
    Some(format!("with q({}) as ({sql}\n) select {} from q", names.join(", "), outer.join(", ")))
}

fn cells(row: &PgRow) -> Vec<(String, Cell)> {
    let cells = row.columns().iter().enumerate().map(|(i, column)| {
        let cell = row.try_get_raw(i).map_err(|e| e.to_string()).and_then(|raw| read::value(&raw));
        (column.name().to_string(), cell)
    });
    cells.collect()
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
        None => !matches!(
            e,
            sqlx::Error::InvalidArgument(_)
                | sqlx::Error::Decode(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Encode(_)
        ),
    }
}

/// What the server said, for people: its code, its sentence, the place in the statement, and its hint.
fn refused(e: &PgDatabaseError, sql: &str) -> String {
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
    said
}
