//! Errors as built.
use crate::api::error::Failure;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// The code of a failure whose cause is included in the response.
const DETAILED: &str = "detailed";

pub fn failure(status: StatusCode, error: &str) -> Failure {
    Failure::new(status, "", error)
}

pub fn failure_because(status: StatusCode, error: &str, message: impl Into<String>) -> Failure {
    Failure::new(status, DETAILED, error).with_cause(message)
}

/// `{"error"}`, optionally with `message`. Responses of the framework stay unchanged.
pub fn render_error(failure: Option<&Failure>, response: Response) -> Response {
    let Some(failure) = failure else { return response };
    let mut body = json!({ "error": failure.message });
    if let (DETAILED, Some(cause)) = (failure.code, &failure.cause) {
        body["message"] = json!(cause);
    }
    (failure.status, Json(body)).into_response()
}
