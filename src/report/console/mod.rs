//! Terminal output: live progress and the summary at the end.
pub mod progress;
mod style;
pub mod summary;
