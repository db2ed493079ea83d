//! The table `audit_log`: user, action, resource and time of each entry.
use super::{
    open::Store,
    sql::{StoreError, Value, Work},
};
use crate::defect::{Defect, Defects};
use jiff::Timestamp;
use serde_json::Value as Json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// An audit entry to be written.
#[derive(Debug, Clone)]
pub struct Entry {
    pub user_id: String,
    pub action: String,
    pub resource_type: String,
    pub resource_id: String,
    pub changes: Json,
    pub timestamp: Timestamp,
    pub ip_address: String,
}

/// A stored audit entry.
#[derive(Debug, Clone)]
pub struct Logged {
    pub id: i64,
    pub entry: Entry,
}

#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub user: Option<String>,
    pub action: Option<String>,
    /// A resource id or a resource type.
    pub resource: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: i64,
}

/// Truncates to the length of a column, since paths and names from requests may be longer.
fn truncate(text: &str, max_chars: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(max_chars).collect()
}

pub(super) async fn append(work: &mut Work, entry: &Entry) -> Result<(), StoreError> {
    let values = vec![
        truncate(&entry.user_id, 255).as_str().into(),
        truncate(&entry.action, 100).as_str().into(),
        truncate(&entry.resource_type, 100).as_str().into(),
        truncate(&entry.resource_id, 255).as_str().into(),
        entry.changes.clone().into(),
        entry.timestamp.into(),
        truncate(&entry.ip_address, 45).as_str().into(),
    ];
    let sql = "insert into audit_log (user_id, action, resource_type, resource_id, changes, timestamp, ip_address)
               values ($1, $2, $3, $4, $5, $6, $7)";
    work.execute(sql, values).await.map(|_| ())
}

impl Store {
    pub async fn log_audit(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        for entry in entries {
            if let Some(entry) = effective_entry(&mut work, self.defects, entry).await? {
                append(&mut work, &entry).await?;
            }
        }
        work.commit().await
    }

