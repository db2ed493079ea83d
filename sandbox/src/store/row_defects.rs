//! Writes to session rows that bypass `requested` and `applied`. Only defects use them.
use super::{open::Store, session::Session, sql::StoreError};

impl Store {
    /// Overwrites the requested and the observed state of a session.
    pub async fn overwrite_row(&self, row: &Session) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        let change = "update sessions set state = $2, phase = $3, desired = $4, requested = $5 where id = $1";
        let values = vec![
            (&row.name).into(),
            (&row.state).into(),
            (&row.phase).into(),
            (&row.desired).into(),
            row.requested.into(),
        ];
        work.execute(change, values).await?;
        work.commit().await
    }

    pub async fn delete_row(&self, name: &str) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        work.execute("delete from sessions where id = $1", vec![name.into()]).await?;
        work.commit().await
    }
}
