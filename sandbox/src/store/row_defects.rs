//! Writes to session rows that bypass `requested` and `applied`. Only defects use them.
use super::{
    open::Store,
    session::Session,
    sql::{StoreError, Work},
};
use crate::defect::{Defect, Defects};

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

    /// Deletes the connections of all sessions of a user.
    pub async fn disconnect(&self, user: &str) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        work.execute("delete from connections where user_id = $1", vec![user.into()]).await?;
        work.commit().await
    }

    pub async fn delete_row(&self, name: &str) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        work.execute("delete from sessions where id = $1", vec![name.into()]).await?;
        work.commit().await
    }
}

/// Changes the times of a row that was just updated.
pub(super) async fn change_times(work: &mut Work, defects: Defects, name: &str) -> Result<(), StoreError> {
    let change = match () {
        () if defects.has(Defect::UpdateKeepsTime) => "updated_at = created_at",
        () if defects.has(Defect::UpdateMovesCreation) => "created_at = updated_at",
        () => return Ok(()),
    };
    work.execute(&format!("update sessions set {change} where id = $1"), vec![name.into()]).await.map(|_| ())
}
