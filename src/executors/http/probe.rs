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
    executor::{Probed, RunContext, StepContext, StepError},
    executors::clock,
    expr::Scope,
};
use jiff::Timestamp;
use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap},
};
use std::sync::{Mutex, atomic::AtomicBool};
use tokio_util::sync::CancellationToken;

pub(super) async fn everybody(target: &HttpTarget, run: &RunContext, environment: &Scope) -> Vec<Probed> {
    let mut found = vec![];
    let mut clock = None;
    for who in target.everybody() {
        let tried = match who.name() {
            None => format!("GET {}", target.url()),
            Some(name) => format!("GET {} as `{name}`", target.url()),
        };
        match as_whom(target, who, target.url(), run, environment).await {
            Err(e) => found.push(Probed::wrong(tried, e.to_string(), "mend it in the environment file")),
            Ok((None, _)) => found.push(Probed::doubtful(tried, "no whole answer", "see what listens there")),
            Ok((Some(arrived), credentials)) => {
                let status = arrived.response.status();
                found.push(if credentials && status == StatusCode::UNAUTHORIZED {
                    Probed::wrong(tried, status.to_string(), "the server does not accept these credentials")
                } else {
                    Probed::well(tried, status.to_string())
                });
                clock = clock.or_else(|| clock::compared(arrived.response.headers(), Timestamp::now(), "the server"));
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
    run: &RunContext,
    environment: &Scope,
) -> Result<(Option<Arrived>, bool), StepError> {
    let (address, evidence, departed) = (Address::new("doctor"), Mutex::default(), AtomicBool::new(false));
    let cx = StepContext {
        address: &address,
        run,
        scope: environment,
        environment,
        cancel: CancellationToken::new(),
        secrets: environment.secrets(),
        target: None,
        evidence: &evidence,
        departed: &departed,
    };
    let mut headers = HeaderMap::new();
    let proof = who.sign(&cx, target, &Method::GET, url, &mut headers).await?;
    let mut request =
        Prepared { method: Method::GET, url: url.clone(), headers, content: Sent::Nothing, who: Some(who), proof };
    let arrived = exchange::ask(&cx, target, target.client(Some(who)), &mut request, &Reading::plain()).await?;
    Ok((arrived, request.headers.contains_key(AUTHORIZATION)))
}
