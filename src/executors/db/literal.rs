//! Formats values as SQL literals, for the client command in the evidence. Statements that are sent bind their values
//! instead.
use crate::value::Value;

pub fn literal(v: &Value) -> String {
    match v {
        Value::Null => "NULL".into(),
        Value::Bool(b) => if *b { "TRUE" } else { "FALSE" }.into(),
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => v.to_string(),
        other => format!("'{}'", other.to_string().replace('\'', "''")),
    }
}

/// For PostgreSQL: a list is an array.
pub fn postgres(v: &Value) -> String {
    match v {
        Value::List(items) => format!("ARRAY[{}]", items.iter().map(postgres).collect::<Vec<_>>().join(", ")),
        other => literal(other),
    }
}

/// For MySQL: backslashes are escaped.
pub fn mysql(v: &Value) -> String {
    literal(v).replace('\\', r"\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(literal(&Value::text("it's")), "'it''s'");
        assert_eq!(postgres(&Value::from(json!(["a'b", 1, null]))), "ARRAY['a''b', 1, NULL]");
        assert_eq!(mysql(&Value::text(r"\' or 1 = 1")), r"'\\'' or 1 = 1'");
    }
}
