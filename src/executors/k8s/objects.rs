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
    pub fn parse(mut list: Json) -> Result<ObjectList, String> {
        let kind = list["kind"].as_str().unwrap_or_default().to_string();
        let api_version = list["apiVersion"].as_str().unwrap_or_default().to_string();
        let items = list.get_mut("items").map(Json::take);
        let (Some(kind), Some(items)) = (kind.strip_suffix("List"), items) else {
            return Err(format!("expected a list with `items`, found `kind: {kind}`"));
        };
        let items = match items {
            Json::Array(items) => items,
            // How Go writes a list that was never filled.
            Json::Null => vec![],
            _ => return Err("expected a list under `items`, found another type".into()),
        };
        let metadata = |field: &str| list["metadata"][field].as_str().filter(|text| !text.is_empty());
        Ok(ObjectList {
            version: metadata("resourceVersion").and_then(|v| v.parse().ok()),
            next_page: metadata("continue").map(str::to_string),
            objects: objects_of(items, kind, &api_version),
            ..ObjectList::default()
        })
    }
}

fn objects_of(items: Vec<Json>, kind: &str, api_version: &str) -> Objects {
    let with_type = |item: Json| {
        let key = object_key(&item);
        let Json::Object(fields) = item else { return (key, Value::Null) };
        let mut object = serde_json::Map::new();
        object.insert("apiVersion".into(), api_version.into());
        object.insert("kind".into(), kind.into());
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
