//! What is wrong with a file that a person wrote, and how that is drawn. Every problem has a code, a place, one sentence, and
//! where possible what was probably meant. The codes are explained in `docs/diagnostics.md`.
use crate::source::Span;
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
    /// Stands under the underline.
    pub label: Option<String>,
    /// What to do, or what was probably meant.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, span: &Span, message: impl Into<String>) -> Self {
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

    /// Adds "did you mean" if one of `known` is near `word`, and otherwise lists them.
    pub fn meant<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(word, known.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            // a long list helps nobody
            None if known.is_empty() || known.len() > 16 => self,
            None => self
                .help(format!("known here: {}", known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))),
        }
    }

    /// Drawn as rustc draws: place, source line, underline, help.
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

/// The word of `known` that `word` is probably a slip of.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), k))
        .filter(|(d, k)| *d <= 1 + word.len().min(k.len()) / 4)
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Everything that is wrong, in the order of the file.
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

    /// By place; what was found twice at one place with one sentence is said once.
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
