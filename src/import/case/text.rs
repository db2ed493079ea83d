//! Reads the paragraphs of a case.
use super::{Builder, Loose, Part};
use crate::import::{
    blocks::Line,
    labels::{self, Label, label},
    model::{Kind, Sentence},
    phrasing::is_instruction,
    text::{has_words, split_items, split_marker, without_marks},
    vocabulary::Role,
};

impl Builder {
    pub(super) fn paragraph(&mut self, lines: &[Line]) {
        if labels::is_scenario(lines.iter().map(|l| l.text.as_str())) {
            return lines.iter().for_each(|line| self.scenario_line(&line.text, line.line));
        }
        let mut before: Option<&Line> = None;
        for line in lines {
            if let Some(found) = label(line, true).filter(|l| self.accepts(l, line, lines.len() == 1)) {
                self.begin(&found, line.line);
                before = Some(line);
                continue;
            }
            if self.one_line(&line.text, line.line) {
                before = None;
                continue;
            }
            if line.bold > 0 && labels::keyword(&line.text).is_some() {
                self.scenario_line(&line.text, line.line);
                before = Some(line);
                continue;
            }
            let continues = before.is_some_and(|b| continues(b, line));
            self.text(line, continues);
            before = Some(line);
        }
    }

    pub(super) fn accepts(&self, found: &Label, line: &Line, alone: bool) -> bool {
        if found.role.is_some() {
            // within a list of sentences, plain words before a colon are part of a sentence
            let in_list = matches!(self.part, Part::List(_));
            return found.strong
                || !in_list
                || found.kind().is_some()
                || alone
                || line.bold > 0
                || found.value.split_whitespace().count() <= 6;
        }
        // `**Login**: open the page` is a step
        found.strong
            && (found.value.is_empty()
                || !matches!(self.part, Part::List(_))
                || line.text.starts_with(&found.name) && !split_like_step(line))
    }

    pub(super) fn one_line(&mut self, text: &str, line: usize) -> bool {
        let Some(parts) = labels::one_line_scenario(text) else { return false };
        for (keyword, text) in parts {
            self.structure(
                match keyword {
                    labels::Keyword::Given => "Given",
                    labels::Keyword::When => "When",
                    _ => "Then",
                },
                line,
            );
            self.sentence(keyword.kind(Kind::Step), text, line);
        }
        true
    }

    pub(super) fn scenario_line(&mut self, text: &str, line: usize) {
        match labels::keyword(text) {
            Some((keyword, word, rest)) => {
                let kind = keyword.kind(self.last_keyword);
                self.structure(word, line);
                self.last_keyword = kind;
                self.part = Part::List(kind);
                self.sentence(kind, rest, line);
            }
            None => {
                let found = label(&Line::new(text, line), false).filter(|l| l.role.is_some());
                match found {
                    Some(found) => self.begin(&found, line),
                    None => self.text(&Line::new(text, line), true),
                }
            }
        }
    }

    /// A line of text without label.
    pub(super) fn text(&mut self, line: &Line, continues: bool) {
        let text = without_marks(&line.text);
        let (marked, text) = split_marker(text).map_or((false, text), |(m, rest)| {
            (true, if m.starts_with(char::is_alphabetic) && !has_words(rest) { text } else { rest })
        });
        match self.part.clone() {
            Part::List(kind) => {
                if marked {
                    for (text, at) in split_items(&line.text, line.line, false) {
                        self.sentence_or_both(kind, &text, at);
                    }
                } else if let Some(last) = self.case.list_mut(kind).last_mut().filter(|_| continues) {
                    last.text.push(' ');
                    last.text.push_str(text);
                } else {
                    self.sentence_or_both(kind, text, line.line);
                }
            }
            Part::Open => {
                if let Some(last) = self.loose.last_mut().filter(|l| continues && !l.item && !marked) {
                    last.sentence.text.push(' ');
                    last.sentence.text.push_str(text);
                } else {
                    self.loose(text, line.line, marked, marked);
                }
            }
            Part::Field(role) => self.extend_field(role, text, line.line),
            Part::Other => self.extend_field(Role::Field, text, line.line),
        }
    }

    pub(super) fn loose(&mut self, text: &str, line: usize, item: bool, ordered: bool) {
        if has_words(text) {
            let sentence = Sentence { text: text.into(), line, data: Vec::new() };
            self.loose.push(Loose { sentence, item, ordered, checkbox: false });
        }
    }

    /// Appends to the value of the field whose label came last.
    pub(super) fn extend_field(&mut self, role: Role, text: &str, line: usize) {
        let value = match role {
            Role::Priority => self.case.priority.get_or_insert_default(),
            Role::Title | Role::Subject if self.case.title.is_empty() => &mut self.case.title,
            Role::Id if self.case.id.is_empty() => return self.put(Some(role), "ID", text, line, false),
            _ => match self.case.fields.last_mut() {
                Some(field) => &mut field.value,
                None => return self.comment(text, line),
            },
        };
        if !value.is_empty() {
            value.push_str(if value.ends_with([':', '.', ';', ',', '!', '?']) { " " } else { "; " });
        }
        value.push_str(text);
        if role == Role::Severity {
            self.severity = self.case.fields.last().map(|f| f.value.clone());
        }
        if role == Role::Tier {
            self.tier = self.case.fields.last().map(|f| f.value.clone());
        }
    }
}

/// Whether a line of a paragraph continues the line before.
pub(super) fn continues(before: &Line, line: &Line) -> bool {
    let lower = line.text.chars().next().is_some_and(|c| c.is_lowercase() || matches!(c, '(' | ',' | '`' | '"'));
    let ended = before.text.ends_with(['.', '!', '?', ';', ':']);
    split_marker(&line.text).is_none() && !ended && (lower || before.text.chars().count() > 60)
}

/// Whether `**Open**: the page` reads like an instruction with a short name.
pub(super) fn split_like_step(line: &Line) -> bool {
    is_instruction(&line.text)
}
