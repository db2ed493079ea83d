//! Defects that record what must not be recorded: queries, headers, bodies.
use crate::{
    api::{state::Api, trail::Trail},
    defect::Defect as D,
};
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, header::AUTHORIZATION},
};
use serde_json::{Map, Value as Json, json};

/// How much of a secret the defects show that cut it.
const SHOWN_CHARS: usize = 12;

/// The beginning of a secret, as it is shown by mistake.
pub fn beginning(secret: &str) -> String {
    secret.chars().take(SHOWN_CHARS).chain("...".chars()).collect()
}

/// Attaches data of the request to its audit entries, or logs it, as the defects say.
pub async fn attach_leaks(api: &Api, trail: &Trail, request: Request) -> Request {
    let has = |defect| api.defects.has(defect);
    let target = request.uri().to_string();
    if has(D::AuditTellsQuery) {
        trail.attach("url", target.as_str());
    }
    if has(D::LogTellsQuery) {
        api.log.info("request", &[("method", request.method()), ("url", &target)]);
    }
    if has(D::AuditKeepsHeaders) {
        trail.attach("headers", headers(request.headers()));
    }
    if has(D::AuditKeepsOtherHeaders) {
        trail.attach("headers", other_headers(request.headers()));
    }
    if has(D::LogTellsHeaders) {
        api.log.info("request", &[("headers", &json!(other_headers(request.headers())))]);
    }
    if let (true, Some(header)) = (has(D::LogTellsBeginning), request.headers().get(AUTHORIZATION)) {
        let token = header.to_str().unwrap_or_default().trim_start_matches("Bearer ");
        api.log.info("request", &[("bearer", &beginning(token))]);
    }
    if !has(D::AuditMasksPasswordOnly) && !has(D::LogTellsMalformed) {
        return request;
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    match serde_json::from_slice::<Json>(&bytes) {
        Ok(mut body) if has(D::AuditMasksPasswordOnly) => {
            mask_passwords(&mut body);
            trail.attach("request_body", body);
        }
        Err(error) if has(D::LogTellsMalformed) && !bytes.is_empty() => {
            api.log.warn("invalid body", &[("cause", &error), ("body", &String::from_utf8_lossy(&bytes))]);
        }
        _ => {}
    }
    Request::from_parts(parts, Body::from(bytes))
}

fn headers(headers: &HeaderMap) -> Map<String, Json> {
    let text = |value: &[u8]| json!(String::from_utf8_lossy(value));
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

fn other_headers(given: &HeaderMap) -> Map<String, Json> {
    let mut others = headers(given);
    others.remove(AUTHORIZATION.as_str());
    others
}

fn mask_passwords(body: &mut Json) {
    match body {
        Json::Object(fields) => fields.iter_mut().for_each(|(name, value)| match name.as_str() {
            "password" => *value = json!("***"),
            _ => mask_passwords(value),
        }),
        Json::Array(items) => items.iter_mut().for_each(mask_passwords),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_only_fields_named_password() {
        let mut body = json!({ "password": "a", "token": "b", "in": [{ "password": "c", "secret": "d" }] });
        mask_passwords(&mut body);
        let masked = json!({ "password": "***", "token": "b", "in": [{ "password": "***", "secret": "d" }] });
        assert_eq!(body, masked);
    }

    #[test]
    fn keeps_all_headers_except_authorization() {
        let mut given = HeaderMap::new();
        given.insert(AUTHORIZATION, "Bearer a".parse().unwrap());
        given.insert("x-api-key", "b".parse().unwrap());
        assert_eq!(Json::from(other_headers(&given)), json!({ "x-api-key": "b" }));
        assert_eq!(beginning("0123456789abcdef"), "0123456789ab...");
    }
}
