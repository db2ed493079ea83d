//! From a request to an output: asks, goes after redirects where it shall, reads as much as it may. Judges nothing.
use super::{
    answer::{self, Read, Timing},
    exchange::{self, Arrived},
    messages,
    reading::Reading,
    request::Prepared,
    target::HttpTarget,
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Output, Started},
    value::{Map, Value},
};
use reqwest::{
    Method, StatusCode, Url,
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION, PROXY_AUTHORIZATION, REFERER,
    },
};

use super::content::Sent;

/// How much of a body evidence shows.
const SHOWN: usize = 64 << 10;

pub(super) async fn send(
    cx: &ActionContext<'_>,
    target: &HttpTarget,
    mut request: Prepared<'_>,
    reading: &Reading,
    started: Started,
) -> Result<Output, ActionError> {
    let silence = || Output::new(answer::silence(reading.fields()), started);
    let key = messages::handshake(reading, &mut request.headers);
    let socket = key.is_some().then(|| target.socket_client(request.who)).transpose()?;
    let mut redirects = vec![];
    let mut arrived = loop {
        let client = socket.as_ref().unwrap_or_else(|| target.client(request.who));
        let Some(arrived) = exchange::ask(cx, target, client, &mut request, reading).await? else {
            return Ok(silence());
        };
        if !reading.follow {
            break arrived;
        }
        let status = arrived.response.status();
        let Some(next) = onward(&arrived, &request.url) else { break arrived };
        if redirects.len() == reading.hops {
            cx.note(EvidenceKind::Note, format!("more than {} redirects: the last one is the answer", reading.hops));
            break arrived;
        }
        redirects.push(Value::map([
            ("status".into(), Value::Int(status.as_u16().into())),
            ("location".into(), Value::text(next.as_str())),
        ]));
        cx.note(EvidenceKind::Response, answer::head(&arrived.response));
        exchange::small(arrived.response).await;
        redirect(&mut request, status, next);
    };
    let finish = |mut map: Map| {
        if reading.follow {
            map.insert("url".into(), Value::text(request.url.as_str()));
            map.insert("redirects".into(), Value::list(redirects));
        }
        map
    };
    if let Some(watch) = messages::begins(reading, key.as_deref(), &arrived.response, cx) {
        return messages::open(cx, arrived, watch, reading, finish, started).await;
    }
    let mut head = answer::head(&arrived.response);
    let read = match Read::from(&mut arrived.response, reading.limit).await {
        Ok(read) => read,
        Err(e) => {
            cx.note(EvidenceKind::Response, head);
            exchange::unanswered(cx, &e);
            return Ok(silence());
        }
    };
    let timing = Timing { first_byte: arrived.first_byte, total: arrived.sent.elapsed() };
    head.push('\n');
    head.push_str(&read.text[..read.text.floor_char_boundary(SHOWN)]);
    cx.note(EvidenceKind::Response, head);
    if read.cut {
        let limit = reading.limit_text();
        cx.note(EvidenceKind::Note, format!("the body is longer than {limit}: what comes after was not read"));
    }
    let mut map = finish(answer::output(&arrived.response, read, timing));
    if reading.stream.is_some() {
        map.insert("messages".into(), Value::list(vec![]));
        map.insert("closed".into(), Value::Null);
    }
    Ok(Output::new(map, started))
}

/// Where an answer leads, if it is a redirect that can be gone after.
fn onward(arrived: &Arrived, from: &Url) -> Option<Url> {
    use StatusCode as S;
    let status = arrived.response.status();
    let moved = [S::MOVED_PERMANENTLY, S::FOUND, S::SEE_OTHER, S::TEMPORARY_REDIRECT, S::PERMANENT_REDIRECT];
    let location = arrived.response.headers().get(LOCATION).filter(|_| moved.contains(&status))?;
    let next = from.join(std::str::from_utf8(location.as_bytes()).ok()?).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

/// The request as a browser sends it on (RFC 9110, 15.4): 303 asks by `GET`, and so do 301 and 302 after a `POST`.
fn redirect(request: &mut Prepared<'_>, status: StatusCode, to: Url) {
    let head = request.method == Method::HEAD;
    let turns = match status {
        StatusCode::SEE_OTHER => !head,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        _ => false,
    };
    if turns {
        request.method = Method::GET;
        request.content = Sent::Nothing;
        [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING].iter().for_each(|name| drop(request.headers.remove(name)));
    }
    let elsewhere = to.origin() != request.url.origin();
    request.url = to;
    if elsewhere {
        // a server that was not named must not get what the plan or the environment sends to this one
        request.who.take().inspect(|who| who.strip(&mut request.headers));
        [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, REFERER].iter().for_each(|n| drop(request.headers.remove(n)));
    } else if let Some(who) = request.who {
        who.refresh(request);
    }
}
