//! Compiles `$schema`: a JSON Schema in the plan, in a file, or in an OpenAPI document. The reader of the plan loads
//! the file and passes its content to [`Schema::bind`].
mod exact;
mod keywords;
mod openapi;

pub use self::{
    exact::Document,
    keywords::{Checker, Refusal, build},
};
use self::{keywords::local, openapi::to_json_schema};
use super::template::Tree;
use crate::{
    diagnostic::{Diagnostic, Diagnostics, nearest},
    source::Span,
    yaml::{Kind, Node, check_keys, wrong_type},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Characters to encode in a URL fragment (RFC 3986, 3.5), and more.
const FRAGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'#').remove(b'/');
/// Length of a chain of `$ref`s.
const MAX_REFERENCES: usize = 16;

#[derive(Clone, Debug)]
pub enum Schema {
    Ready(Arc<Checker>),
    /// Contains placeholders.
    Rendered(Tree),
    /// In a file that is not loaded yet.
    File(SchemaFile),
    /// Invalid, and reported.
    Broken,
}

#[derive(Clone, Debug)]
pub struct SchemaFile {
    /// As written. A relative path starts at the folder of the plan.
    pub file: String,
    pub span: Span,
    selection: Selection,
}

#[derive(Clone, Debug)]
enum Selection {
    Whole,
    /// An entry of `components.schemas`.
    Component(String, Span),
    Response {
        operation: String,
        at: Span,
        status: Option<(String, Span)>,
    },
}

impl Schema {
    pub fn compile(node: &Node, problems: &mut Diagnostics) -> Schema {
        if let Some(key) = ["file", "openapi"].into_iter().find(|k| node.get(k).is_some()) {
            return SchemaFile::compile(node, key, problems).map_or(Schema::Broken, Schema::File);
        }
        let tree = Tree::compile(node, problems);
        if tree.references().is_empty() {
            checked(build(Document::from(&node.to_value()), "", false), &node.span, problems)
        } else {
            Schema::Rendered(tree)
        }
    }

    /// Completes a [`Schema::File`] with the content of its file.
    pub fn bind(&mut self, document: &Document, problems: &mut Diagnostics) {
        let Schema::File(file) = &*self else { return };
        *self = match file.selection.pointer(&file.file, &document.json) {
            Ok(None) => checked(build(document.clone(), "", false), &file.span, problems),
            Ok(Some(pointer)) => {
                let start = local(&pointer).unwrap_or_default();
                // the schema keeps the whole document, so that its references resolve
                let mut all = to_json_schema(&document.json, &start);
                all["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
                all["$ref"] = utf8_percent_encode(&pointer, FRAGMENT).to_string().into();
                let all = Document { json: all, numbers: document.numbers.clone() };
                checked(build(all, &start, true), &file.span, problems)
            }
            Err(d) => {
                problems.push(*d);
                Schema::Broken
            }
        };
    }
}

fn checked(built: Result<Checker, Refusal>, span: &Span, problems: &mut Diagnostics) -> Schema {
    match built {
        Ok(validator) => Schema::Ready(Arc::new(validator)),
        Err(Refusal { code, message, help }) => {
            problems.push(Diagnostic::error(code, span, message).help(help));
            Schema::Broken
        }
    }
}

impl SchemaFile {
    fn compile(node: &Node, key: &str, problems: &mut Diagnostics) -> Option<SchemaFile> {
        let known: &[&str] = if key == "file" { &["file"] } else { &["openapi", "operation", "status", "schema"] };
        let before = problems.0.len();
        check_keys(node, known, |_| false, problems);
        (problems.0.len() == before).then_some(())?;
        let file = node.get(key)?;
        let text = |n: &Node| (n.key_text(), n.span.clone());
        let selection = match (node.get("operation").map(text), node.get("schema").map(text)) {
            _ if key == "file" => Selection::Whole,
            (Some((operation, at)), None) => {
                Selection::Response { operation, at, status: node.get("status").map(text) }
            }
            (None, Some((name, at))) if node.get("status").is_none() => Selection::Component(name, at),
            _ => {
                let message = "expected either `operation` or `schema` beside `openapi`";
                let d = Diagnostic::error("matcher-argument", &node.span, message);
                problems.push(d.help(
                    "write `{ openapi: FILE, operation: getThing, status: 200 }` or `{ openapi: FILE, schema: Thing }`",
                ));
                return None;
            }
        };
        if !matches!(file.kind, Kind::Str(_)) {
            let d = wrong_type(file, &format!("a path under `{key}`"));
            problems.push(d.help(format!("write `{key}: openapi.yaml`")));
            return None;
        }
        Some(SchemaFile { file: file.key_text(), span: file.span.clone(), selection })
    }
}

impl Selection {
    /// Reference to the schema; `None` for the whole document.
    fn pointer(&self, file: &str, document: &Json) -> Result<Option<String>, Box<Diagnostic>> {
        match self {
            Selection::Whole => Ok(None),
            Selection::Component(name, at) => {
                let all = &document["components"]["schemas"];
                if all.get(name).is_none() {
                    let names = all.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
                    return Err(unknown(at, format!("`{file}` has no schema `{name}`"), nearest(name, names)));
                }
                Ok(Some(format!("#/components/schemas/{}", escaped(name))))
            }
            Selection::Response { operation, at, status } => {
                Self::response(file, document, operation, at, status.as_ref()).map(Some)
            }
        }
    }

