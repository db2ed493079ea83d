//! Requests about definitions, and about objects that are validated by their schemas.

use crate::{
    pair::{MERGE, OPERATIONS, Pair},
    writing::thing,
};
use http::Method;
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const FORMS: &str = "/apis/$group/v1/namespaces/$ns/forms";

fn definition(plural: &str, kind: &str, schema: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": format!("{plural}.$group") },
        "spec": {
            "group": "$group", "scope": "Namespaced",
            "names": { "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List") },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

fn things() -> Value {
    let mut things = definition(
        "things",
        "Thing",
        json!({
            "type": "object",
            "properties": {
                "spec": { "type": "object", "required": ["size"], "properties": {
                    "size": { "type": "integer", "minimum": 1 }, "colour": { "type": "string", "enum": ["red", "green"], "default": "red" },
                } },
                "status": { "type": "object", "properties": { "phase": { "type": "string" } } },
            },
        }),
    );
    things["spec"]["names"]["shortNames"] = json!(["th"]);
    things["spec"]["names"]["categories"] = json!(["all"]);
    things["spec"]["versions"][0]["additionalPrinterColumns"] = json!([
        { "name": "Size", "type": "integer", "jsonPath": ".spec.size" },
        { "name": "Colour", "type": "string", "jsonPath": ".spec.colour", "description": "What it looks like", "priority": 1 },
        { "name": "Phase", "type": "string", "jsonPath": ".status.phase" },
        { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
    ]);
    things
}

fn forms() -> Value {
    let item = json!({ "type": "object", "required": ["name"], "properties": { "name": { "type": "string" }, "n": { "type": "integer", "default": 7 } } });
    definition(
        "forms",
        "Form",
        json!({
            "type": "object",
            "properties": {
                "spec": { "type": "object", "properties": {
                    "text": { "type": "string", "minLength": 2, "maxLength": 5 },
                    "word": { "type": "string", "pattern": "^[a-z]+$" },
                    "when": { "type": "string", "format": "date-time" },
                    "day": { "type": "string", "format": "date" },
                    "number": { "type": "number", "minimum": 0.5, "maximum": 9.5 },
                    "small": { "type": "integer", "format": "int32" },
                    "open": { "type": "integer", "minimum": 0, "exclusiveMinimum": true, "maximum": 10, "exclusiveMaximum": true },
                    "step": { "type": "integer", "multipleOf": 3 },
                    "flag": { "type": "boolean" },
                    "port": { "x-kubernetes-int-or-string": true },
                    "nullable": { "type": "string", "nullable": true },
                    "kept": { "type": "string", "default": "kept" },
                    "choice": { "type": "integer", "enum": [1, 2] },
                    "list": { "type": "array", "minItems": 1, "maxItems": 3, "items": item },
                    "set": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } },
                    "map": { "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item },
                    "words": { "type": "object", "additionalProperties": { "type": "string" }, "maxProperties": 2 },
                    "counts": { "type": "object", "additionalProperties": { "type": "integer", "minimum": 1 }, "minProperties": 1 },
                    "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": { "n": { "type": "integer" } } },
                    "deep": { "type": "object", "default": {}, "properties": { "er": { "type": "object", "default": { "x": 1 }, "properties": {
                        "x": { "type": "integer" }, "y": { "type": "string", "default": "why" },
                    } } } },
                    "one": { "type": "object", "properties": { "a": { "type": "string" }, "b": { "type": "string" } },
                             "oneOf": [{ "required": ["a"] }, { "required": ["b"] }] },
                    "any": { "type": "object", "properties": { "a": { "type": "string" }, "b": { "type": "string" } },
                             "anyOf": [{ "required": ["a"] }, { "required": ["b"] }] },
                    "never": { "type": "object", "properties": { "a": { "type": "string" } }, "not": { "required": ["a"] } },
                    "all": { "type": "integer", "allOf": [{ "minimum": 3 }, { "maximum": 5 }] },
                } },
                "status": { "type": "object", "required": ["phase"], "properties": {
                    "phase": { "type": "string", "enum": ["On", "Off"] },
                    "conditions": { "type": "array", "items": item },
                } },
            },
        }),
    )
}

