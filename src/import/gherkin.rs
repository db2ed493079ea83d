//! Reads Gherkin: `.feature` files, and scenarios in code blocks of a Markdown document.
use super::{
    case::Builder,
    drafts::draft,
    ids::case_head,
    model::{Comment, Draft, Field, Kind, Sentence},
    scenarios::{Head, head_of, step_of},
    text::{has_words, squeeze},
};

/// A `.feature` file or code block.
#[derive(Default)]
pub struct Feature {
    pub title: Option<String>,
    pub description: Vec<Comment>,
    pub cases: Vec<Builder>,
    pub comments: Vec<Comment>,
    pub labels: Vec<Comment>,
}

/// Reads the scenarios of a text whose first line has the number `first`.
pub fn read(text: &str, first: usize) -> Feature {
    let mut reader = Reader::default();
    for (i, line) in text.lines().enumerate() {
        reader.line(line, first + i);
    }
    reader.finish()
}

impl Builder {
    /// Reads the sentences of a scenario into a case that the document describes otherwise.
    pub fn scenario(&mut self, text: &str, first: usize) {
        let feature = read(text, first);
        self.labels.extend(feature.labels);
        self.case.comments.extend(feature.comments);
        self.case.comments.extend(feature.description);
        self.case.comments.extend(feature.title.map(|text| Comment { text, line: first }));
        for other in feature.cases {
            if self.case.title.is_empty() {
                self.case.title = other.case.title;
            } else if has_words(&other.case.title) {
                self.comment(other.case.title, other.case.line);
            }
            self.case.preconditions.extend(other.case.preconditions);
            self.case.steps.extend(other.case.steps);
            self.case.expected.extend(other.case.expected);
            self.case.comments.extend(other.case.comments);
            self.case.fields.extend(other.case.fields);
            self.labels.extend(other.labels);
        }
    }
}

#[derive(Default)]
struct Reader {
    feature: Feature,
    background: Vec<(Kind, Sentence)>,
    rule_background: Vec<(Kind, Sentence)>,
    open: Option<Builder>,
    head: Option<Head>,
    in_rule: bool,
    kind: Option<Kind>,
    tags: Vec<(String, usize)>,
    rule: Option<(String, usize)>,
    doc: Option<(&'static str, String, usize)>,
    table: Option<(String, usize)>,
}

impl Reader {
    fn line(&mut self, raw: &str, number: usize) {
        let line = raw.trim();
        if let Some((fence, text, _)) = &mut self.doc {
            if line.starts_with(*fence) {
                self.end_doc();
            } else {
                text.push_str(raw.trim_end());
                text.push('\n');
            }
            return;
        }
        if let Some(fence) = ["\"\"\"", "```"].into_iter().find(|f| line.starts_with(f)) {
            self.feature.labels.push(Comment { text: line[3..].into(), line: number });
            self.doc = Some((fence, String::new(), number));
            return;
        }
        if line.starts_with('|') {
            let row = line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" | ");
            let (text, _) = self.table.get_or_insert((String::new(), number));
            text.push_str(&row);
            text.push('\n');
            return;
        }
        self.end_table();
        if line.is_empty() {
            return;
        }
        if let Some(comment) = line.strip_prefix('#') {
            return self.remark(comment.trim(), number);
        }
        if line.starts_with('@') {
            return self.tags.extend(line.split_whitespace().map(|t| (t.to_string(), number)));
        }
        if let Some((head, word, rest)) = head_of(line) {
            return self.begin(head, word, rest, number);
        }
        let stepping = matches!(self.head, Some(Head::Background | Head::Scenario)) || self.head.is_none();
        if let Some((keyword, word, rest)) = step_of(line).filter(|_| stepping) {
            let kind = keyword.kind(self.kind.unwrap_or(Kind::Precondition));
            self.kind = Some(kind);
            self.feature.labels.push(Comment { text: word.into(), line: number });
            return self.step(kind, rest, number);
        }
        match (&mut self.open, self.head) {
            (Some(open), Some(Head::Scenario | Head::Examples)) => open.comment(line, number),
            _ => self.feature.description.push(Comment { text: line.into(), line: number }),
        }
    }

    fn remark(&mut self, text: &str, line: usize) {
        let comment = Comment { text: text.into(), line };
        match &mut self.open {
            Some(open) if self.tags.is_empty() => open.case.comments.push(comment),
            _ => self.feature.comments.push(comment),
        }
    }

