//! Runs statements on any server: leases a connection, handles the transaction, collects rows and counts, and reacts to
//! errors.
use super::{
    bound_statement::BoundStatement,
    cell::Cell,
    database::{Database, Lease},
    scan::Dialect,
    server::{ErrorClass, ResultStream, Server, Session, SqlxResult, StatementError, StreamItem},
    transaction::Transaction,
};
use crate::{
    executor::{
        ActionError,
        limits::{self, size},
    },
    value::{Map, Value},
};
use futures::TryStreamExt;

/// An operation with all values bound.
pub struct BoundOperation {
    pub sql: BoundSql,
    pub transaction: Transaction,
}

pub enum BoundSql {
    Statements(Vec<BoundStatement>),
    /// The text of a file.
    Script(String),
}

impl BoundOperation {
    fn statements(&self) -> &[BoundStatement] {
        if let BoundSql::Statements(statements) = &self.sql { statements } else { &[] }
    }

    /// Whether it may change data, so that it must not be sent twice.
    fn changes(&self) -> bool {
        match self.transaction {
            Transaction::Committed | Transaction::RolledBack => true,
            Transaction::Autocommit | Transaction::ReadOnly => self.statements().iter().any(|b| b.changes),
        }
    }
}

#[derive(Default)]
pub struct ResultSet {
    /// The rows of the last statement; of a script, the rows of the last statement that returned any.
    pub rows: Vec<Value>,
    /// What they take in memory.
    bytes: usize,
    /// How many more rows were received and not kept, because of the limit.
    dropped: u64,
    pub affected: u64,
    /// The part of `affected` from statements that returned rows: in a script, changed and selected rows are counted
    /// alike.
    returned: u64,
    pub notes: Vec<String>,
}

/// Runs an operation and returns its connection to the pool. `mark_sent` is called before it is sent.
pub async fn execute(
    db: &Database,
    operation: &BoundOperation,
    mark_sent: impl FnOnce(),
) -> Result<ResultSet, ActionError> {
    let server = &*db.server;
    if operation.transaction != Transaction::Autocommit
        && server.dialect() == Dialect::Mysql
        && let Some(bound) = operation.statements().iter().find(|b| b.statement().commits_implicitly())
    {
        return Err(ActionError::Invalid(format!(
            "`{}` is not allowed in a transaction: this server commits before and after it, so nothing could be rolled back",
            bound.statement().first_keyword()
        )));
    }
    let mut lease = lease_alive(db, operation.changes()).await?;
    mark_sent();
    let mut result = run_operation(lease.session(), server, operation, db.limit).await;
    if let Err(StatementError::Server(e, _)) = &result
        && !operation.changes()
    {
        match server.classify(e, "") {
            // The connection died while it was idle. Reads can be repeated; for changes `lease_alive` has checked the
            // connection.
            ErrorClass::ConnectionLost if lease.idle_time.is_some() => {
                lease.discard();
                db.clear().await;
                lease = db.lease().await?;
                result = run_operation(lease.session(), server, operation, db.limit).await;
            }
            // The error has aborted the transaction.
            ErrorClass::StaleStatement if operation.transaction == Transaction::ReadOnly => {
                let session = lease.session();
                result = match prepare_again(session, server, operation).await {
                    Ok(()) => run_operation(session, server, operation, db.limit).await,
                    Err(e) => Err(e.into()),
                };
            }
            _ => {}
        }
    }
    match result {
        Ok(result_set) => {
            lease.release();
            Ok(result_set)
        }
        Err(e) => Err(finish_failed(lease, db, operation, e).await),
    }
}

/// Leases a connection that is alive. A change must not be sent on a connection that may break: whether it took effect
/// would be unknown, and it could not be repeated.
async fn lease_alive(db: &Database, changes: bool) -> Result<Lease<'_>, ActionError> {
    loop {
        let mut lease = db.lease().await?;
        if let Some(idle_time) = lease.idle_time
            && lease.session().revalidate(idle_time, changes).await.is_err()
        {
            lease.discard();
            db.clear().await;
            continue;
        }
        return Ok(lease);
    }
}

/// Converts the error, rolls back, and keeps the connection if it is still usable.
async fn finish_failed(
    mut lease: Lease<'_>,
    db: &Database,
    operation: &BoundOperation,
    error: StatementError,
) -> ActionError {
    let error = match error {
        StatementError::NotSent(reason) => ActionError::Invalid(reason),
        StatementError::Server(e, sql) => match db.server.classify(&e, &sql) {
            ErrorClass::Rejected(message) => ActionError::Invalid(message),
            ErrorClass::StaleStatement => ActionError::Invalid(e.to_string()),
            ErrorClass::TooLarge(message) => {
                lease.discard();
                return ActionError::Invalid(message);
            }
            ErrorClass::ConnectionLost => {
                lease.discard();
                return db.address.connect_error(&e);
            }
        },
    };
    let cancelled = match operation.transaction.cancel(db.server.dialect()) {
        Some(sql) => lease.session().execute(sql).await,
        None => Ok(()),
    };
    match cancelled {
        Ok(()) => lease.release(),
        Err(_) => lease.discard(),
    }
    error
}

/// Ends a transaction that a stale prepared statement has aborted, and forgets the statement.
async fn prepare_again(session: &mut dyn Session, server: &dyn Server, operation: &BoundOperation) -> SqlxResult<()> {
    if let Some(cancel) = operation.transaction.cancel(server.dialect()) {
        session.execute(cancel).await?;
    }
    session.clear_statement_cache().await
}

