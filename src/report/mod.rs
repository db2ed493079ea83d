//! Reports: from events to what people and machines read. Imports only events, outcomes, addresses,
//! values and locations.
//!
//! Events go into sinks ([`Console`](console::progress::Console), [`IndexBuilder`](index_builder::IndexBuilder)); reports are
//! written from the [`RunIndex`](run_index::RunIndex).
pub mod agent_log;
pub(crate) mod by_hand;
mod case_state;
pub mod compare;
pub mod console;
mod ctrf;
mod difference;
mod excerpt;
#[cfg(test)]
mod format_tests;
pub mod formats;
pub mod gate;
pub mod github;
pub mod history;
mod html;
pub mod index_builder;
mod json;
mod json_text;
mod junit;
pub mod known_failures;
pub mod markdown;
pub mod merge;
mod own_words;
pub mod page;
mod performed;
mod plan_order;
mod response;
mod retention;
#[cfg(test)]
pub(crate) mod retry_tests;
pub mod run_index;
mod running_action;
#[cfg(test)]
pub(crate) mod samples;
mod sentences;
mod spans;
mod verdict_words;
mod waits;
pub mod wording;
