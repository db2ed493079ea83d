//! The audit log: the trail that each request leaves, and the route that asks for it.
//!
//! Handlers say what was done to what. Who did it, when and how it ended is added here; bodies and queries are never seen.
use super::{Api, auth::Caller, body::SessionChange, error::Failure};
use crate::{
    defect::{Defect, Defects},
    store::{Entry, Filter, Logged},
};
use axum::{
    Json,
    extract::{Request, State},
    http::header::AUTHORIZATION,
};
use jiff::Timestamp;
use serde_json::{Value as Json_, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What a request did, noted while it is under way.
#[derive(Clone, Default)]
pub struct Trail(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    user: String,
    notes: Vec<Note>,
    /// What a platform that tells too much remembers beside them.
    overheard: serde_json::Map<String, Json_>,
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

    /// What was noted last was done to this.
    pub fn about(&self, resource_id: &str) {
        if let Some(note) = self.notes().notes.last_mut() {
            note.resource_id = resource_id.to_owned();
        }
    }

    pub fn overhear(&self, what: &str, heard: impl Into<Json_>) {
        self.notes().overheard.insert(what.to_owned(), heard.into());
    }

    fn entries(&self, ending: &Ending<'_>) -> Vec<Entry> {
        let notes = self.notes();
        let entry = |note: &Note| {
            let mut changes = json!({
                "method": ending.method, "path": ending.path, "status_code": ending.status,
                "request_id": ending.request_id, "duration_ms": ending.took_ms,
            });
            if let Some(error) = &note.error {
                changes["error"] = json!(error);
            }
            for (what, heard) in &notes.overheard {
                changes[what] = heard.clone();
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

/// What a platform that tells too much takes from a request before it is handled.
pub fn overhear(api: &Api, trail: &Trail, request: &Request) {
    let target = request.uri().to_string();
    if api.defects.has(Defect::AuditTellsQuery) {
        trail.overhear("url", target.as_str());
    }
    if api.defects.has(Defect::LogTellsQuery) {
        api.log.info("request", &[("method", request.method()), ("url", &target)]);
    }
    if api.defects.has(Defect::AuditKeepsHeaders) {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))));
        trail.overhear("headers", headers.collect::<serde_json::Map<_, _>>());
    }
}

/// Writes down what a request did. Nobody waits for it longer than the request has to, and it fails no request.
pub async fn write(api: &Arc<Api>, trail: &Trail, ending: &Ending<'_>) {
    let mut entries = trail.entries(ending);
    if entries.is_empty() || !audited(api.defects, ending.method) {
        return;
    }
    for entry in &mut entries {
        distort(api.defects, entry, ending);
    }
    if api.defects.has(Defect::AuditTwice) {
        entries.extend(entries.clone());
    }
    let request = ending.request_id.to_owned();
    match later(api.defects) {
        Some(later) => {
            let api = api.clone();
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                if api.defects.has(Defect::AuditTimeOfWriting) {
                    entries.iter_mut().for_each(|entry| entry.timestamp = Timestamp::now());
                }
                store(&api, &request, &entries).await;
            });
        }
        None => store(api, &request, &entries).await,
    }
}

async fn store(api: &Api, request: &str, entries: &[Entry]) {
    if let Err(error) = api.store.log_audit(entries).await {
        api.log.error("database: the audit log could not be written", &[("request_id", &request), ("cause", &error)]);
    }
}

fn audited(defects: Defects, method: &str) -> bool {
    match method {
        _ if defects.has(Defect::AuditNothing) => false,
        "GET" => !defects.has(Defect::AuditMissesReads),
        "DELETE" => !defects.has(Defect::AuditMissesDeletes),
        _ => true,
    }
}

fn later(defects: Defects) -> Option<Duration> {
    if defects.has(Defect::AuditLate) {
        Some(Duration::from_secs(60))
    } else {
        defects.has(Defect::AuditTimeOfWriting).then(|| Duration::from_millis(3500))
    }
}

