//! Ends evaluations at the time limit of their case, and when the run is cancelled.
use crate::expr::Interrupt;
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;

pub struct EvaluationLimit {
    cancel: CancellationToken,
    /// The end, and the limit for messages.
    end: Option<(Instant, Duration)>,
}

impl EvaluationLimit {
    pub fn new(cancel: &CancellationToken) -> EvaluationLimit {
        EvaluationLimit { cancel: cancel.clone(), end: None }
    }

    /// Ends after `limit`, counted from now.
    pub fn within(self, limit: Duration) -> EvaluationLimit {
        EvaluationLimit { end: Instant::now().checked_add(limit).map(|end| (end, limit)), ..self }
    }
}

impl Interrupt for EvaluationLimit {
    fn reason(&self) -> Option<String> {
        if let Some((end, limit)) = self.end
            && Instant::now() >= end
        {
            return Some(format!("the case's time limit of {} is over", humantime::format_duration(limit)));
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
