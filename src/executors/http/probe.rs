//! For `doctor`: sends a `GET` to the address of a target, once per identity. Changes nothing.
use super::{
    authentication::{Exchange, SignedRequest},
    endpoint::Endpoint,
    exchange::TimedResponse,
    identity::Identity,
    prepared_request::PreparedRequest,
    response_options::ResponseOptions,
};
use crate::{
    address::Address,
    executor::{ActionContext, ActionError, ProbeResult, RunInfo, Started},
    executors::clock,
    expr::Scope,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::{StatusCode, header::AUTHORIZATION};
use std::sync::atomic::AtomicBool;
use tokio_util::sync::CancellationToken;

pub(super) async fn probe_identities(
    endpoint: &Endpoint,
    identities: &[Identity],
    run: &RunInfo,
    environment: &Scope,
) -> Vec<ProbeResult> {
    let mut results = vec![];
    let mut clock = None;
    for identity in identities {
        let check = match identity.name() {
            None => format!("GET {}", endpoint.url),
            Some(name) => format!("GET {} as `{name}`", endpoint.url),
        };
        match probe_identity(endpoint, identity, run, environment).await {
            Err(ActionError::NoResponse(_)) => {
                let advice = "check which server listens at this address";
                results.push(ProbeResult::warning(check, "no complete response", advice));
            }
            Err(e) => results.push(ProbeResult::unreachable(check, &e.to_string())),
            Ok((timed, with_credentials)) => {
                let status = timed.response.status();
                results.push(if with_credentials && status == StatusCode::UNAUTHORIZED {
                    let advice = "the server rejected the credentials: check them in the environment file";
                    ProbeResult::error(check, status.to_string(), advice)
                } else {
                    ProbeResult::ok(check, status.to_string())
                });
                clock =
                    clock.or_else(|| clock::compare_clocks(timed.response.headers(), Timestamp::now(), "the server"));
            }
        }
    }
    results.extend(clock);
    results
}

/// The response, and whether the request had credentials.
async fn probe_identity(
    endpoint: &Endpoint,
    identity: &Identity,
    run: &RunInfo,
    environment: &Scope,
) -> Result<(TimedResponse, bool), ActionError> {
    let (address, evidence) = (Address::new("doctor"), Mutex::default());
    let (sent, processing) = (AtomicBool::new(false), AtomicBool::new(false));
    let cx = ActionContext {
        address: &address,
        run,
        scope: environment,
        environment,
        cancel: CancellationToken::new(),
        secrets: environment.secrets(),
        target: None,
        read_only: true,
        evidence: &evidence,
        sent: &sent,
        processing: &processing,
        targets: &Vec::new,
    };
    let mut request = PreparedRequest::get(endpoint.url.clone());
    let credentials = identity.sign(&cx, endpoint, &mut request).await?;
    let mut signed = SignedRequest { request, identity: Some(identity), credentials };
    let options = ResponseOptions::default();
    let timed = Exchange::new(&cx, endpoint, &options, Started::now()).send(&mut signed).await?;
    Ok((timed, signed.request.headers.contains_key(AUTHORIZATION)))
}
