//! Owns `metadata`: reading it safely, what it has to look like, and which of its fields belong to the server.
//!
//! Rules are those of `apimachinery/pkg/api/validation`. Pure; must not know the store or HTTP.

use serde_json::{Map, Value, json};

use super::kinds::{Kind, Naming};
use super::status::{Cause, Refusal};

/// A text field of the metadata; empty if it is not there.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn deleting(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

pub(super) fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str()
}

pub(super) fn finalizers(object: &Value) -> Vec<String> {
    let list = object.get("metadata").and_then(|m| m.get("finalizers")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|f| f.as_str().map(str::to_owned)).collect()
}

pub(super) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    if finalizers.is_empty() {
        fields(object).shift_remove("finalizers");
    } else {
        set(object, "finalizers", json!(finalizers));
    }
}

/// An owner reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub blocks: bool,
}

pub(super) fn owners(object: &Value) -> Vec<Owner> {
    let list = object.get("metadata").and_then(|m| m.get("ownerReferences")).and_then(Value::as_array);
    let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    list.into_iter()
        .flatten()
        .map(|r| Owner {
            api_version: text(r, "apiVersion"),
            kind: text(r, "kind"),
            name: text(r, "name"),
            uid: text(r, "uid"),
            blocks: r.get("blockOwnerDeletion") == Some(&Value::Bool(true)),
        })
        .collect()
}

/// Keeps only the owner references of which `keep` holds.
pub(super) fn retain_owners(object: &mut Value, keep: impl Fn(&str) -> bool) {
    let fields = fields(object);
    if let Some(list) = fields.get_mut("ownerReferences").and_then(Value::as_array_mut) {
        list.retain(|r| keep(r.get("uid").and_then(Value::as_str).unwrap_or_default()));
        if list.is_empty() {
            fields.shift_remove("ownerReferences");
        }
    }
}

/// The metadata as a map, made if it is missing.
pub(super) fn fields(object: &mut Value) -> &mut Map<String, Value> {
    map(map(object).entry("metadata").or_insert_with(|| json!({})))
}

fn map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was just made one"),
    }
}

pub(super) fn set(object: &mut Value, field: &str, value: Value) {
    fields(object).insert(field.into(), value);
}

/// Roughly the bytes of a value as JSON.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(s) => s.len() + 2,
        Value::Array(list) => list.iter().map(|v| size(v) + 1).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(k, v)| k.len() + 4 + size(v)).sum::<usize>() + 2,
    }
}

/// What the metadata of an object can hold.
const KNOWN: &[&str] = &[
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Takes out what metadata cannot hold; gives the paths of those fields.
pub(super) fn prune(object: &mut Value) -> Vec<String> {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return Vec::new() };
    let unknown: Vec<String> = metadata.keys().filter(|k| !KNOWN.contains(&k.as_str())).cloned().collect();
    for field in &unknown {
        metadata.shift_remove(field);
    }
    unknown.into_iter().map(|field| format!("metadata.{field}")).collect()
}

