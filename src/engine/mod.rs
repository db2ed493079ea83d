//! Order, time, names and undo. Speaks only in events: it prints nothing, and knows no protocol and no report.
pub mod backoff;
pub mod case;
pub mod compile;
pub mod dispatch;
pub mod looks;
pub mod names;
pub mod run;
pub mod schedule;
pub mod step;
pub mod undo;

#[cfg(test)]
mod tests;
