//! Changes finished responses as the variations that are switched on demand.
use super::state::Api;
use crate::variation::Variation;
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE, response::Parts},
    middleware::Next,
    response::Response,
};
use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};
use serde_json::{Value as Json, json};
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

const DELAY: Duration = Duration::from_millis(150);
const SESSIONS: &str = "/api/v1/sessions";

pub async fn vary(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if api.variations.is_empty() {
        return next.run(request).await;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (mut parts, body) = next.run(request).await.into_parts();
    let mut bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let name = path.strip_prefix(SESSIONS).and_then(|rest| rest.strip_prefix('/')).filter(|n| !n.contains('/'));
    if method == Method::GET && parts.status == StatusCode::OK {
        let mut shown = api.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.extend(name.map(str::to_owned));
    }
    let has = |variation| api.variations.contains(&variation);
    for variation in &api.variations {
        match variation {
            Variation::Create201 if method == Method::POST && path == SESSIONS => {
                replace_status(&mut parts, StatusCode::ACCEPTED, StatusCode::CREATED);
            }
            Variation::Delete204 if method == Method::DELETE && parts.status.is_success() => {
                parts.status = StatusCode::NO_CONTENT;
                empty(&mut parts, &mut bytes);
            }
            Variation::UpdateEmpty if method == Method::PATCH && parts.status.is_success() => {
                parts.status = StatusCode::OK;
                empty(&mut parts, &mut bytes);
            }
            Variation::Gone410 => {
                let shown = api.shown.lock().unwrap_or_else(PoisonError::into_inner);
                if name.is_some_and(|n| shown.contains(n)) {
                    replace_status(&mut parts, StatusCode::NOT_FOUND, StatusCode::GONE);
                }
            }
            Variation::Refuses422 => {
                replace_status(&mut parts, StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY)
            }
            Variation::Slow => tokio::time::sleep(DELAY).await,
            Variation::Charset => set_content_type(&mut parts, "application/json; charset=utf-8"),
            Variation::ManyHeaders => {
                for i in 0..40 {
                    let name = HeaderName::try_from(format!("x-further-{i}")).expect("a valid name");
                    parts.headers.insert(name, HeaderValue::from(i));
                }
            }
            _ => {}
        }
    }
    if let Ok(mut body) = serde_json::from_slice::<Json>(&bytes) {
        let is_error = parts.status.is_client_error() || parts.status.is_server_error();
        if let (true, Some(Json::String(message))) = (is_error && has(Variation::LongMessages), body.get_mut("message"))
        {
            *message =
                format!("Your request {method} {path} could not be served: {message}. The documentation says more.");
        }
        api.variations.iter().for_each(|variation| change(*variation, &mut body));
        let text = match has(Variation::Indented) {
            true => serde_json::to_vec_pretty(&body),
            false => serde_json::to_vec(&body),
        };
        bytes = Bytes::from(text.unwrap_or_default());
    }
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(bytes))
}

fn replace_status(parts: &mut Parts, from: StatusCode, to: StatusCode) {
    if parts.status == from {
        parts.status = to;
    }
}

fn empty(parts: &mut Parts, bytes: &mut Bytes) {
    parts.headers.remove(CONTENT_TYPE);
    *bytes = Bytes::new();
}

fn set_content_type(parts: &mut Parts, value: &'static str) {
    if let Some(header) = parts.headers.get_mut(CONTENT_TYPE) {
        *header = HeaderValue::from_static(value);
    }
}

/// Changes a value and everything in it.
fn change(variation: Variation, body: &mut Json) {
    match body {
        Json::Array(items) => {
            items.iter_mut().for_each(|item| change(variation, item));
            if variation == Variation::ListsReversed {
                items.reverse();
            }
        }
        Json::Object(fields) => {
            fields.values_mut().for_each(|value| change(variation, value));
            if variation == Variation::ExtraFields {
                fields.insert("x_revision".into(), json!({ "number": 7, "of": ["a", "b"] }));
            }
        }
        Json::String(text) if variation == Variation::OtherZone => {
            if let Ok(time) = text.parse::<Timestamp>() {
                let offset = Offset::from_seconds(19_800).expect("a valid offset");
                *text = time.to_zoned(TimeZone::fixed(offset)).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string();
            }
        }
        _ => {}
    }
}
