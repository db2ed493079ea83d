//! Runs actions one after the other: their conditions, their items, and the kind of each.
use super::{
    conclude::Judged,
    panic::{caught, caught_now},
    results::{ActionOutcome, ActionsOutcome},
    runner::{ActionRunner, Invocation},
    schedule::{ActionKind, ScheduledAction},
    times::render_duration,
    undo::UndoKind,
};
use crate::{
    address::Address,
    expr::{EvalError, Scope},
    outcome::Status,
    plan::Foreach,
    value::Value,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// The items of a `foreach`, each with its key or number.
type Items = Vec<(String, Value)>;

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
            let mut out = ActionsOutcome { scope, acted: false, total: ActionOutcome::default() };
            for (i, action) in actions.iter().enumerate() {
                if matches!(action.kind, ActionKind::EveryObservation { .. }) {
                    // concluded at the end of the case
                    out.acted = true;
                    out.total.judged += action.assertions.count();
                    continue;
                }
                let at = at.child(i);
                let outcome = self.run_action(Invocation { action, at: &at, scope: &out.scope, timeout }).await;
                out.scope = outcome.names.iter().fold(out.scope, |scope, (n, v)| scope.with(n, v.clone()));
                out.acted |= outcome.status != Status::Skipped;
                out.total.add(outcome);
                if out.total.ends_steps {
                    out.total.unperformed |= actions[i + 1..].iter().any(ScheduledAction::changes);
                    break;
                }
            }
            out
        })
    }

    pub(super) async fn run_action(&self, call: Invocation<'_>) -> ActionOutcome {
        if self.cancel.is_cancelled() {
            let outcome = ActionOutcome::without_output(Status::Interrupted, "cancelled");
            return ActionOutcome { unperformed: call.action.changes(), ..outcome };
        }
        let scope = &self.interruptible(call.scope);
        let call = Invocation { scope, ..call };
        // the items of a `foreach` are actions of their own
        if call.action.foreach.is_some() && !matches!(call.action.kind, ActionKind::Parallel { .. }) {
            return self.run_if_ready(call).await;
        }
        let run = async |scope: Scope| self.run_if_ready(Invocation { scope: &scope, ..call }).await;
        self.run_with_source(call.at, call.scope, run).await
    }

    /// Runs an action if its condition holds and the names that it needs are bound.
    async fn run_if_ready(&self, call: Invocation<'_>) -> ActionOutcome {
        let prepared = caught_now(|| prepare(call)).unwrap_or_else(|reason| Err((Status::Errored, reason)));
        let (timeout, items) = match prepared {
            Ok(ready) => ready,
            Err((status, reason)) => {
                self.emit_started(call).await;
                return self.not_performed(call, status, reason).await;
            }
        };
        let call = Invocation { timeout, ..call };
        match (&call.action.kind, items) {
            (ActionKind::Parallel { branches, overlap }, items) => {
                let of_items = |items: Items| items.into_iter().map(|(_, v)| call.scope.with("item", v)).collect();
                let scopes = items.map_or_else(|| vec![call.scope.clone()], of_items);
                self.run_parallel(call, branches, *overlap, scopes).await
            }
            (_, Some(items)) => self.run_items(call, items).await,
            (_, None) => self.run_once(call).await,
        }
    }

    /// Runs an action for one item after the other, until an `eventually` runs out. Binds lists, or maps where the items have keys.
    async fn run_items(&self, call: Invocation<'_>, items: Items) -> ActionOutcome {
        let Invocation { action, at, scope, .. } = call;
        let mut total = ActionOutcome::default();
        let (wanted, mut values) = (items.len(), vec![]);
        let mut bound: Vec<(&String, Items)> =
            action.save.iter().map(|(n, _)| n).chain(&action.bind).map(|n| (n, vec![])).collect();
        for (key, item) in items {
            let at = at.item(&key);
            let run = async |scope: Scope| self.run_once(Invocation { at: &at, scope: &scope, ..call }).await;
            let mut outcome = self.run_with_source(&at, &scope.with("item", item), run).await;
            for (name, value) in std::mem::take(&mut outcome.names) {
                if let Some((_, list)) = bound.iter_mut().find(|(n, _)| **n == name) {
                    list.push((key.clone(), value));
                }
            }
            outcome.reason = outcome.reason.map(|r| format!("{r} (item `{key}`)"));
            values.extend(outcome.value.take().map(|v| (key, v)));
            total.add(outcome);
            if total.ends_steps || total.expired {
                total.unperformed |= values.len() < wanted && action.changes();
                break;
            }
        }
        // an incomplete list is not bound: assertions on it would pass for a part of the items
        let complete = |list: Items| match &action.foreach {
            _ if list.len() < wanted => None,
            Some(Foreach::Map(_)) => Some(Value::map(list)),
            _ => Some(Value::list(list.into_iter().map(|(_, v)| v).collect())),
        };
        total.names = bound.into_iter().filter_map(|(n, list)| Some((n.clone(), complete(list)?))).collect();
        total.value = complete(values);
        total
    }

    /// Runs an action for one item. A panic in it errors it.
    async fn run_once(&self, call: Invocation<'_>) -> ActionOutcome {
        self.emit_started(call).await;
        match caught(self.run_undoable(call)).await {
            Ok(outcome) => outcome,
            Err(reason) => {
                let outcome = self.fail_early(call.at, Status::Errored, reason).await;
                ActionOutcome { unperformed: call.action.changes(), ..outcome }
            }
        }
    }

    /// Commits the undo of an action, then runs it.
    async fn run_undoable(&self, call: Invocation<'_>) -> ActionOutcome {
        let Invocation { action, at, scope, .. } = call;
        let bound = Arc::new(Mutex::new(vec![]));
        if let ([first, ..], true) = (&action.undo[..], self.source.is_live()) {
            let kind = UndoKind::Actions {
                actions: action.undo.clone(),
                scope: scope.clone(),
                bound: bound.clone(),
                base: self.base.clone(),
            };
            if let Err(failed) = self.commit_undo(at, kind, &first.location).await {
                return failed;
            }
        }
        // a used action waits at its own first action
        if !matches!(action.kind, ActionKind::Use { .. }) {
            self.wait_for_branches().await;
        }
        let outcome = match &action.kind {
            ActionKind::Nothing => {
                let results = self.evaluate(&action.assertions, None, scope);
                self.conclude(call, Judged { results, ..Judged::default() }).await
            }
            ActionKind::Perform { action, target, .. } => self.run_verb(call, &**action, target.as_deref()).await,
            ActionKind::Use { definition, inputs } => self.run_use(call, definition, inputs).await,
            ActionKind::Fault { breaks, name } => self.run_fault(call, *breaks, name).await,
            ActionKind::EveryObservation { fields, .. } => self.conclude_every(call, fields).await,
            ActionKind::Parallel { .. } => unreachable!("run with its items"),
        };
        if !action.undo.is_empty() && self.source.is_live() {
            self.bind_undo(call, &bound, &outcome.names).await;
        }
        outcome
    }

    /// In a branch of a `parallel`, the first action waits for the other branches.
    pub(super) async fn wait_for_branches(&self) {
        if let Some(start) = self.start {
            start.wait().await;
        }
    }
}

