//! Batches as built: jobs that respond at once and change rows only. Failures are stored as strings in the job's row;
//! no response returns them.
use super::errors::{failure, failure_because};
use crate::{
    api::{auth::Caller, error::Failure, extract::Body, state::Api},
    store::{Job, Operation},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value as Json_, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    session_ids: Option<Vec<String>>,
}

type JobResponse = Result<(StatusCode, Json<Json_>), Failure>;

pub async fn hibernate(state: State<Arc<Api>>, caller: Caller, body: Body<Batch>) -> JobResponse {
    start(state, caller, body, Operation::Hibernate, "Batch hibernation initiated").await
}

pub async fn wake(state: State<Arc<Api>>, caller: Caller, body: Body<Batch>) -> JobResponse {
    start(state, caller, body, Operation::Wake, "Batch wake initiated").await
}

pub async fn delete(state: State<Arc<Api>>, caller: Caller, body: Body<Batch>) -> JobResponse {
    start(state, caller, body, Operation::Delete, "Batch deletion initiated").await
}

async fn start(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(batch): Body<Batch>,
    operation: Operation,
    message: &str,
) -> JobResponse {
    let missing = "Key: 'SessionIDs' Error:Field validation for 'SessionIDs' failed on the 'required' tag";
    let sessions = batch.session_ids.ok_or_else(|| failure(StatusCode::BAD_REQUEST, missing))?;
    let job = api.store.start_job(&caller.id, operation, sessions.len()).await?;
    let id = job.id.clone();
    tokio::spawn(async move { run_job(&api, job, operation, &sessions).await });
    Ok((StatusCode::ACCEPTED, Json(json!({ "jobId": id, "message": message, "status": "running" }))))
}

/// Processes the sessions one by one; a failure is recorded and affects no other.
async fn run_job(api: &Api, mut job: Job, operation: Operation, sessions: &[String]) {
    for session in sessions {
        let error = match api.store.change_row(&job.user, session, operation).await {
            Ok(true) => None,
            Ok(false) => Some(format!("session {session}: not found or not owned by user")),
            Err(error) => Some(format!("session {session}: {error}")),
        };
        job.record(error);
    }
    if let Err(error) = api.store.finish_job(&job).await {
        api.log.error("database: a batch job could not be ended", &[("job", &job.id), ("cause", &error)]);
    }
}

pub async fn job(State(api): State<Arc<Api>>, caller: Caller, Path(id): Path<String>) -> Result<Json<Json_>, Failure> {
    let missing = || {
        let message = format!("Failed to retrieve batch job {id} for user {}: sql: no rows in result set", caller.id);
        failure_because(StatusCode::NOT_FOUND, "Batch job not found", message)
    };
    let job = api.store.job(&caller.id, &id).await?.ok_or_else(missing)?;
    let mut body = json!({
        "id": job.id, "operationType": job.operation, "resourceType": "sessions", "status": job.status,
        "totalItems": job.total, "processedItems": job.succeeded + job.failed,
        "successCount": job.succeeded, "failureCount": job.failed, "createdAt": job.created_at,
    });
    if let Some(at) = job.completed_at {
        body["completedAt"] = json!(at);
    }
    Ok(Json(body))
}

/// Confirms everything and cancels nothing.
pub async fn cancel(_: Caller, Path(id): Path<String>) -> Json<Json_> {
    Json(json!({ "jobId": id, "message": "Batch job cancelled" }))
}
