//! Sends a request and reads its answer. Tells "could not ask" from "was asked and said nothing"; judges nothing.
use super::{
    curl, departure,
    request::{Part, Prepared, Sent},
    target::HttpTarget,
};
use crate::{
    event::EvidenceKind,
    executor::{Output, Started, StepContext, StepError},
    value::{Map, Value},
};
use reqwest::{
    Response, Url,
    header::{CONTENT_TYPE, HeaderMap},
    multipart,
};
use std::{error::Error, fmt::Write, io, time::Instant};

/// What is longer is cut.
const LARGEST: usize = 32 << 20;
/// How much of a body evidence shows.
const SHOWN: usize = 64 << 10;

/// The output when nothing came back.
pub(super) fn silence() -> Value {
    output(false, Value::Null, Value::from(Map::new()), Value::Null, Value::text(""), (Value::Null, Value::Null))
}

fn output(answered: bool, status: Value, headers: Value, body: Value, text: Value, timing: (Value, Value)) -> Value {
    Value::from(Map::from_iter([
        ("answered".into(), answered.into()),
        ("status".into(), status),
        ("headers".into(), headers),
        ("body".into(), body),
        ("text".into(), text),
        ("timing".into(), Value::map([("first_byte".into(), timing.0), ("total".into(), timing.1)])),
    ]))
}

pub(super) async fn send(
    cx: &StepContext<'_>,
    target: &HttpTarget,
    request: Prepared,
    started: Started,
) -> Result<Output, StepError> {
    cx.note(EvidenceKind::Request, shown(&request));
    cx.note(EvidenceKind::Reproduce, curl::line(&request, &target.trust));
    let url = request.url.clone();
    let call = target.client.request(request.method, request.url).headers(request.headers);
    let call = match request.content {
        Sent::Nothing => call,
        Sent::Text(text) => call.body(text),
        Sent::File { bytes, .. } => call.body(bytes),
        Sent::Multipart(parts) => call.multipart(form(parts)?),
    };
    let call = call.build().map_err(|e| StepError::Invalid(format!("this request cannot be sent: {}", chain(&e))))?;
    let sent = Instant::now();
    let mut response = match departure::watch(target.client.execute(call), || cx.depart()).await {
        Ok(response) => response,
        Err(e) if e.is_builder() => {
            return Err(StepError::Invalid(format!("this request cannot be sent: {}", chain(&e))));
        }
        Err(e) if e.is_connect() => return Err(StepError::Unreachable(unreachable(&e, &url))),
        Err(e) => return Ok(unanswered(cx, &e, started)),
    };
    cx.depart();
    let first_byte = sent.elapsed();
    let mut head = head(&response);
    let (bytes, cut) = match body(&mut response).await {
        Ok(read) => read,
        Err(e) => {
            cx.note(EvidenceKind::Response, head);
            return Ok(unanswered(cx, &e, started));
        }
    };
    let total = sent.elapsed();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let json = json(kind, &bytes);
    let text = text(kind, bytes).await;
    head.push('\n');
    head.push_str(&text[..text.floor_char_boundary(SHOWN)]);
    cx.note(EvidenceKind::Response, head);
    if cut {
        cx.note(EvidenceKind::Note, "the body is longer than 32 MiB: what comes after was not read");
    }
    let status = Value::Int(response.status().as_u16().into());
    let timing = (first_byte.into(), total.into());
    Ok(Output::new(output(true, status, headers(response.headers()), json, Value::from(text), timing), started))
}

fn unanswered(cx: &StepContext<'_>, error: &reqwest::Error, started: Started) -> Output {
    let why = chain(error);
    cx.depart();
    cx.note(EvidenceKind::Note, format!("no whole answer came after the request had been sent: {why}"));
    Output::new(silence(), started)
}

/// All of the body, or its first 32 MiB; whether it was cut.
async fn body(response: &mut Response) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let expected = response.content_length().map_or(0, |n| usize::try_from(n).unwrap_or(LARGEST).min(LARGEST));
    let mut bytes = Vec::with_capacity(expected);
    while let Some(chunk) = response.chunk().await? {
        let room = LARGEST - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok((bytes, true));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, false))
}

/// JSON where the server says so or where it begins like an object or a list; `null` for everything else.
fn json(kind: &str, bytes: &[u8]) -> Value {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    if !kind.to_ascii_lowercase().contains("json") && !matches!(first, Some(b'{' | b'[')) {
        return Value::Null;
    }
    serde_json::from_slice::<serde_json::Value>(bytes).map_or(Value::Null, Value::from)
}

