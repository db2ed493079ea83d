//! A server that requests are sent to: base address, connection settings and clients.
use super::{
    connection::{Connection, Protocol},
    tls::ClientCertificate,
};
use crate::executor::ActionError;
use reqwest::{Client, Url};
use std::sync::OnceLock;

pub(super) struct Endpoint {
    /// The base address.
    pub url: Url,
    pub connection: Connection,
    pub client: Client,
    /// For WebSockets, which begin with an HTTP/1.1 request.
    http1_client: OnceLock<Client>,
}

impl Endpoint {
    pub fn new(url: Url, connection: Connection) -> Result<Endpoint, ActionError> {
        let client = connection.client(None, connection.protocol)?;
        Ok(Endpoint { url, connection, client, http1_client: OnceLock::new() })
    }

    /// A client that speaks HTTP/1.1 only.
    pub fn http1_client(&self, certificate: Option<&ClientCertificate>) -> Result<Client, ActionError> {
        if let (None, Some(client)) = (certificate, self.http1_client.get()) {
            return Ok(client.clone());
        }
        let client = self.connection.client(certificate, Protocol::Http1)?;
        Ok(if certificate.is_some() { client } else { self.http1_client.get_or_init(|| client).clone() })
    }

    /// The URL of a path on this server. An absolute URL is returned unchanged, but for `ws:`, which becomes `http:`.
    pub fn resolve(&self, text: &str) -> Result<Url, ActionError> {
        let parsed = if has_scheme(text, ["http://", "https://"]) {
            Url::parse(text)
        } else if has_scheme(text, ["ws://", "wss://"]) {
            Url::parse(&format!("http{}", &text[2..]))
        } else {
            let slash = if text.starts_with(['/', '?']) { "" } else { "/" };
            Url::parse(&[self.url.as_str().trim_end_matches('/'), slash, text].concat())
        };
        parsed.map_err(|e| ActionError::Invalid(format!("expected a path or a URL, found `{text}`: {e}")))
    }
}

fn has_scheme(text: &str, schemes: [&str; 2]) -> bool {
    schemes.iter().any(|s| text.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
}
