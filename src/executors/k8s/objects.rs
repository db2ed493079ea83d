//! Objects of a list or watch, by namespace and name. Pure.
use crate::value::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Namespace (empty if there is none) and name.
pub type ObjectKey = (String, String);
pub type Objects = BTreeMap<ObjectKey, Value>;

pub fn object_key(object: &Json) -> ObjectKey {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_string();
    (text("namespace"), text("name"))
}

/// The `resourceVersion` of a list, if it is a number, and its objects.
pub fn versioned_objects(list: Json) -> (Option<u64>, Objects) {
    let version = list["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok());
    (version, objects_of(list))
}

/// The objects of a list, each with the `apiVersion` and `kind` that the server leaves out of items.
pub fn objects_of(mut list: Json) -> Objects {
    let kind = list["kind"].as_str().and_then(|k| k.strip_suffix("List")).unwrap_or_default().to_string();
    let api_version = list["apiVersion"].as_str().unwrap_or_default().to_string();
    let items = list.get_mut("items").map(Json::take).unwrap_or_default();
    let Json::Array(items) = items else { return Objects::new() };
    let with_type = |item: Json| {
        let key = object_key(&item);
        let Json::Object(fields) = item else { return (key, Value::Null) };
        let mut object = serde_json::Map::new();
        object.insert("apiVersion".into(), api_version.clone().into());
        object.insert("kind".into(), kind.clone().into());
        object.extend(fields);
        (key, Value::from(Json::Object(object)))
    };
    items.into_iter().map(with_type).collect()
}

pub fn metadata<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(field)
}

pub fn resource_version(object: &Value) -> Option<&str> {
    metadata(object, "resourceVersion")?.as_str()
}

/// Whether both hold the same versions of the same objects.
pub fn same_states(a: &Objects, b: &Objects) -> bool {
    let same =
        |x: &Value, y: &Value| resource_version(x) == resource_version(y) && metadata(x, "uid") == metadata(y, "uid");
    a.len() == b.len() && a.iter().zip(b).all(|((k, x), (l, y))| k == l && same(x, y))
}
