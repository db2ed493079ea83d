//! Source files and locations in them.
use serde::{Deserialize, Serialize};
use std::{ops::Range, sync::Arc};

/// A file. `name` is its path as shown to the user.
pub struct Source {
    pub name: String,
    pub text: String,
    index: Index,
}

/// Finds the line and the column of an offset without reading the text before it.
struct Index {
    /// The offset at which each line begins.
    lines: Vec<usize>,
    /// The number of characters before each block of bytes.
    characters: Vec<usize>,
}

const BLOCK_BYTES: usize = 1024;

impl Index {
    fn of(text: &str) -> Index {
        let breaks = memchr::memchr_iter(b'\n', text.as_bytes());
        let lines = std::iter::once(0).chain(breaks.map(|at| at + 1)).collect();
        let characters = text.as_bytes().chunks(BLOCK_BYTES).scan(0, |total, block| {
            let before = *total;
            *total += count_characters(block);
            Some(before)
        });
        Index { lines, characters: characters.collect() }
    }
}

/// Number of characters that begin in these bytes.
fn count_characters(utf8: &[u8]) -> usize {
    utf8.iter().filter(|byte| !matches!(byte, 0x80..=0xbf)).count()
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        let text = text.into();
        Source { name: name.into(), index: Index::of(&text), text }
    }

    /// The line of an offset, from 0.
    fn line(&self, offset: usize) -> usize {
        self.index.lines.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The number of characters before an offset.
    fn characters(&self, offset: usize) -> usize {
        let block = (offset / BLOCK_BYTES).min(self.index.characters.len().saturating_sub(1));
        let before = self.index.characters.get(block).copied().unwrap_or_default();
        before + count_characters(&self.text.as_bytes()[block * BLOCK_BYTES..offset])
    }

    /// The bytes of the lines of a range, and the number of the first one, from 1.
    pub fn lines_of(&self, range: &Range<usize>) -> (Range<usize>, usize) {
        let first = self.line(range.start);
        let start = self.index.lines[first];
        let rest = range.end.max(range.start).min(self.text.len());
        let end = memchr::memchr(b'\n', &self.text.as_bytes()[rest..]).map_or(self.text.len(), |i| rest + i);
        (start..end, first + 1)
    }
}

/// Shows the name only, since the text is long.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

/// A range of bytes in a file.
#[derive(Clone, Debug)]
pub struct Span {
    pub source: Arc<Source>,
    pub range: Range<usize>,
}

/// The same bytes of the same file.
impl PartialEq for Span {
    fn eq(&self, other: &Span) -> bool {
        self.range == other.range && (Arc::ptr_eq(&self.source, &other.source) || self.source.name == other.source.name)
    }
}

impl Eq for Span {}

impl std::hash::Hash for Span {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.range.start, self.range.end).hash(state);
    }
}

/// File, line and column, both from 1. Written and serialised as `plans/TP-004.yaml:12:9`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Location {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl From<Location> for String {
    fn from(location: Location) -> String {
        location.to_string()
    }
}

impl TryFrom<String> for Location {
    type Error = String;

    fn try_from(text: String) -> Result<Location, String> {
        let mut parts = text.rsplitn(3, ':');
        let column = parts.next().and_then(|part| part.parse().ok());
        let line = parts.next().and_then(|part| part.parse().ok());
        match (parts.next(), line, column) {
            (Some(file), Some(line), Some(column)) => Ok(Location { file: file.into(), line, column }),
            _ => Err(format!("expected a location like `plan.yaml:12:9`, found `{text}`")),
        }
    }
}

impl Span {
    pub fn location(&self) -> Location {
        let source = &self.source;
        let at = floor(&source.text, self.range.start);
        let line = source.line(at);
        let column = source.characters(at) - source.characters(source.index.lines[line]) + 1;
        Location { file: source.name.clone(), line: line + 1, column }
    }

    pub fn text(&self) -> &str {
        let t = &self.source.text;
        &t[floor(t, self.range.start)..floor(t, self.range.end.max(self.range.start))]
    }

    pub fn contains(&self, other: &Span) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
            && self.range.start <= other.range.start
            && other.range.end <= self.range.end
    }

    pub fn with(&self, range: Range<usize>) -> Span {
        Span { source: self.source.clone(), range }
    }
}

fn floor(text: &str, index: usize) -> usize {
    text.floor_char_boundary(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_those_of_counting() {
        let text = format!("é\n\nab€{}\nx\n{}€z", "ü".repeat(3000), "y\n".repeat(700));
        let source = Arc::new(Source::new("t", text.clone()));
        for at in (0..text.len() + 2).step_by(7).chain([text.len() - 1, text.len()]) {
            let before = &text[..text.floor_char_boundary(at)];
            let line_start = before.rfind('\n').map_or(0, |i| i + 1);
            let location = Span { source: source.clone(), range: at..at }.location();
            let counted = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
            assert_eq!((location.line, location.column), counted, "{at}");
        }
        let empty = Span { source: Arc::new(Source::new("t", "")), range: 0..1 }.location();
        assert_eq!((empty.line, empty.column), (1, 1));
    }
}
