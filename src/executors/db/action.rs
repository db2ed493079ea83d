//! The action of `db`: renders its statements, runs them, and builds output and evidence.
use super::{
    body::{DbAction, Operation},
    bound_statement::BoundStatement,
    database::Database,
    execute::{BoundOperation, execute},
    probe,
    server::ClientInput,
};
use crate::{
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Output, Permission, Started},
    expr::Scope,
    value::Value,
};
use async_trait::async_trait;

/// Evidence is cut at this size, so further rows are not formatted.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

#[async_trait]
impl Action for DbAction {
    fn fields(&self) -> &'static [&'static str] {
        &["rows", "affected"]
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn changes(&self) -> bool {
        self.changes
    }

    fn permissions(&self, _: &Scope) -> Vec<Permission> {
        let queries = match &self.operation {
            Operation::Sql(query) => std::slice::from_ref(query),
            Operation::Transaction { queries, .. } => queries,
            Operation::File(_) => &[],
        };
        queries.iter().filter_map(|q| probe::permission(&q.template.source())).collect()
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let db = cx.target::<Database>()?;
        db.register_password(cx.secrets);
        let dialect = db.server().dialect();
        let operation = match &self.operation {
            Operation::File(path) => read_script(cx, db, &cx.render_text(path)?).await?,
            Operation::Sql(query) => {
                let bound = BoundStatement::render(cx, query, dialect)?;
                note_request(cx, db, std::slice::from_ref(&bound), None);
                BoundOperation::Statement(bound)
            }
            Operation::Transaction { queries, rollback } => {
                let render = |q| BoundStatement::render(cx, q, dialect);
                let statements = queries.iter().map(render).collect::<Result<Vec<_>, _>>()?;
                note_request(cx, db, &statements, Some(if *rollback { "rollback" } else { "commit" }));
                BoundOperation::Transaction { statements, rollback: *rollback }
            }
        };
        let result_set = execute(cx, db, &operation).await?;
        for note in &result_set.notes {
            cx.note(EvidenceKind::Note, note);
        }
        let affected = i64::try_from(result_set.affected).unwrap_or(i64::MAX);
        let rows = Value::list(result_set.rows);
        cx.note(EvidenceKind::Response, response_text(rows.as_list().unwrap_or_default(), affected));
        let value = Value::map([("rows".to_string(), rows), ("affected".to_string(), Value::Int(affected))]);
        Ok(Output::new(value, started))
    }
}

/// Adds the statements with their parameters, and the equivalent client command. `end` ends a transaction.
fn note_request(cx: &ActionContext<'_>, db: &Database, statements: &[BoundStatement], end: Option<&str>) {
    let server = db.server();
    let requests = statements.iter().map(|bound| {
        let name = |i: usize| match server.parameter(i) {
            // The parameters of MySQL have no number.
            bare if bare == "?" => format!("?{}", i + 1),
            numbered => numbered,
        };
        let values = bound.values.iter().enumerate().map(|(i, v)| format!("\n{} = {}", name(i), server.literal(v)));
        format!("{}{}", bound.sql(|i, _| name(i)), values.collect::<String>())
    });
    cx.note(EvidenceKind::Request, requests.collect::<Vec<_>>().join("\n\n"));
    let mut literal: Vec<String> = statements.iter().map(|b| b.sql(|_, v| server.literal(v))).collect();
    if let Some(end) = end {
        literal.insert(0, "begin".into());
        literal.push(end.into());
    }
    cx.note(EvidenceKind::Reproduce, server.client_command(ClientInput::Sql(&literal.join(";\n"))));
}

async fn read_script(cx: &ActionContext<'_>, db: &Database, path: &str) -> Result<BoundOperation, ActionError> {
    let path = cx.run.dir.join(path);
    let text = tokio::fs::read_to_string(&path)
        .await
        .map_err(|e| ActionError::Invalid(format!("cannot read `{}`: {e}", path.display())))?;
    cx.note(EvidenceKind::Request, format!("-- {}\n{text}", path.display()));
    cx.note(EvidenceKind::Reproduce, db.server().client_command(ClientInput::File(&path.to_string_lossy())));
    Ok(BoundOperation::Script(text))
}

fn response_text(rows: &[Value], affected: i64) -> String {
    let mut out = format!("{} row{}, {affected} affected", rows.len(), if rows.len() == 1 { "" } else { "s" });
    for row in rows {
        if out.len() > MAX_RESPONSE_BYTES {
            break;
        }
        out.push('\n');
        out.push_str(&row.to_json().to_string());
    }
    out
}
