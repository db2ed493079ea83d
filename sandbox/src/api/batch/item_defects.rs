//! Defects in the selection and processing of a batch's sessions.
use super::result::BatchOperation;
use crate::{
    api::{
        auth::Caller,
        resources::{DEFAULT_CPU, DEFAULT_MEMORY},
        state::Api,
    },
    defect::{Defect as D, Defects},
    kinds::Session as Object,
    link::found,
    store::{NewSession, Session, SessionChange, StoreError},
};
use kube::api::DeleteParams;
use serde_json::json;

/// How many names a batch that handles a page handles.
const PAGE_SIZE: usize = 3;

/// The names to process. The defect drops unknown names, as `select … where id in (…)` does.
pub async fn known_names(api: &Api, names: &[String]) -> Result<Vec<String>, StoreError> {
    if api.defects.has(D::BatchFirstPage) {
        return Ok(names.iter().take(PAGE_SIZE).cloned().collect());
    }
    if !api.defects.has(D::BatchDropsUnknown) {
        return Ok(names.to_vec());
    }
    let known: Vec<_> = api.store.sessions(None).await?.into_iter().map(|session| session.name).collect();
    Ok(names.iter().filter(|name| known.contains(name)).cloned().collect())
}

/// The names in the order of processing, as the defects change them.
pub fn processed_names(defects: Defects, names: &[String]) -> Vec<&String> {
    let count = match () {
        () if defects.has(D::BatchSkipsLast) => names.len().saturating_sub(1),
        () if defects.has(D::BatchPageOfEffects) => names.len().min(PAGE_SIZE),
        () => names.len(),
    };
    // a closure that captures the loop variable itself sees its last value
    let captured = |name| if defects.has(D::BatchActsOnLast) { &names[names.len() - 1] } else { name };
    names[..count].iter().map(captured).collect()
}

/// The sessions before the batch, for defects that restore or compare them.
pub async fn sessions_before(api: &Api, names: &[String]) -> Result<Vec<Session>, StoreError> {
    let mut before = vec![];
    let needed_by = [D::BatchRollsBack, D::BatchPutsBack, D::BatchTouchesAlike, D::BatchUndoneLater];
    if needed_by.into_iter().any(|defect| api.defects.has(defect)) {
        for name in names {
            before.extend(api.store.session(name).await?);
        }
    }
    Ok(before)
}

/// Replaces the correct operation on one session; `None` without such a defect.
pub async fn apply(
    api: &Api,
    caller: &Caller,
    name: &str,
    operation: BatchOperation,
) -> Option<Result<SessionChange, StoreError>> {
    match operation {
        _ if api.defects.has(D::BatchInDatabaseOnly) => Some(change_row_only(api, name, operation).await),
        BatchOperation::Delete if api.defects.has(D::BatchDeleteKeepsRow) => Some(delete_object_only(api, name).await),
        BatchOperation::Delete if api.defects.has(D::BatchDeleteHibernates) => {
            Some(api.store.request_state(name, "hibernated", caller.owner()).await)
        }
        BatchOperation::Delete if api.defects.has(D::BatchDeleteSkipsHibernated) => skip_hibernated(api, name).await,
        BatchOperation::Hibernate | BatchOperation::Wake if api.defects.has(D::BatchResetsResources) => {
            let _ = api.store.request_resources(name, DEFAULT_CPU, DEFAULT_MEMORY, caller.owner()).await;
            None
        }
        BatchOperation::Hibernate | BatchOperation::Wake if api.defects.has(D::BatchDropsTags) => {
            let _ = api.store.set_tags(name, &json!([]), caller.owner()).await;
            None
        }
        BatchOperation::Hibernate if api.defects.has(D::BatchToggles) => Some(toggle(api, caller, name).await),
        _ if api.defects.has(D::BatchMakesUnknown) => create_unknown(api, caller, name).await,
        _ => None,
    }
}

async fn change_row_only(api: &Api, name: &str, operation: BatchOperation) -> Result<SessionChange, StoreError> {
    let Some(row) = api.store.session(name).await? else { return Ok(SessionChange::NotFound) };
    match operation {
        BatchOperation::Hibernate if row.state == "hibernated" => return Ok(SessionChange::Unchanged(Box::new(row))),
        BatchOperation::Wake if row.state == "running" => return Ok(SessionChange::Unchanged(Box::new(row))),
        BatchOperation::Hibernate => write_state(api, &row, "hibernated", "Hibernated").await?,
        BatchOperation::Wake => write_state(api, &row, "running", "Running").await?,
        BatchOperation::Delete => api.store.delete_row(name).await?,
    }
    Ok(SessionChange::Recorded(Box::new(row)))
}

async fn write_state(api: &Api, row: &Session, state: &str, phase: &str) -> Result<(), StoreError> {
    api.store.overwrite_row(&Session { state: state.into(), phase: phase.into(), ..row.clone() }).await
}

async fn delete_object_only(api: &Api, name: &str) -> Result<SessionChange, StoreError> {
    let Some(row) = api.store.session(name).await? else { return Ok(SessionChange::NotFound) };
    let objects = kube::Api::<Object>::namespaced(api.client.clone(), &api.namespace);
    let deleted = found(objects.delete(name, &DeleteParams::background())).await;
    deleted.map(|_| SessionChange::Recorded(Box::new(row))).map_err(|error| StoreError::Refused(error.to_string()))
}

async fn skip_hibernated(api: &Api, name: &str) -> Option<Result<SessionChange, StoreError>> {
    let row = api.store.session(name).await.ok()??;
    (row.state == "hibernated").then(|| Ok(SessionChange::Recorded(Box::new(row))))
}

/// Inverts the state instead of setting it.
async fn toggle(api: &Api, caller: &Caller, name: &str) -> Result<SessionChange, StoreError> {
    let change = api.store.request_state(name, "hibernated", caller.owner()).await?;
    if let SessionChange::Unchanged(_) = change {
        api.store.request_state(name, "running", caller.owner()).await?;
        api.changes.notify(name);
    }
    Ok(change)
}

/// Inserts an unknown session, as an upsert does.
async fn create_unknown(api: &Api, caller: &Caller, name: &str) -> Option<Result<SessionChange, StoreError>> {
    match api.store.session(name).await {
        Ok(None) => {}
        Ok(Some(_)) => return None,
        Err(error) => return Some(Err(error)),
    }
    let new = unknown_session(name, &caller.id, &api.namespace);
    Some(api.store.create_session(&new).await.map(|_| SessionChange::NotFound))
}

/// A session made of nothing but its name.
pub fn unknown_session(name: &str, user: &str, namespace: &str) -> NewSession {
    NewSession {
        name: name.to_owned(),
        user: user.to_owned(),
        template: "unknown".into(),
        namespace: namespace.to_owned(),
        cpu: "100m".into(),
        memory: "128Mi".into(),
        persistent_home: false,
        idle_timeout: None,
        max_session_duration: None,
        tags: json!([]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_or_repeats_the_last_session() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let with =
            |defect| processed_names(Defects::default().with(defect), &names).into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(with(D::BatchSkipsLast), ["a", "b"]);
        assert_eq!(with(D::BatchActsOnLast), ["c", "c", "c"]);
        assert_eq!(with(D::BatchPageOfEffects), ["a", "b", "c"]);
        let four = ["a", "b", "c", "d"].map(str::to_owned);
        assert_eq!(
            processed_names(Defects::default().with(D::BatchPageOfEffects), &four),
            [&four[0], &four[1], &four[2]]
        );
        assert_eq!(processed_names(Defects::default(), &names), names.iter().collect::<Vec<_>>());
    }
}
