//! Undoes what an earlier run left: takes the open undos from its events, and their actions from its plan, compiled again.
use super::{
    context::RunContext,
    observation::ObservationSource,
    open_undos::OpenUndo,
    results::Leftover,
    run::{set_up, tear_down},
    runner::{ActionRunner, CaseEffects},
    schedule::{Fault, Schedule, ScheduledAction},
    scopes::case_scope,
    undo::{Undo, UndoKind},
    unwind::unwind,
};
use crate::{address::Address, event::EventKind, expr::Scope, source::Location};
use std::{collections::HashMap, sync::Arc};

/// What `clean_up` needs beside the context of a run.
pub struct Cleanup<'a> {
    pub schedule: &'a Schedule,
    pub context: &'a RunContext,
    pub source: &'a dyn ObservationSource,
    /// `run` and the plan's variables, as in the run.
    pub base: &'a Scope,
}

impl Cleanup<'_> {
    /// Heals the faults, sets the environment up, undoes the rest, last first, and tears the environment down. Returns what is left; fails if
    /// the environment cannot be set up.
    pub async fn clean_up(&self, open: Vec<OpenUndo>) -> Result<Vec<Leftover>, String> {
        let root = Address::new("");
        self.context.events.emit(&root, EventKind::CleanupStarted).await;
        // the setup may need what is cut; a fault that can be healed only after it is tried again
        let (faults, mut rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|undo| undo.heals.is_some());
        for fault in faults.into_iter().rev() {
            if !self.undo(vec![fault.clone()]).await.is_empty() {
                rest.push(fault);
            }
        }
        let (left, open) = self.undo_rest(rest).await;
        self.context.events.emit(&root, EventKind::CleanupFinished { left: open }).await;
        left
    }

    /// Returns what is left, and the number of open undos.
    async fn undo_rest(&self, rest: Vec<OpenUndo>) -> (Result<Vec<Leftover>, String>, usize) {
        let (effects, open) = (CaseEffects::default(), rest.len());
        if open == 0 {
            return (Ok(vec![]), 0);
        }
        let ready = set_up(self.schedule, self.context, self.source, &effects).await;
        let mut left = if ready.is_ok() { self.undo(rest).await } else { vec![] };
        let open = if ready.is_ok() { left.len() } else { open };
        let not_torn_down = tear_down(self.schedule, self.context, self.source, &effects).await;
        left.extend(not_torn_down.into_iter().map(|text| Leftover { text, by_product: false }));
        (ready.map(|()| left), open)
    }

    /// Runs undos as at the end of a case: faults first, then the others, last first.
    async fn undo(&self, open: Vec<OpenUndo>) -> Vec<Leftover> {
        let actions = self.undo_actions();
        let (effects, mut left) = (CaseEffects::default(), vec![]);
        for undo in open {
            let kind = match (&undo.heals, actions.get(&undo.location)) {
                (Some(name), _) => UndoKind::Heal(name.clone()),
                (None, Some(actions)) => {
                    let base = case_scope(self.base, &undo.at.case()).over(&self.source.environment());
                    UndoKind::Actions {
                        actions: (*actions).clone(),
                        scope: base.with_all(&undo.names),
                        bound: Arc::default(),
                        base,
                    }
                }
                (None, None) => {
                    let text =
                        format!("{}: its actions are not in the recorded plan at {}", undo.summary, undo.location);
                    left.push(Leftover { text, by_product: false });
                    continue;
                }
            };
            effects.undo.lock().push(Undo { at: undo.at, kind });
        }
        let runner = ActionRunner::new(self.context, self.source, &effects, self.base).until(&self.context.kill, None);
        left.extend(unwind(&runner).await);
        left
    }

    /// The undo of every action, by the place of its first action.
    fn undo_actions(&self) -> HashMap<Location, Arc<Vec<ScheduledAction>>> {
        let mut all = HashMap::new();
        let mut add = |action: &ScheduledAction| {
            if let [first, ..] = &action.undo[..] {
                all.insert(first.location.clone(), action.undo.clone());
            }
        };
        self.schedule.visit_all_actions(&mut add);
        for (_, fault) in &self.context.faults {
            if let Fault::Actions { cut, heal, probe, .. } = fault {
                [cut, heal, probe].into_iter().flatten().for_each(&mut add);
            }
        }
        all
    }
}
