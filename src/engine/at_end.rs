//! The end of a case, before its undo: performs again what must still hold, and concludes the assertions over every
//! observation. A sentence gets its final status here.
use super::{
    case::CaseExecution,
    results::ActionOutcome,
    runner::{ActionRunner, Invocation},
    schedule::{ScheduledAction, Sentence},
};
use crate::{event::EventKind, outcome::Status};

impl CaseExecution {
    /// Judges the sentences that passed so far and have something to judge at the end of the case.
    pub async fn run_end(&mut self, sentences: &[Sentence], runner: &ActionRunner<'_>) {
        let runner = ActionRunner { once: true, ..runner.clone() };
        for sentence in sentences.iter().filter(|s| s.actions.iter().any(ScheduledAction::is_at_end)) {
            let Some(n) = self.sentences.iter().position(|s| s.address == sentence.address) else { continue };
            if self.sentences[n].status != Status::Passed {
                continue;
            }
            let outcome = if runner.cancel.is_cancelled() {
                ActionOutcome::without_output(Status::NotReached, "the case was stopped before its end")
            } else {
                self.actions_at_end(sentence, &runner).await
            };
            let reason = outcome.reason.filter(|_| outcome.status.is_unsuccessful());
            self.note_status(outcome.status, reason.as_deref());
            self.sentences[n].status = outcome.status;
            self.sentences[n].observed.extend(outcome.observed);
            runner.emit(&sentence.address, EventKind::SentenceFinished { status: outcome.status, reason }).await;
        }
    }

    async fn actions_at_end(&self, sentence: &Sentence, runner: &ActionRunner<'_>) -> ActionOutcome {
        let mut total = ActionOutcome::default();
        for (i, action) in sentence.actions.iter().enumerate().filter(|(_, a)| a.is_at_end()) {
            let at = sentence.address.child("at_end").child(i);
            let mut outcome =
                runner.run_action(Invocation { action, at: &at, scope: &self.scope, timeout: None }).await;
            if action.still_at_end {
                outcome.reason = outcome.reason.map(|why| format!("at the end of the case: {why}"));
            }
            total.add(outcome);
        }
        total
    }
}
