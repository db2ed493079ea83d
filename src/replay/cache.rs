//! Outcomes of actions that a replay can reuse: an action that reads the same names and observations has the same
//! outcome.
use crate::{
    engine::{
        results::ActionOutcome,
        schedule::{ActionDefinition, ActionKind, Schedule, ScheduledAction},
    },
    expr::{Reference, Scope},
    plan::Assertions,
    source::Location,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

pub struct CachedOutcome {
    scope: Scope,
    faults: Vec<String>,
    outcome: ActionOutcome,
}

impl CachedOutcome {
    pub fn new(scope: &Scope, faults: &[String], outcome: &ActionOutcome) -> Self {
        CachedOutcome { scope: scope.clone(), faults: faults.to_vec(), outcome: outcome.clone() }
    }

    /// The outcome, if it is still valid: `faults` and the values of `names` are the same as when it was cached.
    pub fn get(&self, names: &NamesRead, scope: &Scope, faults: &[String]) -> Option<&ActionOutcome> {
        (self.faults == faults && names.are_same(&self.scope, scope)).then_some(&self.outcome)
    }
}

/// The names that an action reads in a replay, where verbs render no request.
#[derive(Clone, Default)]
pub struct NamesRead {
    /// Names whose values decide the outcome.
    values: BTreeSet<String>,
    /// Names that must be bound or not as before; their values do not matter.
    presence: BTreeSet<String>,
}

impl NamesRead {
    fn add<'r>(&mut self, references: impl IntoIterator<Item = &'r Reference>) {
        self.values.extend(references.into_iter().map(|r| r.root.clone()));
    }

    fn add_assertions(&mut self, assertions: &Assertions) {
        if let Some(pattern) = &assertions.pattern {
            self.add(&pattern.references());
        }
        assertions.checks.iter().for_each(|(e, _)| self.add(e.references()));
    }

    fn join(&mut self, other: &NamesRead) {
        self.values.extend(other.values.iter().cloned());
        self.presence.extend(other.presence.iter().cloned());
    }

    fn are_same(&self, a: &Scope, b: &Scope) -> bool {
        self.presence.iter().all(|n| a.has(n) == b.has(n))
            && self.values.iter().all(|n| match (a.get(n), b.get(n)) {
                (None, None) => true,
                (Some(a), Some(b)) => a.identical(b),
                _ => false,
            })
    }
}

/// The names read at each location of a plan.
pub fn names_read(schedule: &Schedule) -> HashMap<Location, NamesRead> {
    let (mut out, mut visited) = (HashMap::new(), HashSet::new());
    for sentence in schedule.cases.iter().flat_map(|c| &c.sentences) {
        let names: &mut NamesRead = out.entry(sentence.location.clone()).or_default();
        // a pattern without a verb is matched against the names in scope
        names.values.extend(sentence.needs.iter().cloned());
        names.add_assertions(&sentence.assertions);
        collect(&sentence.actions, &mut visited, &mut out);
    }
    out
}

/// Collects the names read by each of `actions`; returns their union.
fn collect(
    actions: &[ScheduledAction],
    visited: &mut HashSet<*const ActionDefinition>,
    out: &mut HashMap<Location, NamesRead>,
) -> NamesRead {
    let mut all = NamesRead::default();
    for action in actions {
        let mut names = NamesRead::default();
        names.presence.extend(action.needs.iter().cloned());
        names.add_assertions(&action.assertions);
        let expressions = action.save.iter().map(|(_, e)| e).chain(&action.condition).chain(&action.give_up_if);
        expressions.for_each(|e| names.add(e.references()));
        for template in [&action.eventually, &action.always, &action.timeout].into_iter().flatten() {
            names.add(template.references());
        }
        match &action.kind {
            ActionKind::Nothing => names.values.extend(action.needs.iter().cloned()),
            ActionKind::Use { definition, inputs } => {
                inputs.iter().for_each(|(_, tree)| names.add(&tree.references()));
                if visited.insert(Arc::as_ptr(definition)) {
                    collect(&definition.actions, visited, out);
                }
            }
            ActionKind::Parallel { branches, .. } => {
                action.foreach.iter().for_each(|foreach| names.add(&foreach.references()));
                branches.iter().for_each(|b| names.join(&collect(b, visited, out)));
            }
            ActionKind::Perform { .. } | ActionKind::Fault { .. } | ActionKind::EveryObservation { .. } => {}
        }
        all.join(&names);
        out.entry(action.location.clone()).or_default().join(&names);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn reuses_an_outcome_where_the_names_read_are_the_same() {
        let names = NamesRead { values: ["a".into(), "d".into()].into(), presence: ["b".into()].into() };
        let base = Scope::default().with("a", 1i64).with("b", 2i64).with("c", 3i64);
        let cached = CachedOutcome::new(&base, &[], &ActionOutcome::default());
        let reused = |scope: &Scope, faults: &[String]| cached.get(&names, scope, faults).is_some();
        assert!(reused(&base, &[]) && reused(&base.with("b", 5i64).with("c", Value::Null), &[]));
        assert!(!reused(&base.with("a", 5i64), &[]), "another value");
        assert!(!reused(&base.with("d", 5i64), &[]), "a name that was not bound");
        assert!(!reused(&Scope::default().with("a", 1i64), &[]), "a name that is no longer bound");
        assert!(!reused(&base, &["down".into()]), "another fault in force");
    }
}
