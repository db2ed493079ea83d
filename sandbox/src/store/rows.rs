//! Writes to a session's row beside the agreement of `asked` and `applied`: nobody is told of them. Defects alone do that.
use super::{Session, Store, StoreError};

impl Store {
    /// What was asked of it and what was seen of it, as it stands here.
    pub async fn write_row(&self, row: &Session) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        let change = "update sessions set state = $2, phase = $3, desired = $4, asked = $5 where id = $1";
        let values =
            vec![(&row.name).into(), (&row.state).into(), (&row.phase).into(), (&row.desired).into(), row.asked.into()];
        work.execute(change, values).await?;
        work.commit().await
    }

    pub async fn drop_row(&self, name: &str) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        work.execute("delete from sessions where id = $1", vec![name.into()]).await?;
        work.commit().await
    }
}
