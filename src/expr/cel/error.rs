//! Evaluation errors, and the library's errors reworded for people. Values are left out: they may hold secrets.
use super::decimal;
use cel::ExecutionError;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    #[error("`{0}` was never bound")]
    Unbound(String),
    /// A field that was not observed is read; the reason why it was not.
    #[error("{0}")]
    NotObserved(Arc<str>),
    /// The result depends on the missing part of a value; the reason why it is missing.
    #[error("{0}")]
    Incomplete(Arc<str>),
    /// The evaluation was ended before it had a result: which expression, at what limit, and what to do.
    #[error("{0}")]
    Stopped(String),
    #[error("{0}")]
    Other(String),
}

impl EvalError {
    /// Whether it says nothing about the product: an assertion is then neither true nor false.
    pub fn is_inconclusive(&self) -> bool {
        matches!(self, EvalError::Incomplete(_) | EvalError::Stopped(_))
    }
}

impl From<&ExecutionError> for EvalError {
    fn from(e: &ExecutionError) -> EvalError {
        EvalError::Other(match e {
            ExecutionError::NoSuchKey(key) => format!("field `{key}` not found"),
            ExecutionError::UndeclaredReference(name) => return EvalError::Unbound(name.to_string()),
            ExecutionError::NoSuchOverload(o) if o.argument_types().first().is_some_and(|t| t == "null_type") => {
                match operator(o.function()).as_str() {
                    "." | "[ ]" => "a part is missing: it is null, and a field is read from it".into(),
                    sign => format!("`{sign}` cannot be applied to null: a part is missing"),
                }
            }
            ExecutionError::NoSuchOverload(o) => {
                format!("`{}` cannot be applied to {}", operator(o.function()), all(o.argument_types()))
            }
            ExecutionError::IndexOutOfBounds(cel::Value::Int(i)) => format!("list index {i} out of range"),
            ExecutionError::IndexOutOfBounds(_) => "list index out of range".into(),
            ExecutionError::UnsupportedBinaryOperator(name, a, b) => {
                format!("`{}` cannot be applied to {}", operator(name), all(&[type_name(a), type_name(b)]))
            }
            ExecutionError::ValuesNotComparable(a, b) => {
                format!("{} cannot be compared", all(&[type_name(a), type_name(b)]))
            }
            ExecutionError::UnexpectedType { got, want } => format!("expected {want}, found {got}"),
            ExecutionError::FunctionError { function, message } => format!("`{function}`: {message}"),
            ExecutionError::UnsupportedIndex(i, _) => format!("{} cannot be used as an index here", i.type_of()),
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".into(),
            ExecutionError::Overflow(..) => "number overflow".into(),
            ExecutionError::InvalidArgumentCount { expected, actual } => {
                format!("expected {expected} arguments, found {actual}")
            }
            ExecutionError::NotSupportedAsMethod { method, target } => {
                format!("`{method}` cannot be applied to {}", type_name(target))
            }
            ExecutionError::UnsupportedTargetType { target } => {
                format!("a function cannot be applied to {}", type_name(target))
            }
            ExecutionError::UnsupportedKeyType(key) => format!("{} cannot be the key of a map", type_name(key)),
            ExecutionError::DuplicateKey(_) => "a map has one key twice".into(),
            ExecutionError::MissingArgumentOrTarget => "a function lacks its argument".into(),
            _ => "the expression library could not evaluate it".into(),
        })
    }
}

fn type_name(v: &cel::Value) -> String {
    match v {
        cel::Value::Opaque(value) => value.runtime_type_name().to_string(),
        other => other.type_of().to_string(),
    }
}

/// The types, and what one of them supports.
fn all(types: &[String]) -> String {
    let hint = match types.iter().any(|t| t == decimal::TYPE) {
        true => "; a number that no double holds exactly has only `==`, `!=` and `string()`",
        false => "",
    };
    format!("{}{hint}", types.join(" and "))
}

/// The parser's message in plain words.
pub(super) fn syntax_message(message: &str) -> String {
    let message = message.trim_start_matches("Syntax error: ");
    if let Some(rest) = message.strip_prefix("token recognition error at: '") {
        return format!("unexpected `{}`", rest.trim_end_matches('\'').trim());
    }
    let what = message.split_once(" expecting ").map_or(message, |(what, _)| what);
    what.replace("'<EOF>'", "the end")
        .replace("mismatched input", "unexpected")
        .replace("extraneous input", "unexpected")
}

fn operator(name: &str) -> String {
    let words = [("add", "+"), ("sub", "-"), ("mul", "*"), ("div", "/"), ("rem", "%")];
    if let Some((_, sign)) = words.iter().find(|(word, _)| *word == name) {
        return sign.to_string();
    }
    name.trim_matches('_').replace("_[_]", "[ ]").trim_start_matches('@').trim_matches('_').to_string()
}
