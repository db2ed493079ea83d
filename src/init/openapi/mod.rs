//! Reads the operations of an OpenAPI document. Documents of Swagger 2.0 are rewritten first: see [`upgraded`].
mod content;
mod parameters;
mod refs;
mod sample;
mod schema;
mod security;
mod servers;
mod swagger;

pub use self::{
    content::{Body, Field, List, Success},
    parameters::{Inputs, Missing, PathParameter, is_header, placeholders},
    security::Scheme,
    servers::base,
    swagger::upgraded,
};
use super::words::{first_sentence, has_words, humanized, sentence};
use indexmap::IndexMap;
use refs::resolve;
use schema::Schemas;
use serde_json::Value as Json;
use std::collections::HashMap;

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// What a document says about a service.
#[derive(Clone, Debug, Default)]
pub struct Api {
    pub title: String,
    pub version: String,
    /// Addresses, with the defaults of their variables; possibly only paths.
    pub servers: Vec<String>,
    pub operations: Vec<Operation>,
    /// How clients log in, by the names that the operations use.
    pub schemes: IndexMap<String, Scheme>,
    /// What could not be read, and is not in `operations`.
    pub notes: Vec<String>,
}

/// One request that a service understands.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Method and path: `GET /pets/{id}`.
    pub key: String,
    pub method: String,
    pub path: String,
    /// How `$schema` names it: its `operationId` if no other has the same, else the key.
    pub name: String,
    /// One sentence that says what it does.
    pub summary: String,
    /// The title: shorter, without a full stop.
    pub title: String,
    pub is_deprecated: bool,
    pub inputs: Inputs,
    pub body: Option<Body>,
    pub success: Success,
    /// The statuses that the document describes besides success.
    pub statuses: Vec<String>,
    /// Alternatives, each with the schemes that it needs together. Empty: no login.
    pub security: Vec<Vec<String>>,
    /// An address of its own.
    pub own_server: Option<String>,
}

