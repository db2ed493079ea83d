//! What an environment says of a database, and the open target. Knows no verb of the plan.
use super::{
    address::{Address, without_password},
    flow,
    mysql::Mysql,
    pool::{Missing, Pool},
    postgres::Postgres,
    probe,
    server::Server,
    sqlite::Sqlite,
    trouble::Place,
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, Need, ProbeResult, RunInfo, Target, TargetSpec},
    expr::{Part, Scope, Template},
    secrets::Secrets,
};
use async_trait::async_trait;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// `db: "postgres://…"`, `"mysql://…"`, `"sqlite:///path"` or `db: path`, which may have holes.
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
        if let Some(Err(wrong)) = t.as_literal().map(Address::read) {
            let d = Diagnostic::error(wrong.code, &node.span, wrong.message).help(wrong.help);
            body.problem(match wrong.meant {
                Some((name, options)) => d.meant(&name, options.iter().copied()),
                None => d,
            });
            return None;
        }
        Some(Spec(t))
    }
}

/// The open target.
pub struct Database {
    pub pool: Pool,
    place: Place,
    password: Option<String>,
    /// The password is among the run's secrets.
    told: AtomicBool,
}

impl Database {
    pub fn server(&self) -> &dyn Server {
        &*self.pool.server
    }

    pub fn missing(&self, missing: Missing) -> ActionError {
        let code = if let Missing::Error(e) = &missing { self.server().code(e) } else { None };
        ActionError::Unreachable(self.place.missing(&missing, code.as_deref()))
    }

    pub fn unreachable(&self, e: &sqlx::Error) -> ActionError {
        ActionError::Unreachable(self.place.sentence(e, self.server().code(e).as_deref()))
    }

    /// Makes the password one of the run's secrets. No address is shown with it; a row may hold it.
    pub fn tell(&self, secrets: &Secrets) {
        if let Some(password) = &self.password
            && !self.told.swap(true, Ordering::Relaxed)
        {
            secrets.add("database-password", password);
        }
    }
}

#[async_trait]
impl TargetSpec for Spec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        let text = self.0.render_text(scope)?;
        let shown = without_password(&text);
        let wrong = |why: String| ActionError::Invalid(format!("`{shown}` is no address of a database: {why}"));
        let address = Address::read(&text).map_err(|w| wrong(format!("{}; {}", w.message, w.help)))?;
        let (server, place, password): (Box<dyn Server>, Place, Option<String>) = match address {
            Address::Postgres(wire) => {
                let (server, place) = Postgres::new(&wire, &run.dir, &shown).map_err(wrong)?;
                (Box::new(server), place, wire.password)
            }
            Address::Mysql(wire) => {
                let (server, place) = Mysql::new(&wire, &run.dir, &shown).map_err(wrong)?;
                (Box::new(server), place, wire.password)
            }
            Address::Sqlite { path, parameters } => {
                let (server, place) = Sqlite::new(&run.dir.join(path), &parameters, &shown).map_err(wrong)?;
                (Box::new(server), place, None)
            }
        };
        let database = Database { pool: Pool::new(server), place, password, told: AtomicBool::default() };
        let lease = database.pool.lease().await.map_err(|e| database.missing(e))?;
        lease.give_back();
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

    async fn probe(&self, needs: &[Need], _: &Scope) -> Vec<ProbeResult> {
        // connecting has logged in
        let version = self.version().await;
        let mut found = vec![ProbeResult::ok("log in", version.unwrap_or_else(|| "it answers".into()))];
        found.extend(probe::tables(self, needs).await);
        found
    }

    async fn version(&self) -> Option<String> {
        let mut lease = self.pool.lease().await.ok()?;
        let version = flow::text(lease.session().ok()?, self.server().version()).await;
        match version {
            Ok(_) => lease.give_back(),
            Err(_) => lease.discard(),
        }
        version.ok()?
    }
}

/// A file that the options of an address name, seen from the environment's folder.
///
/// # Errors
/// It cannot be read.
pub fn named_file(dir: &std::path::Path, option: &str, path: &str) -> Result<std::path::PathBuf, String> {
    let path = dir.join(path);
    match std::fs::File::open(&path) {
        Ok(_) => Ok(path),
        Err(e) => Err(format!("`{option}` names `{}`, which cannot be read: {e}", path.display())),
    }
}
