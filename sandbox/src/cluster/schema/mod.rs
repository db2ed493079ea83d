//! Structural schemas of custom resources: reading a schema, pruning and defaulting (`decode`), validation
//! (`validate`).
//!
//! Rules and messages are those of `apiextensions-apiserver/pkg/apiserver/schema` and
//! `kube-openapi/pkg/validation/validate`. Pure; knows neither the store, HTTP nor metadata.
mod decode;
mod errors;
mod node;
mod validate;

use self::node::{additional, items};
use super::cause::Cause;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps as Node;
use regex::Regex;
use serde_json::Value;
use std::collections::HashMap;

/// A structural schema with compiled patterns.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    root: Node,
    patterns: HashMap<String, Regex>,
    formats: HashMap<String, Format>,
}

type Format = fn(&str) -> bool;

/// String formats that are checked. A definition with another format of the real server is refused.
const FORMATS: &[(&str, Format)] = &[
    ("date-time", |s| s.to_ascii_uppercase().parse::<jiff::Timestamp>().is_ok()),
    ("date", |s| s.len() == 10 && s.parse::<jiff::civil::Date>().is_ok()),
    ("ipv4", |s| s.parse::<std::net::Ipv4Addr>().is_ok()),
    ("ipv6", |s| s.parse::<std::net::Ipv6Addr>().is_ok()),
    ("uuid", |s| uuid::Uuid::try_parse(s).is_ok()),
    ("password", |_| true),
];
/// Formats that only the real server checks. Unknown formats are ignored, as by the real server.
const UNCHECKED_FORMATS: &[&str] = &[
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "cidr",
    "mac",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "duration",
    "k8s-short-name",
    "k8s-long-name",
];

impl Schema {
    /// Reads the schema of one version (`spec.versions[n].schema.openAPIV3Schema`).
    ///
    /// # Errors
    /// Invalid or unsupported parts of the schema, with fields below `at`.
    pub fn read(written: &Value, at: &str) -> Result<Self, Vec<Cause>> {
        let root: Node = serde_json::from_value(written.clone())
            .map_err(|e| vec![Cause::invalid(at, "", &format!("invalid schema: {e}"))])?;
        let mut schema = Schema { root: Node::default(), ..Schema::default() };
        let mut causes = Vec::new();
        if root.type_.as_deref() != Some("object") {
            let given = root.type_.as_deref().unwrap_or_default();
            if given.is_empty() {
                causes.push(Cause::required(&format!("{at}.type"), "must not be empty at the root"));
            } else {
                causes.push(Cause::invalid(&format!("{at}.type"), given, "must be object at the root"));
                let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
                causes.push(Cause::invalid(&format!("{at}.type"), given, why));
            }
        }
        schema.compile(&root, at, true, &mut causes);
        schema.root = root;
        if causes.is_empty() { Ok(schema) } else { Err(causes) }
    }

