//! One watch for all who wait on a resource. It keeps what the server told, in order, as long as somebody may still need it, so
//! that nobody misses a state however short it was. Knows no plan; `next` decides what an event means to a waiter.
//!
//! Versions are compared as numbers. Kubernetes promises an order of `resourceVersion` within a resource (since 1.35 in writing;
//! in fact from the first day, as it is the store's revision). A server whose versions are no numbers gets no watch: the
//! waiters then list again at their pace.
use crate::{executors::apiserver::encoded, value::Value};
use futures::TryStreamExt;
use http::Request;
use kube::client::{Body, Client};
use kube::core::WatchEvent;
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, VecDeque},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// More events are not kept, even if somebody who waits has not seen them: then the server is asked from there again.
const MOST: usize = 10_000;
const SOONEST: Duration = Duration::from_millis(10);
const LATEST: Duration = Duration::from_millis(500);
/// How long a refused watch (no permission, not supported) is left alone.
const REFUSED: Duration = Duration::from_secs(5);

/// Namespace and name.
pub type Key = (String, String);
pub type Objects = BTreeMap<Key, Value>;

pub struct Watch {
    client: Client,
    path: String,
    fields: String,
    state: Mutex<State>,
    /// Something was added to the history, or the health changed.
    pub changed: Notify,
    kick: Notify,
    task: Mutex<Option<tokio::task::AbortHandle>>,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// The history tells everything that happened after this version.
    from: u64,
    /// The last version that was told of.
    until: u64,
    health: Health,
    /// Moves when the history is begun anew, so that a stream of before adds nothing to it.
    epoch: u64,
    /// Versions after which somebody still needs the history.
    holds: BTreeMap<u64, usize>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Health {
    #[default]
    Idle,
    Connecting,
    Streaming,
    /// The server does not let us watch.
    Refused(String),
}

#[derive(Clone)]
pub enum Entry {
    Change {
        version: u64,
        gone: bool,
        key: Key,
        object: Value,
    },
    /// The server no longer had the history, so all was listed: states between the entry before and this one are not known.
    All {
        version: u64,
        objects: Arc<Objects>,
    },
}

impl Entry {
    pub fn version(&self) -> u64 {
        match self {
            Entry::Change { version, .. } | Entry::All { version, .. } => *version,
        }
    }
}

/// What the history has after a version.
pub enum History {
    Entries(Vec<Entry>),
    /// It begins later; the watch was told to begin from there again.
    Rewound,
}

/// Keeps the history after a version.
pub struct Hold {
    watch: Arc<Watch>,
    version: u64,
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
    pub fn new(client: Client, path: &str, fields: &str) -> Arc<Watch> {
        Arc::new(Watch {
            client,
            path: path.to_string(),
            fields: fields.to_string(),
            state: Mutex::default(),
            changed: Notify::new(),
            kick: Notify::new(),
            task: Mutex::default(),
        })
    }

    pub fn hold(self: &Arc<Self>, version: u64) -> Hold {
        *self.lock().holds.entry(version).or_default() += 1;
        Hold { watch: self.clone(), version }
    }

    /// A hold on what is yet to be told, taken before a look, so that nothing is forgotten while the look is under way.
    pub fn hold_from_here(self: &Arc<Self>) -> Option<Hold> {
        let mut state = self.lock();
        if state.health == Health::Idle {
            return None;
        }
        let version = state.until;
        *state.holds.entry(version).or_default() += 1;
        drop(state);
        Some(Hold { watch: self.clone(), version })
    }

    pub fn health(&self) -> Health {
        self.lock().health.clone()
    }

    /// Begins watching, if nobody does yet: from the earliest version that anybody holds.
    pub fn start(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.health != Health::Idle {
            return;
        }
        let earliest = state.holds.keys().next().copied().unwrap_or_default();
        (state.from, state.until) = (earliest, earliest);
        state.health = Health::Connecting;
        drop(state);
        let task = tokio::spawn(run(self.clone()));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
    }

    /// Ends the watch for good.
    pub fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        self.set(Health::Refused("the target is closed".into()));
    }

    /// Breaks the connection off, or the wait for one, and connects at once.
    pub fn reconnect(&self) {
        self.kick.notify_one();
    }

