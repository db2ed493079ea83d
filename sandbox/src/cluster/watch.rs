//! Watches: the stream of changes to the selected objects after a version, each change once and in order.
//!
//! A watch is a cursor into the store's history and has no queue. A client that stops reading costs nothing and misses
//! nothing until the history has moved past its cursor; then it receives 410 and the stream ends. Knows no paths or
//! queries.
use super::{
    format::ResponseFormat, kinds::Kind, metadata, selector::Selector, shared::Shared, status::Refusal, store::Change,
};
use axum::body::Bytes;
use futures::Stream;
use serde_json::{Value, json};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{sync::watch::Receiver, time::Instant};

/// A chunk is sent at this size, so that a burst does not become one large buffer.
const CHUNK_BYTES: usize = 64 << 10;
const BATCH_CHANGES: usize = 256;
/// Interval of the bookmarks that a watch without changes sends on request.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);

/// The watch options of a request.
pub(super) struct WatchOptions {
    pub kind: Arc<Kind>,
    /// Empty for all namespaces.
    pub namespace: String,
    pub selector: Selector,
    pub form: ResponseFormat,
    /// Start after this version; `None` or 0 starts with the present objects.
    pub version: Option<u64>,
    pub bookmarks: bool,
    /// Start with the present objects and mark their end with a bookmark.
    pub initial_events: bool,
    pub timeout: Duration,
}

struct Watch {
    shared: Arc<Shared>,
    options: WatchOptions,
    resource: String,
    cursor: u64,
    initial: VecDeque<Arc<Value>>,
    initial_end_due: bool,
    versions: Receiver<u64>,
    deadline: Instant,
    bookmark_at: Instant,
    bookmarked: u64,
    with_columns: bool,
    ended: bool,
}

/// The events as JSON lines.
pub(super) fn stream(
    shared: Arc<Shared>,
    options: WatchOptions,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    let versions = shared.versions.subscribe();
    let resource = options.kind.resource();
    let (cursor, initial) = match options.version {
        Some(version) if version > 0 && !options.initial_events => (version, VecDeque::new()),
        _ => {
            let store = shared.lock();
            let objects = store.list(&resource, &options.namespace).map(|(_, o)| o);
            (store.version(), objects.filter(|o| options.selector.matches(o)).cloned().collect())
        }
    };
    let now = Instant::now();
    // the real server sends its last bookmark two seconds before the end
    let last = now + options.timeout.saturating_sub(Duration::from_secs(2));
    let watch = Watch {
        resource,
        cursor,
        initial,
        initial_end_due: options.initial_events && options.bookmarks,
        versions,
        deadline: now + options.timeout,
        bookmark_at: (now + BOOKMARK_INTERVAL).min(last),
        bookmarked: cursor,
        with_columns: true,
        ended: false,
        shared,
        options,
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
            while out.len() < CHUNK_BYTES
                && let Some(object) = self.initial.pop_front()
            {
                self.write_event("ADDED", &object, &mut out);
            }
            if self.initial.is_empty() && std::mem::take(&mut self.initial_end_due) {
                self.write_bookmark(true, &mut out);
            }
            if !out.is_empty() {
                return Some(out.into());
            }
            // marked as seen before the store is read, so that a later change ends the wait below
            self.versions.borrow_and_update();
            let (changes, oldest) = {
                let store = self.shared.lock();
                (store.changes_after(self.cursor, BATCH_CHANGES), store.compacted())
            };
            let Ok(changes) = changes else {
                self.ended = true;
                let refusal = Refusal::expired(format!("too old resource version: {} ({oldest})", self.cursor));
                write_line(json!({ "type": "ERROR", "object": refusal.body() }).to_string().as_bytes(), &mut out);
                return Some(out.into());
            };
            let idle = changes.is_empty();
            for change in changes {
                self.cursor = change.version;
                self.write_change(&change, &mut out);
                if out.len() >= CHUNK_BYTES {
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
        let bookmark_at = if self.options.bookmarks { self.bookmark_at } else { self.deadline };
        tokio::select! {
            changed = self.versions.changed() => self.ended = changed.is_err(),
            () = self.shared.closing.cancelled() => self.ended = true,
            () = tokio::time::sleep_until(self.deadline.min(bookmark_at)) => {
                self.ended = Instant::now() >= self.deadline;
                self.bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
                if self.options.bookmarks && self.cursor != self.bookmarked {
                    self.write_bookmark(false, out);
                }
            }
        }
    }

    fn write_change(&mut self, change: &Change, out: &mut Vec<u8>) {
        let key = &change.key;
        let namespace = &self.options.namespace;
        if key.resource != self.resource || !(namespace.is_empty() || key.namespace == *namespace) {
            return;
        }
        let selector = &self.options.selector;
        let matched = change.before.as_ref().is_some_and(|o| selector.matches(o));
        let matches = !change.deleted && selector.matches(&change.object);
        match (matched, matches) {
            (false, true) => self.write_event("ADDED", &change.object, out),
            (true, true) => self.write_event("MODIFIED", &change.object, out),
            (true, false) => {
                // deleted, or no longer selected: the last selected state, with the version of this change
                if let Some(before) = &change.before {
                    let mut last = (**before).clone();
                    metadata::set(&mut last, "resourceVersion", change.version.to_string().into());
                    self.write_event("DELETED", &last, out);
                }
            }
            (false, false) => {}
        }
    }

    fn write_event(&mut self, what: &str, object: &Value, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(what.as_bytes());
        out.extend_from_slice(b"\",\"object\":");
        self.options.form.write(&self.options.kind, object, std::mem::take(&mut self.with_columns), out);
        write_line(b"}", out);
    }

    fn write_bookmark(&mut self, initial_end: bool, out: &mut Vec<u8>) {
        self.bookmarked = self.cursor;
        let kind = &self.options.kind;
        let (of, version) = match self.options.form {
            ResponseFormat::Full => (kind.kind.clone(), kind.api_version()),
            ResponseFormat::Metadata => ("PartialObjectMetadata".into(), "meta.k8s.io/v1".into()),
            ResponseFormat::Table(_) => ("Table".into(), "meta.k8s.io/v1".into()),
        };
        let mut metadata = json!({ "resourceVersion": self.cursor.to_string() });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({ "kind": of, "apiVersion": version, "metadata": metadata });
        write_line(json!({ "type": "BOOKMARK", "object": object }).to_string().as_bytes(), out);
    }
}

fn write_line(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
    out.push(b'\n');
}
