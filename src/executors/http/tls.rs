//! Whose certificates are accepted, and which one is shown. Knows neither request nor identity.
use crate::{
    executor::{ActionError, Body, RunInfo},
    expr::{Scope, Template},
};
use reqwest::{Certificate, ClientBuilder};
use std::path::{Path, PathBuf};

pub(super) const KEYS: [&str; 4] = ["ca", "insecure", "cert", "key"];
pub(super) const PAIR: [&str; 2] = ["cert", "key"];

pub(super) struct Spec {
    ca: Option<Template>,
    insecure: bool,
}

/// A client certificate and its key: PEM files.
pub(super) struct PairSpec {
    cert: Template,
    key: Option<Template>,
}

impl Spec {
    pub fn compile(body: &mut Body<'_>) -> Spec {
        let insecure = body.literal("insecure", "`true` or `false`").unwrap_or(false);
        Spec { ca: body.template("ca"), insecure }
    }

    pub fn read(&self, run: &RunInfo, scope: &Scope) -> Result<Trust, ActionError> {
        let mut trust = Trust { ca: None, certificates: vec![], insecure: self.insecure };
        if let Some(ca) = &self.ca {
            let path = run.dir.join(ca.render_text(scope)?);
            trust.certificates = certificates(&path)?;
            trust.ca = Some(path);
        }
        Ok(trust)
    }
}

impl PairSpec {
    pub fn compile(body: &mut Body<'_>) -> Option<PairSpec> {
        let key = body.template("key");
        if body.get("cert").is_none() && key.is_some() {
            body.missing("cert");
        }
        Some(PairSpec { cert: body.template("cert")?, key })
    }

    pub fn read(&self, run: &RunInfo, scope: &Scope) -> Result<Pair, ActionError> {
        let cert = run.dir.join(self.cert.render_text(scope)?);
        let key = self.key.as_ref().map(|k| k.render_text(scope)).transpose()?.map(|k| run.dir.join(k));
        let mut pem = content("client certificate", &cert)?;
        if let Some(key) = &key {
            pem.push(b'\n');
            pem.extend(content("client key", key)?);
        }
        let identity = reqwest::Identity::from_pem(&pem).map_err(|_| {
            let (what, hint) = match &key {
                Some(key) => (format!("`{}` and `{}` are", cert.display(), key.display()), ""),
                None => (format!("`{}` is", cert.display()), "; a key in a file of its own is named by `key`"),
            };
            ActionError::Invalid(format!("{what} no PEM certificate with its key{hint}"))
        })?;
        Ok(Pair { cert, key, identity })
    }
}

fn content(what: &str, path: &Path) -> Result<Vec<u8>, ActionError> {
    let name = path.display();
    std::fs::read(path).map_err(|e| ActionError::Invalid(format!("the {what} `{name}` cannot be read: {e}")))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, ActionError> {
    let found = Certificate::from_pem_bundle(&content("CA file", path)?).unwrap_or_default();
    if found.is_empty() {
        return Err(ActionError::Invalid(format!("the CA file `{}` holds no PEM certificate", path.display())));
    }
    Ok(found)
}

/// Whose certificates are accepted beyond those of the system.
pub(super) struct Trust {
    pub ca: Option<PathBuf>,
    certificates: Vec<Certificate>,
    pub insecure: bool,
}

impl Trust {
    pub fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        let builder = builder.tls_certs_merge(self.certificates.iter().cloned());
        if self.insecure { builder.tls_danger_accept_invalid_certs(true) } else { builder }
    }
}

#[derive(Clone)]
pub(super) struct Pair {
    pub cert: PathBuf,
    pub key: Option<PathBuf>,
    pub identity: reqwest::Identity,
}
