//! Errors as the Kubernetes API reports them: `Status` bodies with the code, reason, message and details of
//! `apimachinery/pkg/api/errors`.
use super::{cause::Cause, kinds::Kind};
use serde_json::{Value, json};

/// A refused request, in the form of the Kubernetes API.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    details: Option<Value>,
}

impl Refusal {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(kind: &Kind, name: &str, code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, details: Some(details(name, &kind.group, &kind.plural)) }
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// The path, group, version or resource does not exist.
    pub fn no_such_path() -> Self {
        let details = Some(json!({}));
        Self { details, ..Self::new(404, "NotFound", "the server could not find the requested resource") }
    }

    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::about(kind, name, 404, "NotFound", format!("{} {name:?} not found", kind.resource()))
    }

    /// `deleting`: the existing object is being deleted.
    pub fn already_exists(kind: &Kind, name: &str, deleting: bool) -> Self {
        let deleting = if deleting { "object is being deleted: " } else { "" };
        Self::about(kind, name, 409, "AlreadyExists", format!("{deleting}{} {name:?} already exists", kind.resource()))
    }

    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.resource());
        Self::about(kind, name, 409, "Conflict", message)
    }

    /// A failed deletion precondition; here the real server names the kind and not the resource.
    pub fn precondition_failed(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified());
        Self { code: 409, reason: "Conflict", message, details: Some(details(name, &kind.group, &kind.kind)) }
    }

    /// Creation in a namespace that is being deleted.
    pub fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut refusal = Self::forbidden(kind, name, &why);
        if let Some(details) = &mut refusal.details {
            let message = format!("namespace {namespace} is being terminated");
            details["causes"] =
                json!([{ "reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace" }]);
        }
        refusal
    }

    /// Replacement of a custom object without a resource version.
    pub fn version_required(kind: &Kind, name: &str) -> Self {
        let cause = Cause {
            reason: "FieldValueInvalid",
            field: "metadata.resourceVersion".into(),
            message: "Invalid value: 0: must be specified for an update".into(),
        };
        Self::invalid_as(&kind.resource(), &kind.group, &kind.plural, name, vec![cause])
    }

    /// An object of another kind than the path names.
    pub fn wrong_kind(kind: &Kind, given: &str, name: &str) -> Self {
        let qualified = if kind.group.is_empty() { given.to_owned() } else { format!("{given}.{}", kind.group) };
        let cause = Cause::invalid("kind", given, &format!("must be {}", kind.kind));
        Self::invalid_as(&qualified, &kind.group, given, name, vec![cause])
    }

    /// The result of a patch is not a valid object.
    pub fn invalid_patch_result(self) -> Self {
        let cause = Cause { reason: "FieldValueInvalid", field: "patch".into(), message: self.message };
        Self::invalid_as("", "", "", "", vec![cause])
    }

    pub fn not_supported(kind: &Kind, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {:?}", kind.resource());
        Self { code: 405, reason: "MethodNotAllowed", message, details: Some(details("", &kind.group, &kind.plural)) }
    }

    /// A resource version that is not a number.
    pub fn bad_version(code: u16, version: &str) -> Self {
        let parse = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
        let message = match code {
            400 => format!("invalid resource version: resourceVersion: Invalid value: {version:?}: {parse}"),
            _ => format!("resourceVersion: Invalid value: {version:?}: {parse}"),
        };
        Self::new(code, if code == 400 { "BadRequest" } else { "" }, message)
    }

    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        Self::about(kind, name, 403, "Forbidden", format!("{} {name:?} is forbidden: {why}", kind.resource()))
    }

    pub fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        Self::invalid_as(&kind.qualified(), &kind.group, &kind.kind, name, causes)
    }

    /// Invalid request options such as `DeleteOptions` or `ListOptions`.
    pub fn invalid_options(options: &str, causes: Vec<Cause>) -> Self {
        Self::invalid_as(&format!("{options}.meta.k8s.io"), "meta.k8s.io", options, "", causes)
    }

    fn invalid_as(qualified: &str, group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let words: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let text = if let [one] = words.as_slice() { one.clone() } else { format!("[{}]", words.join(", ")) };
        let mut details = details(name, group, kind);
        details["causes"] =
            causes.iter().map(|c| json!({ "reason": c.reason, "message": c.message, "field": c.field })).collect();
        Self {
            code: 422,
            reason: "Invalid",
            message: format!("{qualified} {name:?} is invalid: {text}"),
            details: Some(details),
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A patch that cannot be applied. The real server gives no reason.
    pub fn unprocessable() -> Self {
        let details = Some(json!({}));
        let message = "the server rejected our request due to an error in our request";
        Self { details, ..Self::new(422, "Invalid", message) }
    }

    pub fn unsupported_media(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub fn not_acceptable() -> Self {
        Self::new(406, "NotAcceptable", "only the following media types are accepted: application/json")
    }

    pub fn method_not_allowed() -> Self {
        let details = Some(json!({}));
        Self {
            details,
            ..Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        }
    }

    pub fn not_implemented(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("{what} is not implemented by the embedded API server"))
    }

    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    /// A version that is no longer in the history.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// A version that does not exist yet.
    pub fn version_too_large(requested: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {requested}, current: {current}");
        let details = json!({
            "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
            "retryAfterSeconds": 1,
        });
        Self { details: Some(details), ..Self::new(504, "Timeout", message) }
    }

    pub fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
        });
        // errors without a reason omit the field
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body["code"] = json!(self.code);
        body
    }
}

fn details(name: &str, group: &str, kind: &str) -> Value {
    let mut details = json!({});
    for (field, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details[field] = json!(value);
        }
    }
    details
}

/// The response to a completed deletion.
pub(super) fn success_status(kind: &Kind, name: &str, uid: &str) -> Value {
    let mut details = details(name, &kind.group, &kind.plural);
    details["uid"] = json!(uid);
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}
