//! The undo stack of a case. An entry is pushed before its request is sent; `unwind` runs them, last first.
use super::schedule::ScheduledAction;
use crate::{address::Address, expr::Scope, value::Value};
use parking_lot::Mutex;
use std::sync::Arc;

pub struct Undo {
    pub at: Address,
    pub summary: String,
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
