//! Source files and locations in them.
use serde::{Deserialize, Serialize};
use std::{ops::Range, sync::Arc};

/// A file. `name` is its path as shown to the user.
pub struct Source {
    pub name: String,
    pub text: String,
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
        let before = &self.source.text[..floor(&self.source.text, self.range.start)];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Location {
            file: self.source.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
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
