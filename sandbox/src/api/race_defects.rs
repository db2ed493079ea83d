//! Defects in the handling of concurrent requests.
//!
//! Each race is kept open for `RACE_WINDOW`, so that it occurs on fast and slow machines alike.
use super::state::Api;
use crate::{
    damage,
    defect::Defect,
    kinds::{Session as Object, session_name},
    link::found,
    store::{DELETED, NewSession, Session, SessionChange, StoreError},
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value as Json, json};
use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::MutexGuard;

/// So many deletes at the same time take another session with them.
const MANY_DELETES: usize = 6;
const RACE_WINDOW: Duration = Duration::from_millis(150);
/// Two creates within this interval are taken for a double click.
const DOUBLE_CLICK_INTERVAL: Duration = Duration::from_millis(50);
/// How long an overtaken update may stay in flight.
const MAX_IN_FLIGHT: Duration = Duration::from_secs(5);
/// How long a create blocks the others.
const SERIAL_CREATE_TIME: Duration = Duration::from_millis(700);

async fn insert(api: &Api, new: &NewSession) -> Result<Session, StoreError> {
    let (session, deliveries) = api.store.create_session(new).await?;
    api.changes.notify(&session.name);
    api.dispatcher.send(deliveries);
    Ok(session)
}

pub async fn create(api: &Api, new: &NewSession) -> Result<Session, StoreError> {
    let races = &api.races;
    let wrong = |defect| api.defects.has(defect);
    let _turn = if wrong(Defect::OneAtATime) {
        let turn = races.create_lock.lock().await;
        tokio::time::sleep(SERIAL_CREATE_TIME).await;
        Some(turn)
    } else {
        None
    };
    if wrong(Defect::NamesCollide) {
        return create_numbered(api, new).await;
    }
    if wrong(Defect::CreateRefused) {
        let _locked = races.create_lock.try_lock().map_err(|_| StoreError::Refused("database is locked".into()))?;
        tokio::time::sleep(RACE_WINDOW).await;
        return insert(api, new).await;
    }
    if wrong(Defect::CreateLost) {
        let last = races.last_create.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if last.is_some_and(|last| last.elapsed() < DOUBLE_CLICK_INTERVAL) {
            return Ok(Session::new(new));
        }
    }
    if wrong(Defect::ReadsWait) {
        *races.last_create.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
    if wrong(Defect::CreateSharesResources) || wrong(Defect::CreateSharesTags) {
        return insert(api, &with_shared_request(api, new).await).await;
    }
    if wrong(Defect::CreateTwice) {
        // with several creates in progress, a second worker also picks this one up
        races.creating.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(RACE_WINDOW).await;
        if races.creating.fetch_sub(1, Ordering::SeqCst) > 1 {
            insert(api, &NewSession { name: format!("{}-2", new.name), ..new.clone() }).await?;
        }
    }
    let made = insert(api, new).await?;
    if wrong(Defect::CreateMixesUp) {
        // returns the newest session instead of its own
        tokio::time::sleep(RACE_WINDOW).await;
        let newest = api.store.sessions(Some(&made.user)).await?.into_iter().next();
        return Ok(newest.unwrap_or(made));
    }
    Ok(made)
}

/// The session, with resources or tags of the last request within `RACE_WINDOW`.
async fn with_shared_request(api: &Api, new: &NewSession) -> NewSession {
    let last = || api.races.last_requested.lock().unwrap_or_else(PoisonError::into_inner);
    *last() = Some(new.clone());
    tokio::time::sleep(RACE_WINDOW).await;
    let shared = last().clone().unwrap_or_else(|| new.clone());
    match api.defects.has(Defect::CreateSharesTags) {
        true => NewSession { tags: shared.tags, ..new.clone() },
        false => NewSession { cpu: shared.cpu, memory: shared.memory, ..new.clone() },
    }
}

/// Names a session by a counter that is incremented only later. A session that has the name already is returned as the
/// created one.
async fn create_numbered(api: &Api, new: &NewSession) -> Result<Session, StoreError> {
    let number = api.races.next_number.load(Ordering::SeqCst);
    tokio::time::sleep(RACE_WINDOW).await;
    api.races.next_number.store(number.wrapping_add(1), Ordering::SeqCst);
    let name = session_name(&new.user, "session", number);
    match insert(api, &NewSession { name: name.clone(), ..new.clone() }).await {
        Err(StoreError::Duplicate(cause)) => api.store.session(&name).await?.ok_or(StoreError::Duplicate(cause)),
        made => made,
    }
}

pub async fn delete(api: &Api, name: &str, owner: Option<&str>) -> Result<SessionChange, StoreError> {
    let races = &api.races;
    if api.defects.has(Defect::DeleteLost) {
        // the list is read and written back later, so entries added in between are lost
        let list = || races.delete_list.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = list().clone();
        names.push(name.to_owned());
        tokio::time::sleep(RACE_WINDOW).await;
        *list() = names;
        tokio::time::sleep(RACE_WINDOW).await;
        let before = api.store.session(name).await?;
        let due = std::mem::take(&mut *list());
        for name in due {
            if let SessionChange::Recorded(_) = api.store.request_delete(&name, owner).await? {
                api.changes.notify(&name);
            }
        }
        return Ok(before.map_or(SessionChange::NotFound, |session| SessionChange::Recorded(Box::new(session))));
    }
    if api.defects.has(Defect::DeleteLeavesService) || api.defects.has(Defect::DeleteTakesBystander) {
        let others = races.deleting.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(RACE_WINDOW).await;
        races.deleting.fetch_sub(1, Ordering::SeqCst);
        if others > 0 && api.defects.has(Defect::DeleteLeavesService) {
            damage::abandon_service(&api.client, &api.namespace, name).await;
        }
        let oldest = || async {
            let deleted = api.store.session(name).await.ok()??;
            damage::others(&api.store, &deleted.user, &[]).await.into_iter().rfind(|row| row.desired != DELETED)
        };
        if others + 1 == MANY_DELETES
            && api.defects.has(Defect::DeleteTakesBystander)
            && let Some(oldest) = oldest().await
        {
            api.store.request_delete(&oldest.name, None).await?;
            api.changes.notify(&oldest.name);
        }
    }
    if api.defects.has(Defect::LostWakeup) {
        let first = races.first_delete.try_acquire();
        let done = {
            let mut done = races.delete_done.lock().unwrap_or_else(PoisonError::into_inner);
            if first.is_ok() {
                *done = Arc::default();
            }
            done.clone()
        };
        let change = api.store.request_delete(name, owner).await?;
        api.changes.notify(name);
        if first.is_ok() {
            tokio::time::sleep(RACE_WINDOW).await;
            // notifies only one waiter, which notifies no other
            done.notify_one();
        } else {
            done.notified().await;
        }
        return Ok(change);
    }
    api.store.request_delete(name, owner).await
}

/// Takes the locks of a state change: names before pods to hibernate, pods before names to wake.
pub async fn lock_for_state<'a>(api: &'a Api, state: &str) -> Option<(MutexGuard<'a, ()>, MutexGuard<'a, ()>)> {
    if !api.defects.has(Defect::Deadlock) {
        return None;
    }
    let (first, second) = match state {
        "hibernated" => (&api.races.name_lock, &api.races.pod_lock),
        _ => (&api.races.pod_lock, &api.races.name_lock),
    };
    let first = first.lock().await;
    tokio::time::sleep(RACE_WINDOW).await;
    Some((first, second.lock().await))
}

