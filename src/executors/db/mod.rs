//! The verb `db`: one statement, a transaction, or a file of SQL, against PostgreSQL or SQLite.
//!
//! | File | Owns |
//! |---|---|
//! | `body` | what a plan may write under the verb |
//! | `scan` | as much of SQL's grammar as is needed to tell where a hole stands |
//! | `bound` | a statement with placeholders and the values for them |
//! | `act` | performing, what an output looks like, evidence |
//! | `target` | what an environment may write; the open target |
//! | `pool` | connections that are kept |
//! | `pg`, `pg_write`, `pg_read` | PostgreSQL: running, values to the wire, values from it |
//! | `lite` | SQLite |
//! | `literal` | values as SQL literals and shell words, for the line that does the same by hand |
//!
//! Values are bound and never pasted. Knows no other verb, and neither the engine nor reports.
mod act;
mod body;
mod bound;
mod lite;
mod literal;
mod pg;
mod pg_read;
mod pg_write;
mod pool;
mod scan;
mod target;

use crate::executor::{Action, Body, Executor, TargetSpec};

pub struct Db;

impl Executor for Db {
    fn verb(&self) -> &'static str {
        "db"
    }

    fn manual(&self) -> &'static str {
        include_str!("manual.md")
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(body::compile(body)?))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(target::Spec::compile(body)?))
    }
}
