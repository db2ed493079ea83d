//! Rewrites the schemas of an OpenAPI document to JSON Schema, as they hold for a response.
use super::keywords::{change_inner, local, referenced};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Length of a chain of `$ref`s and `allOf`s.
const MAX_DEPTH: usize = 16;
const SCHEMAS: &str = "#/components/schemas/";
/// Keywords that OpenAPI adds and that assert nothing.
const ANNOTATIONS: [&str; 3] = ["xml", "example", "externalDocs"];

/// The document with the schema at `start`, a JSON Pointer, and all schemas it refers to rewritten.
pub fn to_json_schema(document: &Json, start: &str) -> Json {
    let is_3_0 = document["openapi"].as_str().is_some_and(|v| v.starts_with("3.0"));
    let mut rewriting = Rewriting { document, is_3_0, waiting: vec![start.to_string()] };
    let (mut out, mut done) = (document.clone(), HashSet::new());
    while let Some(pointer) = rewriting.waiting.pop() {
        if !done.insert(pointer.clone()) {
            continue;
        }
        if let (Some(schema), Some(place)) = (document.pointer(&pointer), out.pointer_mut(&pointer)) {
            *place = rewriting.rewritten(schema, &format!("#{pointer}"), &BTreeSet::new());
        }
    }
    out
}

struct Rewriting<'d> {
    document: &'d Json,
    is_3_0: bool,
    /// Pointers to schemas that are referred to.
    waiting: Vec<String>,
}

