//! The next look after a look, losing nothing: every state of an object once and in order, also those that lasted a millisecond.
//! Reads the shared history; asks the server only where the watch cannot be trusted.
use super::{
    body::K8sAction,
    kinds::Kind,
    output::{items, note_secrets, shown, single},
    selector::Labels,
    watch::{Entry, Health, History, Hold, Key, Objects, Watch},
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

/// A connection can be dead without saying so; after this long without an event the server is asked.
const TRUSTED: Duration = Duration::from_secs(5);
/// How long what a request saw may be ahead of a watch that is on its way back. Longer, and the look stands by itself.
const GRACE: Duration = Duration::from_millis(750);

/// Which objects a waiter is about.
#[derive(Clone, Default)]
pub struct Filter {
    pub name: Option<String>,
    pub labels: Labels,
    /// The uid of an owner.
    pub owner: Option<String>,
}

impl Filter {
    pub fn takes(&self, key: &Key, object: &Value) -> bool {
        let owned = |uid: &str| {
            let owners = object.get("metadata").and_then(|m| m.get("ownerReferences")).and_then(Value::as_list);
            owners.into_iter().flatten().any(|o| o.get("uid").and_then(Value::as_str) == Some(uid))
        };
        self.name.as_ref().is_none_or(|n| *n == key.1)
            && self.owner.as_deref().is_none_or(owned)
            && (self.labels.is_empty() || self.labels.matches(object))
    }
}

/// Where a look stands in the history, and what it saw.
pub struct Cursor {
    watch: Arc<Watch>,
    version: u64,
    _kept: Hold,
    filter: Arc<Filter>,
    seen: Arc<Objects>,
    kind: Arc<Kind>,
    by_hand: Arc<str>,
    /// When the server itself was last heard of.
    asked: Instant,
}

impl Cursor {
    pub fn new(
        watch: &Arc<Watch>,
        version: u64,
        filter: Filter,
        seen: Objects,
        kind: Arc<Kind>,
        by_hand: String,
    ) -> Cursor {
        Cursor {
            watch: watch.clone(),
            version,
            _kept: watch.hold(version),
            filter: Arc::new(filter),
            seen: Arc::new(seen),
            kind,
            by_hand: by_hand.into(),
            asked: Instant::now(),
        }
    }

    fn moved(&self, version: u64, seen: Arc<Objects>, asked: Instant) -> Cursor {
        let (watch, filter, kind, by_hand) =
            (self.watch.clone(), self.filter.clone(), self.kind.clone(), self.by_hand.clone());
        Cursor { _kept: watch.hold(version), watch, version, filter, seen, kind, by_hand, asked }
    }

    fn value(&self, seen: &Objects) -> Value {
        if self.filter.name.is_some() { single(&self.kind, &self.filter, seen) } else { items(seen.values()) }
    }

    /// The first change after `from` that this waiter is about. Moves `from` behind what does not matter.
    fn change(&self, from: &mut u64) -> Option<(Entry, Objects)> {
        let History::Entries(entries) = self.watch.after(*from) else { return None };
        for entry in entries {
            let changed = match &entry {
                Entry::Change { gone, key, object, .. } => {
                    let takes = !gone && self.filter.takes(key, object);
                    let known = self.seen.get(key);
                    let news =
                        if takes { known.is_none_or(|k| version(k) != version(object)) } else { known.is_some() };
                    news.then(|| {
                        let mut seen = (*self.seen).clone();
                        if takes {
                            seen.insert(key.clone(), object.clone());
                        } else {
                            seen.remove(key);
                        }
                        seen
                    })
                }
                Entry::All { objects, .. } => {
                    let now: Objects = objects
                        .iter()
                        .filter(|(k, o)| self.filter.takes(k, o))
                        .map(|(k, o)| (k.clone(), o.clone()))
                        .collect();
                    (!same(&now, &self.seen)).then_some(now)
                }
            };
            *from = entry.version().max(*from);
            if let Some(seen) = changed {
                return Some((entry, seen));
            }
        }
        None
    }

    /// Waits for a change until a moment.
    async fn wait(
        &self,
        cx: &ActionContext<'_>,
        from: &mut u64,
        until: Instant,
    ) -> Result<Option<(Entry, Objects)>, ActionError> {
        loop {
            // Made before the history is read: what is added from now on wakes it.
            let told = self.watch.changed.notified();
            if let Some(found) = self.change(from) {
                return Ok(Some(found));
            }
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep_until(until.into()) => return Ok(self.change(from)),
                () = cx.cancel.cancelled() => return Err(ActionError::Cancelled),
            }
        }
    }

    fn told(&self, cx: &ActionContext<'_>, started: Started, entry: &Entry, seen: Objects) -> Output {
        cx.note(EvidenceKind::Reproduce, &*self.by_hand);
        let text = match entry {
            Entry::Change { gone, object, version, .. } => {
                note_secrets(cx, std::iter::once(object));
                let what = if *gone { "deleted" } else { "changed" };
                format!("watch: {what} at resourceVersion {version}\n{}", shown(&object.to_json()))
            }
            Entry::All { version, .. } => {
                note_secrets(cx, seen.values());
                let all = Value::list(seen.values().cloned().collect());
                let why = "the server's history did not reach back; listed anew, so states in between may be missing";
                cx.note(EvidenceKind::Note, why);
                format!("list at resourceVersion {version}\n{}", shown(&all.to_json()))
            }
        };
        cx.note(EvidenceKind::Response, text);
        let value = self.value(&seen);
        Output::new(value, started).with_cursor(self.moved(entry.version(), Arc::new(seen), Instant::now()))
    }
}

