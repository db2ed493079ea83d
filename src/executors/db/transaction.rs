//! How the statements of an operation are grouped into a transaction.
use super::scan::Dialect;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transaction {
    /// Each statement is a transaction of its own.
    Autocommit,
    Committed,
    RolledBack,
    /// The server refuses every change. For what counts as a read in a protected environment: a `select` may call a
    /// function that writes.
    ReadOnly,
}

impl Transaction {
    /// The statements that begin it.
    pub fn begin(self, dialect: Dialect) -> Option<&'static str> {
        use Dialect::{Mysql, Postgres, Sqlite};
        match (self, dialect) {
            (Transaction::Autocommit, _) => None,
            (Transaction::ReadOnly, Postgres) => Some("begin read only"),
            (Transaction::ReadOnly, Mysql) => Some("start transaction read only"),
            (Transaction::ReadOnly, Sqlite) => Some("pragma query_only = on; begin"),
            (_, Postgres | Mysql) => Some("begin"),
            // `immediate` waits for the write lock. Otherwise two transactions that read first and then write fail
            // without waiting. The `select` makes the connection notice altered tables.
            (_, Sqlite) => Some("begin immediate; select 1 from sqlite_master limit 0"),
        }
    }

    /// The statements that end it after all of its statements succeeded.
    pub fn end(self, dialect: Dialect) -> Option<&'static str> {
        if self == Transaction::Committed { Some("commit") } else { self.cancel(dialect) }
    }

    /// The statements that end it without an effect.
    pub fn cancel(self, dialect: Dialect) -> Option<&'static str> {
        match (self, dialect) {
            (Transaction::Autocommit, _) => None,
            (Transaction::ReadOnly, Dialect::Sqlite) => Some("rollback; pragma query_only = off"),
            _ => Some("rollback"),
        }
    }
}
