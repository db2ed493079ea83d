//! Replays a recorded run: the engine judges it again without network and clock, as it was or with changed observations.
//!
//! `record` reads a journal, `source` gives its observations to the engine, `hook` sets the recorded clock and caches outcomes,
//! `shorten` leaves out attempts that decide nothing, `judge` judges the cases.
mod cache;
pub mod hook;
pub mod judge;
pub mod record;
pub mod shorten;
pub mod source;

#[cfg(test)]
mod tests;

pub use judge::Replay;
pub use record::Record;
