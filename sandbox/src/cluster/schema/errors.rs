//! Collects validation errors in the real server's wording.
use crate::cluster::cause::Cause;
use serde_json::Value;

/// Validation errors without duplicates.
#[derive(Default)]
pub(super) struct Errors {
    pub errors: Vec<FieldError>,
}

#[derive(PartialEq)]
pub(super) struct FieldError {
    pub reason: &'static str,
    /// `None` for the object as a whole.
    at: Option<String>,
    message: String,
}

impl Errors {
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    pub fn add(&mut self, more: Errors) {
        for error in more.errors {
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    pub fn push(&mut self, reason: &'static str, at: &str, message: String) {
        let at = Some(at.strip_prefix('.').unwrap_or(at).to_owned());
        self.add(Errors { errors: vec![FieldError { reason, at, message }] });
    }

    pub fn invalid(&mut self, at: &str, value: &Value, why: &str) {
        self.push("FieldValueInvalid", at, format!("Invalid value: {}: {at} in body {why}", quoted(value)));
    }

    pub fn typed(&mut self, at: &str, wanted: &str, is: &str) {
        let message = format!("Invalid value: {is:?}: {at} in body must be of type {wanted}: {is:?}");
        self.push("FieldValueTypeInvalid", at, message);
    }

    pub fn too_many(&mut self, at: &str, size: i64, most: i64) {
        let unit = if most == 1 { "item" } else { "items" };
        self.push("FieldValueTooMany", at, format!("Too many: {size}: must have at most {most} {unit}"));
    }

    /// Adds an error of the object as a whole.
    pub fn push_object(&mut self, why: String) {
        let message = format!("Invalid value: \"\": {why}");
        self.add(Errors { errors: vec![FieldError { reason: "FieldValueInvalid", at: None, message }] });
    }

    /// The errors as causes, with fields below `field`.
    pub fn below(self, field: &str) -> Vec<Cause> {
        let place = |at: Option<String>| match at {
            None if field.is_empty() => "<nil>".to_owned(),
            None => field.to_owned(),
            Some(at) if field.is_empty() && at.is_empty() => "<nil>".to_owned(),
            Some(at) if field.is_empty() => at,
            Some(at) if at.is_empty() => field.to_owned(),
            Some(at) => format!("{field}.{at}"),
        };
        self.errors.into_iter().map(|f| Cause { reason: f.reason, field: place(f.at), message: f.message }).collect()
    }
}

/// A value as the real server quotes it in messages.
pub(super) fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
