//! TLS to a PostgreSQL server. The relay speaks it instead of the library, because it has to see the length of each message:
//! the library allocates and fills memory for a message of any length, once it is announced.
use crate::executors::db::{relay::Stream, server::SqlxResult};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use sqlx::postgres::PgSslMode;
use std::{env, path::PathBuf, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::OnceCell,
};
use tokio_rustls::TlsConnector;

/// Asks a server whether it supports TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

pub struct Tls {
    pub mode: PgSslMode,
    /// Beside the authorities of the system.
    pub ca: Option<Pem>,
    pub certificate: Option<Pem>,
    pub key: Option<Pem>,
    connector: OnceCell<TlsConnector>,
}

/// A PEM file, or its content.
pub enum Pem {
    File(PathBuf),
    Text(String),
}

impl Pem {
    /// From a variable that the clients of PostgreSQL read.
    fn from_env(name: &str) -> Option<Pem> {
        let text = env::var(name).ok()?;
        Some(if text.trim_start().starts_with("-----BEGIN") { Pem::Text(text) } else { Pem::File(text.into()) })
    }

    async fn read(&self) -> SqlxResult<Vec<u8>> {
        match self {
            Pem::File(path) => Ok(tokio::fs::read(path).await?),
            Pem::Text(text) => Ok(text.clone().into_bytes()),
        }
    }
}

impl Tls {
    /// The files come from the address; without them, from the environment.
    pub fn new(mode: PgSslMode, ca: Option<PathBuf>, certificate: Option<PathBuf>, key: Option<PathBuf>) -> Tls {
        let pem = |file: Option<PathBuf>, variable| file.map(Pem::File).or_else(|| Pem::from_env(variable));
        Tls {
            mode,
            ca: pem(ca, "PGSSLROOTCERT"),
            certificate: pem(certificate, "PGSSLCERT"),
            key: pem(key, "PGSSLKEY"),
            connector: OnceCell::new(),
        }
    }

    /// Starts TLS if the mode wants it and the server supports it.
    pub async fn start(&self, mut server: Box<dyn Stream>, host: &str) -> SqlxResult<Box<dyn Stream>> {
        if matches!(self.mode, PgSslMode::Disable | PgSslMode::Allow) {
            return Ok(server);
        }
        server.write_all(&SSL_REQUEST).await?;
        match server.read_u8().await? {
            b'S' => {
                let connector = self.connector.get_or_try_init(|| self.connector()).await?;
                let name = ServerName::try_from(host.to_owned()).map_err(|e| sqlx::Error::Tls(e.into()))?;
                Ok(Box::new(connector.connect(name, server).await?))
            }
            b'N' if matches!(self.mode, PgSslMode::Prefer) => Ok(server),
            b'N' => Err(sqlx::Error::Tls("server does not support TLS".into())),
            other => Err(sqlx::Error::Protocol(format!("unexpected response to the request for TLS: 0x{other:02x}"))),
        }
    }

    async fn connector(&self) -> SqlxResult<TlsConnector> {
        let tls = |e: rustls::Error| sqlx::Error::Tls(e.into());
        let provider = Arc::new(ring::default_provider());
        let chain = match self.mode {
            PgSslMode::VerifyCa | PgSslMode::VerifyFull => {
                let roots = Arc::new(self.authorities().await?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
                // without any authority
                Some(verifier.map_err(|_| tls(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)))?)
            }
            _ => None,
        };
        let verifier =
            Verifier { chain, checks_name: matches!(self.mode, PgSslMode::VerifyFull), provider: provider.clone() };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(&certificate.read().await?)?;
                let key = PrivateKeyDer::from_pem_slice(&key.read().await?).map_err(|e| {
                    sqlx::Error::Configuration(format!("expected a PEM private key in `sslkey`: {e}").into())
                })?;
                config.with_client_auth_cert(chain, key).map_err(tls)?
            }
            (None, None) => config.with_no_client_auth(),
            _ => return Err(sqlx::Error::Configuration("a client certificate and its key go together".into())),
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// Those of the system, and that of `sslrootcert`.
    async fn authorities(&self) -> SqlxResult<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(ca) = &self.ca {
            for certificate in certificates(&ca.read().await?)? {
                roots.add(certificate).map_err(|e| sqlx::Error::Tls(e.into()))?;
            }
        }
        Ok(roots)
    }
}

fn certificates(pem: &[u8]) -> SqlxResult<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| sqlx::Error::Tls(e.into()))
}

/// Verifies the certificate of a server as far as the mode asks for it: not at all, its authority, or also its name.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use rustls::Error::InvalidCertificate;
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