impl Rewriting<'_> {
    /// A schema that is referred to as `name`. `absent` are properties that responses do not have.
    fn rewritten(&mut self, schema: &Json, name: &str, absent: &BTreeSet<String>) -> Json {
        let Json::Object(map) = schema else { return schema.clone() };
        if let Some(reference) = map.get("$ref").and_then(Json::as_str) {
            self.waiting.extend(local(reference));
            if self.is_3_0 {
                // other keywords beside it are ignored
                return json!({ "$ref": reference });
            }
        }
        let mut map = map.clone();
        map.retain(|keyword, _| !ANNOTATIONS.contains(&keyword.as_str()));
        let mut absent = absent.clone();
        self.write_only(schema, &mut absent, 0);
        if let Some(Json::Array(required)) = map.get_mut("required") {
            required.retain(|name| !name.as_str().is_some_and(|n| absent.contains(n)));
        }
        let discriminator = map.shift_remove("discriminator").and_then(|d| self.discriminator(&d, name, &mut map));
        let all = map.shift_remove("allOf");
        change_inner(&mut map, |s| *s = self.rewritten(s, "", &BTreeSet::new()));
        if let Some(Json::Array(mut all)) = all {
            all.iter_mut().for_each(|s| *s = self.rewritten(s, "", &absent));
            map.insert("allOf".into(), all.into());
        }
        if let Some(Json::Object(properties)) = map.get_mut("properties") {
            properties.iter_mut().filter(|(name, _)| absent.contains(*name)).for_each(|(_, s)| *s = Json::Bool(false));
        }
        match map.get("format").and_then(Json::as_str) {
            Some("int32") => also(&mut map, json!({ "minimum": i32::MIN, "maximum": i32::MAX })),
            Some("int64") => also(&mut map, json!({ "minimum": i64::MIN, "maximum": i64::MAX })),
            _ => {}
        }
        discriminator.into_iter().flatten().for_each(|s| also(&mut map, s));
        if self.is_3_0 {
            keywords_of_3_0(&mut map);
        }
        Json::Object(map)
    }

    /// Adds the names of `writeOnly` properties of a schema, and of those that it consists of.
    fn write_only(&self, schema: &Json, names: &mut BTreeSet<String>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let is_write_only = |s: &Json| {
            let mut schema = Some(s);
            (0..MAX_DEPTH).any(|_| {
                let found = schema.is_some_and(|s| s["writeOnly"] == true);
                schema = schema.and_then(|s| referenced(s, self.document));
                found
            })
        };
        let properties = schema["properties"].as_object().into_iter().flatten();
        names.extend(properties.filter(|(_, s)| is_write_only(s)).map(|(name, _)| name.clone()));
        schema["allOf"].as_array().into_iter().flatten().for_each(|s| self.write_only(s, names, depth + 1));
        if let Some(s) = referenced(schema, self.document) {
            self.write_only(s, names, depth + 1);
        }
    }

    /// The schemas that hold for each value of the property. They replace `oneOf` and `anyOf` of schemas with names.
    fn discriminator(&mut self, d: &Json, name: &str, map: &mut Map<String, Json>) -> Option<Vec<Json>> {
        let property = d["propertyName"].as_str()?;
        let mut chosen = BTreeMap::new();
        let alternatives = ["oneOf", "anyOf"].into_iter().find(|k| map.contains_key(*k));
        let mut candidates: Vec<String> = vec![];
        if let Some(keyword) = alternatives {
            let all = map[keyword].as_array().cloned().unwrap_or_default();
            candidates.extend(all.iter().filter_map(|s| s["$ref"].as_str().map(String::from)));
            if candidates.len() == all.len() {
                map.shift_remove(keyword);
            }
        } else {
            let schemas = self.document["components"]["schemas"].as_object().into_iter().flatten();
            candidates.extend(schemas.map(|(n, _)| format!("{SCHEMAS}{n}")).filter(|r| self.reaches(r, name, 0)));
            candidates.extend(name.starts_with(SCHEMAS).then(|| name.to_string()));
        }
        for candidate in candidates {
            if let Some(value) = candidate.strip_prefix(SCHEMAS) {
                chosen.insert(value.to_string(), candidate.clone());
            }
        }
        for (value, target) in d["mapping"].as_object().into_iter().flatten() {
            let target = target.as_str().unwrap_or_default();
            let is_reference = target.contains(['#', '/']);
            let reference = if is_reference { target.to_string() } else { format!("{SCHEMAS}{target}") };
            chosen.insert(value.clone(), reference);
        }
        let values: Vec<&String> = chosen.keys().collect();
        let mut schemas = vec![json!({ "type": "object", "required": [property] })];
        if !values.is_empty() {
            schemas.push(json!({ "properties": { property: { "enum": values } } }));
        }
        for (value, reference) in &chosen {
            let then = self.without(&json!({ "$ref": reference }), name, 0);
            let then = self.rewritten(&then, "", &BTreeSet::new());
            schemas.push(json!({ "if": { "properties": { property: { "const": value } } }, "then": then }));
        }
        Some(schemas)
    }

    /// Whether a schema consists of the one with the name, among others.
    fn reaches(&self, reference: &str, name: &str, depth: usize) -> bool {
        let parts = local(reference).and_then(|p| self.document.pointer(&p));
        let parts = ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|k| parts?[k].as_array()).flatten();
        let mut references = parts.filter_map(|s| s["$ref"].as_str());
        depth < MAX_DEPTH && references.any(|r| r == name || self.reaches(r, name, depth + 1))
    }

    /// A schema without the one that chose it, which would choose it again without end.
    fn without(&self, schema: &Json, name: &str, depth: usize) -> Json {
        let Some(reference) = schema["$ref"].as_str() else { return schema.clone() };
        if reference == name {
            return Json::Bool(true);
        }
        let Some(Json::Object(found)) = referenced(schema, self.document) else { return schema.clone() };
        if depth > MAX_DEPTH || !self.reaches(reference, name, 0) {
            return schema.clone();
        }
        let mut found = found.clone();
        for keyword in ["allOf", "oneOf", "anyOf"] {
            if let Some(Json::Array(parts)) = found.get_mut(keyword) {
                parts.iter_mut().for_each(|s| *s = self.without(s, name, depth + 1));
            }
        }
        Json::Object(found)
    }
}

/// Adds a schema that must hold too.
fn also(map: &mut Map<String, Json>, schema: Json) {
    if let Json::Array(all) = map.entry("allOf").or_insert_with(|| json!([])) {
        all.push(schema);
    }
}

fn keywords_of_3_0(map: &mut Map<String, Json>) {
    for (limit, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        match map.get(exclusive) {
            Some(Json::Bool(true)) => {
                let value = map.shift_remove(limit).unwrap_or(Json::Null);
                map.insert(exclusive.into(), value);
            }
            Some(Json::Bool(false)) => drop(map.shift_remove(exclusive)),
            _ => {}
        }
    }
    // an `enum` decides alone whether it has `null`
    let excluded = map.get("enum").and_then(Json::as_array).is_some_and(|values| !values.contains(&Json::Null));
    if map.shift_remove("nullable") == Some(Json::Bool(true)) && !excluded {
        let rest = Json::Object(std::mem::take(map));
        map.insert("anyOf".into(), json!([{ "type": "null" }, rest]));
    }
}
