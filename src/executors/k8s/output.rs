//! Builds the output values, and the JSON kept as evidence. Pure, except that it registers secrets to be masked.
use super::{catalog::ResourceType, objects::Objects};
use crate::{executor::ActionContext, executors::apiserver::Response, value::Value};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value as Json, json};

const MAX_SERIALIZED_BYTES: usize = 128 << 10;

pub const FIELDS: &[&str] = &["found", "object", "items", "error"];

pub fn output_value(found: impl Into<Value>, object: Value, items: Value, error: Value) -> Value {
    let values = [found.into(), object, items, error];
    Value::map(FIELDS.iter().map(|f| (*f).to_string()).zip(values))
}

/// The output of a list.
pub fn items_output<'a>(objects: impl Iterator<Item = &'a Value>) -> Value {
    let items: Vec<Value> = objects.cloned().collect();
    output_value(!items.is_empty(), Value::Null, Value::list(items), Value::Null)
}

/// The output for one object. If it does not exist, `error` is the server's `Status` for a GET of it.
pub fn object_output(resource: &ResourceType, name: &str, objects: &Objects) -> Value {
    if let Some(object) = objects.values().next() {
        return output_value(true, object.clone(), Value::Null, Value::Null);
    }
    let details = if resource.group.is_empty() {
        json!({ "name": name, "kind": resource.plural })
    } else {
        json!({ "name": name, "group": resource.group, "kind": resource.plural })
    };
    let message = format!("{} \"{name}\" not found", resource.qualified_name());
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "NotFound", "details": details, "code": 404 });
    output_value(false, Value::Null, Value::Null, Value::from(status))
}

/// The purpose of a request; decides the value of `found` after an error response.
#[derive(Clone, Copy, PartialEq)]
pub enum RequestKind {
    Read,
    Create,
    Change,
}

/// The output of a list, of which objects are `missing` for a reason.
pub fn with_missing_objects(output: Value, missing: Option<&str>) -> Value {
    let Some(reason) = missing else { return output };
    let field = |name: &str| output.get(name).cloned().unwrap_or_default();
    let partial = |name: &str| Value::partial(field(name), reason);
    let items = if field("items") == Value::Null { Value::Null } else { partial("items") };
    match field("found") {
        Value::Bool(true) => output_value(true, field("object"), items, field("error")),
        _ => output_value(partial("found"), partial("object"), items, partial("error")),
    }
}

/// The output for a response about one object. After a 403 only `error` is set: without permission, existence is
/// unknown.
pub fn response_output(response: Response, kind: RequestKind) -> Value {
    if response.is_error() {
        let absent = match kind {
            RequestKind::Read => response.status == 404,
            RequestKind::Create => true,
            RequestKind::Change => response.status != 403,
        };
        return error_output(&response, absent.then_some(false));
    }
    // The response to a deletion is a Status, or the object while finalizers hold it.
    let object = if response.json["kind"] == "Status" { Value::Null } else { Value::from(response.json) };
    output_value(true, object, Value::Null, Value::Null)
}

/// The output for a refusal. `found`: whether the object exists, if the refusal shows it.
pub fn error_output(response: &Response, found: Option<bool>) -> Value {
    let error = Value::from(response.json.clone());
    match found {
        Some(found) => output_value(found, Value::Null, Value::Null, error),
        None => {
            let refused = Value::unset(format!("the cluster refused ({}): {}", response.status, response.message()));
            output_value(refused.clone(), refused.clone(), refused, error)
        }
    }
}

/// Registers the data of Secrets to be masked.
pub fn mask_secrets<'a>(cx: &ActionContext<'_>, objects: impl Iterator<Item = &'a Value>) {
    for object in objects.filter(|o| o.get("kind").and_then(Value::as_str) == Some("Secret")) {
        for (name, value) in object.get("data").and_then(Value::as_map).into_iter().flatten() {
            let bytes = value.as_str().and_then(|v| STANDARD.decode(v).ok());
            if let Some(text) = bytes.and_then(|b| String::from_utf8(b).ok()) {
                cx.secrets.add(name, &text);
            }
        }
        for (name, value) in object.get("stringData").and_then(Value::as_map).into_iter().flatten() {
            cx.secrets.add(name, &value.to_string());
        }
    }
}

/// Indented JSON for evidence. Long text is later masked and cut to 64 KiB; this limit only bounds the work.
pub fn pretty_json(json: &Json) -> String {
    struct LimitedBuffer(Vec<u8>);
    impl std::io::Write for LimitedBuffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.len() > MAX_SERIALIZED_BYTES {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut buffer = LimitedBuffer(vec![]);
    let _ = serde_json::to_writer_pretty(&mut buffer, json);
    String::from_utf8_lossy(&buffer.0).into_owned()
}
