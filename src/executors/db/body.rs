//! What a plan may write under `db`, read and checked without a database.
use super::scan::{Scanner, Statement, Within};
use crate::{
    diagnostic::Diagnostic,
    executor::Body,
    expr::{Part, Template},
    yaml::{Kind, Node},
};

/// One action, ready to be performed.
pub struct DbAction {
    pub work: Work,
    pub changes: bool,
    pub summary: String,
}

pub enum Work {
    /// One statement.
    Sql(Query),
    /// One after the other, all or nothing.
    Transaction(Vec<Query>),
    /// The path of a file of statements; all or nothing.
    File(Template),
}

/// A statement whose holes stand where values can be bound.
pub struct Query {
    pub template: Template,
    pub changes: bool,
}

pub fn compile(body: &mut Body<'_>) -> Option<DbAction> {
    body.keys(&["sql", "transaction", "file"]).then_some(())?;
    let present: Vec<&Node> = ["sql", "transaction", "file"].iter().filter_map(|k| body.get(k)).collect();
    if present.len() != 1 {
        let code = if present.is_empty() { "missing-key" } else { "two-verbs" };
        let d = Diagnostic::error(code, body.span(), "exactly one of `sql`, `transaction` and `file` belongs here")
            .help("write `sql: \"select …\"`");
        body.problem(d);
        return None;
    }
    if let Some(node) = body.get("sql").cloned() {
        let query = query(body, &node)?;
        return Some(DbAction { changes: query.changes, summary: short(&query.template), work: Work::Sql(query) });
    }
    if let Some(node) = body.get("transaction").cloned() {
        let Kind::Seq(statements) = &node.kind else {
            let d = Diagnostic::error(
                "wrong-type",
                &node.span,
                format!("a list of statements is needed here, not {}", node.what()),
            );
            body.problem(d);
            return None;
        };
        if statements.is_empty() {
            body.problem(Diagnostic::error("wrong-type", &node.span, "a transaction without statements does nothing"));
            return None;
        }
        let read: Vec<Option<Query>> = statements.iter().map(|n| query(body, n)).collect();
        let all: Vec<Query> = read.into_iter().collect::<Option<_>>()?;
        let summary =
            format!("transaction of {}: {}", all.len(), all.first().map(|q| short(&q.template)).unwrap_or_default());
        return Some(DbAction { changes: all.iter().any(|q| q.changes), summary, work: Work::Transaction(all) });
    }
    let file = body.template("file")?;
    Some(DbAction { summary: format!("file {}", file.source()), changes: true, work: Work::File(file) })
}

fn query(body: &mut Body<'_>, node: &Node) -> Option<Query> {
    let template = body.template_of(node)?;
    let mut scanner = Scanner::default();
    let mut right = true;
    for part in template.parts() {
        let expression = match part {
            Part::Text(text) => {
                scanner.text(text);
                continue;
            }
            Part::Hole(e) => e,
        };
        let hole = expression.text();
        let (message, help) = match &scanner.within {
            Within::Code => {
                scanner.hole();
                continue;
            }
            Within::Text(_) | Within::Dollar(_) => (
                format!("a hole inside quotes would not be bound: `${{{hole}}}`"),
                "write `${'%' + x + '%'}` outside quotes".to_string(),
            ),
            Within::Name => (
                format!("a name cannot be bound: `${{{hole}}}`"),
                "tables and columns are written out; values are bound".to_string(),
            ),
            Within::Line | Within::Block(_) => (
                format!("a hole in a comment would not be bound: `${{{hole}}}`"),
                "write `$${` for a literal `${`".to_string(),
            ),
        };
        body.problem(Diagnostic::error("hole-in-quotes", expression.span(), message).help(help));
        right = false;
    }
    let statement = Statement(&scanner.code);
    let holes = template.parts().iter().any(|p| matches!(p, Part::Hole(_)));
    let numbered = scanner.code.as_bytes().windows(2).any(|w| w[0] == b'$' && w[1].is_ascii_digit());
    let wrong = if statement.is_empty() && !holes {
        Some(("missing-key", "there is no statement here", "write a statement: `select …`"))
    } else if statement.is_several() {
        Some(("wrong-type", "there is more than one statement here", "use `transaction: [ …, … ]`, or `file:`"))
    } else if statement.is_transaction() {
        let help = "use `transaction: [ …, … ]`; it is committed at its end";
        Some(("wrong-type", "a transaction cannot be left open between actions", help))
    } else if numbered {
        Some((
            "wrong-type",
            "numbered placeholders cannot be written here",
            "write `${ }`; each hole becomes a bound value",
        ))
    } else {
        None
    };
    if let Some((code, message, help)) = wrong {
        body.problem(Diagnostic::error(code, &node.span, message).help(help));
        right = false;
    }
    let changes = statement.changes();
    right.then_some(Query { template, changes })
}

/// The statement on one line, for people.
fn short(t: &Template) -> String {
    const MOST: usize = 100;
    let line = t.source().split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((i, _)) => format!("{}…", &line[..i]),
        None => line,
    }
}