    /// JSON pointer to the schema of an operation's response.
    fn response(
        file: &str,
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
            let near = nearest(operation, names.iter().map(String::as_str));
            return Err(unknown(at, format!("`{file}` has no operation `{operation}`"), near));
        };
        let responses = found["responses"].as_object().unwrap_or(&empty);
        let (code, at) = match status {
            Some((code, at)) => {
                let range = format!("{}XX", code.get(..1).unwrap_or_default());
                let code = [code.as_str(), &range, "default"].into_iter().find(|c| responses.contains_key(*c));
                (code.map(String::from), at)
            }
            None => {
                let successes: Vec<_> = responses.keys().filter(|c| c.starts_with('2')).collect();
                if successes.len() > 1 {
                    let d = Diagnostic::error(
                        "unknown-operation",
                        at,
                        format!("expected one 2xx response of `{operation}`, found {}", successes.len()),
                    );
                    return Err(Box::new(d.help(format!("choose one with `status: {}`", successes[0]))));
                }
                (successes.first().map(|c| c.to_string()), at)
            }
        };
        let Some(code) = code else {
            let known: Vec<_> = responses.keys().map(|c| format!("`{c}`")).collect();
            let d = Diagnostic::error("unknown-operation", at, format!("`{operation}` has no such response"));
            return Err(Box::new(d.help(format!("available: {}", known.join(", ")))));
        };
        let mut pointer = format!("#/paths/{}/{method}/responses/{}", escaped(path), escaped(&code));
        for _ in 0..MAX_REFERENCES {
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
                let message = format!("response {code} of `{operation}` has no JSON schema");
                let d = Diagnostic::error("unknown-operation", at, message);
                Err(Box::new(d.help("choose another `status`, or remove the assertion")))
            }
        }
    }
}

fn unknown(at: &Span, message: String, near: Option<&str>) -> Box<Diagnostic> {
    let d = Diagnostic::error("unknown-operation", at, message);
    Box::new(match near {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d,
    })
}

