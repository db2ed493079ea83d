//! TLS settings of a target: trusted certificates and the client's own certificate.
use crate::{
    executor::{ActionError, Body, RunInfo},
    expr::{Scope, Template},
    file,
    language::{Key, Shape},
};
use reqwest::Certificate;
use std::path::{Path, PathBuf};

pub(super) const KEYS: [Key; 2] = [Key::new("ca", Shape::Path), Key::new("insecure", Shape::Bool)];
pub(super) const CLIENT_CERTIFICATE_KEYS: [Key; 2] = [Key::new("cert", Shape::Path), Key::new("key", Shape::Path)];

/// A client certificate and its key: PEM files.
pub(super) struct ClientCertificateSpec {
    cert: Template,
    key: Option<Template>,
}

impl ClientCertificateSpec {
    pub fn compile(body: &mut Body<'_>) -> Option<ClientCertificateSpec> {
        let key = body.template("key");
        if body.get("cert").is_none() && key.is_some() {
            body.missing("cert");
        }
        Some(ClientCertificateSpec { cert: body.template("cert")?, key })
    }

    pub fn load(&self, run: &RunInfo, scope: &Scope) -> Result<ClientCertificate, ActionError> {
        let cert = run.dir.join(self.cert.render_text(scope)?);
        let key = self.key.as_ref().map(|k| k.render_text(scope)).transpose()?.map(|k| run.dir.join(k));
        let mut pem = read_file("client certificate", &cert)?;
        if let Some(key) = &key {
            pem.push(b'\n');
            pem.extend(read_file("client key", key)?);
        }
        let identity = reqwest::Identity::from_pem(&pem).map_err(|_| {
            let (found_in, hint) = match &key {
                Some(key) => (format!("`{}` and `{}`", cert.display(), key.display()), ""),
                None => (format!("`{}`", cert.display()), "; if the key has a file of its own, set `key`"),
            };
            ActionError::Invalid(format!("expected a PEM certificate with its key in {found_in}{hint}"))
        })?;
        Ok(ClientCertificate { cert, key, identity })
    }
}

fn read_file(what: &str, path: &Path) -> Result<Vec<u8>, ActionError> {
    file::read(path, file::MAX_FILE_BYTES)
        .map_err(|e| ActionError::Invalid(format!("cannot read the {what} `{}`: {e}", path.display())))
}

pub(super) fn read_certificates(path: &Path) -> Result<Vec<Certificate>, ActionError> {
    let certificates = Certificate::from_pem_bundle(&read_file("CA file", path)?).unwrap_or_default();
    if certificates.is_empty() {
        let message = format!("expected PEM certificates in the CA file `{}`, found none", path.display());
        return Err(ActionError::Invalid(message));
    }
    Ok(certificates)
}

pub(super) struct ClientCertificate {
    pub cert: PathBuf,
    pub key: Option<PathBuf>,
    pub identity: reqwest::Identity,
}
