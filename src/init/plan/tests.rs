use super::*;
use crate::init::openapi;
use serde_json::{Value as Json, json};

fn options() -> Options {
    Options { id: "PETS".into(), document: Some("openapi.yaml".into()), ..Options::default() }
}

fn api(paths: Json) -> Api {
    let document = json!({
        "openapi": "3.0.3", "info": { "title": "Pets", "version": "1" }, "paths": paths,
        "components": {
            "securitySchemes": { "auth": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Pet": { "type": "object", "properties": { "id": { "type": "integer" }, "name": { "type": "string" } } } },
        },
    });
    openapi::read(&document).unwrap()
}

fn pets() -> Json {
    let pet = json!({ "$ref": "#/components/schemas/Pet" });
    let response = |schema: Json| json!({ "content": { "application/json": { "schema": schema } } });
    let id = json!({ "name": "petId", "in": "path", "required": true, "schema": { "type": "integer" } });
    json!({
        "/pets": {
            "get": { "operationId": "listPets", "responses": { "200": response(json!({ "type": "array", "items": pet })) } },
            "post": { "operationId": "addPet", "requestBody": { "content": { "application/json": { "schema": pet } } },
                "responses": { "201": response(pet.clone()) } },
        },
        "/pets/{petId}": {
            "parameters": [id],
            "get": { "operationId": "getPet", "responses": { "200": response(pet.clone()) } },
            "delete": { "operationId": "removePet", "responses": { "204": {} } },
        },
        "/logout": { "get": { "responses": { "200": {} } } },
        "/me": { "get": { "security": [{ "auth": [] }], "responses": { "200": response(pet.clone()) } } },
        "/search": { "get": { "parameters": [{ "name": "q", "in": "query", "required": true, "schema": { "type": "string" } }], "responses": { "200": {} } } },
    })
}

fn lines(yaml: &str, key: &str) -> String {
    let start = yaml.find(&format!("title: {key}\n")).unwrap_or_else(|| panic!("{key}\n{yaml}"));
    yaml[start..].split("\n\n").next().unwrap_or_default().to_string()
}

fn assert_parts(yaml: &str, key: &str, parts: &[&str]) {
    let case = lines(yaml, key);
    for part in parts {
        assert!(case.contains(part), "{part}\n{case}");
    }
}

#[test]
fn reads_run_and_changes_are_drafts() {
    let written = plan(&api(pets()), &options(), &Findings::default());
    assert_eq!(written.counts(), (3, 4));
    let yaml = &written.yaml;
    assert_parts(
        yaml,
        "GET /pets",
        &[
            "tier: must",
            "- step: List pets",
            "- http: { request: GET /pets }\n            as: response",
            "expect: { response: { status: 200 } }",
            "$schema: { openapi: openapi.yaml, operation: listPets, status: 200 }",
        ],
    );
    assert_parts(yaml, "GET /pets/{petId}", &["save: { pet_id: \"body[0].id\" }", "request: \"GET /pets/${pet_id}\""]);
    assert_parts(
        yaml,
        "POST /pets",
        &[
            "# draft: `POST /pets` changes data",
            "#   - http: { request: POST /pets, json: { id: 1, name: \"text\" } }",
            "#       - http: { request: \"DELETE /pets/${response.body.id}\" }",
            "unproven: 'not written yet: `POST /pets` changes data'",
        ],
    );
    assert_parts(yaml, "DELETE /pets/{petId}", &["# do:\n        #   - http: { request: DELETE /pets/TODO }"]);
    assert_parts(yaml, "GET /logout", &["may change something: logout"]);
    assert_parts(yaml, "GET /me", &["# draft: it needs credentials: auth", "identity: none", "$in: [401, 403]"]);
    assert_parts(yaml, "GET /search", &["query: { q: \"TODO\" }"]);
}

#[test]
fn credentials_and_values_make_drafts_run() {
    let options = Options {
        credentials: vec!["auth".into()],
        values: [("q".to_string(), "x ${y}".to_string()), ("unused".into(), "1".into())].into_iter().collect(),
        ..options()
    };
    let written = plan(&api(pets()), &options, &Findings::default());
    assert_eq!(written.counts(), (4, 3));
    assert!(written.yaml.contains("\nvars:\n  q: \"x $${y}\"\n\ncases:"), "{}", written.yaml);
    assert_parts(&written.yaml, "GET /search", &["query: { q: \"${q}\" }"]);
    assert_parts(
        &written.yaml,
        "GET /me",
        &["http: { request: GET /me }", "http: { request: GET /me, identity: none }"],
    );
}

#[test]
fn what_did_not_hold_becomes_a_draft_with_the_reason() {
    let mut findings = Findings::default();
    findings.add("GET /pets", Part::Schema, "`/0/id` is a string");
    findings.add("GET /pets/{petId}", Part::Response, "status 404");
    findings.add("GET /me", Part::Refusal, "it responded with status 200 without credentials");
    let written = plan(&api(pets()), &options(), &findings);
    assert_parts(&written.yaml, "GET /pets", &["unproven: '`/0/id` is a string'", "# expect:"]);
    // the request that finds a value is part of the draft
    assert_parts(
        &written.yaml,
        "GET /pets/{petId}",
        &["# draft: status 404", "#     save: { pet_id: \"body[0].id\" }"],
    );
    // the service does not ask for credentials, so the request is performed
    assert_parts(
        &written.yaml,
        "GET /me",
        &["do:\n          - http: { request: GET /me }", "unproven: it responded with status 200"],
    );
}

/// Drafts are valid once they are uncommented, and every case is where `Written` says.
#[test]
fn drafts_are_valid_yaml() {
    let written = plan(&api(pets()), &options(), &Findings::default());
    let plan: Json = serde_saphyr::from_str(&uncommented(&written.yaml)).unwrap();
    for case in plan["cases"].as_array().unwrap() {
        for step in case["steps"].as_array().unwrap() {
            assert!(step["do"].is_array(), "{step}");
        }
        for result in case["expected"].as_array().unwrap() {
            assert!(result["expect"].is_object(), "{result}");
        }
    }
    for case in &written.cases {
        let line = written.yaml.lines().nth(case.lines.0 - 1).unwrap_or_default();
        assert_eq!(line, format!("  - id: {}", case.id));
        assert_eq!(written.case_at(case.lines.1).map(|c| &c.id), Some(&case.id));
    }
}

#[test]
fn drafts_may_be_comments() {
    let comments = Options { drafts: Drafts::Comments, ..options() };
    let written = plan(&api(pets()), &comments, &Findings::default());
    let plan: Json = serde_saphyr::from_str(&written.yaml).unwrap();
    let ids: Vec<_> = plan["cases"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap_or_default()).collect();
    let running: Vec<_> = written.cases.iter().filter(|c| c.is_running).map(|c| c.id.as_str()).collect();
    assert_eq!((ids.len(), &ids), (3, &running));
    for case in &written.cases {
        let line = written.yaml.lines().nth(case.lines.0 - 1).unwrap_or_default();
        assert!(line.ends_with(&format!("- id: {}", case.id)), "{line}");
    }
}

/// The plan with all drafts in force.
fn uncommented(yaml: &str) -> String {
    let mut out = String::new();
    for line in yaml.lines().filter(|line| !line.contains("# draft: ") && !line.trim_start().starts_with("unproven:")) {
        out.push_str(&if line.starts_with("        # ") { line.replacen("# ", "", 1) } else { line.to_string() });
        out.push('\n');
    }
    out
}

/// Whatever a document says, the plan is YAML, has one case for each operation, unique ids, and is the same each time.
#[test]
fn hostile_documents_give_valid_plans() {
    let mut random = fastrand::Rng::with_seed(4);
    let pieces = [
        "${x}", "$${", "{{ y }}", "{id}", "}", "{", "\"", "'", "#", " #", ": ", "- ", "\n", "\r\n", "\t", "\u{0}",
        "\u{85}", "\u{2028}", "\u{feff}", "!", "&a", "*a", "%", "@", "`", "|", ">", "?", "null", "true", "1e3", "0x1F",
        "~", "é", "名", "🦀", "/", "\\", "a", "word", "$time", "$ref", "[", "]", ",",
    ];
    for round in 0..150 {
        let mut text = |most: usize| {
            (0..random.usize(0..=most)).map(|_| random.choice(&pieces).copied().unwrap_or("")).collect::<String>()
        };
        let mut paths = serde_json::Map::new();
        for n in 0..3 {
            let schema =
                json!({ "type": "object", "properties": { text(2): { "type": "string", "example": text(3) } } });
            let parameters = json!([{ "name": text(2), "in": "query", "required": true, "example": text(3) }, { "name": "id", "in": "path", "required": true, "example": text(2) }]);
            let content = json!({ "application/json": { "schema": schema, "example": { text(2): text(3) } } });
            let operation = json!({ "operationId": text(2), "summary": text(5), "parameters": parameters, "requestBody": { "content": content.clone() },
                "responses": { "200": { "content": content } }, "security": [{ text(1): [] }] });
            paths.insert(
                format!("/{n}{}/{{id}}{}", text(3), text(1)),
                json!({ "get": operation, "post": operation, "delete": operation }),
            );
        }
        let document = json!({ "openapi": "3.1.0", "info": { "title": text(4), "version": text(1) }, "paths": paths });
        let api = openapi::read(&document).unwrap();
        let options = Options {
            id: words::plan_id(&api.title),
            document: Some("openapi.yaml".into()),
            credentials: vec![text(1)],
            ..Options::default()
        };
        let written = plan(&api, &options, &Findings::default());
        assert_eq!(written.yaml, plan(&api, &options, &Findings::default()).yaml);
        for yaml in [written.yaml.clone(), uncommented(&written.yaml)] {
            let read: Json = serde_saphyr::from_str(&yaml).unwrap_or_else(|e| panic!("{round}: {e}\n{yaml}"));
            let cases = read["cases"].as_array().unwrap();
            let ids: HashSet<_> = cases.iter().map(|c| c["id"].as_str().unwrap()).collect();
            assert_eq!((cases.len(), ids.len()), (9, 9), "{yaml}");
        }
    }
}
