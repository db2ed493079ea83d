//! What an output looks like, and what is kept as evidence. Pure but for the secrets that it learns.
use super::{kinds::Kind, next::Filter, watch::Objects};
use crate::{executor::ActionContext, executors::apiserver::Answer, value::Value};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value as Json, json};

/// As much of an answer is kept as evidence.
const SHOWN: usize = 60 << 10;

pub const FIELDS: &[&str] = &["found", "object", "items", "error"];

pub fn output(found: impl Into<Value>, object: Value, items: Value, error: Value) -> Value {
    let values = [found.into(), object, items, error];
    Value::map(FIELDS.iter().map(|f| (*f).to_string()).zip(values))
}

/// What a list saw.
pub fn items<'a>(objects: impl Iterator<Item = &'a Value>) -> Value {
    let all: Vec<Value> = objects.cloned().collect();
    output(!all.is_empty(), Value::Null, Value::list(all), Value::Null)
}

/// What a look at one object saw. Where it is not there, `error` is what the server says to a GET of it.
pub fn single(kind: &Kind, filter: &Filter, objects: &Objects) -> Value {
    if let Some(object) = objects.values().next() {
        return output(true, object.clone(), Value::Null, Value::Null);
    }
    let name = filter.name.clone().unwrap_or_default();
    let details = if kind.group.is_empty() {
        json!({ "name": name, "kind": kind.plural })
    } else {
        json!({ "name": name, "group": kind.group, "kind": kind.plural })
    };
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{} \"{name}\" not found", kind.resource()), "reason": "NotFound", "details": details, "code": 404 });
    output(false, Value::Null, Value::Null, Value::from(status))
}

/// What was asked about one object.
#[derive(Clone, Copy, PartialEq)]
pub enum Asked {
    Read,
    Create,
    Change,
}

/// The answer to a request about one object. Whoever may not look does not know: `found` is then neither yes nor no, so that
/// `found: false` is not proved by a 403.
pub fn one(answer: Answer, asked: Asked) -> Value {
    if answer.refused() {
        let known = match asked {
            Asked::Read => answer.code == 404,
            Asked::Create => true,
            Asked::Change => answer.code != 403,
        };
        return refusal(&answer, if known { Value::Bool(false) } else { Value::Null });
    }
    // A deletion is answered with a Status, or with the object while finalizers hold it.
    let object = if answer.json["kind"] == "Status" { Value::Null } else { Value::from(answer.json) };
    output(true, object, Value::Null, Value::Null)
}

pub fn refusal(answer: &Answer, found: Value) -> Value {
    output(found, Value::Null, Value::Null, Value::from(answer.json.clone()))
}

/// What a Secret holds is masked from here on.
pub fn note_secrets<'a>(cx: &ActionContext<'_>, objects: impl Iterator<Item = &'a Value>) {
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

/// JSON for people, no longer than what is kept.
pub fn shown(json: &Json) -> String {
    struct Most(Vec<u8>);
    impl std::io::Write for Most {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.len() > SHOWN {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut out = Most(vec![]);
    let cut = serde_json::to_writer_pretty(&mut out, json).is_err();
    let text = String::from_utf8_lossy(&out.0).into_owned();
    if cut { format!("{text}\n… (cut)") } else { text }
}
