//! The record of a run, read from the events of its journal.
use crate::{
    address::Address,
    event::{ActionOutline, Attempt, ErrorKind, Event, EventKind, Evidence, RunStarted},
    executor::{ActionError, Output, RunInfo},
    expr::AssertionResult,
    outcome::{Status, Verdict},
    source::Location,
    value::Value,
};
use jiff::Timestamp;
use std::{collections::HashMap, sync::Arc, time::Duration};

#[derive(Clone)]
pub struct Record {
    pub started: RunStarted,
    /// The plan's variables and the environment's names. Journals of old versions lack them.
    pub bound: Option<(Value, Value)>,
    pub observations: HashMap<Address, Vec<RecordedObservation>>,
    pub actions: HashMap<Address, RecordedAction>,
    /// The verdict of each finished case, by its id.
    pub cases: HashMap<String, Verdict>,
    pub finished: bool,
}

#[derive(Clone)]
pub struct RecordedObservation {
    pub result: Result<Output, ActionError>,
    /// The number of the event.
    pub seq: u64,
    /// What was sent and received.
    pub evidence: Arc<[Evidence]>,
}

#[derive(Clone)]
pub struct RecordedAction {
    /// One line that describes the action, such as `http GET /health`.
    pub summary: String,
    pub location: Location,
    pub ended: Option<Timestamp>,
    pub outcome: Option<RecordedOutcome>,
}

#[derive(Clone, Debug)]
pub struct RecordedOutcome {
    pub status: Status,
    pub results: Vec<AssertionResult>,
}

impl RecordedOutcome {
    /// Whether both have the same status, and the same assertions hold.
    pub fn is_same(&self, other: &RecordedOutcome) -> bool {
        let holds = |outcome: &'_ RecordedOutcome| outcome.results.iter().map(|r| r.holds).collect::<Vec<_>>();
        self.status == other.status && holds(self) == holds(other)
    }
}

impl Record {
    /// Collects the record; `None` if no event starts a run.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Option<Record> {
        let mut events = events.into_iter();
        let started = events.find_map(|event| match &event.kind {
            EventKind::RunStarted(started) => Some((**started).clone()),
            _ => None,
        })?;
        let mut record = Record {
            started,
            bound: None,
            observations: HashMap::new(),
            actions: HashMap::new(),
            cases: HashMap::new(),
            finished: false,
        };
        events.for_each(|event| record.add(event));
        Some(record)
    }

    fn add(&mut self, event: &Event) {
        let at = &event.address;
        if let Some(attempt) = event.kind.attempt() {
            let evidence = attempt.evidence.as_slice().into();
            let observation = RecordedObservation { result: recorded_result(attempt), seq: event.seq, evidence };
            self.observations.entry(at.clone()).or_default().push(observation);
        }
        match &event.kind {
            EventKind::NamesBound { vars, environment } => self.bound = Some((vars.clone(), environment.clone())),
            EventKind::ActionStarted { action } => {
                let (ended, outcome) = self.actions.remove(at).map_or((None, None), |a| (a.ended, a.outcome));
                let ActionOutline { summary, location, .. } = action.clone();
                self.actions.insert(at.clone(), RecordedAction { summary, location, ended, outcome });
            }
            EventKind::ActionFinished { status, results, .. } => {
                if let Some(action) = self.actions.get_mut(at) {
                    action.ended = Some(event.at);
                    action.outcome = Some(RecordedOutcome { status: *status, results: results.clone() });
                }
            }
            // the next attempt has the same addresses
            EventKind::CaseRetried { .. } => {
                self.observations.retain(|other, _| !other.is_within(at));
                self.actions.retain(|other, _| !other.is_within(at));
            }
            EventKind::CaseFinished { verdict, .. } => drop(self.cases.insert(at.case().into(), *verdict)),
            EventKind::RunFinished { .. } => self.finished = true,
            _ => {}
        }
    }

    /// Whether the plan had a variable of this name.
    pub fn knows(&self, variable: &str) -> bool {
        self.started.plan.vars.iter().any(|(name, _)| name == variable)
    }

    pub fn run_info(&self) -> RunInfo {
        RunInfo { id: self.started.run.clone(), started: self.started.started, dir: Default::default(), trace: None }
    }

    /// Describes the part of the record that is missing, if any.
    pub fn missing_part(&self) -> Option<&'static str> {
        self.bound.is_none().then_some(
            "the journal does not say which names were bound before the cases (an older `tp-runner` wrote it): \
             they are taken from the plan, and assertions that read names of the environment cannot be replayed",
        )
    }
}

fn recorded_result(attempt: &Attempt) -> Result<Output, ActionError> {
    let Attempt { began, took, value, error, error_kind, .. } = attempt;
    match (value, error_kind) {
        (Some(value), _) => Ok(Output { value: value.clone(), at: *began, took: *took, cursor: None }),
        (None, kind) => Err(action_error(kind.unwrap_or(ErrorKind::Invalid), error.clone().unwrap_or_default(), *took)),
    }
}

fn action_error(kind: ErrorKind, text: String, took: Duration) -> ActionError {
    match kind {
        ErrorKind::Unreachable => ActionError::Unreachable(text),
        ErrorKind::TimedOut => ActionError::TimedOut(took),
        ErrorKind::Undefined => ActionError::Undefined(text),
        ErrorKind::Cancelled => ActionError::Cancelled,
        ErrorKind::Invalid => ActionError::Invalid(text),
    }
}