/// The time limit of an action, and the items of its `foreach`; else the status and the reason of an action that cannot run.
fn prepare(call: Invocation<'_>) -> Result<(Option<Duration>, Option<Items>), (Status, String)> {
    let Invocation { action, scope, .. } = call;
    if let Some(condition) = &action.condition {
        let (status, why) = match condition.holds(scope) {
            Ok(true) => (Status::Passed, String::new()),
            Ok(false) => (Status::Skipped, "is not true".into()),
            Err(e @ EvalError::Unbound(_)) => (Status::NotReached, format!("cannot be evaluated: {e}")),
            Err(e) => (Status::Errored, format!("cannot be evaluated: {e}")),
        };
        if status != Status::Passed {
            return Err((status, format!("its condition `if: {}` {why}", condition.text())));
        }
    }
    if let Some(missing) = action.needs.iter().find(|n| !scope.has(n)) {
        return Err((Status::NotReached, format!("`{missing}` was never bound")));
    }
    let timeout = action.timeout.as_ref().map(|t| render_duration(t, scope)).transpose();
    let timeout = timeout.map_err(|e| (Status::NotReached, e.to_string()))?.or(call.timeout);
    let items = action.foreach.as_ref().map(|foreach| render_items(foreach, scope)).transpose()?;
    if items.as_ref().is_some_and(Vec::is_empty) && !action.undoing {
        return Err((Status::Errored, "`foreach` needs at least one item, and its list is empty".into()));
    }
    Ok((timeout, items))
}

fn render_items(foreach: &Foreach, scope: &Scope) -> Result<Items, (Status, String)> {
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
