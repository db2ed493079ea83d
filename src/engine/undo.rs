//! What a case made and must take back: on the stack before the request leaves, taken back last first, whatever happened.
use super::{schedule::ScheduledAction, step::Runner};
use crate::{address::Address, event::EventKind, expr::Scope, outcome::Status, value::Value};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// How long taking back one thing may take.
const BUDGET: Duration = Duration::from_secs(90);

pub struct Undo {
    pub at: Address,
    pub what: String,
    pub kind: UndoKind,
}

pub enum UndoKind {
    Steps {
        steps: Arc<Vec<ScheduledAction>>,
        scope: Scope,
        /// What the act itself bound, once it has.
        bound: Arc<Mutex<Vec<(String, Value)>>>,
        /// The scope in which the actions that it uses are performed.
        base: Scope,
    },
    /// A fault that is still in force.
    Heal(String),
}

/// What came of taking everything back.
#[derive(Default)]
pub struct Unwound {
    /// A sentence for each thing that is left.
    pub left: Vec<String>,
    /// Faults that were healed only now, and whose link nobody had tried.
    pub untried: Vec<String>,
}

pub fn untried(name: &str) -> String {
    format!("nobody tried the link while `{name}` was in force: the fault proved nothing")
}

#[derive(Default)]
pub struct Stack(Mutex<Vec<Undo>>);

impl Stack {
    pub fn push(&self, undo: Undo) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push(undo);
    }

    fn pop(&self) -> Option<Undo> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).pop()
    }

    /// A step has healed the fault: it is off the stack, and its row is told.
    pub async fn healed(&self, runner: &Runner<'_>, name: &str) {
        let found = {
            let mut stack = self.0.lock().unwrap_or_else(|e| e.into_inner());
            let at = stack.iter().rposition(|u| matches!(&u.kind, UndoKind::Heal(n) if n == name));
            at.map(|i| stack.remove(i))
        };
        if let Some(Undo { at, what, .. }) = found {
            runner.emit(&at, EventKind::UndoFinished { status: Status::Passed, what, reason: None }).await;
        }
    }

    /// Takes everything back, last first.
    pub async fn unwind(&self, runner: &Runner<'_>) -> Unwound {
        let mut out = Unwound::default();
        while let Some(undo) = self.pop() {
            let (status, reason) = match undo.kind {
                UndoKind::Heal(name) => match runner.heal(&undo.at, &name).await {
                    Ok(refused) => {
                        if refused == Some(0) {
                            out.untried.push(name);
                        }
                        (Status::Passed, None)
                    }
                    Err(e) => (Status::Errored, Some(format!("the fault `{name}` could not be healed: {e}"))),
                },
                UndoKind::Steps { steps, scope, bound, base } => {
                    let names = bound.lock().unwrap_or_else(|e| e.into_inner()).clone();
                    let scope = names.into_iter().fold(scope, |s, (n, v)| s.with(n, v));
                    match tokio::time::timeout(BUDGET, runner.within(&base).list(&steps, &undo.at, scope, None)).await {
                        Ok(listed) => (listed.status, listed.reason),
                        Err(_) => (Status::Errored, Some(format!("not done within {BUDGET:?}"))),
                    }
                }
            };
            if status.is_red() {
                out.left.push(format!("{}: {}", undo.what, reason.as_deref().unwrap_or(status.word())));
            }
            runner.emit(&undo.at, EventKind::UndoFinished { status, what: undo.what, reason }).await;
        }
        out
    }
}
