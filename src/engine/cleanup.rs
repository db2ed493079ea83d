//! Undoes what an earlier run left: takes the open undos from its events, and their actions from its plan, compiled again.
use super::{
    context::RunContext,
    observation::ObservationSource,
    results::Leftover,
    run::{set_up, tear_down},
    runner::{ActionRunner, CaseEffects},
    schedule::{Fault, Schedule, ScheduledAction},
    scopes::case_scope,
    undo::{Undo, UndoKind},
    unwind::unwind,
};
use crate::{
    address::Address,
    event::{Event, EventKind},
    expr::Scope,
    source::Location,
    value::Value,
};
use std::{collections::HashMap, sync::Arc};

/// An undo that was planned and not done.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenUndo {
    pub at: Address,
    pub summary: String,
    /// Of the first action of the undo.
    pub location: Location,
    /// The names that the run did not bind for every action.
    pub names: Value,
    /// The fault that it heals.
    pub heals: Option<String>,
    /// Tried, and failed, in the run or in the cleanup that the last events are of.
    tried: bool,
}

/// The open undos of a run, in the order in which they were planned. An undo that failed is still open.
pub fn open_undos<'e>(events: impl IntoIterator<Item = &'e Event>) -> Vec<OpenUndo> {
    let mut open: Vec<OpenUndo> = vec![];
    for event in events {
        // an action that is repeated has several: the last one is undone first
        let last = |open: &mut Vec<OpenUndo>| open.iter().rposition(|u| u.at == event.address && !u.tried);
        match &event.kind {
            EventKind::UndoPlanned { summary, location, names, heals } => open.push(OpenUndo {
                at: event.address.clone(),
                summary: summary.clone(),
                location: location.clone(),
                names: names.clone(),
                heals: heals.clone(),
                tried: false,
            }),
            EventKind::UndoBound { summary, names } => {
                if let Some(i) = last(&mut open) {
                    open[i].summary.clone_from(summary);
                    let all = [&open[i].names, names].into_iter().filter_map(Value::as_map).flatten();
                    open[i].names = Value::map(all.map(|(n, v)| (n.clone(), v.clone())).collect::<Vec<_>>());
                }
            }
            EventKind::UndoFinished { status, .. } => match last(&mut open) {
                Some(i) if status.is_unsuccessful() => open[i].tried = true,
                Some(i) => drop(open.remove(i)),
                None => {}
            },
            EventKind::CleanupStarted => open.iter_mut().for_each(|undo| undo.tried = false),
            _ => {}
        }
    }
    open
}

/// What `clean_up` needs beside the context of a run.
pub struct Cleanup<'a> {
    pub schedule: &'a Schedule,
    pub context: &'a RunContext,
    pub source: &'a dyn ObservationSource,
    /// `run` and the plan's variables, as in the run.
    pub base: &'a Scope,
}