    /// Checks and compiles a node and everything below. `typed`: the node must have a type, which is optional inside
    /// `allOf`, `anyOf`, `oneOf` and `not`.
    fn compile(&mut self, node: &Node, at: &str, typed: bool, causes: &mut Vec<Cause>) {
        let free =
            node.x_kubernetes_int_or_string == Some(true) || node.x_kubernetes_preserve_unknown_fields == Some(true);
        if typed && node.type_.is_none() && !free {
            let cause = Cause::required(&format!("{at}.type"), "must not be empty for specified object fields");
            causes.push(cause);
        }
        if node.x_kubernetes_validations.as_ref().is_some_and(|v| !v.is_empty()) {
            let why = "the embedded API server does not evaluate validation rules";
            causes.push(Cause::forbidden(&format!("{at}.x-kubernetes-validations"), why));
        }
        if let Some(pattern) = &node.pattern {
            match Regex::new(pattern) {
                Ok(compiled) => drop(self.patterns.insert(pattern.clone(), compiled)),
                Err(_) => causes.push(Cause::invalid(
                    &format!("{at}.pattern"),
                    pattern,
                    "must be a valid regular expression, but isn't",
                )),
            }
        }
        if let Some(format) = &node.format {
            if let Some((_, check)) = FORMATS.iter().find(|(name, _)| name.replace('-', "") == format.replace('-', ""))
            {
                self.formats.insert(format.clone(), *check);
            } else if UNCHECKED_FORMATS.contains(&format.as_str()) {
                let why = format!("the embedded API server does not check the format {format:?}");
                causes.push(Cause::forbidden(&format!("{at}.format"), &why));
            }
        }
        for (name, below) in node.properties.iter().flatten() {
            self.compile(below, &format!("{at}.properties[{name}]"), typed, causes);
        }
        if let Some(below) = additional(node) {
            self.compile(below, &format!("{at}.additionalProperties"), typed, causes);
        }
        if let Some(below) = items(node) {
            self.compile(below, &format!("{at}.items"), typed, causes);
        }
        for (name, list) in [("allOf", &node.all_of), ("anyOf", &node.any_of), ("oneOf", &node.one_of)] {
            for (n, below) in list.iter().flatten().enumerate() {
                self.compile(below, &format!("{at}.{name}[{n}]"), false, causes);
            }
        }
        if let Some(below) = &node.not {
            self.compile(below, &format!("{at}.not"), false, causes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema(properties: Value) -> Schema {
        Schema::read(&json!({ "type": "object", "properties": properties }), "schema").unwrap()
    }

    fn messages(causes: &[Cause]) -> Vec<String> {
        causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
    }

    #[test]
    fn prunes_unknown_fields_and_sets_defaults() {
        let schema = schema(json!({
            "spec": { "type": "object", "properties": {
                "n": { "type": "integer", "default": 3 },
                "m": { "type": "object", "additionalProperties": { "type": "string" } },
                "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                "list": { "type": "array", "items": { "type": "object", "properties": { "a": { "type": "string" } } } },
            } },
        }));
        let mut object = json!({
            "kind": "K", "metadata": { "odd": 1 }, "odd": 1,
            "spec": { "n": null, "odd": {}, "m": { "x": "y" }, "free": { "z": 1 }, "list": [{ "a": "b", "c": 1 }] },
        });
        assert_eq!(schema.decode(&mut object), ["odd", "spec.list[0].c", "spec.odd"]);
        let kept = json!({
            "kind": "K", "metadata": { "odd": 1 },
            "spec": { "n": 3, "m": { "x": "y" }, "free": { "z": 1 }, "list": [{ "a": "b" }] },
        });
        assert_eq!(object, kept);
    }

    #[test]
    fn reports_all_errors_in_the_real_servers_wording() {
        let schema = schema(json!({
            "spec": { "type": "object", "required": ["user"], "properties": {
                "state": { "type": "string", "enum": ["on", "off"] }, "n": { "type": "integer", "minimum": 1 },
                "set": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } },
            } },
        }));
        let wrong = json!({ "spec": { "state": "x", "n": 0, "set": ["a", "a", "a"] } });
        let mut found = messages(&schema.validate(&wrong));
        found.sort();
        assert_eq!(
            found,
            [
                "spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1",
                "spec.set[1]: Duplicate value: \"a\"",
                "spec.state: Unsupported value: \"x\": supported values: \"on\", \"off\"",
                "spec.user: Required value",
            ]
        );
        let typed = json!({ "spec": { "user": 1, "state": 5, "n": "x" } });
        assert!(messages(&schema.validate(&typed)).contains(
            &"spec.n: Invalid value: \"string\": spec.n in body must be of type integer: \"string\"".to_owned()
        ));
    }

    #[test]
    fn ratchets_values_that_were_invalid_before() {
        let schema = schema(json!({
            "spec": { "type": "object", "properties": {
                "state": { "type": "string", "enum": ["on"] }, "n": { "type": "integer", "minimum": 1 },
            } },
        }));
        let old = json!({ "spec": { "state": "x", "n": 1 } });
        assert_eq!(schema.validate_change(&json!({ "spec": { "state": "x", "n": 2 } }), &old, false), []);
        assert_eq!(schema.validate_change(&json!({ "spec": { "state": "y", "n": 2 } }), &old, false).len(), 1);
    }

    #[test]
    fn refuses_unsupported_schemas() {
        for odd in [
            json!({ "type": "string", "format": "email" }),
            json!({ "type": "object", "x-kubernetes-validations": [{ "rule": "true" }] }),
            json!({ "type": "string", "pattern": "(" }),
            json!({}),
        ] {
            let written = json!({ "type": "object", "properties": { "a": odd } });
            assert!(Schema::read(&written, "schema").is_err(), "{written}");
        }
        assert!(Schema::read(&json!({ "type": "string" }), "schema").is_err());
        assert!(Schema::read(&json!(5), "schema").is_err());
    }
}
