//! The traits that PostgreSQL, MySQL and SQLite implement, for everything that differs between them. Used by `execute`
//! and `probe`.
use super::{bound_statement::BoundStatement, cell::Cell, connect_error::ServerAddress, scan::Dialect};
use crate::{shell::shell_word, value::Value};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use sqlx::{Either, error::BoxDynError};
use std::time::Duration;

pub type SqlxResult<T> = Result<T, sqlx::Error>;

/// A server that is not connected yet. Fails if an option of its address is invalid.
pub type Opened = Result<(Box<dyn Server>, ServerAddress), BoxDynError>;

/// One item of a server's response.
pub enum StreamItem {
    /// Column names and values, in order.
    Row(Vec<(String, Cell)>),
    /// The end of one statement, with the number of rows it changed or returned.
    StatementEnd(u64),
}

pub type ResultStream<'s> = BoxStream<'s, SqlxResult<StreamItem>>;

/// Why a statement failed.
pub enum StatementError {
    /// The server's error, and the SQL that its position refers to.
    Server(sqlx::Error, String),
    /// The statement was not sent; the text says why.
    NotSent(String),
}

impl From<sqlx::Error> for StatementError {
    fn from(e: sqlx::Error) -> Self {
        StatementError::Server(e, String::new())
    }
}

/// How an error of a statement affects its connection.
pub enum ErrorClass {
    /// The connection is closed, or was refused.
    ConnectionLost,
    /// The connection was closed because the server sent too much; the text says so.
    TooLarge(String),
    /// The prepared statement is out of date and was not executed.
    StaleStatement,
    /// The server rejected the statement; its message, with the error code.
    Rejected(String),
}

impl Dialect {
    /// A query for the server's name and version.
    pub fn version_query(self) -> &'static str {
        match self {
            Dialect::Postgres => "select 'PostgreSQL ' || current_setting('server_version')",
            Dialect::Mysql => "select concat(if(version() like '%MariaDB%', 'MariaDB ', 'MySQL '), version())",
            Dialect::Sqlite => "select 'SQLite ' || sqlite_version()",
        }
    }

    /// The bind parameter with this index, from 0.
    pub fn parameter(self, index: usize) -> String {
        match self {
            Dialect::Postgres => format!("${}", index + 1),
            Dialect::Mysql => "?".into(),
            Dialect::Sqlite => format!("?{}", index + 1),
        }
    }
}

/// One kind of server at one address. Stateless: an open connection is a `Session`.
#[async_trait]
pub trait Server: Send + Sync {
    fn dialect(&self) -> Dialect;
    async fn connect(&self) -> SqlxResult<Box<dyn Session>>;
    fn classify(&self, e: &sqlx::Error, sql: &str) -> ErrorClass;
    /// A shell command that runs the same with the server's own client; a file is run in a transaction.
    fn client_command(&self, input: ClientInput<'_>) -> String;
}

pub enum ClientInput<'a> {
    Sql(&'a str),
    File(&'a str),
}

/// The command that runs a file in one transaction, for clients that stop at the first error. The file may end with a
/// comment, so `commit` is on a line of its own.
pub fn file_in_transaction(path: &str, client: &str) -> String {
    format!("(echo 'begin;'; cat {}; echo; echo '; commit;') | {client}", shell_word(path))
}

/// One connection.
#[async_trait]
pub trait Session: Send {
    /// Runs a statement without parameters and ignores its rows: `begin`.
    async fn execute(&mut self, sql: &'static str) -> SqlxResult<()>;
    /// Runs one statement with its parameters. Returns the response, and notes for the evidence.
    async fn run_statement<'s>(
        &'s mut self,
        bound: &'s BoundStatement,
        sql: String,
    ) -> Result<(ResultStream<'s>, Vec<String>), StatementError>;
    /// Runs any number of statements, without parameters.
    fn run_script(&mut self, sql: String) -> ResultStream<'_>;
    /// Prepares an idle connection for its next statement; an error if it has died. `changes`: whether the statement
    /// may change data.
    async fn revalidate(&mut self, idle_time: Duration, changes: bool) -> SqlxResult<()>;
    async fn clear_statement_cache(&mut self) -> SqlxResult<()> {
        Ok(())
    }
    /// The number of rows changed since connecting, for a server whose `StatementEnd`s in a script are unreliable.
    async fn total_changes(&mut self) -> SqlxResult<Option<u64>> {
        Ok(None)
    }
    /// Cancels the running statement on the server, from outside of the connection.
    fn cancel(&self) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
    async fn close(self: Box<Self>);
}

/// Converts a stream of the library.
pub fn result_stream<'s, Q: 's, R: 's>(
    stream: BoxStream<'s, SqlxResult<Either<Q, R>>>,
    affected: impl Fn(&Q) -> u64 + Send + 's,
    decode: impl Fn(&R) -> Vec<(String, Cell)> + Send + 's,
) -> ResultStream<'s> {
    stream
        .map_ok(move |item| match item {
            Either::Left(end) => StreamItem::StatementEnd(affected(&end)),
            Either::Right(row) => StreamItem::Row(decode(&row)),
        })
        .boxed()
}

/// Binds all values with `bind`, for servers whose parameters have no declared type.
pub fn bind_all<A: Default>(
    values: &[Value],
    bind: fn(&mut A, &Value) -> Result<(), BoxDynError>,
) -> Result<A, StatementError> {
    let mut arguments = A::default();
    for (i, value) in values.iter().enumerate() {
        bind(&mut arguments, value).map_err(|e| StatementError::NotSent(format!("parameter ?{}: {e}", i + 1)))?;
    }
    Ok(arguments)
}
