//! Positions of a mistake in YAML: plain, quoted, folded, inside a placeholder. Every code has a fixture at each
//! position where it can occur, and none elsewhere. Works on the text of fixtures, independently of the parser under
//! test.
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// In a plain scalar, or outside scalars.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// In a block scalar.
    Folded,
    /// Inside `${…}`, in any scalar.
    Inner,
}
use Position::{Folded, Inner, Plain, Quoted};

/// Codes that cannot occur everywhere: the reason, the possible positions, and the codes.
pub const EXCEPTIONS: &[(&str, &[Position], &[&str])] = &[
    (
        "the place is a key, or the map that starts with it; a folded key is unusual",
        &[Plain, Quoted],
        &[
            "invalid-variable",
            "csrf-without-cookies",
            "duplicate-key",
            "reserved-identity",
            "matcher-and-key",
            "missing-input",
            "no-effect",
            "unsupported-target",
            "empty-action",
            "single-branch",
            "missing-assertion",
            "misplaced-end",
            "repeated-change",
            "signature-mismatch",
            "protected-environment",
            "not-allowed",
            "multiple-bodies",
            "multiple-credentials",
            "events-and-messages",
            "multiple-verbs",
            "undo-needs-response",
            "unknown-action",
            "unknown-input",
            "unknown-key",
            "unknown-variable",
            "unchecked-response",
            "unquoted-expression",
            "action-cycle",
            "invalid-part",
            "invalid-log-source",
        ],
    ),
    ("the place is the value of a key as a whole", &[Plain, Quoted, Folded], &["short-timeout"]),
    (
        "the place is a name, or a literal value: one with placeholders is known during the run only",
        &[Plain, Quoted, Folded],
        &[
            "matcher-in-about",
            "fragment-in-path",
            "invalid-address",
            "invalid-date",
            "invalid-duration",
            "invalid-header",
            "invalid-name",
            "invalid-regex",
            "invalid-reply",
            "invalid-schema",
            "invalid-size",
            "invalid-time",
            "invalid-url",
            "missing-case",
            "extra-case",
            "source-mismatch",
            "duplicate-id",
            "extends-cycle",
            "include-cycle",
            "include-not-found",
            "length-field",
            "matcher-argument",
            "other-kind",
            "relative-path",
            "text-as-value",
            "missing-method",
            "missing-key",
            "missing-verb",
            "weak-secret",
            "unverified-result",
            "missing-path",
            "missing-placeholder",
            "schema-not-found",
            "missing-sentence",
            "extra-sentence",
            "shadowing-name",
            "unknown-case",
            "unknown-environment",
            "unknown-matcher",
            "unknown-method",
            "unknown-operation",
            "unknown-option",
            "unknown-scheme",
            "unknown-sentence",
            "unknown-tier",
            "unknown-type",
            "unproven-with-assertion",
            "unused-name",
            "vacuous-assertion",
            "websocket-method",
            "target-mismatch",
            "wrong-type",
        ],
    ),
    (
        "the place is an empty or too deep list or map",
        &[Plain],
        &["empty-foreach", "no-cases", "no-expected-results", "empty-replies", "nesting-too-deep"],
    ),
    ("the place is a number without quotes", &[Plain], &["respelled-number"]),
    ("the place is the `${` that is never closed", &[Plain, Quoted, Folded], &["unclosed-placeholder"]),
    ("the place is the placeholder itself", &[Inner], &["placeholder-in-quotes"]),
    (
        "an empty plain scalar is null, which is an `unquoted-expression`",
        &[Quoted, Folded, Inner],
        &["empty-expression"],
    ),
    ("a plain scalar cannot start with `>=`", &[Quoted, Folded], &["unsupported-version"]),
];

/// The positions at which `code` must have a fixture.
pub fn wanted(code: &str) -> BTreeSet<Position> {
    let group = EXCEPTIONS.iter().find(|(_, _, codes)| codes.contains(&code));
    group.map_or(&[Plain, Quoted, Folded, Inner][..], |(_, positions, _)| positions).iter().copied().collect()
}

