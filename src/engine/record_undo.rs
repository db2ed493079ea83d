//! Records the undo of an action before its request is sent, and afterwards what the action bound: after a crash all of it is on disk.
use super::{
    results::ActionOutcome,
    runner::{ActionRunner, Invocation},
    undo::{Undo, UndoKind, all_described, reads},
};
use crate::{address::Address, event::EventKind, outcome::Status, source::Location, value::Value};
use parking_lot::Mutex;

impl ActionRunner<'_> {
    /// Records the undo of an action and pushes it on the stack. Returns only when it is on disk; otherwise finishes the action.
    pub(super) async fn commit_undo(
        &self,
        action: &Address,
        kind: UndoKind,
        location: &Location,
    ) -> Result<(), ActionOutcome> {
        let (at, summary, names) = (action.child("undo"), kind.summary(), kind.names());
        let heals = if let UndoKind::Heal(name) = &kind { Some(name.clone()) } else { None };
        let planned = EventKind::UndoPlanned { summary, location: location.clone(), names, heals };
        if let Err(e) = self.context.events.commit(&at, planned).await {
            let reason = format!("the undo could not be recorded: {e}");
            return Err(self.fail_early(action, Status::Errored, reason).await);
        }
        self.effects.undo.lock().push(Undo { at, kind });
        Ok(())
    }

    /// Gives the undo of an action what the action bound, and records it.
    pub(super) async fn bind_undo(
        &self,
        call: Invocation<'_>,
        bound: &Mutex<Vec<(String, Value)>>,
        names: &[(String, Value)],
    ) {
        *bound.lock() = names.to_vec();
        let (undo, wanted) = (&call.action.undo, reads(&call.action.undo));
        let read: Vec<_> = names.iter().filter(|(name, _)| wanted.contains(name)).cloned().collect();
        if read.is_empty() {
            return;
        }
        let names = Value::map(read);
        let summary = all_described(undo, &call.scope.with_all(&names));
        self.emit(&call.at.child("undo"), EventKind::UndoBound { summary, names }).await;
    }
}
