//! Hooks around actions, for layers above the engine that run actions on other terms than live ones. A live run has no hook.
use super::results::ActionOutcome;
use crate::{address::Address, expr::Scope, plan::Assertions};

/// Called around each action, and around the assertions of a sentence.
pub trait ActionHook: Send + Sync {
    /// Called before the action at `at` runs with the names of `scope` while `faults` are in force.
    fn before(&self, at: &Address, scope: &Scope, faults: &[String]) -> BeforeAction;
    /// Called before `assertions` are evaluated.
    fn judging(&self, assertions: &Assertions, scope: &Scope);
    /// Called after an action that left the faults in force as they were, with the arguments of `before`.
    fn after(&self, at: &Address, scope: &Scope, faults: &[String], outcome: &ActionOutcome);
}

pub enum BeforeAction {
    /// Run the action in this scope.
    Run(Scope),
    /// Take this outcome instead.
    Skip(ActionOutcome),
}
