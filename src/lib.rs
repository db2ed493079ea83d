//! `tp-runner` performs written test plans and reports them in the plan's own shape.
//!
//! The floors and who may import whom: `docs/architecture.md`, held by `tests/floors.rs`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr, clippy::exit, clippy::unwrap_used))]

pub mod address;
pub mod cli;
pub mod diagnostic;
pub mod engine;
pub mod event;
pub mod executor;
pub mod executors;
pub mod expr;
pub mod language;
pub mod outcome;
pub mod plan;
pub mod prove;
pub mod relay;
pub mod replay;
pub mod report;
pub mod secrets;
pub mod source;
pub mod value;
pub mod yaml;
