//! The batch routes: one operation on many sessions. Failures do not affect the other sessions.
mod apply;
mod item_defects;
mod other_defects;
mod result;
mod result_defects;

use self::result::{BatchOperation, ItemResult, NOT_FOUND, result_json};
use super::{auth::Caller, error::Failure, extract::Body, state::Api};
use crate::{
    defect::Defect,
    store::{SessionChange, StoreError},
};
use axum::{extract::State, response::Response};
use serde::Deserialize;
use std::sync::Arc;

const MAX_SESSIONS: usize = 1000;

#[derive(Deserialize)]
pub struct Batch {
    sessions: Vec<String>,
}

type BatchResponse = Result<Response, Failure>;

pub async fn hibernate(State(api): State<Arc<Api>>, caller: Caller, Body(batch): Body<Batch>) -> BatchResponse {
    run_batch(&api, &caller, &batch.sessions, BatchOperation::Hibernate).await
}

pub async fn wake(State(api): State<Arc<Api>>, caller: Caller, Body(batch): Body<Batch>) -> BatchResponse {
    run_batch(&api, &caller, &batch.sessions, BatchOperation::Wake).await
}

pub async fn delete(State(api): State<Arc<Api>>, caller: Caller, Body(batch): Body<Batch>) -> BatchResponse {
    run_batch(&api, &caller, &batch.sessions, BatchOperation::Delete).await
}

async fn run_batch(api: &Api, caller: &Caller, names: &[String], operation: BatchOperation) -> BatchResponse {
    if names.is_empty() || names.len() > MAX_SESSIONS {
        return Err(Failure::bad_request("invalid_batch", format!("sessions must name 1 to {MAX_SESSIONS} sessions")));
    }
    let names = &item_defects::known_names(api, names).await?[..];
    let before = item_defects::sessions_before(api, names).await?;
    let mut results: Vec<ItemResult> = vec![];
    let mut outage: Option<StoreError> = None;
    for name in item_defects::processed_names(api.defects, names) {
        let error: Option<String> = match apply::apply(api, caller, name, operation).await {
            Ok(SessionChange::Recorded(_)) => {
                if !api.defects.has(Defect::BatchRollsBack) {
                    api.changes.notify(name);
                }
                None
            }
            Ok(SessionChange::Unchanged(_)) if api.defects.has(Defect::BatchAlreadyIsSuccess) => None,
            Ok(SessionChange::Unchanged(session)) => {
                other_defects::after_refusal(api, &session).await;
                Some(operation.already().into())
            }
            Ok(SessionChange::NotFound) => Some(NOT_FOUND.into()),
            Ok(SessionChange::Missing) => Some("Session is missing in the cluster; it can only be deleted".into()),
            Err(error) => {
                let failure = Failure::from(error.clone());
                outage = Some(error);
                Some(failure.message)
            }
        };
        caller.trail.record_item(operation.action(), "session", name, error.as_deref());
        let failed = error.is_some();
        results.push(ItemResult { name: name.clone(), error });
        if failed && api.defects.has(Defect::BatchStopsAtFailure) {
            break;
        }
    }
    let failed = results.iter().filter(|item| item.error.is_some()).count();
    if let (Some(outage), true) = (outage, failed == names.len()) {
        return Err(outage.into());
    }
    result_defects::after_batch(api, caller, operation, &results, before).await?;
    Ok(result_defects::respond(api, &results, result_json(names.len(), &results)))
}
