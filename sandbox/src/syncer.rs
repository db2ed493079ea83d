//! The syncer: keeps the store's sessions and the cluster's Session objects saying the same.
//!
//! For each session it compares the row with the object and takes the one step that `decide` names: what the API was asked
//! for goes down to the cluster, and once the cluster has been told, what the cluster says comes up into the store. Work on
//! one session is never done twice at once. It wakes on a wish and on a watch; a slow round over everything is only the net
//! below. It must not know HTTP, nor what the controller does with an object.
mod wrong;

use super::{
    background::Background,
    defect::Defect,
    dispatcher::Dispatcher,
    kinds::{Resources, Session as Object, SessionSpec},
    link::{ClusterError, Patience, found, soon},
    store::{DELETED, NewSession, ObservedSession, Session as Row, Store, StoreError},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// How often everything is compared, whether or not anything was heard.
const ROUND: Duration = Duration::from_secs(5);
/// More steps than any session needs on end; a fence against two that undo each other.
const STEPS: usize = 10;

/// Tells the syncer that something was asked.
#[derive(Clone)]
pub struct Wishes {
    inbox: mpsc::UnboundedSender<String>,
}

impl Wishes {
    pub fn changed(&self, name: &str) {
        // Nobody listens only after shutdown; the next process finds the wish in the store.
        let _ = self.inbox.send(name.to_owned());
    }
}

#[derive(Debug, thiserror::Error)]
enum SyncError {
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error("cluster: {0}")]
    Cluster(#[from] ClusterError),
}

struct Syncer {
    store: Store,
    api: Api<Object>,
    dispatcher: Dispatcher,
    background: Background,
    /// The objects, as the watch tells.
    objects: Mutex<HashMap<String, Object>>,
    /// Objects that could not be taken over, by uid: said once.
    left_alone: Mutex<HashSet<String>>,
    removals: wrong::Removals,
    /// The cluster was once away: for those who never forget that.
    lost: AtomicBool,
}

/// The second ends when the objects have been listed for the first time.
pub fn start(store: Store, dispatcher: Dispatcher, background: &Background) -> (Wishes, oneshot::Receiver<()>) {
    let (inbox, wishes) = mpsc::unbounded_channel();
    let (ready, listed) = oneshot::channel();
    let syncer = Arc::new(Syncer {
        store,
        api: Api::namespaced(background.client.clone(), &background.namespace),
        dispatcher,
        background: background.clone(),
        objects: Mutex::default(),
        left_alone: Mutex::default(),
        removals: wrong::Removals::default(),
        lost: AtomicBool::default(),
    });
    background.spawn(run(syncer, wishes, ready));
    (Wishes { inbox }, listed)
}

/// What comes back from work on a session.
enum Done {
    Settled(String),
    /// After a failure, so many in a row, when its wait is over.
    Due(String),
    Failed(String),
}

async fn run(syncer: Arc<Syncer>, mut wishes: mpsc::UnboundedReceiver<String>, ready: oneshot::Sender<()>) {
    let mut watch = watcher(syncer.api.clone(), watcher::Config::default()).backoff(Patience::default()).boxed();
    let mut ready = Some(ready);
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut work: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
    let mut busy: HashSet<String> = HashSet::new();
    let mut again: HashSet<String> = HashSet::new();
    let mut failures: HashMap<String, u32> = HashMap::new();
    let mut listing: HashMap<String, Object> = HashMap::new();

    loop {
        let mut touched: Vec<String> = vec![];
        tokio::select! {
            Some(name) = wishes.recv() => touched.push(name),
            Some(done) = work.next() => match done {
                Done::Settled(name) => {
                    busy.remove(&name);
                    failures.remove(&name);
                    if again.remove(&name) {
                        touched.push(name);
                    }
                }
                Done::Failed(name) => {
                    busy.remove(&name);
                    let tries = failures.entry(name.clone()).or_default();
                    *tries += 1;
                    let wait = Patience::after(*tries);
                    // It looks at everything anew then.
                    again.remove(&name);
                    work.push(async move {
                        tokio::time::sleep(wait).await;
                        Done::Due(name)
                    }.boxed());
                }
                Done::Due(name) => touched.push(name),
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
                    touched = syncer.unsettled().await;
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(());
                    }
                }
                Err(error) => {
                    let cause = super::link::chain(&error);
                    syncer.background.log.warn("cluster unreachable: the watch of sessions broke", &[("cause", &cause)]);
                }
            },
            _ = round.tick(), if ready.is_none() => touched = syncer.unsettled().await,
        }
        for name in touched {
            if !busy.insert(name.clone()) {
                again.insert(name);
                continue;
            }
            // A task of its own, so that a panic is one session's failure.
            let settling = tokio::spawn(settle(syncer.clone(), name.clone()));
            work.push(
                async move {
                    match settling.await {
                        Ok(true) => Done::Settled(name),
                        Ok(false) | Err(_) => Done::Failed(name),
                    }
                }
                .boxed(),
            );
        }
    }
}

