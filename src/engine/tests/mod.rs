//! Tests of judging, failures, undo and verdicts. Plans are YAML; `harness` runs them with scripted observations.
mod at_end;
mod completeness;
mod deciding;
mod environment;
mod evaluation;
mod follow;
pub mod harness;
mod in_flight;
mod inconclusive;
mod judging;
mod language;
mod panics;
mod retry;
mod secrets;
mod undo;
