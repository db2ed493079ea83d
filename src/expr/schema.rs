//! `$schema`: a JSON Schema, written in the plan, in a file, or as an OpenAPI document describes an answer. Pure: whoever reads the
//! plan also reads the file and hands it over.
use super::template::Tree;
use crate::{
    diagnostic::{Diagnostic, Diagnostics, nearest},
    source::Span,
    yaml::{Kind, Node},
};
use jsonschema::Validator;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// What a URL takes behind its `#` (RFC 3986, 3.5).
const FRAGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'%')
    .add(b'\\')
    .add(b'^')
    .add(b'|');
/// Of references that lead to references.
const DEEPEST: usize = 16;

#[derive(Clone, Debug)]
pub enum Schema {
    Ready(Arc<Validator>),
    /// Known only when it is judged.
    Rendered(Tree),
    /// In a file that has not been read yet.
    Named(Named),
    /// What is wrong with it has been said.
    Broken,
}

#[derive(Clone, Debug)]
pub struct Named {
    /// As the plan writes it: where it is not absolute, it starts at the plan's folder.
    pub file: String,
    pub span: Span,
    pick: Pick,
}

#[derive(Clone, Debug)]
enum Pick {
    Whole,
    /// Of `components.schemas`.
    Component(String, Span),
    Answer {
        operation: String,
        at: Span,
        status: Option<(String, Span)>,
    },
}

impl Schema {
    pub fn compile(node: &Node, problems: &mut Diagnostics) -> Schema {
        if let Some(key) = ["file", "openapi"].into_iter().find(|k| node.get(k).is_some()) {
            return Named::compile(node, key, problems).map_or(Schema::Broken, Schema::Named);
        }
        let tree = Tree::compile(node, problems);
        if tree.references().is_empty() {
            build(&node.to_value().to_json(), &node.span, problems)
        } else {
            Schema::Rendered(tree)
        }
    }

    /// With the file that it names.
    pub fn bind(&mut self, document: &Json, problems: &mut Diagnostics) {
        let Schema::Named(named) = &*self else { return };
        *self = match named.choose(document) {
            Ok(schema) => build(&schema, &named.span, problems),
            Err(d) => {
                problems.push(*d);
                Schema::Broken
            }
        };
    }
}

fn build(schema: &Json, span: &Span, problems: &mut Diagnostics) -> Schema {
    match jsonschema::validator_for(schema) {
        Ok(validator) => Schema::Ready(Arc::new(validator)),
        Err(e) => {
            problems.push(Diagnostic::error("invalid-schema", span, format!("this is no JSON Schema: {e}")));
            Schema::Broken
        }
    }
}

impl Named {
    fn compile(node: &Node, key: &str, problems: &mut Diagnostics) -> Option<Named> {
        let known: &[&str] = if key == "file" { &["file"] } else { &["openapi", "operation", "status", "schema"] };
        for (k, _) in node.entries() {
            let name = k.key_text();
            if !known.contains(&name.as_str()) {
                let d = Diagnostic::error("unknown-key", &k.span, format!("unknown key `{name}`"));
                problems.push(d.meant(&name, known.iter().copied()));
                return None;
            }
        }
        let file = node.get(key)?;
        let text = |n: &Node| (n.key_text(), n.span.clone());
        let pick = match (node.get("operation").map(text), node.get("schema").map(text)) {
            _ if key == "file" => Pick::Whole,
            (Some((operation, at)), None) => Pick::Answer { operation, at, status: node.get("status").map(text) },
            (None, Some((name, at))) if node.get("status").is_none() => Pick::Component(name, at),
            _ => {
                let message = "of an OpenAPI document either an `operation` is meant, or a `schema` of its components";
                let d = Diagnostic::error("matcher-argument", &node.span, message);
                problems.push(d.help(
                    "write `{ openapi: FILE, operation: getThing, status: 200 }` or `{ openapi: FILE, schema: Thing }`",
                ));
                return None;
            }
        };
        if !matches!(file.kind, Kind::Str(_)) {
            problems.push(Diagnostic::error("wrong-type", &file.span, format!("`{key}` is the path of a file")));
            return None;
        }
        Some(Named { file: file.key_text(), span: file.span.clone(), pick })
    }