/// A request's body as an object of that kind: its type is right, or filled in where the real server does so.
///
/// # Errors
/// 400 for what is no object, is of another version, or has metadata of the wrong type; 422 for a custom object of another kind.
pub(super) fn shape(kind: &Kind, body: &mut Value) -> Result<(), Refusal> {
    let cannot = |why: String| {
        let (kind, version) = (&kind.kind, &kind.version);
        Refusal::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
    };
    if !body.is_object() {
        let what = type_of(body);
        return Err(unrecognized(kind, &format!("json: cannot unmarshal {what} into an object")));
    }
    let name = text(body, "name").to_owned();
    let Some(object) = body.as_object_mut() else { return Err(unrecognized(kind, "it is no object")) };
    for (field, expected, what) in
        [("kind", kind.kind.clone(), "Object 'Kind'"), ("apiVersion", kind.api_version(), "Object 'apiVersion'")]
    {
        match object.get(field).and_then(Value::as_str).unwrap_or_default() {
            "" if kind.custom => {
                return Err(unrecognized(kind, &format!("{what} is missing")));
            }
            "" => {
                object.insert(field.into(), expected.into());
            }
            given if given == expected => {}
            given if field == "kind" && kind.custom => return Err(Refusal::other_kind(kind, given, &name)),
            given => {
                let what = if field == "kind" { "kind" } else { "API version" };
                return Err(Refusal::bad_request(format!(
                    "the {what} in the data ({given}) does not match the expected {what} ({expected})"
                )));
            }
        }
    }
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    let what = type_of(metadata);
    let Some(metadata) = metadata.as_object_mut() else {
        return Err(cannot(format!("json: cannot unmarshal {what} into Go value of type v1.ObjectMeta")));
    };
    // A null is an absent field to the real server's typed metadata.
    metadata.retain(|_, v| !v.is_null());
    // Who wrote which field is not tracked here; a made-up list would be a pretence.
    metadata.shift_remove("managedFields");
    metadata.shift_remove("selfLink");
    let prefix = if kind.custom { "ObjectMeta" } else { "ObjectMeta.metadata" };
    let wrong = |field: &str, value: &Value, want: &str| {
        let what = type_of(value);
        Err(cannot(format!("json: cannot unmarshal {what} into Go struct field {prefix}.{field} of type {want}")))
    };
    for (field, value) in metadata.iter() {
        match field.as_str() {
            "labels" | "annotations" => match value {
                Value::Object(map) => {
                    if let Some(odd) = map.values().find(|v| !v.is_string()) {
                        return wrong(field, odd, "string");
                    }
                }
                other => return wrong(field, other, "map[string]string"),
            },
            "finalizers" => match value {
                Value::Array(list) => {
                    if let Some(odd) = list.iter().find(|v| !v.is_string()) {
                        return wrong(field, odd, "string");
                    }
                }
                other => return wrong(field, other, "[]string"),
            },
            "ownerReferences" => match value {
                Value::Array(list) if list.iter().all(Value::is_object) => {}
                other => return wrong(field, other, "v1.OwnerReference"),
            },
            "generation" | "deletionGracePeriodSeconds" => {
                if !value.is_i64() && !value.is_u64() {
                    return wrong(field, value, "int64");
                }
            }
            _ => {
                if !value.is_string() {
                    return wrong(field, value, "string");
                }
            }
        }
    }
    Ok(())
}

/// A body that does not say what it is.
pub(super) fn unrecognized(kind: &Kind, why: &str) -> Refusal {
    Refusal::bad_request(format!("the object provided is unrecognized (must be of type {}): {why}", kind.kind))
}

/// A JSON type, in Go's words.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The fields of the metadata that break the rules for names, labels, finalizers and owners.
pub(super) fn faults(kind: &Kind, object: &Value) -> Vec<Cause> {
    let name = text(object, "name");
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(why) = bad_name(kind.naming, name) {
        let prefix = text(object, "generateName");
        if let Some(why) = bad_name(kind.naming, &format!("{prefix}x"))
            && !prefix.is_empty()
        {
            causes.push(Cause::invalid("metadata.generateName", prefix, why));
        }
        causes.push(Cause::invalid("metadata.name", name, why));
    }
    let metadata = &object["metadata"];
    for (key, value) in metadata.get("labels").and_then(Value::as_object).into_iter().flatten() {
        for why in bad_qualified_name(key) {
            causes.push(Cause::invalid("metadata.labels", key, &why));
        }
        let value = value.as_str().unwrap_or_default();
        if let Some(why) = bad_label_value(value) {
            causes.push(Cause::invalid("metadata.labels", value, why));
        }
    }
    for key in metadata.get("annotations").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        for why in bad_qualified_name(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", key, &why));
        }
    }
    for (n, finalizer) in finalizers(object).iter().enumerate() {
        for why in bad_qualified_name(finalizer) {
            causes.push(Cause::invalid("metadata.finalizers", finalizer, &why));
        }
        let standard = ["orphan", "foregroundDeletion", "kubernetes"].contains(&finalizer.as_str());
        if !kind.custom && kind.group.is_empty() && !finalizer.contains('/') && !standard {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(&format!("metadata.finalizers[{n}]"), finalizer, why));
        }
    }
    for (n, owner) in owners(object).iter().enumerate() {
        let parts =
            [("apiVersion", &owner.api_version), ("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)];
        for (field, value) in parts {
            if value.is_empty() {
                let field = format!("metadata.ownerReferences[{n}].{field}");
                causes.push(Cause::required(&field, "must not be empty"));
            }
        }
    }
    let references = metadata.get("ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
    let controllers: Vec<String> = references
        .iter()
        .filter(|r| r.get("controller") == Some(&Value::Bool(true)))
        .map(|r| ["kind", "name"].map(|f| r.get(f).and_then(Value::as_str).unwrap_or_default()).join("/"))
        .collect();
    if controllers.len() > 1 {
        let message = format!(
            "Invalid value: {}: Only one reference can have Controller set to true. Found \"true\" in references for {}",
            Value::from(references),
            controllers.join(" and ")
        );
        causes.push(Cause { reason: "FieldValueInvalid", field: "metadata.ownerReferences".into(), message });
    }
    causes
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn bad_name(naming: Naming, name: &str) -> Option<&'static str> {
    let label = |part: &str| {
        let inner = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        inner && !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
    };
    match naming {
        Naming::Subdomain if name.len() > 253 => Some("must be no more than 253 characters"),
        Naming::Subdomain => (!name.split('.').all(label)).then_some(SUBDOMAIN),
        Naming::Label | Naming::Label1035 if name.len() > 63 => Some("must be no more than 63 bytes"),
        Naming::Label if name.contains('.') => Some("must not contain dots"),
        Naming::Label => (!label(name)).then_some(LABEL),
        Naming::Label1035 => {
            (!label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase())).then_some(LABEL_1035)
        }
    }
}

/// Why this cannot be a label that begins with a letter, if it cannot.
pub(super) fn bad_label_1035(name: &str) -> Option<&'static str> {
    bad_name(Naming::Label1035, name)
}

