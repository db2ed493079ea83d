//! Messages for a database that cannot be reached: which server, why, and what to do.
use super::too_large::TooLarge;
use crate::executor::ActionError;
use rustls::{AlertDescription, CertificateError};
use sqlx::mysql::MySqlDatabaseError;
use std::io::ErrorKind;

/// A database server as messages name it.
#[derive(Default)]
pub struct ServerAddress {
    /// The URL, without its password.
    pub url: String,
    /// Host and port, or a path.
    pub endpoint: String,
    pub user: String,
    pub database: String,
    pub password: Option<String>,
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

/// The error code of the server's documentation.
pub fn error_code(e: &sqlx::Error) -> Option<String> {
    let e = e.as_database_error()?;
    match e.try_downcast_ref::<MySqlDatabaseError>() {
        Some(e) => Some(e.number().to_string()),
        None => e.code().map(|c| c.to_string()),
    }
}

impl ServerAddress {
    /// The error for a failed connection.
    pub fn connect_error(&self, e: &sqlx::Error) -> ActionError {
        let why = match e {
            sqlx::Error::Database(db) => self.rejected(db.message(), error_code(e).as_deref().unwrap_or("?")),
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
        self.unreachable(&why)
    }

    pub fn unreachable(&self, why: &str) -> ActionError {
        ActionError::Unreachable(format!("cannot reach the database {}: {why}", self.url))
    }

    fn rejected(&self, message: &str, code: &str) -> String {
        match code {
            // SQLite: busy and locked
            "5" | "6" | "261" | "262" | "517" => "locked by another connection for 5 s".to_string(),
            "28P01" | "1045" if self.password.is_some() => {
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
        if let Some(e) = TooLarge::caused(e) {
            return format!("{} {e}", self.endpoint);
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
