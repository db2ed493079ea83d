//! Checks the kind and the keys of nodes, and says what was expected.
use super::node::{Kind, Node};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    source::Span,
};
use std::collections::HashSet;

/// `expected` completes the sentence: "a list".
pub fn wrong_type(node: &Node, expected: &str) -> Diagnostic {
    Diagnostic::error("wrong-type", &node.span, format!("expected {expected}, found {}", node.what()))
}

pub fn duplicate_key(key: &Node) -> Diagnostic {
    Diagnostic::error("duplicate-key", &key.span, format!("duplicate key `{}`", key.key_text()))
        .help("remove one of the two, or merge them")
}

pub fn missing_key(key: &str, at: &Span) -> Diagnostic {
    Diagnostic::error("missing-key", at, format!("missing key `{key}`")).help(format!("add `{key}: …`"))
}

/// Whether the node is a map. Reports keys that are not `known`, and duplicates; skips the entries for which `skip` is
/// true.
pub fn check_keys(node: &Node, known: &[&str], skip: impl Fn(usize) -> bool, problems: &mut Diagnostics) -> bool {
    let Kind::Map(entries) = &node.kind else {
        let known = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
        problems.push(wrong_type(node, "a map").help(format!("available keys: {known}")));
        return false;
    };
    let mut names = HashSet::new();
    for (i, (key, _)) in entries.iter().enumerate() {
        let name = key.key_text();
        let is_new = names.insert(name.clone());
        if skip(i) {
            continue;
        }
        if !known.contains(&name.as_str()) {
            let d = Diagnostic::error("unknown-key", &key.span, format!("unknown key `{name}`"));
            problems.push(d.suggest(&name, known.iter().copied()));
        } else if !is_new {
            problems.push(duplicate_key(key));
        }
    }
    true
}
