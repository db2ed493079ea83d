//! Terminal output: live progress and the summary at the end.
pub mod progress;
pub mod stream;
mod style;
pub mod summary;
