//! Terminal output: live progress and the summary at the end.
pub mod neutral;
pub mod progress;
pub mod stream;
mod style;
pub mod summary;
