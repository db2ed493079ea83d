//! `tp-runner` runs written test plans and reports the results in the shape of the plan.
//!
//! Layers and modules: `docs/architecture.md`; `tests/layers.rs` checks them.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr, clippy::exit, clippy::unwrap_used))]

pub mod access;
pub mod address;
pub mod cli;
pub mod diagnostic;
pub mod engine;
pub mod event;
pub mod executor;
pub mod executors;
pub mod expr;
pub mod file;
pub mod import;
pub mod init;
pub mod journal;
pub mod language;
pub mod outcome;
pub mod plan;
pub mod prove;
pub mod reference;
pub mod relay;
pub mod replay;
pub mod report;
pub mod secrets;
mod shell;
pub mod source;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
#[cfg(feature = "otlp")]
mod traces;
pub mod value;
pub mod yaml;
