//! Parses the target's entry in an environment, connects it, and implements `Target` for the open database.
use super::{
    address::{Address, without_password},
    connect_error::ServerAddress,
    database::Database,
    execute,
    mysql::Mysql,
    postgres::Postgres,
    probe,
    server::Server,
    sqlite::Sqlite,
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, Permission, ProbeResult, RunInfo, Target, TargetSpec},
    expr::{Part, Scope, Template},
};
use async_trait::async_trait;
use std::sync::Arc;

/// `db: "postgres://…"`, `"mysql://…"`, `"sqlite:///path"` or `db: path`; placeholders are allowed.
pub struct DatabaseSpec(Template);

impl DatabaseSpec {
    /// Parses the whole map of a target.
    pub fn compile(body: &mut Body<'_>) -> Option<DatabaseSpec> {
        if !body.keys(&["db"]) {
            return None;
        }
        let Some(node) = body.get("db").cloned() else {
            body.missing("db");
            return None;
        };
        let template = body.template_of(&node)?;
        if let Some(Err(error)) = template.as_literal().map(Address::parse) {
            let d = Diagnostic::error(error.code, &node.span, error.message).help(error.help);
            body.problem(match error.unknown_option {
                Some((name, options)) => d.suggest(&name, options.iter().copied()),
                None => d,
            });
            return None;
        }
        Some(DatabaseSpec(template))
    }
}

#[async_trait]
impl TargetSpec for DatabaseSpec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        let text = self.0.render_text(scope)?;
        let url = without_password(&text);
        let invalid =
            |e: &dyn std::error::Error| ActionError::Invalid(format!("invalid database address `{url}`: {e}"));
        let (server, address, password): (Box<dyn Server>, ServerAddress, Option<String>) = match Address::parse(&text)
            .map_err(|e| invalid(&e))?
        {
            Address::Postgres(network) => {
                let (server, address) = Postgres::new(&network, &run.dir, &url).map_err(|e| invalid(&e))?;
                (Box::new(server), address, network.password)
            }
            Address::Mysql(network) => {
                let (server, address) = Mysql::new(&network, &run.dir, &url).map_err(|e| invalid(&e))?;
                (Box::new(server), address, network.password)
            }
            Address::Sqlite { path, parameters } => {
                let (server, address) = Sqlite::new(&run.dir.join(path), &parameters, &url).map_err(|e| invalid(&e))?;
                (Box::new(server), address, None)
            }
        };
        let database = Database::new(server, address, password);
        database.pool.lease().await.map_err(|e| database.lease_error(&e))?.release();
        Ok(Arc::new(database))
    }

    fn address(&self) -> String {
        match self.0.parts() {
            [Part::Text(_)] => without_password(&self.0.source()),
            _ => self.0.source(),
        }
    }
}

#[async_trait]
impl Target for Database {
    async fn close(&self) {
        self.pool.close().await;
    }

    async fn probe(&self, permissions: &[Permission], _: &Scope) -> Vec<ProbeResult> {
        // `connect` has already logged in.
        let version = self.version().await;
        let mut results = vec![ProbeResult::ok("log in", version.unwrap_or_else(|| "connected".into()))];
        results.extend(probe::privileges(self, permissions).await);
        results
    }

    async fn version(&self) -> Option<String> {
        let mut lease = self.pool.lease().await.ok()?;
        let version = execute::query_text(lease.session().ok()?, self.server().version_query()).await;
        match version {
            Ok(_) => lease.release(),
            Err(_) => lease.discard(),
        }
        version.ok()?
    }
}