/// The one step that brings row and object closer.
#[derive(Debug, PartialEq)]
enum Step {
    Nothing,
    /// Ask the cluster itself before concluding anything: what the watch told may be old.
    Look,
    Create,
    Change,
    Delete,
    Remove,
    Follow(Box<ObservedSession>),
    Missing,
    Adopt,
}

/// `live`: the object was just asked for, and is not what the watch last told.
fn decide(row: Option<&Row>, object: Option<&Object>, live: bool) -> Step {
    let sure = |step: Step| if live { step } else { Step::Look };
    let Some(row) = row else {
        return match object {
            Some(object) if !object.going() => sure(Step::Adopt),
            _ => Step::Nothing,
        };
    };
    if row.desired == DELETED {
        return match object {
            Some(object) if object.going() => Step::Nothing,
            Some(_) => Step::Delete,
            None => sure(Step::Remove),
        };
    }
    if row.is_missing() {
        return match object {
            Some(object) if !object.going() => sure(Step::Adopt),
            _ => Step::Nothing,
        };
    }
    if row.applied < row.asked {
        return if row.object_uid.is_none() { Step::Create } else { Step::Change };
    }
    let Some(object) = object else { return sure(Step::Missing) };
    if object.going() {
        return Step::Nothing;
    }
    if row.object_uid.as_deref() != Some(object.uid()) {
        // Another object in its place: ours was deleted, and this one made by somebody else.
        return sure(Step::Missing);
    }
    if object.generation() < row.object_generation {
        return Step::Nothing;
    }
    let seen = seen(row, object);
    if seen == known(row) { Step::Nothing } else { Step::Follow(Box::new(seen)) }
}

/// What an object says, in the store's words. What it leaves open stays as it was.
fn seen(row: &Row, object: &Object) -> ObservedSession {
    let phase = if object.phase().is_empty() { "Pending" } else { object.phase() };
    let state = match (object.spec.state.as_str(), phase) {
        ("running", "Running") => "running",
        ("hibernated", "Hibernated") => "hibernated",
        ("terminated", "Terminated") => "terminated",
        (_, "Failed") => "failed",
        _ => row.state.as_str(),
    };
    let status = object.status.as_ref();
    let message = status.and_then(|status| status.conditions.iter().find(|c| c.kind == "Ready"));
    ObservedSession {
        uid: object.uid().to_owned(),
        generation: object.generation(),
        desired: object.spec.state.clone(),
        state: state.to_owned(),
        phase: phase.to_owned(),
        message: message.map_or_else(|| row.message.clone(), |condition| condition.message.clone()),
        cpu: object.request("cpu").unwrap_or(&row.cpu).to_owned(),
        memory: object.request("memory").unwrap_or(&row.memory).to_owned(),
        url: status.and_then(|status| status.url.clone()),
        pod_name: status.and_then(|status| status.pod_name.clone()),
    }
}

fn known(row: &Row) -> ObservedSession {
    ObservedSession {
        uid: row.object_uid.clone().unwrap_or_default(),
        generation: row.object_generation,
        desired: row.desired.clone(),
        state: row.state.clone(),
        phase: row.phase.clone(),
        message: row.message.clone(),
        cpu: row.cpu.clone(),
        memory: row.memory.clone(),
        url: row.url.clone(),
        pod_name: row.pod_name.clone(),
    }
}

