//! What the assertions over every observation judge in a replay: the recorded observations of all cases.
use super::record::{Record, RecordedObservation};
use crate::{
    address::Address,
    engine::schedule::{ActionKind, ObservedTarget, Schedule},
    source::Location,
};
use std::collections::HashMap;

/// The record where each action that judges every observation has, as its own observations, those that it judged.
pub fn with_every_observation(record: &Record, schedule: &Schedule) -> Record {
    let (mut made_by, mut judged_by): (HashMap<Location, ObservedTarget>, HashMap<Location, &ObservedTarget>) =
        (HashMap::new(), HashMap::new());
    schedule.visit_all_actions(&mut |action| {
        if let Some(observed) = ObservedTarget::of(&action.kind) {
            made_by.insert(action.location.clone(), observed);
        } else if let ActionKind::EveryObservation { observed, .. } = &action.kind {
            judged_by.insert(action.location.clone(), observed);
        }
    });
    let mut observations = record.observations.clone();
    for (at, action) in &record.actions {
        let Some(observed) = judged_by.get(&action.location) else { continue };
        let Some(end) = record.observations.get(at).and_then(|o| o.last()).map(|o| o.seq) else { continue };
        let is_judged = |made_at: &Address| {
            record.actions.get(made_at).and_then(|a| made_by.get(&a.location)).is_some_and(|made| made == *observed)
        };
        let all = record.observations.iter().filter(|(made_at, _)| is_judged(made_at)).flat_map(|(_, all)| all);
        let mut all: Vec<RecordedObservation> = all.filter(|o| o.seq < end && o.result.is_ok()).cloned().collect();
        all.sort_by_key(|o| o.seq);
        observations.insert(at.clone(), all);
    }
    Record { observations, ..record.clone() }
}
