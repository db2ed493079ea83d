//! Decodes an object by its schema: pruning, nulls, defaults.
use super::{
    Schema,
    node::{additional, field_node, items, property},
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps as Node;
use serde_json::Value;
use std::collections::BTreeMap;

impl Schema {
    /// Decodes an object: removes unknown fields and disallowed nulls, then sets defaults. Returns the paths of
    /// unknown fields.
    pub fn decode(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        let Value::Object(map) = object else { return unknown };
        // the schema does not describe these fields
        let own: Vec<(&str, Value)> =
            ["apiVersion", "kind", "metadata"].into_iter().filter_map(|f| Some((f, map.shift_remove(f)?))).collect();
        normalize_integers(object);
        prune(object, Some(&self.root), "", &mut unknown);
        drop_nulls(object, Some(&self.root));
        apply_defaults(object, Some(&self.root));
        if let Value::Object(map) = object {
            for (n, (field, value)) in own.into_iter().enumerate() {
                map.shift_insert(n, field.to_owned(), value);
            }
        }
        unknown.sort();
        unknown
    }
}

fn prune(value: &mut Value, node: Option<&Node>, at: &str, unknown: &mut Vec<String>) {
    let keeps_unknown = node.is_some_and(|n| n.x_kubernetes_preserve_unknown_fields == Some(true));
    match value {
        Value::Object(map) => {
            let embedded = node.is_some_and(|n| n.x_kubernetes_embedded_resource == Some(true));
            let mut pruned = Vec::new();
            for (field, below) in map.iter_mut() {
                if embedded && ["apiVersion", "kind", "metadata"].contains(&field.as_str()) {
                    continue;
                }
                let path = if at.is_empty() { field.clone() } else { format!("{at}.{field}") };
                let named = node.and_then(|n| property(n, field));
                let open = node.is_some_and(|n| n.additional_properties.is_some());
                if named.is_some() || (open && node.and_then(additional).is_some()) {
                    prune(below, named.or_else(|| node.and_then(additional)), &path, unknown);
                } else if open && !keeps_unknown {
                    prune(below, None, &path, unknown);
                } else if !keeps_unknown {
                    pruned.push(field.clone());
                    unknown.push(path);
                }
            }
            for field in pruned {
                map.shift_remove(&field);
            }
        }
        Value::Array(list) => {
            let below = node.and_then(items);
            if !keeps_unknown || below.is_some() {
                for (n, item) in list.iter_mut().enumerate() {
                    prune(item, below, &format!("{at}[{n}]"), unknown);
                }
            }
        }
        _ => {}
    }
}

/// Normalises `2.0` to `2`, as the real server does.
fn normalize_integers(value: &mut Value) {
    match value {
        Value::Number(n) => {
            // up to 2^53 a float represents an integer exactly
            if let Some(f) = n.as_f64().filter(|f| n.is_f64() && f.fract() == 0.0 && f.abs() < 9e15) {
                *value = Value::from(f as i64);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(normalize_integers),
        Value::Object(map) => map.values_mut().for_each(normalize_integers),
        _ => {}
    }
}

/// Removes nulls that are neither allowed nor replaced by a default.
fn drop_nulls(value: &mut Value, node: Option<&Node>) {
    match value {
        Value::Object(map) => {
            map.retain(|field, below| {
                let node = field_node(node, field);
                !(below.is_null() && node.is_some_and(|n| n.nullable != Some(true) && n.default.is_none()))
            });
            for (field, below) in map.iter_mut() {
                drop_nulls(below, field_node(node, field));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| drop_nulls(item, node.and_then(items))),
        _ => {}
    }
}

fn apply_defaults(value: &mut Value, node: Option<&Node>) {
    let Some(node) = node else { return };
    let takes_default = |below: &Value, node: &Node| below.is_null() && node.nullable != Some(true);
    match value {
        Value::Object(map) => {
            let none = BTreeMap::new();
            for (field, node) in node.properties.as_ref().unwrap_or(&none) {
                let Some(default) = &node.default else { continue };
                if map.get(field).is_none_or(|below| takes_default(below, node)) {
                    map.insert(field.clone(), default.0.clone());
                }
            }
            for (field, below) in map.iter_mut() {
                apply_defaults(below, field_node(Some(node), field));
            }
        }
        Value::Array(list) => {
            let node = items(node);
            for item in list.iter_mut() {
                if let Some(node) = node
                    && let Some(default) = &node.default
                    && takes_default(item, node)
                {
                    *item = default.0.clone();
                }
                apply_defaults(item, node);
            }
        }
        _ => {}
    }
}
