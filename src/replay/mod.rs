//! Replays a recorded run: the engine judges it again without network and clock, as recorded or with changed
//! observations.
//!
//! `record` reads a journal, `source` gives its observations to the engine, `cache` decides which outcomes
//! can be reused, `shorten` leaves out attempts that decide nothing, `every` finds what
//! assertions over every observation judge, `judge` judges the cases.
mod cache;
pub mod every;
pub mod judge;
pub mod record;
pub mod shorten;
pub mod source;

#[cfg(test)]
mod tests;

pub use judge::Replay;
pub use record::Record;
