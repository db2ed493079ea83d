//! The state that all routes share, including that of defects.
use super::error::Failure;
use crate::{
    defect::Defects,
    delays::Delays,
    dispatcher::Dispatcher,
    kinds::Template,
    log::Log,
    store::{NewSession, Store, StoreError},
    syncer::ChangeNotifier,
    variation::Variation,
};
use kube::runtime::reflector;
use serde_json::Value as Json_;
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::sync::{Mutex as Lock, Notify, Semaphore};

pub struct Api {
    pub store: Store,
    pub changes: ChangeNotifier,
    pub dispatcher: Dispatcher,
    pub templates: reflector::Store<Template>,
    pub client: kube::Client,
    pub namespace: String,
    pub log: Log,
    /// Signs tokens.
    pub key: Vec<u8>,
    pub defects: Defects,
    pub as_built: bool,
    /// How many sessions of one user may run. `None`: any number.
    pub quota: Option<u32>,
    pub delays: Delays,
    pub variations: Vec<Variation>,
    /// The sessions that a response has shown; for a variation.
    pub shown: Mutex<HashSet<String>>,
    pub races: RaceState,
    pub previous_errors: PreviousErrors,
    pub breaker: Breaker,
    pub lost: Lost,
}

/// State of the race defects.
pub struct RaceState {
    pub next_number: AtomicU32,
    pub creating: AtomicUsize,
    pub last_create: Mutex<Option<Instant>>,
    /// Resources and tags of the last create.
    pub last_requested: Mutex<Option<NewSession>>,
    /// Number of reads of single sessions.
    pub reads: AtomicUsize,
    /// Number of deletes in progress.
    pub deleting: AtomicUsize,
    pub create_lock: Lock<()>,
    pub pod_lock: Lock<()>,
    pub name_lock: Lock<()>,
    pub delete_list: Mutex<Vec<String>>,
    pub first_delete: Semaphore,
    /// Notified by the delete that the others wait for.
    pub delete_done: Mutex<Arc<Notify>>,
}

impl Default for RaceState {
    fn default() -> RaceState {
        RaceState {
            next_number: AtomicU32::new(uuid::Uuid::new_v4().as_fields().0),
            creating: AtomicUsize::default(),
            last_create: Mutex::default(),
            last_requested: Mutex::default(),
            reads: AtomicUsize::default(),
            deleting: AtomicUsize::default(),
            create_lock: Lock::default(),
            pod_lock: Lock::default(),
            name_lock: Lock::default(),
            delete_list: Mutex::default(),
            first_delete: Semaphore::new(1),
            delete_done: Mutex::default(),
        }
    }
}

impl RaceState {
    /// Whether the time of the last create, if there was one, fulfils the condition.
    pub fn last_create_is(&self, condition: impl Fn(Instant) -> bool) -> bool {
        self.last_create.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(condition)
    }
}

/// Rejects creates after one has met an unreachable database.
#[derive(Default)]
pub struct Breaker(pub AtomicBool);

impl Breaker {
    /// # Errors
    /// 503 if the breaker is open.
    pub fn closed(&self) -> Result<(), Failure> {
        let open = || StoreError::Unavailable("the circuit breaker is open".into());
        if self.0.load(Ordering::SeqCst) { Err(open().into()) } else { Ok(()) }
    }
}

/// What defects have lost since the database was unreachable.
#[derive(Default)]
pub struct Lost {
    pub lists: AtomicBool,
    pub audit: AtomicBool,
}

/// The errors of the previous batch, kept by mistake.
#[derive(Default)]
pub struct PreviousErrors(pub Mutex<Vec<Json_>>);
