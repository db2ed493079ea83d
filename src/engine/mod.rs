//! Order, time, names and undo. Speaks only in events: it prints nothing, and knows no protocol and no report.
pub mod backoff;
mod call;
pub mod case;
pub mod compile;
pub mod dispatch;
pub mod doubt;
mod fault;
mod known;
pub mod looks;
pub mod names;
pub mod needs;
mod parallel;
mod perform;
pub mod replay;
pub mod run;
pub mod schedule;
pub mod step;
pub mod undo;
mod wait;

#[cfg(test)]
pub(crate) mod tests;
