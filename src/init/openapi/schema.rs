//! Whether `$schema` can assert a schema of the document: it must be complete, known, and able to fail. The compiler of
//! plans decides in the end; what it refuses is passed to the writer of the plan as a finding.
use super::refs::local;
use serde_json::{Map, Value as Json};
use std::collections::HashSet;

/// Keywords that assert something by themselves.
const ASSERTIONS: &[&str] = &[
    "const",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "maxItems",
    "maxProperties",
    "not",
    "contains",
    "dependentRequired",
    "enum",
];
const OTHERS: &[&str] = &[
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "type",
    "minLength",
    "pattern",
    "minItems",
    "uniqueItems",
    "minProperties",
    "required",
    "format",
    "then",
    "else",
    "if",
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
    "minContains",
    "maxContains",
    "xml",
    "example",
    "externalDocs",
    "discriminator",
];
const TYPES: &[&str] = &["null", "boolean", "object", "array", "number", "string", "integer"];
/// Formats that say how a value is shown, and allow any.
const PRESENTATION: &[&str] = &["int32", "int64", "float", "double", "password", "byte", "binary"];
const MAX_DEPTH: usize = 16;

/// Reads the schemas of a document, each once.
pub struct Schemas<'d> {
    document: &'d Json,
    is_3_0: bool,
    /// Schemas without a problem, in which nothing else has one.
    clean: HashSet<*const Json>,
}

impl<'d> Schemas<'d> {
    pub fn new(document: &'d Json) -> Schemas<'d> {
        let is_3_0 = document["openapi"].as_str().is_some_and(|v| v.starts_with("3.0"));
        Schemas { document, is_3_0, clean: HashSet::new() }
    }

    /// Why the schema at a pointer cannot be asserted.
    pub fn refusal(&mut self, pointer: &str) -> Option<String> {
        let Some(schema) = self.document.pointer(pointer) else { return Some("the schema is missing".into()) };
        let seen = HashSet::new();
        let mut search = Search { document: self.document, is_3_0: self.is_3_0, clean: &self.clean, seen };
        match search.problem(schema) {
            Some(problem) => Some(problem),
            None => {
                let accepts = search.accepts_everything(schema, 0);
                let seen = search.seen;
                self.clean.extend(seen);
                accepts.then(|| "the schema accepts every value".into())
            }
        }
    }
}

struct Search<'s, 'd> {
    document: &'d Json,
    is_3_0: bool,
    clean: &'s HashSet<*const Json>,
    seen: HashSet<*const Json>,
}

impl<'d> Search<'_, 'd> {
    /// What is wrong with a schema, or one that it consists of.
    fn problem(&mut self, schema: &'d Json) -> Option<String> {
        let place: *const Json = schema;
        if self.clean.contains(&place) || !self.seen.insert(place) {
            return None;
        }
        let map = match schema {
            Json::Object(map) => map,
            Json::Bool(_) => return None,
            _ => return Some("a schema is neither a map nor a boolean".into()),
        };
        if let Some(reference) = map.get("$ref") {
            let target = reference.as_str().and_then(local).and_then(|p| self.document.pointer(&p));
            let Some(target) = target else {
                return Some(format!("the reference {reference} leads out of the document, or nowhere"));
            };
            let problem = self.problem(target);
            if problem.is_some() || self.is_3_0 {
                return problem;
            }
        }
        map.iter().find_map(|(keyword, value)| self.keyword_problem(keyword, value))
    }