    fn begin(&mut self, head: Head, word: &str, rest: &str, line: usize) {
        self.feature.labels.push(Comment { text: word.into(), line });
        match head {
            Head::Examples => {
                if let Some(open) = &mut self.open {
                    for (tag, line) in self.tags.drain(..) {
                        open.comment(tag, line);
                    }
                    if has_words(rest) {
                        open.comment(rest, line);
                    }
                }
            }
            _ => self.end_case(),
        }
        self.head = Some(head);
        self.kind = None;
        match head {
            Head::Feature => {
                self.feature.title = Some(rest.into());
                let tags = std::mem::take(&mut self.tags);
                self.feature.comments.extend(tags.into_iter().map(|(text, line)| Comment { text, line }));
            }
            Head::Rule => {
                self.rule = Some((rest.into(), line));
                self.in_rule = true;
                self.rule_background.clear();
            }
            Head::Background => {
                if has_words(rest) {
                    self.feature.comments.push(Comment { text: rest.into(), line });
                }
                if !self.in_rule {
                    self.background.clear();
                }
            }
            Head::Scenario => {
                let mut open = Builder::new(line);
                let found = case_head(rest);
                if let Some(id) = found.id {
                    open.case.id = id;
                    open.case.title = found.title;
                } else {
                    open.case.title = rest.into();
                }
                self.tags(&mut open);
                if let Some((rule, line)) = &self.rule {
                    open.case.fields.push(Field { label: "Rule".into(), value: rule.clone(), line: *line });
                }
                for (kind, sentence) in self.background.iter().chain(&self.rule_background) {
                    open.case.list_mut(*kind).push(sentence.clone());
                }
                self.open = Some(open);
            }
            Head::Examples => {}
        }
    }

    /// Tags give the id, the priority and a field.
    fn tags(&mut self, open: &mut Builder) {
        let tags = std::mem::take(&mut self.tags);
        let Some((_, line)) = tags.first().cloned() else { return };
        for (tag, _) in &tags {
            let name = tag.trim_start_matches('@');
            let id = name
                .strip_prefix("TEST_")
                .or_else(|| name.strip_prefix("TestCase-"))
                .or_else(|| name.strip_prefix("id:"))
                .unwrap_or(name);
            let value = ["priority", "prio", "severity"].iter().find_map(|p| {
                name.to_ascii_lowercase()
                    .strip_prefix(p)
                    .map(|r| r.trim_start_matches([':', '-', '_', '=']).to_string())
            });
            if let Some(value) = value.filter(|v| has_words(v)) {
                open.case.priority.get_or_insert(value);
            } else if super::tiers::is_priority_code(name)
                || super::tiers::of_heading(name).is_some_and(|_| !name.contains(['-', '_']))
            {
                open.case.priority.get_or_insert(name.into());
            } else if open.case.id.is_empty() && super::ids::is_id(id) {
                open.case.id = id.into();
            }
        }
        let value = tags.into_iter().map(|(t, _)| t).collect::<Vec<_>>().join(" ");
        open.case.fields.push(Field { label: "Tags".into(), value, line });
    }

    fn step(&mut self, kind: Kind, text: &str, line: usize) {
        let sentence = Sentence { text: squeeze(text), line, data: Vec::new() };
        match self.head {
            Some(Head::Background) if self.in_rule => self.rule_background.push((Kind::Precondition, sentence)),
            Some(Head::Background) => self.background.push((Kind::Precondition, sentence)),
            _ => {
                let open = self.open.get_or_insert_with(|| Builder::new(line));
                open.case.list_mut(kind).push(sentence);
            }
        }
    }

    fn last(&mut self) -> Option<&mut Vec<Draft>> {
        let kind = self.kind?;
        let sentence = match self.head {
            Some(Head::Background) if self.in_rule => self.rule_background.last_mut().map(|(_, s)| s),
            Some(Head::Background) => self.background.last_mut().map(|(_, s)| s),
            _ => self.open.as_mut()?.case.list_mut(kind).last_mut(),
        };
        sentence.map(|s| &mut s.data)
    }

    fn attach(&mut self, text: String, line: usize) {
        if !has_words(&text) {
            return;
        }
        if self.head == Some(Head::Examples)
            && let Some(open) = &mut self.open
        {
            open.comment("Examples:", line);
            text.lines().enumerate().for_each(|(i, l)| open.comment(format!("  {l}"), line + i));
            return;
        }
        match self.last() {
            Some(data) => data.push(draft(&text, line)),
            None => self.remark(&text, line),
        }
    }

    fn end_doc(&mut self) {
        if let Some((_, text, line)) = self.doc.take() {
            self.attach(text, line);
        }
    }

    fn end_table(&mut self) {
        if let Some((text, line)) = self.table.take() {
            self.attach(text, line);
        }
    }

    fn end_case(&mut self) {
        if let Some(open) = self.open.take() {
            self.feature.cases.push(open);
        }
    }

    fn finish(mut self) -> Feature {
        self.end_doc();
        self.end_table();
        self.end_case();
        let tags = std::mem::take(&mut self.tags);
        self.feature.comments.extend(tags.into_iter().map(|(text, line)| Comment { text, line }));
        if let Some((text, line)) = self.rule.take()
            && !self.feature.cases.iter().any(|c| c.case.fields.iter().any(|f| f.line == line))
        {
            self.feature.comments.push(Comment { text, line });
        }
        // a background without scenarios
        if self.feature.cases.is_empty() {
            let all = self.background.into_iter().chain(self.rule_background);
            self.feature.comments.extend(all.map(|(_, s)| Comment { text: s.text, line: s.line }));
        }
        self.feature
    }
}
