//! Assertions over every observation of a target, from the start of the run to the end of a case. Each observation is judged when it
//! is made; only those that do not satisfy the assertions are kept.
use super::{
    evaluate::evaluate,
    observation::request_line,
    results::{first_failure, status_of},
    schedule::{ActionKind, ObservedTarget, Schedule, ScheduledAction},
};
use crate::{
    address::Address,
    event::Evidence,
    executor::Output,
    expr::{AssertionResult, Scope},
    outcome::Status,
    plan::Assertions,
    source::Location,
    value::{Map, Value},
};
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};

/// Number of places that an action lists, of observations that do not satisfy it.
const MAX_PLACES: usize = 20;

/// The assertions over every observation of all cases of a run.
#[derive(Default)]
pub struct Observers {
    /// The names that are bound before the cases.
    scope: RwLock<Scope>,
    all: Vec<Observer>,
}

struct Observer {
    /// The place of the action in the plan.
    location: Location,
    observed: ObservedTarget,
    fields: &'static [&'static str],
    assertions: Assertions,
    tally: Mutex<Tally>,
}

/// What the observations so far came to.
#[derive(Clone, Default)]
pub(super) struct Tally {
    pub observations: usize,
    unmet: usize,
    /// Where the first of the unmet ones were made.
    places: Vec<Address>,
    /// Of the last observation.
    pub last: Vec<AssertionResult>,
    /// The first that failed, or else the first that is inconclusive.
    pub worst: Option<Unmet>,
}

/// An observation that does not satisfy the assertions.
#[derive(Clone)]
pub(super) struct Unmet {
    pub at: Timestamp,
    pub results: Vec<AssertionResult>,
    pub evidence: Vec<Evidence>,
}

impl Tally {
    pub(super) fn add(&mut self, at: &Address, output: &Output, results: Vec<AssertionResult>, evidence: &[Evidence]) {
        self.observations += 1;
        self.last.clone_from(&results);
        let Some(status) = status_of(&results) else { return };
        self.unmet += 1;
        if self.places.len() < MAX_PLACES {
            self.places.push(at.clone());
        }
        let failed_before = self.worst.as_ref().is_some_and(|w| status_of(&w.results) == Some(Status::Failed));
        if self.worst.is_none() || (status == Status::Failed && !failed_before) {
            self.worst = Some(Unmet { at: output.at, results, evidence: evidence.to_vec() });
        }
    }

    pub(super) fn output(&self) -> Value {
        Value::map([
            ("observations".to_string(), Value::Int(self.observations as i64)),
            ("unmet".to_string(), Value::Int(self.unmet as i64)),
            ("places".to_string(), self.places.iter().map(|at| Value::text(at.as_str())).collect::<Vec<_>>().into()),
        ])
    }

    /// How many do not satisfy the assertions, and what is wrong with the worst of them.
    pub(super) fn reason(&self) -> Option<String> {
        let worst = self.worst.as_ref()?;
        let request = request_line(&worst.evidence).map(|line| format!("`{line}`: ")).unwrap_or_default();
        let why = first_failure(&worst.results)?;
        Some(format!("{} of {} observations do not satisfy it; {request}{why}", self.unmet, self.observations))
    }
}

impl Observers {
    pub fn of(schedule: &Schedule) -> Self {
        let actions = schedule.cases.iter().flat_map(|c| &c.sentences).flat_map(|s| &s.actions);
        Observers { all: actions.filter_map(Observer::of).collect(), ..Observers::default() }
    }

    /// Sets the names that the assertions may read.
    pub fn begin(&self, scope: &Scope) {
        *self.scope.write() = scope.clone();
    }

    /// Judges an observation that an action of this kind made, in the scope that `interruptible` makes.
    pub fn judge(
        &self,
        kind: &ActionKind,
        at: &Address,
        output: &Output,
        evidence: &[Evidence],
        interruptible: &dyn Fn(&Scope) -> Scope,
    ) {
        if self.all.is_empty() {
            return;
        }
        let Some(observed) = ObservedTarget::of(kind) else { return };
        for observer in self.all.iter().filter(|o| o.observed == observed) {
            let value = with_all_fields(&output.value, observer.fields);
            let scope = interruptible(&self.scope.read().with_all(&value));
            let results = evaluate(&observer.assertions, Some(&value), &scope);
            observer.tally.lock().add(at, output, results, evidence);
        }
    }

    pub(super) fn tally(&self, location: &Location) -> Tally {
        let found = self.all.iter().find(|o| o.location == *location);
        found.map(|o| o.tally.lock().clone()).unwrap_or_default()
    }
}

impl Observer {
    fn of(action: &ScheduledAction) -> Option<Observer> {
        let ActionKind::EveryObservation { observed, fields } = &action.kind else { return None };
        Some(Observer {
            location: action.location.clone(),
            observed: observed.clone(),
            fields,
            assertions: action.assertions.clone(),
            tally: Mutex::default(),
        })
    }
}

/// The output with null for each field that it does not have: an action may have only some of its executor's fields.
pub(super) fn with_all_fields(output: &Value, fields: &[&str]) -> Value {
    let mut map: Map = output.as_map().cloned().unwrap_or_default();
    for field in fields {
        map.entry((*field).to_string()).or_insert(Value::Null);
    }
    Value::from(map)
}
