//! Runs statements on any server: leases a connection, handles the transaction, collects rows and counts, and reacts to
//! errors.
use super::{
    bound_statement::BoundStatement,
    database::Database,
    pool::Lease,
    server::{Cell, ErrorClass, ResultStream, Server, Session, SqlxResult, StatementError, StreamItem},
};
use crate::{
    executor::{ActionContext, ActionError},
    value::{Map, Value},
};
use futures::TryStreamExt;

/// An operation with all values bound.
pub enum BoundOperation {
    Statement(BoundStatement),
    Transaction {
        statements: Vec<BoundStatement>,
        rollback: bool,
    },
    /// The text of a file, run in one transaction.
    Script(String),
}

impl BoundOperation {
    /// Whether it may change data, so that it must not be sent twice.
    fn changes(&self) -> bool {
        match self {
            BoundOperation::Statement(bound) => bound.changes,
            BoundOperation::Transaction { .. } | BoundOperation::Script(_) => true,
        }
    }

    /// The statement that ends its transaction.
    fn end(&self) -> Option<&'static str> {
        match self {
            BoundOperation::Statement(_) => None,
            BoundOperation::Transaction { rollback: true, .. } => Some("rollback"),
            BoundOperation::Transaction { .. } | BoundOperation::Script(_) => Some("commit"),
        }
    }
}

#[derive(Default)]
pub struct ResultSet {
    /// The rows of the last statement; of a script, the rows of the last statement that returned any.
    pub rows: Vec<Value>,
    pub affected: u64,
    /// The part of `affected` from statements that returned rows: in a script, changed and selected rows are counted
    /// alike.
    returned: u64,
    pub notes: Vec<String>,
}

struct FailedStatement {
    error: StatementError,
    sql: String,
}

impl FailedStatement {
    fn new(sql: &str) -> impl FnOnce(sqlx::Error) -> FailedStatement {
        |e| FailedStatement { error: e.into(), sql: sql.to_string() }
    }
}

/// Runs an operation and returns its connection to the pool.
pub async fn execute(
    cx: &ActionContext<'_>,
    db: &Database,
    operation: &BoundOperation,
) -> Result<ResultSet, ActionError> {
    let server = db.server();
    if let BoundOperation::Transaction { statements, .. } = operation
        && let Some(bound) = statements.iter().find(|b| !server.is_transactional(&b.statement()))
    {
        return Err(ActionError::Invalid(format!(
            "`{}` is not allowed in a transaction: this server commits before and after it, so nothing could be rolled back",
            bound.statement().first_keyword()
        )));
    }
    let mut lease = lease_alive(db, operation.changes()).await?;
    cx.mark_sent();
    let mut result = run_operation(lease.session()?, server, operation).await;
    if let Err(FailedStatement { error: StatementError::Server(e), .. }) = &result
        && matches!(server.classify(e, ""), ErrorClass::ConnectionLost)
        && lease.idle_time.is_some()
        && !operation.changes()
    {
        // The connection died while it was idle. Reads can be repeated; for changes `lease_alive` has checked the
        // connection.
        lease.discard();
        db.pool.clear().await;
        lease = db.pool.lease().await.map_err(|e| db.lease_error(&e))?;
        result = run_operation(lease.session()?, server, operation).await;
    }
    match result {
        Ok(result_set) => {
            lease.release();
            Ok(result_set)
        }
        Err(failed) => Err(finish_failed(lease, db, operation, failed).await),
    }
}

