//! Sends one request and waits for the head of its response. A request that was never sent is an error; one without a
//! response is not.
use super::{
    connect_error::{explain, never_sent, proxy_authentication_failed, reasons},
    connection::MAX_HEADERS,
    endpoint::Endpoint,
    prepared_request::{PreparedRequest, invalid_request},
    response::ReadBody,
    sent::detect_sent,
};
use crate::executor::{ActionContext, ActionError};
use reqwest::{Client, Response, StatusCode};
use std::time::{Duration, Instant};

/// How much is read of a response that is not the output of an action.
const MAX_SHORT_BODY_BYTES: usize = 64 << 10;

pub(super) struct TimedResponse {
    pub response: Response,
    pub sent_at: Instant,
    pub first_byte: Duration,
}

/// Sends the request of an action.
pub(super) async fn send(
    cx: &ActionContext<'_>,
    endpoint: &Endpoint,
    client: &Client,
    request: &PreparedRequest,
) -> Result<TimedResponse, ActionError> {
    let built = request.build(client)?;
    let sent_at = Instant::now();
    let response = match detect_sent(client.execute(built), || cx.mark_sent()).await {
        Ok(response) => response,
        Err(e) if e.is_builder() => return Err(invalid_request(e)),
        Err(e) if never_sent(&e) => {
            return Err(ActionError::Unreachable(explain(&e, &request.url, &endpoint.connection)));
        }
        Err(e) if reasons(&e).contains("message head is too large") => {
            let message = format!("the response has more than {MAX_HEADERS} headers, or too long ones");
            return Err(ActionError::Invalid(message));
        }
        Err(e) => return Err(no_response(cx, &e, sent_at.elapsed())),
    };
    cx.mark_sent();
    let first_byte = sent_at.elapsed();
    if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED && endpoint.connection.proxy_address().is_some() {
        return Err(ActionError::Unreachable(proxy_authentication_failed(&endpoint.connection)));
    }
    Ok(TimedResponse { response, sent_at, first_byte })
}

/// The beginning of a body as text. Reading it makes the connection reusable.
pub(super) async fn read_short_body(cx: &ActionContext<'_>, mut response: Response) -> String {
    ReadBody::read(cx, &mut response, MAX_SHORT_BODY_BYTES, false).await.text
}

/// The error of a request that was sent and has no response `after` this time.
pub(super) fn no_response(cx: &ActionContext<'_>, error: &reqwest::Error, after: Duration) -> ActionError {
    cx.mark_sent();
    let reasons = reasons(error);
    let reason = match reasons.strip_prefix("client error (SendRequest): ").unwrap_or(&reasons) {
        "connection closed before message completed" => "connection closed".to_string(),
        other => format!("{other},"),
    };
    let after = match after.as_secs_f64() {
        seconds @ 1.0.. => format!("{seconds:.1} s"),
        _ => format!("{} ms", after.as_millis()),
    };
    ActionError::NoResponse(format!("{reason} after {after}"))
}