    pub fn after(&self, version: u64) -> History {
        let mut state = self.lock();
        if state.health != Health::Idle && version < state.from {
            // The entries that others need come again; they skip what they have seen by its version.
            state.entries.clear();
            (state.from, state.until) = (version, version);
            state.epoch += 1;
            drop(state);
            self.kick.notify_one();
            return History::Rewound;
        }
        let first = state.entries.partition_point(|e| e.version() <= version);
        History::Entries(state.entries.range(first..).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, health: Health) {
        self.lock().health = health;
        self.changed.notify_waiters();
    }

    /// Adds to the history. False where it was begun anew since.
    fn push(&self, epoch: u64, entry: Entry) -> bool {
        let mut state = self.lock();
        if state.epoch != epoch {
            return false;
        }
        state.until = entry.version().max(state.until);
        if let Entry::All { .. } = entry {
            // It sums up all that came before it.
            state.entries.clear();
            state.from = 0;
        }
        state.entries.push_back(entry);
        let needed = state.holds.keys().next().copied().unwrap_or(state.until);
        while state.entries.front().is_some_and(|e| e.version() <= needed) || state.entries.len() > MOST {
            if let Some(e) = state.entries.pop_front() {
                state.from = e.version().max(state.from);
            }
        }
        drop(state);
        self.changed.notify_waiters();
        true
    }

    fn request(&self, query: &str) -> Option<Request<Vec<u8>>> {
        let mut uri = format!("{}?{query}", self.path);
        if !self.fields.is_empty() {
            uri = format!("{uri}&fieldSelector={}", encoded(&self.fields));
        }
        Request::get(uri).header(http::header::ACCEPT, "application/json").body(vec![]).ok()
    }

    /// One connection, until it ends. How it ended says what to do next.
    async fn stream(&self) -> End {
        let (position, epoch) = {
            let state = self.lock();
            (state.until, state.epoch)
        };
        let query = format!("watch=1&allowWatchBookmarks=true&timeoutSeconds=290&resourceVersion={position}");
        let Some(request) = self.request(&query) else { return End::Refused("the path cannot be watched".into()) };
        let mut events = match self.client.request_events::<Json>(request).await {
            Ok(events) => pin!(events),
            Err(kube::Error::Api(status)) => return End::of(status.code, &status.message),
            Err(_) => return End::Broken,
        };
        self.set(Health::Streaming);
        loop {
            let entry = match events.try_next().await {
                Ok(Some(WatchEvent::Added(o) | WatchEvent::Modified(o))) => change(o, false),
                Ok(Some(WatchEvent::Deleted(o))) => change(o, true),
                Ok(Some(WatchEvent::Bookmark(b))) => {
                    let mut state = self.lock();
                    if let (true, Ok(v)) = (state.epoch == epoch, b.metadata.resource_version.parse::<u64>()) {
                        state.until = v.max(state.until);
                    }
                    continue;
                }
                Ok(Some(WatchEvent::Error(status))) => return End::of(status.code, &status.message),
                Err(kube::Error::Api(status)) => return End::of(status.code, &status.message),
                Ok(None) | Err(_) => return End::Broken,
            };
            let Some(entry) = entry else { return End::Refused("its versions are no numbers".into()) };
            if !self.push(epoch, entry) {
                return End::Broken;
            }
        }
    }

    /// Lists everything: the server's history does not reach back to where we were.
    async fn relist(&self) -> bool {
        let epoch = self.lock().epoch;
        let Some(request) = self.request("limit=0") else { return false };
        let request = request.map(Body::from);
        let Ok(response) = self.client.send(request).await else { return false };
        if !response.status().is_success() {
            return false;
        }
        let Ok(bytes) = response.into_body().collect_bytes().await else { return false };
        let Ok(json) = serde_json::from_slice::<Json>(&bytes) else { return false };
        let Some((version, objects)) = listed(json) else { return false };
        self.push(epoch, Entry::All { version, objects: Arc::new(objects) })
    }
}

enum End {
    Broken,
    /// The server no longer knows what came after our position.
    TooOld,
    Refused(String),
}

impl End {
    fn of(code: u16, message: &str) -> End {
        match code {
            410 => End::TooOld,
            401 | 403 | 404 | 405 | 400 => End::Refused(message.to_string()),
            _ => End::Broken,
        }
    }
}

async fn run(w: Arc<Watch>) {
    let mut pause = SOONEST;
    loop {
        let (began, before) = (std::time::Instant::now(), w.lock().until);
        let end = tokio::select! {
            end = w.stream() => end,
            () = w.kick.notified() => {
                pause = SOONEST;
                w.set(Health::Connecting);
                continue;
            }
        };
        if began.elapsed() > Duration::from_secs(1) || w.lock().until > before {
            pause = SOONEST;
        }
        let wait = match end {
            End::Broken => {
                w.set(Health::Connecting);
                pause
            }
            End::TooOld => {
                w.set(Health::Connecting);
                if w.relist().await { Duration::ZERO } else { pause }
            }
            End::Refused(why) => {
                w.set(Health::Refused(why));
                REFUSED
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = w.kick.notified() => {}
        }
        pause = (pause * 2).min(LATEST);
    }
}

fn change(object: Json, gone: bool) -> Option<Entry> {
    let version = object["metadata"]["resourceVersion"].as_str()?.parse().ok()?;
    let key = key_of(&object);
    Some(Entry::Change { version, gone, key, object: Value::from(object) })
}

fn key_of(object: &Json) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_string();
    (text("namespace"), text("name"))
}

/// A list's version and objects, each with the `apiVersion` and `kind` that the server leaves out of items. `None` where the version
/// is no number.
pub fn listed(list: Json) -> Option<(u64, Objects)> {
    let version = list["metadata"]["resourceVersion"].as_str()?.parse().ok()?;
    Some((version, objects(list)))
}

pub fn objects(mut list: Json) -> Objects {
    let kind = list["kind"].as_str().and_then(|k| k.strip_suffix("List")).unwrap_or_default().to_string();
    let api = list["apiVersion"].as_str().unwrap_or_default().to_string();
    let items = list.get_mut("items").map(Json::take).unwrap_or_default();
    let Json::Array(items) = items else { return Objects::new() };
    let whole = |item: Json| {
        let key = key_of(&item);
        let Json::Object(fields) = item else { return (key, Value::Null) };
        let mut object = serde_json::Map::new();
        object.insert("apiVersion".into(), api.clone().into());
        object.insert("kind".into(), kind.clone().into());
        object.extend(fields);
        (key, Value::from(Json::Object(object)))
    };
    items.into_iter().map(whole).collect()
}
