//! Error responses: the body for the client and the log line. Defects of both are applied here.
use super::{error::Failure, error_leaks};
use crate::{
    defect::{Defect as D, Defects},
    log::Log,
};
use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION},
    response::{Html, IntoResponse, Response},
};
use serde_json::json;
use std::fmt::Display;

/// A failed request.
pub struct FailedRequest<'a> {
    pub id: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub user: &'a str,
    pub headers: Option<&'a HeaderMap>,
}

/// Applies the defects that report one failure as another.
pub fn apply_defects(defects: Defects, failure: Failure) -> Failure {
    let new =
        |status, code, message: &str| Failure { cause: failure.cause.clone(), ..Failure::new(status, code, message) };
    match failure.code {
        "database_unavailable" if defects.has(D::DatabaseDown500) => {
            new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "The database query failed")
        }
        "database_unavailable" if defects.has(D::DatabaseDown401) => {
            new(StatusCode::UNAUTHORIZED, "unauthorized", "User not found")
        }
        "database_unavailable" => {
            let message = error_leaks::database_message(defects).map(str::to_owned);
            Failure { message: message.unwrap_or(failure.message), ..failure }
        }
        "invalid_resources" if defects.has(D::InvalidResources500) => {
            Failure { status: StatusCode::INTERNAL_SERVER_ERROR, ..failure }
        }
        "invalid_body" if defects.has(D::InvalidTypes500) && failure.message.contains("type") => {
            Failure { status: StatusCode::INTERNAL_SERVER_ERROR, ..failure }
        }
        _ => failure,
    }
}

pub fn render(defects: Defects, failure: &Failure, id: &str) -> Response {
    let status = failure.status;
    let mut body = json!({ "code": failure.code, "message": failure.message, "request_id": id });
    let mut with = |field: &str, value: &str| body[field] = json!(value);
    match () {
        () if defects.has(D::ErrorsBlank) => return status.into_response(),
        () if defects.has(D::ErrorsHtml) => {
            return (status, Html(format!("<html><body><h1>{status}</h1></body></html>"))).into_response();
        }
        () if defects.has(D::ErrorsShareId) => with("request_id", "00000000-0000-0000-0000-000000000000"),
        () if defects.has(D::ErrorsWithoutCode) => with("code", ""),
        () if defects.has(D::ErrorsVague) => with("message", "Something went wrong"),
        () if defects.has(D::ErrorsOneCode) => with("code", "error"),
        () if defects.has(D::ErrorsNotFoundBlank) && status == StatusCode::NOT_FOUND => return status.into_response(),
        () if defects.has(D::ErrorsTellPlace) => {
            with("message", &format!("{}:{}: {}", file!(), line!(), failure.message));
        }
        () => {
            if let Some((field, text)) = error_leaks::trace(defects, status) {
                with(field, text);
            }
        }
    }
    let mut response = (status, Json(body)).into_response();
    if defects.has(D::ErrorsTraceHeader) {
        response.headers_mut().insert("x-debug-trace", HeaderValue::from_static(error_leaks::GO));
    }
    response
}

pub fn log_failure(defects: Defects, log: &Log, failure: &Failure, request: &FailedRequest<'_>) {
    if defects.has(D::ErrorsNotLogged) {
        return;
    }
    let other = uuid::Uuid::new_v4().to_string();
    let id = if defects.has(D::ErrorsLogOtherId) { &other } else { request.id };
    let cause = failure.cause.as_deref().unwrap_or(&failure.message);
    let cause = if defects.has(D::ErrorsLoggedWithoutCause) { "error" } else { cause };
    let status = failure.status.as_u16();
    let mut fields: Vec<(&str, &dyn Display)> = vec![
        ("request_id", &id),
        ("method", &request.method),
        ("path", &request.path),
        ("status", &status),
        ("code", &failure.code),
        ("user", &request.user),
        ("cause", &cause),
    ];
    let bearer = request.headers.and_then(|headers| headers.get(AUTHORIZATION)?.to_str().ok());
    if let Some(bearer) = &bearer {
        fields.push(("authorization", bearer));
    }
    if failure.status.is_server_error() && defects.has(D::ErrorsLogServerCauseless) {
        fields.truncate(4);
    }
    if failure.status.is_server_error() && !defects.has(D::ErrorsLoggedAsInfo) {
        log.error("request failed", &fields);
    } else {
        log.info("request refused", &fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn defects_change_only_their_own_failures() {
        let unavailable = Failure::from(StoreError::Unavailable("gone".into()));
        let applied = |defects| apply_defects(defects, unavailable.clone());
        assert_eq!(applied(Defects::default()).status, 503);
        let other = Defects::default().with(D::InvalidResources500);
        assert_eq!(
            (applied(other).status, applied(other).code),
            (unavailable.status, unavailable.code),
            "a defect of other failures"
        );
        for (defect, status) in [(D::DatabaseDown500, 500), (D::DatabaseDown401, 401)] {
            let wrong = applied(Defects::default().with(defect));
            assert_eq!(wrong.status, status);
            assert_eq!(wrong.cause, unavailable.cause, "the log keeps the cause");
        }
    }
}
