//! The health route.
use axum::{Json, response::IntoResponse};
use serde_json::json;

/// Reports only that the process runs; cluster and database may be unreachable.
pub async fn health() -> impl IntoResponse {
    Json(json!({ "status": "healthy", "service": "streamspace-api" }))
}
