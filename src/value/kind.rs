//! The kinds of values, as far as they are known before a run.
use super::Value;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    Bool,
    Number,
    Text,
    Time,
    Duration,
    List,
    Map,
}

impl ValueKind {
    /// `None` for `null`, and for what was not observed.
    pub fn of(value: &Value) -> Option<ValueKind> {
        Some(match value {
            Value::Bool(_) => ValueKind::Bool,
            Value::Int(_) | Value::Uint(_) | Value::Float(_) | Value::Decimal(_) => ValueKind::Number,
            Value::Text(_) => ValueKind::Text,
            Value::Time(_) => ValueKind::Time,
            Value::Duration(_) => ValueKind::Duration,
            Value::List(_) => ValueKind::List,
            Value::Map(_) => ValueKind::Map,
            Value::Partial(partial) => return ValueKind::of(&partial.value),
            Value::Null | Value::Unset(_) => return None,
        })
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueKind::Bool => "true or false",
            ValueKind::Number => "a number",
            ValueKind::Text => "a string",
            ValueKind::Time => "a time",
            ValueKind::Duration => "a duration",
            ValueKind::List => "a list",
            ValueKind::Map => "a map",
        })
    }
}