pub async fn after(
    action: &K8sAction,
    cx: &ActionContext<'_>,
    last: &Output,
    cursor: &Cursor,
    pace: Duration,
) -> Result<Output, ActionError> {
    let started = Started::now();
    let mut from = cursor.version;
    cursor.watch.start();
    if let Some((entry, seen)) = cursor.wait(cx, &mut from, Instant::now() + pace).await? {
        return Ok(cursor.told(cx, started, &entry, seen));
    }
    let unchanged = |from: u64, asked: Instant| {
        let output = Output::new(last.value.clone(), Started::now());
        output.with_cursor(cursor.moved(from, cursor.seen.clone(), asked))
    };
    let health = cursor.watch.health();
    if health == Health::Streaming && cursor.asked.elapsed() < TRUSTED {
        return Ok(unchanged(from, cursor.asked));
    }
    if let Health::Refused(why) = &health {
        cx.note(EvidenceKind::Note, format!("no watch, so this is a look every {pace:?}: {why}"));
        return action.perform(cx).await;
    }
    let fresh = action.perform(cx).await?;
    let agrees = fresh.cursor::<Cursor>().is_some_and(|f| same(&f.seen, &cursor.seen));
    if agrees {
        // Not the fresh cursor: what the watch still has to tell from before is told.
        return Ok(unchanged(from, Instant::now()));
    }
    // The request is ahead of the watch. The watch tells what lay between, if it comes back.
    if health != Health::Streaming {
        cursor.watch.reconnect();
    }
    for patience in [GRACE / 3, GRACE] {
        if let Some((entry, seen)) = cursor.wait(cx, &mut from, Instant::now() + patience).await? {
            return Ok(cursor.told(cx, started, &entry, seen));
        }
        cursor.watch.reconnect();
    }
    cx.note(EvidenceKind::Note, "the watch did not come back in time; states between the looks may be missing");
    Ok(fresh)
}

fn version(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("resourceVersion")?.as_str()
}

/// Whether two looks saw the same states of the same objects.
fn same(a: &Objects, b: &Objects) -> bool {
    let identity = |o: &Value| o.get("metadata").and_then(|m| m.get("uid")).cloned();
    a.len() == b.len()
        && a.iter().zip(b).all(|((k, x), (l, y))| k == l && version(x) == version(y) && identity(x) == identity(y))
}