    /// Defect: deletes the entries of a resource.
    pub async fn forget_audit(&self, resource: &str) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        work.execute("delete from audit_log where resource_id = $1", vec![resource.into()]).await?;
        work.commit().await
    }

    /// The entries that match, newest first and up to the limit, and the total number of matches.
    pub async fn audit(&self, filter: &Filter) -> Result<(Vec<Logged>, i64), StoreError> {
        let mut conditions: Vec<String> = vec![];
        let mut values: Vec<Value> = vec![];
        let mut add = |condition: &str, value: Value| {
            values.push(value);
            conditions.push(condition.replace('?', &format!("${}", values.len())));
        };
        let Filter { user, action, resource, from, to, limit } = self.effective_filter(filter);
        let has = |defect| self.defects.has(defect);
        let begins = |column: &str| format!("{column} like cast(? as text) || '%'");
        if let Some(user) = &user {
            let condition = if has(Defect::AuditFilterUserPrefix) { begins("user_id") } else { "user_id = ?".into() };
            add(&condition, user.into());
        }
        if let Some(action) = &action {
            let part = "action like '%' || cast(? as text) || '%'";
            add(if has(Defect::AuditFilterActionPart) { part } else { "action = ?" }, action.into());
        }
        if let Some(resource) = &resource {
            let id = if has(Defect::AuditFilterPrefix) { begins("resource_id") } else { "resource_id = ?".into() };
            add(&format!("({id} or resource_type = ?)"), resource.into());
        }
        if let Some(from) = from {
            add("timestamp >= ?", from.into());
        }
        if let Some(to) = to {
            add("timestamp <= ?", to.into());
        }
        if self.defects.has(Defect::AuditHidesReads) {
            add("action <> ?", "read".into());
        }
        let operator = if self.defects.has(Defect::AuditFiltersWiden) { " or " } else { " and " };
        let clause = if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(operator)) };

        let mut work = self.db.read().await?;
        let count = match has(Defect::AuditTotalOfTable) {
            true => work.row("select count(*) as n from audit_log", vec![]).await?,
            false => work.row(&format!("select count(*) as n from audit_log {clause}"), values.clone()).await?,
        };
        let mut total = count.map_or(Ok(0), |row| row.int("n"))?;
        values.push(limit.into());
        let last = values.len();
        let from = if self.defects.has(Defect::AuditLimitFirst) {
            format!("(select * from audit_log order by id desc limit ${last}) newest")
        } else {
            "audit_log".into()
        };
        let sql = format!(
            "select id, user_id, action, resource_type, resource_id, changes, timestamp, ip_address
             from {from} {clause} order by id desc limit ${last}"
        );
        let rows = work.rows(&sql, values).await?;
        if self.defects.has(Defect::AuditTotalOfPage) {
            total = i64::try_from(rows.len()).unwrap_or(total);
        }
        let entries = rows.iter().map(|row| {
            Ok(Logged {
                id: row.int("id")?,
                entry: Entry {
                    user_id: row.string("user_id")?,
                    action: row.string("action")?,
                    resource_type: row.string("resource_type")?,
                    resource_id: row.string("resource_id")?,
                    changes: row.json("changes")?,
                    timestamp: row.time("timestamp")?.unwrap_or_default() - self.stored_shift(),
                    ip_address: row.string("ip_address")?,
                },
            })
        });
        Ok((entries.collect::<Result<_, StoreError>>()?, total))
    }

    /// The filter as the defects change it.
    fn effective_filter(&self, filter: &Filter) -> Filter {
        let mut effective = filter.clone();
        if self.defects.has(Defect::AuditFilterIgnoresUser) {
            effective.user = None;
        }
        if self.defects.has(Defect::AuditFilterIgnoresAction) {
            effective.action = None;
        }
        if self.defects.has(Defect::AuditFilterIgnoresResource) {
            effective.resource = None;
        }
        if self.defects.has(Defect::AuditFilterIgnoresTime) {
            (effective.from, effective.to) = (None, None);
        }
        if self.defects.has(Defect::AuditFilterWrongZone) {
            (effective.from, effective.to) = (effective.from.map(|at| at + HOUR), effective.to.map(|at| at + HOUR));
        }
        if self.defects.has(Defect::AuditFilterOnlyDeletes) {
            effective.action = effective.action.map(|_| "delete".into());
        }
        if self.defects.has(Defect::AuditFilterActionAlone) && effective.user.is_some() {
            effective.action = None;
        }
        if self.defects.has(Defect::AuditFilterToAlone) && effective.from.is_some() {
            effective.to = None;
        }
        let shift = self.stored_shift();
        (effective.from, effective.to) = (effective.from.map(|at| at + shift), effective.to.map(|at| at + shift));
        effective
    }

    /// How far stored times are off.
    fn stored_shift(&self) -> Duration {
        if self.defects.has(Defect::AuditStoresWrongZone) { HOUR } else { Duration::ZERO }
    }
}

/// An entry as the defects change it; `None` if it is not written.
async fn effective_entry(work: &mut Work, defects: Defects, entry: &Entry) -> Result<Option<Entry>, StoreError> {
    let mut entry = entry.clone();
    if defects.has(Defect::AuditStoresWrongZone) {
        entry.timestamp += HOUR;
    }
    let of_resource =
        "select action, timestamp from audit_log where resource_id = $1 and resource_id <> '' order by id";
    if defects.has(Defect::AuditMergesRepeats) {
        let sql = format!("{of_resource} desc limit 1");
        let last = work.row(&sql, vec![(&entry.resource_id).into()]).await?;
        if last.map(|row| row.string("action")).transpose()?.is_some_and(|action| action == entry.action) {
            return Ok(None);
        }
    }
    if defects.has(Defect::AuditTimeOfCreation) {
        let first = work.row(&format!("{of_resource} limit 1"), vec![(&entry.resource_id).into()]).await?;
        let first = first.map(|row| row.time("timestamp")).transpose()?.flatten();
        entry.timestamp = first.unwrap_or(entry.timestamp);
    }
    Ok(Some(entry))
}
