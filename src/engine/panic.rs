//! Turns a panic into a reason, so that it errors one action and not the run: other actions go on, and the undo runs.
use futures::FutureExt;
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs `work`.
///
/// # Errors
/// The reason, if it panics.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|payload| reason(&*payload))
}

/// Like [`caught`], for work that never waits.
pub(super) fn caught_now<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| reason(&*payload))
}

fn reason(payload: &(dyn Any + Send)) -> String {
    let message = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("without a message");
    format!("the runner panicked: {message}; this is a defect of the runner, not of the product: please report it")
}
