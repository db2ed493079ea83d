//! What a JSON Schema asserts. One with an unknown keyword or format asserts less than it seems to, and one that every
//! value satisfies asserts nothing: both are refused.
use super::exact::Document;
use crate::{
    diagnostic::nearest,
    expr::regex::matches_everything,
    value::{Value, is_rfc3339},
};
use jsonschema::{ValidationOptions, Validator};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};
use std::collections::HashSet;

/// Keywords that assert nothing by themselves.
const ANNOTATIONS: &[&str] = &[
    "$schema",
    "$id",
    "id",
    "$anchor",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "$vocabulary",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "if",
    "minContains",
    "maxContains",
];
const ASSERTIONS: &[&str] = &[
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "type",
    "enum",
    "const",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxProperties",
    "minProperties",
    "required",
    "dependentRequired",
    "format",
    "not",
    "then",
    "else",
    "contains",
    "propertyNames",
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "prefixItems",
    "properties",
    "patternProperties",
    "dependentSchemas",
    "dependencies",
];
/// Formats of the registry of OpenAPI that describe a number or the presentation of a string.
const PRESENTATION: &[&str] = &["int32", "int64", "float", "double", "password", "byte", "binary"];
/// Length of a chain of `$ref`s.
const MAX_DEPTH: usize = 16;

/// A compiled schema.
#[derive(Debug)]
pub struct Checker {
    validator: Validator,
    document: Document,
    is_openapi: bool,
    /// Every name in the schema, to find headers without regard to case.
    names: HashSet<String>,
}

/// How many places of a value that is not valid are reported.
const MAX_ERRORS: usize = 1000;

impl Checker {
    /// Where a value is not valid, as a JSON Pointer, and why: the first ones.
    pub fn errors(&self, value: &Value) -> Vec<(String, String)> {
        let errors = |validator: &Validator, json: &Json| {
            let all = validator.iter_errors(json).take(MAX_ERRORS);
            all.map(|e| (e.instance_path().to_string(), e.to_string())).collect()
        };
        let mut numbers = self.document.numbers.clone();
        let json = numbers.encode(&self.spelled(value));
        if numbers.is_empty() {
            return errors(&self.validator, &json);
        }
        match numbers.compare_exactly(options(self.is_openapi)).build(&self.document.json) {
            Ok(exact) => errors(&exact, &json),
            Err(e) => vec![(String::new(), format!("invalid JSON Schema: {e}"))],
        }
    }

    /// The value with the names of headers as the schema spells them.
    fn spelled(&self, value: &Value) -> Value {
        match value {
            Value::List(items) => Value::list(items.iter().map(|item| self.spelled(item)).collect()),
            Value::Map(map) => {
                let spelled = |name: &String| match map.is_any_case() {
                    true => self.names.iter().find(|n| n.eq_ignore_ascii_case(name)).unwrap_or(name).clone(),
                    false => name.clone(),
                };
                Value::map(map.iter().map(|(name, v)| (spelled(name), self.spelled(v))))
            }
            other => other.clone(),
        }
    }
}

fn add_names(schema: &Json, names: &mut HashSet<String>) {
    match schema {
        Json::Object(map) => map.iter().for_each(|(name, inner)| {
            names.insert(name.clone());
            add_names(inner, names);
        }),
        Json::Array(items) => items.iter().for_each(|item| add_names(item, names)),
        Json::String(name) => drop(names.insert(name.clone())),
        _ => {}
    }
}

/// Why a schema is refused.
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
    pub help: String,
}

/// Builds a validator for the schema at `start`, a JSON Pointer in `document`. A document of OpenAPI may have formats
/// that are not known here.
pub fn build(document: Document, start: &str, is_openapi: bool) -> Result<Checker, Refusal> {
    let json = &document.json;
    let invalid = |message: String, help: &str| Refusal { code: "invalid-schema", message, help: help.into() };
    let schema = json.pointer(start).unwrap_or(json);
    Search { document: json, seen: HashSet::new() }.unknown_keyword(schema).map_or(Ok(()), |word| {
        let help = match word {
            "nullable" => "write `type: [string, 'null']`".to_string(),
            _ => match nearest(word, ASSERTIONS.iter().chain(ANNOTATIONS).copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it; a keyword of your own starts with `x-`".into(),
            },
        };
        Err(invalid(format!("unknown keyword `{word}` in the JSON Schema"), &help))
    })?;
    let validator = options(is_openapi).build(json).map_err(|e| {
        invalid(format!("invalid JSON Schema: {e}"), "see json-schema.org for the keywords and their values")
    })?;
    if accepts_everything(schema, json, 0) {
        return Err(Refusal {
            code: "vacuous-assertion",
            message: "this schema accepts every value".into(),
            help: "add a keyword that can fail, like `type` or `required`, or remove `$schema`".into(),
        });
    }
    let mut names = HashSet::new();
    add_names(json, &mut names);
    Ok(Checker { validator, document, is_openapi, names })
}

