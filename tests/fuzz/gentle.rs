//! Small mutations of plans and environments that most readers accept, so that what comes after reading is reached.
use super::text::pick;
use fastrand::Rng;
use std::ops::Range;

const NUMBERS: &[&str] = &["0", "1", "2", "3", "7", "10", "100", "200", "404", "1000", "65535", "1000000"];
/// For the inside of a scalar in single or double quotes.
const IN_SINGLE: &[&str] =
    &["''", "\\", "é", "𝄞", "$${", "%41", "<b>", "`", "#", "${run.id}", "{", "]", "|", "\u{2028}"];
const IN_DOUBLE: &[&str] = &["\\\"", "\\n", "\\u00e9", "''", "\\\\", "é", "\\t", "${run.id}", "$${", "{", "#", "|"];
/// What `expect` may have in place of a literal.
const PATTERNS: &[&str] = &[
    "$nonempty",
    "$absent",
    "$any",
    "{ $type: string }",
    "{ $type: integer }",
    "{ $regex: '^[a-z0-9-]{1,9}$' }",
    "{ $in: [1, a, null, true] }",
    "{ $contains: a }",
    "{ $gte: 1, $lt: 300 }",
    "{ $not: { $in: [1, 2] } }",
    "{ $size: 2 }",
    "{ a: { b: [1, { c: $nonempty }] } }",
    "[1, 2, { a: b }]",
    "'text: with # and ''quotes'''",
    "1.5e3",
    "0x1F",
    "null",
];
/// Parts of expressions, each with its replacements.
const OPERATORS: &[(&str, &[&str])] = &[
    (" == ", &[" != ", " in [] + ", " == 0 + "]),
    (" != ", &[" == ", " > "]),
    (" && ", &[" || ", " && true && "]),
    (" || ", &[" && ", " || false || "]),
    (" > ", &[" >= ", " < "]),
    (" >= ", &[" > ", " == "]),
    (" < ", &[" <= ", " != "]),
    (".all(", &[".exists(", ".exists_one(", ".filter("]),
    (".exists(", &[".all(", ".map("]),
    (".map(", &[".filter(", ".map("]),
    ("size(", &["1 + size(", "string(", "-size("]),
    ("true", &["false", "!false", "1 == 1"]),
];

/// One to three changes of a text.
pub fn changed(rng: &mut Rng, text: &str) -> String {
    let mut text = text.to_string();
    for _ in 0..1 + rng.u8(..3) {
        match rng.u8(..8) {
            0..=1 => number(rng, &mut text),
            2 => quoted(rng, &mut text),
            3 => pattern(rng, &mut text),
            4 => operator(rng, &mut text),
            5 => swap_values(rng, &mut text),
            6 => case(rng, &mut text),
            _ => unread(rng, &mut text),
        }
    }
    text
}

fn one<T>(rng: &mut Rng, all: Vec<T>) -> Option<T> {
    let count = all.len();
    (count > 0).then(|| all.into_iter().nth(rng.usize(..count))).flatten()
}

/// Another number of the same unit, but not in a name.
fn number(rng: &mut Rng, text: &mut String) {
    let is_start = |i: usize| !text[..i].ends_with(|c: char| c.is_alphanumeric() || "-_.".contains(c));
    let digits = |i: usize| i..i + text[i..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - i);
    let starts = text.match_indices(|c: char| c.is_ascii_digit()).map(|(i, _)| i).filter(|i| is_start(*i));
    let all: Vec<Range<usize>> = starts.map(digits).collect();
    if let Some(range) = one(rng, all) {
        text.replace_range(range, pick(rng, NUMBERS));
    }
}

/// More text inside of quotes.
fn quoted(rng: &mut Rng, text: &mut String) {
    let quote = if rng.bool() { '\'' } else { '"' };
    // after an opening quote
    let opens = |before: &str| before.ends_with([' ', '[', '{']);
    let all: Vec<usize> = text.match_indices(quote).map(|(i, _)| i).filter(|i| opens(&text[..*i])).collect();
    if let Some(at) = one(rng, all) {
        text.insert_str(at + 1, pick(rng, if quote == '"' { IN_DOUBLE } else { IN_SINGLE }));
    }
}

