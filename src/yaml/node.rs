//! A YAML tree with the span of every key and value.
use crate::{source::Span, value::Value};
use std::sync::{Arc, OnceLock};

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub span: Span,
    /// How a boolean or a number is spelled, and a text that looks like a number, if it is not quoted.
    pub plain: Option<Arc<str>>,
    alignment: OnceLock<Arc<Alignment>>,
}

/// How the decoded text of a scalar lies in the file.
#[derive(Debug)]
enum Alignment {
    /// Not byte by byte.
    Whole,
    /// For each byte of the decoded text its offset in the raw scalar.
    Bytes(Vec<u32>),
}

#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A number that none of the three above holds exactly, as it is spelled.
    Decimal(Arc<str>),
    Str(String),
    Seq(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub fn new(kind: Kind, span: Span) -> Node {
        Node::spelled(kind, span, None)
    }

    pub fn spelled(kind: Kind, span: Span, plain: Option<Arc<str>>) -> Node {
        Node { kind, span, plain, alignment: OnceLock::new() }
    }

    /// The same place in the file, with another content.
    #[must_use]
    pub fn with_kind(&self, kind: Kind) -> Node {
        Node::spelled(kind, self.span.clone(), self.plain.clone())
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Kind::Str(s) = &self.kind { Some(s) } else { None }
    }

    /// The entry of a map; the first one of duplicate keys.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    pub fn entries(&self) -> &[(Node, Node)] {
        if let Kind::Map(entries) = &self.kind { entries } else { &[] }
    }

    /// The kind of node, for messages: "a list".
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) | Kind::Decimal(_) => "a number",
            Kind::Str(_) => "a string",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The plain value; placeholders stay text.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(b) => Value::Bool(*b),
            Kind::Int(i) => Value::Int(*i),
            Kind::Uint(u) => Value::from(*u),
            Kind::Float(f) => Value::Float(*f),
            Kind::Decimal(text) => Value::Decimal(text.clone()),
            Kind::Str(s) => Value::text(s),
            Kind::Seq(items) => Value::list(items.iter().map(Node::to_value).collect()),
            Kind::Map(entries) => Value::map(entries.iter().map(|(k, v)| (k.key_text(), v.to_value()))),
        }
    }

    /// A scalar as text. A number or a boolean is spelled as in the file: `1.10` is not `1.1`.
    pub fn text(&self) -> String {
        self.plain.as_ref().map_or_else(|| self.to_value().to_string(), |plain| plain.to_string())
    }

    /// The scalars of this node as texts.
    pub fn as_texts(&self) -> Node {
        let kind = match &self.kind {
            Kind::Null => Kind::Null,
            Kind::Seq(items) => Kind::Seq(items.iter().map(Node::as_texts).collect()),
            Kind::Map(entries) => Kind::Map(entries.iter().map(|(k, v)| (k.clone(), v.as_texts())).collect()),
            _ => Kind::Str(self.text()),
        };
        Node::new(kind, self.span.clone())
    }

    /// A key as text: the key of `1: x` is `1`.
    pub fn key_text(&self) -> String {
        self.text()
    }

    /// Maps the bytes `range` of a scalar's decoded text to the file, for any quoting and folding. An empty scalar, an
    /// alias, or one whose placeholders are replaced gives the span of the whole node.
    pub fn inner(&self, range: std::ops::Range<usize>) -> Span {
        let Alignment::Bytes(map) = &**self.alignment.get_or_init(|| Arc::new(self.align())) else {
            return self.span.clone();
        };
        let length = self.span.text().len();
        let at = |i: usize| map.get(i).map_or(length, |at| *at as usize);
        let start = at(range.start);
        let end = if range.end > range.start { (at(range.end - 1) + 1).min(length) } else { start };
        let base = self.span.range.start;
        self.span.with(base + start..base + end.max(start))
    }

    fn align(&self) -> Alignment {
        let raw = self.span.text();
        let text = self.as_str().unwrap_or_default();
        // the span of a block scalar starts with its text, which may start with a quote
        let verbatim = text.trim_start_matches('\n').starts_with(raw.lines().next().unwrap_or_default());
        let style = raw.chars().next().filter(|_| !verbatim).unwrap_or(' ');
        let is_replaced = raw.contains("${") && !text.contains("${");
        if text.is_empty() || style == '*' || is_replaced {
            return Alignment::Whole;
        }
        align(text, raw, style).map_or(Alignment::Whole, Alignment::Bytes)
    }
}

/// `None` for a text that is not spelled in `raw`, such as that of `!!binary`.
fn align(text: &str, raw: &str, style: char) -> Option<Vec<u32>> {
    let mut map = Vec::with_capacity(text.len());
    let mut at = usize::from(matches!(style, '"' | '\''));
    let mut after_break = false;
    // the end of the spaces that were last looked at
    let mut spaces_end = 0;
    for c in text.chars() {
        at = raw.floor_char_boundary(at + continued(style, &raw[raw.floor_char_boundary(at)..]));
        let mut width = c.len_utf8();
        let rest = &raw[at..];
        if c == '\n' || c == ' ' {
            if c == ' ' && at >= spaces_end {
                spaces_end = raw.len() - rest.trim_start_matches(' ').len();
            }
            // a folded line break covers all white space around it
            if !rest.starts_with(c) || (c == ' ' && raw[spaces_end..].starts_with('\n')) {
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
            } else if raw[at..].starts_with(c) {
                map.extend((at..at + width).map(|at| at as u32));
                at += width;
                continue;
            } else if !c.is_whitespace() {
                return None;
            }
        }
        map.extend(std::iter::repeat_n(at as u32, c.len_utf8()));
        at += width;
    }
    Some(map)
}

/// Length of a line continuation (`\` at the end of a line) at the start of `rest`, up to the text of the next line.
fn continued(style: char, rest: &str) -> usize {
    match rest.strip_prefix('\\').filter(|r| style == '"' && r.starts_with(['\n', '\r'])) {
        Some(next) => rest.len() - next.trim_start().len(),
        None => 0,
    }
}

/// Length of the escape sequence at the start of `rest`.
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
