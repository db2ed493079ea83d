//! Concludes an assertion over every observation, at the end of its case.
use super::{
    conclude::Judged,
    observers::{Tally, with_all_fields},
    results::{ActionOutcome, ObservationTime},
    runner::{ActionRunner, Invocation},
};
use crate::outcome::Status;
use jiff::Timestamp;
use std::time::Duration;

impl ActionRunner<'_> {
    /// Gives the assertions over every observation their results.
    pub(super) async fn conclude_every(&self, call: Invocation<'_>, fields: &[&str]) -> ActionOutcome {
        let Invocation { action, at, scope, .. } = call;
        let tally = match self.source.every_observation(at) {
            None => self.context.observers.tally(&action.location),
            Some(outputs) => {
                let mut tally = Tally::default();
                for output in outputs {
                    let value = with_all_fields(&output.value, fields);
                    let results = self.evaluate(&action.assertions, Some(&value), &scope.with_all(&value));
                    tally.add(at, &output, results, &[]);
                }
                tally
            }
        };
        if tally.observations == 0 {
            return self.not_performed(call, Status::NotReached, "nothing was observed").await;
        }
        let (value, reason) = (tally.output(), tally.reason());
        let (results, evidence, seen) = match tally.worst {
            Some(unmet) => (unmet.results, unmet.evidence, unmet.at),
            None => (tally.last, vec![], Timestamp::now()),
        };
        let time = ObservationTime { attempt: 0, at: seen, took: Duration::ZERO };
        let last = Some(time.attempt(Ok(&value), &results, evidence));
        self.conclude(call, Judged { value: Some(value), results, attempts: 1, reason, last, ..Judged::default() })
            .await
    }
}
