//! Bodies of requests and responses.
use super::{refs::resolve, sample, schema::Schemas};
use crate::init::words::member;
use serde_json::{Map, Value as Json};

/// Fields and lists of a response that are looked at.
const MAX_FIELDS: usize = 200;
const MAX_DEPTH: usize = 8;

/// The response to a request that is right.
#[derive(Clone, Debug)]
pub struct Success {
    pub status: u16,
    /// The content type to expect; `None` without content, or if any is allowed.
    pub media: Option<String>,
    /// The content type to ask for, where there are several.
    pub accept: Option<String>,
    /// Whether `$schema` can assert the body; if not, why.
    pub schema: Result<(), String>,
    /// Lists in the body.
    pub lists: Vec<List>,
    /// Fields of the body.
    pub fields: Vec<Field>,
}

/// A list in a response.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// An expression over the response: `body.items`.
    pub expression: String,
    /// Fields of the first element.
    pub fields: Vec<Field>,
}

/// A scalar in a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Empty for an element that is a scalar itself.
    pub name: String,
    pub expression: String,
    pub kind: Option<String>,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    pub media: String,
    pub value: Option<Json>,
}

/// The response of an operation to a request that is right.
pub fn success(document: &Json, schemas: &mut Schemas<'_>, path: &str, method: &str, operation: &Json) -> Success {
    let empty = Map::new();
    let responses = operation["responses"].as_object().unwrap_or(&empty);
    let usual = if method == "post" { 201 } else { 200 };
    let (code, status) = chosen(responses, usual);
    let mut success = Success {
        status,
        media: None,
        accept: None,
        schema: Err("the document describes no JSON".into()),
        lists: vec![],
        fields: vec![],
    };
    let Some((code, written)) = code.and_then(|code| Some((code, responses.get(code)?))) else { return success };
    let Some((response, pointer)) =
        located(document, written, format!("/paths/{}/{method}/responses/{}", escaped(path), escaped(code)))
    else {
        success.schema = Err("the response is described in another document".into());
        return success;
    };
    let content = response["content"].as_object().unwrap_or(&empty);
    let has_body = method != "head" && !matches!(status, 204 | 205 | 304);
    let json =
        content.iter().find(|(kind, v)| kind.contains("json") && v["schema"].is_object() || v["schema"].is_boolean());
    let kinds: Vec<&String> = content.keys().collect();
    if !has_body {
        success.schema = Err("the response has no body".into());
        return success;
    }
    match json {
        Some((kind, media)) => {
            success.media = is_exact(kind).then(|| bare(kind));
            success.accept = (kinds.len() > 1).then(|| bare(kind)).filter(|_| is_exact(kind));
            // the compiler of plans makes a URL of the pointer, which ends at the character
            let unreadable = pointer.contains('#').then(|| "the path contains `#`, where schemas are not found".into());
            let refusal =
                unreadable.or_else(|| schemas.refusal(&format!("{pointer}/content/{}/schema", escaped(kind))));
            success.schema = refusal.map_or(Ok(()), Err);
            success.fields = fields(document, &media["schema"], "body");
            success.lists = lists(document, &media["schema"]);
        }
        None => success.media = kinds.first().filter(|kind| kinds.len() == 1 && is_exact(kind)).map(|kind| bare(kind)),
    }
    success
}

/// The key of the response that means success, and its status.
fn chosen(responses: &Map<String, Json>, usual: u16) -> (Option<&str>, u16) {
    let mut codes: Vec<u16> =
        responses.keys().filter_map(|k| k.parse().ok()).filter(|n| (200..400).contains(n)).collect();
    codes.sort_unstable();
    let has = |range: &str| responses.keys().find(|k| k.eq_ignore_ascii_case(range)).map(String::as_str);
    match codes.first() {
        Some(n) if *n < 300 || has("2XX").is_none() => {
            (responses.keys().map(String::as_str).find(|k| k.parse() == Ok(*n)), *n)
        }
        // `$schema` finds ranges in capitals only
        _ => match has("2XX") {
            Some(range) => (Some(range), usual),
            None => (has("default"), usual),
        },
    }
}

/// What a chain of references leads to, with its JSON Pointer.
fn located<'d>(document: &'d Json, written: &'d Json, pointer: String) -> Option<(&'d Json, String)> {
    let (mut value, mut pointer) = (written, pointer);
    for _ in 0..MAX_DEPTH {
        match value["$ref"].as_str() {
            None => return Some((value, pointer)),
            Some(reference) => {
                pointer = super::refs::local(reference)?;
                value = document.pointer(&pointer)?;
            }
        }
    }
    None
}

fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// A content type without its parameters.
fn bare(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_exact(kind: &str) -> bool {
    let bare = bare(kind);
    bare.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
        && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-._".contains(&b))
}

/// The scalars of an object.
fn fields(document: &Json, schema: &Json, of: &str) -> Vec<Field> {
    let properties = properties(document, schema, 0);
    let scalars = properties.into_iter().filter_map(|(name, property)| {
        let kind = sample::kind(document, property).map(String::from);
        let is_scalar = !matches!(kind.as_deref(), Some("object" | "array" | "boolean" | "null"));
        is_scalar.then(|| Field { name: name.to_string(), expression: member(of, name), kind })
    });
    scalars.take(MAX_FIELDS).collect()
}

/// The lists of a body: the body itself, or one of its properties.
fn lists(document: &Json, schema: &Json) -> Vec<List> {
    let mut found: Vec<List> = list(document, schema, "body").into_iter().collect();
    for (name, property) in properties(document, schema, 0) {
        found.extend(list(document, property, &member("body", name)));
    }
    found
}

fn list(document: &Json, schema: &Json, expression: &str) -> Option<List> {
    let schema = resolve(document, schema)?;
    let items = resolve(document, &schema["items"]).filter(|_| sample::kind(document, schema) == Some("array"))?;
    let first = format!("{expression}[0]");
    let mut fields = fields(document, items, &first);
    let kind = sample::kind(document, items);
    if fields.is_empty() && matches!(kind, Some("string" | "integer")) {
        fields.push(Field { name: String::new(), expression: first, kind: kind.map(String::from) });
    }
    Some(List { expression: expression.into(), fields })
}

/// The properties of a schema and of those that it consists of.
fn properties<'d>(document: &'d Json, schema: &'d Json, depth: usize) -> Vec<(&'d str, &'d Json)> {
    let Some(schema) = resolve(document, schema).filter(|_| depth < MAX_DEPTH) else { return vec![] };
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, s)| (name.as_str(), s));
    let mut all: Vec<_> = own.filter(|(_, s)| s["writeOnly"] != true).take(MAX_FIELDS).collect();
    let parts = ["allOf", "oneOf", "anyOf"].iter().filter_map(|k| schema[*k].as_array()).flatten();
    for part in parts.take(MAX_DEPTH) {
        let more = properties(document, part, depth + 1);
        all.extend(more);
        if all.len() > MAX_FIELDS {
            break;
        }
    }
    all
}

/// The body that a request needs, with an example.
pub fn body(document: &Json, operation: &Json) -> Option<Body> {
    let body = resolve(document, &operation["requestBody"])?;
    let content = body["content"].as_object()?;
    let order = ["json", "x-www-form-urlencoded", "multipart/form-data", "text/plain"];
    let best = order.iter().find_map(|part| content.iter().find(|(kind, _)| kind.contains(part)));
    let (kind, media) = best.or_else(|| content.iter().next())?;
    let example = media.get("example").filter(|v| !v.is_null()).cloned();
    let named = || {
        let all = media["examples"].as_object()?;
        all.values().filter_map(|e| resolve(document, e)).map(|e| e["value"].clone()).find(|v| !v.is_null())
    };
    let value = example.or_else(named).or_else(|| sample::made(document, &media["schema"]));
    Some(Body { media: bare(kind), value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(responses: Json) -> Success {
        let document = json!({ "openapi": "3.0.0", "components": {
            "schemas": { "Pet": { "type": "object", "properties": { "id": { "type": "integer" }, "x-tag": { "type": "string" } } },
                "Page": { "allOf": [{ "properties": { "items": { "type": "array", "items": { "$ref": "#/components/schemas/Pet" } } } }] } },
            "responses": { "Ok": { "content": { "application/json; charset=utf-8": { "schema": { "$ref": "#/components/schemas/Page" } } } } } } });
        let operation = json!({ "responses": responses });
        let mut whole = document.clone();
        whole["paths"] = json!({ "/p": { "get": operation.clone() } });
        success(&whole, &mut Schemas::new(&whole), "/p", "get", &operation)
    }

    #[test]
    fn the_lowest_success_decides() {
        for (responses, status) in [
            (json!({ "404": {}, "204": {}, "202": {} }), 202),
            (json!({ "2XX": {}, "404": {} }), 200),
            (json!({ "default": {} }), 200),
            (json!({ "302": {}, "default": {} }), 302),
            (json!({ "404": {} }), 200),
        ] {
            assert_eq!(of(responses.clone()).status, status, "{responses}");
        }
    }

    #[test]
    fn responses_are_followed_to_their_lists_and_fields() {
        let success = of(json!({ "200": { "$ref": "#/components/responses/Ok" } }));
        assert_eq!(success.schema, Ok(()));
        assert_eq!(success.media.as_deref(), Some("application/json"));
        let fields: Vec<_> = success.lists[0].fields.iter().map(|f| f.expression.as_str()).collect();
        assert_eq!(
            (success.lists[0].expression.as_str(), fields),
            ("body.items", vec!["body.items[0].id", "body.items[0]['x-tag']"])
        );
        let html = of(json!({ "200": { "content": { "text/html": {} } } }));
        assert!(html.schema.is_err() && html.media.as_deref() == Some("text/html"));
        let both = of(
            json!({ "200": { "content": { "application/xml": {}, "application/json": { "schema": { "type": "string" } } } } }),
        );
        assert_eq!(both.accept.as_deref(), Some("application/json"));
        assert!(of(json!({ "200": { "$ref": "other.yaml" } })).schema.is_err());
    }
}
