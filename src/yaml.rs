//! YAML text to a tree in which every key and value knows its place. The only file that knows the YAML library.
//! Duplicate keys are kept, so that whoever reads the tree can name both.
use crate::{
    diagnostic::Diagnostic,
    source::{Source, Span},
    value::Value,
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::{fmt, sync::Arc};

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(String),
    Seq(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub fn as_str(&self) -> Option<&str> {
        if let Kind::Str(s) = &self.kind { Some(s) } else { None }
    }

    /// The entry of a map; the first one where a key stands twice.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    pub fn entries(&self) -> &[(Node, Node)] {
        if let Kind::Map(entries) = &self.kind { entries } else { &[] }
    }

    /// What it is, for messages: "a list".
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) => "a number",
            Kind::Str(_) => "a text",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The plain value, with no template looked at.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(b) => Value::Bool(*b),
            Kind::Int(i) => Value::Int(*i),
            Kind::Uint(u) => Value::from(*u),
            Kind::Float(f) => Value::Float(*f),
            Kind::Str(s) => Value::text(s),
            Kind::Seq(items) => Value::list(items.iter().map(Node::to_value).collect()),
            Kind::Map(entries) => Value::map(entries.iter().map(|(k, v)| (k.key_text(), v.to_value()))),
        }
    }

    /// A key as text: `1: x` has the key `1`.
    pub fn key_text(&self) -> String {
        self.to_value().to_string()
    }

    /// Where the bytes `range` of this scalar's decoded text stand in the file, whatever the quoting and folding. The whole scalar
    /// where it is empty, and where another one is repeated by its alias.
    pub fn inner(&self, range: std::ops::Range<usize>) -> Span {
        let raw = self.span.text();
        let text = self.as_str().unwrap_or_default();
        // a block scalar begins with its text, and that may begin with a quote
        let verbatim = text.trim_start_matches('\n').starts_with(raw.lines().next().unwrap_or_default());
        let style = raw.chars().next().filter(|_| !verbatim).unwrap_or(' ');
        if text.is_empty() || style == '*' {
            return self.span.clone();
        }
        let map = align(text, raw, style);
        let at = |i: usize| map.get(i).copied().unwrap_or(raw.len());
        let start = at(range.start);
        let end = if range.end > range.start { at(range.end - 1) + 1 } else { start };
        let base = self.span.range.start;
        self.span.with(base + start..base + end.max(start))
    }
}

/// For every byte of the decoded text the offset in the raw scalar that it came from.
fn align(text: &str, raw: &str, style: char) -> Vec<usize> {
    let mut map = Vec::with_capacity(text.len());
    let mut at = usize::from(matches!(style, '"' | '\''));
    let mut after_break = false;
    for c in text.chars() {
        at = raw.floor_char_boundary(at + continued(style, &raw[raw.floor_char_boundary(at)..]));
        let mut width = c.len_utf8();
        let rest = &raw[at..];
        if c == '\n' || c == ' ' {
            // a folded break: the whole run of white space stands for it
            if !rest.starts_with(c) || (c == ' ' && rest.trim_start_matches(' ').starts_with('\n')) {
                if let Some(escaped) = escape(style, rest) {
                    width = escaped;
                } else {
                    width = rest.len() - rest.trim_start().len();
                }
            }
            after_break = rest.get(..width).is_some_and(|s| s.contains('\n')) || c == '\n';
        } else {
            if after_break || !rest.starts_with(c) {
                at += rest.len() - rest.trim_start_matches([' ', '\n', '\r', '\t']).len();
            }
            after_break = false;
            if let Some(escaped) = escape(style, &raw[at..]) {
                width = escaped;
            }
        }
        map.extend(std::iter::repeat_n(at, c.len_utf8()));
        at += width;
    }
    map
}

/// How many bytes of `rest` stand for nothing: a line that is continued by `\`, up to the text of the next.
fn continued(style: char, rest: &str) -> usize {
    match rest.strip_prefix('\\').filter(|r| style == '"' && r.starts_with(['\n', '\r'])) {
        Some(next) => rest.len() - next.trim_start().len(),
        None => 0,
    }
}

/// How many bytes the escape sequence at the start of `rest` has.
fn escape(style: char, rest: &str) -> Option<usize> {
    match style {
        '\'' if rest.starts_with("''") => Some(2),
        '"' if rest.starts_with('\\') => Some(match rest.as_bytes().get(1)? {
            b'x' => 4,
            b'u' => 6,
            b'U' => 10,
            _ => 2,
        }),
        _ => None,
    }
}

/// What the library hands over: the same tree, with its own places.
struct Raw(Spanned<RawKind>);

