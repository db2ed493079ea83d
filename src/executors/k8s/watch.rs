//! The watch of a collection, shared by all actions that wait for it. Keeps the events in order while a waiter may need
//! them, so that no state is missed. `cursor` decides which events are observations of a waiter.
//!
//! Versions are compared as numbers: a `resourceVersion` is the revision of the store, and since Kubernetes 1.35 its
//! order within a resource is documented. If a server's versions are not numbers, the watch is refused and waiters
//! poll.
use super::objects::{ObjectKey, ObjectList, Objects, object_key};
use crate::{
    executor::limits::decoded_bytes,
    executors::{
        apiserver::{BodyError, BodyReader, percent_encoded, read_list},
        processing::off_thread,
    },
    value::Value,
};
use http::{HeaderValue, Request, header};
use kube::{
    client::{Body, Client},
    core::WatchEvent,
};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, task::AbortHandle};

const MIN_BACKOFF: Duration = Duration::from_millis(10);
const MAX_BACKOFF: Duration = Duration::from_millis(500);
/// A connection that lasted this long resets the back-off.
const STABLE_CONNECTION: Duration = Duration::from_secs(1);
/// After the server refused the watch (no permission, not supported).
const REFUSED_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Larger events are read at a limited rate: in a flood, the memory of each is there for a while after it was dropped.
const SMALL_EVENT_BYTES: usize = 128 << 10;
const LARGE_EVENT_BYTES_PER_MS: usize = 64 << 10;
/// The server ends each watch request after this time.
const WATCH_TIMEOUT_SECONDS: u32 = 290;

pub struct Watch {
    client: Client,
    path: String,
    field_selector: String,
    /// In bytes, of an event, of a list, and of the history.
    limit: usize,
    state: Mutex<State>,
    /// Notified when the history or the status changes.
    pub changed: Notify,
    reconnect: Notify,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// The size of each entry in bytes, and their sum.
    sizes: VecDeque<usize>,
    total: usize,
    /// The history is complete after this version.
    start: u64,
    /// The version of the last event.
    end: u64,
    status: WatchStatus,
    /// Incremented when the history restarts, so that an older stream adds nothing to it.
    epoch: u64,
    /// The versions of all holds, with their number.
    holds: BTreeMap<u64, usize>,
    task: Option<AbortHandle>,
}

impl State {
    fn clear(&mut self) {
        self.entries.clear();
        self.sizes.clear();
        self.total = 0;
    }

    /// Drops the oldest entry. If a waiter needs it, the watch restarts at that waiter's version.
    fn drop_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.start = entry.version().max(self.start);
            self.total -= self.sizes.pop_front().unwrap_or_default();
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum WatchStatus {
    #[default]
    Idle,
    Connecting,
    Streaming,
    /// With the server's reason.
    Refused(String),
}

/// An entry of the history.
#[derive(Clone)]
pub enum Entry {
    Change {
        version: u64,
        deleted: bool,
        key: ObjectKey,
        object: Value,
    },
    /// All objects, listed because the server no longer had the events: states since the entry before are unknown.
    Relist {
        version: u64,
        objects: Arc<Objects>,
    },
}

impl Entry {
    pub fn version(&self) -> u64 {
        match self {
            Entry::Change { version, .. } | Entry::Relist { version, .. } => *version,
        }
    }
}

/// Keeps the history after a version.
pub struct Hold {
    pub watch: Arc<Watch>,
    pub version: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.watch.lock();
        if let Some(n) = state.holds.get_mut(&self.version) {
            *n -= 1;
            if *n == 0 {
                state.holds.remove(&self.version);
            }
        }
    }
}

impl Watch {
    pub fn new(client: Client, path: &str, field_selector: &str, limit: usize) -> Arc<Watch> {
        Arc::new(Watch {
            client,
            path: path.to_string(),
            field_selector: field_selector.to_string(),
            limit,
            state: Mutex::default(),
            changed: Notify::new(),
            reconnect: Notify::new(),
        })
    }

    pub fn hold(self: &Arc<Self>, version: u64) -> Hold {
        self.hold_in(&mut self.lock(), version)
    }

    /// Holds everything after the last event, for the time of a request. `None` if the watch has not started.
    pub fn hold_latest(self: &Arc<Self>) -> Option<Hold> {
        let mut state = self.lock();
        let end = state.end;
        (state.status != WatchStatus::Idle).then(|| self.hold_in(&mut state, end))
    }

