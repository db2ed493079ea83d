//! The budget of one evaluation: steps of loops, and bytes of the values that it creates. The library cannot be
//! interrupted, so the functions that `metering.rs` puts into an expression charge the budget of their thread.
use super::error::EvalError;
use crate::expr::interrupt::Interrupt;
use cel::ExecutionError;
use std::{cell::RefCell, sync::Arc};

/// Limits of one evaluation.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) steps: usize,
    pub(super) bytes: usize,
}

/// Of an evaluation in a run. An element costs about 0.3 µs.
pub(super) const RUN: Limits = Limits { steps: 10_000_000, bytes: 128 << 20 };
/// Of an evaluation before a run, which no one can interrupt.
pub(super) const CHECK: Limits = Limits { steps: 20_000, bytes: 8 << 20 };

struct Budget {
    limits: Limits,
    steps: usize,
    bytes: usize,
    interrupt: Option<Arc<dyn Interrupt>>,
    stopped: Option<EvalError>,
}

thread_local! {
    static BUDGET: RefCell<Option<Budget>> = const { RefCell::new(None) };
}

/// Takes the budget off the thread, also after a panic.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        BUDGET.take();
    }
}

/// Evaluates with a budget; within another evaluation, with the rest of that one's.
///
/// # Errors
/// Those of `evaluate`, or [`EvalError::Stopped`] if the budget ran out, whatever `evaluate` returned.
pub(super) fn limited<T>(
    limits: Limits,
    interrupt: Option<&Arc<dyn Interrupt>>,
    evaluate: impl FnOnce() -> Result<T, EvalError>,
) -> Result<T, EvalError> {
    if BUDGET.with_borrow(Option::is_some) {
        return evaluate();
    }
    BUDGET.set(Some(Budget { limits, steps: 0, bytes: 0, interrupt: interrupt.cloned(), stopped: None }));
    let _reset = Reset;
    let result = evaluate();
    match BUDGET.take().and_then(|budget| budget.stopped) {
        Some(stopped) => Err(stopped),
        None => result,
    }
}

/// Charges steps, and bytes of a value that was or will be created.
///
/// # Errors
/// The budget ran out, or the run needs its thread back. The evaluation is over, even if an operator absorbs the error.
pub(super) fn charge(steps: usize, bytes: usize) -> Result<(), ExecutionError> {
    BUDGET.with_borrow_mut(|budget| match budget {
        Some(budget) => budget.charge(steps, bytes),
        None => Ok(()),
    })
}

impl Budget {
    fn charge(&mut self, steps: usize, bytes: usize) -> Result<(), ExecutionError> {
        self.steps = self.steps.saturating_add(steps);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.stopped.is_none() {
            self.stopped = self.exceeded().map(EvalError::Stopped);
        }
        match &self.stopped {
            Some(error) => Err(ExecutionError::function_error("budget", error)),
            None => Ok(()),
        }
    }

    fn exceeded(&self) -> Option<String> {
        let Limits { steps, bytes } = self.limits;
        if self.steps > steps {
            return Some(format!(
                "more than {steps} steps: loop over fewer elements, or save a part with `save` first"
            ));
        }
        if self.bytes > bytes {
            let mebibytes = bytes >> 20;
            return Some(format!("more than {mebibytes} MiB of new values: build smaller lists and strings"));
        }
        let reason = self.interrupt.as_ref()?.reason()?;
        Some(format!("{reason}, after {} steps: loop over fewer elements, or allow more time", self.steps))
    }
}
