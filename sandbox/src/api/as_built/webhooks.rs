//! Webhooks as built: none can be created, because `created_by` is empty and violates the table's constraint.
use super::errors::{failure, failure_because};
use crate::api::{
    auth::Caller,
    error::Failure,
    extract::{Body, QueryParams},
    state::Api,
    webhooks::{self, Create},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Value as Json_, json};
use std::sync::Arc;

pub async fn create(
    state: State<Arc<Api>>,
    caller: Caller,
    body: Body<Create>,
) -> Result<(StatusCode, Json<Json_>), Failure> {
    webhooks::create(state, caller, body).await.map_err(|failure| {
        if failure.status.is_server_error() {
            Failure { code: "", message: "failed to create webhook".into(), ..failure }
        } else {
            failure_because(failure.status, "Validation failed", failure.message)
        }
    })
}

pub async fn list(state: State<Arc<Api>>, caller: Caller) -> Result<Json<Json_>, Failure> {
    let Json(listed) = webhooks::list(state, caller).await?;
    Ok(Json(json!({ "webhooks": listed["webhooks"] })))
}

/// Always 404: the lookup is by the empty creator, and such webhooks cannot exist.
pub async fn webhook_not_found(_: Caller) -> Failure {
    failure(StatusCode::NOT_FOUND, "webhook not found")
}

pub async fn deliveries(_: Caller, Path(_): Path<String>, query: QueryParams) -> Result<Json<Json_>, Failure> {
    let (page, size) = (query.number("page", 1, 1_000_000)?, query.number("page_size", 50, 500)?);
    Ok(Json(json!({ "deliveries": [], "page": page, "page_size": size, "total": 0, "total_pages": 0 })))
}
