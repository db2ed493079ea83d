//! The time limit of a case that sets none: a fixed time, and the longest wait of each of its sentences.
use super::{
    schedule::{ActionKind, ScheduledAction, Sentence},
    times::render_duration,
};
use crate::{expr::Scope, value::Value};
use std::time::Duration;

/// Time for everything but waiting.
const CASE_TIMEOUT: Duration = Duration::from_secs(300);

/// The limit for these sentences. A wait whose duration `scope` does not decide is left out.
pub fn default_limit(sentences: &[Sentence], scope: &Scope) -> Duration {
    let waits = sentences.iter().map(|s| longest_wait(&s.actions, scope));
    waits.fold(CASE_TIMEOUT, Duration::saturating_add)
}

/// Whether the limit allows for a wait.
pub fn has_wait(limit: Duration) -> bool {
    limit > CASE_TIMEOUT
}

/// The longest `eventually` or `always` of these actions, those that they use included.
fn longest_wait(actions: &[ScheduledAction], scope: &Scope) -> Duration {
    let wait = |action: &ScheduledAction| {
        let own = [&action.eventually, &action.always].into_iter().flatten();
        let own = own.filter_map(|d| render_duration(d, scope).ok()).max().unwrap_or_default();
        let inner = match &action.kind {
            ActionKind::Use { definition, inputs } => {
                let known = definition.inputs.iter().filter_map(|(name, default)| {
                    let given = inputs.iter().find(|(n, _)| n == name).map(|(_, tree)| tree);
                    Some((name.clone(), given.or(default.as_ref())?.render(scope).ok()?))
                });
                longest_wait(&definition.actions, &scope.with("inputs", Value::map(known)))
            }
            ActionKind::Parallel { branches, .. } => {
                branches.iter().map(|b| longest_wait(b, scope)).max().unwrap_or_default()
            }
            _ => Duration::ZERO,
        };
        own.max(inner)
    };
    actions.iter().map(wait).max().unwrap_or_default()
}
