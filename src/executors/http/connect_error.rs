//! Explains why a request could not be sent: one sentence per cause, with what to do. Pure.
use super::connection::Connection;
use crate::executors::error_chain::{causes, error_chain};
use reqwest::Url;
use rustls::{CertificateError, Error as TlsError};
use std::{error::Error, io};

/// Whether the request did not reach the server. In TLS 1.3 a server may reject the client certificate after the
/// handshake, which the client does not count as a connect error.
pub(super) fn never_sent(error: &reqwest::Error) -> bool {
    error.is_connect() || certificate_alert(&reasons(error)).is_some()
}

/// The causes of a client error. Its own message holds only the URL.
pub(super) fn reasons(error: &reqwest::Error) -> String {
    error_chain(error.source().unwrap_or(error))
}

/// The TLS alert by which a server rejects or requires a client certificate. HTTP/2 keeps only its text.
fn certificate_alert(reasons: &str) -> Option<&str> {
    const ALERTS: [&str; 9] = [
        "CertificateRequired",
        "BadCertificate",
        "UnsupportedCertificate",
        "CertificateRevoked",
        "CertificateExpired",
        "CertificateUnknown",
        "UnknownCA",
        "AccessDenied",
        "DecryptError",
    ];
    let alert = reasons.split("received fatal alert: ").nth(1)?;
    ALERTS.into_iter().find(|name| alert.starts_with(name))
}

/// Why no connection was established, and what to do.
pub(super) fn explain(error: &reqwest::Error, url: &Url, connection: &Connection) -> String {
    let (server, reasons) = (url.origin().ascii_serialization(), reasons(error));
    let innermost = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    if let Some(path) = &connection.socket
        && innermost_of::<TlsError>(error).is_none()
    {
        return format!("cannot connect to the socket `{}`: {innermost}; is the server running?", path.display());
    }
    if reasons.contains("proxy authorization required") {
        return proxy_authentication_failed(connection);
    }
    if reasons.contains("tunnel error: unsuccessful") {
        return format!("the proxy {} refused to connect to {server}", proxy_name(connection));
    }
    // With a configured proxy, only the proxy is connected to.
    let (peer, peer_host) = match connection.proxy_address() {
        Some(proxy) => (format!("the proxy {proxy}"), "the host of the proxy".to_string()),
        None => (server.clone(), format!("the host `{host}`")),
    };
    let refused = innermost_of::<io::Error>(error).is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    if let Some(alert) = certificate_alert(&reasons) {
        explain_alert(alert, &server)
    } else if let Some(tls) = innermost_of::<TlsError>(error) {
        explain_tls(tls, &server, host, connection)
    } else if refused {
        format!("connection refused by {peer}: is it running?")
    } else if error.is_dns() || reasons.contains("dns error") || reasons.contains("failed to lookup") {
        format!("{peer_host} cannot be resolved: {innermost}")
    } else if error.is_timeout() {
        format!("connecting to {peer} timed out after 5 s: is it reachable from here?")
    } else {
        format!("cannot connect to {peer}: {innermost}")
    }
}

/// The message for a proxy that responds 407, also to a plain request.
pub(super) fn proxy_authentication_failed(connection: &Connection) -> String {
    let proxy = proxy_name(connection);
    format!("authentication at the proxy {proxy} failed (407): put user and password in the proxy URL")
}

fn proxy_name(connection: &Connection) -> String {
    connection.proxy_address().unwrap_or_else(|| "of the system settings".into())
}

fn explain_alert(alert: &str, server: &str) -> String {
    match alert {
        "CertificateRequired" => format!("{server} requires a client certificate: set `cert` and `key` in the target"),
        alert => format!("{server} rejected the client certificate ({alert}): check `cert` and `key`"),
    }
}

fn explain_tls(error: &TlsError, server: &str, host: &str, connection: &Connection) -> String {
    let TlsError::InvalidCertificate(invalid) = error else {
        return match error {
            TlsError::AlertReceived(alert) => format!("{server} aborted the TLS handshake ({alert:?})"),
            TlsError::InvalidMessage(_) => {
                format!("{server} does not speak TLS: should the URL begin with `http://`?")
            }
            other => format!("the TLS handshake with {server} failed: {other}"),
        };
    };
    let certificate = format!("the certificate of {server}");
    match invalid {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("{certificate} has expired: renew it on the server, or check the clocks")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("{certificate} is not valid yet: check the clocks")
        }
        CertificateError::NotValidForName => {
            format!("{certificate} is not valid for the name `{host}`: use the name in it, with `resolve` if needed")
        }
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "{certificate} is not valid for the name `{host}`, only for {}: use that name, with `resolve` if needed",
            presented.join(", ")
        ),
        CertificateError::Revoked => format!("{certificate} has been revoked"),
        other => {
            let reason = match other {
                CertificateError::UnknownIssuer => "signed by an unknown authority".into(),
                other => other.to_string(),
            };
            let advice = match &connection.ca {
                None => "set `ca` in the target to the certificate of its authority".to_string(),
                Some(ca) => format!("neither `{}` nor the system contains its authority", ca.display()),
            };
            format!("{certificate} is not trusted ({reason}): {advice}")
        }
    }
}

/// The innermost cause of this type.
fn innermost_of<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    causes(error).filter_map(|e| e.downcast_ref()).last()
}
