//! What a database server must bring: everything in which PostgreSQL, MySQL and SQLite differ, and nothing in which they do not.
//! `flow` is the one user of it. Knows no plan, no pool and no evidence.
use super::{
    bound::Bound,
    scan::{Dialect, Statement},
};
use crate::value::Value;
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use sqlx::Either;
use std::time::Duration;

pub type Ran<T> = Result<T, sqlx::Error>;

/// One column of a row; `Err` with its bytes' own words where they cannot be read.
pub type Cell = Result<Value, String>;

/// What comes back, piece by piece.
pub enum Came {
    /// Names and values, in order.
    Row(Vec<(String, Cell)>),
    /// One statement ended, and says how many rows it changed or gave.
    End(u64),
}

pub type Answer<'s> = BoxStream<'s, Ran<Came>>;

/// Why a statement gave nothing.
pub enum Failed {
    Server(sqlx::Error),
    /// It was not sent: a value is none of the type that the server wants.
    Value(String),
}

impl From<sqlx::Error> for Failed {
    fn from(e: sqlx::Error) -> Self {
        Failed::Server(e)
    }
}

/// What an error of a statement means.
pub enum Verdict {
    /// The connection is gone, or was refused.
    Lost,
    /// It was refused for what the connection remembered from before, and not performed.
    Stale,
    /// The server's sentence, with its code.
    Refused(String),
}

/// One kind of server at one address. Stateless: what is open is a `Session`.
#[async_trait]
pub trait Server: Send + Sync {
    fn dialect(&self) -> Dialect;
    /// A query that gives its name and version.
    fn version(&self) -> &'static str;
    async fn connect(&self) -> Ran<Box<dyn Session>>;
    /// The placeholder of the value with this number, from 0.
    fn placeholder(&self, index: usize) -> String;
    /// Begins a transaction.
    fn begin(&self) -> &'static str;
    /// Whether a statement stays within its transaction.
    fn keeps_transactions(&self, _: &Statement<'_>) -> bool {
        true
    }
    fn verdict(&self, e: &sqlx::Error, sql: &str) -> Verdict;
    /// The number or name that the server's own pages give to an error.
    fn code(&self, e: &sqlx::Error) -> Option<String>;
    /// A value as it is written in SQL: for people, never sent.
    fn literal(&self, value: &Value) -> String;
    /// A line for a shell that performs statements, or a file in a transaction, with the server's own client.
    fn by_hand(&self, what: ByHand<'_>) -> String;
}

pub enum ByHand<'a> {
    Sql(&'a str),
    File(&'a str),
}

/// One connection.
#[async_trait]
pub trait Session: Send {
    /// Performs what has no values and whose answer nobody reads: `begin`.
    async fn plain(&mut self, sql: &'static str) -> Ran<()>;
    /// Performs one statement with its values. Beside the answer: what a reader should know of it.
    async fn ask<'s>(&'s mut self, bound: &'s Bound, sql: String) -> Result<(Answer<'s>, Vec<String>), Failed>;
    /// Performs any number of statements, without values.
    fn script(&mut self, sql: String) -> Answer<'_>;
    /// Makes a connection that rested fit for use; an error where it died meanwhile.
    async fn wake(&mut self, rested: Duration, changes: bool) -> Ran<()>;
    /// Forgets what it remembers of statements.
    async fn forget(&mut self) -> Ran<()> {
        Ok(())
    }
    /// How many rows it ever changed, where the ends in a script do not say it.
    async fn changed(&mut self) -> Ran<Option<u64>> {
        Ok(None)
    }
    /// Ends on the server what is being performed, from outside: nobody waits for its answer any more.
    fn stop(&self) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
    async fn close(self: Box<Self>);
}

/// What the library's stream gives, as an `Answer`.
pub fn answer<'s, Q: 's, R: 's>(
    stream: BoxStream<'s, Ran<Either<Q, R>>>,
    affected: impl Fn(&Q) -> u64 + Send + 's,
    read: impl Fn(&R) -> Vec<(String, Cell)> + Send + 's,
) -> Answer<'s> {
    stream
        .map_ok(move |step| match step {
            Either::Left(end) => Came::End(affected(&end)),
            Either::Right(row) => Came::Row(read(&row)),
        })
        .boxed()
}