    fn hold_in(self: &Arc<Self>, state: &mut State, version: u64) -> Hold {
        *state.holds.entry(version).or_default() += 1;
        Hold { watch: self.clone(), version }
    }

    pub fn status(&self) -> WatchStatus {
        self.lock().status.clone()
    }

    /// Starts an idle watch, at the earliest version on hold.
    pub fn start(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.status != WatchStatus::Idle {
            return;
        }
        let earliest = state.holds.keys().next().copied().unwrap_or_default();
        (state.start, state.end) = (earliest, earliest);
        state.status = WatchStatus::Connecting;
        state.task = Some(tokio::spawn(run(self.clone())).abort_handle());
    }

    /// Ends the watch for good.
    pub fn stop(&self) {
        let task = self.lock().task.take();
        if let Some(task) = task {
            task.abort();
        }
        self.set_status(WatchStatus::Refused("the target is closed".into()));
    }

    /// Drops the connection, or the wait before the next one, and connects immediately.
    pub fn reconnect(&self) {
        self.reconnect.notify_one();
    }

    /// The history after a version. `None` if it starts later: the watch then restarts at that version.
    pub fn entries_after(&self, version: u64) -> Option<Vec<Entry>> {
        let mut state = self.lock();
        if state.status != WatchStatus::Idle && version < state.start {
            // Other waiters get their entries again, and skip the versions that they have observed.
            state.clear();
            (state.start, state.end) = (version, version);
            state.epoch += 1;
            drop(state);
            self.reconnect.notify_one();
            return None;
        }
        let first = state.entries.partition_point(|e| e.version() <= version);
        Some(state.entries.range(first..).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn set_status(&self, status: WatchStatus) {
        self.lock().status = status;
        self.changed.notify_waiters();
    }

    /// Adds an entry and drops those that no hold needs. False if the history has restarted since `epoch`.
    fn push(&self, epoch: u64, entry: Entry, size: usize) -> bool {
        let mut state = self.lock();
        if state.epoch != epoch {
            return false;
        }
        state.end = entry.version().max(state.end);
        if let Entry::Relist { .. } = entry {
            // It replaces all entries before it.
            state.clear();
            state.start = 0;
        }
        state.entries.push_back(entry);
        state.sizes.push_back(size);
        state.total += size;
        let needed = state.holds.keys().next().copied().unwrap_or(state.end);
        while let Some(first) = state.entries.front() {
            let is_full = state.total > self.limit && state.entries.len() > 1;
            if first.version() > needed && !is_full {
                break;
            }
            state.drop_first();
        }
        drop(state);
        self.changed.notify_waiters();
        true
    }

    fn request(&self, query: &str) -> Option<Request<Body>> {
        let mut uri = format!("{}?{query}", self.path);
        if !self.field_selector.is_empty() {
            uri = format!("{uri}&fieldSelector={}", percent_encoded(&self.field_selector));
        }
        Request::get(uri).header(header::ACCEPT, "application/json").body(Body::empty()).ok()
    }

    /// Sends a request; the body of its response arrives line by line.
    async fn send(&self, request: Request<Body>) -> Result<BodyReader, StreamEnd> {
        let response = self.client.send(request).await.map_err(|_| StreamEnd::Disconnected)?;
        let (status, is_success) = (response.status().as_u16(), response.status().is_success());
        let body = BodyReader::new(response.into_body(), self.limit);
        if is_success {
            return Ok(body);
        }
        let (text, _) = body.read().await;
        let message = serde_json::from_slice::<Json>(&text).ok();
        let message = message.as_ref().and_then(|json| json["message"].as_str()).unwrap_or("no reason");
        Err(StreamEnd::of_status(status, message))
    }

    /// Reads one watch request until it ends.
    async fn stream(&self) -> StreamEnd {
        let (position, epoch) = {
            let state = self.lock();
            (state.end, state.epoch)
        };
        let query = format!(
            "watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_TIMEOUT_SECONDS}&resourceVersion={position}"
        );
        let Some(mut request) = self.request(&query) else { return StreamEnd::Refused("invalid path".into()) };
        // servers compress each event on its own, and the client decompresses only the first one
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut body = match self.send(request).await {
            Ok(body) => body,
            Err(end) => return end,
        };
        self.set_status(WatchStatus::Streaming);
        loop {
            let line = match body.line().await {
                Ok(Some(line)) => line,
                Ok(None) | Err(BodyError::Broken(_)) => return StreamEnd::Disconnected,
                Err(long @ BodyError::TooLong(_)) => {
                    return StreamEnd::Refused(format!("an event was not read: {long}"));
                }
            };
            let size = line.len();
            let event = off_thread(size, move || serde_json::from_slice::<WatchEvent<Json>>(&line));
            let entry = match event.await {
                Ok(WatchEvent::Added(o) | WatchEvent::Modified(o)) => change(o, false),
                Ok(WatchEvent::Deleted(o)) => change(o, true),
                Ok(WatchEvent::Bookmark(b)) => {
                    let mut state = self.lock();
                    if let (true, Ok(v)) = (state.epoch == epoch, b.metadata.resource_version.parse::<u64>()) {
                        state.end = v.max(state.end);
                    }
                    continue;
                }
                Ok(WatchEvent::Error(status)) => return StreamEnd::of_status(status.code, &status.message),
                Err(_) => return StreamEnd::Disconnected,
            };
            let Some(entry) = entry else {
                return StreamEnd::Refused("expected numeric resourceVersions, found others".into());
            };
            if !self.push(epoch, entry, size) {
                return StreamEnd::Disconnected;
            }
            if size > SMALL_EVENT_BYTES {
                tokio::time::sleep(Duration::from_millis((size / LARGE_EVENT_BYTES_PER_MS) as u64)).await;
            }
        }
    }

    /// Lists all objects, because the server no longer has the events since `end`. False if that fails.
    async fn relist(&self) -> bool {
        let epoch = self.lock().epoch;
        let Some(request) = self.request("limit=0") else { return false };
        let Ok(body) = self.send(request).await else { return false };
        let (bytes, None) = body.read().await else { return false };
        let size = bytes.len();
        let max_decoded = decoded_bytes(size);
        let parse = move || {
            let list = read_list(&bytes, false, max_decoded).filter(|list| !list.is_cut)?;
            ObjectList::of(&list.json, list.items).ok()
        };
        let Some(ObjectList { version: Some(version), objects, next_page: None, .. }) = off_thread(size, parse).await
        else {
            return false;
        };
        self.push(epoch, Entry::Relist { version, objects: Arc::new(objects) }, size)
    }
}

enum StreamEnd {
    Disconnected,
    /// The server no longer has the events after the position.
    Expired,
    Refused(String),
}

impl StreamEnd {
    fn of_status(code: u16, message: &str) -> StreamEnd {
        match code {
            410 => StreamEnd::Expired,
            401 | 403 | 404 | 405 | 400 => StreamEnd::Refused(message.to_string()),
            _ => StreamEnd::Disconnected,
        }
    }
}

/// Keeps a watch connected, with exponential back-off.
async fn run(watch: Arc<Watch>) {
    let mut backoff = MIN_BACKOFF;
    loop {
        let (connected, end_before) = (std::time::Instant::now(), watch.lock().end);
        let end = tokio::select! {
            end = watch.stream() => end,
            () = watch.reconnect.notified() => {
                backoff = MIN_BACKOFF;
                watch.set_status(WatchStatus::Connecting);
                continue;
            }
        };
        if connected.elapsed() > STABLE_CONNECTION || watch.lock().end > end_before {
            backoff = MIN_BACKOFF;
        }
        let wait = match end {
            StreamEnd::Disconnected => {
                watch.set_status(WatchStatus::Connecting);
                backoff
            }
            StreamEnd::Expired => {
                watch.set_status(WatchStatus::Connecting);
                if watch.relist().await { Duration::ZERO } else { backoff }
            }
            StreamEnd::Refused(why) => {
                watch.set_status(WatchStatus::Refused(why));
                REFUSED_RETRY_INTERVAL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = watch.reconnect.notified() => {}
        }
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

/// The entry for an event; `None` if the version is not a number.
fn change(object: Json, deleted: bool) -> Option<Entry> {
    let version = object["metadata"]["resourceVersion"].as_str()?.parse().ok()?;
    Some(Entry::Change { version, deleted, key: object_key(&object), object: Value::from(object) })
}
