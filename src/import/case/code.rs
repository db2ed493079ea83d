//! Reads code blocks of a case, and data of sentences.
use super::{Builder, Part};
use crate::import::{
    gherkin,
    labels::{self, Label},
    model::{Draft, Kind},
    text::{has_words, split_marker},
    vocabulary::Role,
};

impl Builder {
    pub(super) fn code(&mut self, text: &str, language: &str, line: usize) {
        self.structure(language, line);
        if gherkin::is_scenario(text, language) {
            return gherkin::read_into(text, line + 1, self);
        }
        if !has_words(text) {
            return;
        }
        if self.part != Part::List(Kind::Expected) && self.commented_results(text, line) {
            return;
        }
        match self.part.clone() {
            Part::List(Kind::Expected) => {
                self.sentence(Kind::Expected, text, line);
                if let Some(last) = self.case.expected.last_mut() {
                    last.data.extend(Some(draft(text, line)).filter(|d| d.json.is_some()));
                }
            }
            Part::List(kind) => match self.last.filter(|last| *last == kind) {
                Some(_) => self.data(text, line, kind),
                None => self.sentence(kind, text, line),
            },
            Part::Open => match self.loose.last_mut().filter(|l| l.item || l.sentence.text.ends_with(':')) {
                Some(last) => last.sentence.data.push(draft(text, line)),
                None => self.sentence(Kind::Step, text, line),
            },
            Part::Field(Role::Data) | Part::Field(_) | Part::Other => self.comment(text.trim_end(), line),
        }
    }

    /// Reads code whose comments name the results: `# Expected: it starts`.
    pub(super) fn commented_results(&mut self, text: &str, line: usize) -> bool {
        if !has_commented_results(text) {
            return false;
        }
        let mut command = String::new();
        let mut command_line = line + 1;
        let mut open = false;
        for (i, code) in text.lines().enumerate() {
            let at = line + 1 + i;
            let found = code_comment(code);
            if let Some(found) = found.and_then(result_label) {
                self.sentence(Kind::Step, command.trim(), command_line);
                command.clear();
                self.structure(&found.name, at);
                self.sentence(Kind::Expected, &found.value, at);
                self.labelled = true;
                open = !has_words(&found.value);
            } else if let Some((_, rest)) = found.filter(|_| open).and_then(split_marker) {
                self.sentence(Kind::Expected, rest, at);
            } else {
                open = false;
                if command.trim().is_empty() {
                    command_line = at;
                }
                command.push_str(code);
                command.push('\n');
            }
        }
        self.sentence(Kind::Step, command.trim(), command_line);
        true
    }

    /// Adds data to the last sentence of a kind.
    pub fn data(&mut self, text: &str, line: usize, kind: Kind) {
        if !has_words(text) {
            return;
        }
        match self.case.list_mut(kind).last_mut() {
            Some(last) => last.data.push(draft(text, line)),
            None => self.comment(text, line),
        }
    }
}

/// The comment on a line of code.
pub(super) fn code_comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix('#').or_else(|| line.strip_prefix("//")).map(str::trim)
}

pub(super) fn result_label(comment: &str) -> Option<Label> {
    labels::plain_label(comment).filter(|l| l.role == Some(Role::Expected))
}

/// Whether comments of a piece of code name results: `# Expected: it starts`.
pub fn has_commented_results(text: &str) -> bool {
    text.lines().any(|l| code_comment(l).and_then(result_label).is_some())
}

/// Data with its parsed JSON, if it is an object or list.
pub fn draft(text: &str, line: usize) -> Draft {
    let json = serde_json::from_str::<serde_json::Value>(text.trim()).ok().filter(|v| v.is_object() || v.is_array());
    let text = if json.is_some() { text.trim() } else { text.trim_end() };
    Draft { text: text.into(), line, json }
}
