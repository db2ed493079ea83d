//! Runs the undo stack, last entry first, and says what is left behind and why.
use super::{
    inconclusive::fault_not_met,
    results::Leftover,
    runner::ActionRunner,
    undo::{UndoKind, with_bound},
};
use crate::{event::EventKind, outcome::Status};
use std::time::Duration;

/// Time limit of one entry of the stack.
const UNDO_TIMEOUT: Duration = Duration::from_secs(90);

/// Runs the undo stack. Returns what could not be undone.
pub async fn unwind(runner: &ActionRunner<'_>) -> Vec<Leftover> {
    let mut left = vec![];
    loop {
        let Some(undo) = runner.effects.undo.lock().pop() else { return left };
        let summary = undo.kind.summary();
        let work = async {
            match undo.kind {
                UndoKind::Heal(name) => match runner.heal_fault(&undo.at, &name).await {
                    Ok(refused) => {
                        if refused == Some(0) {
                            runner.effects.mark_inconclusive(fault_not_met(&name));
                        }
                        (Status::Passed, None)
                    }
                    Err(e) => (Status::Errored, Some(format!("the fault `{name}` could not be healed: {e}"))),
                },
                UndoKind::Actions { actions, scope, bound, base } => {
                    let scope = with_bound(&scope, &bound);
                    let runner = ActionRunner { base: &base, ..*runner };
                    let total = runner.run_actions(&actions, &undo.at, scope, None).await.total;
                    (total.status, total.reason)
                }
            }
        };
        let timed_out = |_| (Status::Errored, Some(format!("not done within {UNDO_TIMEOUT:?}")));
        let (status, reason) = tokio::time::timeout(UNDO_TIMEOUT, work).await.unwrap_or_else(timed_out);
        if status.is_unsuccessful() {
            let text = format!("{summary}: {}", reason.as_deref().unwrap_or(status.as_str()));
            left.push(Leftover { text, by_product: status == Status::Failed });
        }
        runner.emit(&undo.at, EventKind::UndoFinished { status, summary, reason }).await;
    }
}
