//! Applies patches: merge patch, JSON patch, and strategic merge patch where it equals a merge patch. Pure.
use super::{kinds::Kind, metadata, status::Refusal};
use json_patch::{Patch, PatchOperation};
use serde_json::Value;

/// The real server's limit of operations in one JSON patch.
const MAX_OPERATIONS: usize = 10_000;
/// The real server's limit of bytes that `copy` operations may add.
const MAX_COPIED_BYTES: usize = 3 << 20;
/// The JSON reader's own depth limit; a patch could build deeper objects, and recursive code would overflow on them.
const MAX_DEPTH: usize = 120;

/// A supported patch type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchType {
    Merge,
    Json,
    /// Only patches that mean the same as a merge patch.
    Strategic,
}

impl PatchType {
    /// # Errors
    /// 415 for a content type that is not supported for this kind.
    pub fn from_content_type(kind: &Kind, content_type: &str) -> Result<Self, Refusal> {
        match content_type {
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/json-patch+json" => Ok(Self::Json),
            "application/strategic-merge-patch+json" if !kind.custom => Ok(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => Err(Refusal::unsupported_media(
                "server-side apply is not supported by the embedded API server; use application/merge-patch+json, or client-side apply",
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
/// 400 for a malformed patch, 413 for one that grows the object too much, 415 for a strategic one that is not a plain
/// merge, 422 for one that cannot be applied.
pub(super) fn apply(patch_type: PatchType, body: &[u8], object: &Value) -> Result<Value, Refusal> {
    if patch_type == PatchType::Json {
        let operations: Value =
            serde_json::from_slice(body).map_err(|e| Refusal::bad_request(format!("error decoding patch: {e}")))?;
        if !operations.as_array().is_some_and(|all| all.iter().all(Value::is_object)) {
            return Err(Refusal::bad_request("error decoding patch: expected a list of operations"));
        }
        let Patch(operations) = serde_json::from_value(operations).map_err(|_| Refusal::unprocessable())?;
        return apply_operations(operations, object);
    }
    let patch = read_merge_patch(body)?;
    if patch_type == PatchType::Strategic && needs_strategy(&patch) {
        return Err(Refusal::unsupported_media(
            "a strategic merge patch with lists or directives is not supported by the embedded API server; use application/merge-patch+json or application/json-patch+json",
        ));
    }
    let mut patched = object.clone();
    json_patch::merge(&mut patched, &patch);
    Ok(patched)
}

fn read_merge_patch(body: &[u8]) -> Result<Value, Refusal> {
    let patch: Value =
        serde_json::from_slice(body).map_err(|e| Refusal::bad_request(format!("error decoding patch: {e}")))?;
    if !patch.is_object() {
        return Err(Refusal::bad_request("error decoding patch: expected a JSON object"));
    }
    Ok(patch)
}

/// Whether a strategic merge differs from a plain merge: lists are merged by key, and keys with `$` are directives.
fn needs_strategy(patch: &Value) -> bool {
    match patch {
        Value::Array(_) => true,
        Value::Object(map) => map.iter().any(|(k, v)| k.starts_with('$') || needs_strategy(v)),
        _ => false,
    }
}

fn apply_operations(operations: Vec<PatchOperation>, object: &Value) -> Result<Value, Refusal> {
    if operations.len() > MAX_OPERATIONS {
        return Err(Refusal::new(
            413,
            "RequestEntityTooLarge",
            format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}", operations.len()),
        ));
    }
    let mut patched = object.clone();
    let mut copied = 0;
    for operation in operations {
        if let PatchOperation::Test(test) = &operation
            && test.value.is_null()
            && patched.pointer(test.path.as_str()).is_none()
        {
            // the real server's library accepts `test null` on an absent path; kube's finalizer helper relies on it
            continue;
        }
        if let PatchOperation::Copy(copy) = &operation {
            copied += patched.pointer(copy.from.as_str()).map_or(0, metadata::json_size);
            if copied > MAX_COPIED_BYTES {
                return Err(Refusal::too_large(MAX_COPIED_BYTES));
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
        if path.matches('/').count() + below > MAX_DEPTH {
            return Err(Refusal::unprocessable());
        }
        let operation = match operation {
            // the real server's library lets `replace` add a missing field
            PatchOperation::Replace(replace)
                if patched.pointer(replace.path.as_str()).is_none()
                    && parent_is_map(&patched, replace.path.as_str()) =>
            {
                PatchOperation::Add(json_patch::AddOperation { path: replace.path, value: replace.value })
            }
            other => other,
        };
        json_patch::patch(&mut patched, std::slice::from_ref(&operation)).map_err(|_| Refusal::unprocessable())?;
    }
    Ok(patched)
}

fn parent_is_map(object: &Value, path: &str) -> bool {
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
    use super::*;
    use crate::cluster::kinds;
    use serde_json::json;

    fn deployments() -> Kind {
        (**kinds::builtin().iter().find(|k| k.plural == "deployments").unwrap()).clone()
    }

    fn operations(patch: Value, object: &Value) -> Result<Value, Refusal> {
        apply(PatchType::Json, patch.to_string().as_bytes(), object)
    }

    #[test]
    fn test_null_holds_for_an_absent_field() {
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
    fn accepts_strategic_merge_only_without_lists_and_directives() {
        let strategic =
            |patch: Value| apply(PatchType::Strategic, patch.to_string().as_bytes(), &json!({ "spec": { "a": 1 } }));
        assert_eq!(strategic(json!({ "spec": { "a": null, "b": 2 } })).unwrap(), json!({ "spec": { "b": 2 } }));
        assert_eq!(strategic(json!({ "spec": { "a": [1] } })).unwrap_err().code, 415);
        assert_eq!(strategic(json!({ "spec": { "$patch": "replace" } })).unwrap_err().code, 415);
        let content_type = "application/strategic-merge-patch+json";
        assert_eq!(PatchType::from_content_type(&deployments(), content_type), Ok(PatchType::Strategic));
        let custom = Kind { custom: true, ..deployments() };
        assert_eq!(PatchType::from_content_type(&custom, content_type).unwrap_err().code, 415);
    }

    #[test]
    fn limits_copied_bytes_and_depth() {
        let mut patch = vec![json!({ "op": "add", "path": "/a", "value": "x".repeat(1000) })];
        patch.extend((0..200).map(|n| json!({ "op": "copy", "from": "", "path": format!("/c{n}") })));
        assert_eq!(operations(json!(patch), &json!({})).unwrap_err().code, 413);
        let deep: Vec<_> = (0..500).map(|n| json!({ "op": "add", "path": "/a".repeat(n + 1), "value": {} })).collect();
        assert_eq!(operations(json!(deep), &json!({})).unwrap_err().code, 422);
    }

    #[test]
    fn refuses_malformed_patches() {
        for body in ["", "5", "[1]", "{\"op\":1}", "[{\"op\":\"add\"}]", "\u{0}"] {
            for patch_type in [PatchType::Merge, PatchType::Json] {
                let patched = apply(patch_type, body.as_bytes(), &json!({}));
                let fine = patch_type == PatchType::Merge && body.starts_with('{');
                assert!(fine || [400, 422].contains(&patched.unwrap_err().code), "{body} as {patch_type:?}");
            }
        }
    }
}
