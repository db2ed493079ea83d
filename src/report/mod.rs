//! Reports: from events to what people and machines read. Imports only events, outcomes, addresses,
//! values and locations.
//!
//! Events go into sinks ([`Console`](console::progress::Console), [`IndexBuilder`](index_builder::IndexBuilder)); reports are
//! written from the [`RunIndex`](run_index::RunIndex).
pub mod agent_log;
pub(crate) mod by_hand;
pub mod console;
mod ctrf;
mod excerpt;
#[cfg(test)]
mod format_tests;
pub mod formats;
pub mod gate;
pub mod github;
mod html;
pub mod index_builder;
mod json;
mod json_text;
mod junit;
pub mod known_failures;
pub mod markdown;
mod own_words;
mod plan_order;
mod response;
mod retention;
pub mod run_index;
#[cfg(test)]
pub(crate) mod samples;
mod sentences;
mod spans;
pub mod wording;
