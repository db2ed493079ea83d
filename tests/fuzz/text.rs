//! Pieces of text for mutations.
use fastrand::Rng;

/// Text that is special to YAML, to expressions or to the runner.
pub const ODD: &[&str] = &[
    "${",
    "}",
    "{",
    "[",
    "]",
    "\"",
    "'",
    ": ",
    "- ",
    "\t",
    "&a ",
    "*a",
    "!x ",
    "!!str ",
    "|",
    "|-\n",
    ">-\n",
    "#",
    " #",
    "ä€𝄞",
    "\0",
    "\r",
    "\r\n",
    "~",
    "$set",
    "---\n",
    "...\n",
    "<<: *a",
    "? ",
    "\u{feff}",
    "\u{2028}",
    "\u{85}",
    "9999999999999999999999",
    "1e999",
    "-0",
    "0x1F",
    "0o17",
    "1_000",
    ".nan",
    "${ {'a': '}'} }",
    "((((((",
    "%",
    "$${",
    "\\",
    "\\u00",
    "''",
    "\"\"",
    ",",
    "null",
    "true",
    "=",
    "@",
    "`",
    "${'}'}",
    "${x",
    "2026-01-02T03:04:05Z",
    "-1s",
    "1h30m",
    "18446744073709551615",
    "-9223372036854775808",
    "1.5e-7",
];

/// Values to put after a key.
pub const SCALARS: &[&str] = &[
    "~",
    "''",
    "\"\"",
    "[]",
    "{}",
    "0",
    "-1",
    "1.5",
    "1e999",
    "99999999999999999999",
    "true",
    "no",
    "abc",
    "${x}",
    "${run.id}",
    "${'a' + 'b'}",
    "'${'",
    "$${x}",
    "[a, b]",
    "{ a: 1 }",
    "{ $regex: '(' }",
    "{ $set: [1] }",
    "|-\n  x",
    ">\n  a\n   b\n\n  c",
    "*a",
    "&a x",
    "!x y",
    "!!binary aGk=",
    "../../x",
    "0s",
    "1000000h",
    "\"\\u0000\"",
    "\"\\ud83d\"",
    "'é'",
    "2026-01-02",
    ".inf",
    "-",
    "[[[[[[]]]]]]",
    "{{ x }}",
    "?",
    "<<",
    "$each",
    "size(x) == 1",
    "'a: b'",
    "# c",
];

pub fn pick<'a, T: ?Sized>(rng: &mut Rng, all: &[&'a T]) -> &'a T {
    all[rng.usize(..all.len())]
}

/// An index that is a character boundary.
pub fn boundary(rng: &mut Rng, text: &str) -> usize {
    text.floor_char_boundary(rng.usize(..=text.len()))
}

/// A word of a text.
pub fn word(rng: &mut Rng, text: &str) -> String {
    let from = boundary(rng, text);
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text[from..].split(|c| !is_word(c)).find(|w| !w.is_empty()).unwrap_or("x").to_string()
}

/// The range of a word.
pub fn word_at(rng: &mut Rng, text: &str) -> std::ops::Range<usize> {
    let from = boundary(rng, text);
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let Some(start) = text[from..].find(is_word).map(|i| from + i) else { return from..from };
    let end = text[start..].find(|c| !is_word(c)).map_or(text.len(), |i| start + i);
    start..end
}
