//! The values of a row, and the conversions that several servers share.
use crate::{
    executor::limits::{CELL_BYTES, size},
    value::Value,
};
use sqlx::{Column, Row};

/// The value of one column of a row. If it cannot be decoded, the error's text takes its place in the output.
pub type Cell = Result<Value, String>;

/// Column names and values of a row, in order. `cell` decodes the column with this index.
pub fn cells<R: Row>(row: &R, cell: impl Fn(usize) -> Cell) -> Vec<(String, Cell)> {
    row.columns().iter().enumerate().map(|(i, column)| (column.name().to_string(), cell(i))).collect()
}

/// The output of a value that is too large.
pub fn too_large(bytes: usize) -> Option<Value> {
    let reason = || format!("the value has {bytes} bytes, more than {}: it was not read", size(CELL_BYTES));
    (bytes > CELL_BYTES).then(|| Value::unset(reason()))
}

/// `\x00ff`: bytes as text.
pub fn hex_text(bytes: &[u8]) -> String {
    format!("\\x{}", hex::encode(bytes))
}

/// An int if it is a whole number that fits; otherwise the exact decimal as text.
pub fn decimal(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(i) if i.to_string() == text => Value::Int(i),
        _ => Value::text(text),
    }
}

/// A column declared as boolean may hold other numbers.
pub fn bool_or_int(i: i64) -> Value {
    if i == 0 || i == 1 { Value::Bool(i == 1) } else { Value::Int(i) }
}

/// Removes trailing zeros of a fraction.
pub fn trim_fraction(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
