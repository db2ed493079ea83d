//! Messages for a database that cannot be reached: which server, why, and what to do.
use super::pool::{CONNECT_TIMEOUT, LeaseError, MAX_CONNECTIONS};
use rustls::{AlertDescription, CertificateError};
use std::io::ErrorKind;

/// A database server as messages name it.
pub struct ServerAddress {
    /// The URL, without its password.
    pub url: String,
    /// Host and port, or a path.
    pub endpoint: String,
    pub user: String,
    pub database: String,
    pub has_password: bool,
    pub tls: TlsOptions,
}

/// The names of the URL's TLS options, which differ between servers.
#[derive(Default)]
pub struct TlsOptions {
    /// With the value that is set: `sslmode=require`.
    pub mode: String,
    pub ca: &'static str,
    pub certificate: &'static str,
}

impl ServerAddress {
    pub fn describe_lease_error(&self, error: &LeaseError, code: Option<&str>) -> String {
        match error {
            LeaseError::Connect(e) => self.describe(e, code),
            LeaseError::TimedOut => {
                self.unreachable(format!("no response from {} within {} s", self.endpoint, CONNECT_TIMEOUT.as_secs()))
            }
            LeaseError::Exhausted => self.unreachable(format!(
                "all {MAX_CONNECTIONS} connections were in use for {} s",
                CONNECT_TIMEOUT.as_secs()
            )),
        }
    }

    /// `code`: the server's error code, if it sent one.
    pub fn describe(&self, e: &sqlx::Error, code: Option<&str>) -> String {
        let why = match e {
            sqlx::Error::Database(e) => self.rejected(e.message(), code.unwrap_or("?")),
            sqlx::Error::Io(e) => self.io_error(e),
            sqlx::Error::Tls(e) => match e.downcast_ref::<rustls::Error>() {
                Some(e) => self.tls_error(e),
                None if e.to_string().contains("does not support TLS") => {
                    format!("{} does not support TLS, but `{}` requires it", self.endpoint, self.tls.mode)
                }
                None => format!("TLS handshake with {} failed: {e}", self.endpoint),
            },
            sqlx::Error::Protocol(message) if message.contains("unknown authentication plugin") => {
                format!("{} requires an unsupported login method for `{}`: {message}", self.endpoint, self.user)
            }
            sqlx::Error::Configuration(e) if e.to_string().contains("RSA auth backend") => {
                format!(
                    "{} accepts the password only over TLS: set `ssl-mode=REQUIRED`, and enable TLS on the server",
                    self.endpoint
                )
            }
            other => other.to_string(),
        };
        self.unreachable(why)
    }

    fn unreachable(&self, why: String) -> String {
        format!("cannot reach the database {}: {why}", self.url)
    }

    fn rejected(&self, message: &str, code: &str) -> String {
        match code {
            // SQLite: busy and locked
            "5" | "6" | "261" | "262" | "517" => "locked by another connection for 5 s".to_string(),
            "28P01" | "1045" if self.has_password => {
                format!("wrong password for user `{}` ({code}): {message}", self.user)
            }
            "28P01" | "1045" => format!("login of `{}` without a password was rejected ({code}): {message}", self.user),
            "28000" | "1130" | "1698" => {
                format!("login of `{}` from this host was rejected ({code}): {message}", self.user)
            }
            "3D000" | "1049" => format!("{} has no database `{}` ({code})", self.endpoint, self.database),
            "1044" => {
                format!(
                    "user `{}` has no access to database `{}`, or it does not exist ({code})",
                    self.user, self.database
                )
            }
            "53300" | "1040" | "1203" => format!("{} has no free connection ({code}): {message}", self.endpoint),
            "57P03" | "57P01" | "57P02" | "1053" => {
                format!("{} is starting or shutting down ({code}): {message}", self.endpoint)
            }
            _ => format!("{message} ({code})"),
        }
    }

    fn io_error(&self, e: &std::io::Error) -> String {
        if let Some(e) = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            return self.tls_error(e);
        }
        match e.kind() {
            ErrorKind::ConnectionRefused => {
                format!("connection refused by {}: is it running?", self.endpoint)
            }
            ErrorKind::NotFound => format!("no such socket: {}", self.endpoint),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                format!("{} closed the connection: {e}", self.endpoint)
            }
            _ if e.to_string().contains("lookup") => format!("host not found (DNS): {}: {e}", self.endpoint),
            _ => format!("{}: {e}", self.endpoint),
        }
    }

    fn tls_error(&self, e: &rustls::Error) -> String {
        use rustls::Error as E;
        let (endpoint, ca) = (&self.endpoint, self.tls.ca);
        match e {
            E::InvalidCertificate(CertificateError::UnknownIssuer) => {
                format!("the certificate of {endpoint} is signed by an unknown authority: set its CA in `{ca}`")
            }
            E::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => {
                format!("the certificate of {endpoint} is for another name ({e})")
            }
            E::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                format!("the certificate of {endpoint} has expired")
            }
            E::AlertReceived(AlertDescription::CertificateRequired) => {
                format!("{endpoint} requires a client certificate: set `{}`", self.tls.certificate)
            }
            _ => format!("TLS handshake with {endpoint} failed: {e}"),
        }
    }
}
