//! Opens the database and creates its tables.
use super::{
    read_cache::Cache,
    schema,
    sql::{Db, Dialect, Gate, StoreError},
};
use crate::{
    defect::{Defect, Defects},
    delays::Delays,
};
use std::{path::Path, sync::Arc};

#[derive(Clone)]
pub struct Store {
    pub(super) db: Db,
    pub(super) defects: Defects,
    /// Used by the defect `reads-stale` only.
    pub(super) cache: Arc<Cache>,
}

impl Store {
    pub async fn sqlite(path: &Path, defects: Defects, delays: Delays) -> Result<Store, StoreError> {
        Store::prepare(Db::sqlite(path, delays).await?, defects).await
    }

    pub async fn postgres(url: &str, defects: Defects, delays: Delays) -> Result<Store, StoreError> {
        Store::prepare(Db::postgres(url, delays).await?, defects).await
    }

    async fn prepare(db: Db, defects: Defects) -> Result<Store, StoreError> {
        let mut work = db.write().await?;
        if db.dialect() == Dialect::Postgres {
            // two platforms starting on one database must not create the same table concurrently
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
