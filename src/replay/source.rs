//! A record as an observation source: gives each action its recorded observations in order, some of them changed, and the recorded
//! clock. A replay without changes learns the outcome of each action and the literals of its assertions; a replay with
//! changes reuses the outcomes.
use super::{
    cache::{CachedOutcome, NamesRead},
    record::Record,
};
use crate::{
    address::Address,
    engine::{
        observation::{NextAttempt, Observation, ObservationRequest, ObservationSource},
        results::ActionOutcome,
        scopes::run_scope,
        wait::Wait,
    },
    event::Evidence,
    executor::{ActionError, Output},
    expr::{ReferencedLiterals, Scope},
    plan::Assertions,
    secrets::Secrets,
    source::{Location, Span},
    value::Value,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Replaces the output of one attempt of an action.
#[derive(Clone)]
pub struct Change {
    pub at: Address,
    pub attempt: usize,
    pub output: Output,
}

/// The origin of an observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ObservationKind {
    /// The output of a verb.
    Verb,
    /// The output of a `use`, which is computed again; only its times come from the record.
    Use,
    /// The overlap of a `parallel`, or the connections that a fault refused.
    Measured,
}

/// What is learned from a replay without changes.
#[derive(Default)]
pub struct Learned {
    pub kinds: HashMap<Address, ObservationKind>,
    /// Literals that each assertion mentions.
    pub literals: HashMap<Span, ReferencedLiterals>,
    /// `None` for an action that ran more than once: its outcomes differ.
    pub outcomes: HashMap<Address, Option<CachedOutcome>>,
}

pub struct ReplaySource<'l> {
    record: Arc<Record>,
    names_read: Arc<HashMap<Location, NamesRead>>,
    environment: Scope,
    /// In a replay with changes: what was learned before.
    learned: Option<&'l Learned>,
    changes: Vec<Change>,
    /// For a plan that may have changed since the run: the actions that perform something else now. Such a replay also
    /// gives the recorded evidence.
    changed_actions: Option<Vec<Address>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last attempt that each action took.
    taken: HashMap<Address, usize>,
    /// For each repeated `use`: the number of the event that ended its current attempt.
    attempt_ends: HashMap<Address, u64>,
    /// The actions whose outcome was reused.
    reused: Vec<Address>,
    learned: Learned,
}

impl<'l> ReplaySource<'l> {
    /// A replay without changes.
    pub fn new(record: Arc<Record>, names_read: Arc<HashMap<Location, NamesRead>>) -> Self {
        let own = record.bound.as_ref().map(|(_, environment)| environment.clone()).unwrap_or_default();
        let environment = run_scope(&record.run_info(), &Arc::new(Secrets::recorded())).with_all(&own);
        ReplaySource {
            record,
            names_read,
            environment,
            learned: None,
            changes: vec![],
            changed_actions: None,
            state: Mutex::default(),
        }
    }

    /// Judges a plan that may have changed since the run: `changed` are the actions that perform something else now, so
    /// that the run has no observation of them.
    #[must_use]
    pub fn of_changed_plan(self, changed: Vec<Address>) -> Self {
        ReplaySource { changed_actions: Some(changed), ..self }
    }

    /// Why the run has no observation of an action of the changed plan.
    fn not_recorded(&self, at: &Address) -> Option<&'static str> {
        let changed = self.changed_actions.as_ref()?;
        if changed.iter().any(|action| at.is_within(action)) {
            return Some("it performs something else than in the recorded run: run the plan again");
        }
        let is_known = self.record.observations.contains_key(at);
        (!is_known).then_some("the recorded run did not perform it: run the plan again")
    }

    fn evidence(&self, at: &Address) -> Vec<Evidence> {
        if self.changed_actions.is_none() {
            return vec![];
        }
        let attempt = self.state.lock().taken.get(at).copied().unwrap_or_default();
        let observation = self.record.observations.get(at).and_then(|all| all.get(attempt));
        observation.map(|o| o.evidence.to_vec()).unwrap_or_default()
    }

    /// Changes observations, and reuses the outcomes of actions that do not depend on them.
    #[must_use]
    pub fn with_changes(self, learned: &'l Learned, changes: Vec<Change>) -> Self {
        ReplaySource { learned: Some(learned), changes, ..self }
    }

    pub fn into_learned(self) -> Learned {
        self.state.into_inner().learned
    }

    /// The actions whose outcome was reused since the last call.
    pub fn take_reused(&self) -> Vec<Address> {
        std::mem::take(&mut self.state.lock().reused)
    }

    fn take(&self, at: &Address, kind: ObservationKind) -> Option<Result<Output, ActionError>> {
        let mut state = self.state.lock();
        let attempt = match state.taken.get_mut(at) {
            Some(n) => {
                *n += 1;
                *n
            }
            None => {
                state.taken.insert(at.clone(), 0);
                state.learned.kinds.insert(at.clone(), kind);
                0
            }
        };
        if let Some(change) = self.changes.iter().find(|c| c.attempt == attempt && c.at == *at) {
            return Some(Ok(change.output.clone()));
        }
        self.record.observations.get(at)?.get(attempt).map(|o| o.result.clone())
    }

    /// Whether the next observation of an action belongs to a later attempt of a `use` around it.
    fn attempt_is_over(&self, at: &Address) -> bool {
        let State { taken, attempt_ends, .. } = &*self.state.lock();
        let next = taken.get(at).map_or(0, |n| n + 1);
        let Some(observation) = self.record.observations.get(at).and_then(|all| all.get(next)) else { return false };
        let is_before = |end: &u64| *end < observation.seq;
        !attempt_ends.is_empty() && at.ancestors().any(|a| a != *at && attempt_ends.get(&a).is_some_and(is_before))
    }

    fn learned_outcome(&self, at: &Address, scope: &Scope, faults: &[String]) -> Option<&ActionOutcome> {
        let cached = self.learned?.outcomes.get(at)?.as_ref()?;
        if self.changes.iter().any(|c| c.at.is_within(at)) {
            return None;
        }
        cached.get(self.names_read.get(&self.record.actions.get(at)?.location)?, scope, faults)
    }
}

