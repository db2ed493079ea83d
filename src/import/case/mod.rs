//! Reads the content of one case: labels, lists, paragraphs, tables and code.
mod code;
mod finish;
mod lists;
mod rows;
mod text;

use super::{
    blocks::{Block, Line},
    ids::leading_number,
    labels::{self, Label, kind_of, label},
    model::{Case, Comment, Field, Kind, Sentence},
    outline::Section,
    text::{has_words, says_none, split_items, squeeze, step_number, without_marks},
    vocabulary::{Role, role},
};

/// Where the next text goes.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// Before any label.
    Open,
    List(Kind),
    /// Below a label of a field.
    Field(Role),
    /// Below a label without known meaning.
    Other,
}

/// A sentence before any label: its kind is decided when the case is complete.
struct Loose {
    sentence: Sentence,
    item: bool,
    ordered: bool,
    checkbox: bool,
}

/// Collects the parts of a case.
pub struct Builder {
    pub case: Case,
    /// `Test Case 3` gives `3`.
    pub number: Option<String>,
    /// Labels and markers that became keys.
    pub labels: Vec<Comment>,
    pub tier: Option<String>,
    pub severity: Option<String>,
    part: Part,
    loose: Vec<Loose>,
    last_keyword: Kind,
    /// The list that the last sentence went to.
    last: Option<Kind>,
    /// Whether the title is that of a section, so that a labelled one is better.
    pub title_is_weak: bool,
    /// Whether the case has labels of steps or results.
    labelled: bool,
    /// Whether the list being read is one of labels.
    labels_in_list: bool,
    /// A case without sentences gets its title as expected result.
    pub title_is_result: bool,
}

impl Builder {
    pub fn new(line: usize) -> Builder {
        Builder {
            case: Case { line, ..Case::default() },
            number: None,
            labels: Vec::new(),
            tier: None,
            severity: None,
            part: Part::Open,
            loose: Vec::new(),
            last_keyword: Kind::Precondition,
            last: None,
            title_is_weak: false,
            labelled: false,
            labels_in_list: false,
            title_is_result: false,
        }
    }

    fn structure(&mut self, text: &str, line: usize) {
        if has_words(text) {
            self.labels.push(Comment { text: text.into(), line });
        }
    }

    pub fn comment(&mut self, text: impl Into<String>, line: usize) {
        self.case.comments.push(Comment { text: text.into(), line });
    }

    fn field(&mut self, label: &str, value: &str, line: usize) {
        let value = squeeze(value);
        self.case.fields.push(Field { label: label.trim().into(), value, line });
    }

    /// Adds a sentence to a list.
    pub fn sentence(&mut self, kind: Kind, text: &str, line: usize) {
        let text = without_marks(text);
        if !has_words(text) {
            return;
        }
        if says_none(text) {
            self.field(kind.noun(), text, line);
            return;
        }
        self.case.list_mut(kind).push(Sentence { text: text.into(), line, data: Vec::new() });
        self.last = Some(kind);
    }

    /// Adds a step or another sentence, with the expected result that it may name.
    fn sentence_or_both(&mut self, kind: Kind, text: &str, line: usize) {
        if kind == Kind::Step
            && let Some((step, mark, result)) = labels::split_outcome(text)
        {
            self.structure(mark, line);
            self.sentence(Kind::Step, step, line);
            self.sentence(Kind::Expected, result, line);
            self.last = Some(Kind::Step);
        } else {
            self.sentence(kind, text, line);
        }
    }

    /// Gives a field or list of the case its value.
    pub fn put(&mut self, role: Option<Role>, name: &str, value: &str, line: usize, lines_count: bool) {
        if let Some(kind) = kind_of(role) {
            if labels::is_scenario(value.lines()) {
                return self.scenario(value, line);
            }
            for (text, line) in split_items(value, line, lines_count) {
                self.sentence_or_both(kind, &text, line);
            }
            return;
        }
        if !has_words(value) {
            // an emoji can be a value
            if value.is_empty() || !matches!(role, Some(Role::Priority | Role::Severity | Role::Tier)) {
                return;
            }
        }
        let value = squeeze(value);
        match role {
            Some(Role::Priority) if self.case.priority.is_none() => {
                self.case.priority = Some(value.trim_matches(['`', '*', '_', '[', ']']).into());
            }
            Some(Role::Id) if self.case.id.is_empty() => match usable_id(&value) {
                Some(id) => self.case.id = id,
                None => self.field(name, &value, line),
            },
            Some(Role::Title | Role::Subject) if self.case.title.is_empty() => self.case.title = value,
            Some(Role::Title) if self.title_is_weak => {
                self.title_is_weak = false;
                let before = std::mem::replace(&mut self.case.title, value);
                self.comment(before, self.case.line);
            }
            _ => {
                match role {
                    Some(Role::Tier) => self.tier = Some(value.clone()),
                    Some(Role::Severity) => self.severity = Some(value.clone()),
                    _ => {}
                }
                let inner = value.trim_matches('`');
                self.field(name, if inner.contains('`') { &value } else { inner }, line);
            }
        }
    }

