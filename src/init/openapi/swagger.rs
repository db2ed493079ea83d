//! Rewrites a document of Swagger 2.0 to OpenAPI 3.0, as far as plans need it.
use serde_json::{Map, Value as Json, json};

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// Keys of a parameter that belong to its schema in OpenAPI 3.0.
const SCHEMA_KEYS: [&str; 18] = [
    "type",
    "format",
    "items",
    "default",
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
    "enum",
    "multipleOf",
    "x-example",
    "example",
];

/// The document in OpenAPI 3.0; `None` if it is not of Swagger 2.0.
pub fn upgraded(document: &Json) -> Option<Json> {
    if document["swagger"].as_str() != Some("2.0") {
        return None;
    }
    let mut out = json!({ "openapi": "3.0.3", "info": document["info"], "servers": servers(document), "paths": {} });
    if !document["security"].is_null() {
        out["security"] = document["security"].clone();
    }
    let produces = document["produces"].clone();
    let consumes = document["consumes"].clone();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let Json::Object(item) = item else { continue };
        let mut new = Map::new();
        for (key, value) in item {
            let value = match key.as_str() {
                "parameters" => {
                    let (parameters, _) = parameters(document, value, &consumes);
                    parameters
                }
                method if METHODS.contains(&method) => operation(document, item, value, &produces, &consumes),
                _ => value.clone(),
            };
            new.insert(key.clone(), value);
        }
        out["paths"][path] = Json::Object(new);
    }
    let mut components = Map::new();
    let mut add = |name: &str, value: Json| {
        if !value.is_null() {
            components.insert(name.into(), value);
        }
    };
    add("schemas", document["definitions"].clone());
    let responses = document["responses"]
        .as_object()
        .map(|all| all.iter().map(|(name, r)| (name.clone(), response(r, &produces))).collect::<Map<_, _>>());
    add("responses", responses.map_or(Json::Null, Json::Object));
    let shared = document["parameters"].as_object().map(|all| {
        let plain = all.iter().filter(|(_, p)| !matches!(p["in"].as_str(), Some("body" | "formData")));
        plain.map(|(name, p)| (name.clone(), parameter(p))).collect::<Map<_, _>>()
    });
    add("parameters", shared.map_or(Json::Null, Json::Object));
    let schemes = document["securityDefinitions"].as_object();
    let schemes = schemes.map(|all| all.iter().map(|(name, s)| (name.clone(), scheme(s))).collect::<Map<_, _>>());
    add("securitySchemes", schemes.map_or(Json::Null, Json::Object));
    out["components"] = Json::Object(components);
    rewrite_references(&mut out);
    Some(out)
}

fn servers(document: &Json) -> Json {
    let base = document["basePath"].as_str().unwrap_or_default().trim_end_matches('/');
    let Some(host) = document["host"].as_str() else { return json!([{ "url": format!("{base}/") }]) };
    let schemes = document["schemes"].as_array().cloned().unwrap_or_else(|| vec!["https".into()]);
    let urls =
        schemes.iter().filter_map(Json::as_str).map(|scheme| json!({ "url": format!("{scheme}://{host}{base}") }));
    Json::Array(urls.collect())
}

fn operation(document: &Json, item: &Map<String, Json>, operation: &Json, produces: &Json, consumes: &Json) -> Json {
    let Json::Object(old) = operation else { return operation.clone() };
    let mut new = old.clone();
    let own =
        |key: &str, all: &Json| if old.get(key).is_some_and(Json::is_array) { old[key].clone() } else { all.clone() };
    let (produces, consumes) = (own("produces", produces), own("consumes", consumes));
    ["produces", "consumes", "schemes"].iter().for_each(|key| drop(new.shift_remove(*key)));
    let (list, mut body) = parameters(document, old.get("parameters").unwrap_or(&Json::Null), &consumes);
    if body.is_none() {
        body = item.get("parameters").and_then(|shared| parameters(document, shared, &consumes).1);
    }
    new.insert("parameters".into(), list);
    new.extend(body.map(|body| ("requestBody".to_string(), body)));
    let responses = old.get("responses").and_then(Json::as_object).into_iter().flatten();
    let responses: Map<String, Json> = responses.map(|(status, r)| (status.clone(), response(r, &produces))).collect();
    new.insert("responses".into(), responses.into());
    Json::Object(new)
}

