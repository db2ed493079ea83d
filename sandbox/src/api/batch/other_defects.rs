//! Defects of a batch on sessions that it does not name or refuses, and those that appear later.
use super::{
    apply,
    item_defects::unknown_session,
    result::{BatchOperation, ItemResult, NOT_FOUND},
};
use crate::{
    api::{auth::Caller, state::Api},
    damage,
    defect::Defect as D,
    store::{Session, StoreError},
};

/// Acts on a session that has the requested state already.
pub async fn after_refusal(api: &Api, session: &Session) {
    if api.defects.has(D::BatchRefusedRestarts) {
        damage::restart(&api.client, &api.namespace, &session.name).await;
    }
    if api.defects.has(D::BatchRefusedLabels) {
        damage::label(&api.client, &api.namespace, &session.name).await;
    }
    if api.defects.has(D::BatchRefusedUntags) {
        damage::untag(&api.store, std::slice::from_ref(session)).await;
    }
}

/// Acts on the user's sessions that the batch does not name.
pub async fn act_on_others(
    api: &Api,
    caller: &Caller,
    operation: BatchOperation,
    results: &[ItemResult],
) -> Result<(), StoreError> {
    let defects = [D::BatchRestartsOthers, D::BatchLabelsOthers, D::BatchUntagsOthers, D::BatchTakesOthers];
    if !defects.into_iter().any(|defect| api.defects.has(defect)) {
        return Ok(());
    }
    let named: Vec<String> = results.iter().map(|item| item.name.clone()).collect();
    let others = damage::others(&api.store, &caller.id, &named).await;
    if api.defects.has(D::BatchUntagsOthers) {
        damage::untag(&api.store, &others).await;
    }
    for other in others {
        if api.defects.has(D::BatchRestartsOthers) {
            damage::restart(&api.client, &api.namespace, &other.name).await;
        }
        if api.defects.has(D::BatchLabelsOthers) {
            damage::label(&api.client, &api.namespace, &other.name).await;
        }
        if api.defects.has(D::BatchTakesOthers) && other.state == "hibernated" {
            apply::apply(api, caller, &other.name, operation).await?;
            api.changes.notify(&other.name);
        }
    }
    Ok(())
}

/// Acts when the batch is long over.
pub fn act_later(api: &Api, caller: &Caller, results: &[ItemResult], before: &[Session]) {
    let (store, changes) = (api.store.clone(), api.changes.clone());
    if let (true, Some(first)) = (api.defects.has(D::BatchUndoneLater), before.first().cloned()) {
        let (store, changes) = (store.clone(), changes.clone());
        tokio::spawn(async move {
            tokio::time::sleep(damage::LATER).await;
            store.request_state(&first.name, &first.desired, None).await.map(|_| changes.notify(&first.name))
        });
    }
    if api.defects.has(D::BatchMakesUnknownLater) {
        let unknown = results.iter().filter(|item| item.error.as_deref() == Some(NOT_FOUND));
        let new: Vec<_> = unknown.map(|item| unknown_session(&item.name, &caller.id, &api.namespace)).collect();
        tokio::spawn(async move {
            tokio::time::sleep(damage::LATER).await;
            for session in new {
                let _ = store.create_session(&session).await;
                changes.notify(&session.name);
            }
        });
    }
}
