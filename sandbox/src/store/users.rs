//! The table `users`.
use super::{open::Store, sql::StoreError};
use jiff::Timestamp;

pub const SERVICE_USER: &str = "streamspace-api";

#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub username: String,
    pub role: String,
    pub active: bool,
    pub password_hash: Option<String>,
}

impl Store {
    /// Creates the user `admin` or sets its password.
    pub async fn seed_admin(&self, password_hash: &str) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let mut work = self.db.write().await?;
        work.execute(
            "insert into users (id, username, email, full_name, role, provider, active, password_hash, created_at, updated_at)
             values ('admin', 'admin', 'admin@streamspace.local', 'Administrator', 'admin', 'local', true, $1, $2, $2)
             on conflict (id) do update set password_hash = excluded.password_hash, updated_at = excluded.updated_at",
            vec![password_hash.into(), now.into()],
        )
        .await?;
        work.commit().await
    }

    /// Creates the platform's own account. Only defects assign sessions to it.
    pub(super) async fn seed_service_user(&self) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        work.execute(
            "insert into users (id, username, email, role, provider, active, created_at, updated_at)
             values ($1, $1, $1, 'user', 'local', false, $2, $2) on conflict (id) do nothing",
            vec![SERVICE_USER.into(), Timestamp::now().into()],
        )
        .await?;
        work.commit().await
    }

    pub async fn user(&self, username: &str) -> Result<Option<User>, StoreError> {
        let mut work = self.db.read().await?;
        let row = work
            .row(
                "select id, username, role, active, password_hash from users where username = $1",
                vec![username.into()],
            )
            .await?;
        row.map(|row| {
            Ok(User {
                id: row.string("id")?,
                username: row.string("username")?,
                role: row.string("role")?,
                active: row.bool("active")?,
                password_hash: row.optional_string("password_hash")?,
            })
        })
        .transpose()
    }

    pub async fn record_login(&self, id: &str) -> Result<(), StoreError> {
        let mut work = self.db.write().await?;
        work.execute("update users set last_login = $2 where id = $1", vec![id.into(), Timestamp::now().into()])
            .await?;
        work.commit().await
    }
}