    fn choose(&self, document: &Json) -> Result<Json, Box<Diagnostic>> {
        let pointer = match &self.pick {
            Pick::Whole => return Ok(document.clone()),
            Pick::Component(name, at) => {
                let all = &document["components"]["schemas"];
                known(all, name)
                    .map_err(|near| unknown(at, format!("`{}` has no schema `{name}`", self.file), near))?;
                format!("#/components/schemas/{}", escaped(name))
            }
            Pick::Answer { operation, at, status } => self.answer(document, operation, at, status.as_ref())?,
        };
        // the document is the schema's own ground, so that its references lead somewhere
        let mut schema = document.as_object().cloned().unwrap_or_default();
        if document["openapi"].as_str().is_some_and(|v| v.starts_with("3.0")) {
            let mut all = Json::Object(schema);
            modern(&mut all);
            schema = all.as_object().cloned().unwrap_or_default();
        }
        schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("$ref".into(), utf8_percent_encode(&pointer, FRAGMENT).to_string().into());
        Ok(Json::Object(schema))
    }

    /// Where the schema of an operation's answer stands.
    fn answer(
        &self,
        document: &Json,
        operation: &str,
        at: &Span,
        status: Option<&(String, Span)>,
    ) -> Result<String, Box<Diagnostic>> {
        let empty = Map::new();
        let paths = document["paths"].as_object().unwrap_or(&empty);
        let all = paths.iter().flat_map(|(path, item)| METHODS.iter().map(move |m| (path, *m, &item[*m])));
        let all: Vec<_> = all.filter(|(_, _, o)| o.is_object()).collect();
        let name = |path: &str, method: &str| format!("{} {path}", method.to_uppercase());
        let found = all.iter().find(|(p, m, o)| o["operationId"] == operation || name(p, m) == operation);
        let Some((path, method, found)) = found else {
            let names: Vec<String> = all
                .iter()
                .flat_map(|(p, m, o)| o["operationId"].as_str().map(String::from).into_iter().chain([name(p, m)]))
                .collect();
            let near = nearest(operation, names.iter().map(String::as_str)).map(String::from);
            return Err(unknown(at, format!("`{}` has no operation `{operation}`", self.file), near));
        };
        let responses = found["responses"].as_object().unwrap_or(&empty);
        let (code, at) = match status {
            Some((code, at)) => {
                let range = format!("{}XX", code.get(..1).unwrap_or_default());
                let code = [code.as_str(), &range, "default"].into_iter().find(|c| responses.contains_key(*c));
                (code.map(String::from), at)
            }
            None => {
                let good: Vec<_> = responses.keys().filter(|c| c.starts_with('2')).collect();
                if good.len() > 1 {
                    let d =
                        Diagnostic::error("unknown-operation", at, format!("`{operation}` has several good answers"));
                    return Err(Box::new(d.help(format!("say which one is meant: `status: {}`", good[0]))));
                }
                (good.first().map(|c| c.to_string()), at)
            }
        };
        let Some(code) = code else {
            let known: Vec<_> = responses.keys().map(|c| format!("`{c}`")).collect();
            let d = Diagnostic::error("unknown-operation", at, format!("`{operation}` describes no such answer"));
            return Err(Box::new(d.help(format!("it describes {}", known.join(", ")))));
        };
        let mut pointer = format!("#/paths/{}/{method}/responses/{}", escaped(path), escaped(&code));
        for _ in 0..DEEPEST {
            match document.pointer(&pointer[1..]).and_then(|r| r["$ref"].as_str()) {
                Some(further) => pointer = percent_decode_str(further).decode_utf8_lossy().into_owned(),
                None => break,
            }
        }
        let content = document.pointer(pointer.get(1..).unwrap_or_default()).and_then(|r| r["content"].as_object());
        let json = content.and_then(|c| {
            c.iter().find(|(kind, v)| kind.contains("json") && v["schema"].is_object() || v["schema"].is_boolean())
        });
        match json {
            Some((kind, _)) => Ok(format!("{pointer}/content/{}/schema", escaped(kind))),
            None => {
                let message = format!("the answer {code} of `{operation}` has no schema for JSON");
                Err(Box::new(Diagnostic::error("unknown-operation", at, message)))
            }
        }
    }
}

/// `Err`: what was probably meant.
fn known(all: &Json, name: &str) -> Result<(), Option<String>> {
    let empty = Map::new();
    let all = all.as_object().unwrap_or(&empty);
    if all.contains_key(name) { Ok(()) } else { Err(nearest(name, all.keys().map(String::as_str)).map(String::from)) }
}

fn unknown(at: &Span, message: String, near: Option<String>) -> Box<Diagnostic> {
    let d = Diagnostic::error("unknown-operation", at, message);
    Box::new(match near {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d,
    })
}

