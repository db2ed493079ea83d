//! Parses the target's entry in an environment, connects it, and implements `Target` for the open database.
use super::{
    address::{Address, without_password},
    database::Database,
    execute,
    mysql::Mysql,
    postgres::Postgres,
    probe,
    sqlite::Sqlite,
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, Permission, ProbeResult, RunInfo, Target, TargetSpec, limits},
    expr::{Scope, Template},
    language::{Key, Shape},
};
use async_trait::async_trait;
use std::{fmt::Display, sync::Arc};

pub const KEYS: &[Key] = &[
    Key::new("db", Shape::Text).required().means("address of the database: a URL, or the path of a SQLite file"),
    Key::new("limit", Shape::Size).means("how many bytes of rows are kept"),
];

/// `db: "postgres://…"`, `"mysql://…"`, `"sqlite:///path"` or `db: path`; placeholders are allowed.
pub struct DatabaseSpec {
    address: Template,
    /// How many bytes of rows are kept.
    limit: usize,
}

impl DatabaseSpec {
    /// Parses the whole map of a target.
    pub fn compile(body: &mut Body<'_>) -> Option<DatabaseSpec> {
        body.only(&[KEYS]).then_some(())?;
        let Some(node) = body.get("db") else {
            body.missing("db");
            return None;
        };
        let template = body.template_of(node)?;
        if let Some(Err(error)) = template.as_literal().map(Address::parse) {
            let d = Diagnostic::error(error.code, &node.span, error.message).help(error.help);
            body.problem(match error.unknown_option {
                Some((name, options)) => d.suggest(&name, options.iter().copied()),
                None => d,
            });
            return None;
        }
        Some(DatabaseSpec { address: template, limit: body.limit(limits::ROWS_BYTES) })
    }
}

#[async_trait]
impl TargetSpec for DatabaseSpec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        let text = self.address.render_text(scope)?;
        let url = without_password(&text);
        let invalid = |e: &dyn Display| ActionError::Invalid(format!("invalid database address `{url}`: {e}"));
        let max = limits::message_bytes(self.limit);
        let opened = match Address::parse(&text).map_err(|e| invalid(&e))? {
            Address::Postgres(network) => Postgres::open(&network, &run.dir, &url, max),
            Address::Mysql(network) => Mysql::open(&network, &run.dir, &url, max),
            Address::Sqlite { path, parameters } => Sqlite::open(&run.dir.join(path), &parameters, &url),
        };
        let (server, address) = opened.map_err(|e| invalid(&e))?;
        // A row may contain it. Addresses are always shown without it.
        if let Some(password) = &address.password {
            scope.secrets().add("database-password", password);
        }
        scope.secrets().add_ordinary(&url);
        let database = Database::new(server, address, self.limit);
        database.lease().await?.release();
        Ok(Arc::new(database))
    }

    fn address(&self, scope: &Scope) -> String {
        without_password(&self.address.render_known(scope))
    }
}

#[async_trait]
impl Target for Database {
    async fn close(&self) {
        self.close_all().await;
    }

    async fn probe(&self, permissions: &[Permission], _: &Scope) -> Vec<ProbeResult> {
        // `connect` has already logged in.
        let version = self.version().await;
        let mut results = vec![ProbeResult::ok("log in", version.unwrap_or_else(|| "connected".into()))];
        results.extend(probe::privileges(self, permissions).await);
        results
    }

    async fn version(&self) -> Option<String> {
        let mut lease = self.lease().await.ok()?;
        let version = execute::query_text(lease.session(), self.server.dialect().version_query()).await;
        match version {
            Ok(_) => lease.release(),
            Err(_) => lease.discard(),
        }
        version.ok()?
    }
}
