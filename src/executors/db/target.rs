//! What an environment says of a database, and the open target. Knows no verb of the plan.
use super::pool::{Pool, unreachable};
use crate::{
    diagnostic::Diagnostic,
    executor::{Body, RunContext, StepError, Target, TargetSpec},
    expr::{Part, Scope, Template},
};
use async_trait::async_trait;
use sqlx::{
    ConnectOptions, PgConnection, Row, SqliteConnection, postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use std::{path::Path, str::FromStr, sync::Arc, time::Duration};

/// `db: "postgres://…"`, `db: "sqlite:///path"` or `db: path`, which may have holes.
pub struct Spec(Template);

impl Spec {
    /// Reads the whole map of a target.
    pub fn compile(body: &mut Body<'_>) -> Option<Spec> {
        if !body.keys(&["db"]) {
            return None;
        }
        let Some(node) = body.get("db").cloned() else {
            body.missing("db");
            return None;
        };
        let t = body.template_of(&node)?;
        if let Some(text) = t.as_literal()
            && let Some((scheme, _)) = text.split_once("://")
            && !["postgres", "postgresql", "sqlite"].contains(&scheme)
        {
            let d = Diagnostic::error(
                "unknown-scheme",
                &node.span,
                format!("there is no way to a database of `{scheme}:`"),
            )
            .help("write `postgres://user:password@host:5432/name`, `sqlite:///path` or a path");
            body.problem(d);
            return None;
        }
        Some(Spec(t))
    }
}

/// The open target.
pub struct Database {
    pub pool: Pools,
    /// Without its password.
    pub address: String,
}

pub enum Pools {
    Postgres(Pool<PgConnection>),
    Sqlite(Pool<SqliteConnection>),
}

#[async_trait]
impl TargetSpec for Spec {
    async fn connect(&self, run: &RunContext, scope: &Scope) -> Result<Arc<dyn Target>, StepError> {
        let text = self.0.render_text(scope)?;
        let address = without_password(&text);
        let wrong = |e: sqlx::Error| StepError::Invalid(format!("`{address}` is no address of a database: {e}"));
        let pool = if text.starts_with("postgres:") || text.starts_with("postgresql:") {
            let options = PgConnectOptions::from_str(&text).map_err(wrong)?.application_name("tp-runner");
            let pool = Pool::new(options.disable_statement_logging());
            pool.lease().await.map_err(|e| unreachable(&address, e))?.give_back();
            Pools::Postgres(pool)
        } else {
            let options = match text.split_once("://") {
                Some(("sqlite", rest)) => {
                    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
                    let path = run.dir.join(path);
                    let parsed = SqliteConnectOptions::from_str(&format!("sqlite://{}?{query}", path.display()))
                        .map_err(wrong)?;
                    // The path as it is, whatever the parser made of a `%` or a `?` in the folder's name.
                    parsed.filename(path)
                }
                Some((other, _)) => {
                    return Err(StepError::Invalid(format!("there is no way to a database of `{other}:`")));
                }
                None => SqliteConnectOptions::new().filename(run.dir.join(&text)),
            };
            // The runner looks at a database; it never makes one. A missing file is said, and not replaced by an empty one.
            let options = options.create_if_missing(false).busy_timeout(Duration::from_secs(5)).foreign_keys(true);
            let path = options.get_filename().to_path_buf();
            let pool = Pool::new(options.disable_statement_logging());
            let lease = pool
                .lease()
                .await
                .map_err(|e| if Path::new(&path).exists() { unreachable(&address, e) } else { missing(&path) })?;
            lease.give_back();
            Pools::Sqlite(pool)
        };
        Ok(Arc::new(Database { pool, address }))
    }

    fn address(&self) -> String {
        match self.0.parts() {
            [Part::Text(_)] => without_password(&self.0.source()),
            _ => self.0.source(),
        }
    }
}

fn missing(path: &Path) -> StepError {
    StepError::Unreachable(format!("there is no database file `{}`", path.display()))
}

#[async_trait]
impl Target for Database {
    async fn close(&self) {
        match &self.pool {
            Pools::Postgres(p) => p.close().await,
            Pools::Sqlite(p) => p.close().await,
        }
    }

    async fn version(&self) -> Option<String> {
        match &self.pool {
            Pools::Postgres(p) => {
                let mut lease = p.lease().await.ok()?;
                let row = sqlx::query("show server_version").fetch_one(lease.connection().ok()?).await.ok()?;
                lease.give_back();
                Some(format!("PostgreSQL {}", row.try_get::<String, _>(0).ok()?))
            }
            Pools::Sqlite(p) => {
                let mut lease = p.lease().await.ok()?;
                let row = sqlx::query("select sqlite_version()").fetch_one(lease.connection().ok()?).await.ok()?;
                lease.give_back();
                Some(format!("SQLite {}", row.try_get::<String, _>(0).ok()?))
            }
        }
    }
}

/// `postgres://user@host/name`: what stands in reports. Also a `password=` among the parameters is left out.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_string() };
    let (host, query) = rest.split_once('?').map_or((rest, None), |(h, q)| (h, Some(q)));
    let (authority, path) = host.split_once('/').map_or((host, None), |(a, p)| (a, Some(p)));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_string(),
    };
    let query: Vec<&str> =
        query.into_iter().flat_map(|q| q.split('&')).filter(|p| !p.starts_with("password=")).collect();
    let path = path.map(|p| format!("/{p}")).unwrap_or_default();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{scheme}://{authority}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_never_shows() {
        for (url, expected) in [
            ("postgres://ann:s3cret@db:5432/x", "postgres://ann@db:5432/x"),
            ("postgres://ann:p@ss@db/x?sslmode=require", "postgres://ann@db/x?sslmode=require"),
            ("postgres://db/x?user=ann&password=s3cret", "postgres://db/x?user=ann"),
            ("sqlite:///tmp/a.db?mode=ro", "sqlite:///tmp/a.db?mode=ro"),
            ("a.db", "a.db"),
        ] {
            assert_eq!(without_password(url), expected);
        }
    }
}
