//! Sends a request with the credentials of an identity. Repeats it once if the response is 401 and they can be renewed.
use super::{
    curl,
    endpoint::Endpoint,
    exchange::{self, TimedResponse, read_short_body},
    identity::{AppliedCredentials, Identity},
    prepared_request::PreparedRequest,
    response,
    response_options::ResponseOptions,
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError},
};
use reqwest::{Client, StatusCode};
use std::sync::atomic::Ordering;

/// A request with the identity that signed it.
pub(super) struct SignedRequest<'t> {
    pub request: PreparedRequest,
    pub identity: Option<&'t Identity>,
    /// What `identity` added to the request, and can renew.
    pub credentials: AppliedCredentials,
}

impl<'t> SignedRequest<'t> {
    pub async fn sign(
        cx: &ActionContext<'_>,
        endpoint: &Endpoint,
        mut request: PreparedRequest,
        identity: Option<&'t Identity>,
    ) -> Result<SignedRequest<'t>, ActionError> {
        let credentials = match identity {
            Some(identity) => identity.sign(cx, endpoint, &mut request).await?,
            None => AppliedCredentials::default(),
        };
        Ok(SignedRequest { request, identity, credentials })
    }
}

/// Sends a signed request, and once more with renewed credentials after a 401. `None`: no response arrived.
pub(super) async fn authenticated_send(
    cx: &ActionContext<'_>,
    endpoint: &Endpoint,
    client: &Client,
    signed: &mut SignedRequest<'_>,
    options: &ResponseOptions,
) -> Result<TimedResponse, ActionError> {
    if let Some(identity) = signed.identity {
        identity.answer_known_challenge(cx, &mut signed.request, &mut signed.credentials)?;
    }
    let timed = send_once(cx, endpoint, client, signed, options).await?;
    let (StatusCode::UNAUTHORIZED, Some(identity)) = (timed.response.status(), signed.identity) else {
        return Ok(timed);
    };
    // A rejected request has not reached the product: until it is repeated, it counts as not sent.
    cx.sent.store(false, Ordering::SeqCst);
    let headers = timed.response.headers();
    let renewed = identity.renew(cx, endpoint, &mut signed.request, &mut signed.credentials, headers).await?;
    let Some(reason) = renewed else {
        cx.mark_sent();
        return Ok(timed);
    };
    cx.note(EvidenceKind::Response, response::head_text(&timed.response));
    cx.note(EvidenceKind::Note, format!("401: {reason}; the request is repeated"));
    read_short_body(timed.response).await;
    send_once(cx, endpoint, client, signed, options).await
}

async fn send_once(
    cx: &ActionContext<'_>,
    endpoint: &Endpoint,
    client: &Client,
    signed: &SignedRequest<'_>,
    options: &ResponseOptions,
) -> Result<TimedResponse, ActionError> {
    let SignedRequest { request, identity, .. } = signed;
    cx.note(EvidenceKind::Request, request.evidence());
    let client_auth = curl::ClientAuth {
        certificate: identity.and_then(Identity::certificate),
        digest_user: identity.and_then(|identity| identity.digest_user(cx)),
    };
    cx.note(EvidenceKind::Reproduce, curl::command(request, &endpoint.connection, &client_auth, options));
    let timed = exchange::send(cx, endpoint, client, request).await?;
    if let Some(identity) = identity {
        identity.store_cookies(cx, &request.url, timed.response.headers());
    }
    Ok(timed)
}