fn loose(part: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = part.as_bytes();
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// Why this cannot be the key of a label, if it cannot.
pub(super) fn bad_qualified_name(key: &str) -> Vec<String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    let mut faults = Vec::new();
    if prefix == Some("") {
        faults.push("prefix part must be non-empty".to_owned());
    } else if let Some(why) = prefix.and_then(|prefix| bad_name(Naming::Subdomain, prefix)) {
        faults.push(format!("prefix part {why}"));
    }
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    if !loose(name) {
        faults.push(QUALIFIED.to_owned());
    }
    faults
}

/// Why this cannot be the value of a label, if it cannot.
pub(super) fn bad_label_value(value: &str) -> Option<&'static str> {
    if value.len() > 63 {
        return Some("must be no more than 63 bytes");
    }
    (!value.is_empty() && !loose(value)).then_some(LABEL_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kinds;

    fn deployment() -> Kind {
        (**kinds::builtin().iter().find(|k| k.plural == "deployments").unwrap()).clone()
    }

    #[test]
    fn a_label_value_of_64_characters_is_refused() {
        let object = json!({ "metadata": { "name": "a", "labels": { "session": "x".repeat(64) } } });
        let found = faults(&deployment(), &object);
        assert!(found[0].message.ends_with("must be no more than 63 bytes"), "{found:?}");
        let object = json!({ "metadata": { "name": "a", "labels": { "session": "x".repeat(63) } } });
        assert_eq!(faults(&deployment(), &object), []);
    }

    #[test]
    fn names_are_lower_case_dns_names() {
        for good in ["a", "a-b", "a.b", "0", &"x".repeat(253)] {
            assert_eq!(bad_name(Naming::Subdomain, good), None, "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "ä", &"x".repeat(254)] {
            assert!(bad_name(Naming::Subdomain, bad).is_some(), "{bad}");
        }
        assert!(bad_name(Naming::Label, "a.b").is_some());
        assert!(bad_name(Naming::Label1035, "0a").is_some());
    }

    #[test]
    fn metadata_of_the_wrong_type_is_refused_and_never_a_panic() {
        for metadata in [
            json!(5),
            json!([]),
            json!({ "labels": { "a": 1 } }),
            json!({ "labels": [] }),
            json!({ "finalizers": "x" }),
            json!({ "ownerReferences": [1] }),
            json!({ "name": {} }),
        ] {
            let mut body = json!({ "metadata": metadata });
            assert_eq!(shape(&deployment(), &mut body).unwrap_err().code, 400, "{body}");
        }
        for body in [json!(1), json!(null), json!([]), json!("x")] {
            assert_eq!(shape(&deployment(), &mut body.clone()).unwrap_err().code, 400);
        }
    }
}
