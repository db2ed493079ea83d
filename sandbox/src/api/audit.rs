//! Writes the audit log and serves the route that reads it.
//!
//! Handlers record action and resource; user, time and result are added here. Only defects record bodies and queries.
pub mod leaks;

pub use self::leaks::attach_leaks;
use super::{
    auth::Caller,
    error::Failure,
    extract::QueryParams,
    sessions,
    state::Api,
    trail::{RequestSummary, Trail},
};
use crate::{
    defect::{Defect, Defects},
    store::{Entry, Filter, Logged},
};
use axum::{Json, extract::State, http::header::AUTHORIZATION};
use jiff::Timestamp;
use serde_json::{Value as Json_, json};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Writes the audit entries of a request. A failure is logged and does not fail the request.
pub async fn write(api: &Arc<Api>, trail: &Trail, summary: &RequestSummary<'_>) {
    let mut entries = trail.entries(summary);
    if entries.is_empty() || !is_audited(api.defects, summary.method) {
        return;
    }
    for entry in &mut entries {
        apply_defects(api.defects, entry, summary);
    }
    if api.defects.has(Defect::AuditTwice) {
        entries.extend(entries.clone());
    }
    let request = summary.request_id.to_owned();
    match write_delay(api.defects) {
        Some(delay) => {
            let api = api.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                if api.defects.has(Defect::AuditTimeOfWriting) {
                    entries.iter_mut().for_each(|entry| entry.timestamp = Timestamp::now());
                }
                save(&api, &request, &entries).await;
            });
        }
        None => save(api, &request, &entries).await,
    }
    if api.defects.has(Defect::AuditForgetsDeleted) && summary.method == "DELETE" {
        let (store, resource) = (api.store.clone(), summary.path.rsplit('/').next().unwrap_or_default().to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = store.forget_audit(&resource).await;
        });
    }
}

async fn save(api: &Api, request: &str, entries: &[Entry]) {
    if api.lost.audit.load(Ordering::SeqCst) {
        return;
    }
    if let Err(error) = api.store.log_audit(entries).await {
        api.lost.audit.store(api.defects.has(Defect::DatabaseDownStopsAudit), Ordering::SeqCst);
        let fields: [(&str, &dyn std::fmt::Display); 2] = [("request_id", &request), ("cause", &error)];
        match () {
            () if api.defects.has(Defect::ErrorsLogServerCauseless) => {}
            () if api.defects.has(Defect::ErrorsLoggedAsInfo) => api.log.info("request not audited", &fields),
            () => api.log.error("database: the audit log could not be written", &fields),
        }
    }
}

fn is_audited(defects: Defects, method: &str) -> bool {
    match method {
        _ if defects.has(Defect::AuditNothing) => false,
        "GET" => !defects.has(Defect::AuditMissesReads),
        "DELETE" => !defects.has(Defect::AuditMissesDeletes),
        _ => true,
    }
}

fn write_delay(defects: Defects) -> Option<Duration> {
    if defects.has(Defect::AuditLate) {
        Some(Duration::from_secs(60))
    } else {
        defects.has(Defect::AuditTimeOfWriting).then(|| Duration::from_millis(3500))
    }
}

fn apply_defects(defects: Defects, entry: &mut Entry, summary: &RequestSummary<'_>) {
    if defects.has(Defect::AuditWithoutUser) {
        entry.user_id.clear();
    }
    if defects.has(Defect::AuditWrongUser) {
        entry.user_id = "streamspace-api".into();
    }
    if defects.has(Defect::AuditActionIsVerb) {
        entry.action = summary.method.into();
        entry.resource_type = summary.path.into();
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

fn entry_json(logged: &Logged) -> Json_ {
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

pub async fn logs(State(api): State<Arc<Api>>, caller: Caller, query: QueryParams) -> Result<Json<Json_>, Failure> {
    caller.record("list", "audit_log", "");
    if api.defects.has(Defect::ClusterDownBreaksAudit) {
        sessions::find_object(&api, "none").await?;
    }
    let time = "a time like 2026-01-31T12:00:00Z";
    let filter = Filter {
        // only administrators can read the entries of others
        user: caller.owner().map(str::to_owned).or_else(|| query.get("user")),
        action: query.get("action"),
        resource: query.get("resource"),
        from: query.parsed("from", time)?,
        to: query.parsed("to", time)?,
        limit: query.number("limit", 100, 10_000)?,
    };
    let (entries, total) = api.store.audit(&filter).await?;
    Ok(Json(json!({ "entries": entries.iter().map(entry_json).collect::<Vec<_>>(), "total": total })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_with(wrong: Option<Defect>) -> Json_ {
        let trail = Trail::default();
        trail.set_user("ann");
        trail.record("update", "session", "s1");
        let summary = RequestSummary {
            method: "PATCH",
            path: "/api/v1/sessions/s1",
            status: 202,
            request_id: "r1",
            began: "2026-03-04T05:06:07Z".parse().unwrap(),
            took_ms: 8,
            ip: "127.0.0.1",
        };
        let mut entry = trail.entries(&summary).remove(0);
        apply_defects(wrong.into_iter().collect(), &mut entry, &summary);
        entry_json(&Logged { id: 1, entry })
    }

    #[test]
    fn each_entry_defect_changes_one_field() {
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
    fn audits_by_method() {
        let audited_with = |wrong: Option<Defect>| {
            let defects: Defects = wrong.into_iter().collect();
            ["GET", "POST", "PATCH", "DELETE"].map(|method| is_audited(defects, method))
        };
        assert_eq!(audited_with(None), [true; 4]);
        assert_eq!(audited_with(Some(Defect::AuditNothing)), [false; 4]);
        assert_eq!(audited_with(Some(Defect::AuditMissesReads)), [false, true, true, true]);
        assert_eq!(audited_with(Some(Defect::AuditMissesDeletes)), [true, true, true, false]);
    }

    #[test]
    fn masks_authorization_in_the_response_only() {
        let trail = Trail::default();
        trail.attach("headers", json!({ "authorization": "Bearer abc", "accept": "*/*" }));
        trail.record("list", "session", "");
        let summary = RequestSummary {
            method: "GET",
            path: "/",
            status: 200,
            request_id: "r",
            began: Timestamp::UNIX_EPOCH,
            took_ms: 0,
            ip: "",
        };
        let kept = trail.entries(&summary).remove(0);
        assert_eq!(kept.changes["headers"]["authorization"], "Bearer abc");
        assert_eq!(entry_json(&Logged { id: 1, entry: kept })["changes"]["headers"]["authorization"], "***");
    }
}
