//! Judges a case with changed observations, from one sentence on, and compares the results with the unchanged ones.
use crate::{
    address::Address,
    engine::schedule::{ActionKind, Schedule},
    executor::{Action, Output},
    expr::ReferencedLiterals,
    replay::{Replay, source::Change},
    source::{Location, Span},
};
use indexmap::IndexSet;
use std::collections::HashMap;

/// How the assertions react to changed observations.
#[derive(Default)]
pub struct Reaction {
    /// Some status or result differs.
    pub detected: bool,
    /// Assertions that fail because of the changes, each with the index of its sentence.
    pub fails: IndexSet<(usize, Span)>,
    /// Assertions that are no longer evaluated.
    pub not_evaluated: IndexSet<Span>,
}

pub struct Judge<'r> {
    pub replay: &'r Replay,
    /// The action of each location that has a verb.
    pub actions: HashMap<Location, &'r dyn Action>,
    /// The masked secrets of the run in one text.
    pub secrets: String,
}

impl<'r> Judge<'r> {
    pub fn new(replay: &'r Replay, secrets: String) -> Self {
        Judge { replay, actions: verb_actions(&replay.schedule), secrets }
    }

    /// Judges a case with `changes`, from the part `from` on.
    pub fn judge(&self, case: usize, from: usize, changes: Vec<Change>) -> Reaction {
        let mut out = Reaction::default();
        for (part, result) in self.replay.with_changes(case, from, changes) {
            // the last run of a repeated action counts
            let (before, now) = (&self.replay.cases[case].parts[part].actions, &result.actions);
            out.detected |= now.keys().any(|at| !before.contains_key(at));
            for (at, then) in before {
                let now = now.get(at);
                let is_reused = || result.reused.iter().any(|reused| at.is_within(reused));
                if now.is_some_and(|now| now.is_same(then)) || (now.is_none() && is_reused()) {
                    continue;
                }
                out.detected = true;
                match now {
                    Some(now) if !now.results.is_empty() => {
                        let Some(sentence) = self.sentence_of(case, at) else { continue };
                        let failed = now.results.iter().filter(|r| !r.holds);
                        out.fails.extend(failed.filter_map(|r| Some((sentence, r.assertion.clone()?))));
                    }
                    // the action ended before its assertions
                    Some(_) => out.not_evaluated.extend(then.results.iter().filter_map(|r| r.assertion.clone())),
                    // the case ended before the action, for another reason
                    None => {}
                }
            }
        }
        out
    }

    /// The index of the sentence to which an action belongs.
    fn sentence_of(&self, case: usize, at: &Address) -> Option<usize> {
        self.replay.schedule.cases[case].sentences.iter().position(|s| at.is_within(&s.address))
    }

    /// The output of one attempt that decides.
    pub fn output(&self, case: usize, at: &Address, attempt: usize) -> Option<&Output> {
        self.replay.observations(case, at).get(attempt)?.result.as_ref().ok()
    }

    /// The literals that the assertions of a reaction mention: first of those that fail, then of those not evaluated.
    pub fn mentioned(&self, case: usize, reaction: &Reaction) -> ReferencedLiterals {
        let all = &self.replay.cases[case].learned.literals;
        let mut out = ReferencedLiterals::default();
        for span in reaction.fails.iter().map(|(_, s)| s).chain(&reaction.not_evaluated) {
            if let Some(literals) = all.get(span) {
                out.join(literals);
            }
        }
        out
    }
}

pub fn verb_actions(schedule: &Schedule) -> HashMap<Location, &dyn Action> {
    let mut out: HashMap<Location, &dyn Action> = HashMap::new();
    schedule.visit_actions(&mut |scheduled| {
        if let ActionKind::Perform { action, .. } = &scheduled.kind {
            out.insert(scheduled.location.clone(), &**action);
        }
    });
    out
}
