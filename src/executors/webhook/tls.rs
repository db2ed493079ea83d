//! Certificate and key of an inbox with TLS, from PEM files.
use crate::{
    executor::{ActionError, Body, RunInfo},
    expr::{Scope, Template},
    language::{Key, Shape},
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{fmt::Display, sync::Arc};
use tokio_rustls::TlsAcceptor;

pub(super) const KEYS: &[Key] = &[
    Key::new("certificate", Shape::Path).required().means("PEM file: the certificate with intermediates"),
    Key::new("key", Shape::Path).required().means("PEM file: the key of the certificate"),
];

#[derive(Clone)]
pub(super) struct TlsFiles {
    certificate: Template,
    key: Template,
}

impl TlsFiles {
    /// Compiles `tls: { certificate, key }`.
    pub fn compile(body: &mut Body<'_>) -> Option<TlsFiles> {
        let node = body.get("tls").cloned()?;
        let mut part = body.part(&node);
        if !part.only(&[KEYS]) {
            return None;
        }
        let (certificate, key) = (part.required_template("certificate"), part.required_template("key"));
        Some(TlsFiles { certificate: certificate?, key: key? })
    }

    pub fn acceptor(&self, run: &RunInfo, scope: &Scope) -> Result<TlsAcceptor, ActionError> {
        let certificate = run.dir.join(self.certificate.render_text(scope)?);
        let key = run.dir.join(self.key.render_text(scope)?);
        let failed = |files: &dyn Display, reason: &dyn Display| {
            ActionError::Invalid(format!("the inbox cannot speak TLS: {files}: {reason}"))
        };
        let quoted = |file: &std::path::Path| format!("`{}`", file.display());
        let chain = CertificateDer::pem_file_iter(&certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| failed(&quoted(&certificate), &e))?;
        if chain.is_empty() {
            return Err(failed(&quoted(&certificate), &"expected a PEM certificate, found none"));
        }
        let private_key = PrivateKeyDer::from_pem_file(&key).map_err(|e| failed(&quoted(&key), &e))?;
        let both = format!("{} with {}", quoted(&certificate), quoted(&key));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|c| c.with_no_client_auth().with_single_cert(chain, private_key))
            .map_err(|e| failed(&both, &e))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
