//! What the verbs that speak HTTP share.
use crate::value::Value;
use http::HeaderMap;
use reqwest::Url;
use rustls::crypto::{CryptoProvider, ring};
use std::net::IpAddr;

/// Installs the TLS provider of the process, unless there is one. Without it, HTTP clients panic.
pub fn install_tls_provider() {
    if CryptoProvider::get_default().is_none() {
        let _ = ring::default_provider().install_default();
    }
}

/// Whether the host of a URL is this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Headers by lower-case name. Repeated ones are joined by `, `.
pub fn joined_headers(headers: &HeaderMap) -> Value {
    Value::map(headers.keys().map(|name| {
        let values: Vec<_> = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        (name.as_str().to_string(), Value::from(values.join(", ")))
    }))
}
