//! Owns watches: the stream of what happens to the selected objects after a version, each change once and in order.
//!
//! A watch is a cursor into the store's history. It holds no queue, so a client that stops reading costs nothing and misses
//! nothing until the history has moved past it; then it is told so (410) and the stream ends. Must not know paths or queries.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::Shared;
use super::kinds::Kind;
use super::metadata;
use super::selector::Selector;
use super::status::Refusal;
use super::store::Change;
use super::table::Form;

/// A chunk is sent when it has reached this size, so that a burst does not become one buffer.
const CHUNK: usize = 64 << 10;
const BATCH: usize = 256;
/// How often a quiet watch that asked for bookmarks is told how far it has come.
const BOOKMARK_EVERY: Duration = Duration::from_secs(10);

/// What a request says about the watch it wants.
pub(super) struct Wanted {
    pub kind: Arc<Kind>,
    /// Empty for all.
    pub namespace: String,
    pub selector: Selector,
    pub form: Form,
    /// Begin after this version; `None` or 0 begins with what is there.
    pub version: Option<u64>,
    pub bookmarks: bool,
    /// Begin with what is there and mark its end with a bookmark.
    pub initial_events: bool,
    pub timeout: Duration,
}

struct Watch {
    shared: Arc<Shared>,
    wanted: Wanted,
    resource: String,
    cursor: u64,
    initial: VecDeque<Arc<Value>>,
    initial_end_due: bool,
    versions: Receiver<u64>,
    deadline: Instant,
    bookmark_at: Instant,
    bookmarked: u64,
    headed: bool,
    ended: bool,
}

/// The events as they go over the wire, a JSON object and a line break each.
pub(super) fn stream(
    shared: Arc<Shared>,
    wanted: Wanted,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    let versions = shared.versions.subscribe();
    let resource = wanted.kind.resource();
    let (cursor, initial) = match wanted.version {
        Some(version) if version > 0 && !wanted.initial_events => (version, VecDeque::new()),
        _ => {
            let store = shared.lock();
            let there = store.list(&resource, &wanted.namespace).map(|(_, o)| o);
            (store.version(), there.filter(|o| wanted.selector.matches(o)).cloned().collect())
        }
    };
    let now = Instant::now();
    // The real server tells of it two seconds before it ends.
    let last = now + wanted.timeout.saturating_sub(Duration::from_secs(2));
    let watch = Watch {
        resource,
        cursor,
        initial,
        initial_end_due: wanted.initial_events && wanted.bookmarks,
        versions,
        deadline: now + wanted.timeout,
        bookmark_at: (now + BOOKMARK_EVERY).min(last),
        bookmarked: cursor,
        headed: true,
        ended: false,
        shared,
        wanted,
    };
    futures::stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next().await?;
        Some((Ok(chunk), watch))
    })
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        loop {
            if self.ended || self.shared.closing.is_cancelled() {
                return None;
            }
            while out.len() < CHUNK
                && let Some(object) = self.initial.pop_front()
            {
                self.event("ADDED", &object, &mut out);
            }
            if self.initial.is_empty() && std::mem::take(&mut self.initial_end_due) {
                self.bookmark(true, &mut out);
            }
            if !out.is_empty() {
                return Some(out.into());
            }
            // Marked as seen before reading: what is committed from here on wakes the wait below, what is read now does not.
            self.versions.borrow_and_update();
            let (changes, oldest) = {
                let store = self.shared.lock();
                (store.changes_after(self.cursor, BATCH), store.forgotten())
            };
            let Ok(changes) = changes else {
                self.ended = true;
                let refusal = Refusal::expired(format!("too old resource version: {} ({oldest})", self.cursor));
                line(json!({ "type": "ERROR", "object": refusal.body() }).to_string().as_bytes(), &mut out);
                return Some(out.into());
            };
            let idle = changes.is_empty();
            for change in changes {
                self.cursor = change.version;
                self.change(&change, &mut out);
                if out.len() >= CHUNK {
                    break;
                }
            }
            if !out.is_empty() {
                return Some(out.into());
            }
            if idle {
                self.wait(&mut out).await;
                if !out.is_empty() {
                    return Some(out.into());
                }
            }
        }
    }

    async fn wait(&mut self, out: &mut Vec<u8>) {
        let bookmark_at = if self.wanted.bookmarks { self.bookmark_at } else { self.deadline };
        tokio::select! {
            changed = self.versions.changed() => self.ended = changed.is_err(),
            () = self.shared.closing.cancelled() => self.ended = true,
            () = tokio::time::sleep_until(self.deadline.min(bookmark_at)) => {
                self.ended = Instant::now() >= self.deadline;
                self.bookmark_at = Instant::now() + BOOKMARK_EVERY;
                if self.wanted.bookmarks && self.cursor != self.bookmarked {
                    self.bookmark(false, out);
                }
            }
        }
    }

    fn change(&mut self, change: &Change, out: &mut Vec<u8>) {
        let key = &change.key;
        let namespace = &self.wanted.namespace;
        if key.resource != self.resource || !(namespace.is_empty() || key.namespace == *namespace) {
            return;
        }
        let selector = &self.wanted.selector;
        let was = change.before.as_ref().is_some_and(|o| selector.matches(o));
        let is = !change.deleted && selector.matches(&change.object);
        match (was, is) {
            (false, true) => self.event("ADDED", &change.object, out),
            (true, true) => self.event("MODIFIED", &change.object, out),
            (true, false) => {
                // Gone, or out of the selection: its last selected state, under the version of the change that took it out.
                if let Some(before) = &change.before {
                    let mut last = (**before).clone();
                    metadata::set(&mut last, "resourceVersion", change.version.to_string().into());
                    self.event("DELETED", &last, out);
                }
            }
            (false, false) => {}
        }
    }

    fn event(&mut self, what: &str, object: &Value, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(what.as_bytes());
        out.extend_from_slice(b"\",\"object\":");
        self.wanted.form.write(&self.wanted.kind, object, std::mem::take(&mut self.headed), out);
        line(b"}", out);
    }

    fn bookmark(&mut self, initial_end: bool, out: &mut Vec<u8>) {
        self.bookmarked = self.cursor;
        let kind = &self.wanted.kind;
        let (of, version) = match self.wanted.form {
            Form::Whole => (kind.kind.clone(), kind.api_version()),
            Form::Metadata => ("PartialObjectMetadata".into(), "meta.k8s.io/v1".into()),
            Form::Table(_) => ("Table".into(), "meta.k8s.io/v1".into()),
        };
        let mut metadata = json!({ "resourceVersion": self.cursor.to_string() });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({ "kind": of, "apiVersion": version, "metadata": metadata });
        line(json!({ "type": "BOOKMARK", "object": object }).to_string().as_bytes(), out);
    }
}

fn line(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
    out.push(b'\n');
}
