//! Values as SQL literals: for the line that does the same by hand. Nothing that is sent is made here.
use crate::value::Value;

pub fn literal(v: &Value) -> String {
    match v {
        Value::Null => "NULL".into(),
        Value::Bool(b) => if *b { "TRUE" } else { "FALSE" }.into(),
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => v.to_string(),
        other => format!("'{}'", other.to_string().replace('\'', "''")),
    }
}

/// As PostgreSQL reads it: a list as an array.
pub fn postgres(v: &Value) -> String {
    match v {
        Value::List(items) => format!("ARRAY[{}]", items.iter().map(postgres).collect::<Vec<_>>().join(", ")),
        other => literal(other),
    }
}

/// As MySQL reads it: a backslash escapes.
pub fn mysql(v: &Value) -> String {
    literal(v).replace('\\', r"\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quotes_survive() {
        assert_eq!(literal(&Value::text("it's")), "'it''s'");
        assert_eq!(postgres(&Value::from(json!(["a'b", 1, null]))), "ARRAY['a''b', 1, NULL]");
        assert_eq!(mysql(&Value::text(r"\' or 1 = 1")), r"'\\'' or 1 = 1'");
    }
}
