//! Replays a recorded run: the engine judges it again without network and clock, as it was or with changed observations.
//!
//! `record` reads a journal, `source` gives its observations to the engine, `hook` sets the recorded clock and caches outcomes,
//! `shorten` leaves out attempts that decide nothing, `baseline` and `replay` judge the cases.
mod cache;
pub mod hook;
pub mod record;
pub mod replay;
pub mod shorten;
pub mod source;

#[cfg(test)]
mod tests;

pub use record::Record;
pub use replay::Replay;