/// A pattern in place of a literal that `expect` compares.
fn pattern(rng: &mut Rng, text: &mut String) {
    let all: Vec<usize> = ["status: ", "name: ", "state: ", "code: ", "exit: ", "phase: ", "rows: "]
        .iter()
        .flat_map(|key| text.match_indices(key).map(|(i, _)| i + key.len()).collect::<Vec<_>>())
        .collect();
    let Some(at) = one(rng, all) else { return };
    let length = text[at..].find([',', '}', '\n', ']']).unwrap_or(text.len() - at);
    let old = &text[at..at + length];
    if !old.is_empty() && !old.starts_with(['{', '[', '"', '\'', '|', '>']) {
        text.replace_range(at..at + old.trim_end().len(), pick(rng, PATTERNS));
    }
}

/// Another operator or macro in an expression.
fn operator(rng: &mut Rng, text: &mut String) {
    let places = |(old, new)| text.match_indices(old).map(|(i, _)| (i, old, new)).collect::<Vec<_>>();
    let all: Vec<(usize, &str, &[&str])> = OPERATORS.iter().map(|(old, new)| (*old, *new)).flat_map(places).collect();
    if let Some((at, old, new)) = one(rng, all) {
        text.replace_range(at..at + old.len(), pick(rng, new));
    }
}

/// Exchanges what two equal keys of the same indentation have, on one line each.
fn swap_values(rng: &mut Rng, text: &mut String) {
    let mut lines: Vec<String> = text.split('\n').map(str::to_string).collect();
    let parts = |line: &str| line.split_once(": ").map(|(key, value)| (key.to_string(), value.to_string()));
    let Some((key, value)) = parts(&lines[rng.usize(..lines.len())]) else { return };
    if key.trim_end().ends_with(" id") {
        return;
    }
    let same = |line: &String| parts(line).is_some_and(|(k, v)| k == key && v != value && !v.is_empty());
    let all: Vec<usize> = (0..lines.len()).filter(|i| same(&lines[*i])).collect();
    let first = lines.iter().position(|line| *line == format!("{key}: {value}"));
    if let (Some(a), Some(b)) = (first, one(rng, all)) {
        let other = parts(&lines[b]).map(|(_, v)| v).unwrap_or_default();
        lines[a] = format!("{key}: {other}");
        lines[b] = format!("{key}: {value}");
    }
    *text = lines.join("\n");
}

/// A case is repeated under another id, removed, or moved to the end.
fn case(rng: &mut Rng, text: &mut String) {
    const START: &str = "\n  - id: ";
    let starts: Vec<usize> = text.match_indices(START).map(|(i, _)| i).collect();
    if starts.len() < 2 {
        return;
    }
    let n = rng.usize(..starts.len());
    let end = starts.get(n + 1).copied().unwrap_or_else(|| text.trim_end().len());
    let block = text[starts[n]..end].to_string();
    let last = text.trim_end().len();
    match rng.u8(..3) {
        0 => {
            let with_id = block.replacen(START, &format!("{START}X{}-", rng.u32(..)), 1);
            text.insert_str(last, &with_id);
        }
        1 => drop(text.drain(starts[n]..end)),
        _ => {
            text.insert_str(last, &block);
            drop(text.drain(starts[n]..end));
        }
    }
}

/// Comments, empty lines, spaces at the end of lines, and other words in sentences.
fn unread(rng: &mut Rng, text: &mut String) {
    let ends: Vec<usize> = text.match_indices('\n').map(|(i, _)| i).collect();
    let sentences = ["step: ", "result: ", "given: ", "title: "].iter();
    let sentences: Vec<usize> =
        sentences.flat_map(|key| text.match_indices(key).map(|(i, _)| i + key.len()).collect::<Vec<_>>()).collect();
    match rng.u8(..3) {
        0 => {
            if let Some(at) = one(rng, ends) {
                text.insert_str(at, if rng.bool() { "   # ${x} : - [" } else { "    " });
            }
        }
        1 => {
            if let Some(at) = one(rng, sentences) {
                text.insert_str(at, "Ä 𝄞 <b> | `x` ");
            }
        }
        _ => {
            // at the beginning of a list item no block scalar goes on
            let all: Vec<usize> = text.match_indices("\n  - id: ").map(|(i, _)| i).collect();
            if let Some(at) = one(rng, all) {
                text.insert_str(at, &"\n".repeat(1 + rng.usize(..200)));
            }
        }
    }
}
