//! The `http` actions of an operation.
use super::{
    chain::{self, Index, last_segment},
    path::{Segment, request},
};
use crate::init::{
    openapi::{Body, Operation},
    yaml::{Yaml, escaped, map, template, text, word},
};
use serde_json::Value as Json;

/// The verb `http` with the request of an operation.
pub fn http(operation: &Operation, segments: &[Segment], more: Vec<(String, Yaml)>) -> Yaml {
    let mut entries = vec![("request".to_string(), request(&operation.method, &operation.path, segments))];
    if !operation.inputs.query.is_empty() {
        let query = operation.inputs.query.iter().map(|(name, value)| (escaped(name), value.clone()));
        entries.push(("query".into(), Yaml::Map(query.collect())));
    }
    let mut headers: Vec<(String, Yaml)> = vec![];
    headers.extend(operation.success.accept.iter().map(|accept| ("Accept".to_string(), text(accept))));
    let own = operation.inputs.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("accept"));
    headers.extend(own.cloned());
    if let Some(kind) = operation.body.as_ref().and_then(foreign_media) {
        headers.push(("Content-Type".into(), text(kind)));
    }
    if !headers.is_empty() {
        entries.push(("headers".into(), Yaml::Map(headers)));
    }
    entries.extend(operation.body.as_ref().filter(|_| !operation.is_read()).map(body));
    entries.extend(more);
    Yaml::Map(entries)
}

/// An action with a verb.
pub fn action<const N: usize>(http: Yaml, more: [(&str, Yaml); N]) -> Yaml {
    let Yaml::Map(mut entries) = map([("http", http)]) else { return word("null") };
    entries.extend(more.into_iter().map(|(key, value)| (key.to_string(), value)));
    Yaml::Map(entries)
}

/// The content type of a body that no key of `http` sets.
fn foreign_media(body: &Body) -> Option<&str> {
    let is_own = ["json", "x-www-form-urlencoded", "multipart/form-data"].iter().any(|part| body.media.contains(part));
    match body.media.as_str() {
        "application/json" => None,
        media if media.contains("json") => Some(media),
        _ if is_own => None,
        media => Some(media),
    }
}

fn body(body: &Body) -> (String, Yaml) {
    let value = body.value.clone().unwrap_or(Json::Null);
    let plain = |value: &Json| match value {
        Json::String(s) => text(s),
        Json::Null => text(""),
        other => text(other.to_string()),
    };
    let flat = |value: &Json| match value {
        Json::Object(map) => Yaml::Map(map.iter().map(|(name, value)| (escaped(name), plain(value))).collect()),
        _ => map([("TODO", text("TODO"))]),
    };
    match body.media.as_str() {
        media if media.contains("json") => match value {
            Json::Null => ("json".into(), map([("TODO", text("TODO"))])),
            value => ("json".into(), Yaml::of_json(&value)),
        },
        media if media.contains("x-www-form-urlencoded") => ("form".into(), flat(&value)),
        media if media.contains("multipart/form-data") => ("multipart".into(), flat(&value)),
        _ => match value {
            Json::String(s) => ("text".into(), text(s)),
            _ => ("text".into(), text("TODO")),
        },
    }
}

/// The actions that remove what an operation creates, if another operation of the document can.
pub fn undo(operation: &Operation, segments: &[Segment], index: &Index<'_>) -> Option<Yaml> {
    let is_removal = |o: &&Operation| o.method == "DELETE" && o.inputs.query.is_empty();
    let is_parameter = |o: &&Operation| {
        let name = last_segment(&o.path).strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        name.is_some_and(|name| !name.contains('{'))
    };
    let removal = match operation.method.as_str() {
        "PUT" => index.at(&operation.path).find(is_removal)?,
        "POST" => index.below(&operation.path).filter(is_parameter).find(is_removal)?,
        _ => return None,
    };
    let mut all = segments.to_vec();
    if let Some(parameter) = removal.inputs.path.get(all.len()) {
        let segment = last_segment(&operation.path);
        let field = chain::best(operation.success.fields.iter(), parameter, segment);
        let expression = field.map_or("body.id", |f| f.expression.as_str());
        all.push(Segment::Name(format!("response.{expression}")));
    }
    let gone = map([("$in", Yaml::List([200, 202, 204, 404].map(word).to_vec()))]);
    let request = request("DELETE", &removal.path, &all);
    let expect = map([("status", gone)]);
    Some(Yaml::List(vec![map([("http", map([("request", request)])), ("expect", expect)])]))
}

/// A pattern for the content type of a response.
pub fn content_type(media: &str) -> Yaml {
    let pattern = format!("(?i)^{}", regex::escape(media));
    map([("content-type", map([("$regex", template(escaped(&pattern)))]))])
}
