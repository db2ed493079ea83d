//! The verb `db`: one statement, a transaction, or a file of SQL, against PostgreSQL, MySQL, MariaDB or SQLite.
//!
//! | File | Owns |
//! |---|---|
//! | `body` | what a plan may write under the verb |
//! | `scan` | as much of SQL's grammar as is needed to tell where a hole stands |
//! | `bound` | a statement with placeholders and the values for them |
//! | `act` | the action: evidence, and what an output looks like |
//! | `flow` | performing on any server: connection, transaction, rows, errors |
//! | `pool` | connections that are kept, and ending on the server what nobody waits for any more |
//! | `server` | what a server must bring: the one seam between those above and those below |
//! | `postgres`, `mysql`, `sqlite` | one server each: connecting, values to the wire and from it |
//! | `address` | the address of a database as people write it |
//! | `trouble` | sentences for a database that could not be asked |
//! | `target` | what an environment may write; the open target |
//! | `probe` | what `doctor` asks: may we do with the tables what the plan does? |
//! | `literal` | values as SQL literals, for the line that does the same by hand |
//!
//! Values are bound and never pasted. Knows no other verb, and neither the engine nor reports.
mod act;
mod address;
mod body;
mod bound;
mod flow;
mod literal;
mod mysql;
mod pool;
mod postgres;
mod probe;
mod scan;
mod server;
mod sqlite;
mod target;
mod trouble;

use crate::executor::{Action, Body, Executor, TargetSpec};

pub struct Db;

impl Executor for Db {
    fn verb(&self) -> &'static str {
        "db"
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/db.md")
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(body::compile(body)?))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(target::Spec::compile(body)?))
    }
}
