//! Leaves out recorded attempts that decide nothing, so that a replay is quick: all attempts of an `eventually` but the
//! last, and most attempts of an `always`.
use super::record::{Record, RecordedObservation};
use crate::{
    address::Address,
    engine::schedule::{ActionKind, Schedule},
    source::Location,
    value::Value,
};
use std::collections::{HashMap, HashSet};

/// Number of attempts of an `always` that are kept.
const SAMPLES: usize = 6;

/// Whether the attempt `n` of `count` is in the sample: the first, the last, and some in between.
pub fn is_sampled(n: usize, count: usize) -> bool {
    count <= SAMPLES || (0..SAMPLES).any(|k| k * (count - 1) / (SAMPLES - 1) == n)
}

/// The record as if each `eventually` had held at its first attempt, and each `always` had made a few attempts only.
pub fn shortened(record: &Record, schedule: &Schedule) -> Record {
    let with_always = locations_with_always(schedule);
    let has_always = |at: &Address| record.actions.get(at).is_some_and(|a| with_always.contains(&a.location));
    let is_in_always = |at: &Address| at.ancestors().any(|a| has_always(&a));
    let mut observations = HashMap::new();
    for (at, all) in &record.observations {
        // `before`: the end of the last attempt but one of a repeated `use` around the action
        let repeated = at.ancestors().filter(|a| a != at && !is_in_always(a));
        let repeated = repeated.filter_map(|a| record.observations.get(&a));
        let before = repeated.filter_map(|o| o.len().checked_sub(2).map(|i| o[i].seq)).max().unwrap_or(0);
        let always = at.ancestors().find(|a| has_always(a)).and_then(|a| record.observations.get(&a));
        let is_skipped = |seq: u64| always.is_some_and(|attempts| is_skipped(attempts, seq));
        let mut kept: Vec<RecordedObservation> =
            all.iter().filter(|o| o.seq > before && !is_skipped(o.seq)).cloned().collect();
        if !is_in_always(at)
            && let Some(mut last) = kept.pop()
        {
            // `at` and `took` in the value count from the first attempt
            if let Ok(output) = &mut last.result
                && let (Some(Value::Time(first)), Some(Value::Duration(took))) =
                    (output.value.get("at").cloned(), output.value.get("took").cloned())
            {
                output.at = first;
                output.took = took.try_into().unwrap_or(output.took);
            }
            kept = vec![last];
        }
        observations.insert(at.clone(), kept);
    }
    Record { observations, ..record.clone() }
}

/// Whether an observation belongs to an attempt of an `always` that is left out.
fn is_skipped(attempts: &[RecordedObservation], seq: u64) -> bool {
    attempts.iter().position(|a| seq <= a.seq).is_some_and(|n| !is_sampled(n, attempts.len()))
}

fn locations_with_always(schedule: &Schedule) -> HashSet<Location> {
    let mut out = HashSet::new();
    schedule.visit_actions(&mut |action| {
        if action.always.is_some() || matches!(action.kind, ActionKind::EveryObservation { .. }) {
            out.insert(action.location.clone());
        }
    });
    out
}
