//! Finds the next observation after the last one. Each state of an object is observed once and in order, however short
//! it was. Reads the history of the shared watch; sends a request only if the watch may be incomplete.
use super::{
    catalog::ResourceType,
    objects::{Objects, resource_version, same_states},
    output::{items_output, mask_secrets, object_output, pretty_json},
    selector::ObjectFilter,
    watch::{Entry, Hold, Watch, WatchStatus},
};
use crate::{
    event::EvidenceKind,
    executor::{Action, ActionContext, ActionError, Output, Started},
    value::Value,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A dead connection can look idle: after this time without an event, a request is sent.
const IDLE_WATCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reconnecting watch may take to reach the version of a request. After that, the response of the request is
/// used.
const CATCH_UP_TIMEOUT: Duration = Duration::from_millis(750);

/// What is observed.
pub struct Subject {
    pub filter: ObjectFilter,
    pub resource: Arc<ResourceType>,
    /// Reproduces the observation by hand.
    pub command: String,
}

impl Subject {
    pub fn value(&self, objects: &Objects) -> Value {
        match &self.filter.name {
            Some(name) => object_output(&self.resource, name, objects),
            None => items_output(objects.values()),
        }
    }
}

/// The position of an observation in the history, and the objects observed.
pub struct Cursor {
    pub hold: Hold,
    pub subject: Arc<Subject>,
    pub observed: Arc<Objects>,
    /// When the server last sent something.
    pub confirmed: Instant,
}

impl Cursor {
    fn moved_to(&self, version: u64, observed: Arc<Objects>, confirmed: Instant) -> Cursor {
        Cursor { hold: self.watch().hold(version), subject: self.subject.clone(), observed, confirmed }
    }

    fn watch(&self) -> &Arc<Watch> {
        &self.hold.watch
    }

    /// The first entry after `position` that changes what was observed, with the objects after it. Moves `position`
    /// past the entries read.
    fn next_change(&self, position: &mut u64) -> Option<(Entry, Objects)> {
        for entry in self.watch().entries_after(*position)? {
            let objects = self.objects_after(&entry);
            *position = entry.version().max(*position);
            if let Some(objects) = objects {
                return Some((entry, objects));
            }
        }
        None
    }

    /// The objects after an entry; `None` if it does not change what was observed.
    fn objects_after(&self, entry: &Entry) -> Option<Objects> {
        match entry {
            Entry::Change { deleted, key, object, .. } => {
                let selected = !deleted && self.subject.filter.matches(key, object);
                let before = self.observed.get(key);
                let is_change = if selected {
                    before.is_none_or(|b| resource_version(b) != resource_version(object))
                } else {
                    before.is_some()
                };
                is_change.then(|| {
                    let mut objects = (*self.observed).clone();
                    if selected {
                        objects.insert(key.clone(), object.clone());
                    } else {
                        objects.remove(key);
                    }
                    objects
                })
            }
            Entry::Relist { objects, .. } => {
                let selected = objects.iter().filter(|(k, o)| self.subject.filter.matches(k, o));
                let objects: Objects = selected.map(|(k, o)| (k.clone(), o.clone())).collect();
                (!same_states(&objects, &self.observed)).then_some(objects)
            }
        }
    }

    /// Waits until `deadline` for a change.
    async fn wait_for_change(
        &self,
        cx: &ActionContext<'_>,
        position: &mut u64,
        deadline: Instant,
    ) -> Result<Option<(Entry, Objects)>, ActionError> {
        loop {
            // Subscribed before the history is read, so that no notification is missed.
            let notified = self.watch().changed.notified();
            if let Some(change) = self.next_change(position) {
                return Ok(Some(change));
            }
            tokio::select! {
                () = notified => {}
                () = tokio::time::sleep_until(deadline.into()) => return Ok(self.next_change(position)),
                () = cx.cancel.cancelled() => return Err(ActionError::Cancelled),
            }
        }
    }

    fn change_output(&self, cx: &ActionContext<'_>, started: Started, entry: &Entry, objects: Objects) -> Output {
        cx.note(EvidenceKind::Reproduce, &self.subject.command);
        let text = match entry {
            Entry::Change { deleted, object, version, .. } => {
                mask_secrets(cx, std::iter::once(object));
                let what = if *deleted { "deleted" } else { "changed" };
                format!("watch: {what} at resourceVersion {version}\n{}", pretty_json(&object.to_json()))
            }
            Entry::Relist { version, .. } => {
                mask_secrets(cx, objects.values());
                let items = Value::list(objects.values().cloned().collect());
                let why = "the server no longer had the events since the last observation; listed again, so states in between may be \
                           missing";
                cx.note(EvidenceKind::Note, why);
                format!("list at resourceVersion {version}\n{}", pretty_json(&items.to_json()))
            }
        };
        cx.note(EvidenceKind::Response, text);
        let value = self.subject.value(&objects);
        Output::new(value, started).with_cursor(self.moved_to(entry.version(), Arc::new(objects), Instant::now()))
    }
}

/// Waits up to `pace` for a change. Without one, returns the last output again, if the watch is complete; otherwise
/// performs the action and compares.
pub async fn next_observation(
    action: &dyn Action,
    cx: &ActionContext<'_>,
    last: &Output,
    cursor: &Cursor,
    pace: Duration,
) -> Result<Output, ActionError> {
    let started = Started::now();
    let mut position = cursor.hold.version;
    cursor.watch().start();
    if let Some((entry, objects)) = cursor.wait_for_change(cx, &mut position, Instant::now() + pace).await? {
        return Ok(cursor.change_output(cx, started, &entry, objects));
    }
    let unchanged = |position: u64, confirmed: Instant| {
        let output = Output::new(last.value.clone(), Started::now());
        output.with_cursor(cursor.moved_to(position, cursor.observed.clone(), confirmed))
    };
    let status = cursor.watch().status();
    if status == WatchStatus::Streaming && cursor.confirmed.elapsed() < IDLE_WATCH_TIMEOUT {
        return Ok(unchanged(position, cursor.confirmed));
    }
    if let WatchStatus::Refused(why) = &status {
        cx.note(EvidenceKind::Note, format!("no watch, polling every {pace:?}: {why}"));
        return action.perform(cx).await;
    }
    let polled = action.perform(cx).await?;
    let is_same = polled.cursor::<Cursor>().is_some_and(|p| same_states(&p.observed, &cursor.observed));
    if is_same {
        // Keeps the old position: the watch may still deliver earlier states.
        return Ok(unchanged(position, Instant::now()));
    }
    // The request is ahead of the watch, which delivers the states in between once it reconnects.
    if status != WatchStatus::Streaming {
        cursor.watch().reconnect();
    }
    for timeout in [CATCH_UP_TIMEOUT / 3, CATCH_UP_TIMEOUT] {
        if let Some((entry, objects)) = cursor.wait_for_change(cx, &mut position, Instant::now() + timeout).await? {
            return Ok(cursor.change_output(cx, started, &entry, objects));
        }
        cursor.watch().reconnect();
    }
    cx.note(EvidenceKind::Note, "the watch did not reconnect in time; states between the observations may be missing");
    Ok(polled)
}
