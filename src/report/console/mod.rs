//! Terminal output: progress while a run goes on, and the summary at the end.
mod board;
pub mod failure;
pub mod layout;
mod live;
pub mod neutral;
mod notices;
pub mod progress;
mod state;
pub mod stream;
mod style;
pub mod summary;
