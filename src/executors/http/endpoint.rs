//! A server that requests are sent to: base address, connection settings and clients.
use super::{
    connection::{Connection, Protocol},
    tls::ClientCertificate,
};
use crate::executor::ActionError;
use reqwest::{Client, Url};
use std::sync::OnceLock;

pub(super) struct Endpoint {
    base: String,
    url: Url,
    pub connection: Connection,
    client: Client,
    /// For WebSockets, which begin with an HTTP/1.1 request.
    http1_client: OnceLock<Client>,
}

impl Endpoint {
    /// `base`: the address without a trailing `/`. `url`: the same, parsed.
    pub fn new(base: String, url: Url, connection: Connection) -> Result<Endpoint, ActionError> {
        let client = connection.client(None, connection.protocol)?;
        Ok(Endpoint { base, url, connection, client, http1_client: OnceLock::new() })
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A client that speaks HTTP/1.1 only.
    pub fn http1_client(&self, certificate: Option<&ClientCertificate>) -> Result<Client, ActionError> {
        if certificate.is_some() {
            return self.connection.client(certificate, Protocol::Http1);
        }
        match self.http1_client.get() {
            Some(client) => Ok(client.clone()),
            None => {
                let client = self.connection.client(None, Protocol::Http1)?;
                Ok(self.http1_client.get_or_init(|| client).clone())
            }
        }
    }

    /// The URL of a path on this server. An absolute URL is returned unchanged, but for `ws:`, which becomes `http:`.
    pub fn resolve(&self, text: &str) -> Result<Url, ActionError> {
        let parsed = if has_scheme(text, ["http://", "https://"]) {
            Url::parse(text)
        } else if has_scheme(text, ["ws://", "wss://"]) {
            Url::parse(&format!("http{}", &text[2..]))
        } else {
            let slash = if text.starts_with(['/', '?']) { "" } else { "/" };
            Url::parse(&[&self.base, slash, text].concat())
        };
        parsed.map_err(|e| ActionError::Invalid(format!("expected a path or a URL, found `{text}`: {e}")))
    }
}

fn has_scheme(text: &str, schemes: [&str; 2]) -> bool {
    schemes.iter().any(|s| text.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
}
