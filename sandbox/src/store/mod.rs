//! The platform's store: the only owner of SQL.
//!
//! Everything that the platform remembers goes through `Store`, in units that hold as a whole. It must not know HTTP,
//! Kubernetes, or who asks. What an event tells webhooks is written in the same unit as the change that caused it, and
//! handed back so that the caller passes it on.
mod audit;
mod jobs;
mod rows;
mod schema;
mod sessions;
mod sql;
mod stale;
mod users;
mod webhooks;

use super::{
    defect::{Defect, Defects},
    delays::Delays,
};
pub use audit::{Entry, Filter, Logged};
pub use jobs::{Job, Operation};
pub use sessions::{Asked, DELETED, NewSession, Seen, Session};
use sql::Db;
pub use sql::{Gate, StoreError};
use std::{path::Path, sync::Arc};
pub use users::SERVICE_USER;
pub use webhooks::{Attempt, Delivery, NewWebhook, RetryPolicy, Webhook};

#[derive(Clone)]
pub struct Store {
    db: Db,
    defects: Defects,
    cache: Arc<stale::Cache>,
}

impl Store {
    pub async fn sqlite(path: &Path, defects: Defects, delays: Delays) -> Result<Store, StoreError> {
        Store::ready(Db::sqlite(path, delays).await?, defects).await
    }

    pub async fn postgres(url: &str, defects: Defects, delays: Delays) -> Result<Store, StoreError> {
        Store::ready(Db::postgres(url, delays).await?, defects).await
    }

    async fn ready(db: Db, defects: Defects) -> Result<Store, StoreError> {
        let mut work = db.write().await?;
        if db.dialect() == sql::Dialect::Pg {
            // Two platforms that start at once on one database must not make the same table twice.
            work.execute("select pg_advisory_xact_lock(7423001)", vec![]).await?;
        }
        for statement in schema::statements(db.dialect(), defects) {
            work.execute(&statement, vec![]).await?;
        }
        work.commit().await?;
        let store = Store { db, defects, cache: Arc::default() };
        if defects.has(Defect::ManualWrongUser) || defects.has(Defect::RowWrongUser) {
            store.seed_service_user().await?;
        }
        Ok(store)
    }

    pub fn gate(&self) -> Arc<Gate> {
        self.db.gate.clone()
    }

    pub async fn close(&self) {
        self.db.close().await;
    }
}
