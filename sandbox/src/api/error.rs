//! Failures of the API: status, code and message for the client; the cause is only logged.
use crate::{link::ClusterError, store::StoreError};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

#[derive(Debug, Clone)]
pub struct Failure {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    /// Only logged, never sent to the client.
    pub cause: Option<String>,
}

impl Failure {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Failure {
        Failure { status, code, message: message.into(), cause: None }
    }

    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub fn with_cause(self, cause: impl Into<String>) -> Failure {
        Failure { cause: Some(cause.into()), ..self }
    }

    pub fn session_not_found() -> Failure {
        Failure::new(StatusCode::NOT_FOUND, "session_not_found", "Session not found")
    }

    pub fn forbidden() -> Failure {
        Failure::new(StatusCode::FORBIDDEN, "forbidden", "Insufficient permissions")
    }

    pub fn internal(cause: impl Into<String>) -> Failure {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong inside the platform")
            .with_cause(cause)
    }

    /// For responses that the framework generated: unknown route, body too large.
    pub fn from_status(status: StatusCode) -> Failure {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => ("route_not_found", "There is no such route"),
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "This route does not take that method"),
            StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "The request body is too large"),
            status if status.is_server_error() => ("internal_error", "Something went wrong inside the platform"),
            _ => ("bad_request", "The request could not be understood"),
        };
        Failure::new(status, code, message)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        match error {
            StoreError::Unavailable(_) => Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_unavailable",
                "The database is unavailable, please try again later",
            )
            .with_cause(error.to_string()),
            error => Failure::internal(format!("database: {error}")),
        }
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Failure {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "cluster_unavailable",
            "The Kubernetes cluster is unreachable, please try again later",
        )
        .with_cause(error.to_string())
    }
}

/// The body is rendered in one place, where the request id is known.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