/// The position of the byte `at` in a YAML text.
pub fn position(text: &str, at: usize) -> Position {
    let (from, style) = scalar(text, at);
    match style {
        _ if in_placeholder(&text[from..at]) => Inner,
        Some('"' | '\'') => Quoted,
        Some('|' | '>') => Folded,
        _ => Plain,
    }
}

/// Whether the last `${` is open. One level of brackets may be closed inside it.
fn in_placeholder(before: &str) -> bool {
    let open = |from: usize| before[from + 2..].matches('{').count() >= before[from..].matches('}').count();
    before.rfind("${").is_some_and(open)
}

/// Start of the scalar around `at`, and its first character.
fn scalar(text: &str, at: usize) -> (usize, Option<char>) {
    let (mut from, mut flow) = (0, 0usize);
    loop {
        let rest = &text[from..];
        let Some(c) = rest.chars().next() else { return (at, None) };
        let end = from
            + match c {
                '"' | '\'' => quoted(rest, c),
                '|' | '>' => block(text, from),
                '{' | '[' => 1,
                '}' | ']' | ',' | ' ' | '\n' | ':' => 1,
                '-' | '?' if rest[1..].starts_with([' ', '\n']) => 1,
                _ => plain(rest, flow > 0),
            };
        if (from..end).contains(&at) {
            return (from, Some(c));
        }
        match c {
            '{' | '[' => flow += 1,
            '}' | ']' => flow = flow.saturating_sub(1),
            _ => {}
        }
        from = end;
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            // `''` ends one scalar and starts the next, which gives the same result
            c if c == quote && !rest[i + 1..].starts_with(quote) => return i + 1,
            '\'' if quote == '\'' => escaped = true,
            _ => {}
        }
    }
    rest.len()
}

/// Length of a block scalar: its head, and all lines indented deeper than its key or `-`.
fn block(text: &str, from: usize) -> usize {
    let line = text[..from].rfind('\n').map_or(0, |i| i + 1);
    let key = line + text[line..].len() - text[line..].trim_start_matches([' ', '-']).len();
    let indent = if key < from { key - line } else { text[line..from].rfind('-').unwrap_or(0) };
    let mut lines = text[from..].split_inclusive('\n');
    let head = lines.next().map_or(0, str::len);
    let deeper = |l: &&str| l.trim().is_empty() || l.len() - l.trim_start_matches(' ').len() > indent;
    head + lines.take_while(deeper).map(str::len).sum::<usize>()
}

/// Length of a plain scalar. It does not end inside `${…}`.
fn plain(rest: &str, flow: bool) -> usize {
    let ends = |(i, c): &(usize, char)| match c {
        _ if in_placeholder(&rest[..*i]) => false,
        '\n' => true,
        ':' => rest[i + 1..].starts_with([' ', '\n']),
        ',' | '[' | ']' | '{' | '}' => flow,
        _ => false,
    };
    rest.char_indices().skip(1).find(ends).map_or(rest.len(), |(i, _)| i)
}

#[test]
fn finds_positions_in_the_text() {
    for (marked, wanted) in [
        ("a: «b»", Plain),
        ("«a»: b", Plain),
        ("a: it's «b»", Plain),
        ("a: «[]»", Plain),
        ("- { 'x, ä': [\"y: }\", «b»] }", Plain),
        ("a: >-\n  b\nc: «d»", Plain),
        ("- x: |\n    b\n  c: «d»", Plain),
        ("a: b${x} «c»", Plain),
        ("a: «${»b", Plain),
        ("a: «'b'»", Quoted),
        ("{ a: 'it''s «b»' }", Quoted),
        ("a: \"\\\"\n  «b»\"", Quoted),
        ("'«a»': b", Quoted),
        ("a: >-\n  «b»", Folded),
        ("- |\n\n  'a «b»'", Folded),
        ("a: «>-»\n", Folded),
        ("a: ${«b»}", Inner),
        ("a: ${ {'x': 1}.«x» }", Inner),
        ("{ a: \"x ${b} ${«c»}\" }", Inner),
        ("a: >-\n  b\n  ${«c»}", Inner),
    ] {
        let at = marked.find('«').expect("a mark");
        assert_eq!(position(&marked.replace(['«', '»'], ""), at), wanted, "{marked}");
    }
}