/// Waits before tags are written, so that concurrent updates have read the old ones.
pub async fn before_tags(api: &Api) {
    if api.defects.has(Defect::UpdateLosesTags) {
        tokio::time::sleep(RACE_WINDOW * 2).await;
    }
}

/// Writes the tags that an update read at its start, after others had time to change them.
pub async fn write_back_tags(api: &Api, name: &str, tags: &Json) -> Result<(), StoreError> {
    if api.defects.has(Defect::UpdateLosesTags) {
        tokio::time::sleep(RACE_WINDOW * 4).await;
        api.store.set_tags(name, tags, None).await?;
    }
    Ok(())
}

/// Sends an overtaken state to the cluster after the next one has been reached, without updating the row.
pub fn deliver_late(api: &Arc<Api>, update: &Session) {
    if !api.defects.has(Defect::UpdateSplits) {
        return;
    }
    let (api, update) = (api.clone(), update.clone());
    tokio::spawn(async move {
        let delayed = tokio::time::Instant::now() + MAX_IN_FLIGHT;
        let reached = loop {
            tokio::time::sleep(RACE_WINDOW).await;
            let done = |now: &Session| now.applied == now.requested && now.state == now.desired;
            match api.store.session(&update.name).await {
                Ok(Some(now)) if now.requested == update.requested + 1 && done(&now) => break true,
                Ok(Some(now)) if now.requested <= update.requested + 1 && tokio::time::Instant::now() < delayed => {}
                _ => break false,
            }
        };
        if !reached {
            return;
        }
        // lets the syncer ignore the resulting change
        let _ = api.store.skip_generations(&update.name, 2).await;
        let objects = kube::Api::<Object>::namespaced(api.client.clone(), &api.namespace);
        let state = Patch::Merge(json!({ "spec": { "state": update.desired } }));
        let _ = found(objects.patch(&update.name, &PatchParams::default(), &state)).await;
    });
}
