//! Runs actions one after the other: their conditions, their items, and the kind of each.
use super::{
    conclude::Judged,
    results::{ActionOutcome, ActionsOutcome},
    runner::ActionRunner,
    schedule::{ActionKind, ScheduledAction},
    times::render_duration,
    undo::{Undo, UndoKind},
};
use crate::{
    address::Address,
    event::{EventKind, SinkError},
    expr::Scope,
    outcome::Status,
    plan::Foreach,
    value::Value,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// Time limit of one attempt where the plan gives none.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
#[error("the undo could not be recorded: {0}")]
pub(super) struct UndoNotRecorded(SinkError);

impl ActionRunner<'_> {
    /// Runs actions in order, each with the names that those before it bound. Stops where the product cannot be asked.
    pub fn run_actions<'b>(
        &'b self,
        actions: &'b [ScheduledAction],
        at: &'b Address,
        scope: Scope,
        timeout: Option<Duration>,
    ) -> BoxFuture<'b, ActionsOutcome> {
        Box::pin(async move {
            let mut out = ActionsOutcome::new(scope);
            for (i, action) in actions.iter().enumerate() {
                let outcome = self.run_action(action, &at.child(i), &out.scope, timeout).await;
                for (name, value) in outcome.names {
                    out.scope = out.scope.with(&name, value.clone());
                    out.names.push((name, value));
                }
                out.last = outcome.value.or(out.last);
                out.judged += outcome.judged;
                out.acted |= outcome.status != Status::Skipped;
                let worse = out.status.worst(outcome.status);
                if worse != out.status || (out.reason.is_none() && outcome.status.is_unsuccessful()) {
                    out.reason = outcome.reason;
                    out.status = worse;
                }
                out.ends_steps |= outcome.ends_steps;
                out.expired |= outcome.expired;
                if outcome.ends_steps {
                    break;
                }
            }
            out
        })
    }

    async fn run_action(
        &self,
        action: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        timeout: Option<Duration>,
    ) -> ActionOutcome {
        if self.cancel.is_cancelled() {
            return ActionOutcome::without_output(Status::Interrupted, "cancelled");
        }
        // the items of a `foreach` are actions of their own
        if action.foreach.is_some() && !matches!(action.kind, ActionKind::Parallel { .. }) {
            return self.run_if_ready(action, at, scope, timeout).await;
        }
        let hooked = match self.before_action(at, scope) {
            Ok(hooked) => hooked,
            Err(outcome) => return outcome,
        };
        let own = hooked.as_ref().map_or(scope, |h| &h.scope);
        let outcome = self.run_if_ready(action, at, own, timeout).await;
        self.after_action(at, scope, hooked, &outcome);
        outcome
    }

    /// Runs an action if its condition holds and the names that it needs are bound.
    async fn run_if_ready(
        &self,
        action: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        timeout: Option<Duration>,
    ) -> ActionOutcome {
        if let Some(condition) = &action.condition
            && condition.holds(scope) != Ok(true)
        {
            let reason = format!("its condition `if: {}` is not true", condition.text());
            self.emit_started(action, at).await;
            self.emit_finished(at, Status::Skipped, vec![], Some(reason), 0, Duration::ZERO).await;
            return ActionOutcome { status: Status::Skipped, ..ActionOutcome::passed() };
        }
        if let Some(missing) = action.needs.iter().find(|n| !scope.has(n)) {
            return self.refuse(action, at, Status::NotReached, format!("`{missing}` was never bound")).await;
        }
        let timeout = match action.timeout.as_ref().map(|t| render_duration(t, scope)).transpose() {
            Ok(own) => own.or(timeout),
            Err(e) => return self.refuse(action, at, Status::NotReached, e.to_string()).await,
        };
        let Some(foreach) = &action.foreach else {
            return match &action.kind {
                ActionKind::Parallel { branches, overlap } => {
                    self.run_parallel(action, at, branches, *overlap, vec![scope.clone()], scope, timeout).await
                }
                _ => self.run_once(action, at, scope, timeout).await,
            };
        };
        let items = match render_items(foreach, scope) {
            Ok(items) => items,
            Err((status, reason)) => return self.refuse(action, at, status, reason).await,
        };
        if items.is_empty() && !action.undoing {
            let reason = "`foreach` needs at least one item, and its list is empty".into();
            return self.refuse(action, at, Status::Errored, reason).await;
        }
        if let ActionKind::Parallel { branches, overlap } = &action.kind {
            let scopes = items.iter().map(|(_, v)| scope.with("item", v.clone())).collect();
            return self.run_parallel(action, at, branches, *overlap, scopes, scope, timeout).await;
        }
        self.run_items(action, at, scope, items, matches!(foreach, Foreach::Map(_)), timeout).await
    }

    /// Runs an action for one item after the other, until an `eventually` runs out. Binds lists, or maps where the items have keys.
    async fn run_items(
        &self,
        action: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        items: Vec<(String, Value)>,
        keyed: bool,
        timeout: Option<Duration>,
    ) -> ActionOutcome {
        let mut total = ActionOutcome::passed();
        let (wanted, mut values) = (items.len(), vec![]);
        let mut bound: Vec<(String, Vec<(String, Value)>)> =
            action.save.iter().map(|(n, _)| n).chain(&action.bind).map(|n| (n.clone(), vec![])).collect();
        for (key, item) in items {
            let outcome = self.run_item(action, &at.item(&key), &scope.with("item", item), timeout).await;
            for (name, value) in outcome.names {
                if let Some((_, list)) = bound.iter_mut().find(|(n, _)| *n == name) {
                    list.push((key.clone(), value));
                }
            }
            total.judged += outcome.judged;
            if total.status.worst(outcome.status) != total.status {
                total.reason = outcome.reason.map(|r| format!("{r} (item `{key}`)"));
                total.status = total.status.worst(outcome.status);
            }
            values.extend(outcome.value.map(|v| (key, v)));
            total.ends_steps |= outcome.ends_steps;
            total.expired |= outcome.expired;
            if outcome.ends_steps || outcome.expired {
                break;
            }
        }
        // an incomplete list is not bound: assertions on it would pass for a part of the items
        let complete = |list: Vec<(String, Value)>| match keyed {
            _ if list.len() < wanted => None,
            true => Some(Value::map(list)),
            false => Some(Value::list(list.into_iter().map(|(_, v)| v).collect())),
        };
        total.names = bound.into_iter().filter_map(|(n, list)| Some((n, complete(list)?))).collect();
        total.value = complete(values);
        total
    }

    async fn run_item(
        &self,
        action: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        timeout: Option<Duration>,
    ) -> ActionOutcome {
        let hooked = match self.before_action(at, scope) {
            Ok(hooked) => hooked,
            Err(outcome) => return outcome,
        };
        let own = hooked.as_ref().map_or(scope, |h| &h.scope);
        let outcome = self.run_once(action, at, own, timeout).await;
        self.after_action(at, scope, hooked, &outcome);
        outcome
    }

    /// Commits the undo of an action, then runs it.
    async fn run_once(
        &self,
        action: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        timeout: Option<Duration>,
    ) -> ActionOutcome {
        self.emit_started(action, at).await;
        let bound = Arc::new(Mutex::new(vec![]));
        if !action.undo.is_empty() && self.source.is_live() {
            let kind = UndoKind::Actions {
                actions: action.undo.clone(),
                scope: scope.clone(),
                bound: bound.clone(),
                base: self.base.clone(),
            };
            let summary = action.undo.iter().map(|a| a.summary.as_str()).collect::<Vec<_>>().join(", ");
            if let Err(e) = self.commit_undo(at, summary, kind, &action.undo[0]).await {
                return self.finish_without_output(at, Status::Errored, e.to_string()).await;
            }
        }
        // a used action waits at its own first action
        if !matches!(action.kind, ActionKind::Use { .. }) {
            self.wait_for_branches().await;
        }
        let outcome = match &action.kind {
            ActionKind::Nothing => {
                let results = self.evaluate(&action.assertions, None, scope);
                let judged = Judged {
                    value: None,
                    results,
                    attempts: 0,
                    took: Duration::ZERO,
                    status: Status::Passed,
                    reason: None,
                };
                self.conclude(action, at, scope, judged).await
            }
            ActionKind::Perform { action: verb, target, .. } => {
                let timeout = timeout.unwrap_or(ATTEMPT_TIMEOUT);
                self.run_verb(action, at, scope, &**verb, target.as_deref(), timeout).await
            }
            ActionKind::Use { definition, inputs } => {
                self.run_use(action, at, scope, definition, inputs, timeout).await
            }
            ActionKind::Fault { breaks, name } => self.run_fault(action, at, scope, *breaks, name).await,
            ActionKind::Parallel { .. } => unreachable!("run with its items"),
        };
        *bound.lock() = outcome.names.clone();
        outcome
    }

    /// Writes the undo to the journal and pushes it on the stack. Returns only when it is on disk.
    pub(super) async fn commit_undo(
        &self,
        at: &Address,
        summary: String,
        kind: UndoKind,
        action: &ScheduledAction,
    ) -> Result<(), UndoNotRecorded> {
        let at = at.child("undo");
        let planned = EventKind::UndoPlanned { summary: summary.clone(), location: action.location.clone() };
        self.context.events.commit(&at, planned).await.map_err(UndoNotRecorded)?;
        self.effects.undo.push(Undo { at, summary, kind });
        Ok(())
    }

    /// In a branch of a `parallel`, the first action waits for the other branches.
    pub(super) async fn wait_for_branches(&self) {
        if let Some(start) = self.start {
            start.wait().await;
        }
    }
}

/// The items of a `foreach`, each with its key or number; else the status and the reason.
fn render_items(foreach: &Foreach, scope: &Scope) -> Result<Vec<(String, Value)>, (Status, String)> {
    let not_reached = |e: crate::expr::EvalError| (Status::NotReached, e.to_string());
    match foreach {
        Foreach::Map(entries) => {
            entries.iter().map(|(k, t)| Ok((k.clone(), t.render(scope).map_err(not_reached)?))).collect()
        }
        Foreach::List(tree) => match tree.render(scope).map_err(not_reached)? {
            Value::List(l) => Ok(l.iter().enumerate().map(|(i, v)| (i.to_string(), v.clone())).collect()),
            other => Err((Status::Errored, format!("`foreach` expects a list, found {}", other.kind()))),
        },
    }
}
