//! The audit log: the trail that each request leaves, and the route that asks for it.
//!
//! Handlers say what was done to what. Who did it, when and how it ended is added here; bodies and queries are never seen.
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde_json::{Value as Json_, json};

use super::super::store::{Entry, Filter, Logged};
use super::Api;
use super::auth::Caller;
use super::body::Asked;
use super::error::Failure;

/// What a request did, noted while it is under way.
#[derive(Clone, Default)]
pub struct Trail(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    user: String,
    notes: Vec<Note>,
}

struct Note {
    action: String,
    resource_type: String,
    resource_id: String,
    error: Option<String>,
}

/// How the request came and ended.
pub struct Ending<'a> {
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

    pub fn by(&self, user: &str) {
        self.notes().user = user.to_owned();
    }

    pub fn user(&self) -> String {
        self.notes().user.clone()
    }

    pub fn note(&self, action: &str, resource_type: &str, resource_id: &str) {
        self.note_item(action, resource_type, resource_id, None);
    }

    /// One of several in one request, which may end otherwise than the request.
    pub fn note_item(&self, action: &str, resource_type: &str, resource_id: &str, error: Option<&str>) {
        self.notes().notes.push(Note {
            action: action.to_owned(),
            resource_type: resource_type.to_owned(),
            resource_id: resource_id.to_owned(),
            error: error.map(str::to_owned),
        });
    }

    pub fn entries(&self, ending: &Ending<'_>) -> Vec<Entry> {
        let notes = self.notes();
        let entry = |note: &Note| {
            let mut changes = json!({
                "method": ending.method, "path": ending.path, "status_code": ending.status,
                "request_id": ending.request_id, "duration_ms": ending.took_ms,
            });
            if let Some(error) = &note.error {
                changes["error"] = json!(error);
            }
            Entry {
                user_id: notes.user.clone(),
                action: note.action.clone(),
                resource_type: note.resource_type.clone(),
                resource_id: note.resource_id.clone(),
                changes,
                timestamp: ending.began,
                ip_address: ending.ip.to_owned(),
            }
        };
        notes.notes.iter().map(entry).collect()
    }
}

fn shown(logged: &Logged) -> Json_ {
    let entry = &logged.entry;
    json!({
        "id": logged.id, "timestamp": format!("{:.6}", entry.timestamp), "user_id": entry.user_id,
        "action": entry.action, "resource_type": entry.resource_type, "resource_id": entry.resource_id,
        "changes": entry.changes, "ip_address": entry.ip_address,
    })
}

pub async fn logs(State(api): State<Arc<Api>>, caller: Caller, asked: Asked) -> Result<Json<Json_>, Failure> {
    caller.note("list", "audit_log", "");
    let time = "a time like 2026-01-31T12:00:00Z";
    let filter = Filter {
        // Others' doings are for administrators.
        user: caller.owner().map(str::to_owned).or_else(|| asked.text("user")),
        action: asked.text("action"),
        resource: asked.text("resource"),
        from: asked.parsed("from", time)?,
        to: asked.parsed("to", time)?,
        limit: asked.number("limit", 100, 10_000)?,
    };
    let (entries, total) = api.store.audit(&filter).await?;
    Ok(Json(json!({ "entries": entries.iter().map(shown).collect::<Vec<_>>(), "total": total })))
}
