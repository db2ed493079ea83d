//! The table `batch_operations` and its jobs. Only the platform as built uses them.
use super::{open::Store, sql::StoreError};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

#[derive(Debug, Clone, Copy)]
pub enum Operation {
    Hibernate,
    Wake,
    Delete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Hibernate => "hibernate",
            Operation::Wake => "wake",
            Operation::Delete => "delete",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Job {
    pub id: String,
    pub user: String,
    pub operation: String,
    pub status: String,
    pub total: i64,
    pub succeeded: i64,
    pub failed: i64,
    pub errors: Vec<String>,
    pub created_at: Timestamp,
    pub completed_at: Option<Timestamp>,
}

impl Job {
    pub fn record(&mut self, error: Option<String>) {
        match error {
            None => self.succeeded += 1,
            Some(error) => {
                self.failed += 1;
                self.errors.push(error);
            }
        }
    }
}

impl Store {
    pub async fn start_job(&self, user: &str, operation: Operation, total: usize) -> Result<Job, StoreError> {
        let now = Timestamp::now();
        let job = Job {
            id: format!("batchjob_{}", now.as_nanosecond()),
            user: user.to_owned(),
            operation: operation.name().to_owned(),
            status: "running".into(),
            total: i64::try_from(total).unwrap_or(i64::MAX),
            succeeded: 0,
            failed: 0,
            errors: vec![],
            created_at: now,
            completed_at: None,
        };
        let mut work = self.db.write().await?;
        let sql = "insert into batch_operations (id, user_id, operation_type, resource_type, status, total_items,
                       processed_items, success_count, failure_count, errors, created_at)
                   values ($1, $2, $3, 'sessions', $4, $5, 0, 0, 0, $6, $7)";
        let values = vec![
            (&job.id).into(),
            user.into(),
            (&job.operation).into(),
            (&job.status).into(),
            job.total.into(),
            json!([]).into(),
            now.into(),
        ];
        work.execute(sql, values).await?;
        work.commit().await?;
        Ok(job)
    }

    /// Marks a job as completed. Without failures `errors` becomes null and not an empty list.
    pub async fn finish_job(&self, job: &Job) -> Result<(), StoreError> {
        let errors = if job.errors.is_empty() { Json::Null } else { json!(job.errors) };
        let mut work = self.db.write().await?;
        let sql = "update batch_operations set status = 'completed', processed_items = $2, success_count = $3,
                       failure_count = $4, errors = $5, completed_at = $6 where id = $1";
        let values = vec![
            (&job.id).into(),
            (job.succeeded + job.failed).into(),
            job.succeeded.into(),
            job.failed.into(),
            errors.into(),
            Timestamp::now().into(),
        ];
        work.execute(sql, values).await?;
        work.commit().await
    }

    pub async fn job(&self, user: &str, id: &str) -> Result<Option<Job>, StoreError> {
        let mut work = self.db.read().await?;
        let sql = "select id, user_id, operation_type, status, total_items, success_count, failure_count, created_at,
                          completed_at from batch_operations where id = $1 and user_id = $2";
        let Some(row) = work.row(sql, vec![id.into(), user.into()]).await? else { return Ok(None) };
        Ok(Some(Job {
            id: row.string("id")?,
            user: row.string("user_id")?,
            operation: row.string("operation_type")?,
            status: row.string("status")?,
            total: row.int("total_items")?,
            succeeded: row.int("success_count")?,
            failed: row.int("failure_count")?,
            errors: vec![],
            created_at: row.time("created_at")?.unwrap_or_default(),
            completed_at: row.time("completed_at")?,
        }))
    }

    /// Changes the row only. False if this user has no such session.
    pub async fn change_row(&self, user: &str, session: &str, operation: Operation) -> Result<bool, StoreError> {
        let (sql, state) = match operation {
            Operation::Delete => ("delete from sessions where id = $1 and user_id = $2", None),
            Operation::Hibernate => (CHANGE, Some("hibernated")),
            Operation::Wake => (CHANGE, Some("running")),
        };
        let mut values = vec![session.into(), user.into()];
        values.extend(state.map(Into::into));
        let mut work = self.db.write().await?;
        let touched = work.execute(sql, values).await?;
        work.commit().await?;
        Ok(touched > 0)
    }
}

const CHANGE: &str = "update sessions set state = $3 where id = $1 and user_id = $2";
