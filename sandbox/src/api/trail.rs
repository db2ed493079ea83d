//! The audit trail of one request.
use crate::store::Entry;
use jiff::Timestamp;
use serde_json::{Value as Json_, json};
use std::sync::{Arc, Mutex, PoisonError};

/// What a request did, recorded while it runs.
#[derive(Clone, Default)]
pub struct Trail(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    user: String,
    notes: Vec<Note>,
    /// Extra values that the leak defects record.
    attachments: serde_json::Map<String, Json_>,
}

struct Note {
    action: String,
    resource_type: String,
    resource_id: String,
    error: Option<String>,
}

/// A request and its result, for its audit entries.
pub struct RequestSummary<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub request_id: &'a str,
    pub began: Timestamp,
    pub took_ms: u64,
    pub ip: &'a str,
}

impl Trail {
    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_user(&self, user: &str) {
        self.notes().user = user.to_owned();
    }

    pub fn user(&self) -> String {
        self.notes().user.clone()
    }

    pub fn record(&self, action: &str, resource_type: &str, resource_id: &str) {
        self.record_item(action, resource_type, resource_id, None);
    }

    /// Records one of several items of a request; its result may differ from the request's.
    pub fn record_item(&self, action: &str, resource_type: &str, resource_id: &str, error: Option<&str>) {
        self.notes().notes.push(Note {
            action: action.to_owned(),
            resource_type: resource_type.to_owned(),
            resource_id: resource_id.to_owned(),
            error: error.map(str::to_owned),
        });
    }

    /// Changes the resource of the last record, for a defect.
    pub fn set_resource(&self, resource_id: &str) {
        if let Some(note) = self.notes().notes.last_mut() {
            note.resource_id = resource_id.to_owned();
        }
    }

    pub fn attach(&self, what: &str, value: impl Into<Json_>) {
        self.notes().attachments.insert(what.to_owned(), value.into());
    }

    pub fn entries(&self, summary: &RequestSummary<'_>) -> Vec<Entry> {
        let notes = self.notes();
        let entry = |note: &Note| {
            let mut changes = json!({
                "method": summary.method, "path": summary.path, "status_code": summary.status,
                "request_id": summary.request_id, "duration_ms": summary.took_ms,
            });
            if let Some(error) = &note.error {
                changes["error"] = json!(error);
            }
            for (what, value) in &notes.attachments {
                changes[what] = value.clone();
            }
            Entry {
                user_id: notes.user.clone(),
                action: note.action.clone(),
                resource_type: note.resource_type.clone(),
                resource_id: note.resource_id.clone(),
                changes,
                timestamp: summary.began,
                ip_address: summary.ip.to_owned(),
            }
        };
        notes.notes.iter().map(entry).collect()
    }
}
