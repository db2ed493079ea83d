//! A plan as written. Data only.
use crate::{
    expr::{Expression, Pattern, Reference, Template, Tree},
    outcome::Tier,
    source::Span,
    yaml::Node,
};
use std::path::PathBuf;

#[derive(Clone)]
pub struct Plan {
    pub id: String,
    pub title: String,
    pub span: Span,
    /// The project folder, if it is known.
    pub root: Option<PathBuf>,
    /// The Markdown plan with the same sentences, relative to the plan's root.
    pub source: Option<Spanned>,
    pub report: Option<Spanned>,
    pub environment: Option<Spanned>,
    pub objective: Option<String>,
    pub scope_in: Vec<String>,
    pub scope_out: Vec<String>,
    pub vars: Vec<(Spanned, Tree)>,
    pub actions: Vec<ActionDefinition>,
    pub prove: Prove,
    pub cases: Vec<Case>,
    /// It is one action that is tried: nothing has to be asserted about it.
    pub is_tried: bool,
}

/// A text with its span in the file.
#[derive(Clone, Debug)]
pub struct Spanned {
    pub text: String,
    pub span: Span,
}

/// A reusable action with inputs and outputs.
#[derive(Clone)]
pub struct ActionDefinition {
    pub name: Spanned,
    /// A default makes an input optional.
    pub inputs: Vec<(Spanned, Option<Tree>)>,
    pub actions: Vec<ActionSpec>,
    pub outputs: Vec<(Spanned, Expression)>,
}

#[derive(Clone)]
pub struct Case {
    pub id: Spanned,
    pub title: String,
    pub tier: Tier,
    pub priority: Option<String>,
    /// Other fields of the written plan: `Type`, `Related Issue`, `Test File`.
    pub fields: Vec<(String, String)>,
    pub exclusive: bool,
    /// A condition for being exclusive.
    pub exclusive_if: Option<Template>,
    pub timeout: Option<(Template, Span)>,
    pub preconditions: Vec<Sentence>,
    pub steps: Vec<Sentence>,
    pub expected: Vec<Sentence>,
}

/// A precondition, a step or an expected result, in the words of the written plan.
#[derive(Clone)]
pub struct Sentence {
    pub text: Spanned,
    pub actions: Vec<ActionSpec>,
    pub assertions: Assertions,
    pub unproven: Option<Spanned>,
}

/// What an observation must satisfy.
#[derive(Clone, Default)]
pub struct Assertions {
    pub pattern: Option<Pattern>,
    pub checks: Vec<(Expression, Span)>,
    /// An assertion is invalid, and reported.
    pub invalid: bool,
}

impl Assertions {
    /// The number of patterns and checks.
    pub fn count(&self) -> usize {
        usize::from(self.pattern.is_some()) + self.checks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pattern.is_none() && self.checks.is_empty() && !self.invalid
    }
}

/// An action as written.
#[derive(Clone)]
pub struct ActionSpec {
    pub span: Span,
    pub verb: Verb,
    pub bind: Option<Spanned>,
    pub save: Vec<(Spanned, Expression)>,
    pub assertions: Assertions,
    pub undo: Vec<ActionSpec>,
    pub foreach: Option<(Foreach, Span)>,
    pub condition: Option<Expression>,
    pub eventually: Option<(Template, Span)>,
    pub always: Option<(Template, Span)>,
    pub give_up_if: Option<Expression>,
    /// A failure is the environment's, not the product's.
    pub blames_environment: bool,
    pub timeout: Option<(Template, Span)>,
    pub target: Option<Spanned>,
    /// Performed again at the end of the case.
    pub still_at_end: Option<Span>,
}

#[derive(Clone)]
pub enum Verb {
    /// Belongs to an executor, which compiles the body.
    Executor {
        name: Spanned,
        body: Node,
    },
    Use {
        action: Spanned,
        inputs: Vec<(Spanned, Tree)>,
    },
    Parallel {
        branches: Vec<Vec<ActionSpec>>,
        overlap: Overlap,
        span: Span,
    },
    Fault {
        breaks: bool,
        name: Spanned,
    },
    /// Every observation of an executor.
    EveryObservation {
        verb: Spanned,
    },
    None,
    /// Invalid, and reported.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Overlap {
    All,
    AtLeast(usize),
    /// Not specified: at least two branches.
    Any,
}

#[derive(Clone)]
pub enum Foreach {
    List(Tree),
    Map(Vec<(String, Tree)>),
}

impl Foreach {
    pub fn references(&self) -> Vec<Reference> {
        match self {
            Foreach::List(tree) => tree.references(),
            Foreach::Map(entries) => entries.iter().flat_map(|(_, tree)| tree.references()).collect(),
        }
    }
}

/// Settings for mutation testing.
#[derive(Clone, Default)]
pub struct Prove {
    /// Values for variables of the plan, such as shorter limits.
    pub set: Vec<(Spanned, Tree)>,
    /// Values for the recorded run, so that it performs every action.
    pub record: Vec<(Spanned, Tree)>,
    pub defects: Vec<Breaks>,
    /// The file with the assertion baseline.
    pub guards: Option<Spanned>,
}

/// A defect, and for each case the sentences it must break: whole, or their start followed by `…`.
#[derive(Clone)]
pub struct Breaks {
    pub defect: Spanned,
    pub cases: Vec<(Spanned, Vec<Spanned>)>,
}
