//! Checks the kind and the keys of nodes, and says what was expected.
use super::node::{Kind, Node};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    language::slips,
    source::Span,
};
use std::collections::HashSet;

/// `expected` completes the sentence: "a list".
pub fn wrong_type(node: &Node, expected: &str) -> Diagnostic {
    let d = Diagnostic::error("wrong-type", &node.span, format!("expected {expected}, found {}", node.what()));
    match (&node.kind, expected) {
        (Kind::Map(_), "a list") => d.help("begin each entry with `- `"),
        (Kind::Str(_), "a list") => d.help("write a list below the key, each entry beginning with `- `"),
        _ => d,
    }
}

pub fn duplicate_key(key: &Node) -> Diagnostic {
    Diagnostic::error("duplicate-key", &key.span, format!("duplicate key `{}`", key.key_text()))
        .help("remove one of the two, or merge them")
}

pub fn missing_key(key: &str, at: &Span) -> Diagnostic {
    let example = slips::example_of_key(key).map_or_else(|| format!("{key}: …"), str::to_owned);
    Diagnostic::error("missing-key", at, format!("missing key `{key}`")).help(format!("add `{example}`"))
}

/// Whether the node is a map. Reports keys that are not `known`, and duplicates; skips the entries for which `skip` is
/// true.
pub fn check_keys(node: &Node, known: &[&str], skip: impl Fn(usize) -> bool, problems: &mut Diagnostics) -> bool {
    let Kind::Map(entries) = &node.kind else {
        // what a string probably is: the key that is shown in examples
        let example =
            known.iter().filter(|k| ["request", "run", "sql"].contains(k)).find_map(|k| slips::example_of_key(k));
        let help = match example.filter(|_| matches!(node.kind, Kind::Str(_))) {
            Some(example) => format!("write a map: `{{ {example} }}`"),
            None => {
                format!("available keys: {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))
            }
        };
        problems.push(wrong_type(node, "a map").help(help));
        return false;
    };
    let (mut names, mut explained) = (HashSet::new(), vec![]);
    for (i, (key, _)) in entries.iter().enumerate() {
        let name = key.key_text();
        let is_new = names.insert(name.clone());
        if skip(i) {
            continue;
        }
        if !known.contains(&name.as_str()) {
            let d = Diagnostic::error("unknown-key", &key.span, format!("unknown key `{name}`"));
            match slips::help_for_key(&name, known) {
                // one message for `method` and `url`
                Some(help) if explained.contains(&help) => {}
                Some(help) => {
                    explained.push(help);
                    problems.push(d.help(help));
                }
                None => problems.push(d.suggest(&name, known.iter().copied())),
            }
        } else if !is_new {
            problems.push(duplicate_key(key));
        }
    }
    true
}
