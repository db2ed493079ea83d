//! Problems in files written by users, and how they are displayed. Each has a code, a location, a message and usually
//! help. The codes are explained in `docs/diagnostics.md`.
use crate::{
    language::explanation,
    source::{Location, Span},
};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Stable, kebab-case: `unknown-key`.
    pub code: &'static str,
    pub message: String,
    pub span: Span,
    /// Shown beside the underline.
    pub label: Option<String>,
    /// What to do, or a suggestion.
    pub help: Option<String>,
    /// The text to write in place of the span, if one repair is obvious: for `check --fix`.
    pub replacement: Option<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, span: &Span, message: impl Into<String>) -> Self {
        debug_assert!(explanation(code).is_some(), "`{code}` is missing in docs/diagnostics.md");
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            span: span.clone(),
            label: None,
            help: None,
            replacement: None,
        }
    }

    pub fn warning(code: &'static str, span: &Span, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to write in place of the span.
    pub fn replace_with(mut self, text: impl Into<String>) -> Self {
        self.replacement = Some(text.into());
        self
    }

    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Suggests the most similar of `known`, or lists them.
    pub fn suggest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(word, known.iter().copied()) {
            Some(near) => {
                let replacement = self.spelled(word).filter(|_| is_only_one(word, near, &known));
                let replacement = replacement.map(|quote| format!("{quote}{near}{quote}"));
                Diagnostic { replacement, ..self.help(format!("did you mean `{near}`?")) }
            }
            // a long list does not help
            None if known.is_empty() || known.len() > 16 => self,
            None => self
                .help(format!("available: {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))),
        }
    }

    /// The quotes around the word, if the span has it and nothing else.
    fn spelled(&self, word: &str) -> Option<&'static str> {
        let text = self.span.text();
        ["", "\"", "'"].into_iter().find(|quote| text == format!("{quote}{word}{quote}"))
    }

    /// Displays it like rustc: message, location, source line with underline, help.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let excerpt = Excerpt::of(&self.span);
        let mut annotation = AnnotationKind::Primary.span(excerpt.marked.clone());
        if let Some(label) = &self.label {
            annotation = annotation.label(label.as_str());
        }
        let snippet = Snippet::source(excerpt.text)
            .line_start(excerpt.line)
            .path(self.span.source.name.as_str())
            .annotation(annotation);
        let (message, help) = (shortened(&self.message), self.help.as_deref().map(shortened));
        let mut group = level.primary_title(&*message).id(self.code).element(snippet);
        if let Some(help) = &help {
            group = group.element(Level::HELP.message(&**help));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let rendered = renderer.render(&[group]).to_string();
        match excerpt.cut_columns {
            0 => rendered,
            _ => {
                // the renderer counts columns from the cut
                let Location { line, column, .. } = self.span.location();
                let cut = format!(":{line}:{}", column - excerpt.cut_columns);
                rendered.replacen(&cut, &format!(":{line}:{column}"), 1)
            }
        }
    }
}

const MAX_EXCERPT_BYTES: usize = 4000;
/// How much of a long line is shown before the place.
const CONTEXT_BYTES: usize = 60;
const MAX_MESSAGE_BYTES: usize = 2000;

/// The lines of a span, or a part of them around its start where they are long.
struct Excerpt<'a> {
    text: &'a str,
    /// The bytes of `text` that the span marks.
    marked: std::ops::Range<usize>,
    /// The number of the first line, from 1.
    line: usize,
    /// The number of characters of the first line that are left out.
    cut_columns: usize,
}

impl Excerpt<'_> {
    fn of(span: &Span) -> Excerpt<'_> {
        let text = &span.source.text;
        let start = text.floor_char_boundary(span.range.start.min(text.len()));
        let end = text.floor_char_boundary(span.range.end.clamp(start, text.len()));
        let (std::ops::Range { start: mut from, end: mut to }, line) = span.source.lines_of(&(start..end));
        let mut cut_columns = 0;
        if to - from > MAX_EXCERPT_BYTES {
            to = to.min(text.floor_char_boundary(start + 2 * CONTEXT_BYTES));
            let context = text.ceil_char_boundary(start.saturating_sub(CONTEXT_BYTES));
            if context > from {
                cut_columns = text[from..context].chars().count();
                from = context;
            }
        }
        Excerpt { text: &text[from..to], marked: start - from..end.min(to) - from, line, cut_columns }
    }
}

/// The beginning of a long message.
fn shortened(message: &str) -> Cow<'_, str> {
    match message.len() {
        ..=MAX_MESSAGE_BYTES => message.into(),
        _ => format!("{}…", &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)]).into(),
    }
}

/// Enough for every plan, and bounded for a file with as many errors as names.
const MAX_CANDIDATES: usize = 1000;

/// Whether no other word is as similar to `word` as `near`.
fn is_only_one(word: &str, near: &str, known: &[&str]) -> bool {
    let distance = |k: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &k.to_lowercase());
    let nearest = distance(near);
    known.iter().all(|k| *k == near || distance(k) > nearest)
}

/// The word of `known` that is most similar to `word`, if any is similar enough. Case makes no difference.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let max_distance = |k: &str| 1 + word.len().min(k.len()) / 4;
    known
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|k| k.len().abs_diff(word.len()) <= 4 * max_distance(k))
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= max_distance(k))
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Collected problems.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn push(&mut self, d: Diagnostic) {
        self.0.push(d);
    }

    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    pub fn errors(&self) -> usize {
        self.0.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// Sorts by location, and removes duplicates.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            (&a.span.source.name, a.span.range.start, &a.message).cmp(&(
                &b.span.source.name,
                b.span.range.start,
                &b.message,
            ))
        });
        self.0.dedup_by(|a, b| a.code == b.code && a.span.range == b.span.range && a.message == b.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_word_is_found_in_any_case() {
        for (word, expected) in [("tp004", Some("TP-004")), ("staging", Some("Staging")), ("other", None)] {
            assert_eq!(nearest(word, ["TP-004", "Staging"]), expected, "{word}");
        }
    }
}
