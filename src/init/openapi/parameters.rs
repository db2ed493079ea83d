//! Values of parameters, as they are sent.
use super::{refs::resolve, sample};
use crate::init::{
    words::{self, is_secret},
    yaml::{self, Yaml},
};
use serde_json::Value as Json;

/// A value for a parameter of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct PathParameter {
    pub name: String,
    /// The value that the document gives, as it is written in a path.
    pub value: Option<String>,
    /// Whether every service knows the value: one of an `enum`.
    pub is_certain: bool,
    /// `integer`, `string` …
    pub kind: Option<String>,
}

/// What a request needs besides its path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    pub path: Vec<PathParameter>,
    /// Required parameters of the query, with their values.
    pub query: Vec<(String, Yaml)>,
    pub headers: Vec<(String, Yaml)>,
    /// Required parameters without a value.
    pub missing: Vec<Missing>,
}

/// A required parameter without a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    pub name: String,
    /// `query`, `header` or `cookie`.
    pub place: String,
    pub reason: String,
}

/// Reads the parameters of an operation and those of its path.
pub fn inputs(document: &Json, path: &str, item: &Json, operation: &Json) -> Inputs {
    let mut parameters: Vec<&Json> = vec![];
    let all = [&item["parameters"], &operation["parameters"]].into_iter().filter_map(Json::as_array).flatten();
    for parameter in all.filter_map(|p| resolve(document, p)).filter(|p| p["name"].is_string() && p["in"].is_string()) {
        // those of the operation replace those of the path
        parameters.retain(|p| p["name"] != parameter["name"] || p["in"] != parameter["in"]);
        parameters.push(parameter);
    }
    let mut inputs = Inputs::default();
    for name in placeholders(path) {
        let parameter = parameters.iter().find(|p| p["in"] == "path" && p["name"] == name);
        let schema = parameter.map(|p| schema(p));
        let value =
            parameter.and_then(|p| value(document, p)).filter(|v| !v.is_empty() && v.iter().all(|v| is_segment(v)));
        let is_certain =
            schema.and_then(|s| resolve(document, s)).is_some_and(|s| s["enum"].is_array() || !s["const"].is_null());
        let kind = schema.and_then(|s| sample::kind(document, s)).map(String::from);
        let value = value.map(|v| v.join(",")).filter(|_| !is_secret(name) && kind.as_deref() != Some("object"));
        inputs.path.push(PathParameter { name: name.into(), value, is_certain, kind });
    }
    for parameter in parameters.iter().filter(|p| p["required"] == true && p["in"] != "path") {
        let (name, place) = (text(parameter, "name"), text(parameter, "in"));
        if place == "header"
            && ["accept", "content-type", "authorization"].contains(&name.to_ascii_lowercase().as_str())
        {
            continue;
        }
        let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
        if is_secret(name) {
            let reason = format!("`{shown}` is a secret: plans contain none");
            inputs.missing.push(Missing { name: name.into(), place: place.into(), reason });
            continue;
        }
        let made = || made(document, schema(parameter));
        let is_object = sample::kind(document, schema(parameter)) == Some("object");
        let values = value(document, parameter).or_else(made).filter(|_| !is_object);
        match (values, place) {
            (Some(values), "query") => inputs.query.push((name.into(), joined(parameter, values))),
            (Some(values), "header") if is_header(name) && values.iter().all(|v| is_header_value(v)) => {
                inputs.headers.push((name.into(), yaml::text(values.join(","))));
            }
            _ => {
                let reason = format!("the document gives no value for `{shown}` in the {}", words::sentence(place));
                inputs.missing.push(Missing { name: name.into(), place: place.into(), reason });
            }
        }
    }
    inputs
}

/// The names between braces in a path.
pub fn placeholders(path: &str) -> Vec<&str> {
    let mut names = vec![];
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        names.push(name);
        rest = after;
    }
    names
}

fn text<'p>(parameter: &'p Json, key: &str) -> &'p str {
    parameter[key].as_str().unwrap_or_default()
}

fn schema(parameter: &Json) -> &Json {
    match &parameter["schema"] {
        Json::Null => {
            parameter["content"].as_object().and_then(|c| c.values().next()).map_or(&Json::Null, |m| &m["schema"])
        }
        schema => schema,
    }
}

