//! Performing: what is asked, what an output looks like, and the evidence.
use super::{
    body::{self, DbAction},
    bound::Bound,
    flow::{self, Work},
    probe,
    server::ByHand,
    target::Database,
};
use crate::{
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Need, Output, Started},
    expr::Scope,
    value::Value,
};
use async_trait::async_trait;

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

    fn needs(&self, _: &Scope) -> Vec<Need> {
        let queries = match &self.work {
            body::Work::Sql(query) => std::slice::from_ref(query),
            body::Work::Transaction { queries, .. } => queries,
            body::Work::File(_) => &[],
        };
        queries.iter().filter_map(|q| probe::need(&q.template.source())).collect()
    }

    async fn perform(&self, cx: &ActionContext<'_>) -> Result<Output, ActionError> {
        let started = Started::now();
        let db = cx.target::<Database>()?;
        db.tell(cx.secrets);
        let work = match &self.work {
            body::Work::File(path) => file(cx, db, &cx.render_text(path)?).await?,
            body::Work::Sql(query) => {
                let bound = Bound::render(cx, query, db.server().dialect())?;
                note(cx, db, std::slice::from_ref(&bound), None);
                Work::One(bound)
            }
            body::Work::Transaction { queries, rollback } => {
                let render = |q| Bound::render(cx, q, db.server().dialect());
                let statements = queries.iter().map(render).collect::<Result<Vec<_>, _>>()?;
                note(cx, db, &statements, Some(if *rollback { "rollback" } else { "commit" }));
                Work::Transaction { statements, rollback: *rollback }
            }
        };
        let done = flow::run(cx, db, &work).await?;
        for note in &done.notes {
            cx.note(EvidenceKind::Note, note);
        }
        let affected = i64::try_from(done.affected).unwrap_or(i64::MAX);
        let value =
            Value::map([("rows".to_string(), Value::list(done.rows)), ("affected".to_string(), Value::Int(affected))]);
        cx.note(EvidenceKind::Response, shown(&value, affected));
        Ok(Output::new(value, started))
    }
}

/// What is asked, and how to ask it by hand. A transaction says how it ends.
fn note(cx: &ActionContext<'_>, db: &Database, statements: &[Bound], end: Option<&str>) {
    let server = db.server();
    let asked = statements.iter().map(|bound| {
        let name = |i: usize| match server.placeholder(i) {
            // Where a placeholder has no number of its own, the reader gets one.
            bare if bare == "?" => format!("?{}", i + 1),
            numbered => numbered,
        };
        let values = bound.values.iter().enumerate().map(|(i, v)| format!("\n{} = {}", name(i), server.literal(v)));
        format!("{}{}", bound.sql(|i, _| name(i)), values.collect::<String>())
    });
    cx.note(EvidenceKind::Request, asked.collect::<Vec<_>>().join("\n\n"));
    let mut by_hand: Vec<String> = statements.iter().map(|b| b.sql(|_, v| server.literal(v))).collect();
    if let Some(end) = end {
        by_hand.insert(0, "begin".into());
        by_hand.push(end.into());
    }
    cx.note(EvidenceKind::Reproduce, server.by_hand(ByHand::Sql(&by_hand.join(";\n"))));
}

async fn file(cx: &ActionContext<'_>, db: &Database, path: &str) -> Result<Work, ActionError> {
    let path = cx.run.dir.join(path);
    let text = tokio::fs::read_to_string(&path)
        .await
        .map_err(|e| ActionError::Invalid(format!("cannot read `{}`: {e}", path.display())))?;
    cx.note(EvidenceKind::Request, format!("-- {}\n{text}", path.display()));
    cx.note(EvidenceKind::Reproduce, db.server().by_hand(ByHand::File(&path.to_string_lossy())));
    Ok(Work::Script(text))
}

fn shown(value: &Value, affected: i64) -> String {
    let rows = value.get("rows").and_then(Value::as_list).unwrap_or_default();
    let mut out = format!("{} row{}, {affected} affected", rows.len(), if rows.len() == 1 { "" } else { "s" });
    for row in rows {
        // More is not kept anyway.
        if out.len() > 64 << 10 {
            break;
        }
        out.push('\n');
        out.push_str(&row.to_json().to_string());
    }
    out
}