async fn run_operation(
    session: &mut dyn Session,
    server: &dyn Server,
    operation: &BoundOperation,
    limit: usize,
) -> Result<ResultSet, StatementError> {
    if let Some(begin) = operation.transaction.begin(server.dialect()) {
        session.execute(begin).await?;
    }
    let mut all = ResultSet::default();
    match &operation.sql {
        BoundSql::Script(sql) => {
            all = run_script(session, sql, limit).await.map_err(|e| StatementError::Server(e, sql.clone()))?;
        }
        BoundSql::Statements(statements) => {
            for bound in statements {
                let retry_stale = operation.transaction == Transaction::Autocommit;
                let last = run_statement(session, server, bound, retry_stale, limit).await?;
                (all.rows, all.dropped) = (last.rows, last.dropped);
                all.affected += last.affected;
                all.notes.extend(last.notes);
            }
        }
    }
    if let Some(end) = operation.transaction.end(server.dialect()) {
        session.execute(end).await?;
    }
    Ok(all)
}

/// Runs one statement. Outside of a transaction, a stale prepared statement is prepared and sent once more.
async fn run_statement(
    session: &mut dyn Session,
    server: &dyn Server,
    bound: &BoundStatement,
    retry_stale: bool,
    limit: usize,
) -> Result<ResultSet, StatementError> {
    let sql = bound.sql(|i, _| server.dialect().parameter(i));
    let mut result = run_once(session, bound, &sql, limit).await;
    if let Err(StatementError::Server(e, _)) = &result
        && retry_stale
        && matches!(server.classify(e, ""), ErrorClass::StaleStatement)
    {
        session.clear_statement_cache().await?;
        result = run_once(session, bound, &sql, limit).await;
    }
    let mut result_set = result.map_err(|e| match e {
        StatementError::Server(e, _) => StatementError::Server(e, sql),
        not_sent => not_sent,
    })?;
    // Some servers also count the rows of a `select`.
    result_set.affected = if bound.changes { result_set.affected } else { 0 };
    Ok(result_set)
}

async fn run_once(
    session: &mut dyn Session,
    bound: &BoundStatement,
    sql: &str,
    limit: usize,
) -> Result<ResultSet, StatementError> {
    let (stream, notes) = session.run_statement(bound, sql.to_string()).await?;
    let mut result_set = collect(stream, limit).await?;
    result_set.notes.extend(notes);
    Ok(result_set)
}

async fn run_script(session: &mut dyn Session, sql: &str, limit: usize) -> SqlxResult<ResultSet> {
    let before = session.total_changes().await?;
    let mut result_set = collect(session.run_script(sql.to_string()), limit).await?;
    result_set.affected = match (before, session.total_changes().await?) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => result_set.affected - result_set.returned,
    };
    Ok(result_set)
}

/// Reads a response to its end, and keeps the first rows, up to `limit` bytes of memory.
async fn collect(mut stream: ResultStream<'_>, limit: usize) -> SqlxResult<ResultSet> {
    let mut result_set = ResultSet::default();
    let mut is_first_row = true;
    while let Some(item) = stream.try_next().await? {
        match item {
            StreamItem::StatementEnd(affected) => {
                result_set.affected += affected;
                result_set.returned += if is_first_row { 0 } else { affected };
                is_first_row = true;
            }
            StreamItem::Row(cells) => {
                if is_first_row {
                    result_set.rows.clear();
                    (result_set.bytes, result_set.dropped) = (0, 0);
                    is_first_row = false;
                }
                if result_set.dropped > 0 {
                    result_set.dropped += 1;
                    continue;
                }
                let row = row_to_map(cells, &mut result_set.notes);
                result_set.bytes += row.memory();
                match result_set.bytes <= limit {
                    true => result_set.rows.push(row),
                    false => result_set.dropped = 1,
                }
            }
        }
    }
    Ok(result_set)
}

impl ResultSet {
    /// The rows as a plan reads them.
    pub fn into_rows(self, limit: usize) -> Value {
        let rows = Value::list(self.rows);
        match self.dropped {
            0 => rows,
            dropped => {
                let reason =
                    format!("{dropped} more rows were not kept: the result takes more than {} of memory", size(limit));
                Value::partial(rows, format!("{reason} (`limit`)"))
            }
        }
    }
}

/// Runs a query without parameters and returns the first column of its first row as text.
pub async fn query_text(session: &mut dyn Session, sql: &str) -> SqlxResult<Option<String>> {
    let result_set = collect(session.run_script(sql.to_string()), limits::ROWS_BYTES).await?;
    let first = result_set.rows.first().and_then(|r| r.as_map()?.values().next().cloned());
    Ok(first.map(|v| v.to_string()))
}

/// Converts a row to a map. Adds a note for undecoded values. A name that several columns have is unset.
fn row_to_map(cells: Vec<(String, Cell)>, notes: &mut Vec<String>) -> Value {
    let mut note = |text: String| {
        if !notes.contains(&text) {
            notes.push(text);
        }
    };
    let mut map = Map::with_capacity(cells.len());
    for (name, cell) in cells {
        let value = cell.unwrap_or_else(|e| {
            note(format!("cannot decode the type of column `{name}`: it is shown as received"));
            Value::from(e)
        });
        let value = match map.contains_key(&name) {
            true => Value::unset(format!("the result has several columns `{name}`: name them differently with `as`")),
            false => value,
        };
        map.insert(name, value);
    }
    Value::from(map)
}
