//! For `doctor`: asks the address of a target as everybody whom it knows. Changes nothing.
use super::{
    content::Sent,
    exchange::{self, Arrived},
    identity::Identity,
    reading::Reading,
    request::Prepared,
    target::HttpTarget,
};
use crate::{
    address::Address,
    executor::{ActionContext, ActionError, ProbeResult, RunInfo},
    executors::clock,
    expr::Scope,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap},
};
use std::sync::atomic::AtomicBool;
use tokio_util::sync::CancellationToken;

pub(super) async fn everybody(target: &HttpTarget, run: &RunInfo, environment: &Scope) -> Vec<ProbeResult> {
    let mut found = vec![];
    let mut clock = None;
    for who in target.everybody() {
        let tried = match who.name() {
            None => format!("GET {}", target.url()),
            Some(name) => format!("GET {} as `{name}`", target.url()),
        };
        match as_whom(target, who, target.url(), run, environment).await {
            Err(e) => found.push(ProbeResult::error(tried, e.to_string(), "mend it in the environment file")),
            Ok((None, _)) => found.push(ProbeResult::warning(tried, "no whole answer", "see what listens there")),
            Ok((Some(arrived), credentials)) => {
                let status = arrived.response.status();
                found.push(if credentials && status == StatusCode::UNAUTHORIZED {
                    ProbeResult::error(tried, status.to_string(), "the server does not accept these credentials")
                } else {
                    ProbeResult::ok(tried, status.to_string())
                });
                clock =
                    clock.or_else(|| clock::compare_clocks(arrived.response.headers(), Timestamp::now(), "the server"));
            }
        }
    }
    found.extend(clock);
    found
}

/// The answer, and whether it was asked with credentials.
async fn as_whom(
    target: &HttpTarget,
    who: &Identity,
    url: &Url,
    run: &RunInfo,
    environment: &Scope,
) -> Result<(Option<Arrived>, bool), ActionError> {
    let (address, evidence, sent) = (Address::new("doctor"), Mutex::default(), AtomicBool::new(false));
    let cx = ActionContext {
        address: &address,
        run,
        scope: environment,
        environment,
        cancel: CancellationToken::new(),
        secrets: environment.secrets(),
        target: None,
        evidence: &evidence,
        sent: &sent,
    };
    let mut headers = HeaderMap::new();
    let proof = who.sign(&cx, target, &Method::GET, url, &mut headers).await?;
    let mut request =
        Prepared { method: Method::GET, url: url.clone(), headers, content: Sent::Nothing, who: Some(who), proof };
    let arrived = exchange::ask(&cx, target, target.client(Some(who)), &mut request, &Reading::plain()).await?;
    Ok((arrived, request.headers.contains_key(AUTHORIZATION)))
}