    /// Reads a section that is a case, with its sub-headings; not those that are cases of their own.
    pub fn section(&mut self, section: &Section) {
        self.blocks(&section.blocks);
        for child in section.children.iter().filter(|c| !c.shape.is_case && !c.shape.holds_cases) {
            self.sub_section(child);
        }
    }

    fn sub_section(&mut self, section: &Section) {
        let Some(head) = &section.head else { return self.section(section) };
        let found = label(&Line { bold: head.text.len(), ..head.clone() }, true);
        let (name, line) = (head.text.trim_end_matches([':', '：']), head.line);
        let found = found.map(|mut found| {
            if let Some((number, rest)) = leading_number(&found.name) {
                self.labels.push(Comment { text: number.into(), line });
                found.name = rest.to_string();
            }
            found
        });
        if step_number(name).is_some_and(has_words) || (step_number(name).is_some() && section.blocks.is_empty()) {
            let text = step_number(name).unwrap_or_default();
            self.structure(name, line);
            self.part = Part::List(Kind::Step);
            if has_words(text) {
                self.sentence_or_both(Kind::Step, text, line);
            }
        } else if let Some(found) = found.filter(|f| f.role.is_some()) {
            self.begin(&found, line);
        } else if let Some(role) = role(name) {
            self.begin(&Label { name: name.into(), value: String::new(), role: Some(role), strong: true }, line);
        } else {
            self.comment(name, line);
            self.part = Part::Open;
        }
        self.section(section);
    }

    /// Reads blocks into the part that is open.
    pub fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Lines(lines) => self.paragraph(lines),
                Block::List { ordered, items } => self.list(*ordered, items),
                Block::Table(table) => self.table(table),
                Block::Code { text, line, language } => self.code(text, language, *line),
                Block::Remark(line) => self.comment(line.text.clone(), line.line),
                Block::Heading { line, .. } => self.comment(line.text.clone(), line.line),
                Block::Rule => {}
            }
        }
    }

    /// Opens the part that a label names, and reads the text behind it.
    fn begin(&mut self, found: &Label, line: usize) {
        self.structure(&found.name, line);
        let value = found.value.trim();
        match found.kind() {
            Some(kind) => {
                self.part = Part::List(kind);
                self.last = None;
                self.labelled |= matches!(kind, Kind::Step | Kind::Expected);
                if has_words(value) {
                    // `Expected status: 200` keeps its words
                    let full = found.role == Some(Role::Expected) && !is_plain_expected(&found.name);
                    let text = if full { format!("{}: {value}", found.name) } else { value.to_string() };
                    for (text, line) in split_items(&text, line, false) {
                        self.sentence_or_both(kind, &text, line);
                    }
                }
            }
            None => {
                let parts = labels::split_fields(value);
                self.part = match found.role {
                    Some(role) => Part::Field(role),
                    None => Part::Other,
                };
                let sign = found.role == Some(Role::Priority) && !value.is_empty();
                if has_words(value) || sign {
                    self.put(found.role, &found.name, parts[0], line, false);
                    if !matches!(found.role, Some(Role::Description | Role::Subject | Role::Title))
                        && found.role.is_some()
                    {
                        self.part = Part::Open;
                    }
                } else if found.role.is_none() && !self.labelled {
                    // a title within a list of checks
                    self.comment(found.name.clone(), line);
                    self.part = Part::Open;
                } else if !matches!(found.role, Some(Role::Priority | Role::Id | Role::Title)) {
                    self.field(&found.name, "", line);
                }
                for part in &parts[1..] {
                    if let Some((name, value)) = part.split_once([':', '：']) {
                        let name = name.trim_matches(['*', '_', ' ']);
                        let value = value.trim_start_matches(['*', '_', ' ']);
                        self.structure(name, line);
                        self.put(role(name), name, value, line, false);
                    }
                }
            }
        }
    }
}

/// Whether the label is one of the usual names of expected results, which need not be repeated.
fn is_plain_expected(name: &str) -> bool {
    let name = super::vocabulary::normalise(name, false);
    !name.starts_with("expected ")
        || [
            "result",
            "outcome",
            "behavior",
            "behaviour",
            "output",
            "response",
            "test result",
            "result and verification",
        ]
        .iter()
        .any(|n| name[9..] == **n)
}

/// An id that a YAML plan can use: without spaces.
fn usable_id(value: &str) -> Option<String> {
    let bare = value.trim().trim_matches(['`', '*', '_', '[', ']']);
    let bare = bare.split_once("](").map_or(bare, |(name, _)| name);
    let joined = if bare.split_whitespace().count() == 2 && bare.chars().any(|c| c.is_ascii_digit()) {
        bare.replace(' ', "-")
    } else {
        bare.to_string()
    };
    let good = !joined.is_empty()
        && joined.chars().count() <= 64
        && joined.chars().all(|c| c.is_alphanumeric() || "-_.#/".contains(c))
        && has_words(&joined);
    good.then_some(joined)
}
