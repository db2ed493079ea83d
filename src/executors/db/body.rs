//! Parses and checks the YAML body of `db`, without a database.
use super::scan::{Dialect, Scanner, Statement};
use crate::{
    diagnostic::Diagnostic,
    executor::Body,
    expr::{Part, Template},
    yaml::{Kind, Node},
};

/// A compiled action.
pub struct DbAction {
    pub operation: Operation,
    pub changes: bool,
    pub summary: String,
}

pub enum Operation {
    Sql(Query),
    /// Statements in one transaction, which is committed or rolled back.
    Transaction {
        queries: Vec<Query>,
        rollback: bool,
    },
    /// The path of a file of statements, run in one transaction.
    File(Template),
}

/// A statement; values can be bound at all of its placeholders.
pub struct Query {
    pub template: Template,
    pub changes: bool,
}

pub fn compile(body: &mut Body<'_>) -> Option<DbAction> {
    body.keys(&["sql", "transaction", "file", "rollback"]).then_some(())?;
    let present: Vec<&Node> = ["sql", "transaction", "file"].iter().filter_map(|k| body.get(k)).collect();
    if present.len() != 1 {
        let code = if present.is_empty() { "missing-key" } else { "multiple-verbs" };
        let d = Diagnostic::error(code, body.span(), "expected exactly one of `sql`, `transaction` and `file`")
            .help("write `sql: \"select …\"`");
        body.problem(d);
        return None;
    }
    if let (Some(node), None) = (body.get("rollback"), body.get("transaction")) {
        let d = Diagnostic::error("unknown-key", &node.span, "`rollback` needs a `transaction`")
            .help("write `transaction: [ …, … ]` next to it");
        body.problem(d);
        return None;
    }
    if let Some(node) = body.get("sql").cloned() {
        let query = query(body, &node)?;
        return Some(DbAction {
            changes: query.changes,
            summary: summarize(&query.template),
            operation: Operation::Sql(query),
        });
    }
    if let Some(node) = body.get("transaction").cloned() {
        let Kind::Seq(statements) = &node.kind else {
            let d = Diagnostic::error(
                "wrong-type",
                &node.span,
                format!("expected a list of statements, found {}", node.what()),
            );
            body.problem(d);
            return None;
        };
        if statements.is_empty() {
            body.problem(Diagnostic::error(
                "wrong-type",
                &node.span,
                "expected at least one statement in a transaction",
            ));
            return None;
        }
        let compiled: Vec<Option<Query>> = statements.iter().map(|n| query(body, n)).collect();
        let rollback = match body.get("rollback") {
            Some(_) => body.literal("rollback", "`true` or `false`")?,
            None => false,
        };
        let queries: Vec<Query> = compiled.into_iter().collect::<Option<_>>()?;
        let first = queries.first().map(|q| summarize(&q.template)).unwrap_or_default();
        let kind = if rollback { "transaction rolled back" } else { "transaction" };
        return Some(DbAction {
            changes: !rollback && queries.iter().any(|q| q.changes),
            summary: format!("{kind}, of {}: {first}", queries.len()),
            operation: Operation::Transaction { queries, rollback },
        });
    }
    let file = body.template("file")?;
    Some(DbAction { summary: format!("file {}", file.source()), changes: true, operation: Operation::File(file) })
}

fn query(body: &mut Body<'_>, node: &Node) -> Option<Query> {
    let template = body.template_of(node)?;
    // The environment decides on the server, so a statement is accepted if it is valid in any dialect.
    let mut checks = Dialect::ALL.map(|dialect| check(&template, node, dialect));
    match checks.iter().find_map(|c| c.as_ref().ok()) {
        Some(_) => {
            let changes = checks.iter().flatten().any(|changes| *changes);
            Some(Query { template, changes })
        }
        None => {
            let problems = std::mem::replace(&mut checks[0], Ok(false)).err().unwrap_or_default();
            problems.into_iter().for_each(|d| body.problem(d));
            None
        }
    }
}

/// Checks a statement in one dialect. Returns whether it may change data.
fn check(template: &Template, node: &Node, dialect: Dialect) -> Result<bool, Vec<Diagnostic>> {
    let mut scanner = Scanner::new(dialect);
    let mut problems = vec![];
    for part in template.parts() {
        match part {
            Part::Text(text) => scanner.text(text),
            Part::Placeholder(e) => match scanner.state.placeholder_error(e.text()) {
                Some((message, help)) => {
                    problems.push(Diagnostic::error("placeholder-in-quotes", e.span(), message).help(help));
                }
                None => scanner.placeholder(),
            },
        }
    }
    let statement = Statement(&scanner.code);
    let has_placeholder = template.parts().iter().any(|p| matches!(p, Part::Placeholder(_)));
    let numbered = scanner.code.as_bytes().windows(2).any(|w| w[0] == b'$' && w[1].is_ascii_digit());
    let problem = if statement.is_empty() && !has_placeholder {
        Some(("missing-key", "expected a statement, found none", "write a statement: `select …`"))
    } else if statement.has_several() {
        Some(("wrong-type", "expected one statement, found several", "use `transaction: [ …, … ]`, or `file:`"))
    } else if statement.controls_transaction() {
        let help = "use `transaction: [ …, … ]`, which commits at its end";
        Some(("wrong-type", "a transaction cannot stay open between actions", help))
    } else if numbered {
        Some((
            "wrong-type",
            "numbered parameters such as `$1` are not supported",
            "write `${…}`, which becomes a bound parameter",
        ))
    } else {
        None
    };
    problems.extend(problem.map(|(code, message, help)| Diagnostic::error(code, &node.span, message).help(help)));
    if problems.is_empty() { Ok(statement.changes()) } else { Err(problems) }
}

/// The statement on one line.
fn summarize(template: &Template) -> String {
    const MAX_SUMMARY_CHARS: usize = 100;
    let line = template.source().split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_SUMMARY_CHARS) {
        Some((i, _)) => format!("{}…", &line[..i]),
        None => line,
    }
}
