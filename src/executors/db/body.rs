//! What a plan may write under `db`, read and checked without a database.
use super::scan::{Dialect, Scanner, Statement};
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
    /// One after the other, all or nothing; or nothing in any event.
    Transaction { queries: Vec<Query>, rollback: bool },
    /// The path of a file of statements; all or nothing.
    File(Template),
}

/// A statement whose holes stand where values can be bound.
pub struct Query {
    pub template: Template,
    pub changes: bool,
}

pub fn compile(body: &mut Body<'_>) -> Option<DbAction> {
    body.keys(&["sql", "transaction", "file", "rollback"]).then_some(())?;
    let present: Vec<&Node> = ["sql", "transaction", "file"].iter().filter_map(|k| body.get(k)).collect();
    if present.len() != 1 {
        let code = if present.is_empty() { "missing-key" } else { "multiple-verbs" };
        let d = Diagnostic::error(code, body.span(), "exactly one of `sql`, `transaction` and `file` belongs here")
            .help("write `sql: \"select …\"`");
        body.problem(d);
        return None;
    }
    if let (Some(node), None) = (body.get("rollback"), body.get("transaction")) {
        let d = Diagnostic::error("unknown-key", &node.span, "`rollback` belongs to a `transaction`")
            .help("write `transaction: [ …, … ]` beside it");
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
        let rollback = match body.get("rollback") {
            Some(_) => body.literal("rollback", "`true` or `false`")?,
            None => false,
        };
        let queries: Vec<Query> = read.into_iter().collect::<Option<_>>()?;
        let first = queries.first().map(|q| short(&q.template)).unwrap_or_default();
        let kind = if rollback { "transaction rolled back" } else { "transaction" };
        return Some(DbAction {
            changes: !rollback && queries.iter().any(|q| q.changes),
            summary: format!("{kind}, of {}: {first}", queries.len()),
            work: Work::Transaction { queries, rollback },
        });
    }
    let file = body.template("file")?;
    Some(DbAction { summary: format!("file {}", file.source()), changes: true, work: Work::File(file) })
}

fn query(body: &mut Body<'_>, node: &Node) -> Option<Query> {
    let template = body.template_of(node)?;
    // Whose statement it is, the environment says: one that is right for any of them may be performed.
    let mut readings = Dialect::ALL.map(|dialect| read(&template, node, dialect));
    match readings.iter().find_map(|r| r.as_ref().ok()) {
        Some(_) => {
            let changes = readings.iter().flatten().any(|changes| *changes);
            Some(Query { template, changes })
        }
        None => {
            let problems = std::mem::replace(&mut readings[0], Ok(false)).err().unwrap_or_default();
            problems.into_iter().for_each(|d| body.problem(d));
            None
        }
    }
}

/// Whether it changes anything, as one server would read it; or what is wrong with it.
fn read(template: &Template, node: &Node, dialect: Dialect) -> Result<bool, Vec<Diagnostic>> {
    let mut scanner = Scanner::new(dialect);
    let mut problems = vec![];
    for part in template.parts() {
        match part {
            Part::Text(text) => scanner.text(text),
            Part::Placeholder(e) => match scanner.within.refuses(e.text()) {
                Some((message, help)) => {
                    problems.push(Diagnostic::error("placeholder-in-quotes", e.span(), message).help(help));
                }
                None => scanner.hole(),
            },
        }
    }
    let statement = Statement(&scanner.code);
    let holes = template.parts().iter().any(|p| matches!(p, Part::Placeholder(_)));
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
    problems.extend(wrong.map(|(code, message, help)| Diagnostic::error(code, &node.span, message).help(help)));
    if problems.is_empty() { Ok(statement.changes()) } else { Err(problems) }
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
