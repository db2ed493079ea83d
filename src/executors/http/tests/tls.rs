//! TLS: trusted authorities, client certificates, and the errors when the handshake fails.
use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A certificate authority with a folder: `ca.pem`, and `NAME.pem` and `NAME.key` for each name.
pub(super) struct Authority {
    pub folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Authority {
        crate::executors::net::install_tls_provider();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        // Without it, issuer and subject of a certificate would be equal, which means self-signed.
        params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority { folder, der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn issue(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_string()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// A server of this name on loopback. With `require_client`, it requires a client certificate of this authority.
    pub async fn serve(
        &self,
        router: Router,
        name: &str,
        require_client: bool,
        change: impl FnOnce(&mut CertificateParams),
    ) -> SocketAddr {
        let (chain, key) = self.issue(name, change);
        let builder = ServerConfig::builder();
        let builder = if require_client {
            let mut roots = RootCertStore::empty();
            roots.add(self.der.clone()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = Listener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

struct Listener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.tcp.accept().await.unwrap();
            match self.acceptor.accept(stream).into_fallible().await {
                Ok(stream) => return (stream, from),
                // Closing with unread data would reset the connection, and the alert could be lost.
                Err((_, mut stream)) => drop(tokio::spawn(async move {
                    let _ = stream.shutdown().await;
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                })),
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

fn hello() -> Router {
    Router::new().fallback(async || "hello")
}

async fn unreachable_reason(target: &str) -> String {
    let s = stage(target).await;
    let error = match perform(&s, "request: GET /").await {
        Ok(out) => panic!("{}\n{:?}", out.value, s.evidence(EvidenceKind::Note)),
        Err(e) => e,
    };
    assert!(matches!(error, ActionError::Unreachable(_)), "{error:?}");
    assert!(s.evidence(EvidenceKind::Reproduce).len() == 1);
    error.to_string()
}

#[tokio::test]
async fn trusts_the_authority_in_ca() {
    let authority = Authority::new();
    let at = authority.serve(hello(), "localhost", false, |_| {}).await;
    let ca = authority.path("ca.pem");
    let s = stage(&format!("{{ http: 'https://localhost:{}', ca: '{}' }}", at.port(), ca.display())).await;
    let out = perform(&s, "request: GET /").await.unwrap();
    assert_eq!(out.value.get("text"), Some(&Value::text("hello")));
    assert!(s.evidence(EvidenceKind::Response)[0].starts_with("HTTP/2.0 200"), "negotiated in the TLS handshake");
    let line = &s.evidence(EvidenceKind::Reproduce)[0];
    assert!(line.contains(&format!("--cacert {}", ca.display())), "{line}");
    let ran = tokio::process::Command::new("sh").args(["-c", line]).output().await.unwrap();
    assert!(ran.stdout.ends_with(b"hello"), "{line}\n{}", String::from_utf8_lossy(&ran.stderr));

    let unknown = unreachable_reason(&format!("http: https://localhost:{}", at.port())).await;
    assert!(
        unknown.ends_with(
            "is not trusted (signed by an unknown authority): set `ca` in the target to the certificate of its authority"
        ),
        "{unknown}"
    );
    let other = Authority::new();
    let target = format!("{{ http: 'https://localhost:{}', ca: '{}' }}", at.port(), other.path("ca.pem").display());
    let wrong = unreachable_reason(&target).await;
    assert!(wrong.ends_with("ca.pem` nor the system contains its authority"), "{wrong}");
    let s = stage(&format!("{{ http: 'https://localhost:{}', insecure: true }}", at.port())).await;
    perform(&s, "request: GET /").await.unwrap();
    assert!(s.evidence(EvidenceKind::Reproduce)[0].contains("--insecure"));
}

#[tokio::test]
async fn explains_expired_and_misnamed_certificates() {
    let authority = Authority::new();
    let ca = authority.path("ca.pem").display().to_string();
    let target = |at: SocketAddr, host: &str| format!("{{ http: 'https://{host}:{}', ca: '{ca}' }}", at.port());
    let expired = authority.serve(hello(), "localhost", false, |p| p.not_after = date_time_ymd(2001, 1, 1)).await;
    let reason = unreachable_reason(&target(expired, "localhost")).await;
    assert!(reason.contains(" has expired: renew it on the server"), "{reason}");
    let early = authority.serve(hello(), "localhost", false, |p| p.not_before = date_time_ymd(4000, 1, 1)).await;
    let reason = unreachable_reason(&target(early, "localhost")).await;
    assert!(reason.ends_with(" is not valid yet: check the clocks"), "{reason}");
    let named = authority.serve(hello(), "api.example", false, |_| {}).await;
    let reason = unreachable_reason(&target(named, "localhost")).await;
    assert!(
        reason.contains("is not valid for the name `localhost`, only for ") && reason.contains("api.example"),
        "{reason}"
    );
}

#[tokio::test]
async fn client_certificate_is_sent_and_its_absence_explained() {
    let authority = Authority::new();
    let at = authority.serve(hello(), "localhost", true, |_| {}).await;
    authority.issue("client", |_| {});
    let (url, ca) = (format!("https://localhost:{}", at.port()), authority.path("ca.pem").display().to_string());
    let (cert, key) = (authority.path("client.pem"), authority.path("client.key"));
    let pair = format!("cert: '{}', key: '{}'", cert.display(), key.display());

    let s = stage(&format!("{{ http: '{url}', ca: '{ca}', {pair} }}")).await;
    assert_eq!(perform(&s, "request: GET /").await.unwrap().value.get("text"), Some(&Value::text("hello")));
    let line = &s.evidence(EvidenceKind::Reproduce)[0];
    assert!(line.contains(&format!("--cert {} --key {}", cert.display(), key.display())), "{line}");
    let ran = tokio::process::Command::new("sh").args(["-c", line]).output().await.unwrap();
    assert!(ran.stdout.ends_with(b"hello"), "{line}\n{}", String::from_utf8_lossy(&ran.stderr));

    let reason = unreachable_reason(&format!("{{ http: '{url}', ca: '{ca}' }}")).await;
    assert_eq!(reason, format!("{url} requires a client certificate: set `cert` and `key` in the target"));
    let stranger = Authority::new();
    stranger.issue("client", |_| {});
    let (cert, key) = (stranger.path("client.pem"), stranger.path("client.key"));
    let target = format!("{{ http: '{url}', ca: '{ca}', cert: '{}', key: '{}' }}", cert.display(), key.display());
    let reason = unreachable_reason(&target).await;
    assert!(reason.contains(" rejected the client certificate ("), "{reason}");

    // An identity with its own certificate.
    let s = stage(&format!("{{ http: '{url}', ca: '{ca}', identities: {{ known: {{ {pair} }} }} }}")).await;
    assert!(perform(&s, "request: GET /").await.is_err());
    perform(&s, "{ request: GET /, identity: known }").await.unwrap();
}

#[tokio::test]
async fn refuses_files_without_certificates() {
    let s = Harness::new(&Http, std::env::temp_dir());
    let failed = async |target: &str| s.connect(target).await.err().unwrap().to_string();
    let missing = failed("{ http: https://x, ca: no/such.pem }").await;
    assert!(missing.contains("no/such.pem") && missing.contains("cannot read the CA file"), "{missing}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.pem");
    std::fs::write(&file, "nothing").unwrap();
    let file = file.display();
    let empty = failed(&format!("{{ http: https://x, ca: '{file}' }}")).await;
    assert!(empty.contains("expected PEM certificates in the CA file"), "{empty}");
    let pair = failed(&format!("{{ http: https://x, cert: '{file}' }}")).await;
    assert!(pair.contains("if the key has a file of its own, set `key`"), "{pair}");
    let pair = failed(&format!("{{ http: https://x, cert: '{file}', key: '{file}' }}")).await;
    assert!(pair.starts_with("expected a PEM certificate with its key in "), "{pair}");
}
