//! Values as SQL literals, and words for a shell: for the line that does the same by hand. Nothing that is sent is made here.
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
pub fn pg_literal(v: &Value) -> String {
    match v {
        Value::List(items) => format!("ARRAY[{}]", items.iter().map(pg_literal).collect::<Vec<_>>().join(", ")),
        other => literal(other),
    }
}

/// One word of a shell.
pub fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quotes_survive() {
        assert_eq!(literal(&Value::text("it's")), "'it''s'");
        assert_eq!(pg_literal(&Value::from(json!(["a'b", 1, null]))), "ARRAY['a''b', 1, NULL]");
        assert_eq!(word("select 'x'"), r"'select '\''x'\'''");
    }
}
