//! The schedule: a compiled plan, with every name resolved and every body read.
use crate::{
    address::Address,
    event::{CaseOutline, EnvironmentOutline, Part, PlanOutline},
    executor::{Action, TargetSpec},
    expr::{AssertionResult, Expression, Scope, Template, Tree},
    outcome::Tier,
    plan::{Assertions, Foreach, Overlap, RelayFault, RelayPlace, SecretSource},
    secrets::FieldRule,
    source::Location,
    value::Value,
};
use indexmap::IndexSet;
use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

#[derive(Default)]
pub struct Schedule {
    pub plan: PlanOutline,
    /// The plan's report file, relative to its root.
    pub report: Option<String>,
    pub outline: Vec<Arc<CaseOutline>>,
    /// The plan's variables in order, with the values of the environment and the command line.
    pub vars: Vec<(String, Tree)>,
    pub cases: Vec<Case>,
    pub setup: Vec<ScheduledAction>,
    /// Runs after the last case.
    pub teardown: Vec<ScheduledAction>,
    /// Collects evidence after a failed case.
    pub on_failure: Vec<ScheduledAction>,
    pub secrets: Vec<(String, SecretSource)>,
    /// Which fields are masked by their names.
    pub masked_fields: FieldRule,
    /// Texts whose words are no secrets: the plan, names and addresses.
    pub ordinary: Vec<String>,
    pub targets: Vec<Target>,
    pub faults: Vec<(String, Fault)>,
    pub jobs: usize,
    /// How long all the undo of a case may take.
    pub undo_timeout: Option<Duration>,
    /// What counts as a read must not change anything.
    pub protected: bool,
    /// Variables of the process environment that actions of the environment read.
    pub env_read: BTreeSet<String>,
    /// For reports.
    pub environment: EnvironmentOutline,
    /// Name and version of what runs in the environment.
    pub versions: Vec<(String, String)>,
    /// Actions that save a version as `version`, by its name.
    pub version_actions: Vec<(String, Vec<ScheduledAction>)>,
    /// The sentences that each defect of the platform breaks.
    pub breaks: Vec<Breaks>,
}

impl Schedule {
    /// Calls `f` for every action of the cases, those of reusable actions and branches included and those of an undo not.
    pub fn visit_actions<'s>(&'s self, f: &mut dyn FnMut(&'s ScheduledAction)) {
        let mut seen = HashSet::new();
        self.cases.iter().flat_map(|c| &c.sentences).for_each(|s| visit(&s.actions, &mut seen, f));
    }

    /// Calls `f` for every action that a run may perform: those of the cases, of setup and teardown, of `version` and
    /// `on_failure`, and of every undo.
    pub fn visit_all_actions<'s>(&'s self, f: &mut dyn FnMut(&'s ScheduledAction)) {
        let mut seen = HashSet::new();
        let of_cases = self.cases.iter().flat_map(|c| &c.sentences).map(|s| &s.actions);
        let of_run = [&self.setup, &self.teardown, &self.on_failure]
            .into_iter()
            .chain(self.version_actions.iter().map(|v| &v.1));
        of_cases.chain(of_run).for_each(|actions| visit_with_undo(actions, &mut seen, f));
    }
}

/// The actions of a list of actions, of what they use, and of their undo.
fn visit_with_undo<'s>(
    actions: &'s [ScheduledAction],
    seen: &mut HashSet<*const ActionDefinition>,
    f: &mut dyn FnMut(&'s ScheduledAction),
) {
    let mut undone = vec![];
    visit(actions, seen, &mut |action| {
        f(action);
        undone.push(&action.undo[..]);
    });
    undone.into_iter().for_each(|undo| visit_with_undo(undo, seen, f));
}

fn visit<'s>(
    actions: &'s [ScheduledAction],
    seen: &mut HashSet<*const ActionDefinition>,
    f: &mut dyn FnMut(&'s ScheduledAction),
) {
    for action in actions {
        f(action);
        match &action.kind {
            ActionKind::Use { definition, .. } if seen.insert(Arc::as_ptr(definition)) => {
                visit(&definition.actions, seen, f);
            }
            ActionKind::Parallel { branches, .. } => branches.iter().for_each(|b| visit(b, seen, f)),
            _ => {}
        }
    }
}

/// Names that must be bound, in the order in which they are checked.
pub type Needs = IndexSet<String>;

pub struct Breaks {
    pub defect: String,
    pub sentences: Vec<Address>,
}

pub struct Target {
    pub name: String,
    pub verb: &'static str,
    pub spec: Arc<dyn TargetSpec>,
}

pub enum Fault {
    Relay {
        relay: RelayPlace,
        how: RelayFault,
    },
    Actions {
        cut: Vec<ScheduledAction>,
        heal: Vec<ScheduledAction>,
        refused: Option<Expression>,
        probe: Vec<ScheduledAction>,
    },
}

pub struct Case {
    pub id: String,
    pub address: Address,
    pub tier: Tier,
    pub exclusive: bool,
    /// A condition for being exclusive; see [`Case::is_exclusive`].
    pub exclusive_if: Option<Template>,
    pub timeout: Option<Template>,
    pub sentences: Vec<Sentence>,
    /// What the environment lacks for it, a sentence each.
    pub lacks: Vec<String>,
    /// Sentences that may fail for a while.
    pub known: Vec<KnownFailure>,
}

impl Case {
    /// Whether no other case may run at the same time. A condition that cannot be evaluated counts as true.
    pub fn is_exclusive(&self, scope: &Scope) -> bool {
        let condition = self.exclusive_if.as_ref().map(|t| t.render(scope));
        self.exclusive || condition.is_some_and(|c| !matches!(c, Ok(Value::Bool(false))))
    }
}

