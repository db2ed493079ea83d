//! A plan as it is written. Data only.
use super::Prove;
use crate::{
    expr::{Expression, Picture, Template, Tree},
    outcome::Tier,
    source::Span,
    yaml::Node,
};

#[derive(Clone)]
pub struct Plan {
    pub id: String,
    pub title: String,
    pub span: Span,
    /// The Markdown plan that it carries out, relative to the plan's root.
    pub source: Option<Named>,
    pub report: Option<String>,
    pub environment: Option<Named>,
    pub objective: Option<String>,
    pub scope_in: Vec<String>,
    pub scope_out: Vec<String>,
    pub vars: Vec<(Named, Tree)>,
    pub actions: Vec<Definition>,
    pub prove: Prove,
    pub cases: Vec<Case>,
}

/// A word and where it stands.
#[derive(Clone, Debug)]
pub struct Named {
    pub text: String,
    pub span: Span,
}

/// A reusable action with inputs and outputs.
#[derive(Clone)]
pub struct Definition {
    pub name: Named,
    /// A default makes an input optional.
    pub inputs: Vec<(Named, Option<Tree>)>,
    pub steps: Vec<Step>,
    pub outputs: Vec<(Named, Expression)>,
}

#[derive(Clone)]
pub struct Case {
    pub id: Named,
    pub title: String,
    pub tier: Tier,
    pub priority: Option<String>,
    /// The plan's other fields: `Type`, `Related Issue`, `Test File`.
    pub fields: Vec<(String, String)>,
    pub exclusive: bool,
    pub timeout: Option<Template>,
    pub preconditions: Vec<Sentence>,
    pub steps: Vec<Sentence>,
    pub expected: Vec<Sentence>,
}

/// A precondition, a step or an expected result, in the plan's words.
#[derive(Clone)]
pub struct Sentence {
    pub text: Named,
    pub steps: Vec<Step>,
    pub asks: Asks,
    pub unproven: Option<Named>,
}

/// What is asked of an observation.
#[derive(Clone, Default)]
pub struct Asks {
    pub picture: Option<Picture>,
    pub checks: Vec<(Expression, Span)>,
    /// Something was asked that could not be read; that has been said.
    pub wrong: bool,
}

impl Asks {
    pub fn is_empty(&self) -> bool {
        self.picture.is_none() && self.checks.is_empty() && !self.wrong
    }
}

/// One action as it stands in a plan.
#[derive(Clone)]
pub struct Step {
    pub span: Span,
    pub verb: Verb,
    pub bind: Option<Named>,
    pub save: Vec<(Named, Expression)>,
    pub asks: Asks,
    pub undo: Vec<Step>,
    pub foreach: Option<(Foreach, Span)>,
    pub condition: Option<Expression>,
    pub eventually: Option<(Template, Span)>,
    pub always: Option<(Template, Span)>,
    pub give_up_if: Option<Expression>,
    pub timeout: Option<(Template, Span)>,
    pub target: Option<Named>,
}

#[derive(Clone)]
pub enum Verb {
    /// Of an executor; its body is the executor's to read.
    Executor {
        name: Named,
        body: Node,
    },
    Use {
        action: Named,
        inputs: Vec<(Named, Tree)>,
    },
    Parallel {
        branches: Vec<Vec<Step>>,
        overlap: Overlap,
        span: Span,
    },
    Fault {
        breaks: bool,
        name: Named,
    },
    None,
    /// Something is wrong with it, and has been said.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Overlap {
    All,
    AtLeast(usize),
    /// Nothing was said: two, else nothing was parallel.
    Any,
}

#[derive(Clone)]
pub enum Foreach {
    List(Tree),
    Map(Vec<(String, Tree)>),
}