/// In the character set that the server names; what does not belong to it becomes `�`.
async fn text(kind: &str, bytes: Vec<u8>) -> String {
    let kind = kind.to_ascii_lowercase();
    if !kind.contains("charset=") || kind.contains("utf-8") {
        return String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    }
    let plain = String::from_utf8_lossy(&bytes).into_owned();
    match axum::http::Response::builder().header(CONTENT_TYPE, kind).body(bytes) {
        Ok(decoded) => Response::from(decoded).text().await.unwrap_or(plain),
        Err(_) => plain,
    }
}

fn headers(headers: &HeaderMap) -> Value {
    let mut map = Map::with_capacity(headers.keys_len());
    for name in headers.keys() {
        let mut joined = String::new();
        for (i, v) in headers.get_all(name).iter().enumerate() {
            if i > 0 {
                joined.push_str(", ");
            }
            joined.push_str(&String::from_utf8_lossy(v.as_bytes()));
        }
        map.insert(name.as_str().to_string(), Value::from(joined));
    }
    Value::from(map)
}

fn form(parts: Vec<Part>) -> Result<multipart::Form, StepError> {
    let mut form = multipart::Form::new();
    for p in parts {
        let mut part = multipart::Part::bytes(p.bytes);
        if let Some(name) = p.filename {
            part = part.file_name(name);
        }
        if let Some(mime) = p.mime {
            let why = |_| StepError::Invalid(format!("`{mime}` is no media type"));
            part = part.mime_str(&mime).map_err(why)?;
        }
        form = form.part(p.name, part);
    }
    Ok(form)
}

/// The request as evidence shows it.
fn shown(r: &Prepared) -> String {
    let mut out = String::with_capacity(256);
    let _ = writeln!(out, "{} {}", r.method, r.url);
    lines(&r.headers, &mut out);
    match &r.content {
        Sent::Nothing => {}
        Sent::Text(text) => {
            out.push('\n');
            out.push_str(&text[..text.floor_char_boundary(SHOWN)]);
        }
        Sent::File { path, bytes } => {
            let _ = write!(out, "\n(the {} bytes of {})", bytes.len(), path.display());
        }
        Sent::Multipart(parts) => {
            for p in parts {
                let _ = match &p.file {
                    Some(path) => write!(out, "\n{}: (the {} bytes of {})", p.name, p.bytes.len(), path.display()),
                    None => write!(out, "\n{}: {}", p.name, String::from_utf8_lossy(&p.bytes)),
                };
            }
        }
    }
    out
}

fn head(r: &Response) -> String {
    let mut out = String::with_capacity(512);
    let _ = writeln!(out, "{:?} {}", r.version(), r.status());
    lines(r.headers(), &mut out);
    out
}

fn lines(headers: &HeaderMap, out: &mut String) {
    for (name, value) in headers {
        let _ = writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
}

/// Why no connection came about, as one sentence that says what to do.
fn unreachable(error: &reqwest::Error, url: &Url) -> String {
    let at = url.origin().ascii_serialization();
    let why = cause(error);
    let refused = causes(error)
        .any(|e| e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused));
    let all = chain(error);
    if refused {
        format!("connection refused by {at}: is it running?")
    } else if all.contains("dns error") || all.contains("failed to lookup") {
        format!("the host `{}` cannot be resolved: {why}", url.host_str().unwrap_or_default())
    } else if error.is_timeout() {
        format!("no connection to {at} within 5 s: can it be reached from here?")
    } else if all.contains("invalid peer certificate") {
        format!(
            "the certificate of {at} is not accepted: {why}; name its authority with `ca` beside the target's address"
        )
    } else if all.contains("InvalidContentType") {
        format!("{at} does not speak TLS: is it `http://`?")
    } else {
        format!("no connection to {at}: {why}")
    }
}

fn causes(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&e| e.source())
}

/// The innermost reason.
fn cause(error: &dyn Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), |e| e.to_string())
}

/// All reasons, outermost first, without those that the next one repeats. The library's own first line holds only the URL.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut all: Vec<String> = causes(error).map(|e| e.to_string()).collect();
    all.dedup_by(|b, a| a.ends_with(b.as_str()));
    if all.is_empty() { error.to_string() } else { all.join(": ") }
}
