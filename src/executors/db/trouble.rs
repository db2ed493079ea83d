//! Sentences for a database that could not be asked: who was asked, why it did not answer, and what to do. Pure.
use super::pool::{MOST, Missing, PATIENCE};
use rustls::{AlertDescription, CertificateError};
use std::io::ErrorKind;

/// Where a database is, for people.
pub struct Place {
    /// Without its password.
    pub address: String,
    /// Host and port, or a path.
    pub at: String,
    pub user: String,
    pub database: String,
    pub has_password: bool,
    /// What the options for TLS are called here, and which one is set.
    pub tls: Tls,
}

#[derive(Default)]
pub struct Tls {
    pub mode: String,
    pub ca: &'static str,
    pub certificate: &'static str,
}

impl Place {
    pub fn missing(&self, missing: &Missing, code: Option<&str>) -> String {
        match missing {
            Missing::Error(e) => self.sentence(e, code),
            Missing::Silent => self.said(format!("{} does not answer within {} s", self.at, PATIENCE.as_secs())),
            Missing::Busy => self.said(format!("all {MOST} connections were in use for {} s", PATIENCE.as_secs())),
        }
    }

    /// `code` is the server's own, where it said one.
    pub fn sentence(&self, e: &sqlx::Error, code: Option<&str>) -> String {
        let why = match e {
            sqlx::Error::Database(e) => self.refusal(e.message(), code.unwrap_or("?")),
            sqlx::Error::Io(e) => self.io(e),
            sqlx::Error::Tls(e) => match e.downcast_ref::<rustls::Error>() {
                Some(e) => self.tls(e),
                None if e.to_string().contains("does not support TLS") => {
                    format!("{} offers no TLS, and `{}` asks for it", self.at, self.tls.mode)
                }
                None => format!("no TLS with {}: {e}", self.at),
            },
            sqlx::Error::Protocol(said) if said.contains("unknown authentication plugin") => {
                format!("{} wants `{}` to log in by a way that is not spoken here: {said}", self.at, self.user)
            }
            sqlx::Error::Configuration(e) if e.to_string().contains("RSA auth backend") => {
                format!(
                    "{} takes the password only over TLS: set `ssl-mode=REQUIRED`, and TLS up on the server",
                    self.at
                )
            }
            other => other.to_string(),
        };
        self.said(why)
    }

    fn said(&self, why: String) -> String {
        format!("cannot reach the database {}: {why}", self.address)
    }

    fn refusal(&self, message: &str, code: &str) -> String {
        match code {
            // of SQLite, the lower byte of which says what kind it is
            "5" | "6" | "261" | "262" | "517" => "it stayed locked by another connection for 5 s".to_string(),
            "28P01" | "1045" if self.has_password => {
                format!("the password of `{}` is not accepted ({code}): {message}", self.user)
            }
            "28P01" | "1045" => format!("`{}` is not let in without a password ({code}): {message}", self.user),
            "28000" | "1130" | "1698" => format!("`{}` is not let in from here ({code}): {message}", self.user),
            "3D000" | "1049" => format!("{} has no database `{}` ({code})", self.at, self.database),
            "1044" => {
                format!("`{}` may not use the database `{}`, or there is none ({code})", self.user, self.database)
            }
            "53300" | "1040" | "1203" => format!("{} has no connection left ({code}): {message}", self.at),
            "57P03" | "57P01" | "57P02" | "1053" => {
                format!("{} is starting or going down ({code}): {message}", self.at)
            }
            _ => format!("{message} ({code})"),
        }
    }

    fn io(&self, e: &std::io::Error) -> String {
        if let Some(e) = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            return self.tls(e);
        }
        match e.kind() {
            ErrorKind::ConnectionRefused => {
                format!("nobody listens at {} (connection refused); is it running?", self.at)
            }
            ErrorKind::NotFound => format!("there is no socket {}", self.at),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                format!("{} closed the connection: {e}", self.at)
            }
            _ if e.to_string().contains("lookup") => format!("the name of {} is not known (DNS): {e}", self.at),
            _ => format!("{}: {e}", self.at),
        }
    }

    fn tls(&self, e: &rustls::Error) -> String {
        use rustls::Error as E;
        let (at, ca) = (&self.at, self.tls.ca);
        match e {
            E::InvalidCertificate(CertificateError::UnknownIssuer) => {
                format!("the certificate of {at} is signed by nobody who is trusted here: name its CA in `{ca}`")
            }
            E::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => {
                format!("the certificate of {at} is for another name ({e})")
            }
            E::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                format!("the certificate of {at} has expired")
            }
            E::AlertReceived(AlertDescription::CertificateRequired) => {
                format!("{at} wants a certificate of the client: name one in `{}`", self.tls.certificate)
            }
            _ => format!("no TLS with {at}: {e}"),
        }
    }
}