/// A step of a JSON Pointer (RFC 6901, 3).
fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// What OpenAPI 3.0 says in words of its own, in those of JSON Schema.
fn modern(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(modern),
        Json::Object(map) => {
            map.values_mut().for_each(modern);
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
            if map.get("nullable") == Some(&Json::Bool(true)) {
                map.shift_remove("nullable");
                let rest = Json::Object(std::mem::take(map));
                map.insert("anyOf".into(), Json::Array(vec![serde_json::json!({ "type": "null" }), rest]));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{source::Source, yaml};
    use serde_json::json;

    fn schema(text: &str, document: &Json) -> Result<Arc<Validator>, Vec<(&'static str, String)>> {
        let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: text.into() })).unwrap();
        let mut problems = Diagnostics::default();
        let mut schema = Schema::compile(&node, &mut problems);
        schema.bind(document, &mut problems);
        match schema {
            Schema::Ready(v) => Ok(v),
            _ => Err(problems.0.iter().map(|d| (d.code, format!("{} {:?}", d.message, d.help))).collect()),
        }
    }

    fn document(version: &str) -> Json {
        json!({
            "openapi": version,
            "paths": {
                "/sessions/{name}": {
                    "parameters": [],
                    "get": {
                        "operationId": "getSession",
                        "responses": {
                            "200": { "content": { "text/html": {}, "application/json": {
                                "schema": { "$ref": "#/components/schemas/Session" } } } },
                            "4XX": { "$ref": "#/components/responses/Refused" },
                        }
                    },
                    "delete": { "responses": { "202": {}, "204": {} } }
                }
            },
            "components": {
                "schemas": { "Session": {
                    "type": "object", "required": ["name", "url"],
                    "properties": {
                        "name": { "type": "string" }, "url": { "type": "string", "nullable": true },
                        "age": { "type": "integer", "minimum": 0, "exclusiveMinimum": true },
                    }
                } },
                "responses": { "Refused": { "content": { "application/problem+json": {
                    "schema": { "type": "object", "required": ["error"] } } } } },
            }
        })
    }

    #[test]
    fn an_answer_is_as_the_document_describes_it() {
        let document = document("3.0.3");
        for name in ["operation: getSession", "operation: 'GET /sessions/{name}', status: 200", "schema: Session"] {
            let v = schema(&format!("{{ openapi: a.yaml, {name} }}"), &document).unwrap();
            assert!(v.is_valid(&json!({"name": "a", "url": null, "age": 1})), "{name}");
            assert!(!v.is_valid(&json!({"name": "a", "url": null, "age": 0})), "{name}: exclusive");
            assert!(!v.is_valid(&json!({"name": 1, "url": null})) && !v.is_valid(&json!({"name": "a"})), "{name}");
        }
        let v = schema("{ openapi: a.yaml, operation: getSession, status: 404 }", &document).unwrap();
        assert!(v.is_valid(&json!({"error": 1})) && !v.is_valid(&json!({})));
    }

    #[test]
    fn since_3_1_the_words_are_those_of_json_schema() {
        let mut newer = document("3.1.0");
        newer["components"]["schemas"]["Session"] =
            json!({ "type": "object", "properties": { "url": { "type": ["string", "null"] } } });
        let v = schema("{ openapi: a.yaml, schema: Session }", &newer).unwrap();
        assert!(v.is_valid(&json!({"url": null})) && !v.is_valid(&json!({"url": 1})));
    }

    #[test]
    fn what_the_document_does_not_have_is_said() {
        let document = document("3.0.3");
        for (text, code, said) in [
            ("{ openapi: a.yaml, operation: getSesion }", "unknown-operation", "did you mean `getSession`?"),
            (
                "{ openapi: a.yaml, operation: getSession, status: 500 }",
                "unknown-operation",
                "it describes `200`, `4XX`",
            ),
            ("{ openapi: a.yaml, operation: 'DELETE /sessions/{name}' }", "unknown-operation", "`status: 202`"),
            (
                "{ openapi: a.yaml, operation: 'DELETE /sessions/{name}', status: 204 }",
                "unknown-operation",
                "no schema for JSON",
            ),
            ("{ openapi: a.yaml, schema: Sesion }", "unknown-operation", "did you mean `Session`?"),
            ("{ openapi: a.yaml }", "matcher-argument", "either an `operation`"),
            ("{ openapi: a.yaml, schema: Session, status: 200 }", "matcher-argument", "either an `operation`"),
            ("{ file: a.json, schema: Session }", "unknown-key", "unknown key `schema`"),
            ("{ file: [a] }", "wrong-type", "path of a file"),
        ] {
            let problems = schema(text, &document).unwrap_err();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].0 == code && problems[0].1.contains(said), "{text}: {problems:?}");
        }
        let broken = schema("{ file: a.json }", &json!({"type": 5})).unwrap_err();
        assert_eq!(broken[0].0, "invalid-schema");
    }
}