/// A sentence that may fail until the end of a day.
pub struct KnownFailure {
    pub sentence: Address,
    pub text: String,
    /// Found in one of the observed values.
    pub observed: Option<regex::Regex>,
    pub issue: String,
    pub until: jiff::civil::Date,
}

pub struct Sentence {
    pub part: Part,
    pub address: Address,
    pub actions: Vec<ScheduledAction>,
    pub assertions: Assertions,
    /// The names that its own `check` and `expect` need.
    pub needs: Needs,
    pub unproven: bool,
    pub location: Location,
}

pub struct ScheduledAction {
    pub location: Location,
    /// One line for people.
    pub summary: String,
    pub kind: ActionKind,
    pub implied: Option<ImpliedAssertion>,
    pub bind: Option<String>,
    pub save: Vec<(String, Expression)>,
    pub assertions: Assertions,
    pub undo: Arc<Vec<ScheduledAction>>,
    pub foreach: Option<Foreach>,
    pub condition: Option<Expression>,
    pub eventually: Option<Template>,
    pub always: Option<Template>,
    pub give_up_if: Option<Expression>,
    /// A failure is the environment's, not the product's.
    pub blames_environment: bool,
    pub timeout: Option<Template>,
    /// The names that must be bound before it runs.
    pub needs: Needs,
    /// Part of an `undo`, where an empty `foreach` is allowed.
    pub undoing: bool,
    /// Performed again at the end of the case.
    pub still_at_end: bool,
}

impl ScheduledAction {
    /// Whether it is performed at the end of the case: only then, or once more.
    pub fn is_at_end(&self) -> bool {
        self.still_at_end || matches!(self.kind, ActionKind::EveryObservation { .. })
    }

    /// Whether it, or an action that it uses, changes something or breaks a dependency.
    pub fn changes(&self) -> bool {
        self.any_kind(&|kind| match kind {
            ActionKind::Perform { action, .. } => action.changes(),
            ActionKind::Fault { .. } => true,
            _ => false,
        })
    }

    /// Whether it, or an action that it uses, observes a target.
    pub fn observes(&self) -> bool {
        self.any_kind(&|kind| matches!(kind, ActionKind::Perform { .. }))
    }

    /// The names that it reads, those of its branches included. A used action reads its inputs only.
    pub fn reads(&self) -> IndexSet<String> {
        let mut out: IndexSet<String> = self.needs.clone();
        let conditions = self.condition.iter().chain(&self.give_up_if);
        out.extend(conditions.flat_map(|e| e.references()).map(|r| r.root.clone()));
        if let ActionKind::Parallel { branches, .. } = &self.kind {
            branches.iter().flatten().for_each(|a| out.extend(a.reads()));
        }
        out
    }

    fn any_kind(&self, is_meant: &dyn Fn(&ActionKind) -> bool) -> bool {
        let inner = |actions: &[ScheduledAction]| actions.iter().any(|a| a.any_kind(is_meant));
        is_meant(&self.kind)
            || match &self.kind {
                ActionKind::Use { definition, .. } => inner(&definition.actions),
                ActionKind::Parallel { branches, .. } => branches.iter().any(|b| inner(b)),
                _ => false,
            }
    }
}

/// What the output of a verb must show unless the plan has an assertion about the field.
pub struct ImpliedAssertion {
    pub field: &'static str,
    pub value: Value,
    /// Whether the plan reads the field.
    pub stated: Arc<AtomicBool>,
}

impl ImpliedAssertion {
    /// The failure, unless it holds or the plan has an assertion of its own.
    pub fn failure(&self, output: &Value, location: &Location) -> Option<AssertionResult> {
        let is_stated = self.stated.load(Ordering::Relaxed);
        let actual = output.get(self.field).filter(|actual| !is_stated && !actual.same(&self.value))?;
        Some(AssertionResult {
            subject: self.field.into(),
            holds: false,
            inconclusive: false,
            expected: format!("{}, since the plan has no assertion about it", self.value),
            actual: output.incomplete().map_or_else(|| actual.to_string(), |why| format!("{actual}: {why}")),
            operands: vec![],
            location: Some(location.clone()),
            assertion: None,
        })
    }
}

pub enum ActionKind {
    Perform {
        action: Arc<dyn Action>,
        verb: &'static str,
        target: Option<String>,
    },
    Use {
        definition: Arc<ActionDefinition>,
        inputs: Vec<(String, Tree)>,
    },
    Parallel {
        branches: Vec<Vec<ScheduledAction>>,
        overlap: Overlap,
    },
    Fault {
        breaks: bool,
        name: String,
    },
    /// `fields` may be read of each observation.
    EveryObservation {
        observed: ObservedTarget,
        fields: &'static [&'static str],
    },
    Nothing,
}

/// The observations that a verb makes of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedTarget {
    pub verb: &'static str,
    pub target: Option<String>,
}

impl ObservedTarget {
    /// What an action observes, if it has a verb of an executor.
    pub fn of(kind: &ActionKind) -> Option<ObservedTarget> {
        match kind {
            ActionKind::Perform { verb, target, .. } => Some(ObservedTarget { verb, target: target.clone() }),
            _ => None,
        }
    }
}

pub struct ActionDefinition {
    pub inputs: Vec<(String, Option<Tree>)>,
    pub actions: Vec<ScheduledAction>,
    pub outputs: Vec<(String, Expression)>,
    /// Defined by the environment, whose names it sees.
    pub of_environment: bool,
}
