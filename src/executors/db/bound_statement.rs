//! A statement with bind parameters in place of its `${…}` placeholders, and the parameters' values.
use super::{
    body::Query,
    scan::{Dialect, Scanner, Statement},
};
use crate::{
    executor::{ActionContext, ActionError},
    expr::Part,
    value::Value,
};

pub struct BoundStatement {
    /// The SQL before, between and after the values.
    texts: Vec<String>,
    pub values: Vec<Value>,
    pub changes: bool,
    /// As `Scanner::code`.
    code: String,
}

impl BoundStatement {
    /// Evaluates every placeholder. A list becomes one parameter for each item, for `in (…)`; where an array or JSON is
    /// expected (`any(${x})`, `${x}::text[]`, `${x}::jsonb`) it stays one parameter.
    pub fn render(cx: &ActionContext<'_>, query: &Query, dialect: Dialect) -> Result<BoundStatement, ActionError> {
        let template = &query.template;
        let mut bound =
            BoundStatement { texts: vec![String::new()], values: vec![], changes: query.changes, code: String::new() };
        let mut scanner = Scanner::new(dialect);
        let parts = template.parts();
        for (i, part) in parts.iter().enumerate() {
            let expression = match part {
                Part::Text(text) => {
                    scanner.text(text);
                    bound.push_text(text);
                    continue;
                }
                Part::Placeholder(e) => e,
            };
            // Checked again, because quotes depend on the dialect of the target.
            if let Some((message, help)) = scanner.state.placeholder_error(expression.text()) {
                return Err(ActionError::Invalid(format!("{message}; {help}")));
            }
            let value = expression.eval(cx.scope)?;
            let after = if let Some(Part::Text(t)) = parts.get(i + 1) { t.trim_start() } else { "" };
            match &value {
                Value::List(items) if !is_single_parameter(&scanner.code, after) => {
                    if items.is_empty() {
                        // `in ()` is invalid SQL. `in (NULL)` matches nothing, as it should; `not in (NULL)` matches
                        // nothing too, but should match everything.
                        if normalized_tail(&scanner.code).ends_with("not in(") {
                            return Err(ActionError::Invalid(format!(
                                "`{}` is an empty list, and `not in ()` is invalid SQL: skip the action with `if`",
                                expression.text()
                            )));
                        }
                        bound.push_text("NULL");
                    }
                    for (n, item) in items.iter().enumerate() {
                        bound.push_text(if n > 0 { ", " } else { "" });
                        bound.push_value(item.clone());
                    }
                }
                _ => bound.push_value(value),
            }
            scanner.placeholder();
        }
        // `?` is an operator in PostgreSQL; elsewhere it would be a parameter without a value.
        let placeholders = parts.iter().filter(|p| matches!(p, Part::Placeholder(_))).count();
        if dialect != Dialect::Postgres && scanner.code.matches('?').count() > placeholders {
            return Err(ActionError::Invalid("unexpected `?` in the statement: write `${…}`, which is bound".into()));
        }
        bound.code = scanner.code;
        Ok(bound)
    }

    /// The SQL, with each parameter (index and value) written by `f`.
    pub fn sql(&self, mut f: impl FnMut(usize, &Value) -> String) -> String {
        let mut values = self.values.iter().enumerate();
        let piece = |text: &String| text.clone() + &values.next().map(|(i, v)| f(i, v)).unwrap_or_default();
        self.texts.iter().map(piece).collect()
    }

    pub fn statement(&self) -> Statement<'_> {
        Statement(&self.code)
    }

    fn push_text(&mut self, text: &str) {
        self.texts.last_mut().expect("it starts with one text").push_str(text);
    }

    fn push_value(&mut self, value: Value) {
        self.values.push(value);
        self.texts.push(String::new());
    }
}

/// The last 40 characters in lower case, with single spaces and none before a parenthesis.
fn normalized_tail(code: &str) -> String {
    let tail: String = code.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
    tail.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase().replace(" (", "(")
}

/// Whether a list between `code` and `after` is one parameter: an array or JSON.
fn is_single_parameter(code: &str, after: &str) -> bool {
    let before = normalized_tail(code);
    let is_array_operand = ["any(", "all("].iter().any(|f| before.ends_with(f));
    let cast = after.strip_prefix("::").map(|t| t.trim_start().to_lowercase());
    let is_cast = cast.is_some_and(|t| {
        let end = t.find(|c: char| !(c.is_alphanumeric() || "_.[] ".contains(c))).unwrap_or(t.len());
        t.starts_with("json") || t[..end].contains('[')
    });
    is_array_operand || is_cast
}