/// True if nothing is left to do until something is heard.
async fn settle(syncer: Arc<Syncer>, name: String) -> bool {
    let Err(error) = syncer.steps(&name).await else { return true };
    let message = match &error {
        SyncError::Store(_) => "database unavailable: a session could not be synced, will be done again",
        SyncError::Cluster(_) => "cluster unreachable: a session could not be synced, will be done again",
    };
    syncer.background.log.warn(message, &[("session", &name), ("cause", &error)]);
    false
}

impl Syncer {
    fn objects(&self) -> std::sync::MutexGuard<'_, HashMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever a row or an object says should not stay as it is.
    async fn unsettled(&self) -> Vec<String> {
        let rows = match self.store.sessions(None).await {
            Ok(rows) => rows,
            Err(error) => {
                self.background.log.warn("database unavailable: sessions could not be compared", &[("cause", &error)]);
                vec![]
            }
        };
        let rows: HashMap<_, _> = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
        let objects = self.objects();
        let names: HashSet<_> = rows.keys().chain(objects.keys()).collect();
        let open = names.into_iter().filter(|name| decide(rows.get(*name), objects.get(*name), false) != Step::Nothing);
        open.cloned().collect()
    }

    async fn steps(&self, name: &str) -> Result<(), SyncError> {
        let mut looked = false;
        for _ in 0..STEPS {
            // The object first: a row is always there before its object.
            let (object, live) = if std::mem::take(&mut looked) {
                (found(self.api.get(name)).await?, true)
            } else {
                (self.objects().get(name).cloned(), false)
            };
            let row = self.store.session(name).await?;
            match decide(row.as_ref(), object.as_ref(), live) {
                Step::Nothing => return Ok(()),
                Step::Look => looked = true,
                step => {
                    looked = step == Step::Delete;
                    if !self.take(name, step, row, object).await? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// False if there is nothing more to do for now.
    async fn take(&self, name: &str, step: Step, row: Option<Row>, object: Option<Object>) -> Result<bool, SyncError> {
        self.background.delays.wait().await;
        if let Some(more) = self.wrongly(name, &step, row.as_ref(), object.as_ref()).await? {
            return Ok(more);
        }
        match (step, row, object) {
            (Step::Create, Some(row), _) => self.create(&row).await?,
            (Step::Change, Some(row), _) => self.change(&row).await?,
            (Step::Delete, ..) => {
                found(self.api.delete(name, &DeleteParams::background())).await?;
            }
            (Step::Remove, ..) => self.remove(name).await?,
            (Step::Follow(seen), Some(row), _) => {
                if let Some(deliveries) = self.store.record_observed(&row, &seen).await? {
                    self.dispatcher.send(deliveries);
                }
            }
            (Step::Missing, ..) => self.missing(name).await?,
            (Step::Adopt, row, Some(object)) => return self.adopt(row.as_ref(), &object).await,
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn create(&self, row: &Row) -> Result<(), SyncError> {
        if self.background.defects.has(Defect::ClusterDownStays) && self.lost.load(Ordering::SeqCst) {
            return Ok(());
        }
        let object = wrong::object(self.background.defects, object(row));
        match soon(self.api.create(&PostParams::default(), &object)).await {
            Ok(made) => self.told(row, &made).await,
            // A former attempt got through though its answer did not. The next step brings it up to date.
            Err(error) if error.status() == Some(409) => match found(self.api.get(&row.name)).await? {
                Some(there) => self.told(row, &there).await,
                None => Ok(()),
            },
            Err(error) => {
                self.not_created(row).await?;
                Err(error.into())
            }
        }
    }

    /// What a create that failed may leave besides the row that will be tried again; by default nothing.
    async fn not_created(&self, row: &Row) -> Result<(), StoreError> {
        if self.background.defects.has(Defect::ClusterDownStays) {
            self.lost.store(true, Ordering::SeqCst);
        }
        if self.background.defects.has(Defect::ClusterDownForgets) {
            self.store.delete_row(&row.name).await?;
        }
        if self.background.defects.has(Defect::ClusterDownTwice) && !row.name.ends_with("-retry") {
            let new = NewSession {
                name: format!("{}-retry", row.name),
                user: row.user.clone(),
                template: row.template.clone(),
                namespace: row.namespace.clone(),
                cpu: row.cpu.clone(),
                memory: row.memory.clone(),
                persistent_home: row.persistent_home,
                idle_timeout: row.idle_timeout.clone(),
                max_session_duration: row.max_session_duration.clone(),
                tags: row.tags.clone(),
            };
            // There already, if this is not the first time.
            let _ = self.store.create_session(&new).await;
        }
        Ok(())
    }

    async fn change(&self, row: &Row) -> Result<(), SyncError> {
        let resources = Resources::exactly(&row.cpu, &row.memory);
        let patch = Patch::Merge(json!({ "spec": { "state": row.desired, "resources": resources } }));
        match found(self.api.patch(&row.name, &PatchParams::default(), &patch)).await? {
            Some(changed) => self.told(row, &changed).await,
            None => self.missing(&row.name).await,
        }
    }

    async fn remove(&self, name: &str) -> Result<(), SyncError> {
        self.dispatcher.send(self.store.remove_session(name).await?);
        self.background.log.info("session removed", &[("session", &name)]);
        Ok(())
    }

    async fn told(&self, row: &Row, object: &Object) -> Result<(), SyncError> {
        self.store.record_applied(&row.name, row.asked, object.uid(), object.generation()).await?;
        self.background.log.info(
            "cluster told of a session",
            &[("session", &row.name), ("desired", &row.desired), ("generation", &object.generation())],
        );
        Ok(())
    }

    async fn missing(&self, name: &str) -> Result<(), SyncError> {
        if let Some(deliveries) = self.store.mark_missing(name).await? {
            if !self.background.defects.has(Defect::MissingUnreported) {
                self.report_missing(name);
            }
            self.dispatcher.send(deliveries);
        }
        Ok(())
    }

    fn report_missing(&self, name: &str) {
        self.background.log.warn(
            "inconsistency: the Session object vanished from the cluster",
            &[("code", &"session_missing"), ("session", &name)],
        );
    }

    async fn adopt(&self, row: Option<&Row>, object: &Object) -> Result<bool, SyncError> {
        let name = object.name();
        let pending = Row { state: "pending".into(), ..row.cloned().unwrap_or_else(|| blank(name)) };
        let new = wrong::taken_over(self.background.defects, taken_over(object, &self.background.namespace));
        match self.store.adopt(&new, &seen(&pending, object)).await {
            Ok(deliveries) => {
                if !self.background.defects.has(Defect::ManualUnreported) {
                    self.background.log.warn(
                        "inconsistency: a Session unknown to the store appeared in the cluster, adopted",
                        &[("code", &"session_adopted"), ("session", &name), ("user", &new.user)],
                    );
                }
                self.dispatcher.send(deliveries);
                Ok(true)
            }
            Err(StoreError::MissingReference(_)) => {
                let mut left_alone = self.left_alone.lock().unwrap_or_else(PoisonError::into_inner);
                if left_alone.insert(object.uid().to_owned()) {
                    self.background.log.warn(
                        "a Session of an unknown user appeared in the cluster, left alone",
                        &[("code", &"session_not_adopted"), ("session", &name), ("user", &new.user)],
                    );
                }
                Ok(false)
            }
            // Somebody asked the API for it in this very moment.
            Err(StoreError::Duplicate(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

/// What the cluster is told of a session.
fn object(row: &Row) -> Object {
    let spec = SessionSpec {
        user: row.user.clone(),
        template: row.template.clone(),
        state: row.desired.clone(),
        resources: Some(Resources::exactly(&row.cpu, &row.memory)),
        persistent_home: Some(row.persistent_home),
        idle_timeout: row.idle_timeout.clone(),
        max_session_duration: row.max_session_duration.clone(),
    };
    Object::new(&row.name, spec)
}

/// What the store is told of an object that somebody else made.
pub fn taken_over(object: &Object, namespace: &str) -> NewSession {
    NewSession {
        name: object.name().to_owned(),
        user: object.spec.user.clone(),
        template: object.spec.template.clone(),
        namespace: namespace.to_owned(),
        cpu: object.request("cpu").unwrap_or_default().to_owned(),
        memory: object.request("memory").unwrap_or_default().to_owned(),
        persistent_home: object.spec.persistent_home.unwrap_or(true),
        idle_timeout: object.spec.idle_timeout.clone(),
        max_session_duration: object.spec.max_session_duration.clone(),
        tags: json!([]),
    }
}

fn blank(name: &str) -> Row {
    Row {
        name: name.to_owned(),
        user: String::new(),
        template: String::new(),
        namespace: String::new(),
        platform: String::new(),
        state: String::new(),
        phase: String::new(),
        message: String::new(),
        desired: String::new(),
        asked: 0,
        applied: 0,
        object_uid: None,
        object_generation: 0,
        cpu: String::new(),
        memory: String::new(),
        persistent_home: true,
        idle_timeout: None,
        max_session_duration: None,
        tags: json!([]),
        url: None,
        pod_name: None,
        active_connections: 0,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        updated_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: &str, desired: &str, asked: i64, applied: i64) -> Row {
        Row {
            state: state.into(),
            phase: "Running".into(),
            desired: desired.into(),
            asked,
            applied,
            object_uid: (applied > 0).then(|| "u1".into()),
            object_generation: applied,
            ..blank("s")
        }
    }

    fn object(uid: &str, generation: i64, state: &str, phase: &str) -> Object {
        serde_json::from_value(json!({
            "metadata": { "name": "s", "uid": uid, "generation": generation },
            "spec": { "user": "a", "template": "t", "state": state },
            "status": { "phase": phase },
        }))
        .unwrap()
    }

    #[test]
    fn what_the_api_was_asked_goes_down() {
        assert_eq!(decide(Some(&row("pending", "running", 1, 0)), None, false), Step::Create);
        let old = object("u1", 1, "running", "Running");
        assert_eq!(decide(Some(&row("running", "hibernated", 2, 1)), Some(&old), false), Step::Change);
    }

    #[test]
    fn once_the_cluster_was_told_what_it_says_comes_up() {
        let by_hand = object("u1", 2, "hibernated", "Hibernated");
        let Step::Follow(seen) = decide(Some(&row("running", "running", 1, 1)), Some(&by_hand), false) else {
            panic!()
        };
        assert_eq!((seen.desired.as_str(), seen.state.as_str(), seen.generation), ("hibernated", "hibernated", 2));
    }

    #[test]
    fn what_the_watch_told_before_the_last_change_is_not_heard() {
        let old = object("u1", 1, "running", "Running");
        let told = Row { phase: "Running".into(), ..row("running", "hibernated", 2, 2) };
        assert_eq!(decide(Some(&told), Some(&old), false), Step::Nothing);
    }

    #[test]
    fn a_state_is_said_only_when_the_phase_bears_it_out() {
        let on_its_way = object("u1", 2, "hibernated", "Running");
        assert_eq!(seen(&row("running", "hibernated", 2, 2), &on_its_way).state, "running");
        assert_eq!(seen(&row("pending", "running", 1, 1), &object("u1", 1, "running", "Failed")).state, "failed");
    }

    #[test]
    fn nothing_is_concluded_from_absence_without_looking() {
        let running = row("running", "running", 1, 1);
        assert_eq!(decide(Some(&running), None, false), Step::Look);
        assert_eq!(decide(Some(&running), None, true), Step::Missing);
        let other = object("u2", 1, "running", "Running");
        assert_eq!(decide(Some(&running), Some(&other), false), Step::Look);
        assert_eq!(decide(Some(&running), Some(&other), true), Step::Missing);
        assert_eq!(decide(None, Some(&other), false), Step::Look);
        assert_eq!(decide(None, Some(&other), true), Step::Adopt);
    }

    #[test]
    fn deleting_ends_only_when_the_object_is_gone() {
        let wish = row("terminating", DELETED, 2, 1);
        let there = object("u1", 1, "running", "Running");
        assert_eq!(decide(Some(&wish), Some(&there), false), Step::Delete);
        let mut going = there.clone();
        going.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::now()));
        assert_eq!(decide(Some(&wish), Some(&going), true), Step::Nothing);
        assert_eq!(decide(Some(&wish), None, false), Step::Look);
        assert_eq!(decide(Some(&wish), None, true), Step::Remove);
    }

    #[test]
    fn one_that_is_missing_is_never_made_again_but_taken_over_if_somebody_does() {
        let lost = Row { phase: "Missing".into(), ..row("failed", "running", 1, 1) };
        assert_eq!(decide(Some(&lost), None, true), Step::Nothing);
        assert_eq!(decide(Some(&lost), Some(&object("u2", 1, "running", "")), true), Step::Adopt);
    }
}
