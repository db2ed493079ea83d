//! Parses YAML text. The only file that uses the YAML library. Duplicate keys are kept, so that both can be reported.
use super::{
    expect::wrong_type,
    node::{Kind, Node},
};
use crate::{
    diagnostic::Diagnostic,
    source::{Source, Span},
    value::Value,
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
};

const MAX_FILE_BYTES: usize = 16 << 20;
/// With its comment and the empty lines after it.
const MAX_HEADER_BYTES: usize = 1024;

/// The tree as the library builds it, with its own positions.
type Raw = Spanned<RawKind>;

enum RawKind {
    Scalar(Kind),
    Seq(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
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

/// Parses one document.
///
/// # Errors
/// The first YAML error.
pub fn parse(source: &Arc<Source>) -> Result<Node, Box<Diagnostic>> {
    let whole = Span { source: source.clone(), range: 0..source.text.len().min(1) };
    if source.text.len() > MAX_FILE_BYTES {
        return Err(Box::new(
            Diagnostic::error("yaml-syntax", &whole, "expected a file of at most 16 MiB")
                .help("split the file with `include`"),
        ));
    }
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        // merged here, in the order of other tools
        merge_keys: serde_saphyr::MergeKeyPolicy::AsOrdinary,
        budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false, max_nodes: 5_000_000 },
        with_snippet: false,
        // `1e400` keeps its spelling; `.inf` is refused below
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
    };
    match serde_saphyr::from_str_with_options::<Raw>(&source.text, options) {
        Ok(raw) => {
            let tree = node(raw, source)?;
            match infinite(&tree) {
                Some(at) => {
                    let message = format!("invalid YAML: value `{}` is not a finite number", at.span.text());
                    Err(Box::new(Diagnostic::error("yaml-syntax", &at.span, message)))
                }
                None => Ok(tree),
            }
        }
        Err(error) => {
            let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            let mut at = error.location().map_or(0, |l| offset(source, l));
            // the library reports a tag at its end
            if let Some(tag) = message.split('`').nth(1).filter(|t| message.contains("tag") && t.starts_with('!')) {
                at = source.text[..at].rfind(tag).unwrap_or(at);
            }
            let first = message.lines().next().unwrap_or("not YAML").trim_start_matches("error: ");
            let first = first.rsplit_once(" at line ").map_or(first, |(text, _)| text);
            let first = if first.contains("limits breached: Depth") { "nested too deeply" } else { first };
            let mut d = Diagnostic::error("yaml-syntax", &whole.with(at..at + 1), format!("invalid YAML: {first}"));
            if source.text.get(..at).is_some_and(|t| t.ends_with('$')) && source.text[at..].starts_with('{') {
                d = d.help("quote a string with `${…}` inside `{ }` and `[ ]`");
            }
            if d.help.is_none()
                && let Some(help) = indentation(&source.text, at)
            {
                d = d.help(help);
            }
            for (word, help) in [
                ("mapping values are not allowed", "check the indentation, and quote a string that contains `: `"),
                (
                    "did not find expected key",
                    "quote the whole value: one that starts with a quote, `{` or `[` ends where that is closed",
                ),
                (
                    "did not find expected ',' or '}'",
                    "separate the entries by `, `, and quote a string that contains `{`, `}` or `: `",
                ),
                (
                    "did not find expected ',' or ']'",
                    "separate the entries by `, `, and quote a string that contains `[`, `]` or `: `",
                ),
                (
                    "trailing content after",
                    "a quoted string ends at its second quote: put the whole value into '…', or close a string that began earlier",
                ),
                ("tabs disallowed", "indent with spaces"),
                ("scanning a block scalar", "quote an expression that starts with `>` or `|`"),
            ] {
                if d.help.is_none() && message.contains(word) {
                    d = d.help(help);
                }
            }
            if message.contains("tag") {
                d = d.help("quote the expression: '!has(body.x)'; an unquoted `!` starts a YAML tag");
            }
            Err(Box::new(d))
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What is wrong with the indentation of the line on which an error was found, if it begins there: compared with the line before.
fn indentation(text: &str, at: usize) -> Option<String> {
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let line = text[start..].lines().next()?;
    let key = line.trim_start().split(':').next().filter(|k| !k.is_empty() && !k.contains(['{', '"', '#']))?;
    let column = |line: &str| line.len() - line.trim_start().len();
    if !text[start..at].trim().is_empty() && !text[start + column(line)..at].starts_with(key) {
        return None;
    }
    let is_content = |l: &&str| !l.trim().is_empty() && !l.trim_start().starts_with('#');
    let before = text[..start].lines().rev().find(is_content)?;
    // the column of the keys of the entry above
    let of_keys = column(before) + if before.trim_start().starts_with("- ") { 2 } else { 0 };
    let (is, should) = (column(line), of_keys);
    let is_deeper = is > should && !before.trim_end().ends_with([':', '|', '>', '-']);
    let is_between = is < should && !line.trim_start().starts_with("- ");
    (is_deeper || is_between && line.contains(':')).then(|| {
        let above = before.trim_start().trim_start_matches("- ").split(':').next().unwrap_or_default();
        format!(
            "check the indentation: `{key}` is in column {}, and `{above}` above it in column {}",
            is + 1,
            should + 1
        )
    })
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

/// The first number that is infinite or `.nan`.
fn infinite(node: &Node) -> Option<&Node> {
    match &node.kind {
        Kind::Float(f) if !f.is_finite() => Some(node),
        Kind::Seq(items) => items.iter().find_map(infinite),
        Kind::Map(entries) => entries.iter().find_map(|(k, v)| infinite(k).or_else(|| infinite(v))),
        _ => None,
    }
}

/// A number that is spelled with a fraction or an exponent, or is too long for an integer.
fn spelled(f: f64, source: &Arc<Source>, at: serde_saphyr::Location) -> Kind {
    let start = offset(source, at);
    let len = at.span().byte_len().unwrap_or(0) as usize;
    match source.text.get(start..start + len).and_then(|text| Value::number(text.trim())) {
        Some(Value::Decimal(text)) => Kind::Decimal(text),
        Some(Value::Int(i)) => Kind::Int(i),
        Some(Value::Uint(u)) => Kind::Uint(u),
        _ => Kind::Float(f),
    }
}

fn node(raw: Raw, source: &Arc<Source>) -> Result<Node, Box<Diagnostic>> {
    let Spanned { value, referenced, defined, .. } = raw;
    let span_of = |location: serde_saphyr::Location| {
        let start = offset(source, location);
        let len = location.span().byte_len().unwrap_or(1) as usize;
        let mut span = Span { source: source.clone(), range: start..(start + len).min(source.text.len()) };
        // the library includes the white space after a block scalar
        span.range.end = start + span.text().trim_end().len();
        (span, len)
    };
    let (mut span, len) = span_of(referenced);
    let start = span.range.start;
    // it places an empty block scalar after its header
    if let (RawKind::Scalar(Kind::Str(_)), 0) = (&value, len)
        && let Some(head) = header(&source.text[..start])
    {
        span.range = head..head + 1;
    }
    let kind = match value {
        RawKind::Scalar(Kind::Float(f)) => spelled(f, source, defined),
        RawKind::Scalar(kind) => kind,
        RawKind::Seq(items) => Kind::Seq(items.into_iter().map(|r| node(r, source)).collect::<Result<_, _>>()?),
        RawKind::Map(entries) => {
            let entry = |(k, v)| -> Result<_, Box<Diagnostic>> {
                let key = node(k, source)?;
                match key.kind {
                    // its text would grow exponentially with its depth
                    Kind::Seq(_) | Kind::Map(_) => {
                        let d = wrong_type(&key, "a string as the key of a map");
                        let rest = source.text.get(key.span.range.start..).unwrap_or_default();
                        let name = rest.split('}').next().unwrap_or_default().trim_matches(['{', ' ']);
                        let is_placeholder = !name.is_empty()
                            && name.split('.').all(|word| !word.is_empty() && word.chars().all(is_word));
                        Err(Box::new(if is_placeholder {
                            d.help(format!("write `\"${{{name}}}\"` for a value"))
                        } else {
                            d
                        }))
                    }
                    _ => Ok((key, node(v, source)?)),
                }
            };
            Kind::Map(merge(entries.into_iter().map(entry).collect::<Result<_, _>>()?)?)
        }
    };
    let plain = plain_scalar(&kind, span_of(defined).0.text());
    Ok(Node::spelled(kind, span, plain))
}

/// The `|` or `>` of a block scalar whose header ends a text.
fn header(text: &str) -> Option<usize> {
    let from = text.ceil_char_boundary(text.len().saturating_sub(MAX_HEADER_BYTES));
    text[from..].rfind(['|', '>']).map(|i| from + i)
}

/// The spelling that a node keeps, if `written` is not quoted.
fn plain_scalar(kind: &Kind, written: &str) -> Option<Arc<str>> {
    let kept = match kind {
        Kind::Bool(_) | Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) | Kind::Decimal(_) => {
            !written.contains(['!', '&', '"', '\''])
        }
        Kind::Str(text) => {
            text == written && written.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit())
        }
        _ => false,
    };
    kept.then(|| written.into())
}

/// Replaces `<<` by the entries of the map, or of the maps of the list, under it (the merge type of YAML 1.1). They come
/// first, the first map of a list overrides the later ones, and the own entries override all of them. Duplicates among
/// the own entries are kept, so that they are reported.
fn merge(entries: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, Box<Diagnostic>> {
    let is_merge = |(key, _): &(Node, Node)| key.as_str() == Some("<<") && key.span.text() == "<<";
    if !entries.iter().any(is_merge) {
        return Ok(entries);
    }
    let (merges, own): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    let mut sources = vec![];
    for (_, value) in merges {
        match value.kind {
            Kind::Seq(items) => sources.extend(items),
            _ => sources.push(value),
        }
    }
    let (mut out, mut inherited) = (vec![], HashMap::new());
    for source in sources.into_iter().rev() {
        let Kind::Map(entries) = source.kind else {
            return Err(Box::new(wrong_type(&source, "a map under `<<`")));
        };
        for (key, value) in entries {
            match inherited.entry(key.key_text()) {
                Entry::Occupied(at) => out[*at.get()] = (key, value),
                Entry::Vacant(at) => {
                    at.insert(out.len());
                    out.push((key, value));
                }
            }
        }
    }
    for (key, value) in own {
        // the second of two own entries is a duplicate
        match inherited.remove(&key.key_text()) {
            Some(at) => out[at] = (key, value),
            None => out.push((key, value)),
        }
    }
    Ok(out)
}
