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
    executor::{ActionContext, ActionError, Started},
    executors::received_secrets,
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

/// What all requests of one action share.
pub(super) struct Exchange<'a> {
    pub cx: &'a ActionContext<'a>,
    pub endpoint: &'a Endpoint,
    pub options: &'a ResponseOptions,
    pub started: Started,
    /// Replaces the client of the identity.
    pub http1_client: Option<Client>,
}

impl<'a> Exchange<'a> {
    pub fn new(
        cx: &'a ActionContext<'a>,
        endpoint: &'a Endpoint,
        options: &'a ResponseOptions,
        started: Started,
    ) -> Exchange<'a> {
        Exchange { cx, endpoint, options, started, http1_client: None }
    }

    /// Sends a signed request, and once more with renewed credentials after a 401.
    pub async fn send(&self, signed: &mut SignedRequest<'_>) -> Result<TimedResponse, ActionError> {
        let Exchange { cx, endpoint, .. } = self;
        if let Some(identity) = signed.identity {
            identity.answer_challenge(cx, &mut signed.request, &mut signed.credentials)?;
        }
        let timed = self.send_once(signed).await?;
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
        read_short_body(cx, timed.response).await;
        self.send_once(signed).await
    }

    async fn send_once(&self, signed: &SignedRequest<'_>) -> Result<TimedResponse, ActionError> {
        let Exchange { cx, endpoint, options, http1_client, .. } = self;
        let SignedRequest { request, identity, .. } = signed;
        cx.note(EvidenceKind::Request, request.evidence());
        let client_auth = curl::ClientAuth {
            certificate: identity.and_then(|identity| identity.certificate.as_ref()),
            digest_user: identity.and_then(|identity| identity.digest_user(cx)),
        };
        let (kind, command) = curl::evidence(request, &endpoint.connection, &client_auth, options);
        cx.note(kind, command);
        let own_client = || identity.map_or(&endpoint.client, |identity| identity.client(endpoint));
        let client = http1_client.as_ref().unwrap_or_else(own_client);
        let timed = exchange::send(cx, endpoint, client, request).await?;
        received_secrets::add_from_headers(cx, timed.response.headers());
        if let Some(identity) = identity {
            identity.store_cookies(cx, &request.url, timed.response.headers());
        }
        Ok(timed)
    }
}
