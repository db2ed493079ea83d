//! Writes strings and comments of YAML 1.2.
use std::fmt::Write as _;

/// A string as a YAML scalar: plain where that is safe, else quoted. `${` becomes `$${`, so it is not a placeholder.
/// `indent` is the column of the key; a text of several lines becomes a literal block below it.
pub fn scalar(text: &str, indent: usize) -> String {
    let text = text.replace("${", "$${");
    let trimmed = text.trim_end_matches('\n');
    if trimmed.contains('\n') && fits_block(trimmed) {
        let mut out = String::from("|");
        for line in trimmed.split('\n') {
            out.push('\n');
            if !line.is_empty() {
                let _ = write!(out, "{:indent$}{line}", "", indent = indent + 2);
            }
        }
        return out;
    }
    quoted(trimmed)
}

/// A string on one line.
pub fn quoted(text: &str) -> String {
    if is_plain(text) {
        text.to_string()
    } else if text.chars().all(is_safe) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if is_safe(c) => out.push(c),
                c if (c as u32) <= 0xffff => {
                    let _ = write!(out, "\\u{:04x}", c as u32);
                }
                c => {
                    let _ = write!(out, "\\U{:08x}", c as u32);
                }
            }
        }
        out.push('"');
        out
    }
}

/// Whether the character may be in a YAML document outside of escapes, on one line.
fn is_safe(c: char) -> bool {
    match c {
        '\u{20}'..='\u{7e}' => true,
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        c => c >= '\u{a0}',
    }
}

/// Whether a literal block keeps the text as it is.
fn fits_block(text: &str) -> bool {
    let first = text.split('\n').next().unwrap_or_default();
    !first.is_empty() && !first.starts_with([' ', '\t']) && text.chars().all(|c| c == '\n' || c == '\t' || is_safe(c))
}

fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let starts = first.is_alphanumeric() || matches!(first, '/' | '(' | '_' | '“' | '¿' | '¡');
    let word_like = !first.is_ascii_digit() || text.contains(' ');
    let lower = text.to_ascii_lowercase();
    let keyword =
        matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n" | "nan" | "inf");
    starts
        && word_like
        && !keyword
        && text.chars().all(is_safe)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !text.starts_with("<<")
        && !looks_numeric(text)
}

fn looks_numeric(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b" +-._:eE,".contains(&b))
}

/// Writes a text as comment lines.
pub fn comment(out: &mut String, indent: usize, text: &str) {
    for line in text.split(['\n', '\r']) {
        let clean: String = line.chars().map(|c| if is_safe(c) { c } else { ' ' }).collect();
        let clean = clean.trim_end();
        if clean.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{:indent$}# {clean}", "");
    }
}
