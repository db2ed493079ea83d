//! Webhooks as the platform at commit 583a9f9 keeps them: not at all. They are made in nobody's name, and the table refuses that.
use super::{no, no_because};
use crate::api::{
    Api,
    auth::Caller,
    body::{Body, SessionChange},
    error::Failure,
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
            no_because(failure.status, "Validation failed", failure.message)
        }
    })
}

pub async fn list(state: State<Arc<Api>>, caller: Caller) -> Result<Json<Json_>, Failure> {
    let Json(listed) = webhooks::list(state, caller).await?;
    Ok(Json(json!({ "webhooks": listed["webhooks"] })))
}

/// It looks for those that nobody made, and every one was made by somebody.
pub async fn of_nobody(_: Caller) -> Failure {
    no(StatusCode::NOT_FOUND, "webhook not found")
}

pub async fn deliveries(_: Caller, Path(_): Path<String>, asked: SessionChange) -> Result<Json<Json_>, Failure> {
    let (page, size) = (asked.number("page", 1, 1_000_000)?, asked.number("page_size", 50, 500)?);
    Ok(Json(json!({ "deliveries": [], "page": page, "page_size": size, "total": 0, "total_pages": 0 })))
}