#[async_trait]
impl ObservationSource for ReplaySource<'_> {
    async fn observe(&self, request: ObservationRequest<'_>) -> Option<Observation> {
        if let Some(why) = self.not_recorded(request.at) {
            let result = Err(ActionError::Invalid(why.into()));
            return Some(Observation { result, evidence: vec![], sent: false });
        }
        if self.attempt_is_over(request.at) {
            return None;
        }
        let result = self.take(request.at, ObservationKind::Verb)?;
        Some(Observation { result, evidence: self.evidence(request.at), sent: false })
    }

    async fn next_attempt(&self, at: &Address, _: &Wait<'_>, _: &CancellationToken) -> NextAttempt {
        let recorded = self.take(at, ObservationKind::Use);
        let State { taken, attempt_ends, .. } = &mut *self.state.lock();
        if let Some(current) = taken.get(at).and_then(|n| self.record.observations.get(at)?.get(*n)) {
            attempt_ends.insert(at.clone(), current.seq);
        }
        recorded.map_or(NextAttempt::Stop, |r| NextAttempt::Recorded(r.map(|o| o.value).unwrap_or_default()))
    }

    fn every_observation(&self, at: &Address) -> Option<Vec<Output>> {
        let next = || self.take(at, ObservationKind::Verb);
        Some(std::iter::from_fn(next).filter_map(Result::ok).collect())
    }

    fn measured(&self, at: &Address, _: Value) -> Value {
        self.take(at, ObservationKind::Measured).and_then(|r| r.ok()).map(|o| o.value).unwrap_or_default()
    }

    fn is_live(&self) -> bool {
        false
    }

    fn environment(&self) -> Scope {
        self.environment.clone()
    }

    fn before(&self, at: &Address, scope: &Scope, faults: &[String]) -> Result<Scope, ActionOutcome> {
        if let Some(outcome) = self.learned_outcome(at, scope, faults) {
            self.state.lock().reused.push(at.clone());
            return Err(outcome.clone());
        }
        let ended = self.record.actions.get(at).and_then(|a| a.ended);
        Ok(ended.map_or_else(|| scope.clone(), |ended| scope.with_now(ended)))
    }

    fn judging(&self, assertions: &Assertions, scope: &Scope) {
        if self.learned.is_some() {
            return;
        }
        let literals = &mut self.state.lock().learned.literals;
        if let Some(pattern) = &assertions.pattern {
            let mut all = ReferencedLiterals::default();
            pattern.leaves(&mut |leaf| {
                let own = leaf.collect_literals(scope);
                all.join(&own);
                literals.entry(leaf.pattern.span.clone()).or_default().join(&own);
            });
            pattern.branches(&mut |span| literals.entry(span.clone()).or_default().join(&all));
        }
        for (expression, span) in &assertions.checks {
            let mut own = ReferencedLiterals::default();
            expression.collect_literals(scope, &mut own);
            literals.entry(span.clone()).or_default().join(&own);
        }
    }

    fn after(&self, at: &Address, scope: &Scope, faults: &[String], outcome: &ActionOutcome) {
        if self.learned.is_none() {
            let cached = CachedOutcome::new(scope, faults, outcome);
            let outcomes = &mut self.state.lock().learned.outcomes;
            outcomes.entry(at.clone()).and_modify(|first| *first = None).or_insert(Some(cached));
        }
    }
}
