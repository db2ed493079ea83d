//! HTTP responses of the server.
use axum::{
    body::Body,
    http::{StatusCode, header},
    response::Response,
};
use serde_json::Value;

pub(super) fn json_response(code: u16, body: &Value) -> Response {
    response(code, body.to_string())
}

pub(super) fn response(code: u16, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-cache, private")
        .body(body.into())
        .unwrap_or_default()
}

/// The real server's response to a path outside every group: plain text and no `Status`.
pub(super) fn page_not_found() -> Response {
    let mut response = plain_text("404 page not found\n");
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

pub(super) fn plain_text(body: &'static str) -> Response {
    let mut response = response(200, body);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

pub(super) fn with_warnings(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings {
        // 299 is "miscellaneous persistent warning"
        if let Ok(value) = header::HeaderValue::from_str(&format!("299 - {warning:?}")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
