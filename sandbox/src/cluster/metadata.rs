//! Access to the fields of `metadata`. Pure.
use serde_json::{Map, Value, json};

/// A string field of the metadata; empty if absent.
pub(super) fn string<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn is_deleting(object: &Value) -> bool {
    !string(object, "deletionTimestamp").is_empty()
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
        fields_mut(object).shift_remove("finalizers");
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
    pub blocks_deletion: bool,
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
            blocks_deletion: r.get("blockOwnerDeletion") == Some(&Value::Bool(true)),
        })
        .collect()
}

/// Keeps only the owner references whose uid satisfies `keep`.
pub(super) fn retain_owners(object: &mut Value, keep: impl Fn(&str) -> bool) {
    let fields = fields_mut(object);
    if let Some(list) = fields.get_mut("ownerReferences").and_then(Value::as_array_mut) {
        list.retain(|r| keep(r.get("uid").and_then(Value::as_str).unwrap_or_default()));
        if list.is_empty() {
            fields.shift_remove("ownerReferences");
        }
    }
}

/// The metadata as a map; created if missing.
pub(super) fn fields_mut(object: &mut Value) -> &mut Map<String, Value> {
    as_map(as_map(object).entry("metadata").or_insert_with(|| json!({})))
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("set to an object above"),
    }
}

pub(super) fn set(object: &mut Value, field: &str, value: Value) {
    fields_mut(object).insert(field.into(), value);
}

/// Approximate size of a value as JSON, in bytes.
pub(super) fn json_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(s) => s.len() + 2,
        Value::Array(list) => list.iter().map(|v| json_size(v) + 1).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(k, v)| k.len() + 4 + json_size(v)).sum::<usize>() + 2,
    }
}

/// All fields that `ObjectMeta` has.
const METADATA_FIELDS: &[&str] = &[
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

/// Removes unknown metadata fields and returns their paths.
pub(super) fn remove_unknown_fields(object: &mut Value) -> Vec<String> {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return Vec::new() };
    let unknown: Vec<String> = metadata.keys().filter(|k| !METADATA_FIELDS.contains(&k.as_str())).cloned().collect();
    for field in &unknown {
        metadata.shift_remove(field);
    }
    unknown.into_iter().map(|field| format!("metadata.{field}")).collect()
}
