//! Runs the undo stack, last entry first, and says what is left behind.
use super::{
    runner::ActionRunner,
    undo::{UndoKind, UndoStack},
};
use crate::{event::EventKind, outcome::Status};
use std::time::Duration;

/// Time limit of one entry of the stack.
const UNDO_TIMEOUT: Duration = Duration::from_secs(90);

#[derive(Default)]
pub struct Unwound {
    /// What could not be undone, a sentence each.
    pub left: Vec<String>,
    /// Faults that were healed only now and that no connection met.
    pub not_met: Vec<String>,
}

pub async fn unwind(stack: &UndoStack, runner: &ActionRunner<'_>) -> Unwound {
    let mut out = Unwound::default();
    while let Some(undo) = stack.pop() {
        let (status, reason) = match undo.kind {
            UndoKind::Heal(name) => {
                match tokio::time::timeout(UNDO_TIMEOUT, runner.heal_fault(&undo.at, &name)).await {
                    Ok(Ok(refused)) => {
                        if refused == Some(0) {
                            out.not_met.push(name);
                        }
                        (Status::Passed, None)
                    }
                    Ok(Err(e)) => (Status::Errored, Some(format!("the fault `{name}` could not be healed: {e}"))),
                    Err(_) => (Status::Errored, Some(timed_out())),
                }
            }
            UndoKind::Actions { actions, scope, bound, base } => {
                let names = bound.lock().clone();
                let scope = names.into_iter().fold(scope, |s, (n, v)| s.with(n, v));
                let runner = ActionRunner { base: &base, ..*runner };
                match tokio::time::timeout(UNDO_TIMEOUT, runner.run_actions(&actions, &undo.at, scope, None)).await {
                    Ok(outcome) => (outcome.status, outcome.reason),
                    Err(_) => (Status::Errored, Some(timed_out())),
                }
            }
        };
        if status.is_unsuccessful() {
            out.left.push(format!("{}: {}", undo.summary, reason.as_deref().unwrap_or(status.as_str())));
        }
        runner.emit(&undo.at, EventKind::UndoFinished { status, summary: undo.summary, reason }).await;
    }
    out
}

fn timed_out() -> String {
    format!("not done within {UNDO_TIMEOUT:?}")
}
