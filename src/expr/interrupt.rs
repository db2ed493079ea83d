//! How the engine ends an evaluation that takes too long.

/// Attached to a scope, and asked at each step of a loop. Without one an evaluation is bounded by its number of steps only.
pub trait Interrupt: Send + Sync {
    /// Why an evaluation must end now, as a clause: "the run was cancelled". `None` while it may go on.
    fn reason(&self) -> Option<String>;

    /// Runs work that may take as long as the limit. Calls `work` once, on the same thread.
    fn run(&self, work: &mut dyn FnMut());
}
