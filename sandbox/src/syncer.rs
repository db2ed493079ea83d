//! The syncer: keeps session rows and Session objects in agreement.
//!
//! For each session the syncer compares row and object and takes the step that `decide` returns: API requests are sent
//! to the cluster; after that the object's state is written to the row. One session is never processed concurrently.
//! API requests and watch events trigger the syncer; a periodic comparison of everything is the fallback.
mod convert;
mod decide;
mod object_defects;
mod other_defects;
mod step_defects;
mod steps;

pub use self::convert::new_session_from;
use self::steps::{SyncError, Syncer};

use super::{
    background::Background,
    dispatcher::Dispatcher,
    kinds::Session as Object,
    link::{Backoff, error_chain},
    store::Store,
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Interval of the fallback comparison.
const COMPARE_INTERVAL: Duration = Duration::from_secs(5);

/// Notifies the syncer of API requests.
#[derive(Clone)]
pub struct ChangeNotifier {
    inbox: mpsc::UnboundedSender<String>,
}

impl ChangeNotifier {
    pub fn notify(&self, name: &str) {
        // no receiver means shutdown; the next process finds the request in the database
        let _ = self.inbox.send(name.to_owned());
    }
}

/// Starts the syncer. The receiver completes when the objects have been listed for the first time.
pub fn start(store: Store, dispatcher: Dispatcher, background: &Background) -> (ChangeNotifier, oneshot::Receiver<()>) {
    let (inbox, changes) = mpsc::unbounded_channel();
    let (ready, listed) = oneshot::channel();
    let syncer = Arc::new(Syncer {
        store,
        api: Api::namespaced(background.client.clone(), &background.namespace),
        dispatcher,
        background: background.clone(),
        objects: Mutex::default(),
        newest: Mutex::default(),
        not_adoptable: Mutex::default(),
        removals: Default::default(),
        cluster_was_lost: AtomicBool::default(),
    });
    background.spawn(run(syncer, changes, ready));
    (ChangeNotifier { inbox }, listed)
}

/// How a piece of work on a session ended.
enum WorkEnd {
    Synced(String),
    /// The back-off after a failure is over.
    RetryDue(String),
    Failed(String),
}

async fn run(syncer: Arc<Syncer>, mut changes: mpsc::UnboundedReceiver<String>, ready: oneshot::Sender<()>) {
    let mut watch = watcher(syncer.api.clone(), watcher::Config::default()).backoff(Backoff::default()).boxed();
    let mut ready = Some(ready);
    let mut round = tokio::time::interval(COMPARE_INTERVAL);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut work: FuturesUnordered<BoxFuture<'static, WorkEnd>> = FuturesUnordered::new();
    let mut busy: HashSet<String> = HashSet::new();
    let mut again: HashSet<String> = HashSet::new();
    let mut failures: HashMap<String, u32> = HashMap::new();
    let mut listing: HashMap<String, Object> = HashMap::new();

    loop {
        let mut touched: Vec<String> = vec![];
        tokio::select! {
            Some(name) = changes.recv() => touched.push(name),
            Some(done) = work.next() => match done {
                WorkEnd::Synced(name) => {
                    busy.remove(&name);
                    failures.remove(&name);
                    if again.remove(&name) {
                        touched.push(name);
                    }
                }
                WorkEnd::Failed(name) => {
                    busy.remove(&name);
                    let tries = failures.entry(name.clone()).or_default();
                    *tries += 1;
                    let wait = Backoff::after(*tries);
                    // the retry compares everything again
                    again.remove(&name);
                    work.push(async move {
                        tokio::time::sleep(wait).await;
                        WorkEnd::RetryDue(name)
                    }.boxed());
                }
                WorkEnd::RetryDue(name) => touched.push(name),
            },
            Some(event) = watch.next() => match event {
                Ok(watcher::Event::Apply(object)) => {
                    touched.push(object.name().to_owned());
                    syncer.objects().insert(object.name().to_owned(), object);
                }
                Ok(watcher::Event::Delete(object)) => {
                    touched.push(object.name().to_owned());
                    syncer.objects().remove(object.name());
                }
                Ok(watcher::Event::Init) => listing.clear(),
                Ok(watcher::Event::InitApply(object)) => {
                    listing.insert(object.name().to_owned(), object);
                }
                Ok(watcher::Event::InitDone) => {
                    *syncer.objects() = std::mem::take(&mut listing);
                    touched = syncer.out_of_sync().await;
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(());
                    }
                }
                Err(error) => {
                    let cause = error_chain(&error);
                    syncer.background.log.warn("cluster unreachable: the watch of sessions broke", &[("cause", &cause)]);
                }
            },
            _ = round.tick(), if ready.is_none() => touched = syncer.out_of_sync().await,
        }
        for name in touched {
            if !busy.insert(name.clone()) {
                again.insert(name);
                continue;
            }
            // a separate task, so that a panic fails only this session
            let syncing = tokio::spawn(sync_session(syncer.clone(), name.clone()));
            work.push(
                async move {
                    match syncing.await {
                        Ok(true) => WorkEnd::Synced(name),
                        Ok(false) | Err(_) => WorkEnd::Failed(name),
                    }
                }
                .boxed(),
            );
        }
    }
}

/// Syncs one session. False if it failed and must be retried.
async fn sync_session(syncer: Arc<Syncer>, name: String) -> bool {
    let Err(error) = syncer.sync(&name).await else { return true };
    let message = match &error {
        SyncError::Store(_) => "database unavailable: a session could not be synced, will be retried",
        SyncError::Cluster(_) => "cluster unreachable: a session could not be synced, will be retried",
    };
    syncer.background.log.warn(message, &[("session", &name), ("cause", &error)]);
    false
}
