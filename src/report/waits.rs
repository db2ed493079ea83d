//! The waits of a case: how long each `eventually` of the plan took, beside its limit.
use super::{
    plan_order::PlanOrder,
    run_index::{ActionEntry, WaitEntry},
};
use std::collections::BTreeMap;

/// Collects the waits of a case. Its size depends on the plan, not on the number of items.
#[derive(Clone, Default)]
pub struct Waits(BTreeMap<PlanOrder, WaitEntry>);

impl Waits {
    /// Adds an action that has ended, if it waited.
    pub fn add(&mut self, action: &ActionEntry) {
        let Some(wait) = action.wait else { return };
        let address = action.address.without_items();
        let new = WaitEntry {
            address: address.clone(),
            summary: action.summary.clone(),
            location: action.location.clone(),
            limit: wait.limit,
            held_after: wait.held_after,
        };
        let known = self.0.entry(PlanOrder::of(&address)).or_insert_with(|| new.clone());
        known.limit = known.limit.max(new.limit);
        known.held_after = known.held_after.zip(new.held_after).map(|(a, b)| a.max(b));
    }

    /// In the plan's order.
    pub fn list(&self) -> Vec<WaitEntry> {
        self.0.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        event::{EventKind, Part, WaitOutcome},
        outcome::{Status, Tier},
        report::samples::{self, SampleRun},
    };
    use std::time::Duration;

    /// A run of one case whose wait takes these seconds, one for each item; `None` is never satisfied.
    fn waits(held_after: &[Option<u64>]) -> Vec<super::WaitEntry> {
        let case = samples::case("TC-1", "One", Tier::Must, &[(Part::Step, "Wait")]);
        let mut s = SampleRun::begin(vec![case], |_| {});
        s.emit("TC-1", EventKind::CaseStarted);
        for (n, held_after) in held_after.iter().enumerate() {
            let at = format!("TC-1/steps/0/do/0#{n}");
            s.start(&at, "k8s get pods", 30);
            let status = if held_after.is_some() { Status::Passed } else { Status::Failed };
            let held_after = held_after.map(Duration::from_secs);
            s.finish_wait(&at, status, WaitOutcome { limit: Duration::from_secs(30), held_after });
        }
        s.index().cases.remove(0).waits
    }

    #[test]
    fn the_longest_item_counts() {
        let waits = waits(&[Some(2), Some(7), Some(3)]);
        assert_eq!(waits.len(), 1);
        assert_eq!((waits[0].address.as_str(), waits[0].summary.as_str()), ("TC-1/steps/0/do/0", "k8s get pods"));
        assert_eq!((waits[0].limit, waits[0].held_after), (Duration::from_secs(30), Some(Duration::from_secs(7))));
    }

    #[test]
    fn one_item_that_is_never_satisfied_decides() {
        assert_eq!(waits(&[Some(2), None, Some(3)])[0].held_after, None);
    }
}
