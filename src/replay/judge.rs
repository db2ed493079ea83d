//! Judges the cases of a record: first without changes, then from the part in which an observation is changed.
use super::{
    cache::{NamesRead, names_read},
    every::with_every_observation,
    record::{Record, RecordedObservation, RecordedOutcome},
    shorten::shortened,
    source::{Change, Learned, ReplaySource},
};
use crate::{
    address::Address,
    engine::{
        case::CaseExecution,
        context::RunContext,
        observation::ObservationSource,
        runner::{ActionRunner, CaseEffects},
        schedule::{Case, Schedule},
        scopes::{VariableError, base_scope, case_scope, run_scope},
    },
    event::{EventKind, Events, SinkError},
    expr::Scope,
    outcome::{Status, Verdict},
    secrets::Secrets,
    source::Location,
    value::{Value, json},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// A record and its cases, judged without changes.
pub struct Replay {
    pub schedule: Arc<Schedule>,
    pub record: Arc<Record>,
    names_read: Arc<HashMap<Location, NamesRead>>,
    base: Scope,
    pub cases: Vec<BaselineCase>,
}

/// A case judged without changes.
pub struct BaselineCase {
    /// The record without intermediate attempts if that gives the same results, otherwise the complete record.
    record: Arc<Record>,
    /// The state before each part, and after the last one.
    states: Vec<State>,
    pub learned: Learned,
    /// The results of its sentences, and of the end of the case.
    pub parts: Vec<PartResult>,
    verdict: Verdict,
}

struct State {
    execution: CaseExecution,
    faults: Vec<String>,
}

/// The result of a part of a case: of a sentence, or of the end of the case.
#[derive(Clone, Debug)]
pub struct PartResult {
    /// Those of all sentences so far.
    pub statuses: Vec<Status>,
    /// The last outcome of each action that ended.
    pub actions: HashMap<Address, RecordedOutcome>,
    /// Actions whose outcome was reused; actions inside them are reused as well.
    pub reused: Vec<Address>,
}

impl BaselineCase {
    /// Whether the verdict, and the statuses of the sentences and the last results of each action are the same.
    fn is_same(&self, other: &BaselineCase) -> bool {
        let same = |(a, b): (&PartResult, &PartResult)| {
            let same_outcome = |(at, outcome)| b.actions.get(at).is_some_and(|other| other.is_same(outcome));
            a.statuses == b.statuses && a.actions.len() == b.actions.len() && a.actions.iter().all(same_outcome)
        };
        self.verdict == other.verdict && self.parts.iter().zip(&other.parts).all(same)
    }
}

impl Replay {
    /// Judges every case of the record. A case that was not selected has no parts.
    pub fn new(schedule: Arc<Schedule>, record: Arc<Record>) -> Result<Replay, VariableError> {
        let record = Arc::new(with_every_observation(&record, &schedule));
        let base = recorded_base(&record, &schedule)?;
        let names_read = Arc::new(names_read(&schedule));
        let short = Arc::new(shortened(&record, &schedule));
        let mut replay = Replay { schedule, record, names_read, base, cases: vec![] };
        let judge = |case| {
            let whole = replay.baseline(case, replay.record.clone());
            let mut quick = replay.baseline(case, short.clone());
            if !quick.is_same(&whole) {
                return whole;
            }
            quick.learned.literals = whole.learned.literals;
            quick
        };
        replay.cases = replay.schedule.cases.iter().map(judge).collect();
        Ok(replay)
    }

    /// The observations of an action that decide: the last one, or several of an `always`.
    pub fn observations(&self, case: usize, at: &Address) -> &[RecordedObservation] {
        self.cases[case].record.observations.get(at).map_or(&[], Vec::as_slice)
    }

    fn baseline(&self, case: &Case, record: Arc<Record>) -> BaselineCase {
        let source = ReplaySource::new(record.clone(), self.names_read.clone());
        let mut state = State { execution: CaseExecution::new(case_scope(&self.base, &case.id)), faults: vec![] };
        let (mut states, mut parts) = (vec![], vec![]);
        if self.record.cases.contains_key(&case.id) {
            for i in 0..=case.sentences.len() {
                let (next, result) = self.judge_part(case, i, &state, &source);
                states.push(std::mem::replace(&mut state, next));
                parts.push(result);
            }
        }
        let verdict = state.execution.outcome(false).verdict;
        states.push(state);
        BaselineCase { record, states, parts, learned: source.into_learned(), verdict }
    }

    /// Judges a case with changed observations, from the part `from` on until the changes no longer make a difference. The parts are
    /// the sentences, and the end of the case. Returns the result of each judged part with its index.
    pub fn with_changes(&self, case: usize, from: usize, changes: Vec<Change>) -> Vec<(usize, PartResult)> {
        let (scheduled, baseline) = (&self.schedule.cases[case], &self.cases[case]);
        let source = ReplaySource::new(baseline.record.clone(), self.names_read.clone());
        let source = source.with_changes(&baseline.learned, changes);
        let mut out = vec![];
        let mut diverged: Option<State> = None;
        for i in from..=scheduled.sentences.len() {
            let state = diverged.as_ref().unwrap_or(&baseline.states[i]);
            let (next, result) = self.judge_part(scheduled, i, state, &source);
            out.push((i, result));
            let unchanged = &baseline.states[i + 1];
            if next.faults == unchanged.faults && next.execution.converged(&unchanged.execution) {
                break;
            }
            diverged = Some(next);
        }
        out
    }

    /// Judges a sentence, or after the last one the end of the case.
    fn judge_part(&self, case: &Case, i: usize, state: &State, source: &ReplaySource<'_>) -> (State, PartResult) {
        let sink = Arc::new(CollectingSink::default());
        let context = RunContext::new(self.record.run_info(), self.base.secrets().clone(), sink.clone());
        let effects = CaseEffects { faults: Mutex::new(state.faults.clone()), ..CaseEffects::default() };
        let base = case_scope(&self.base, &case.id);
        let runner = ActionRunner::new(&context, source, &effects, &base);
        let mut execution = state.execution.clone();
        run_to_end(async {
            match case.sentences.get(i) {
                Some(sentence) => execution.run_sentence(sentence, &runner).await,
                None => execution.run_end(&case.sentences, &runner).await,
            }
        });
        let statuses = execution.sentences.iter().map(|s| s.status).collect();
        let actions = std::mem::take(&mut *sink.0.lock());
        let faults = runner.faults_in_force();
        (State { execution, faults }, PartResult { statuses, actions, reused: source.take_reused() })
    }
}

/// A record as the source of a whole run, for a plan that may have changed since; `changed` are the actions that perform
/// something else now.
///
/// # Errors
/// A variable of the plan reads a name that is missing.
pub fn source_of_changed_plan(
    schedule: &Schedule,
    record: &Record,
    changed: Vec<Address>,
) -> Result<(Arc<dyn ObservationSource>, Scope), VariableError> {
    let record = Arc::new(with_every_observation(record, schedule));
    let mut base = recorded_base(&record, schedule)?;
    for (name, tree) in schedule.vars.iter().filter(|(name, _)| !record.knows(name)) {
        let value = tree.render(&base).map_err(|source| VariableError { name: name.clone(), source })?;
        base = base.with(name, value);
    }
    let source = ReplaySource::new(record, Arc::new(names_read(schedule))).of_changed_plan(changed);
    Ok((Arc::new(source), base))
}

/// The names of the run and the plan's variables, as they were recorded.
fn recorded_base(record: &Record, schedule: &Schedule) -> Result<Scope, VariableError> {
    let (run, secrets) = (record.run_info(), Arc::new(Secrets::recorded()));
    if let Some((vars, _)) = &record.bound {
        return Ok(run_scope(&run, &secrets).with_all(vars));
    }
    let scope = base_scope(&run, &secrets, &schedule.vars, &run_scope(&run, &secrets))?;
    // the record contains the texts of variables that were set to other values
    Ok(record.started.plan.vars.iter().fold(scope, |scope, (name, text)| match scope.get(name) {
        Some(v) if v.to_string() != *text => scope.with(name, json::read(text).unwrap_or_else(|_| Value::text(text))),
        _ => scope,
    }))
}

/// Polls a future until it is done. The future must not wait for anything outside of itself.
fn run_to_end<T>(work: impl Future<Output = T>) -> T {
    // tokio makes a task wait for a yield when its budget is used up, and this loop never yields to tokio
    let mut work = std::pin::pin!(tokio::task::unconstrained(work));
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
    }
}

/// Keeps the last outcome of each action.
#[derive(Default)]
struct CollectingSink(Mutex<HashMap<Address, RecordedOutcome>>);

#[async_trait]
impl Events for CollectingSink {
    async fn emit(&self, at: &Address, kind: EventKind) {
        if let EventKind::ActionFinished { status, results, .. } = kind {
            self.0.lock().insert(at.clone(), RecordedOutcome { status, results });
        }
    }

    async fn commit(&self, at: &Address, kind: EventKind) -> Result<(), SinkError> {
        self.emit(at, kind).await;
        Ok(())
    }
}
