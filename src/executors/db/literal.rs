//! Formats values as SQL literals, for the client command in the evidence. Statements that are sent bind their values
//! instead.
use super::{mysql, scan::Dialect};
use crate::value::Value;

pub fn literal(v: &Value, dialect: Dialect) -> String {
    let quoted = |text: String| format!("'{}'", text.replace('\'', "''"));
    match (v, dialect) {
        (Value::Null, _) => "NULL".into(),
        (Value::Bool(b), _) => if *b { "TRUE" } else { "FALSE" }.into(),
        (Value::Int(_) | Value::Uint(_) | Value::Float(_) | Value::Decimal(_), _) => v.to_string(),
        (Value::List(items), Dialect::Postgres) => {
            format!("ARRAY[{}]", items.iter().map(|i| literal(i, dialect)).collect::<Vec<_>>().join(", "))
        }
        (_, Dialect::Mysql) => quoted(mysql::text(v)).replace('\\', r"\\"),
        _ => quoted(v.to_string()),
    }
}
