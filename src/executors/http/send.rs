//! Sends the request of an action, follows redirects, and reads the body up to the limit, or the messages of a stream.
use super::{
    authentication::{Exchange, SignedRequest},
    exchange::{TimedResponse, read_short_body},
    handshake,
    headers::SENT_ANYWHERE,
    request_body::RequestBody,
    response::{self, ReadBody, Timing},
    response_options::ResponseOptions,
    stream,
};
use crate::{
    event::EvidenceKind,
    executor::{ActionContext, ActionError, Output},
    value::{Map, Value},
};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION},
};

pub(super) async fn send_and_read(
    mut exchange: Exchange<'_>,
    mut signed: SignedRequest<'_>,
) -> Result<Output, ActionError> {
    let Exchange { cx, endpoint, options, started, .. } = exchange;
    let stream = options.stream.as_ref();
    let key = stream.and_then(|s| handshake::request_stream(s, &mut signed.request.headers));
    if key.is_some() {
        let certificate = signed.identity.and_then(|identity| identity.certificate.as_ref());
        exchange.http1_client = Some(endpoint.http1_client(certificate)?);
    }
    let mut redirects = vec![];
    let timed = send_and_follow(&exchange, &mut signed, &mut redirects).await?;
    let mut followed = Map::new();
    if options.follows_redirects() {
        followed.insert("url".into(), Value::text(signed.request.url.as_str()));
        followed.insert("redirects".into(), Value::list(redirects));
    }
    if let Some(stream) = stream.filter(|_| handshake::is_stream(cx, key.as_deref(), &timed.response)) {
        return stream::open(&exchange, timed, stream, followed).await;
    }
    let reason = format!("the response is not a stream: it has status {}", timed.response.status());
    let mut map = read_output(cx, timed, options, !endpoint.connection.compression).await;
    map.extend(followed);
    if stream.is_some() {
        map.insert("messages".into(), Value::unset(&reason));
        map.insert("closed".into(), Value::unset(&reason));
    }
    Ok(Output::new(map, started))
}

/// The last response, with the redirects that led to it.
async fn send_and_follow(
    exchange: &Exchange<'_>,
    signed: &mut SignedRequest<'_>,
    redirects: &mut Vec<Value>,
) -> Result<TimedResponse, ActionError> {
    let Exchange { cx, options, .. } = exchange;
    loop {
        let timed = exchange.send(signed).await?;
        let status = timed.response.status();
        let location = redirect_location(&timed.response, &signed.request.url);
        let Some(location) = location.filter(|_| options.follows_redirects()) else { return Ok(timed) };
        if redirects.len() == options.max_redirects {
            let note = format!("more than {} redirects: the last one is the response", options.max_redirects);
            cx.note(EvidenceKind::Note, note);
            return Ok(timed);
        }
        redirects.push(Value::map([
            ("status".into(), Value::Int(status.as_u16().into())),
            ("location".into(), Value::text(location.as_str())),
        ]));
        cx.note(EvidenceKind::Response, response::head_text(&timed.response));
        read_short_body(cx, timed.response).await;
        options.check_host(cx, exchange.endpoint, &location)?;
        redirect(signed, status, location);
    }
}

/// Reads the body, as far as it arrives.
async fn read_output(cx: &ActionContext<'_>, mut timed: TimedResponse, options: &ResponseOptions, raw: bool) -> Map {
    // the report shows headers and body from the output
    cx.note(EvidenceKind::Response, response::status_line(&timed.response));
    let body = ReadBody::read(cx, &mut timed.response, options.body_limit, raw).await;
    let timing = Timing { first_byte: timed.first_byte, total: timed.sent_at.elapsed() };
    if let Some(missing) = &body.missing {
        cx.note(EvidenceKind::Note, missing.reason());
    }
    response::output(&timed.response, body, timing)
}

/// Where a response redirects to, if it is a redirect that can be followed.
fn redirect_location(response: &Response, from: &Url) -> Option<Url> {
    use StatusCode as S;
    let followed = [S::MOVED_PERMANENTLY, S::FOUND, S::SEE_OTHER, S::TEMPORARY_REDIRECT, S::PERMANENT_REDIRECT];
    let location = response.headers().get(LOCATION).filter(|_| followed.contains(&response.status()))?;
    let to = from.join(std::str::from_utf8(location.as_bytes()).ok()?).ok()?;
    matches!(to.scheme(), "http" | "https").then_some(to)
}

/// Changes the request as a browser does (RFC 9110, 15.4): `GET` follows a 303, and a 301 or 302 after a `POST`.
fn redirect(signed: &mut SignedRequest<'_>, status: StatusCode, to: Url) {
    let request = &mut signed.request;
    let becomes_get = match status {
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        request.method = Method::GET;
        request.body = RequestBody::Empty;
        [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING].iter().for_each(|name| drop(request.headers.remove(name)));
    }
    let cross_origin = to.origin() != request.url.origin();
    request.url = to;
    if cross_origin {
        // Credentials are never sent cross-origin.
        signed.identity.take().inspect(|identity| identity.remove_headers(&mut request.headers));
        let written: Vec<HeaderName> = request.headers.keys().filter(|n| !SENT_ANYWHERE.contains(n)).cloned().collect();
        written.iter().for_each(|name| drop(request.headers.remove(name)));
    } else if let Some(identity) = signed.identity {
        identity.refresh_cookies(request, &signed.credentials);
    }
}