fn options<'a>(is_openapi: bool) -> ValidationOptions<'a> {
    let options = jsonschema::options()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(is_openapi)
        .with_format("date-time", is_rfc3339)
        .with_format("uuid", is_uuid);
    PRESENTATION.iter().fold(options, |options, name| options.with_format(*name, |_: &str| true))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .char_indices()
            .all(|(i, c)| if matches!(i, 8 | 13 | 18 | 23) { c == '-' } else { c.is_ascii_hexdigit() })
}

/// Where the value of a keyword has schemas.
enum Place {
    /// It is one, or a list of them.
    Itself,
    /// Each value of a map is one.
    Values,
}

fn place(keyword: &str) -> Option<Place> {
    Some(match keyword {
        "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "propertyNames"
        | "items"
        | "additionalItems"
        | "additionalProperties"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema"
        | "allOf"
        | "anyOf"
        | "oneOf"
        | "prefixItems" => Place::Itself,
        "properties" | "patternProperties" | "dependentSchemas" | "dependencies" | "$defs" | "definitions" => {
            Place::Values
        }
        _ => return None,
    })
}

/// The schemas directly inside one.
pub fn inner(schema: &Map<String, Json>) -> impl Iterator<Item = &Json> {
    schema.iter().flat_map(|(keyword, value)| match (place(keyword), value) {
        (Some(Place::Itself), Json::Array(all)) => all.iter().collect(),
        (Some(Place::Itself), one) => vec![one],
        (Some(Place::Values), Json::Object(all)) => all.values().collect(),
        _ => vec![],
    })
}

/// Calls `change` for each schema directly inside one.
pub fn change_inner(schema: &mut Map<String, Json>, mut change: impl FnMut(&mut Json)) {
    for (keyword, value) in schema {
        match (place(keyword), value) {
            (Some(Place::Itself), Json::Array(all)) => all.iter_mut().for_each(&mut change),
            (Some(Place::Itself), one) => change(one),
            (Some(Place::Values), Json::Object(all)) => all.values_mut().for_each(&mut change),
            _ => {}
        }
    }
}

/// The JSON Pointer of a reference inside the document.
pub fn local(reference: &str) -> Option<String> {
    Some(percent_decode_str(reference.strip_prefix('#')?).decode_utf8_lossy().into_owned())
}

/// What a schema refers to, if it is in the document.
pub fn referenced<'d>(schema: &Json, document: &'d Json) -> Option<&'d Json> {
    document.pointer(&local(schema.get("$ref")?.as_str()?)?)
}

struct Search<'d> {
    document: &'d Json,
    seen: HashSet<*const Json>,
}

impl<'d> Search<'d> {
    fn unknown_keyword(&mut self, schema: &'d Json) -> Option<&'d str> {
        let map = schema.as_object().filter(|_| self.seen.insert(schema))?;
        let is_known = |k: &str| ASSERTIONS.contains(&k) || ANNOTATIONS.contains(&k) || k.starts_with("x-");
        let unknown = map.keys().find(|k| !is_known(k)).map(String::as_str);
        unknown
            .or_else(|| inner(map).find_map(|s| self.unknown_keyword(s)))
            .or_else(|| referenced(schema, self.document).and_then(|s| self.unknown_keyword(s)))
    }
}

fn accepts_everything(schema: &Json, document: &Json, depth: usize) -> bool {
    let accepts = |s: &Json| accepts_everything(s, document, depth + 1);
    let all = |v: &Json| v.as_array().map_or_else(|| accepts(v), |all| all.iter().all(accepts));
    let entries = match schema {
        Json::Bool(all) => return *all,
        Json::Object(entries) if depth < MAX_DEPTH => entries,
        _ => return false,
    };
    entries.iter().all(|(keyword, value)| match keyword.as_str() {
        "allOf"
        | "prefixItems"
        | "items"
        | "additionalItems"
        | "additionalProperties"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "propertyNames"
        | "then"
        | "else" => all(value),
        "anyOf" => value.as_array().is_some_and(|any| any.iter().any(accepts)),
        "oneOf" => value.as_array().is_some_and(|one| one.len() == 1) && all(value),
        "properties" | "patternProperties" | "dependentSchemas" => {
            value.as_object().is_some_and(|map| map.values().all(accepts))
        }
        "required" => value.as_array().is_some_and(Vec::is_empty),
        "dependentRequired" => value.as_object().is_some_and(Map::is_empty),
        "minLength" | "minItems" | "minProperties" => value.as_f64() == Some(0.0),
        "uniqueItems" => *value == Json::Bool(false),
        "pattern" => value.as_str().is_some_and(matches_everything),
        "format" => value.as_str().is_some_and(|name| PRESENTATION.contains(&name)),
        "type" => value.as_array().is_some_and(|types| {
            ["null", "boolean", "object", "array", "number", "string"].iter().all(|t| types.contains(&Json::from(*t)))
        }),
        "$ref" => referenced(schema, document).is_some_and(accepts),
        // without `if`, they have no effect
        name => ANNOTATIONS.contains(&name) || name.starts_with("x-"),
    })
}
