//! Problems in files written by users, and how they are displayed. Each has a code, a location, a message and usually
//! help. The codes are explained in `docs/diagnostics.md`.
use crate::{language::explanation, source::Span};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

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
        }
    }

    pub fn warning(code: &'static str, span: &Span, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
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
            Some(near) => self.help(format!("did you mean `{near}`?")),
            // a long list does not help
            None if known.is_empty() || known.len() > 16 => self,
            None => self
                .help(format!("available: {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))),
        }
    }

    /// Displays it like rustc: message, location, source line with underline, help.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let text = &self.span.source.text;
        let start = text.floor_char_boundary(self.span.range.start.min(text.len()));
        let end = text.floor_char_boundary(self.span.range.end.clamp(start, text.len()));
        let mut annotation = AnnotationKind::Primary.span(start..end);
        if let Some(label) = &self.label {
            annotation = annotation.label(label.as_str());
        }
        let snippet = Snippet::source(text.as_str()).path(self.span.source.name.as_str()).annotation(annotation);
        let mut group = level.primary_title(self.message.as_str()).id(self.code).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group]).to_string()
    }
}

/// The word of `known` that is most similar to `word`, if any is similar enough. Case makes no difference.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= 1 + word.len().min(k.len()) / 4)
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
