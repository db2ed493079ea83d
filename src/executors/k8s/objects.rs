//! Objects of a list or watch, by namespace and name. Pure.
use crate::value::{Map, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Namespace (empty if there is none) and name.
pub type ObjectKey = (String, String);
pub type Objects = BTreeMap<ObjectKey, Value>;

pub fn object_key(object: &Json) -> ObjectKey {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_string();
    (text("namespace"), text("name"))
}

/// A list, or a page of one.
#[derive(Default)]
pub struct ObjectList {
    /// Its `resourceVersion`, if it is a number.
    pub version: Option<u64>,
    pub objects: Objects,
    /// The token for the next page, if there is one.
    pub next_page: Option<String>,
    /// Why objects are missing, if they are.
    pub missing: Option<String>,
    /// The size of the responses.
    pub bytes: usize,
    /// Whether it is the beginning of a list that is longer than the limit.
    pub is_cut: bool,
}

impl ObjectList {
    /// Each object has the `apiVersion` and `kind` that the server leaves out of items.
    ///
    /// # Errors
    /// What was found in place of a list.
    pub fn of(list: &Json, items: Option<Vec<Value>>) -> Result<ObjectList, String> {
        let kind = list["kind"].as_str().unwrap_or_default();
        let (Some(item_kind), Some(items)) = (kind.strip_suffix("List"), items) else {
            return Err(format!("expected a list with `items`, found `kind: {kind}`"));
        };
        let api_version = list["apiVersion"].as_str().unwrap_or_default();
        let metadata = |field: &str| list["metadata"][field].as_str().filter(|text| !text.is_empty());
        Ok(ObjectList {
            version: metadata("resourceVersion").and_then(|v| v.parse().ok()),
            next_page: metadata("continue").map(str::to_string),
            objects: items.into_iter().map(|item| with_type(&item, item_kind, api_version)).collect(),
            ..ObjectList::default()
        })
    }
}

fn with_type(item: &Value, kind: &str, api_version: &str) -> (ObjectKey, Value) {
    let text = |field: &str| metadata(item, field).and_then(Value::as_str).unwrap_or_default().to_string();
    let key = (text("namespace"), text("name"));
    let Some(fields) = item.as_map() else { return (key, Value::Null) };
    let mut object = Map::with_capacity(fields.len() + 2);
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    fields.iter().for_each(|(name, value)| drop(object.insert(name.clone(), value.clone())));
    (key, object.into())
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
