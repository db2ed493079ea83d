//! Where observations come from: the trait that a live run and a replay implement.
use crate::{
    address::Address,
    event::Evidence,
    executor::{Action, ActionError, Output},
    expr::Scope,
    value::Value,
};
use async_trait::async_trait;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub struct ObservationRequest<'a> {
    pub action: &'a dyn Action,
    pub target: Option<&'a str>,
    pub at: &'a Address,
    pub scope: &'a Scope,
    /// The previous output, from which the next attempt continues without losing anything.
    pub last: Option<&'a Output>,
    /// Number of attempts before this one.
    pub attempts: u32,
    /// When observing ends.
    pub until: Option<Instant>,
    /// Time limit of this attempt.
    pub timeout: Duration,
    /// Time to wait before a further attempt where the target does not report changes itself.
    pub pace: Duration,
    pub cancel: &'a CancellationToken,
}

pub struct Observation {
    pub result: Result<Output, ActionError>,
    pub evidence: Vec<Evidence>,
    /// The request was sent: a timeout then counts as "no response".
    pub sent: bool,
}

/// Whether a `use` is run again.
pub enum NextAttempt {
    Stop,
    Run,
    /// Run it, with the times of this recorded output.
    Recorded(Value),
}

#[async_trait]
pub trait ObservationSource: Send + Sync {
    /// Makes the next observation; `None` if the time for observing is over.
    async fn observe(&self, request: ObservationRequest<'_>) -> Option<Observation>;
    /// Waits for the next attempt of a `use`.
    async fn next_attempt(
        &self,
        at: &Address,
        attempts: u32,
        until: Option<Instant>,
        pace: Duration,
        cancel: &CancellationToken,
    ) -> NextAttempt;
    /// What the engine measured itself (the overlap of a `parallel`, the connections that a fault refused), or what was recorded
    /// in its place.
    fn measured(&self, at: &Address, live: Value) -> Value;
    /// Whether actions have effects and need an undo, and deadlines a clock.
    fn is_live(&self) -> bool;
    /// The names of the environment.
    fn environment(&self) -> Scope;
}
