//! A request over the wire and the beginning of its answer, signed anew once where the target itself can see to that. Tells "could
//! not ask" from "was asked and said nothing".
use super::{
    answer,
    content::{self, Sent},
    curl, departure, reach,
    reading::Reading,
    request::Prepared,
    target::HttpTarget,
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError},
};
use reqwest::{Client, Response, StatusCode};
use std::{
    fmt::Write,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// Of an answer that is not the one that was asked for.
const SMALL: usize = 64 << 10;

pub(super) struct Arrived {
    pub response: Response,
    pub sent: Instant,
    pub first_byte: Duration,
}

/// `None`: it was asked, and no answer came.
pub(super) async fn ask(
    cx: &ActionContext<'_>,
    target: &HttpTarget,
    client: &Client,
    request: &mut Prepared<'_>,
    reading: &Reading,
) -> Result<Option<Arrived>, ActionError> {
    if let Some(who) = request.who {
        who.prepare(cx, request)?;
    }
    let Some(arrived) = once(cx, target, client, request, reading).await? else { return Ok(None) };
    let (StatusCode::UNAUTHORIZED, Some(who)) = (arrived.response.status(), request.who) else {
        return Ok(Some(arrived));
    };
    // refused, so nothing has been asked of the product yet
    cx.sent.store(false, Ordering::SeqCst);
    let renewed = who.renew(cx, target, request, arrived.response.headers()).await?;
    let Some(why) = renewed else {
        cx.mark_sent();
        return Ok(Some(arrived));
    };
    cx.note(EvidenceKind::Response, answer::head(&arrived.response));
    cx.note(EvidenceKind::Note, format!("401: {why}, and the request is sent again"));
    small(arrived.response).await;
    once(cx, target, client, request, reading).await
}

async fn once(
    cx: &ActionContext<'_>,
    target: &HttpTarget,
    client: &Client,
    request: &Prepared<'_>,
    reading: &Reading,
) -> Result<Option<Arrived>, ActionError> {
    cx.note(EvidenceKind::Request, shown(request));
    cx.note(EvidenceKind::Reproduce, curl::line(cx, request, &target.connection, reading));
    let call = build(client, request)?;
    let sent = Instant::now();
    let response = match departure::watch(client.execute(call), || cx.mark_sent()).await {
        Ok(response) => response,
        Err(e) if e.is_builder() => return Err(unsendable(&e)),
        Err(e) if reach::unasked(&e) => {
            return Err(ActionError::Unreachable(reach::sentence(&e, &request.url, &target.connection)));
        }
        Err(e) => {
            unanswered(cx, &e);
            return Ok(None);
        }
    };
    cx.mark_sent();
    let first_byte = sent.elapsed();
    if let (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) = (response.status(), target.connection.proxied()) {
        return Err(ActionError::Unreachable(format!(
            "the proxy {proxy} does not accept who asks (407): its user and password stand in its URL"
        )));
    }
    if let Some(who) = request.who {
        who.keep(cx, &request.url, response.headers());
    }
    Ok(Some(Arrived { response, sent, first_byte }))
}

/// A request of the target's own. It is none of the plan's, so it is noted in one line, and silence is no answer.
pub(super) async fn aside(
    cx: &ActionContext<'_>,
    target: &HttpTarget,
    request: &mut Prepared<'_>,
    why: &str,
) -> Result<Response, ActionError> {
    let client = target.client(request.who);
    let line = format!("{} {}", request.method, request.url);
    let response = client.execute(build(client, request)?).await.map_err(|e| {
        let sentence = if reach::unasked(&e) {
            reach::sentence(&e, &request.url, &target.connection)
        } else {
            format!("no whole answer came: {}", reach::chain(&e))
        };
        ActionError::Unreachable(format!("{line}, {why}: {sentence}"))
    })?;
    cx.note(EvidenceKind::Note, format!("{line}, {why}: {}", response.status()));
    if let Some(who) = request.who {
        who.keep(cx, &request.url, response.headers());
    }
    Ok(response)
}

/// The text of an answer that is short, or its beginning. Read so that the connection can be used again.
pub(super) async fn small(mut response: Response) -> String {
    answer::Read::from(&mut response, SMALL).await.map(|read| read.text).unwrap_or_default()
}

fn build(client: &Client, request: &Prepared<'_>) -> Result<reqwest::Request, ActionError> {
    let call = client.request(request.method.clone(), request.url.clone()).headers(request.headers.clone());
    let call = match &request.content {
        Sent::Nothing => call,
        Sent::Text(text) => call.body(text.clone()),
        Sent::File { bytes, .. } => call.body(bytes.clone()),
        Sent::Multipart(parts) => call.multipart(content::form(parts.clone())?),
    };
    call.build().map_err(|e| unsendable(&e))
}

fn unsendable(e: &reqwest::Error) -> ActionError {
    ActionError::Invalid(format!("this request cannot be sent: {}", reach::chain(e)))
}

/// It was asked, so that is the answer.
pub(super) fn unanswered(cx: &ActionContext<'_>, error: &reqwest::Error) {
    cx.mark_sent();
    let why = reach::chain(error);
    cx.note(EvidenceKind::Note, format!("no whole answer came after the request had been sent: {why}"));
}

/// The request as evidence shows it.
fn shown(r: &Prepared<'_>) -> String {
    let mut out = String::with_capacity(256);
    let _ = writeln!(out, "{} {}", r.method, r.url);
    answer::lines(&r.headers, &mut out);
    r.content.show(&mut out);
    out
}
