//! What an inbox needs in order to speak TLS: a certificate and its key, from files in PEM.
use crate::{
    executor::{ActionError, Body, RunInfo},
    expr::{Scope, Template},
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{fmt::Display, sync::Arc};
use tokio_rustls::TlsAcceptor;

#[derive(Clone)]
pub(super) struct Files {
    certificate: Template,
    key: Template,
}

impl Files {
    /// `tls: { certificate, key }`; relative paths start where the plan is.
    pub fn compile(body: &mut Body<'_>) -> Option<Files> {
        let node = body.get("tls").cloned()?;
        let mut part = body.part(&node);
        if !part.keys(&["certificate", "key"]) {
            return None;
        }
        for key in ["certificate", "key"] {
            if part.get(key).is_none() {
                part.missing(key);
            }
        }
        Some(Files { certificate: part.template("certificate")?, key: part.template("key")? })
    }

    pub fn acceptor(&self, run: &RunInfo, scope: &Scope) -> Result<TlsAcceptor, ActionError> {
        let certificate = run.dir.join(self.certificate.render_text(scope)?);
        let key = run.dir.join(self.key.render_text(scope)?);
        let wrong = |what: &dyn Display, why: &dyn Display| {
            ActionError::Invalid(format!("the inbox cannot speak TLS: {what}: {why}"))
        };
        let named = |file: &std::path::Path| format!("`{}`", file.display());
        let chain = CertificateDer::pem_file_iter(&certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| wrong(&named(&certificate), &e))?;
        if chain.is_empty() {
            return Err(wrong(&named(&certificate), &"there is no certificate in it"));
        }
        let private = PrivateKeyDer::from_pem_file(&key).map_err(|e| wrong(&named(&key), &e))?;
        let both = format!("{} with {}", named(&certificate), named(&key));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|c| c.with_no_client_auth().with_single_cert(chain, private))
            .map_err(|e| wrong(&both, &e))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
