//! Runs the undo stack, last entry first, and says what is left behind.
use super::{runner::ActionRunner, undo::UndoKind};
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

pub async fn unwind(runner: &ActionRunner<'_>) -> Unwound {
    let mut out = Unwound::default();
    loop {
        let Some(undo) = runner.effects.undo.lock().pop() else { return out };
        let work = async {
            match undo.kind {
                UndoKind::Heal(name) => match runner.heal_fault(&undo.at, &name).await {
                    Ok(refused) => {
                        out.not_met.extend((refused == Some(0)).then_some(name));
                        (Status::Passed, None)
                    }
                    Err(e) => (Status::Errored, Some(format!("the fault `{name}` could not be healed: {e}"))),
                },
                UndoKind::Actions { actions, scope, bound, base } => {
                    let names = bound.lock().clone();
                    let scope = names.into_iter().fold(scope, |s, (n, v)| s.with(n, v));
                    let runner = ActionRunner { base: &base, ..*runner };
                    let total = runner.run_actions(&actions, &undo.at, scope, None).await.total;
                    (total.status, total.reason)
                }
            }
        };
        let timed_out = |_| (Status::Errored, Some(format!("not done within {UNDO_TIMEOUT:?}")));
        let (status, reason) = tokio::time::timeout(UNDO_TIMEOUT, work).await.unwrap_or_else(timed_out);
        if status.is_unsuccessful() {
            out.left.push(format!("{}: {}", undo.summary, reason.as_deref().unwrap_or(status.as_str())));
        }
        runner.emit(&undo.at, EventKind::UndoFinished { status, summary: undo.summary, reason }).await;
    }
}
