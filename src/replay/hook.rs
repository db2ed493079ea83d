//! Sets the recorded clock for each action. In a replay without changes, learns the outcome of each action and the
//! literals of its assertions; in a replay with changes, reuses the outcomes.
use super::{
    cache::{CachedOutcome, NamesRead},
    record::Record,
    source::Change,
};
use crate::{
    address::Address,
    engine::{
        hook::{ActionHook, BeforeAction},
        results::ActionOutcome,
    },
    expr::{ReferencedLiterals, Scope},
    plan::Assertions,
    source::{Location, Span},
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// What is learned from a replay without changes.
#[derive(Default)]
pub struct Learned {
    /// Literals that each assertion mentions.
    pub literals: HashMap<Span, ReferencedLiterals>,
    /// `None` for an action that ran more than once: its outcomes differ.
    outcomes: HashMap<Address, Option<CachedOutcome>>,
}

pub type Cache = HashMap<Address, CachedOutcome>;

enum Mode {
    Learn(Mutex<Learned>),
    Reuse { cache: Arc<Cache>, changes: Arc<[Change]>, reused: Mutex<Vec<Address>> },
}

pub struct ReplayHook {
    record: Arc<Record>,
    names_read: Arc<HashMap<Location, NamesRead>>,
    mode: Mode,
}

impl ReplayHook {
    pub fn learn(record: Arc<Record>, names_read: Arc<HashMap<Location, NamesRead>>) -> Self {
        ReplayHook { record, names_read, mode: Mode::Learn(Mutex::default()) }
    }

    pub fn reuse(
        record: Arc<Record>,
        names_read: Arc<HashMap<Location, NamesRead>>,
        cache: Arc<Cache>,
        changes: Arc<[Change]>,
    ) -> Self {
        ReplayHook { record, names_read, mode: Mode::Reuse { cache, changes, reused: Mutex::default() } }
    }

    /// Takes what was learned: the literals of each assertion, and the outcomes to reuse.
    pub fn take_learned(&self) -> (HashMap<Span, ReferencedLiterals>, Cache) {
        let Mode::Learn(learned) = &self.mode else { return Default::default() };
        let Learned { literals, outcomes } = std::mem::take(&mut *learned.lock());
        (literals, outcomes.into_iter().filter_map(|(at, cached)| Some((at, cached?))).collect())
    }

    /// The actions whose outcome was reused since the last call.
    pub fn take_reused(&self) -> Vec<Address> {
        match &self.mode {
            Mode::Reuse { reused, .. } => std::mem::take(&mut *reused.lock()),
            _ => vec![],
        }
    }

    fn names_read(&self, at: &Address) -> Option<&NamesRead> {
        self.names_read.get(&self.record.actions.get(at)?.location)
    }

    fn cached(&self, at: &Address, scope: &Scope, faults: &[String]) -> Option<ActionOutcome> {
        let Mode::Reuse { cache, changes, reused } = &self.mode else { return None };
        let cached = cache.get(at)?;
        if changes.iter().any(|c| c.at.is_within(at)) {
            return None;
        }
        let outcome = cached.get(self.names_read(at)?, scope, faults)?;
        reused.lock().push(at.clone());
        Some(outcome.clone())
    }
}

impl ActionHook for ReplayHook {
    fn before(&self, at: &Address, scope: &Scope, faults: &[String]) -> BeforeAction {
        if let Some(outcome) = self.cached(at, scope, faults) {
            return BeforeAction::Skip(outcome);
        }
        let ended = self.record.actions.get(at).and_then(|a| a.ended);
        BeforeAction::Run(ended.map_or_else(|| scope.clone(), |ended| scope.with_now(ended)))
    }

    fn judging(&self, assertions: &Assertions, scope: &Scope) {
        let Mode::Learn(learned) = &self.mode else { return };
        let literals = &mut learned.lock().literals;
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
        let Mode::Learn(learned) = &self.mode else { return };
        let cached = CachedOutcome::new(scope, faults, outcome);
        let outcomes = &mut learned.lock().outcomes;
        outcomes.entry(at.clone()).and_modify(|first| *first = None).or_insert(Some(cached));
    }
}