/// The values that the document gives for a parameter; several for a list.
fn value(document: &Json, parameter: &Json) -> Option<Vec<String>> {
    let example = parameter.get("example").filter(|v| !v.is_null()).cloned();
    let named = || {
        let all = parameter["examples"].as_object()?;
        all.values().filter_map(|e| resolve(document, e)).map(|e| e["value"].clone()).find(|v| !v.is_null())
    };
    let value = example.or_else(named).or_else(|| sample::given(document, schema(parameter)))?;
    let own = || {
        let item = sample::given(document, &resolve(document, schema(parameter))?["items"])?;
        Some(vec![as_text(&item)?])
    };
    match &value {
        Json::Array(items) if items.is_empty() => own(),
        Json::Array(items) => items.iter().map(as_text).collect(),
        single => as_text(single).filter(|text| !is_placeholder(text)).map(|text| vec![text]),
    }
}

/// A value that the type alone allows, where any value of the type will do.
fn made(document: &Json, schema: &Json) -> Option<Vec<String>> {
    let resolved = resolve(document, schema)?;
    let is_free = match sample::kind(document, schema)? {
        "integer" | "number" | "boolean" => true,
        "string" => matches!(resolved["format"].as_str(), Some("date" | "date-time" | "time")),
        "array" => {
            return made(document, &resolved["items"])
                .or_else(|| Some(vec![as_text(&sample::given(document, &resolved["items"])?)?]));
        }
        _ => false,
    };
    let value = sample::made(document, schema).filter(|_| is_free)?;
    Some(vec![as_text(&value)?])
}

fn as_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// One value with its separators, or one for each repetition of the name.
fn joined(parameter: &Json, values: Vec<String>) -> Yaml {
    let separator = match parameter["style"].as_str() {
        Some("spaceDelimited") => " ",
        Some("pipeDelimited") => "|",
        _ if parameter["explode"] != false && values.len() > 1 => {
            return Yaml::List(values.into_iter().map(yaml::text).collect());
        }
        _ => ",",
    };
    yaml::text(values.join(separator))
}

/// Whether an example is only the name of what belongs there: `{id}`, `<id>`, `:id`.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(['{', '<', ':']) || text.starts_with("YOUR_") || text.contains("${")
}

fn is_segment(value: &str) -> bool {
    !value.is_empty()
        && value != "."
        && value != ".."
        && value.len() < 300
        && !value.chars().any(char::is_control)
        && !is_placeholder(value)
}

/// Whether a text can be the name of a header.
pub fn is_header(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn is_header_value(value: &str) -> bool {
    value.chars().all(|c| matches!(c, ' '..='~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_come_from_examples_defaults_enums_and_types() {
        let document = json!({ "components": { "parameters": { "P": { "name": "page", "in": "query", "required": true, "schema": { "type": "integer", "default": 3 } } } } });
        let parameter = |name: &str, place: &str, schema: Json| json!({ "name": name, "in": place, "required": true, "schema": schema });
        let operation = json!({ "parameters": [
            { "$ref": "#/components/parameters/P" },
            parameter("kind", "path", json!({ "enum": ["cat", "dog"] })),
            parameter("id", "path", json!({ "type": "integer" })),
            parameter("day", "query", json!({ "type": "string", "format": "date" })),
            parameter("tags", "query", json!({ "type": "array", "items": { "enum": ["a"] } })),
            parameter("free", "query", json!({ "type": "string" })),
            parameter("token", "query", json!({ "type": "string", "example": "abc" })),
            parameter("X-Trace", "header", json!({ "type": "string", "example": "t1" })),
            parameter("Accept", "header", json!({ "type": "string" })),
            { "name": "optional", "in": "query", "schema": { "type": "string" } },
        ] });
        let inputs = inputs(&document, "/{kind}/x/{id}", &json!({}), &operation);
        let kind = PathParameter { name: "kind".into(), value: Some("cat".into()), is_certain: true, kind: None };
        let id = PathParameter { name: "id".into(), value: None, is_certain: false, kind: Some("integer".into()) };
        assert_eq!(inputs.path, [kind, id]);
        let query: Vec<_> = inputs.query.iter().map(|(n, v)| format!("{n}={}", v.inline())).collect();
        assert_eq!(query, [r#"page="3""#, r#"day="2026-01-01""#, r#"tags="a""#]);
        assert_eq!(inputs.headers, [("X-Trace".to_string(), yaml::text("t1"))]);
        let reasons: Vec<_> = inputs.missing.iter().map(|m| m.reason.as_str()).collect();
        assert_eq!(
            reasons,
            ["the document gives no value for `free` in the query", "`token` is a secret: plans contain none"]
        );
    }
}