    fn keyword_problem(&mut self, keyword: &str, value: &'d Json) -> Option<String> {
        let wrong = || Some(format!("the keyword `{keyword}` has an invalid value"));
        let is_known = OTHERS.contains(&keyword) || ASSERTIONS.contains(&keyword) || keyword.starts_with("x-");
        if !(is_known || keyword == "nullable" && self.is_3_0) {
            return Some(format!("the keyword `{keyword}` is not one of JSON Schema"));
        }
        match keyword {
            "$dynamicRef" | "$recursiveRef" => Some(format!("`{keyword}` is not followed in an OpenAPI document")),
            "type" => {
                let types: Vec<&Json> = value.as_array().map_or_else(|| vec![value], |all| all.iter().collect());
                let is_known = |t: &&Json| t.as_str().is_some_and(|t| TYPES.contains(&t));
                if types.is_empty() || !types.iter().all(is_known) { wrong() } else { None }
            }
            "required" => value.as_array().is_none_or(|all| !all.iter().all(Json::is_string)).then(wrong).flatten(),
            "enum" => value.as_array().is_none_or(Vec::is_empty).then(wrong).flatten(),
            "pattern" | "format" | "$id" | "$anchor" => (!value.is_string()).then(wrong).flatten(),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                value.as_f64().is_none_or(|n| n < 0.0).then(wrong).flatten()
            }
            "minimum" | "maximum" => (!value.is_number()).then(wrong).flatten(),
            "exclusiveMinimum" | "exclusiveMaximum" => {
                let is_right = if self.is_3_0 { value.is_boolean() } else { value.is_number() };
                (!is_right).then(wrong).flatten()
            }
            "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => match value {
                Json::Object(all) => all.values().find_map(|s| self.problem(s)),
                _ => wrong(),
            },
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => match value {
                Json::Array(all) if !all.is_empty() => all.iter().find_map(|s| self.problem(s)),
                _ => wrong(),
            },
            "items"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "additionalProperties"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "additionalItems" => self.problem(value),
            "discriminator" => self.discriminator_problem(value),
            _ => None,
        }
    }

    /// The schemas that a discriminator may choose must be in the document, too.
    fn discriminator_problem(&mut self, value: &'d Json) -> Option<String> {
        let schemas = self.document["components"]["schemas"].as_object();
        let targets = value["mapping"].as_object().into_iter().flatten().filter_map(|(_, target)| target.as_str());
        for target in targets {
            let found = match schemas.and_then(|all| all.get(target)) {
                Some(schema) if !target.contains(['#', '/']) => Some(schema),
                _ => local(target).and_then(|p| self.document.pointer(&p)),
            };
            match found {
                Some(schema) => {
                    if let Some(problem) = self.problem(schema) {
                        return Some(problem);
                    }
                }
                None => return Some(format!("the discriminator names `{target}`, which the document lacks")),
            }
        }
        None
    }

    fn accepts_everything(&self, schema: &'d Json, depth: usize) -> bool {
        let map = match schema {
            Json::Bool(all) => return *all,
            Json::Object(map) if depth < MAX_DEPTH => map,
            // too deep to tell: the compiler of plans reads as far
            _ => return false,
        };
        if let Some(reference) = map.get("$ref").and_then(Json::as_str) {
            let target = local(reference).and_then(|p| self.document.pointer(&p));
            let accepts = target.is_none_or(|t| self.accepts_everything(t, depth + 1));
            if self.is_3_0 || !accepts {
                return accepts;
            }
        }
        if map.contains_key("discriminator") {
            return false;
        }
        // in 3.0, `null` is added to an alternative: that does not narrow it
        map.iter().all(|(keyword, value)| self.keyword_accepts_everything(map, keyword, value, depth))
    }

    fn keyword_accepts_everything(
        &self,
        map: &Map<String, Json>,
        keyword: &str,
        value: &'d Json,
        depth: usize,
    ) -> bool {
        let accepts = |s: &'d Json| self.accepts_everything(s, depth + 1);
        let all = |v: &'d Json| v.as_array().map_or_else(|| accepts(v), |all| all.iter().all(accepts));
        match keyword {
            "allOf"
            | "prefixItems"
            | "items"
            | "additionalItems"
            | "additionalProperties"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "propertyNames" => all(value),
            "then" | "else" => !map.contains_key("if") || accepts(value),
            "anyOf" => value.as_array().is_some_and(|any| any.iter().any(accepts)),
            "oneOf" => value.as_array().is_some_and(|one| one.len() == 1) && all(value),
            "properties" | "patternProperties" | "dependentSchemas" => {
                // a property that only requests have is refused in a response
                let accepts = |s: &'d Json| s["writeOnly"] != true && accepts(s);
                value.as_object().is_some_and(|map| map.values().all(accepts))
            }
            "required" => value.as_array().is_some_and(Vec::is_empty),
            "dependentRequired" => value.as_object().is_some_and(Map::is_empty),
            "minLength" | "minItems" | "minProperties" => value.as_f64() == Some(0.0),
            "uniqueItems" => *value == Json::Bool(false),
            "exclusiveMinimum" | "exclusiveMaximum" => value.is_boolean(),
            "pattern" => {
                value.as_str().is_some_and(|p| matches!(p, "" | ".*" | "^.*$" | "^" | "$" | "(.*)" | "^.*" | ".*$"))
            }
            "format" => value.as_str().is_some_and(|name| PRESENTATION.contains(&name) && !name.starts_with("int")),
            "type" => value.as_array().is_some_and(|types| {
                ["null", "boolean", "object", "array", "number", "string"]
                    .iter()
                    .all(|t| types.contains(&Json::from(*t)))
            }),
            "$ref" => true,
            name => !ASSERTIONS.contains(&name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reason(version: &str, schema: Json) -> Option<String> {
        let document = json!({ "openapi": version, "components": { "schemas": { "S": schema,
            "Pet": { "type": "object", "properties": { "mother": { "$ref": "#/components/schemas/Pet" } } }, "Any": {} } } });
        Schemas::new(&document).refusal("/components/schemas/S")
    }

    #[test]
    fn what_can_fail_is_used() {
        for schema in [
            json!({ "type": "string" }),
            json!({ "$ref": "#/components/schemas/Pet" }),
            json!({ "properties": { "a": { "enum": [1] } } }),
            json!({ "items": { "minimum": 1 } }),
            json!({ "oneOf": [{}, {}] }),
            json!({ "properties": { "a": { "writeOnly": true } } }),
        ] {
            assert_eq!(reason("3.0.3", schema.clone()), None, "{schema}");
        }
        assert_eq!(reason("3.1.0", json!({ "type": ["string", "null"] })), None);
    }

    #[test]
    fn what_cannot_be_asserted_is_not() {
        for (version, schema, expected) in [
            ("3.0.3", json!({}), "accepts every value"),
            ("3.0.3", json!({ "description": "x", "nullable": true }), "accepts every value"),
            ("3.0.3", json!({ "$ref": "#/components/schemas/Any" }), "accepts every value"),
            ("3.0.3", json!({ "additionalProperties": true }), "accepts every value"),
            ("3.0.3", json!({ "$ref": "pet.yaml" }), "leads out of the document"),
            ("3.0.3", json!({ "items": { "$ref": "#/components/schemas/Gone" } }), "or nowhere"),
            ("3.0.3", json!({ "properties": { "a": { "typ": "x" } } }), "`typ` is not one of JSON Schema"),
            ("3.1.0", json!({ "type": "string", "nullable": true }), "`nullable` is not one"),
            ("3.1.0", json!({ "$dynamicRef": "#node" }), "`$dynamicRef` is not followed"),
            ("3.0.3", json!({ "type": "date" }), "`type` has an invalid value"),
            ("3.0.3", json!({ "type": "object", "required": true }), "`required` has an invalid value"),
            (
                "3.0.3",
                json!({ "type": "object", "discriminator": { "propertyName": "a", "mapping": { "x": "Gone" } } }),
                "names `Gone`",
            ),
        ] {
            let reason = reason(version, schema.clone()).unwrap_or_default();
            assert!(reason.contains(expected), "{schema}: {reason}");
        }
    }
}
