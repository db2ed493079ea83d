//! Owns what a patch makes of an object: merge patch, JSON patch, and the part of strategic merge that is the same as merge.
//!
//! Pure; must not know the store or HTTP.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use super::kinds::Kind;
use super::metadata;
use super::status::Refusal;

/// As many operations as the real server takes in one JSON patch.
const MOST_OPERATIONS: usize = 10_000;
/// As much as the real server lets `copy` operations add.
const MOST_COPIED: usize = 3 << 20;
/// What the JSON reader takes too. Deeper objects could be made by a patch, and then break whoever walks them.
const DEEPEST: usize = 120;

/// A way of patching that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Merge,
    Operations,
    /// Only where it is the same as a merge.
    Strategic,
}

impl Way {
    /// # Errors
    /// 415 for a content type that is not spoken for this kind, whether or not there is something to patch.
    pub fn of(kind: &Kind, content_type: &str) -> Result<Self, Refusal> {
        match content_type {
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/json-patch+json" => Ok(Self::Operations),
            "application/strategic-merge-patch+json" if !kind.custom => Ok(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => Err(Refusal::unsupported_media(
                "server-side apply is not spoken by the embedded API server; use application/merge-patch+json, or client-side apply",
            )),
            _ => {
                let strategic = if kind.custom { "" } else { ", application/strategic-merge-patch+json" };
                Err(Refusal::unsupported_media(format!(
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json{strategic}"
                )))
            }
        }
    }
}

/// The object after the patch.
///
/// # Errors
/// 400 for a body that is no such patch, 413 for one that grows too much, 415 for a strategic one that is more than a merge, 422 for
/// one that cannot be applied.
pub(super) fn apply(way: Way, body: &[u8], object: &Value) -> Result<Value, Refusal> {
    if way == Way::Operations {
        let operations: Value =
            serde_json::from_slice(body).map_err(|e| Refusal::bad_request(format!("error decoding patch: {e}")))?;
        if !operations.as_array().is_some_and(|all| all.iter().all(Value::is_object)) {
            return Err(Refusal::bad_request("error decoding patch: it is not a list of operations"));
        }
        let Patch(operations) = serde_json::from_value(operations).map_err(|_| Refusal::unprocessable())?;
        return by_operations(operations, object);
    }
    let patch = map(body)?;
    if way == Way::Strategic && needs_strategy(&patch) {
        return Err(Refusal::unsupported_media(
            "a strategic merge patch with lists or directives is not spoken by the embedded API server; use application/merge-patch+json or application/json-patch+json",
        ));
    }
    let mut patched = object.clone();
    json_patch::merge(&mut patched, &patch);
    Ok(patched)
}

fn map(body: &[u8]) -> Result<Value, Refusal> {
    let patch: Value =
        serde_json::from_slice(body).map_err(|e| Refusal::bad_request(format!("error decoding patch: {e}")))?;
    if !patch.is_object() {
        return Err(Refusal::bad_request("error decoding patch: it is not a JSON object"));
    }
    Ok(patch)
}

/// Lists are merged by key, and `$` keys are directives: there the strategy differs from a plain merge.
fn needs_strategy(patch: &Value) -> bool {
    match patch {
        Value::Array(_) => true,
        Value::Object(map) => map.iter().any(|(k, v)| k.starts_with('$') || needs_strategy(v)),
        _ => false,
    }
}

fn by_operations(operations: Vec<PatchOperation>, object: &Value) -> Result<Value, Refusal> {
    if operations.len() > MOST_OPERATIONS {
        return Err(Refusal::new(
            413,
            "RequestEntityTooLarge",
            format!("The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}", operations.len()),
        ));
    }
    let mut patched = object.clone();
    let mut copied = 0;
    for operation in operations {
        if let PatchOperation::Test(test) = &operation
            && test.value.is_null()
            && patched.pointer(test.path.as_str()).is_none()
        {
            // The real server's library takes "is null" to hold for what is not there. Finalizers are added on that.
            continue;
        }
        if let PatchOperation::Copy(copy) = &operation {
            copied += patched.pointer(copy.from.as_str()).map_or(0, metadata::size);
            if copied > MOST_COPIED {
                return Err(Refusal::too_large(MOST_COPIED));
            }
        }
        let (path, below) = match &operation {
            PatchOperation::Add(add) => (add.path.as_str(), depth(&add.value)),
            PatchOperation::Replace(replace) => (replace.path.as_str(), depth(&replace.value)),
            PatchOperation::Copy(copy) => (copy.path.as_str(), patched.pointer(copy.from.as_str()).map_or(0, depth)),
            PatchOperation::Move(r#move) => {
                (r#move.path.as_str(), patched.pointer(r#move.from.as_str()).map_or(0, depth))
            }
            PatchOperation::Remove(_) | PatchOperation::Test(_) => ("", 0),
        };
        if path.matches('/').count() + below > DEEPEST {
            return Err(Refusal::unprocessable());
        }
        let operation = match operation {
            // The real server's library makes a field that was to be replaced and is not there.
            PatchOperation::Replace(replace)
                if patched.pointer(replace.path.as_str()).is_none() && in_map(&patched, replace.path.as_str()) =>
            {
                PatchOperation::Add(json_patch::AddOperation { path: replace.path, value: replace.value })
            }
            other => other,
        };
        json_patch::patch(&mut patched, std::slice::from_ref(&operation)).map_err(|_| Refusal::unprocessable())?;
    }
    Ok(patched)
}

fn in_map(object: &Value, path: &str) -> bool {
    path.rsplit_once('/').and_then(|(parent, _)| object.pointer(parent)).is_some_and(Value::is_object)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::kinds;

    fn deployments() -> Kind {
        (**kinds::builtin().iter().find(|k| k.plural == "deployments").unwrap()).clone()
    }

    fn operations(patch: Value, object: &Value) -> Result<Value, Refusal> {
        apply(Way::Operations, patch.to_string().as_bytes(), object)
    }

    #[test]
    fn a_test_for_null_holds_for_what_is_not_there() {
        let patch = json!([
            { "op": "test", "path": "/metadata/finalizers", "value": null },
            { "op": "add", "path": "/metadata/finalizers", "value": ["a.b/c"] },
        ]);
        let object = json!({ "metadata": {} });
        let patched = operations(patch.clone(), &object).unwrap();
        assert_eq!(patched["metadata"]["finalizers"], json!(["a.b/c"]));
        assert_eq!(operations(patch, &patched).unwrap_err().code, 422);
    }

    #[test]
    fn strategic_merge_is_spoken_only_where_it_is_plain() {
        let strategic =
            |patch: Value| apply(Way::Strategic, patch.to_string().as_bytes(), &json!({ "spec": { "a": 1 } }));
        assert_eq!(strategic(json!({ "spec": { "a": null, "b": 2 } })).unwrap(), json!({ "spec": { "b": 2 } }));
        assert_eq!(strategic(json!({ "spec": { "a": [1] } })).unwrap_err().code, 415);
        assert_eq!(strategic(json!({ "spec": { "$patch": "replace" } })).unwrap_err().code, 415);
        let content_type = "application/strategic-merge-patch+json";
        assert_eq!(Way::of(&deployments(), content_type), Ok(Way::Strategic));
        let custom = Kind { custom: true, ..deployments() };
        assert_eq!(Way::of(&custom, content_type).unwrap_err().code, 415);
    }

    #[test]
    fn doubling_copies_are_stopped() {
        let mut patch = vec![json!({ "op": "add", "path": "/a", "value": "x".repeat(1000) })];
        patch.extend((0..200).map(|n| json!({ "op": "copy", "from": "", "path": format!("/c{n}") })));
        assert_eq!(operations(json!(patch), &json!({})).unwrap_err().code, 413);
        let deep: Vec<_> = (0..500).map(|n| json!({ "op": "add", "path": "/a".repeat(n + 1), "value": {} })).collect();
        assert_eq!(operations(json!(deep), &json!({})).unwrap_err().code, 422);
    }

    #[test]
    fn bodies_that_are_no_patch_are_refused() {
        for body in ["", "5", "[1]", "{\"op\":1}", "[{\"op\":\"add\"}]", "\u{0}"] {
            for way in [Way::Merge, Way::Operations] {
                let patched = apply(way, body.as_bytes(), &json!({}));
                let fine = way == Way::Merge && body.starts_with('{');
                assert!(fine || [400, 422].contains(&patched.unwrap_err().code), "{body} as {way:?}");
            }
        }
    }
}
