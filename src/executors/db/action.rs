//! The action of `db`: renders its statements, runs them, and builds output and evidence.
use super::{
    body::{DbAction, Operation, check_file},
    bound_statement::BoundStatement,
    database::Database,
    execute::{BoundOperation, BoundSql, execute},
    files,
    literal::literal,
    probe,
    scan::Dialect,
    server::ClientInput,
    transaction::Transaction,
};
use crate::{
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Output, Permission, Started},
    executors::processing::read_text,
    expr::Scope,
    value::Value,
};
use async_trait::async_trait;
use std::path::Path;

pub(super) const FIELDS: &[&str] = &["rows", "affected"];

#[async_trait]
impl Action for DbAction {
    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn changes(&self) -> bool {
        self.changes
    }

    fn permissions(&self, _: &Scope) -> Vec<Permission> {
        self.operation.queries().iter().filter_map(|q| probe::permission(&q.template.source())).collect()
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let db = cx.target::<Database>()?;
        let dialect = db.server.dialect();
        let operation = match &self.operation {
            Operation::File(path) => read_script(cx, db, &path.render(cx)?).await?,
            Operation::Statements { queries, transaction } => {
                let render = |q| BoundStatement::render(cx, q, dialect);
                let statements = queries.iter().map(render).collect::<Result<Vec<_>, _>>()?;
                let only_reads = queries.iter().all(|q| !q.changes);
                let transaction = if cx.read_only && only_reads { Transaction::ReadOnly } else { *transaction };
                note_request(cx, db, &statements, transaction);
                BoundOperation { sql: BoundSql::Statements(statements), transaction }
            }
        };
        if dialect == Dialect::Sqlite && self.access.is_limited() {
            self.check_files(cx, &operation)?;
        }
        let result_set = execute(db, &operation, || cx.mark_sent()).await?;
        for note in &result_set.notes {
            cx.note(EvidenceKind::Note, note);
        }
        let affected = i64::try_from(result_set.affected).unwrap_or(i64::MAX);
        let rows = result_set.into_rows(db.limit);
        if let Value::Partial(partial) = &rows {
            cx.note(EvidenceKind::Note, &*partial.reason);
        }
        let value = Value::map([("rows".to_string(), rows), ("affected".to_string(), Value::Int(affected))]);
        Ok(Output::new(value, started))
    }
}

impl DbAction {
    /// Checks the files that the statements open, with all values bound.
    fn check_files(&self, cx: &ActionContext<'_>, operation: &BoundOperation) -> Result<(), ActionError> {
        let scripts = match &operation.sql {
            BoundSql::Script(script) => vec![script.clone()],
            BoundSql::Statements(all) => all.iter().map(|b| b.sql(|_, v| literal(v, Dialect::Sqlite))).collect(),
        };
        for opened in scripts.iter().flat_map(|script| files::opened_by(script)) {
            check_file(&opened, |path| self.access.file(&cx.run.dir, path).map(drop))?;
        }
        Ok(())
    }
}

/// Adds the statements with their parameters, and the equivalent client command.
fn note_request(cx: &ActionContext<'_>, db: &Database, statements: &[BoundStatement], transaction: Transaction) {
    let dialect = db.server.dialect();
    // The parameters of MySQL have no number.
    let numbered = if dialect == Dialect::Mysql { Dialect::Sqlite } else { dialect };
    let requests = statements.iter().map(|bound| {
        let value = |(i, v)| format!("\n{} = {}", numbered.parameter(i), literal(v, dialect));
        let values = bound.values.iter().enumerate().map(value);
        format!("{}{}", bound.sql(|i, _| numbered.parameter(i)), values.collect::<String>())
    });
    cx.note(EvidenceKind::Request, requests.collect::<Vec<_>>().join("\n\n"));
    let mut literals: Vec<String> = statements.iter().map(|b| b.sql(|_, v| literal(v, dialect))).collect();
    if let (Some(begin), Some(end)) = (transaction.begin(dialect), transaction.end(dialect)) {
        let begin = if transaction == Transaction::ReadOnly { begin } else { "begin" };
        literals.insert(0, begin.into());
        literals.push(end.into());
    }
    cx.note(EvidenceKind::Reproduce, db.server.client_command(ClientInput::Sql(&literals.join(";\n"))));
}

async fn read_script(cx: &ActionContext<'_>, db: &Database, path: &Path) -> Result<BoundOperation, ActionError> {
    let text =
        read_text(path).await.map_err(|e| ActionError::Invalid(format!("cannot read `{}`: {e}", path.display())))?;
    cx.note(EvidenceKind::Request, format!("-- {}\n{text}", path.display()));
    cx.note(EvidenceKind::Reproduce, db.server.client_command(ClientInput::File(&path.to_string_lossy())));
    Ok(BoundOperation { sql: BoundSql::Script(text), transaction: Transaction::Committed })
}
