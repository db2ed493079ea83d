//! Routes requests: token, path and content negotiation.
use super::{
    call::Call,
    discovery,
    format::ResponseFormat,
    params::Params,
    response::{json_response, page_not_found, plain_text},
    shared::{Shared, TOKEN_PREFIX},
    status::Refusal,
    write::Part,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Method, Request, header},
    response::Response,
};
use std::sync::Arc;

/// Handles any request; errors become a `Status`.
pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    match route(shared, request).await {
        Ok(response) => response,
        Err(refusal) => json_response(refusal.code, &refusal.body()),
    }
}

/// The decoded segments of a path; `None` if it is not valid UTF-8.
fn decode_path(path: &str) -> Option<Vec<String>> {
    path.split('/').filter(|s| !s.is_empty()).map(percent_decode).collect()
}

fn percent_decode(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

/// Checks the token in the path or the headers, and returns the path without it.
fn authenticate(shared: &Shared, headers: &HeaderMap, mut path: Vec<String>) -> Result<Vec<String>, Refusal> {
    if let [prefix, token, ..] = path.as_slice()
        && prefix == TOKEN_PREFIX
    {
        if *token != shared.token {
            return Err(Refusal::unauthorized());
        }
        return Ok(path.split_off(2));
    }
    let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let token = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if token.is_some_and(|(_, token)| token.trim() == shared.token) { Ok(path) } else { Err(Refusal::unauthorized()) }
}

async fn route(shared: Arc<Shared>, request: Request<Body>) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let path = decode_path(head.uri.path()).ok_or_else(Refusal::no_such_path);
    // an undecodable path is reported only to clients with a valid token
    let path = match path {
        Ok(path) => authenticate(&shared, &head.headers, path)?,
        Err(refusal) => return authenticate(&shared, &head.headers, Vec::new()).and(Err(refusal)),
    };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (group, version, rest) = match path.as_slice() {
        ["api", "v1", rest @ ..] => ("", "v1", rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        other => return handle_non_resource(&shared, &head.method, other),
    };
    let kinds = shared.lock().kinds();
    if !kinds.iter().any(|k| k.group == group && k.version == version) {
        return Ok(page_not_found());
    }
    if rest.is_empty() {
        require_get(&head.method)?;
        return Ok(json_response(
            200,
            &discovery::resources(&kinds, group, version).ok_or_else(Refusal::no_such_path)?,
        ));
    }
    let (namespace, rest) = match rest {
        ["namespaces", namespace, plural, more @ ..] if !["status", "finalize"].contains(plural) => {
            (Some(*namespace), [&[*plural], more].concat())
        }
        rest => (None, rest.to_vec()),
    };
    let kind = rest.first().and_then(|plural| shared.lock().kind(group, version, plural));
    let built_in = kinds.iter().any(|k| k.group == group && !k.custom);
    let Some(kind) = kind else { return if built_in { Err(Refusal::no_such_path()) } else { Ok(page_not_found()) } };
    if namespace.is_some() && !kind.namespaced {
        return Err(Refusal::no_such_path());
    }
    let query = Params::read(&head.uri)?;
    let form = ResponseFormat::accepted(
        head.headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default(),
        query.get("includeObject"),
    )?;
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let call = Call { shared, kind, namespace: namespace.unwrap_or_default().to_owned(), query, form, content_type };
    match rest.as_slice() {
        [_] => call.collection(head.method, body, namespace.is_some()).await,
        // a namespaced object can only be addressed with its namespace
        [_, _, ..] if call.kind.namespaced && namespace.is_none() => Err(Refusal::no_such_path()),
        [_, name] => call.object(head.method, body, name, Part::Main).await,
        [_, name, "status"] if call.kind.status => call.object(head.method, body, name, Part::Status).await,
        [
            plural,
            _,
            "scale"
            | "log"
            | "exec"
            | "attach"
            | "portforward"
            | "proxy"
            | "eviction"
            | "binding"
            | "token"
            | "finalize"
            | "ephemeralcontainers"
            | "resize",
            ..,
        ] if !call.kind.custom => Err(Refusal::not_implemented(&format!("the subresource {} of {plural}", rest[2]))),
        [_, name, _] if call.kind.custom => Err(Refusal::not_found(&call.kind, name)),
        _ => Err(Refusal::no_such_path()),
    }
}

fn require_get(method: &Method) -> Result<(), Refusal> {
    if [Method::GET, Method::HEAD].contains(method) { Ok(()) } else { Err(Refusal::method_not_allowed()) }
}

/// Requests that are not about objects: version, discovery, health.
fn handle_non_resource(shared: &Shared, method: &Method, path: &[&str]) -> Result<Response, Refusal> {
    let kinds = || shared.lock().kinds();
    let body = match path {
        ["version"] => discovery::version(),
        ["api"] => discovery::core_versions(),
        ["apis"] => discovery::groups(&kinds()),
        ["apis", group] => match discovery::group(&kinds(), group, true) {
            Some(group) => group,
            None => return Ok(page_not_found()),
        },
        ["healthz" | "livez" | "readyz"] => {
            require_get(method)?;
            return Ok(plain_text("ok"));
        }
        // kubectl requires a document here before `apply`; an empty one of an unknown type makes it skip client-side
        // validation
        ["openapi", "v2"] => {
            require_get(method)?;
            let mut response = plain_text("");
            let plain = header::HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
            return Ok(response);
        }
        _ => return Ok(page_not_found()),
    };
    require_get(method)?;
    Ok(json_response(200, &body))
}
