//! Data and comments in pieces of code.
use super::{
    labels::{self, Label},
    model::Draft,
    vocabulary::Role,
};

/// The comment on a line of code.
pub fn code_comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix('#').or_else(|| line.strip_prefix("//")).map(str::trim)
}

/// The label of an expected result in a comment: `Expected: it starts`.
pub fn result_label(comment: &str) -> Option<Label> {
    labels::plain_label(comment).filter(|l| l.role == Some(Role::Expected))
}

/// Whether comments of a piece of code name results: `# Expected: it starts`.
pub fn has_commented_results(text: &str) -> bool {
    text.lines().any(|l| code_comment(l).and_then(result_label).is_some())
}

/// Data with its parsed JSON, if it is an object or list.
pub fn draft(text: &str, line: usize) -> Draft {
    let json = serde_json::from_str::<serde_json::Value>(text.trim()).ok().filter(|v| v.is_object() || v.is_array());
    let text = if json.is_some() { text.trim() } else { text.trim_end() };
    Draft { text: text.into(), line, json }
}
