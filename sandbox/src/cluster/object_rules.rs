//! Rules that every object follows: its type and the form and content of its metadata. Pure.
use super::{
    cause::Cause,
    kinds::Kind,
    metadata::{finalizers, owners, string},
    names,
    status::Refusal,
};
use serde_json::{Map, Value, json};

/// Checks that a request's body is an object of this kind, and fills in its type where the real server does.
///
/// # Errors
/// 400 if it is not an object, has another version, or has metadata of the wrong type; 422 for a custom object of
/// another kind.
pub(super) fn check_type(kind: &Kind, body: &mut Value) -> Result<(), Refusal> {
    let cannot = |why: String| {
        let (kind, version) = (&kind.kind, &kind.version);
        Refusal::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
    };
    if !body.is_object() {
        let what = go_type(body);
        return Err(unrecognized(kind, &format!("json: cannot unmarshal {what} into an object")));
    }
    let name = string(body, "name").to_owned();
    let Some(object) = body.as_object_mut() else { return Err(unrecognized(kind, "expected an object")) };
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
            given if field == "kind" && kind.custom => return Err(Refusal::wrong_kind(kind, given, &name)),
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
    let what = go_type(metadata);
    let Some(metadata) = metadata.as_object_mut() else {
        return Err(cannot(format!("json: cannot unmarshal {what} into Go value of type v1.ObjectMeta")));
    };
    // the real server's typed metadata treats null as absent
    metadata.retain(|_, v| !v.is_null());
    // field ownership is not tracked
    metadata.shift_remove("managedFields");
    metadata.shift_remove("selfLink");
    let prefix = if kind.custom { "ObjectMeta" } else { "ObjectMeta.metadata" };
    let wrong = |field: &str, value: &Value, want: &str| {
        let what = go_type(value);
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

/// The error for a body whose type is missing or cannot be read.
pub(super) fn unrecognized(kind: &Kind, why: &str) -> Refusal {
    Refusal::bad_request(format!("the object provided is unrecognized (must be of type {}): {why}", kind.kind))
}

/// The JSON type of a value, in Go's terms.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Validation errors in name, labels, annotations, finalizers and owner references.
pub(super) fn metadata_errors(kind: &Kind, object: &Value) -> Vec<Cause> {
    let name = string(object, "name");
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(why) = names::name_error(kind.naming, name) {
        let prefix = string(object, "generateName");
        if let Some(why) = names::name_error(kind.naming, &format!("{prefix}x"))
            && !prefix.is_empty()
        {
            causes.push(Cause::invalid("metadata.generateName", prefix, why));
        }
        causes.push(Cause::invalid("metadata.name", name, why));
    }
    let metadata = &object["metadata"];
    for (key, value) in metadata.get("labels").and_then(Value::as_object).into_iter().flatten() {
        for why in names::qualified_name_errors(key) {
            causes.push(Cause::invalid("metadata.labels", key, &why));
        }
        let value = value.as_str().unwrap_or_default();
        if let Some(why) = names::label_value_error(value) {
            causes.push(Cause::invalid("metadata.labels", value, why));
        }
    }
    for key in metadata.get("annotations").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        for why in names::qualified_name_errors(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", key, &why));
        }
    }
    for (n, finalizer) in finalizers(object).iter().enumerate() {
        for why in names::qualified_name_errors(finalizer) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kinds;

    fn deployment() -> Kind {
        (**kinds::builtin().iter().find(|k| k.plural == "deployments").unwrap()).clone()
    }

    #[test]
    fn refuses_label_values_over_63_characters() {
        let object = json!({ "metadata": { "name": "a", "labels": { "session": "x".repeat(64) } } });
        let found = metadata_errors(&deployment(), &object);
        assert!(found[0].message.ends_with("must be no more than 63 bytes"), "{found:?}");
        let object = json!({ "metadata": { "name": "a", "labels": { "session": "x".repeat(63) } } });
        assert_eq!(metadata_errors(&deployment(), &object), []);
    }

    #[test]
    fn refuses_metadata_of_the_wrong_type() {
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
            assert_eq!(check_type(&deployment(), &mut body).unwrap_err().code, 400, "{body}");
        }
        for body in [json!(1), json!(null), json!([]), json!("x")] {
            assert_eq!(check_type(&deployment(), &mut body.clone()).unwrap_err().code, 400);
        }
    }
}