/// The parameters outside of the body, and the body.
fn parameters(document: &Json, list: &Json, consumes: &Json) -> (Json, Option<Json>) {
    let (mut others, mut body) = (vec![], None);
    let (mut properties, mut required, mut is_file) = (Map::new(), vec![], false);
    for given in list.as_array().into_iter().flatten() {
        let pointer = given["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
        let known = pointer.and_then(|p| document.pointer(p)).unwrap_or(given);
        match known["in"].as_str() {
            Some("body") => {
                let content = media(consumes).into_iter().map(|m| (m, json!({ "schema": known["schema"] })));
                body =
                    Some(json!({ "content": content.collect::<Map<_, _>>(), "required": known["required"] == true }));
            }
            Some("formData") => {
                let name = known["name"].as_str().unwrap_or_default();
                let mut schema = parameter(known)["schema"].clone();
                if known["type"] == "file" {
                    is_file = true;
                    schema = json!({ "type": "string", "format": "binary" });
                }
                if known["required"] == true {
                    required.push(name.to_string());
                }
                properties.insert(name.into(), schema);
            }
            _ if pointer.is_some() => others.push(given.clone()),
            _ => others.push(parameter(known)),
        }
    }
    if !properties.is_empty() {
        let kind = if is_file { "multipart/form-data" } else { "application/x-www-form-urlencoded" };
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        body = Some(json!({ "content": { kind: { "schema": schema } } }));
    }
    (Json::Array(others), body)
}

fn parameter(old: &Json) -> Json {
    let Json::Object(map) = old else { return old.clone() };
    let mut new = map.clone();
    let mut schema = Map::new();
    for key in SCHEMA_KEYS {
        if let Some(value) = new.shift_remove(key) {
            schema.insert(if key == "x-example" { "example" } else { key }.into(), value);
        }
    }
    match new.shift_remove("collectionFormat").as_ref().and_then(Json::as_str) {
        Some("multi") => drop(new.insert("explode".into(), true.into())),
        Some("ssv") => drop(new.insert("style".into(), "spaceDelimited".into())),
        Some("pipes") => drop(new.insert("style".into(), "pipeDelimited".into())),
        _ if schema.get("type").is_some_and(|t| t == "array") => drop(new.insert("explode".into(), false.into())),
        _ => {}
    }
    if !schema.is_empty() {
        new.insert("schema".into(), Json::Object(schema));
    }
    Json::Object(new)
}

fn response(old: &Json, produces: &Json) -> Json {
    let Json::Object(map) = old else { return old.clone() };
    let mut new = map.clone();
    let schema = new.shift_remove("schema");
    let examples = new.shift_remove("examples");
    ["headers"].iter().for_each(|key| drop(new.shift_remove(*key)));
    if let Some(schema) = schema.filter(|s| s["type"] != "file") {
        let entry = |kind: String| {
            let mut entry = json!({ "schema": schema });
            if let Some(example) = examples.as_ref().and_then(|e| e.get(&kind)) {
                entry["example"] = example.clone();
            }
            (kind, entry)
        };
        new.insert("content".into(), media(produces).into_iter().map(entry).collect::<Map<_, _>>().into());
    }
    Json::Object(new)
}

fn media(kinds: &Json) -> Vec<String> {
    let kinds: Vec<String> =
        kinds.as_array().into_iter().flatten().filter_map(Json::as_str).map(String::from).collect();
    if kinds.is_empty() { vec!["application/json".into()] } else { kinds }
}

fn scheme(old: &Json) -> Json {
    let flow = |name: &str| {
        let mut flow = json!({ "scopes": old["scopes"] });
        for key in ["authorizationUrl", "tokenUrl"] {
            if !old[key].is_null() {
                flow[key] = old[key].clone();
            }
        }
        json!({ "type": "oauth2", "flows": { name: flow } })
    };
    match (old["type"].as_str(), old["flow"].as_str()) {
        (Some("basic"), _) => json!({ "type": "http", "scheme": "basic" }),
        (Some("oauth2"), Some("application")) => flow("clientCredentials"),
        (Some("oauth2"), Some("accessCode")) => flow("authorizationCode"),
        (Some("oauth2"), Some(name)) => flow(name),
        _ => old.clone(),
    }
}

fn rewrite_references(value: &mut Json) {
    match value {
        Json::Object(map) => {
            if map.get("discriminator").is_some_and(Json::is_string) {
                let name = map["discriminator"].clone();
                map.insert("discriminator".into(), json!({ "propertyName": name }));
            }
            for (key, value) in map.iter_mut() {
                match value {
                    Json::String(reference) if key == "$ref" => {
                        for (old, new) in [
                            ("#/definitions/", "#/components/schemas/"),
                            ("#/responses/", "#/components/responses/"),
                            ("#/parameters/", "#/components/parameters/"),
                        ] {
                            if let Some(rest) = reference.strip_prefix(old) {
                                *reference = format!("{new}{rest}");
                                break;
                            }
                        }
                    }
                    other => rewrite_references(other),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(rewrite_references),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn becomes_openapi_3_0() {
        let old = json!({
            "swagger": "2.0", "info": { "title": "T" }, "host": "h:8", "basePath": "/v1", "schemes": ["http"],
            "produces": ["application/json"],
            "securityDefinitions": { "k": { "type": "apiKey", "in": "header", "name": "X" }, "b": { "type": "basic" } },
            "parameters": { "page": { "in": "query", "name": "page", "type": "integer", "default": 2 } },
            "definitions": { "Pet": { "type": "object", "discriminator": "kind" } },
            "paths": { "/pets": {
                "get": { "parameters": [{ "$ref": "#/parameters/page" }, { "in": "query", "name": "tags", "type": "array", "items": { "type": "string" } }],
                    "responses": { "200": { "description": "ok", "schema": { "$ref": "#/definitions/Pet" } } } },
                "post": { "consumes": ["application/json"], "parameters": [{ "in": "body", "name": "b", "schema": { "$ref": "#/definitions/Pet" } }],
                    "responses": { "201": { "description": "ok" } } },
            } },
        });
        let new = upgraded(&old).unwrap();
        assert_eq!(new["servers"], json!([{ "url": "http://h:8/v1" }]));
        let get = &new["paths"]["/pets"]["get"];
        assert_eq!(get["parameters"][0], json!({ "$ref": "#/components/parameters/page" }));
        assert_eq!(get["parameters"][1]["explode"], false);
        assert_eq!(
            get["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/Pet"
        );
        assert_eq!(new["components"]["parameters"]["page"]["schema"], json!({ "type": "integer", "default": 2 }));
        assert_eq!(new["components"]["schemas"]["Pet"]["discriminator"], json!({ "propertyName": "kind" }));
        assert_eq!(new["components"]["securitySchemes"]["b"], json!({ "type": "http", "scheme": "basic" }));
        let body = &new["paths"]["/pets"]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["$ref"], "#/components/schemas/Pet");
        assert_eq!(upgraded(&json!({ "openapi": "3.0.0" })), None);
    }
}
