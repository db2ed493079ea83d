//! Values as messages show them: JSON, with secrets masked and long texts cut, in that order.
use crate::{secrets::Secrets, value::Value};

const MAX_SHOWN_BYTES: usize = 300;

pub fn show(v: &Value, secrets: &Secrets) -> String {
    let text = match v {
        Value::Text(s) => serde_json::Value::from(&**s).to_string(),
        other => other.to_string(),
    };
    cut(text, secrets)
}

/// Masks and cuts a text that may contain a value.
pub fn cut(text: String, secrets: &Secrets) -> String {
    secrets.mask_and_cut(text, MAX_SHOWN_BYTES, "…")
}

/// The value with its type: `int 3`.
pub fn describe(v: &Value, secrets: &Secrets) -> String {
    format!("{} {}", v.kind(), show(v, secrets))
}