fn form(name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "$group/v1", "kind": "Form", "metadata": { "name": name }, "spec": spec })
}

/// Creates the definitions that the other topics need.
pub async fn define(pair: &mut Pair) {
    pair.topic("define");
    for (plural, definition) in [("things", things()), ("forms", forms())] {
        pair.post(plural, DEFINITIONS, definition).await;
        let path = format!("{DEFINITIONS}/{plural}.$group");
        let established = |_: u16, body: &Value| {
            let conditions = body["status"]["conditions"].as_array().into_iter().flatten();
            conditions.into_iter().any(|c| c["type"] == "Established" && c["status"] == "True")
        };
        pair.until("a definition's acceptance", &path, established).await;
        let objects = format!("/apis/$group/v1/namespaces/$ns/{plural}");
        pair.until("a served resource", &objects, |code, _| code == 200).await;
        pair.get(&format!("{plural}, accepted"), &path).await;
    }
}

pub async fn ask(pair: &mut Pair) {
    definitions(pair).await;
    decoding(pair).await;
    errors(pair).await;
    changes(pair).await;
    ends(pair).await;
}

async fn definitions(pair: &mut Pair) {
    pair.topic("definition");
    let object = || json!({ "type": "object" });
    let changed = |pointer: &str, value: Value| {
        let mut odd = definition("odds", "Odd", object());
        *odd.pointer_mut(pointer).expect("a place") = value;
        odd
    };
    let version =
        |name: &str, schema: Value| json!([{ "name": name, "served": true, "storage": true, "schema": schema }]);
    for (name, odd) in [
        ("another name", changed("/metadata/name", "odd.$group".into())),
        ("no schema", changed("/spec/versions", version("v1", json!({})))),
        ("no versions", changed("/spec/versions", json!([]))),
        ("a root of text", definition("odds", "Odd", json!({ "type": "string" }))),
        ("no type", definition("odds", "Odd", json!({ "type": "object", "properties": { "a": {} } }))),
        (
            "an invalid pattern",
            definition(
                "odds",
                "Odd",
                json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": "(" } } }),
            ),
        ),
        ("an odd scope", changed("/spec/scope", "Everywhere".into())),
        ("no kind", changed("/spec/names/kind", "".into())),
        ("a plural in upper case", changed("/spec/names/plural", "Odds".into())),
    ] {
        pair.post(name, DEFINITIONS, odd).await;
    }
    let ruled = json!({ "type": "object", "properties": { "a": { "type": "integer", "x-kubernetes-validations": [{ "rule": "self > 1" }] } } });
    pair.post("with rules", DEFINITIONS, definition("odds", "Odd", ruled)).await;
    pair.quietly(Method::DELETE, &format!("{DEFINITIONS}/odds.$group")).await;
    pair.gone(&format!("{DEFINITIONS}/odds.$group")).await;
    pair.post("things once more", DEFINITIONS, things()).await;
    let path = format!("{DEFINITIONS}/things.$group");
    pair.patch("another group", MERGE, &path, json!({ "spec": { "group": "other.example.com" } })).await;
    pair.patch("another scope", MERGE, &path, json!({ "spec": { "scope": "Cluster" } })).await;
    pair.patch("a label", MERGE, &path, json!({ "metadata": { "labels": { "a": "b" } } })).await;
}

async fn decoding(pair: &mut Pair) {
    pair.topic("decode");
    for (name, spec) in [
        ("defaults", json!({})),
        ("deeper defaults", json!({ "deep": { "er": {} }, "list": [{ "name": "a" }] })),
        ("a default in place of null", json!({ "kept": null })),
        ("null that may be", json!({ "nullable": null })),
        ("null that may not be", json!({ "text": null })),
        ("unknown fields", json!({ "odd": 1, "list": [{ "name": "a", "odd": { "x": 1 } }], "deep": { "odd": 1 } })),
        ("free fields", json!({ "free": { "x": { "y": [1] }, "n": 1 }, "words": { "a": "b" } })),
        ("a number for a port", json!({ "port": 80 })),
        ("a word for a port", json!({ "port": "http" })),
        ("a whole number with a point", json!({ "choice": 2.0 })),
        (
            "all that fits",
            json!({
                "text": "abc", "word": "abc", "when": "2024-02-03T04:05:06.7Z", "day": "2024-02-03", "number": 3, "small": 5, "open": 1, "step": 9,
                "flag": true, "set": ["a", "b"], "map": [{ "name": "a" }, { "name": "b", "n": 1 }], "counts": { "a": 1 }, "one": { "a": "x" },
                "any": { "a": "x", "b": "y" }, "never": {}, "all": 4,
            }),
        ),
    ] {
        let label = name.replace(' ', "-");
        pair.post(name, FORMS, form(&label, spec)).await;
    }
    pair.get("what was decoded", &format!("{FORMS}/deeper-defaults")).await;
    let odd = form("strict", json!({ "odd": 1, "deep": { "odd": 2 } }));
    pair.post("strictly", &format!("{FORMS}?fieldValidation=Strict"), odd.clone()).await;
    pair.post("carelessly", &format!("{FORMS}?fieldValidation=Ignore"), odd.clone()).await;
    pair.post(
        "with a warning, as a trial",
        &format!("{FORMS}?fieldValidation=Warn&dryRun=All"),
        form("trial", json!({ "odd": 1 })),
    )
    .await;
    let mut rootless = form("root", json!({}));
    rootless["odd"] = json!(1);
    pair.post("an unknown field at the root", FORMS, rootless).await;
    let mut meta = form("meta", json!({}));
    meta["metadata"]["odd"] = json!(1);
    pair.post("an unknown field of the metadata", FORMS, meta).await;
    pair.post(
        "without a spec",
        FORMS,
        json!({ "apiVersion": "$group/v1", "kind": "Form", "metadata": { "name": "specless" } }),
    )
    .await;
}

async fn errors(pair: &mut Pair) {
    pair.topic("error");
    for (name, spec) in [
        ("spec that is text", json!("x")),
        ("text that is a number", json!({ "text": 5 })),
        ("number that is text", json!({ "number": "5" })),
        ("flag that is text", json!({ "flag": "yes" })),
        ("list that is a map", json!({ "list": {} })),
        ("map that is a list", json!({ "words": [] })),
        ("whole number with a fraction", json!({ "choice": 1.5 })),
        ("port that is a flag", json!({ "port": true })),
        ("text too short", json!({ "text": "a" })),
        ("text too long", json!({ "text": "abcdef" })),
        ("pattern", json!({ "word": "A1" })),
        ("time", json!({ "when": "yesterday" })),
        ("day", json!({ "day": "2024-02-33" })),
        ("too small", json!({ "number": 0.25 })),
        ("too large", json!({ "number": 10 })),
        ("beyond 32 bits", json!({ "small": 3_000_000_000_i64 })),
        ("not above", json!({ "open": 0 })),
        ("not below", json!({ "open": 10 })),
        ("step", json!({ "step": 4 })),
        ("choice", json!({ "choice": 3 })),
        ("items too few", json!({ "list": [] })),
        ("items too many", json!({ "list": [{ "name": "a" }, { "name": "b" }, { "name": "c" }, { "name": "d" }] })),
        ("item without its name", json!({ "list": [{}] })),
        ("item of the wrong type", json!({ "list": [5] })),
        ("item twice", json!({ "set": ["a", "b", "a", "a"] })),
        ("key twice", json!({ "map": [{ "name": "a" }, { "name": "a", "n": 2 }] })),
        ("value of the wrong type", json!({ "words": { "a": 1 } })),
        ("fields too many", json!({ "words": { "a": "1", "b": "2", "c": "3" } })),
        ("fields too few", json!({ "counts": {} })),
        ("count too small", json!({ "counts": { "a": 0 } })),
        ("free field of the wrong type", json!({ "free": { "n": "x" } })),
        ("neither of one", json!({ "one": {} })),
        ("both of one", json!({ "one": { "a": "x", "b": "y" } })),
        ("none of any", json!({ "any": {} })),
        ("what must not be", json!({ "never": { "a": "x" } })),
        ("one of all", json!({ "all": 7 })),
        ("several at once", json!({ "text": "a", "word": "A", "choice": 9, "list": [{}] })),
    ] {
        pair.post(name, FORMS, form("wrong", spec)).await;
    }
    let mut named = form("Wrong Name", json!({ "text": "a" }));
    named["metadata"]["labels"] = json!({ "a": "b c" });
    pair.post("metadata and spec", FORMS, named).await;
    pair.post("a thing without its size", "/apis/$group/v1/namespaces/$ns/things", {
        let mut small = thing("small");
        small["spec"] = json!({});
        small
    })
    .await;
}

async fn changes(pair: &mut Pair) {
    pair.topic("change");
    let path = format!("{FORMS}/changing");
    pair.post("a form", FORMS, form("changing", json!({ "text": "abc", "list": [{ "name": "a" }] }))).await;
    pair.patch("merge a fault", MERGE, &path, json!({ "spec": { "text": "a" } })).await;
    pair.patch("an operation's fault", OPERATIONS, &path, json!([{ "op": "add", "path": "/spec/word", "value": "A" }]))
        .await;
    pair.patch("merge an unknown field", MERGE, &path, json!({ "spec": { "odd": 1 } })).await;
    pair.patch(
        "merge an unknown field strictly",
        MERGE,
        &format!("{path}?fieldValidation=Strict"),
        json!({ "spec": { "odd": 1 } }),
    )
    .await;
    pair.patch("a default taken away", MERGE, &path, json!({ "spec": { "kept": null } })).await;
    pair.patch("a fault of the status", MERGE, &format!("{path}/status"), json!({ "status": { "phase": "Maybe" } }))
        .await;
    pair.patch(
        "a status without its phase",
        MERGE,
        &format!("{path}/status"),
        json!({ "status": { "conditions": [] } }),
    )
    .await;
    pair.patch(
        "a status with defaults",
        MERGE,
        &format!("{path}/status"),
        json!({ "status": { "phase": "On", "conditions": [{ "name": "x" }] } }),
    )
    .await;
    // the schema becomes stricter than the stored objects
    let stricter = json!([{ "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/text/maxLength", "value": 2 }]);
    pair.patch("a stricter schema", OPERATIONS, &format!("{DEFINITIONS}/forms.$group"), stricter).await;
    let probe = form("probe", json!({ "text": "abc" })).to_string();
    pair.until_refused("the stricter schema", &format!("{FORMS}?dryRun=All"), &probe).await;
    pair.patch("what was too long before", MERGE, &path, json!({ "spec": { "word": "new" } })).await;
    pair.patch("what becomes too long", MERGE, &path, json!({ "spec": { "text": "abcd" } })).await;
}

async fn ends(pair: &mut Pair) {
    pair.topic("end");
    pair.get("objects", &format!("{FORMS}/changing")).await;
    pair.delete("a definition", &format!("{DEFINITIONS}/forms.$group"), Value::Null).await;
    pair.gone(&format!("{DEFINITIONS}/forms.$group")).await;
    pair.gone(FORMS).await;
    pair.get("objects without a definition", &format!("{FORMS}/changing")).await;
    pair.delete("the definition again", &format!("{DEFINITIONS}/forms.$group"), Value::Null).await;
    pair.quietly(Method::DELETE, &format!("{DEFINITIONS}/things.$group")).await;
}
