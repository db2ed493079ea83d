//! The undo stack of a case. An entry is pushed before its request is sent; `unwind` runs them, last first.
use super::schedule::{ActionKind, ScheduledAction};
use crate::{
    address::Address,
    expr::{Scope, Template, Tree},
    value::Value,
};
use indexmap::IndexSet;
use parking_lot::Mutex;
use std::sync::Arc;

pub struct Undo {
    pub at: Address,
    pub kind: UndoKind,
}

pub enum UndoKind {
    Actions {
        actions: Arc<Vec<ScheduledAction>>,
        scope: Scope,
        /// The names that the action itself bound, once it has.
        bound: Arc<Mutex<Vec<(String, Value)>>>,
        /// The scope for the definitions of the actions it uses.
        base: Scope,
    },
    /// Heals the fault of this name.
    Heal(String),
}

impl Undo {
    /// Whether it heals a fault.
    pub fn heals(&self) -> bool {
        matches!(self.kind, UndoKind::Heal(_))
    }
}

impl UndoKind {
    /// What it does, in one line with the values that are known.
    pub fn summary(&self) -> String {
        match self {
            UndoKind::Heal(name) => format!("fault heal {name}"),
            UndoKind::Actions { actions, scope, bound, .. } => all_described(actions, &with_bound(scope, bound)),
        }
    }

    /// The names that it reads, without those that every action of the run can read.
    pub fn names(&self) -> Value {
        let UndoKind::Actions { actions, scope, base, .. } = self else { return Value::Null };
        let own = |name: &String| {
            let value = scope.get(name)?;
            (!base.get(name).is_some_and(|same| same.identical(value))).then(|| (name.clone(), value.clone()))
        };
        Value::map(reads(actions).iter().filter_map(own))
    }
}

/// The scope of an undo: that of its action, and what the action bound.
pub fn with_bound(scope: &Scope, bound: &Mutex<Vec<(String, Value)>>) -> Scope {
    bound.lock().iter().fold(scope.clone(), |scope, (name, value)| scope.with(name, value.clone()))
}

/// The names that an undo reads.
pub fn reads(actions: &[ScheduledAction]) -> IndexSet<String> {
    actions.iter().flat_map(ScheduledAction::reads).collect()
}

pub fn all_described(actions: &[ScheduledAction], scope: &Scope) -> String {
    actions.iter().map(|a| described(a, scope)).collect::<Vec<_>>().join(", ")
}

/// An action in one line, with the values that are known: `use remove-sessions-of (template: r1-a)`.
fn described(action: &ScheduledAction, scope: &Scope) -> String {
    match &action.kind {
        ActionKind::Use { inputs, .. } if !inputs.is_empty() => {
            let given = |(name, tree): &(String, Tree)| match tree.render(scope) {
                Ok(value) => format!("{name}: {value}"),
                Err(_) => format!("{name}: unknown"),
            };
            format!("{} ({})", action.summary, inputs.iter().map(given).collect::<Vec<_>>().join(", "))
        }
        _ => Template::of_source(&action.summary).render_known(scope),
    }
}
