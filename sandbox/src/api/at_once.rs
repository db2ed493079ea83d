//! How requests that come at once get in each other's way when one of those defects is on. Without one each goes through as if
//! it were alone.
//!
//! Every race is held open for `WINDOW`, so that it is lost on a fast machine as on a busy one.
use super::Api;
use crate::{
    defect::Defect,
    kinds::{Session as Object, session_name},
    link::found,
    store::{NewSession, Session, SessionChange, StoreError},
};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Mutex as Lock, MutexGuard, Notify, Semaphore};

const WINDOW: Duration = Duration::from_millis(150);
/// Two creates of a user within this are taken for one that was clicked twice.
const DOUBLE_CLICK: Duration = Duration::from_millis(50);
/// How long a wish that was overtaken may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(5);
/// How long a create keeps all others waiting.
const SLOW: Duration = Duration::from_millis(700);

pub struct AtOnce {
    next: AtomicU32,
    creating: AtomicUsize,
    clicked: Mutex<Option<Instant>>,
    turn: Lock<()>,
    pods: Lock<()>,
    names: Lock<()>,
    to_delete: Mutex<Vec<String>>,
    delete: Semaphore,
    /// Told by the delete that others wait for when it is through.
    deleted: Mutex<Arc<Notify>>,
}

impl Default for AtOnce {
    fn default() -> AtOnce {
        AtOnce {
            next: AtomicU32::new(uuid::Uuid::new_v4().as_fields().0),
            creating: AtomicUsize::default(),
            clicked: Mutex::default(),
            turn: Lock::default(),
            pods: Lock::default(),
            names: Lock::default(),
            to_delete: Mutex::default(),
            delete: Semaphore::new(1),
            deleted: Mutex::default(),
        }
    }
}

async fn write(api: &Api, new: &NewSession) -> Result<Session, StoreError> {
    let (session, deliveries) = api.store.create_session(new).await?;
    api.wishes.changed(&session.name);
    api.dispatcher.send(deliveries);
    Ok(session)
}

pub async fn create(api: &Api, new: &NewSession) -> Result<Session, StoreError> {
    let at_once = &api.at_once;
    let wrong = |defect| api.defects.has(defect);
    let _turn = if wrong(Defect::OneAtATime) {
        let turn = at_once.turn.lock().await;
        tokio::time::sleep(SLOW).await;
        Some(turn)
    } else {
        None
    };
    if wrong(Defect::NamesCollide) {
        return numbered(api, new).await;
    }
    if wrong(Defect::CreateRefused) {
        let _locked = at_once.turn.try_lock().map_err(|_| StoreError::Refused("database is locked".into()))?;
        tokio::time::sleep(WINDOW).await;
        return write(api, new).await;
    }
    if wrong(Defect::CreateLost) {
        let last = at_once.clicked.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if last.is_some_and(|last| last.elapsed() < DOUBLE_CLICK) {
            return Ok(Session::new(new));
        }
    }
    if wrong(Defect::CreateTwice) {
        // Where others are under way, a second worker is put to it, and both get through.
        at_once.creating.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(WINDOW).await;
        if at_once.creating.fetch_sub(1, Ordering::SeqCst) > 1 {
            write(api, &NewSession { name: format!("{}-2", new.name), ..new.clone() }).await?;
        }
    }
    let made = write(api, new).await?;
    if wrong(Defect::CreateMixesUp) {
        // What was made last is taken for what was made here.
        tokio::time::sleep(WINDOW).await;
        let newest = api.store.sessions(Some(&made.user)).await?.into_iter().next();
        return Ok(newest.unwrap_or(made));
    }
    Ok(made)
}

/// The next number is read, and only later counted; and a name that is there is taken for one's own.
async fn numbered(api: &Api, new: &NewSession) -> Result<Session, StoreError> {
    let number = api.at_once.next.load(Ordering::SeqCst);
    tokio::time::sleep(WINDOW).await;
    api.at_once.next.store(number.wrapping_add(1), Ordering::SeqCst);
    let name = session_name(&new.user, "session", number);
    match write(api, &NewSession { name: name.clone(), ..new.clone() }).await {
        Err(StoreError::Duplicate(cause)) => api.store.session(&name).await?.ok_or(StoreError::Duplicate(cause)),
        made => made,
    }
}

pub async fn delete(api: &Api, name: &str, owner: Option<&str>) -> Result<SessionChange, StoreError> {
    let at_once = &api.at_once;
    if api.defects.has(Defect::DeleteLost) {
        // The list of what is to be deleted is read, and only later written: who wrote in between is forgotten.
        let list = || at_once.to_delete.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = list().clone();
        names.push(name.to_owned());
        tokio::time::sleep(WINDOW).await;
        *list() = names;
        tokio::time::sleep(WINDOW).await;
        let before = api.store.session(name).await?;
        let due = std::mem::take(&mut *list());
        for name in due {
            if let SessionChange::Recorded(_) = api.store.request_delete(&name, owner).await? {
                api.wishes.changed(&name);
            }
        }
        return Ok(before.map_or(SessionChange::NotFound, |session| SessionChange::Recorded(Box::new(session))));
    }
    if api.defects.has(Defect::LostWakeup) {
        let free = at_once.delete.try_acquire();
        let through = {
            let mut through = at_once.deleted.lock().unwrap_or_else(PoisonError::into_inner);
            if free.is_ok() {
                *through = Arc::default();
            }
            through.clone()
        };
        let asked = api.store.request_delete(name, owner).await?;
        api.wishes.changed(name);
        if free.is_ok() {
            tokio::time::sleep(WINDOW).await;
            // It wakes one, and that one wakes no other.
            through.notify_one();
        } else {
            through.notified().await;
        }
        return Ok(asked);
    }
    api.store.request_delete(name, owner).await
}

/// What a change of state holds while it is made: to hibernate takes names before pods, to wake takes pods before names.
pub async fn held<'a>(api: &'a Api, state: &str) -> Option<(MutexGuard<'a, ()>, MutexGuard<'a, ()>)> {
    if !api.defects.has(Defect::Deadlock) {
        return None;
    }
    let (first, second) = match state {
        "hibernated" => (&api.at_once.names, &api.at_once.pods),
        _ => (&api.at_once.pods, &api.at_once.names),
    };
    let first = first.lock().await;
    tokio::time::sleep(WINDOW).await;
    Some((first, second.lock().await))
}

/// A wish that was overtaken by the next while it was on its way arrives when that has come about, in the cluster alone.
pub fn overtaken(api: &Arc<Api>, wished: &Session) {
    if !api.defects.has(Defect::UpdateSplits) {
        return;
    }
    let (api, wished) = (api.clone(), wished.clone());
    tokio::spawn(async move {
        let delayed = tokio::time::Instant::now() + ON_ITS_WAY;
        let come = loop {
            tokio::time::sleep(WINDOW).await;
            let done = |now: &Session| now.applied == now.asked && now.state == now.desired;
            match api.store.session(&wished.name).await {
                Ok(Some(now)) if now.asked == wished.asked + 1 && done(&now) => break true,
                Ok(Some(now)) if now.asked <= wished.asked + 1 && tokio::time::Instant::now() < delayed => {}
                _ => break false,
            }
        };
        if !come {
            return;
        }
        // What comes of it is taken for the echo of what is known already.
        let _ = api.store.skip_generations(&wished.name, 2).await;
        let objects = kube::Api::<Object>::namespaced(api.client.clone(), &api.namespace);
        let state = Patch::Merge(json!({ "spec": { "state": wished.desired } }));
        let _ = found(objects.patch(&wished.name, &PatchParams::default(), &state)).await;
    });
}
