//! Numbers that are not kept as they are spelled.
use super::node::{Kind, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Reports the numbers in `node` that would not be kept as they are written. `is_number`: the value is used as a number,
/// so that `1e3` and `+5` are kept; otherwise it may be used as text.
pub fn check_numbers(node: &Node, is_number: bool, problems: &mut Diagnostics) {
    match &node.kind {
        Kind::Seq(items) => items.iter().for_each(|n| check_numbers(n, is_number, problems)),
        Kind::Map(entries) => entries.iter().for_each(|(_, v)| check_numbers(v, is_number, problems)),
        _ => problems.0.extend(respelled(node, is_number)),
    }
}

fn respelled(node: &Node, is_number: bool) -> Option<Diagnostic> {
    let plain = node.plain.as_deref()?;
    let digits = plain.trim_start_matches(['+', '-']);
    let value = node.to_value().to_string();
    let (misread, warned) = match node.kind {
        Kind::Str(_) => (is_disputed(digits), false),
        Kind::Int(_) | Kind::Uint(_) => (!digits.bytes().all(|b| b.is_ascii_digit()), false),
        Kind::Float(_) => (false, digits.contains('.') && digits.ends_with('0') && !digits.contains(['e', 'E'])),
        _ => return None,
    };
    let changed = value != plain;
    let message = match node.kind {
        Kind::Str(_) => format!("`{plain}` is a text here, and a number for other YAML parsers"),
        _ => format!("`{plain}` becomes the number {value}"),
    };
    let d = match (misread, changed) {
        (true, _) => Diagnostic::error("respelled-number", &node.span, message),
        (_, true) if !is_number => Diagnostic::error("respelled-number", &node.span, message),
        (_, true) if warned => Diagnostic::warning("respelled-number", &node.span, message),
        _ => return None,
    };
    Some(match node.kind {
        Kind::Str(_) => d.help(format!("quote the text: '{plain}', or write the number in decimal digits")),
        _ => d.help(format!("quote the text: '{plain}', or write `{value}`")),
    })
}

/// A text that other parsers read as a number: with leading zeros, with `_`, in another base, or too large for ours.
fn is_disputed(text: &str) -> bool {
    let based = ["0x", "0X", "0o", "0O", "0b", "0B"].iter().find_map(|prefix| text.strip_prefix(prefix));
    if let Some(rest) = based {
        return !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_');
    }
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'_' | b'.'))
        && text.matches('.').count() <= 1
}
