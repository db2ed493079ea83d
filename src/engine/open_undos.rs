//! The undos of a run that were planned and not done, kept while its events arrive or are read again.
use crate::{
    address::Address,
    event::{Event, EventKind, EventSink, SinkError},
    source::Location,
    value::Value,
};
use parking_lot::Mutex;
use std::sync::Arc;

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

/// An event sink that has the open undos of a run, in the order in which they were planned. An undo that failed is still open. Clones
/// share them.
#[derive(Clone, Default)]
pub struct OpenUndos(Arc<Mutex<Vec<OpenUndo>>>);

impl OpenUndos {
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> OpenUndos {
        let open = OpenUndos::default();
        events.into_iter().for_each(|event| open.add(event));
        open
    }

    pub fn all(&self) -> Vec<OpenUndo> {
        self.0.lock().clone()
    }

    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// Begins with what an earlier process left.
    pub fn restart(&self, left: &[OpenUndo]) {
        *self.0.lock() = left.to_vec();
    }

    fn add(&self, event: &Event) {
        let mut open = self.0.lock();
        // an action that is repeated has several: the last one is undone first
        let last = |open: &[OpenUndo]| open.iter().rposition(|u| u.at == event.address && !u.tried);
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
                if let Some(i) = last(&open) {
                    open[i].summary.clone_from(summary);
                    let all = [&open[i].names, names].into_iter().filter_map(Value::as_map).flatten();
                    open[i].names = Value::map(all.map(|(n, v)| (n.clone(), v.clone())).collect::<Vec<_>>());
                }
            }
            EventKind::UndoFinished { status, .. } => match last(&open) {
                Some(i) if status.is_unsuccessful() => open[i].tried = true,
                Some(i) => drop(open.remove(i)),
                None => {}
            },
            EventKind::CleanupStarted => open.iter_mut().for_each(|undo| undo.tried = false),
            _ => {}
        }
    }
}

impl EventSink for OpenUndos {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        self.add(event);
        Ok(())
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
        OpenUndos::of(events).all().iter().map(|undo| format!("{} {}", undo.at.as_str(), undo.summary)).collect()
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
        let undo = OpenUndos::of(&[planned("A", "1"), bound]).all().remove(0);
        assert_eq!(undo.summary, "delete 7");
        assert_eq!(undo.names, Value::map([("n".to_string(), Value::text("1")), ("id".to_string(), Value::Int(7))]));
    }
}
