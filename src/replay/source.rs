//! A record as an observation source: gives each action its recorded observations in order, some of them changed.
use super::record::Record;
use crate::{
    address::Address,
    engine::{
        observation::{NextAttempt, Observation, ObservationRequest, ObservationSource},
        scopes::run_scope,
    },
    executor::{ActionError, Output},
    expr::Scope,
    secrets::Secrets,
    value::Value,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;
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

pub struct ReplaySource {
    record: Arc<Record>,
    environment: Scope,
    changes: Arc<[Change]>,
    /// The last attempt that each action took.
    taken: Mutex<HashMap<Address, usize>>,
    /// For each repeated `use`: the number of the event that ended its current attempt.
    attempt_ends: Mutex<HashMap<Address, u64>>,
    kinds: Mutex<HashMap<Address, ObservationKind>>,
}

impl ReplaySource {
    pub fn new(record: Arc<Record>, changes: Arc<[Change]>) -> Self {
        let environment = environment_scope(&record);
        ReplaySource {
            record,
            environment,
            changes,
            taken: Mutex::default(),
            attempt_ends: Mutex::default(),
            kinds: Mutex::default(),
        }
    }

    /// The kind of every observation so far.
    pub fn into_kinds(self) -> HashMap<Address, ObservationKind> {
        self.kinds.into_inner()
    }

    fn take(&self, at: &Address, kind: ObservationKind) -> Option<Result<Output, ActionError>> {
        let attempt = {
            let mut taken = self.taken.lock();
            match taken.get_mut(at) {
                Some(n) => {
                    *n += 1;
                    *n
                }
                None => {
                    taken.insert(at.clone(), 0);
                    self.kinds.lock().insert(at.clone(), kind);
                    0
                }
            }
        };
        if let Some(change) = self.changes.iter().find(|c| c.attempt == attempt && c.at == *at) {
            return Some(Ok(change.output.clone()));
        }
        self.record.observations.get(at)?.get(attempt).map(|o| o.result.clone())
    }

    /// Whether the next observation of an action belongs to a later attempt of a `use` around it.
    fn attempt_is_over(&self, at: &Address) -> bool {
        let next = self.taken.lock().get(at).map_or(0, |n| n + 1);
        let Some(observation) = self.record.observations.get(at).and_then(|all| all.get(next)) else { return false };
        let ends = self.attempt_ends.lock();
        !ends.is_empty() && at.ancestors().any(|a| a != *at && ends.get(&a).is_some_and(|end| *end < observation.seq))
    }
}

#[async_trait]
impl ObservationSource for ReplaySource {
    async fn observe(&self, request: ObservationRequest<'_>) -> Option<Observation> {
        if self.attempt_is_over(request.at) {
            return None;
        }
        let result = self.take(request.at, ObservationKind::Verb)?;
        Some(Observation { result, evidence: vec![], sent: false })
    }

    async fn next_attempt(
        &self,
        at: &Address,
        _: u32,
        _: Option<Instant>,
        _: Duration,
        _: &CancellationToken,
    ) -> NextAttempt {
        let recorded = self.take(at, ObservationKind::Use);
        let current = self.taken.lock().get(at).and_then(|n| self.record.observations.get(at)?.get(*n));
        if let Some(current) = current {
            self.attempt_ends.lock().insert(at.clone(), current.seq);
        }
        recorded.map_or(NextAttempt::Stop, |r| NextAttempt::Recorded(r.map(|o| o.value).unwrap_or_default()))
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
}

/// Secrets for a replay: the record contains masks only.
pub(super) fn recorded_secrets() -> Arc<Secrets> {
    Arc::new(Secrets::recorded())
}

fn environment_scope(record: &Record) -> Scope {
    let own = record.bound.as_ref().map(|(_, environment)| environment.clone()).unwrap_or_default();
    run_scope(&record.run_info(), &recorded_secrets()).with_all(&own)
}
