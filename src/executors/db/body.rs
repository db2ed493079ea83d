//! Parses and checks the YAML body of `db`, without a database.
use super::{
    files::{self, Opened},
    scan::{Dialect, Scanner, Statement},
    transaction::Transaction,
};
use crate::{
    access::{AccessRules, Refused},
    diagnostic::Diagnostic,
    executor::{Body, FilePath},
    expr::{Part, Template},
    language::{Key, Shape, TEXTS},
    yaml::{Kind, Node, wrong_type},
};

/// A compiled action.
pub struct DbAction {
    pub operation: Operation,
    pub changes: bool,
    pub summary: String,
    /// What its statements may use.
    pub access: AccessRules,
}

pub enum Operation {
    Statements {
        queries: Vec<Query>,
        transaction: Transaction,
    },
    /// The path of a file of statements, run in one transaction.
    File(FilePath),
}

impl Operation {
    pub fn queries(&self) -> &[Query] {
        if let Operation::Statements { queries, .. } = self { queries } else { &[] }
    }
}

/// A statement; values can be bound at all of its placeholders.
pub struct Query {
    pub template: Template,
    pub changes: bool,
}

pub const KEYS: &[Key] = &[
    Key::new("sql", Shape::Text),
    Key::new("transaction", TEXTS),
    Key::new("file", Shape::Path),
    Key::new("rollback", Shape::Bool).means("beside `transaction`: undoes all of it at the end"),
];

pub fn compile(body: &mut Body<'_>) -> Option<DbAction> {
    body.only(&[KEYS]).then_some(())?;
    let keys = ["sql", "transaction", "file"];
    let present: Vec<_> = keys.into_iter().filter_map(|key| Some((key, body.get(key)?))).collect();
    let [(key, node)] = present[..] else {
        let code = if present.is_empty() { "missing-key" } else { "multiple-verbs" };
        let message = "expected exactly one of `sql`, `transaction` and `file`";
        body.error(code, body.span(), message, "write `sql: \"select …\"`");
        return None;
    };
    if let Some(rollback) = body.get("rollback").filter(|_| key != "transaction") {
        let help = "write `transaction: [ …, … ]` next to it";
        body.error("unknown-key", &rollback.span, "`rollback` needs a `transaction`", help);
        return None;
    }
    match key {
        "sql" => {
            let query = query(body, node)?;
            let (changes, summary) = (query.changes, summarize(&query.template));
            let operation = Operation::Statements { queries: vec![query], transaction: Transaction::Autocommit };
            Some(DbAction { changes, summary, operation, access: body.access.clone() })
        }
        "transaction" => transaction(body, node),
        _ => {
            let file = body.file_of(node)?;
            let summary = format!("file {}", file.template().source());
            let operation = Operation::File(file);
            Some(DbAction { changes: true, summary, operation, access: body.access.clone() })
        }
    }
}

fn transaction(body: &mut Body<'_>, node: &Node) -> Option<DbAction> {
    let Kind::Seq(statements) = &node.kind else {
        body.problem(wrong_type(node, "a list of statements"));
        return None;
    };
    if statements.is_empty() {
        let message = "expected at least one statement in a transaction";
        body.problem(Diagnostic::error("wrong-type", &node.span, message));
        return None;
    }
    let compiled: Vec<Option<Query>> = statements.iter().map(|n| query(body, n)).collect();
    let rollback = body.get("rollback").is_some() && body.literal("rollback", "`true` or `false`")?;
    let queries: Vec<Query> = compiled.into_iter().collect::<Option<_>>()?;
    let (kind, transaction) = if rollback {
        ("transaction rolled back", Transaction::RolledBack)
    } else {
        ("transaction", Transaction::Committed)
    };
    Some(DbAction {
        changes: !rollback && queries.iter().any(|q| q.changes),
        summary: format!("{kind}, of {}: {}", queries.len(), summarize(&queries[0].template)),
        operation: Operation::Statements { queries, transaction },
        access: body.access.clone(),
    })
}

fn query(body: &mut Body<'_>, node: &Node) -> Option<Query> {
    let template = body.template_of(node)?;
    // The environment decides on the server, so a statement is accepted if it is valid in any dialect.
    let [postgres, mysql, sqlite] = Dialect::ALL.map(|dialect| check(&template, node, dialect));
    match (postgres, mysql, sqlite) {
        (Err(problems), Err(_), Err(_)) => {
            problems.into_iter().for_each(|d| body.problem(d));
            None
        }
        (postgres, mysql, sqlite) => {
            check_files(body, node, &template);
            let changes = [postgres, mysql, sqlite].into_iter().flatten().any(|changes| changes);
            Some(Query { template, changes })
        }
    }
}

/// Reports files that the plan may not use, as far as they are known before the run.
fn check_files(body: &mut Body<'_>, node: &Node, template: &Template) {
    if !body.access.is_limited() {
        return;
    }
    let text = |part: &Part| match part {
        Part::Text(text) => text.to_string(),
        Part::Placeholder(_) => "?".into(),
    };
    let sql: String = template.parts().iter().map(text).collect();
    for opened in files::opened_by(&sql) {
        if let Err(refused) = check_file(&opened, |path| body.access.check_path(path)) {
            body.error("not-allowed", &node.span, refused.message, refused.help);
        }
    }
}

/// Checks a file that a statement opens. `check` gets the absolute path.
pub fn check_file(opened: &Opened, check: impl FnOnce(&str) -> Result<(), Refused>) -> Result<(), Refused> {
    match opened {
        Opened::Path(path) => {
            // SQLite starts at the current folder.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
            check(&path.to_string_lossy())
        }
        Opened::Placeholder => Ok(()),
        Opened::Unclear(what) => Err(Refused {
            message: format!("a plan may not open a file of SQLite by {what}"),
            help: "write its path in quotes, or as a placeholder".into(),
        }),
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
        let message = "numbered parameters such as `$1` are not supported";
        Some(("wrong-type", message, "write `${…}`, which becomes a bound parameter"))
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
