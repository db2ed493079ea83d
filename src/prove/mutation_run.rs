//! Mutates every observation of a run, one mutation at a time, and collects what the assertions detect.
use super::{
    mutation_results::MutationResults,
    mutator::{Group, Member, mutate_group},
    reaction::Judge,
};
use crate::{address::Address, expr::STACK_BYTES, replay::Replay};
use indexmap::IndexMap;
use parking_lot::Mutex;
use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Called with the number of finished groups of observations and their total; returns whether to continue.
pub type Progress<'w> = dyn Fn(usize, usize) -> ControlFlow<()> + Sync + 'w;

/// Mutates every observation of the cases; `None` if `progress` stopped it.
pub fn mutate_run(replay: &Replay, secrets: String, progress: &Progress) -> Option<MutationResults> {
    let judge = Judge::new(replay, secrets);
    let groups = groups(replay);
    let (next, done, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let results = Mutex::new(MutationResults::default());
    let work = || {
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            if progress(done.load(Ordering::Relaxed), groups.len()).is_break() {
                stopped.store(true, Ordering::Relaxed);
                break;
            }
            let own = mutate_group(&judge, group);
            results.lock().join(own);
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            if std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).is_err() {
                // the thread could not be started: this thread does the work
                work();
            }
        }
    });
    (!stopped.into_inner()).then(|| results.into_inner())
}

/// The observations of the run, grouped by sentence and action: those of all items of a `foreach` together.
fn groups(replay: &Replay) -> Vec<Group> {
    let record = &replay.record;
    let mut out: IndexMap<(usize, usize, Address), Group> = IndexMap::new();
    for (c, case) in replay.schedule.cases.iter().enumerate() {
        let mut kinds: Vec<_> = replay.cases[c].learned.kinds.iter().map(|(at, kind)| (at, *kind)).collect();
        let began = |at: &Address| record.observations.get(at).and_then(|o| o.first()).map_or(u64::MAX, |o| o.seq);
        kinds.sort_by_key(|(at, _)| began(at));
        for (s, sentence) in case.sentences.iter().enumerate() {
            for (at, kind) in kinds.iter().filter(|(at, _)| at.is_within(&sentence.address)) {
                let attempts = replay.observations(c, at).len();
                let Some(action) = record.actions.get(*at).filter(|_| attempts > 0) else { continue };
                let order = out.len();
                let part = if at.is_in("at_end") { case.sentences.len() } else { s };
                let group = out.entry((c, s, at.without_items())).or_insert_with(|| Group {
                    order,
                    case: c,
                    sentence: s,
                    part,
                    summary: action.summary.clone(),
                    location: action.location.clone(),
                    members: vec![],
                });
                group.members.push(Member { at: (*at).clone(), kind: *kind, attempts });
            }
        }
    }
    out.into_values().collect()
}