/// Leases a connection that is alive. A change must not be sent on a connection that may break: whether it took effect
/// would be unknown, and it could not be repeated.
async fn lease_alive(db: &Database, changes: bool) -> Result<Lease<'_>, ActionError> {
    loop {
        let mut lease = db.pool.lease().await.map_err(|e| db.lease_error(&e))?;
        if let Some(idle_time) = lease.idle_time
            && lease.session()?.revalidate(idle_time, changes).await.is_err()
        {
            lease.discard();
            db.pool.clear().await;
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
    failed: FailedStatement,
) -> ActionError {
    let error = match failed.error {
        StatementError::NotSent(reason) => ActionError::Invalid(reason),
        StatementError::Server(e) => match db.server().classify(&e, &failed.sql) {
            ErrorClass::Rejected(message) => ActionError::Invalid(message),
            ErrorClass::StaleStatement => ActionError::Invalid(e.to_string()),
            ErrorClass::ConnectionLost => {
                lease.discard();
                return db.connect_error(&e);
            }
        },
    };
    let usable = match (operation.end(), lease.session()) {
        (None, _) => true,
        (Some(_), Ok(session)) => session.execute("rollback").await.is_ok(),
        _ => false,
    };
    if usable {
        lease.release()
    } else {
        lease.discard()
    }
    error
}

async fn run_operation(
    session: &mut dyn Session,
    server: &dyn Server,
    operation: &BoundOperation,
) -> Result<ResultSet, FailedStatement> {
    if operation.end().is_some() {
        session.execute(server.begin()).await.map_err(FailedStatement::new(server.begin()))?;
    }
    let result_set = match operation {
        BoundOperation::Statement(bound) => run_statement(session, server, bound, true).await?,
        BoundOperation::Transaction { statements, .. } => {
            let mut all = ResultSet::default();
            for bound in statements {
                let last = run_statement(session, server, bound, false).await?;
                all.rows = last.rows;
                all.affected += last.affected;
                all.notes.extend(last.notes);
            }
            all
        }
        BoundOperation::Script(sql) => run_script(session, sql).await.map_err(FailedStatement::new(sql))?,
    };
    if let Some(end) = operation.end() {
        session.execute(end).await.map_err(FailedStatement::new(end))?;
    }
    Ok(result_set)
}

/// Runs one statement. Outside of a transaction, a stale prepared statement is prepared and sent once more.
async fn run_statement(
    session: &mut dyn Session,
    server: &dyn Server,
    bound: &BoundStatement,
    retry_stale: bool,
) -> Result<ResultSet, FailedStatement> {
    let sql = bound.sql(|i, _| server.parameter(i));
    let mut result = run_once(session, bound, &sql).await;
    if let Err(StatementError::Server(e)) = &result
        && retry_stale
        && matches!(server.classify(e, ""), ErrorClass::StaleStatement)
    {
        session.clear_statement_cache().await.map_err(FailedStatement::new(&sql))?;
        result = run_once(session, bound, &sql).await;
    }
    let mut result_set = result.map_err(|error| FailedStatement { error, sql })?;
    // Some servers also count the rows of a `select`.
    result_set.affected = if bound.changes { result_set.affected } else { 0 };
    Ok(result_set)
}

async fn run_once(session: &mut dyn Session, bound: &BoundStatement, sql: &str) -> Result<ResultSet, StatementError> {
    let (stream, notes) = session.run_statement(bound, sql.to_string()).await?;
    let mut result_set = collect(stream).await?;
    result_set.notes.extend(notes);
    Ok(result_set)
}

async fn run_script(session: &mut dyn Session, sql: &str) -> SqlxResult<ResultSet> {
    let before = session.total_changes().await?;
    let mut result_set = collect(session.run_script(sql.to_string())).await?;
    result_set.affected = match (before, session.total_changes().await?) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => result_set.affected - result_set.returned,
    };
    Ok(result_set)
}

async fn collect(mut stream: ResultStream<'_>) -> SqlxResult<ResultSet> {
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
                    is_first_row = false;
                }
                let row = row_to_map(cells, &mut result_set.notes);
                result_set.rows.push(row);
            }
        }
    }
    Ok(result_set)
}

/// Runs a query without parameters and returns the first column of its first row as text.
pub async fn query_text(session: &mut dyn Session, sql: &str) -> SqlxResult<Option<String>> {
    let result_set = collect(session.run_script(sql.to_string())).await?;
    let first = result_set.rows.first().and_then(|r| r.as_map()?.values().next().cloned());
    Ok(first.map(|v| v.to_string()))
}

/// Converts a row to a map. Adds a note for undecoded values and for duplicate column names.
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
            Value::text(e.to_string())
        });
        if map.contains_key(&name) {
            note(format!("duplicate column name `{name}`: the last value is used"));
        }
        map.insert(name, value);
    }
    Value::from(map)
}