enum RawKind {
    Scalar(Kind),
    Seq(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Spanned::<RawKind>::deserialize(d).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawKind;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any YAML value")
    }
    fn visit_unit<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Kind::Null))
    }
    fn visit_none<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Kind::Null))
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<RawKind, D::Error> {
        d.deserialize_any(RawVisitor)
    }
    fn visit_bool<E>(self, b: bool) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Kind::Bool(b)))
    }
    fn visit_i64<E>(self, i: i64) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Kind::Int(i)))
    }
    fn visit_u64<E>(self, u: u64) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(i64::try_from(u).map_or(Kind::Uint(u), Kind::Int)))
    }
    fn visit_f64<E>(self, f: f64) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Kind::Float(f)))
    }
    fn visit_str<E>(self, s: &str) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Kind::Str(s.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut a: A) -> Result<RawKind, A::Error> {
        let mut items = vec![];
        while let Some(item) = a.next_element()? {
            items.push(item);
        }
        Ok(RawKind::Seq(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<RawKind, A::Error> {
        let mut entries = vec![];
        while let Some(entry) = a.next_entry()? {
            entries.push(entry);
        }
        Ok(RawKind::Map(entries))
    }
}

/// Reads one document. An error is a YAML error: there is no tree to say more about.
pub fn parse(source: &Arc<Source>) -> Result<Node, Box<Diagnostic>> {
    let whole = Span { source: source.clone(), range: 0..source.text.len().min(1) };
    if source.text.len() > 16 << 20 {
        return Err(Box::new(Diagnostic::error("yaml-syntax", &whole, "the file is larger than 16 MiB")));
    }
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false, max_nodes: 5_000_000 },
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Raw>(&source.text, options) {
        Ok(raw) => Ok(node(raw, source)),
        Err(error) => {
            let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            let mut at = error.location().map_or(0, |l| offset(source, l));
            // a tag is reported where it ends
            if let Some(tag) = message.split('`').nth(1).filter(|t| message.contains("tag") && t.starts_with('!')) {
                at = source.text[..at].rfind(tag).unwrap_or(at);
            }
            let first = message.lines().next().unwrap_or("not YAML").trim_start_matches("error: ");
            let first = first.rsplit_once(" at line ").map_or(first, |(said, _)| said);
            let first = if first.contains("limits breached: Depth") { "it nests too deep to be read" } else { first };
            let mut d = Diagnostic::error("yaml-syntax", &whole.with(at..at + 1), format!("not valid YAML: {first}"));
            if source.text.get(..at).is_some_and(|t| t.ends_with('$')) && source.text[at..].starts_with('{') {
                d = d.help("within `{ }` and `[ ]` a text with `${ }` must be quoted");
            }
            for (word, help) in [
                ("mapping values are not allowed", "a text with `: ` in it must be quoted"),
                (
                    "did not find expected key",
                    "a value that begins with a quote, `{` or `[` ends where that closes: quote the whole of it",
                ),
                ("tabs disallowed", "indent with spaces"),
                ("scanning a block scalar", "an expression that begins with `>` or `|` must be quoted"),
            ] {
                if d.help.is_none() && message.contains(word) {
                    d = d.help(help);
                }
            }
            if message.contains("tag") {
                d = d.help("a value that begins with `!` is a YAML tag; quote the expression: '!has(body.x)'");
            }
            Err(Box::new(d))
        }
    }
}

fn offset(source: &Source, l: serde_saphyr::Location) -> usize {
    if let Some(b) = l.span().byte_offset() {
        return (b as usize).min(source.text.len());
    }
    let line =
        source.text.split_inclusive('\n').take((l.line() as usize).saturating_sub(1)).map(str::len).sum::<usize>();
    let rest = &source.text[line.min(source.text.len())..];
    line + rest.char_indices().nth((l.column() as usize).saturating_sub(1)).map_or(0, |(i, _)| i)
}

fn node(raw: Raw, source: &Arc<Source>) -> Node {
    let Spanned { value, referenced, .. } = raw.0;
    let start = offset(source, referenced);
    let len = referenced.span().byte_len().unwrap_or(1) as usize;
    let mut span = Span { source: source.clone(), range: start..(start + len).min(source.text.len()) };
    // the library counts the white space after a block scalar, and places an empty one behind it
    span.range.end = start + span.text().trim_end().len();
    if let (RawKind::Scalar(Kind::Str(_)), 0) = (&value, len)
        && let Some(head) = source.text[..start].rfind(['|', '>'])
    {
        span.range = head..head + 1;
    }
    let kind = match value {
        RawKind::Scalar(kind) => kind,
        RawKind::Seq(items) => Kind::Seq(items.into_iter().map(|r| node(r, source)).collect()),
        RawKind::Map(entries) => {
            Kind::Map(entries.into_iter().map(|(k, v)| (node(k, source), node(v, source))).collect())
        }
    };
    Node { kind, span }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;

    fn tree(text: &str) -> Node {
        parse(&Arc::new(Source { name: "t.yaml".into(), text: text.into() })).expect("it parses")
    }

    /// The text under the underline for `word` inside the scalar at `key`.
    fn under(text: &str, key: &str, word: &str) -> String {
        let tree = tree(text);
        let n = tree.get(key).expect("the key is there");
        let s = n.as_str().expect("it is a text");
        let i = s.find(word).expect("the word is in it");
        n.inner(i..i + word.len()).text().to_string()
    }

    #[test]
    fn a_place_inside_a_scalar_is_found_in_every_style() {
        assert_eq!(under("a: x ${nmae} y\n", "a", "nmae"), "nmae");
        assert_eq!(under("a: 'it''s ${nmae}'\n", "a", "nmae"), "nmae");
        assert_eq!(under("a: \"tab\\t ${nmae}\"\n", "a", "nmae"), "nmae");
        assert_eq!(under("a: >-\n  first line\n  and ${nmae}\nb: 1\n", "a", "nmae"), "nmae");
        assert_eq!(under("a: |\n    first line\n      and ${nmae}\nb: 1\n", "a", "nmae"), "nmae");
        assert_eq!(under("a: plain that\n  goes on ${nmae}\n", "a", "nmae"), "nmae");
        assert_eq!(under("ä: 1\na: ü ${nmae}\n", "a", "nmae"), "nmae");
        assert_eq!(under("a: |\n  'ä' == nmae\n", "a", "nmae"), "nmae");
        assert_eq!(under("b: &x is ${nmae}\na: *x\n", "a", "nmae"), "*x");
    }

    proptest::proptest! {
        /// Words behind nothing, a space, a break, an empty line, or what only a double quoted text knows: a continued line.
        #[test]
        fn every_character_of_a_scalar_is_found(style in 0..5usize, dos: bool, words in vec((0..8usize, 0..5usize), 1..12)) {
            let (before, after) = [("x", ""), ("'", "'"), ("\"", "\""), (">-\n    ", "\n"), ("|\n    ", "\n")][style];
            let lines = |text: &str| if dos { text.replace('\n', "\r\n") } else { text.to_string() };
            let mut file = lines(&format!("a: {before}"));
            let mut places = vec![file.len() - 1];
            places.truncate(usize::from(style == 0));
            for (i, (word, lead)) in words.into_iter().enumerate() {
                let word = ["a", "ä", "'", "\"", "\\", "${b}", "*c", "😀"][word];
                let lead = ["", " ", "\n    ", "\n\n    ", if style == 2 { "\\\n    " } else { "  " }][lead];
                file.push_str(&lines(if i > 0 { lead } else { "" }));
                for c in word.chars() {
                    places.push(file.len());
                    file.push_str(&match (style, c) {
                        (1, '\'') => "''".to_string(),
                        (2, '"' | '\\') => format!("\\{c}"),
                        (2, 'ä') => "\\u00e4".to_string(),
                        _ => c.to_string(),
                    });
                }
            }
            file.push_str(&lines(&format!("{after}\nb: 1\n")));
            let tree = tree(&file);
            let node = tree.get("a").expect("the key is there");
            let text = node.as_str().expect("it is a text");
            let found = text.char_indices().filter(|(_, c)| !c.is_whitespace());
            let found: Vec<usize> = found.map(|(i, c)| node.inner(i..i + c.len_utf8()).range.start).collect();
            proptest::prop_assert_eq!(found, places, "{}", file);
        }
    }

    #[test]
    fn both_of_two_equal_keys_are_kept() {
        let t = tree("a: 1\nb: 2\na: 3\n");
        assert_eq!(t.entries().len(), 3);
        assert_eq!(t.entries()[2].0.span.location().line, 3);
    }

    #[test]
    fn scalars_keep_the_type_that_a_reader_expects() {
        let t = tree("a: no\nb: 017\nc: 1_000\nd: 12\ne: 1.5\nf: ~\ng: true\nh: 99999999999999999999999\n");
        let kinds: Vec<_> = t.entries().iter().map(|(_, v)| v.what()).collect();
        assert_eq!(kinds[..7], ["a text", "a text", "a text", "a number", "a number", "nothing", "a boolean"]);
    }

    #[test]
    fn what_is_not_yaml_is_said_with_its_place() {
        let e = parse(&Arc::new(Source { name: "t.yaml".into(), text: "a: 1\nb: \"x\nc: 2\n".into() })).unwrap_err();
        assert_eq!((e.code, e.span.location().line), ("yaml-syntax", 2));
        let e = parse(&Arc::new(Source { name: "t.yaml".into(), text: "a: !has(x)\n".into() })).unwrap_err();
        assert!(e.help.unwrap().contains("quote"), "{}", e.message);
        let e = parse(&Arc::new(Source { name: "t.yaml".into(), text: "a: >= 3\n".into() })).unwrap_err();
        assert!(e.help.unwrap().contains("quoted"), "{}", e.message);
    }
}
