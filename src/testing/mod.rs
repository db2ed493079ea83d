//! The test harness for unit tests, integration tests and benches: `action` for single actions, `run` for whole plans.
//! Compiled for tests and with the feature `testing`.
mod action;
mod run;

pub use action::{
    Harness, Problem, action, at, body_problems, compile, parse, process_ends, render, target_problems, with_body,
};
pub use run::{NoFiles, compile_plan, run_started};