impl Cleanup<'_> {
    /// Heals the faults, sets the environment up, undoes the rest, last first, and tears the environment down. Returns what is left; fails if
    /// the environment cannot be set up.
    pub async fn clean_up(&self, open: Vec<OpenUndo>) -> Result<Vec<Leftover>, String> {
        let root = Address::new("");
        self.context.events.emit(&root, EventKind::CleanupStarted).await;
        // the setup may need what is cut; a fault that can be healed only after it is tried again
        let (faults, mut rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|undo| undo.heals.is_some());
        for fault in faults.into_iter().rev() {
            if !self.undo(vec![fault.clone()]).await.is_empty() {
                rest.push(fault);
            }
        }
        let (left, open) = self.undo_rest(rest).await;
        self.context.events.emit(&root, EventKind::CleanupFinished { left: open }).await;
        left
    }

    /// Returns what is left, and the number of open undos.
    async fn undo_rest(&self, rest: Vec<OpenUndo>) -> (Result<Vec<Leftover>, String>, usize) {
        let (effects, open) = (CaseEffects::default(), rest.len());
        if open == 0 {
            return (Ok(vec![]), 0);
        }
        let ready = set_up(self.schedule, self.context, self.source, &effects).await;
        let mut left = if ready.is_ok() { self.undo(rest).await } else { vec![] };
        let open = if ready.is_ok() { left.len() } else { open };
        let not_torn_down = tear_down(self.schedule, self.context, self.source, &effects).await;
        left.extend(not_torn_down.into_iter().map(|text| Leftover { text, by_product: false }));
        (ready.map(|()| left), open)
    }

    /// Runs undos as at the end of a case: faults first, then the others, last first.
    async fn undo(&self, open: Vec<OpenUndo>) -> Vec<Leftover> {
        let actions = self.undo_actions();
        let (effects, mut left) = (CaseEffects::default(), vec![]);
        for undo in open {
            let kind = match (&undo.heals, actions.get(&undo.location)) {
                (Some(name), _) => UndoKind::Heal(name.clone()),
                (None, Some(actions)) => {
                    let base = case_scope(self.base, &undo.at.case()).over(&self.source.environment());
                    UndoKind::Actions {
                        actions: (*actions).clone(),
                        scope: base.with_all(&undo.names),
                        bound: Arc::default(),
                        base,
                    }
                }
                (None, None) => {
                    let text =
                        format!("{}: its actions are not in the recorded plan at {}", undo.summary, undo.location);
                    left.push(Leftover { text, by_product: false });
                    continue;
                }
            };
            effects.undo.lock().push(Undo { at: undo.at, kind });
        }
        let runner = ActionRunner::new(self.context, self.source, &effects, self.base).until(&self.context.kill, None);
        left.extend(unwind(&runner).await);
        left
    }

    /// The undo of every action, by the place of its first action.
    fn undo_actions(&self) -> HashMap<Location, Arc<Vec<ScheduledAction>>> {
        let mut all = HashMap::new();
        let mut add = |action: &ScheduledAction| {
            if let [first, ..] = &action.undo[..] {
                all.insert(first.location.clone(), action.undo.clone());
            }
        };
        self.schedule.visit_all_actions(&mut add);
        for (_, fault) in &self.context.faults {
            if let Fault::Actions { cut, heal, probe, .. } = fault {
                [cut, heal, probe].into_iter().flatten().for_each(&mut add);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Status;

    fn event(at: &str, kind: EventKind) -> Event {
        Event { seq: 1, at: jiff::Timestamp::UNIX_EPOCH, address: Address::new(at), kind }
    }

    fn planned(at: &str, name: &str) -> Event {
        let location = Location { file: "t.yaml".into(), line: 1, column: 1 };
        let names = Value::map([("n".to_string(), Value::text(name))]);
        event(at, EventKind::UndoPlanned { summary: format!("delete {name}"), location, names, heals: None })
    }

    fn finished(at: &str, status: Status) -> Event {
        event(at, EventKind::UndoFinished { status, summary: String::new(), reason: None })
    }

    fn open(events: &[Event]) -> Vec<String> {
        open_undos(events).iter().map(|undo| format!("{} {}", undo.at.as_str(), undo.summary)).collect()
    }

    #[test]
    fn an_undo_is_open_until_it_is_done() {
        let all = [planned("A", "1"), planned("B", "2"), finished("B", Status::Passed), finished("A", Status::Skipped)];
        let expected = [&["A delete 1"][..], &["A delete 1", "B delete 2"], &["A delete 1"], &[]];
        for (n, left) in expected.iter().enumerate() {
            assert_eq!(open(&all[..=n]), *left, "after {n}");
        }
    }

    #[test]
    fn of_a_repeated_action_the_last_is_done_first() {
        let twice = [planned("A", "1"), planned("A", "2"), finished("A", Status::Passed)];
        assert_eq!(open(&twice), ["A delete 1"]);
        // the last one failed, so the next that ends is the first
        let failed =
            [planned("A", "1"), planned("A", "2"), finished("A", Status::Errored), finished("A", Status::Passed)];
        assert_eq!(open(&failed), ["A delete 2"]);
    }

    #[test]
    fn a_cleanup_tries_again_what_failed() {
        let again = event("", EventKind::CleanupStarted);
        let run = [planned("A", "1"), planned("B", "2"), finished("B", Status::Failed), finished("A", Status::Errored)];
        let cleanup = [again, finished("B", Status::Passed)];
        assert_eq!(open(&run), ["A delete 1", "B delete 2"]);
        assert_eq!(open(&[&run[..], &cleanup].concat()), ["A delete 1"]);
    }

    #[test]
    fn what_the_action_bound_is_added_to_its_undo() {
        let names = Value::map([("id".to_string(), Value::Int(7))]);
        let bound = event("A", EventKind::UndoBound { summary: "delete 7".into(), names });
        let undo = open_undos(&[planned("A", "1"), bound]).remove(0);
        assert_eq!(undo.summary, "delete 7");
        assert_eq!(undo.names, Value::map([("n".to_string(), Value::text("1")), ("id".to_string(), Value::Int(7))]));
    }
}
