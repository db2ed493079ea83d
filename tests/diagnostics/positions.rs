//! Where in a YAML file a mistake can stand, and for each code at which of these places it can. A place that is not excepted has a
//! fixture, and one that is excepted has none. Knows fixtures as text only: the reader under test has no say in it.
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// In a plain scalar, or at what is no scalar.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// In a block scalar.
    Folded,
    /// Within `${ }`, whatever scalar that stands in.
    Inner,
}
use Position::{Folded, Inner, Plain, Quoted};

/// Codes that cannot stand everywhere: why, where they can, which.
pub const EXCEPTIONS: &[(&str, &[Position], &[&str])] = &[
    (
        "the place is a key, or the map that begins with it, and nobody writes `? >-`",
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
            "signature-mismatch",
            "protected-environment",
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
    (
        "the place is a name, or a value that is judged as it is written: one with `${ }` is known only when it runs",
        &[Plain, Quoted, Folded],
        &[
            "matcher-in-about",
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
            "matcher-argument",
            "missing-method",
            "missing-key",
            "missing-verb",
            "unverified-result",
            "missing-path",
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
            "websocket-method",
            "target-mismatch",
            "wrong-type",
        ],
    ),
    (
        "the place is a list or a map that is empty or too deep, and no scalar",
        &[Plain],
        &["empty-foreach", "no-cases", "no-expected-results", "empty-replies", "nesting-too-deep"],
    ),
    ("the place is the `${` that is never closed", &[Plain, Quoted, Folded], &["unclosed-placeholder"]),
    ("the place is the hole itself", &[Inner], &["placeholder-in-quotes"]),
    (
        "an empty plain scalar is null, which is an `unquoted-expression`",
        &[Quoted, Folded, Inner],
        &["empty-expression"],
    ),
    ("a plain scalar cannot begin with `>=`", &[Quoted, Folded], &["unsupported-version"]),
];

/// The places at which `code` has to have a fixture.
pub fn wanted(code: &str) -> BTreeSet<Position> {
    let group = EXCEPTIONS.iter().find(|(_, _, codes)| codes.contains(&code));
    group.map_or(&[Plain, Quoted, Folded, Inner][..], |(_, positions, _)| positions).iter().copied().collect()
}

/// What the byte `at` of a YAML text stands in.
pub fn position(text: &str, at: usize) -> Position {
    let (from, style) = scalar(text, at);
    match style {
        _ if within_hole(&text[from..at]) => Inner,
        Some('"' | '\'') => Quoted,
        Some('|' | '>') => Folded,
        _ => Plain,
    }
}

/// Whether the last `${` is open. One level of brackets may be closed in it.
fn within_hole(before: &str) -> bool {
    let open = |from: usize| before[from + 2..].matches('{').count() >= before[from..].matches('}').count();
    before.rfind("${").is_some_and(open)
}

/// Where the scalar around `at` begins, and with which character.
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
            // `''` ends one and begins the next, which is as good
            c if c == quote && !rest[i + 1..].starts_with(quote) => return i + 1,
            '\'' if quote == '\'' => escaped = true,
            _ => {}
        }
    }
    rest.len()
}

/// The head and every line that is indented deeper than its key, or than the `-` that it stands behind.
fn block(text: &str, from: usize) -> usize {
    let line = text[..from].rfind('\n').map_or(0, |i| i + 1);
    let key = line + text[line..].len() - text[line..].trim_start_matches([' ', '-']).len();
    let indent = if key < from { key - line } else { text[line..from].rfind('-').unwrap_or(0) };
    let mut lines = text[from..].split_inclusive('\n');
    let head = lines.next().map_or(0, str::len);
    let deeper = |l: &&str| l.trim().is_empty() || l.len() - l.trim_start_matches(' ').len() > indent;
    head + lines.take_while(deeper).map(str::len).sum::<usize>()
}

/// To its end as its author means it, which is not within `${ }`.
fn plain(rest: &str, flow: bool) -> usize {
    let ends = |(i, c): &(usize, char)| match c {
        _ if within_hole(&rest[..*i]) => false,
        '\n' => true,
        ':' => rest[i + 1..].starts_with([' ', '\n']),
        ',' | '[' | ']' | '{' | '}' => flow,
        _ => false,
    };
    rest.char_indices().skip(1).find(ends).map_or(rest.len(), |(i, _)| i)
}

#[test]
fn a_position_is_read_off_the_text() {
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