fn distort(defects: Defects, entry: &mut Entry, ending: &Ending<'_>) {
    if defects.has(Defect::AuditWithoutUser) {
        entry.user_id.clear();
    }
    if defects.has(Defect::AuditWrongUser) {
        entry.user_id = "streamspace-api".into();
    }
    if defects.has(Defect::AuditActionIsVerb) {
        entry.action = ending.method.into();
        entry.resource_type = ending.path.into();
        entry.resource_id.clear();
    }
    if defects.has(Defect::AuditTimeWrongZone) {
        entry.timestamp += Duration::from_secs(3600);
    }
    if defects.has(Defect::AuditTimeByDay) {
        let utc = entry.timestamp.to_zoned(jiff::tz::TimeZone::UTC);
        entry.timestamp = utc.start_of_day().map_or(entry.timestamp, |day| day.timestamp());
    }
}

fn shown(logged: &Logged) -> Json_ {
    let entry = &logged.entry;
    let mut changes = entry.changes.clone();
    if let Some(bearer) = changes.pointer_mut(&format!("/headers/{AUTHORIZATION}")) {
        *bearer = json!("***");
    }
    json!({
        "id": logged.id, "timestamp": format!("{:.6}", entry.timestamp), "user_id": entry.user_id,
        "action": entry.action, "resource_type": entry.resource_type, "resource_id": entry.resource_id,
        "changes": changes, "ip_address": entry.ip_address,
    })
}

pub async fn logs(State(api): State<Arc<Api>>, caller: Caller, asked: SessionChange) -> Result<Json<Json_>, Failure> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_with(wrong: Option<Defect>) -> Json_ {
        let trail = Trail::default();
        trail.by("ann");
        trail.note("update", "session", "s1");
        let ending = Ending {
            method: "PATCH",
            path: "/api/v1/sessions/s1",
            status: 202,
            request_id: "r1",
            began: "2026-03-04T05:06:07Z".parse().unwrap(),
            took_ms: 8,
            ip: "127.0.0.1",
        };
        let mut entry = trail.entries(&ending).remove(0);
        distort(wrong.into_iter().collect(), &mut entry, &ending);
        shown(&Logged { id: 1, entry })
    }

    #[test]
    fn each_defect_spoils_one_thing_of_an_entry() {
        let right = entry_with(None);
        assert_eq!(right["timestamp"], "2026-03-04T05:06:07.000000Z");
        for (wrong, field, value) in [
            (Defect::AuditWithoutUser, "user_id", ""),
            (Defect::AuditWrongUser, "user_id", "streamspace-api"),
            (Defect::AuditTimeWrongZone, "timestamp", "2026-03-04T06:06:07.000000Z"),
            (Defect::AuditTimeByDay, "timestamp", "2026-03-04T00:00:00.000000Z"),
        ] {
            let mut expected = right.clone();
            expected[field] = value.into();
            assert_eq!(entry_with(Some(wrong)), expected, "{wrong:?}");
        }
        let verb = entry_with(Some(Defect::AuditActionIsVerb));
        assert_eq!(verb["action"], "PATCH");
        assert_eq!(verb["resource_type"], "/api/v1/sessions/s1");
        assert_eq!(verb["resource_id"], "");
    }

    #[test]
    fn what_is_audited_goes_by_the_method() {
        let audited_with = |wrong: Option<Defect>| {
            let defects: Defects = wrong.into_iter().collect();
            ["GET", "POST", "PATCH", "DELETE"].map(|method| audited(defects, method))
        };
        assert_eq!(audited_with(None), [true; 4]);
        assert_eq!(audited_with(Some(Defect::AuditNothing)), [false; 4]);
        assert_eq!(audited_with(Some(Defect::AuditMissesReads)), [false, true, true, true]);
        assert_eq!(audited_with(Some(Defect::AuditMissesDeletes)), [true, true, true, false]);
    }

    #[test]
    fn headers_are_shown_without_what_they_prove() {
        let trail = Trail::default();
        trail.overhear("headers", json!({ "authorization": "Bearer abc", "accept": "*/*" }));
        trail.note("list", "session", "");
        let ending = Ending {
            method: "GET",
            path: "/",
            status: 200,
            request_id: "r",
            began: Timestamp::UNIX_EPOCH,
            took_ms: 0,
            ip: "",
        };
        let kept = trail.entries(&ending).remove(0);
        assert_eq!(kept.changes["headers"]["authorization"], "Bearer abc");
        assert_eq!(shown(&Logged { id: 1, entry: kept })["changes"]["headers"]["authorization"], "***");
    }
}
