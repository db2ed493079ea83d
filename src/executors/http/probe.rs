//! For `doctor`: is the server reached, does each identity get what it shows there, do the clocks agree? Asks the target's own address,
//! by `GET` alone.
use super::{
    content::Sent,
    exchange,
    identity::{Identity, Proof},
    reading::Reading,
    request::Prepared,
    target::HttpTarget,
};
use crate::{
    address::Address,
    event::Evidence,
    executor::{Finding, StepContext, StepError},
    executors::clock,
};
use jiff::Timestamp;
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use std::sync::{Mutex, atomic::AtomicBool};
use tokio_util::sync::CancellationToken;

pub(super) async fn server(target: &HttpTarget) -> Vec<Finding> {
    let at = Address::new("doctor");
    let (evidence, departed) = (Mutex::<Vec<Evidence>>::default(), AtomicBool::default());
    let cx = StepContext {
        address: &at,
        run: &target.run,
        scope: &target.scope,
        environment: &target.scope,
        cancel: CancellationToken::new(),
        secrets: target.scope.secrets(),
        target: None,
        evidence: &evidence,
        departed: &departed,
    };
    let mut out = vec![];
    match asked(&cx, target, None).await {
        Ok(answer) => {
            out.push(Finding::well("reach", format!("HTTP {}", answer.status().as_u16())));
            out.extend(clock::compared(answer.headers(), Timestamp::now(), "the server"));
        }
        Err(e) => {
            out.push(Finding::wrong("reach", e.to_string(), "nothing can be asked of it until then"));
            return out;
        }
    }
    for who in target.everybody() {
        out.push(shown(&cx, target, who).await);
    }
    out
}

/// Somebody's credentials at the target's own address.
async fn shown(cx: &StepContext<'_>, target: &HttpTarget, who: &Identity) -> Finding {
    let tried = who.name().map_or_else(|| "ask as the target's own".into(), |name| format!("ask as `{name}`"));
    match asked(cx, target, Some(who)).await {
        Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
            let seen = format!("HTTP 401 for GET {}", answer.url());
            Finding::doubtful(tried, seen, "its credentials may be wrong, or this address takes none")
        }
        Ok(answer) => Finding::well(tried, format!("HTTP {}", answer.status().as_u16())),
        Err(e) => {
            Finding::wrong(tried, e.to_string(), "see its credentials in the environment file, and whether setup held")
        }
    }
}

async fn asked(cx: &StepContext<'_>, target: &HttpTarget, who: Option<&Identity>) -> Result<Response, StepError> {
    let (method, url, mut headers) = (Method::GET, target.url.clone(), HeaderMap::new());
    let proof = match who {
        Some(who) => who.sign(cx, target, &method, &url, &mut headers).await?,
        None => Proof::default(),
    };
    let mut request = Prepared { method, url, headers, content: Sent::Nothing, who, proof };
    let arrived = exchange::ask(cx, target, target.client(who), &mut request, &Reading::plain()).await?;
    arrived
        .map(|a| a.response)
        .ok_or_else(|| StepError::Unreachable("it closes the connection without an answer".into()))
}
