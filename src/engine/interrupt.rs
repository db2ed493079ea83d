//! Ends evaluations at the time limit of their case or action, and when the run is cancelled.
use crate::expr::Interrupt;
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct EvaluationLimit {
    cancel: CancellationToken,
    /// The end, and the limit for messages.
    end: Option<(Instant, Duration)>,
}

impl EvaluationLimit {
    pub fn new(cancel: &CancellationToken) -> EvaluationLimit {
        EvaluationLimit { cancel: cancel.clone(), end: None }
    }

    /// Ends after `limit`, counted from now, if that is earlier.
    #[must_use]
    pub fn within(self, limit: Option<Duration>) -> EvaluationLimit {
        let later = limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        let end = self.end.into_iter().chain(later).min_by_key(|(end, _)| *end);
        EvaluationLimit { end, ..self }
    }
}

impl Interrupt for EvaluationLimit {
    fn reason(&self) -> Option<String> {
        if let Some((end, limit)) = self.end
            && Instant::now() >= end
        {
            return Some(format!("the time limit of {} is over", humantime::format_duration(limit)));
        }
        self.cancel.is_cancelled().then(|| "cancelled".to_string())
    }

    /// The other tasks of this thread move to another one.
    fn run(&self, work: &mut dyn FnMut()) {
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
            _ => work(),
        }
    }
}
