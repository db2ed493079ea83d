//! A statement whose holes have become placeholders, and the values for them, in order. Pure; knows no connection.
use super::{
    body::Query,
    scan::{Dialect, Scanner, Statement},
};
use crate::{
    executor::{ActionContext, ActionError},
    expr::Part,
    value::Value,
};

/// A statement ready to be sent.
pub struct Bound {
    pieces: Vec<Piece>,
    pub values: Vec<Value>,
    pub changes: bool,
    /// Without comments, quoted parts emptied.
    code: String,
}

enum Piece {
    Text(String),
    /// Its number, from 0.
    Value(usize),
}

impl Bound {
    /// Renders every hole. A list becomes as many placeholders, for `in (…)`; where an array or JSON is wanted (`any(${x})`,
    /// `${x}::text[]`, `${x}::jsonb`) it stays one value.
    pub fn render(cx: &ActionContext<'_>, query: &Query, dialect: Dialect) -> Result<Bound, ActionError> {
        let template = &query.template;
        let mut bound = Bound { pieces: vec![], values: vec![], changes: query.changes, code: String::new() };
        let mut scanner = Scanner::new(dialect);
        let parts = template.parts();
        for (i, part) in parts.iter().enumerate() {
            let expression = match part {
                Part::Text(text) => {
                    scanner.text(text);
                    bound.text(text);
                    continue;
                }
                Part::Placeholder(e) => e,
            };
            // When the plan was read nobody knew yet whose quotes count.
            if let Some((why, help)) = scanner.within.refuses(expression.text()) {
                return Err(ActionError::Invalid(format!("{why}; {help}")));
            }
            let value = expression.eval(cx.scope)?;
            let after = if let Some(Part::Text(t)) = parts.get(i + 1) { t.trim_start() } else { "" };
            match &value {
                Value::List(items) if !is_one(&scanner.code, after) => {
                    if items.is_empty() {
                        // `in ()` is no SQL. `in (NULL)` matches nothing, which is what an empty list means; but `not in (NULL)`
                        // matches nothing as well, where everything is meant.
                        if before(&scanner.code).ends_with("not in(") {
                            return Err(ActionError::Invalid(format!(
                                "`{}` is an empty list: `not in ()` cannot be asked; leave the action out with `if`",
                                expression.text()
                            )));
                        }
                        bound.text("NULL");
                    }
                    for (n, item) in items.iter().enumerate() {
                        bound.text(if n > 0 { ", " } else { "" });
                        bound.value(item.clone());
                    }
                }
                _ => bound.value(value),
            }
            scanner.hole();
        }
        // PostgreSQL has operators that are written with a `?`; elsewhere it is a placeholder that no value belongs to.
        let holes = parts.iter().filter(|p| matches!(p, Part::Placeholder(_))).count();
        if dialect != Dialect::Postgres && scanner.code.matches('?').count() > holes {
            return Err(ActionError::Invalid("a `?` stands in the statement; write `${ }`, which is bound".into()));
        }
        bound.code = scanner.code;
        Ok(bound)
    }

    /// The statement, each value as `f` writes it.
    pub fn sql(&self, mut f: impl FnMut(usize, &Value) -> String) -> String {
        let piece = |p: &Piece| match p {
            Piece::Text(t) => t.clone(),
            Piece::Value(i) => f(*i, &self.values[*i]),
        };
        self.pieces.iter().map(piece).collect()
    }

    /// Its words.
    pub fn statement(&self) -> Statement<'_> {
        Statement(&self.code)
    }

    fn text(&mut self, text: &str) {
        self.pieces.push(Piece::Text(text.to_string()));
    }

    fn value(&mut self, value: Value) {
        self.pieces.push(Piece::Value(self.values.len()));
        self.values.push(value);
    }
}

/// What stands before, in lower case, with single spaces, and none before a bracket.
fn before(code: &str) -> String {
    let tail: String = code.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
    tail.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase().replace(" (", "(")
}

fn is_one(code: &str, after: &str) -> bool {
    let before = before(code);
    let whole = ["any(", "all("].iter().any(|f| before.ends_with(f));
    let cast = after.strip_prefix("::").map(|t| t.trim_start().to_lowercase());
    let cast = cast.is_some_and(|t| {
        let end = t.find(|c: char| !(c.is_alphanumeric() || "_.[] ".contains(c))).unwrap_or(t.len());
        t.starts_with("json") || t[..end].contains('[')
    });
    whole || cast
}
