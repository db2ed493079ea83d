//! `fault`: a link is cut, and healed at the end of the case in any event. One whose link nobody tried proves nothing.
use super::{
    looks::now,
    schedule::ScheduledAction,
    step::{Done, Runner, Seen, span_since},
    undo::{Undo, UndoKind, untried},
};
use crate::{address::Address, event::EventKind, executor::Output, expr::Scope, outcome::Status, value::Value};
use tokio::time::Instant;

impl Runner<'_> {
    pub(super) async fn fault(
        &self,
        step: &ScheduledAction,
        at: &Address,
        scope: &Scope,
        breaks: bool,
        name: &str,
    ) -> Done {
        let look_at = now();
        let begun = Instant::now();
        let result = match (self.looks.live(), breaks) {
            (false, _) => Ok(None),
            (true, true) => {
                // noted and on the stack first: whatever happens, it is healed
                let (undo_at, what) = (at.child("undo"), format!("fault heal {name}"));
                let intended = EventKind::UndoIntended { what: what.clone(), location: step.location.clone() };
                if let Err(e) = self.context.events.commit(&undo_at, intended).await {
                    return self.broken_after(at, format!("the undo could not be noted: {e}")).await;
                }
                self.stack.push(Undo { at: undo_at, what, kind: UndoKind::Heal(name.into()) });
                self.context.cut(self, at, name).await.map(|()| None)
            }
            (true, false) => {
                let healed = self.heal(at, name).await;
                if healed.is_ok() {
                    self.stack.healed(self, name).await;
                }
                healed
            }
        };
        {
            let mut faults = self.faults.lock().unwrap_or_else(|e| e.into_inner());
            if breaks && result.is_ok() && !faults.iter().any(|f| f == name) {
                faults.push(name.to_string());
            } else if !breaks {
                faults.retain(|f| f != name);
            }
        }
        let refused = match result {
            Ok(r) => r,
            Err(e) => {
                self.finish(at, Status::Errored, vec![], Some(e.clone()), 1, begun.elapsed()).await;
                return Done::red(Status::Errored, e);
            }
        };
        let output = Output { value: Value::Null, at: look_at, took: begun.elapsed(), cursor: None };
        let live = Value::map([
            ("refused".to_string(), refused.map_or(Value::Null, Value::from)),
            ("at".to_string(), Value::Time(look_at)),
            ("took".to_string(), span_since(look_at, &output)),
        ]);
        let value = self.looks.measured(at, live);
        let inner = scope.with_all(&value);
        let results = self.asked(&step.assertions, Some(&value), &inner);
        self.looked(at, Seen { attempt: 0, at: look_at, took: output.took }, &value, &results, vec![]).await;
        let idle = !breaks && value.get("refused").and_then(Value::as_i64) == Some(0);
        if idle {
            self.doubts.cast(untried(name));
        }
        let (status, reason) = if idle { (Status::Errored, Some(untried(name))) } else { (Status::Passed, None) };
        self.conclude(step, at, scope, Some(value), results, reason, 1, begun.elapsed(), status).await
    }

    /// Heals a fault and returns how often the cut link was tried, where that is known.
    pub async fn heal(&self, at: &Address, name: &str) -> Result<Option<u64>, String> {
        self.faults.lock().unwrap_or_else(|e| e.into_inner()).retain(|f| f != name);
        self.context.heal(self, at, name).await
    }

    pub(super) fn fault_in_force(&self) -> bool {
        !self.faults.lock().unwrap_or_else(|e| e.into_inner()).is_empty()
    }
}
