//! Compiles a plan into a schedule and runs it: order, time, names and undo. Reports only through events, and never prints.
//!
//! `run` runs cases, `case` their sentences, `action` and the files for each kind of action run actions. `results`, `context` and
//! `schedule` hold their data.
mod abandoned;
mod action;
mod at_end;
mod call;
pub mod case;
pub mod cleanup;
pub mod compile;
mod conclude;
pub mod context;
pub mod dispatch;
mod evaluate;
mod every;
mod fault;
mod inconclusive;
mod interrupt;
mod known_failures;
pub mod live;
pub mod names;
pub mod observation;
mod observers;
pub mod open_undos;
mod panic;
mod parallel;
pub mod permissions;
mod record_undo;
pub mod results;
mod retry;
pub mod run;
pub mod runner;
pub mod schedule;
pub mod scopes;
mod start_gate;
mod time_limit;
mod times;
mod undo;
mod unwind;
mod verb;
pub mod wait;

#[cfg(test)]
pub(crate) mod tests;
