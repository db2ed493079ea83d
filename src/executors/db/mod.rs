//! The verb `db`: runs one statement, a transaction or a file of SQL on PostgreSQL, MySQL, MariaDB or SQLite.
//!
//! | File | Content |
//! |---|---|
//! | `body` | parses and checks the YAML body of an action |
//! | `scan` | SQL lexer: where a placeholder is, where a statement ends, whether it changes data |
//! | `bound_statement` | a statement with bind parameters and their values |
//! | `action` | the action: renders statements, runs them, builds output and evidence |
//! | `execute` | runs statements on any server: lease, transaction, rows, errors |
//! | `transaction` | how statements are grouped into a transaction |
//! | `database` | the open target: a connection pool, which cancels abandoned statements on the server |
//! | `cell` | the values of a row |
//! | `relay` | passes the bytes of a connection, and ends one whose server sends too much |
//! | `files` | which files statements of SQLite open |
//! | `server` | the traits that each kind of server implements |
//! | `postgres`, `mysql`, `sqlite` | one kind of server each: connecting, encoding, decoding |
//! | `address` | parses a database URL or path |
//! | `connect_error` | messages for failed connections |
//! | `target` | the target's entry in an environment; connects it |
//! | `probe` | `doctor`: checks table privileges |
//! | `literal` | values as SQL literals, for the command line in the evidence |
//!
//! Values are always bound, never inserted into the SQL text. Must not import another verb, the engine or reports.
mod action;
mod address;
mod body;
mod bound_statement;
mod cell;
mod connect_error;
mod database;
mod execute;
mod files;
mod literal;
mod mysql;
mod postgres;
mod probe;
mod relay;
mod scan;
mod server;
mod sqlite;
mod target;
mod too_large;
mod transaction;

use crate::{
    executor::{Action, Body, Executor, TargetSpec},
    language::Key,
    value::ValueKind,
};

pub struct Db;

impl Executor for Db {
    fn verb(&self) -> &'static str {
        "db"
    }

    fn fields(&self) -> &'static [&'static str] {
        action::FIELDS
    }

    fn manual(&self) -> &'static str {
        include_str!("../../../docs/verbs/db.md")
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[body::KEYS]
    }

    fn target_keys(&self) -> &'static [&'static [Key]] {
        &[target::KEYS]
    }

    fn kind_of(&self, field: &str) -> Option<ValueKind> {
        Some(match field {
            "rows" => ValueKind::List,
            "affected" => ValueKind::Number,
            _ => return None,
        })
    }

    fn compile(&self, body: &mut Body<'_>) -> Option<Box<dyn Action>> {
        Some(Box::new(body::compile(body)?))
    }

    fn target(&self, body: &mut Body<'_>) -> Option<Box<dyn TargetSpec>> {
        Some(Box::new(target::DatabaseSpec::compile(body)?))
    }
}
