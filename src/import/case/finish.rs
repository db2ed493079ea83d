//! Decides the kinds of sentences without label.
use super::{Builder, Loose};
use crate::import::{
    labels::{self},
    model::{Comment, Field, Kind, Sentence},
    phrasing::{is_demand, is_instruction, is_statement},
    text::{has_words, squeeze},
};

impl Builder {
    /// Decides the kinds of the sentences without label, and completes the case.
    pub fn finish(mut self) -> Builder {
        let labelled = !self.case.steps.is_empty() || !self.case.expected.is_empty();
        let (steps, expected) = (self.case.steps.is_empty(), self.case.expected.is_empty());
        let items = self.loose.iter().any(|l| l.item);
        let ordered_items = self.loose.iter().any(|l| l.item && l.ordered);
        let mut placed: Vec<(Kind, Sentence)> = Vec::new();
        for loose in std::mem::take(&mut self.loose) {
            let Loose { sentence, item, ordered, checkbox } = loose;
            let instruction =
                steps && !ordered_items && !sentence.text.ends_with(':') && is_instruction(&sentence.text);
            if !item && (labelled || items) && instruction {
                placed.push((Kind::Step, sentence));
                continue;
            }
            if !item && (labelled || items) {
                let demand = expected && !steps && sentence.text.to_lowercase().starts_with("verify");
                if demand {
                    placed.push((Kind::Expected, sentence));
                } else {
                    self.case.fields.push(Field {
                        label: "Description".into(),
                        value: squeeze(&sentence.text),
                        line: sentence.line,
                    });
                    sentence
                        .data
                        .iter()
                        .for_each(|d| self.case.comments.push(Comment { text: d.text.clone(), line: d.line }));
                }
                continue;
            }
            let texts = match item {
                true if steps && expected => split_demand(&sentence.text),
                true => vec![sentence.text.clone()],
                false => split_sentences(&sentence.text),
            };
            for (i, text) in texts.into_iter().enumerate() {
                let data = if i == 0 { sentence.data.clone() } else { Vec::new() };
                if let Some((step, _, result)) = labels::split_outcome(&text).filter(|_| expected || item) {
                    placed.push((Kind::Step, Sentence { text: step.into(), line: sentence.line, data }));
                    placed.push((
                        Kind::Expected,
                        Sentence { text: result.into(), line: sentence.line, data: Vec::new() },
                    ));
                    continue;
                }
                let kind = match i {
                    0 => loose_kind(&text, ordered, steps || checkbox, expected || checkbox),
                    _ if item => Kind::Expected,
                    _ => loose_kind(&text, ordered, steps, expected),
                };
                placed.push((kind, Sentence { text, line: sentence.line, data }));
            }
        }
        for (kind, sentence) in placed {
            let list = self.case.list_mut(kind);
            let at = list.partition_point(|s| s.line <= sentence.line);
            list.insert(at, sentence);
        }
        self.case.fields.retain(|f| has_words(&f.value) || !f.value.is_ascii());
        if self.case.steps.is_empty() && !self.case.expected.is_empty() {
            // without steps, the scenario or the input says what to do
            let replaces_a_step = |f: &Field| {
                let name = crate::import::vocabulary::normalise(&f.label, true);
                matches!(
                    name.as_str(),
                    "scenario"
                        | "test scenario"
                        | "condition"
                        | "test condition"
                        | "input"
                        | "test input"
                        | "input data"
                        | "interaction"
                )
            };
            if let Some(at) = self.case.fields.iter().position(replaces_a_step) {
                let field = self.case.fields.remove(at);
                self.structure(&field.label, field.line);
                self.case.steps.push(Sentence { text: field.value, line: field.line, data: Vec::new() });
            }
        }
        if self.title_is_result
            && self.case.steps.is_empty()
            && self.case.expected.is_empty()
            && has_words(&self.case.title)
        {
            let sentence = Sentence { text: self.case.title.clone(), line: self.case.line, data: Vec::new() };
            self.case.expected.push(sentence);
        }
        self
    }
}

/// Splits an item into what to do and what should follow: `Run it. It should work.`
pub(super) fn split_demand(text: &str) -> Vec<String> {
    let sentences = split_sentences(text);
    let demands = |s: &String| {
        let lower = s.to_lowercase();
        lower.starts_with("expect")
            || lower.starts_with("verify")
            || lower.contains(" should ")
            || lower.starts_with("confirm")
    };
    match sentences.iter().skip(1).position(demands) {
        Some(at) if is_instruction(&sentences[0]) && !demands(&sentences[0]) => {
            vec![sentences[..=at].join(" "), sentences[at + 1..].join(" ")]
        }
        _ => vec![text.to_string()],
    }
}

/// The kind of a sentence without label. `steps` and `expected` say that the case has none with a label.
pub(super) fn loose_kind(text: &str, ordered: bool, steps: bool, expected: bool) -> Kind {
    if !expected {
        return Kind::Step;
    }
    if !steps {
        return Kind::Expected;
    }
    let lower = text.to_lowercase();
    if lower.starts_with('`') && ordered {
        return Kind::Step;
    }
    let verifies =
        ["verify", "check", "ensure", "confirm", "assert", "validate", "expect", "observe", "make sure", "should "]
            .iter()
            .any(|w| lower.starts_with(w));
    if verifies {
        Kind::Expected
    } else if ordered {
        if is_instruction(text) || !is_demand(text) { Kind::Step } else { Kind::Expected }
    } else if is_instruction(text) && !is_statement(text) {
        Kind::Step
    } else {
        Kind::Expected
    }
}

/// Splits a paragraph into its sentences.
pub(super) fn split_sentences(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if !matches!(c, '.' | '!' | '?') {
            continue;
        }
        let rest = &text[at + 1..];
        let next = rest.trim_start().chars().next();
        if rest.starts_with(' ')
            && next.is_some_and(|c| c.is_uppercase())
            && text[start..at].split_whitespace().count() > 1
        {
            out.push(text[start..=at].trim().to_string());
            start = at + 1;
        }
    }
    out.push(text[start..].trim().to_string());
    out.retain(|s| has_words(s));
    out
}