/// Escapes a step of a JSON Pointer (RFC 6901, 3).
fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{source::Source, yaml};
    use serde_json::json;

    /// A schema that is asked about JSON.
    #[derive(Debug)]
    struct Compiled(Arc<Checker>);

    impl Compiled {
        fn is_valid(&self, value: &Json) -> bool {
            self.0.errors(&value.clone().into()).is_empty()
        }
    }

    fn schema(text: &str, document: &Json) -> Result<Compiled, Vec<(&'static str, String)>> {
        let node = yaml::parse(&Arc::new(Source::new("t", text))).unwrap();
        let mut problems = Diagnostics::default();
        let mut schema = Schema::compile(&node, &mut problems);
        schema.bind(&Document::from(&document.clone().into()), &mut problems);
        match schema {
            Schema::Ready(v) => Ok(Compiled(v)),
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
    fn validates_responses_described_by_openapi_3_0() {
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
    fn openapi_3_1_uses_json_schema_keywords() {
        let mut newer = document("3.1.0");
        newer["components"]["schemas"]["Session"] =
            json!({ "type": "object", "properties": { "url": { "type": ["string", "null"] } } });
        let v = schema("{ openapi: a.yaml, schema: Session }", &newer).unwrap();
        assert!(v.is_valid(&json!({"url": null})) && !v.is_valid(&json!({"url": 1})));
    }

    /// Whether each value is valid by the schema `S` among others.
    fn assert_valid(schemas: &Json, cases: &[(Json, bool)]) {
        for version in ["3.0.3", "3.1.0"] {
            let document = json!({ "openapi": version, "components": { "schemas": schemas } });
            let v = schema("{ openapi: a.yaml, schema: S }", &document).unwrap();
            for (value, valid) in cases {
                assert_eq!(v.is_valid(value), *valid, "{version}: {value}");
            }
        }
    }

    #[test]
    fn a_response_has_no_write_only_properties() {
        let secret = json!({ "type": "string", "writeOnly": true });
        let object = |required: Json| json!({ "type": "object", "required": required, "properties": { "n": { "type": "string" }, "p": secret } });
        for schemas in [
            json!({ "S": object(json!(["n", "p"])) }),
            json!({ "S": { "allOf": [object(json!(["n"])), { "required": ["n", "p"] }] } }),
            json!({ "S": { "allOf": [{ "$ref": "#/components/schemas/B" }], "required": ["p"] }, "B": object(json!(["n", "p"])) }),
            json!({ "S": { "type": "object", "required": ["n", "p"],
                "properties": { "p": { "$ref": "#/components/schemas/P" } } }, "P": secret }),
        ] {
            assert_valid(
                &schemas,
                &[
                    (json!({"n": "x"}), true),
                    (json!({"n": "x", "p": "y"}), false),
                    (json!({"n": "x", "p": null}), false),
                    (json!({}), false),
                ],
            );
        }
        let read_only = json!({ "S": { "type": "object", "required": ["id"], "properties": { "id": { "type": "integer", "readOnly": true } } } });
        assert_valid(&read_only, &[(json!({"id": 1}), true), (json!({}), false)]);
    }

    #[test]
    fn a_discriminator_chooses_the_schema() {
        let refer = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let animal = |name: &str, parent: bool| {
            let own = json!({ "type": "object", "required": [name], "properties": { name: { "type": "boolean" } } });
            if parent { json!({ "allOf": [refer("S"), own] }) } else { own }
        };
        let mapping = json!({ "c": "#/components/schemas/Cat", "d": "Dog" });
        for (keyword, parent, mapped) in [
            ("oneOf", false, true),
            ("oneOf", false, false),
            ("anyOf", false, true),
            ("anyOf", false, false),
            ("", true, true),
            ("", true, false),
            // refers to itself
            ("oneOf", true, true),
        ] {
            let mut base = json!({ "discriminator": { "propertyName": "t" } });
            if !keyword.is_empty() {
                base[keyword] = json!([refer("Cat"), refer("Dog")]);
            }
            if mapped {
                base["discriminator"]["mapping"] = mapping.clone();
            }
            let schemas = json!({ "S": base, "Cat": animal("meow", parent), "Dog": animal("bark", parent) });
            let [cat, dog] = if mapped { ["c", "d"] } else { ["Cat", "Dog"] };
            assert_valid(
                &schemas,
                &[
                    (json!({"t": cat, "meow": true}), true),
                    (json!({"t": dog, "bark": true}), true),
                    (json!({"t": dog, "meow": true}), false),
                    (json!({"t": cat, "meow": 1}), false),
                    (json!({"t": "cow", "meow": true, "bark": true}), false),
                    (json!({"meow": true}), false),
                    (json!({"t": 1, "meow": true}), false),
                    (json!("c"), false),
                ],
            );
        }
        // over two generations
        let schemas = json!({
            "S": { "type": "object", "discriminator": { "propertyName": "t", "mapping": { "k": "Kitten" } } },
            "Cat": animal("meow", true),
            "Kitten": { "allOf": [refer("Cat"), { "required": ["age"] }] },
        });
        assert_valid(
            &schemas,
            &[
                (json!({"t": "k", "meow": true, "age": 1}), true),
                (json!({"t": "k", "meow": true}), false),
                (json!({"t": "k", "age": 1}), false),
                (json!({"t": "S"}), true),
            ],
        );
    }

    #[test]
    fn keywords_of_openapi_3_0_become_those_of_json_schema() {
        let document = json!({ "openapi": "3.0.3", "components": { "schemas": {
            "S": { "type": "object", "properties": {
                "nullable": { "type": "string", "nullable": true },
                "reference": { "$ref": "#/components/schemas/Name", "required": ["ignored"] },
                "either": { "type": "string", "nullable": true, "enum": ["a", "b"] },
                "or_null": { "type": "string", "nullable": true, "enum": ["a", null] },
                "small": { "type": "integer", "format": "int32" },
                "long": { "type": "integer", "format": "int64" },
                "own": { "type": "string", "format": "of-this-company" },
                "example": { "type": "string", "example": 1, "xml": {}, "externalDocs": {}, "x-mine": 1 },
            } },
            "Name": { "type": "object" },
        } } });
        let v = schema("{ openapi: a.yaml, schema: S }", &document).unwrap();
        for (value, valid) in [
            (json!({"nullable": null, "reference": {}, "or_null": null, "own": "x", "example": "x"}), true),
            (json!({"nullable": 1}), false),
            (json!({"reference": 1}), false),
            (json!({"either": null}), false),
            (json!({"small": 2147483647}), true),
            (json!({"small": 2147483648i64}), false),
            (json!({"long": i64::MIN}), true),
            (json!({"long": 9223372036854775808u64}), false),
            (json!({"own": 1}), false),
        ] {
            assert_eq!(v.is_valid(&value), valid, "{value}");
        }
        for (wrong, code) in [
            (json!({ "typ": "string" }), "invalid-schema"),
            (json!({ "properties": { "a": { "requird": ["b"] } } }), "invalid-schema"),
            (json!({ "allOf": [{ "$ref": "#/components/schemas/W" }] }), "invalid-schema"),
            (json!({}), "vacuous-assertion"),
            (json!({ "description": "anything", "nullable": true }), "vacuous-assertion"),
        ] {
            let document =
                json!({ "openapi": "3.0.3", "components": { "schemas": { "S": wrong, "W": { "typo": 1 } } } });
            let problems = schema("{ openapi: a.yaml, schema: S }", &document).unwrap_err();
            assert_eq!(problems[0].0, code, "{wrong}");
        }
    }

    #[test]
    fn reports_names_the_document_lacks() {
        let document = document("3.0.3");
        for (text, code, expected) in [
            ("{ openapi: a.yaml, operation: getSesion }", "unknown-operation", "did you mean `getSession`?"),
            ("{ openapi: a.yaml, operation: getSession, status: 500 }", "unknown-operation", "available: `200`, `4XX`"),
            ("{ openapi: a.yaml, operation: 'DELETE /sessions/{name}' }", "unknown-operation", "`status: 202`"),
            (
                "{ openapi: a.yaml, operation: 'DELETE /sessions/{name}', status: 204 }",
                "unknown-operation",
                "no JSON schema",
            ),
            ("{ openapi: a.yaml, schema: Sesion }", "unknown-operation", "did you mean `Session`?"),
            ("{ openapi: a.yaml }", "matcher-argument", "either `operation`"),
            ("{ openapi: a.yaml, schema: Session, status: 200 }", "matcher-argument", "either `operation`"),
            ("{ file: a.json, schema: Session }", "unknown-key", "unknown key `schema`"),
            ("{ file: [a] }", "wrong-type", "expected a path"),
        ] {
            let problems = schema(text, &document).unwrap_err();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].0 == code && problems[0].1.contains(expected), "{text}: {problems:?}");
        }
        let broken = schema("{ file: a.json }", &json!({"type": 5})).unwrap_err();
        assert_eq!(broken[0].0, "invalid-schema");
    }
}