impl Operation {
    /// Whether it only reads, as far as its method tells.
    pub fn is_read(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}

/// Reads a document of OpenAPI 3.0 or 3.1.
///
/// # Errors
/// What the document is, if it is not one.
pub fn read(document: &Json) -> Result<Api, String> {
    let version = document["openapi"].as_str().unwrap_or_default();
    if !version.starts_with("3.") {
        return Err(match (document["swagger"].as_str(), version) {
            (Some(version), _) => format!("expected OpenAPI 3.0 or 3.1, found Swagger {}", sentence(version)),
            (_, "") => "expected an OpenAPI document with the key `openapi`, found none".into(),
            (_, version) => format!("expected OpenAPI 3.0 or 3.1, found {}", sentence(version)),
        });
    }
    let info = &document["info"];
    let mut api = Api {
        title: sentence(info["title"].as_str().unwrap_or_default()),
        version: sentence(info["version"].as_str().unwrap_or_default()),
        servers: servers::all(&document["servers"]),
        schemes: security::schemes(document),
        ..Api::default()
    };
    let mut ids: HashMap<&str, usize> = HashMap::new();
    let paths = document["paths"].as_object().into_iter().flatten();
    let items: Vec<(&String, &Json)> = paths.filter(|(path, _)| !path.starts_with("x-")).collect();
    for (path, item) in &items {
        let Some(item) = resolve(document, item) else {
            api.notes.push(format!("`{}` is described in another document", sentence(path)));
            continue;
        };
        let ids_of_item = METHODS.iter().filter_map(|m| item[*m]["operationId"].as_str());
        ids_of_item.for_each(|id| *ids.entry(id).or_default() += 1);
    }
    let mut schemas = Schemas::new(document);
    for (path, written) in &items {
        let Some(item) = resolve(document, written) else { continue };
        for method in METHODS {
            if item[method].is_object() {
                // the operation of a path that is a reference is not found by `$schema` under its path
                let is_reference = written.get("$ref").is_some();
                api.operations.push(operation(document, &mut schemas, path, item, method, &ids, is_reference));
            }
        }
    }
    if api.operations.is_empty() {
        return Err("the document describes no operation: `paths` has none".into());
    }
    Ok(api)
}

fn operation(
    document: &Json,
    schemas: &mut Schemas<'_>,
    path: &str,
    item: &Json,
    method: &str,
    ids: &HashMap<&str, usize>,
    is_reference: bool,
) -> Operation {
    let operation = &item[method];
    let key = format!("{} {path}", method.to_uppercase());
    let id = operation["operationId"].as_str().filter(|id| has_words(id));
    let name = id.filter(|id| ids.get(id) == Some(&1) && !id.contains(' ')).map_or(key.clone(), String::from);
    let summary = operation["summary"].as_str().map(first_sentence).filter(|s| has_words(s));
    let described = || operation["description"].as_str().map(first_sentence).filter(|s| has_words(s));
    let summary = summary.or_else(described).or_else(|| id.map(humanized).filter(|s| has_words(s)));
    let summary = summary.unwrap_or_else(|| sentence(&key));
    let server = [operation, item].iter().find_map(|part| servers::all(&part["servers"]).into_iter().next());
    let mut success = content::success(document, schemas, path, method, operation);
    if is_reference && success.schema.is_ok() {
        success.schema = Err("the path is a reference, where operations are not looked up".into());
    }
    let statuses = operation["responses"].as_object().into_iter().flatten().map(|(status, _)| status.clone());
    Operation {
        method: method.to_uppercase(),
        path: path.to_string(),
        title: summary.clone(),
        summary,
        name,
        is_deprecated: operation["deprecated"] == true,
        inputs: parameters::inputs(document, path, item, operation),
        body: content::body(document, operation),
        statuses: statuses.collect(),
        security: security::needed(document, operation),
        own_server: server,
        success,
        key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_operations_with_names_and_sentences() {
        let document = json!({
            "openapi": "3.1.0", "info": { "title": "Pets\n${x}", "version": 2 },
            "servers": [{ "url": "https://{env}.example/v1/", "variables": { "env": { "default": "prod" } } }],
            "security": [{ "key": [] }],
            "paths": {
                "/pets": {
                    "get": { "operationId": "listPets", "security": [], "responses": { "200": { "content": { "application/json": {
                        "schema": { "type": "array", "items": { "properties": { "id": { "type": "integer" } } } } } } } } },
                    "post": { "summary": "Adds a pet. It is stored.", "responses": { "default": {} } },
                },
                "/pets/{id}": { "delete": { "operationId": "twice", "responses": { "204": {} } }, "put": { "operationId": "twice", "responses": {} } },
                "/elsewhere": { "$ref": "other.yaml" },
                "x-note": {},
            },
        });
        let api = read(&document).unwrap();
        assert_eq!((api.title.as_str(), api.servers[0].as_str()), ("Pets ${x}", "https://prod.example/v1"));
        let shown: Vec<_> = api
            .operations
            .iter()
            .map(|o| format!("{} | {} | {} | {}", o.key, o.name, o.summary, o.success.status))
            .collect();
        assert_eq!(
            shown,
            [
                "GET /pets | listPets | List pets | 200",
                "POST /pets | POST /pets | Adds a pet | 201",
                "PUT /pets/{id} | PUT /pets/{id} | Twice | 200",
                "DELETE /pets/{id} | DELETE /pets/{id} | Twice | 204",
            ]
        );
        assert!(api.operations[0].security.is_empty());
        assert_eq!(api.operations[1].security, [["key"]]);
        assert_eq!(api.notes.len(), 1);
        assert!(read(&json!({ "swagger": "2.0" })).unwrap_err().contains("Swagger 2.0"));
        assert!(read(&json!([])).is_err());
        assert!(read(&json!({ "openapi": "3.1.0", "webhooks": {} })).unwrap_err().contains("no operation"));
    }
}
