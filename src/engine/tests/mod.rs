//! What DESIGN says of judging, of what follows a red, of undo and of verdicts, each sentence as a test. Plans are YAML, the
//! context is `stage`.
mod environment;
mod follow;
mod inconclusive;
mod judging;
mod language;
mod secrets;
pub mod stage;
mod undo;
