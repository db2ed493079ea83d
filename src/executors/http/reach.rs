//! Why a server could not be asked: one sentence for each reason, which says what to do. Pure.
use super::connection::Connection;
use crate::executors::error_chain::{causes, error_chain};
use reqwest::Url;
use rustls::{CertificateError, Error as Tls};
use std::{error::Error, io};

/// Whether the request never got to whoever should answer it, although the connection itself had come about: a server may look
/// at a client's certificate only afterwards (TLS 1.3).
pub(super) fn unasked(error: &reqwest::Error) -> bool {
    error.is_connect() || alert(&chain(error)).is_some()
}

/// The alert of a server that does not like the client's certificate, or that there is none. HTTP/2 keeps only its text.
fn alert(chain: &str) -> Option<&str> {
    const CERTIFICATE: [&str; 9] = [
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
    let said = chain.split("received fatal alert: ").nth(1)?;
    CERTIFICATE.into_iter().find(|name| said.starts_with(name))
}

/// Why no connection came about, as one sentence that says what to do.
pub(super) fn sentence(error: &reqwest::Error, url: &Url, way: &Connection) -> String {
    let (at, all) = (url.origin().ascii_serialization(), chain(error));
    let why = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    if let Some(path) = &way.socket
        && find::<Tls>(error).is_none()
    {
        return format!("no connection to the socket `{}`: {why}; is the server running?", path.display());
    }
    if all.contains("proxy authorization required") {
        let proxy = way.proxied().unwrap_or_else(|| "that the system names".into());
        return format!("the proxy {proxy} does not accept who asks (407): its user and password stand in its URL");
    }
    if all.contains("tunnel error: unsuccessful") {
        let proxy = way.proxied().unwrap_or_else(|| "that the system names".into());
        return format!("the proxy {proxy} refuses to connect to {at}");
    }
    // with a proxy of the environment's own nobody else is connected to
    let (end, name) = match way.proxied() {
        Some(proxy) => (format!("the proxy {proxy}"), "the host of the proxy".to_string()),
        None => (at.clone(), format!("the host `{host}`")),
    };
    let refused = find::<io::Error>(error).is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    if let Some(alert) = alert(&all) {
        alert_sentence(alert, &at)
    } else if let Some(tls) = find::<Tls>(error) {
        tls_sentence(tls, &at, host, way)
    } else if refused {
        format!("connection refused by {end}: is it running?")
    } else if error.is_dns() || all.contains("dns error") || all.contains("failed to lookup") {
        format!("{name} cannot be resolved: {why}")
    } else if error.is_timeout() {
        format!("no connection to {end} within 5 s: can it be reached from here?")
    } else {
        format!("no connection to {end}: {why}")
    }
}

fn alert_sentence(alert: &str, at: &str) -> String {
    match alert {
        "CertificateRequired" => format!("{at} requires a client certificate: name one with `cert` and `key`"),
        alert => format!("{at} does not accept the client certificate ({alert}): look at `cert` and `key`"),
    }
}

fn tls_sentence(error: &Tls, at: &str, host: &str, way: &Connection) -> String {
    match error {
        Tls::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            format!("the certificate of {at} has expired: renew it on the server, or compare the clocks")
        }
        Tls::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            format!("the certificate of {at} is not valid yet: compare the clocks")
        }
        Tls::InvalidCertificate(CertificateError::NotValidForName) => {
            format!(
                "the certificate of {at} is not for the name `{host}`: ask it by the name that it has, with `resolve` where that leads elsewhere"
            )
        }
        Tls::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => format!(
            "the certificate of {at} is not for the name `{host}` but for {}: ask it by that name, with `resolve` where it leads elsewhere",
            presented.join(", ")
        ),
        Tls::InvalidCertificate(CertificateError::Revoked) => format!("the certificate of {at} is revoked"),
        Tls::InvalidCertificate(why) => {
            let hint = match &way.trust.ca {
                None => "name its authority with `ca` beside the target's address".to_string(),
                Some(ca) => format!("`{}` is not its authority, nor is any that the system knows", ca.display()),
            };
            let why = if *why == CertificateError::UnknownIssuer {
                "of an unknown authority".into()
            } else {
                why.to_string()
            };
            format!("the certificate of {at} is not accepted ({why}): {hint}")
        }
        Tls::AlertReceived(alert) => format!("{at} breaks off TLS ({alert:?})"),
        Tls::InvalidMessage(_) => format!("{at} does not speak TLS: is it `http://`?"),
        other => format!("no TLS with {at}: {other}"),
    }
}

/// The innermost cause of this type.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    causes(error).filter_map(|e| e.downcast_ref()).last()
}

/// The causes of a client error. Its own message holds only the URL.
pub(super) fn chain(error: &reqwest::Error) -> String {
    error_chain(error.source().unwrap_or(error))
}
