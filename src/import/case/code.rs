//! Reads code blocks of a case, and data of sentences.
use super::{Builder, Part};
use crate::import::{
    drafts::{code_comment, draft, has_commented_results, result_label},
    model::Kind,
    scenarios,
    text::{has_words, split_marker},
    vocabulary::Role,
};

impl Builder {
    pub(super) fn code(&mut self, text: &str, language: &str, line: usize) {
        self.structure(language, line);
        if scenarios::is_scenario(text, language) {
            return self.scenario(text, line + 1);
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
