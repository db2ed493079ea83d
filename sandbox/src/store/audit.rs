//! The table `audit_log`: who did what, to what, when.
use super::{
    Store, StoreError,
    sql::{Value, Work},
};
use crate::defect::Defect;
use jiff::Timestamp;
use serde_json::Value as Json;

/// What is to be remembered.
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

/// What is remembered.
#[derive(Debug, Clone)]
pub struct Logged {
    pub id: i64,
    pub entry: Entry,
}

#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub user: Option<String>,
    pub action: Option<String>,
    /// A resource's id, or a type of resource.
    pub resource: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: i64,
}

/// The columns have an end, and a path or a name that somebody sends may be longer.
fn fit(text: &str, most: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(most).collect()
}

pub(super) async fn append(work: &mut Work, entry: &Entry) -> Result<(), StoreError> {
    let values = vec![
        fit(&entry.user_id, 255).as_str().into(),
        fit(&entry.action, 100).as_str().into(),
        fit(&entry.resource_type, 100).as_str().into(),
        fit(&entry.resource_id, 255).as_str().into(),
        entry.changes.clone().into(),
        entry.timestamp.into(),
        fit(&entry.ip_address, 45).as_str().into(),
    ];
    let sql = "insert into audit_log (user_id, action, resource_type, resource_id, changes, timestamp, ip_address)
               values ($1, $2, $3, $4, $5, $6, $7)";
    work.execute(sql, values).await.map(|_| ())
}

impl Store {
    pub async fn log_audit(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        for entry in entries {
            append(&mut work, entry).await?;
        }
        work.commit().await
    }

    /// Newest first, and how many there are in all.
    pub async fn audit(&self, filter: &Filter) -> Result<(Vec<Logged>, i64), StoreError> {
        let mut conditions: Vec<String> = vec![];
        let mut values: Vec<Value> = vec![];
        let mut ask = |condition: &str, value: Value| {
            values.push(value);
            conditions.push(condition.replace('?', &format!("${}", values.len())));
        };
        let Filter { user, action, resource, from, to, limit } = self.taken(filter);
        if let Some(user) = &user {
            ask("user_id = ?", user.into());
        }
        if let Some(action) = &action {
            ask("action = ?", action.into());
        }
        if let Some(resource) = &resource {
            ask("(resource_id = ? or resource_type = ?)", resource.into());
        }
        if let Some(from) = from {
            ask("timestamp >= ?", from.into());
        }
        if let Some(to) = to {
            ask("timestamp <= ?", to.into());
        }
        if self.defects.has(Defect::AuditHidesReads) {
            ask("action <> ?", "read".into());
        }
        let and = if self.defects.has(Defect::AuditFiltersWiden) { " or " } else { " and " };
        let only = if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(and)) };

        let mut work = self.db.read().await?;
        let count = work.row(&format!("select count(*) as n from audit_log {only}"), values.clone()).await?;
        let mut total = count.map_or(Ok(0), |row| row.number("n"))?;
        values.push(limit.into());
        let last = values.len();
        let from = if self.defects.has(Defect::AuditLimitFirst) {
            format!("(select * from audit_log order by id desc limit ${last}) newest")
        } else {
            "audit_log".into()
        };
        let sql = format!(
            "select id, user_id, action, resource_type, resource_id, changes, timestamp, ip_address
             from {from} {only} order by id desc limit ${last}"
        );
        let rows = work.rows(&sql, values).await?;
        if self.defects.has(Defect::AuditTotalOfPage) {
            total = i64::try_from(rows.len()).unwrap_or(total);
        }
        let entries = rows.iter().map(|row| {
            Ok(Logged {
                id: row.number("id")?,
                entry: Entry {
                    user_id: row.word("user_id")?,
                    action: row.word("action")?,
                    resource_type: row.word("resource_type")?,
                    resource_id: row.word("resource_id")?,
                    changes: row.json("changes")?,
                    timestamp: row.time("timestamp")?.unwrap_or_default(),
                    ip_address: row.word("ip_address")?,
                },
            })
        });
        Ok((entries.collect::<Result<_, StoreError>>()?, total))
    }

    /// What of a filter is heeded, and how it is understood.
    fn taken(&self, filter: &Filter) -> Filter {
        let mut taken = filter.clone();
        if self.defects.has(Defect::AuditFilterIgnoresUser) {
            taken.user = None;
        }
        if self.defects.has(Defect::AuditFilterIgnoresAction) {
            taken.action = None;
        }
        if self.defects.has(Defect::AuditFilterIgnoresResource) {
            taken.resource = None;
        }
        if self.defects.has(Defect::AuditFilterIgnoresTime) {
            (taken.from, taken.to) = (None, None);
        }
        if self.defects.has(Defect::AuditFilterWrongZone) {
            let hour = std::time::Duration::from_secs(3600);
            (taken.from, taken.to) = (taken.from.map(|at| at + hour), taken.to.map(|at| at + hour));
        }
        taken
    }
}
