//! The result of reading a written test plan. Data only.
pub use crate::outcome::Tier;

/// A written plan: all its cases, and everything else as comments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// Id of the plan: the one that the document names, or else its file's name.
    pub plan: String,
    pub title: Option<String>,
    pub objective: Option<String>,
    pub scope_in: Vec<String>,
    pub scope_out: Vec<String>,
    /// Preconditions of the whole plan or of a group of cases.
    pub shared: Vec<Shared>,
    pub cases: Vec<Case>,
    /// What belongs to no case.
    pub comments: Vec<Comment>,
    pub warnings: Vec<Warning>,
    /// Labels, markers and keywords that only give structure: they became keys of the skeleton, not text.
    pub labels: Vec<Comment>,
}

/// A case of the written plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    pub id: String,
    /// False if the document has no usable id and one was made.
    pub id_is_written: bool,
    pub title: String,
    pub tier: Option<Tier>,
    /// Whether the success criteria or the case name the tier, instead of a priority.
    pub tier_is_written: bool,
    /// As written: `High`, `P1`.
    pub priority: Option<String>,
    /// Other labelled texts, in their order: `Type`, `Related Issue`, `Test File`, `Description`, `Author`.
    pub fields: Vec<Field>,
    pub preconditions: Vec<Sentence>,
    pub steps: Vec<Sentence>,
    pub expected: Vec<Sentence>,
    /// Cleanup, teardown and postconditions. A YAML plan has `undo` for them.
    pub teardown: Vec<Sentence>,
    pub comments: Vec<Comment>,
    /// 1-based line of the heading or row.
    pub line: usize,
}

impl Case {
    /// The value of a field, by its label in any case.
    pub fn field(&self, label: &str) -> Option<&str> {
        self.fields.iter().find(|f| f.label.eq_ignore_ascii_case(label)).map(|f| f.value.as_str())
    }

    /// The sentences of one kind.
    pub fn list(&self, kind: Kind) -> &Vec<Sentence> {
        match kind {
            Kind::Precondition => &self.preconditions,
            Kind::Step => &self.steps,
            Kind::Expected => &self.expected,
            Kind::Teardown => &self.teardown,
        }
    }

    pub(super) fn list_mut(&mut self, kind: Kind) -> &mut Vec<Sentence> {
        match kind {
            Kind::Precondition => &mut self.preconditions,
            Kind::Step => &mut self.steps,
            Kind::Expected => &mut self.expected,
            Kind::Teardown => &mut self.teardown,
        }
    }
}

/// The lists of sentences of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Precondition,
    Step,
    Expected,
    Teardown,
}

impl Kind {
    /// What messages call a sentence of this kind.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Precondition => "precondition",
            Kind::Step => "step",
            Kind::Expected => "expected result",
            Kind::Teardown => "cleanup",
        }
    }
}

/// A precondition, step or expected result in the words of the plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sentence {
    pub text: String,
    /// 1-based line of the document.
    pub line: usize,
    /// JSON, code and test data that belong to the sentence.
    pub data: Vec<Draft>,
}

/// Data of a sentence, written below it as a comment.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub text: String,
    pub line: usize,
    /// The parsed text, if it is a JSON object or list.
    pub json: Option<serde_json::Value>,
}

/// A labelled text of a case or of the plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    pub label: String,
    pub value: String,
    pub line: usize,
}

/// A precondition that the document states for several cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    pub sentence: Sentence,
    /// The heading above it.
    pub group: String,
    pub kind: Kind,
}

/// Text that is not part of a sentence or field, or text that only gives structure.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    pub text: String,
    pub line: usize,
}

/// What a reader of the skeleton should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    pub line: usize,
    pub text: String,
}
