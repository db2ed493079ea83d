//! Example values of schemas.
use super::refs::resolve;
use crate::init::words::is_secret;
use serde_json::{Map, Value as Json};

/// Levels of a made value; deeper ones are left out.
const MAX_DEPTH: usize = 6;
const MAX_PROPERTIES: usize = 30;

/// A value that the author of the document gives for a schema.
pub fn given(document: &Json, schema: &Json) -> Option<Json> {
    let schema = resolve(document, schema)?;
    let first = |key: &str| schema[key].as_array().and_then(|all| all.iter().find(|v| !v.is_null()).cloned());
    let single = |key: &str| schema.get(key).filter(|v| !v.is_null()).cloned();
    single("const")
        .or_else(|| single("example"))
        .or_else(|| first("examples"))
        .or_else(|| single("default"))
        .or_else(|| first("enum"))
        .or_else(|| {
            let parts = ["allOf", "oneOf", "anyOf"].iter().filter_map(|k| schema[*k].as_array()).flatten();
            parts
                .take(MAX_PROPERTIES)
                .find_map(|part| if part.get("$ref").is_some() { None } else { given(document, part) })
        })
}

/// The first type that a schema allows besides `null`.
pub fn kind<'d>(document: &'d Json, schema: &'d Json) -> Option<&'d str> {
    kind_within(document, schema, 0)
}

fn kind_within<'d>(document: &'d Json, schema: &'d Json, depth: usize) -> Option<&'d str> {
    let schema = resolve(document, schema).filter(|_| depth < MAX_DEPTH)?;
    match &schema["type"] {
        Json::String(kind) => return Some(kind),
        Json::Array(kinds) => return kinds.iter().filter_map(Json::as_str).find(|k| *k != "null"),
        _ => {}
    }
    match () {
        () if schema["properties"].is_object() => Some("object"),
        () if schema["items"].is_object() => Some("array"),
        () => {
            let parts = ["allOf", "oneOf", "anyOf"].iter().filter_map(|k| schema[*k].as_array()).flatten();
            parts.take(MAX_PROPERTIES).find_map(|part| kind_within(document, part, depth + 1))
        }
    }
}

/// A value that a request may contain; properties that only responses have are left out.
pub fn made(document: &Json, schema: &Json) -> Option<Json> {
    make(document, schema, 0)
}

fn make(document: &Json, schema: &Json, depth: usize) -> Option<Json> {
    let schema = resolve(document, schema).filter(|_| depth <= MAX_DEPTH)?;
    if let Some(value) = given(document, schema) {
        return Some(value);
    }
    for keyword in ["oneOf", "anyOf"] {
        if schema["properties"].is_null()
            && let Some(parts) = schema[keyword].as_array()
            && let Some(value) = parts.iter().filter(|p| p["type"] != "null").find_map(|p| make(document, p, depth + 1))
        {
            return Some(value);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for value in parts.iter().filter_map(|part| make(document, part, depth + 1)) {
            match value {
                Json::Object(map) => whole.extend(map),
                other if parts.len() == 1 => return Some(other),
                _ => {}
            }
        }
        if let Some(Json::Object(own)) = object(document, schema, depth) {
            whole.extend(own);
        }
        return Some(Json::Object(whole));
    }
    match kind(document, schema)? {
        "object" => object(document, schema, depth),
        "array" => {
            let item = make(document, &schema["items"], depth + 1);
            Some(Json::Array(item.into_iter().collect()))
        }
        "string" => Some(Json::String(string(schema))),
        "integer" | "number" => Some(number(schema)),
        "boolean" => Some(Json::Bool(false)),
        _ => None,
    }
}

fn object(document: &Json, schema: &Json, depth: usize) -> Option<Json> {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let mut out = Map::new();
    for (name, property) in properties {
        let resolved = resolve(document, property).unwrap_or(&Json::Null);
        let is_wanted = required.contains(&name.as_str()) || required.is_empty() && depth < 2;
        if !is_wanted || resolved["readOnly"] == true || property["readOnly"] == true || out.len() >= MAX_PROPERTIES {
            continue;
        }
        let value = if is_secret(name) { None } else { make(document, property, depth + 1) };
        match value {
            Some(value) => drop(out.insert(name.clone(), value)),
            None if required.contains(&name.as_str()) => drop(out.insert(name.clone(), "TODO".into())),
            None => {}
        }
    }
    Some(Json::Object(out))
}

fn string(schema: &Json) -> String {
    let text = match schema["format"].as_str() {
        Some("date") => "2026-01-01",
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("time") => "12:00:00Z",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        Some("email") => "tester@example.com",
        Some("uri" | "url") => "https://example.com/",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("byte") => "dGV4dA==",
        _ => "text",
    };
    let least = schema["minLength"].as_u64().unwrap_or(0).min(200);
    let missing = usize::try_from(least).unwrap_or(0).saturating_sub(text.len());
    format!("{text}{}", "x".repeat(missing))
}

fn number(schema: &Json) -> Json {
    let exclusive = schema["exclusiveMinimum"] == true;
    match (&schema["minimum"], &schema["exclusiveMinimum"]) {
        (Json::Number(n), _) => match n.as_i64().filter(|_| exclusive) {
            Some(n) => n.saturating_add(1).into(),
            None => Json::Number(n.clone()),
        },
        (_, Json::Number(n)) => n.as_i64().map_or(1.into(), |n| n.saturating_add(1).into()),
        _ => match schema["maximum"].as_i64().filter(|most| *most < 1) {
            Some(most) => most.into(),
            None => 1.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn makes_what_a_request_may_contain() {
        let document = json!({ "components": { "schemas": {
            "Base": { "type": "object", "required": ["id"], "properties": { "id": { "type": "integer", "minimum": 5 } } },
            "Node": { "type": "object", "required": ["next"], "properties": { "next": { "$ref": "#/components/schemas/Node" } } },
        } } });
        for (schema, expected) in [
            (json!({ "type": ["null", "string"] }), json!("text")),
            (json!({ "type": "string", "format": "date" }), json!("2026-01-01")),
            (json!({ "enum": [null, "a"] }), json!("a")),
            (json!({ "type": "array", "items": { "type": "boolean" } }), json!([false])),
            (
                json!({ "allOf": [{ "$ref": "#/components/schemas/Base" }, { "type": "object", "properties": {
                "note": { "type": "string", "example": "hi" }, "made": { "type": "string", "readOnly": true } } }] }),
                json!({ "id": 5, "note": "hi" }),
            ),
            (json!({ "oneOf": [{ "type": "null" }, { "type": "integer", "exclusiveMinimum": 3 }] }), json!(4)),
            (
                json!({ "type": "object", "required": ["password"], "properties": { "password": { "type": "string", "example": "x" } } }),
                json!({ "password": "TODO" }),
            ),
        ] {
            assert_eq!(made(&document, &schema), Some(expected), "{schema}");
        }
        assert!(made(&document, &json!({ "$ref": "#/components/schemas/Node" })).is_some(), "a cycle ends");
    }
}
