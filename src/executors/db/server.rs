//! The traits that PostgreSQL, MySQL and SQLite implement, for everything that differs between them. Used by `execute`
//! and `probe`.
use super::{
    bound_statement::BoundStatement,
    scan::{Dialect, Statement},
};
use crate::value::Value;
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use sqlx::{Either, error::BoxDynError};
use std::time::Duration;

pub type SqlxResult<T> = Result<T, sqlx::Error>;

/// The value of one column of a row.
pub type Cell = Result<Value, DecodeError>;

/// A value that cannot be decoded. The error's text takes the value's place in the output.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The type is unsupported or its bytes are malformed.
    #[error("\\x{}", hex::encode(.0))]
    Undecoded(Vec<u8>),
    #[error("{0}")]
    Library(BoxDynError),
}

impl DecodeError {
    pub fn library(e: impl Into<BoxDynError>) -> Self {
        DecodeError::Library(e.into())
    }
}

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
    Server(sqlx::Error),
    /// The statement was not sent; the text says why.
    NotSent(String),
}

impl From<sqlx::Error> for StatementError {
    fn from(e: sqlx::Error) -> Self {
        StatementError::Server(e)
    }
}

/// How an error of a statement affects its connection.
pub enum ErrorClass {
    /// The connection is closed, or was refused.
    ConnectionLost,
    /// The prepared statement is out of date and was not executed.
    StaleStatement,
    /// The server rejected the statement; its message, with the error code.
    Rejected(String),
}

/// One kind of server at one address. Stateless: an open connection is a `Session`.
#[async_trait]
pub trait Server: Send + Sync {
    fn dialect(&self) -> Dialect;
    /// A query for the server's name and version.
    fn version_query(&self) -> &'static str;
    async fn connect(&self) -> SqlxResult<Box<dyn Session>>;
    /// The bind parameter with this index, from 0.
    fn parameter(&self, index: usize) -> String;
    /// The statement that begins a transaction.
    fn begin(&self) -> &'static str;
    /// Whether a statement can be part of a transaction.
    fn is_transactional(&self, _: &Statement<'_>) -> bool {
        true
    }
    fn classify(&self, e: &sqlx::Error, sql: &str) -> ErrorClass;
    /// The error code of the server's documentation.
    fn error_code(&self, e: &sqlx::Error) -> Option<String>;
    /// A value as SQL literal, for the evidence only.
    fn literal(&self, value: &Value) -> String;
    /// A shell command that runs the same with the server's own client; a file is run in a transaction
    /// (except by SQLite's client).
    fn client_command(&self, input: ClientInput<'_>) -> String;
}

pub enum ClientInput<'a> {
    Sql(&'a str),
    File(&'a str),
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
