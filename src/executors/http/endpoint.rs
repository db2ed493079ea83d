//! A server that requests are sent to: base address, connection settings and clients.
use super::{
    connection::{Connection, Protocol},
    tls::ClientCertificate,
};
use crate::executor::ActionError;
use reqwest::Client;
use std::sync::OnceLock;
use url::{Position, Url};

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

    /// The URL of a path on this server. In an absolute URL, `ws:` becomes `http:`. Path and query are not changed.
    pub fn resolve(&self, text: &str) -> Result<Url, ActionError> {
        let invalid = |e: String| ActionError::Invalid(format!("expected a path or a URL, found `{text}`: {e}"));
        let Some(scheme) = scheme(text) else {
            let slash = if text.starts_with(['/', '?']) { "" } else { "/" };
            let target = [self.url.path().trim_end_matches('/'), slash, text].concat();
            return with_target(&self.url, &target).map_err(invalid);
        };
        let authority = scheme.len() + text[scheme.len()..].find(['/', '?', '\\']).unwrap_or(text.len() - scheme.len());
        let origin = match text.get(..2) {
            Some(ws) if ws.eq_ignore_ascii_case("ws") => format!("http{}", &text[2..authority]),
            _ => text[..authority].to_string(),
        };
        let origin = Url::parse(&origin).map_err(|e| invalid(e.to_string()))?;
        with_target(&origin, &text[authority..]).map_err(invalid)
    }
}

/// `http://`, if the text begins with it or with another scheme that requests have.
pub(super) fn scheme(text: &str) -> Option<&'static str> {
    let begins = |s: &&&str| text.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s));
    ["http://", "https://", "ws://", "wss://"].iter().find(begins).copied()
}

/// The URL with this path and query. `Url::parse` would resolve `..` and `%2e`, and replace `\`: that is for links, not
/// for requests that a plan spells out. A URL made of its parts is sent as it is.
fn with_target(origin: &Url, target: &str) -> Result<Url, String> {
    let target = if target.starts_with('/') { target.to_string() } else { format!("/{target}") };
    let path_start = origin[..Position::BeforePath].len();
    let text = [&origin[..Position::BeforePath], &target].concat();
    match Url::parse(&text) {
        Ok(url) if url.as_str() == text => return Ok(url),
        Err(e) => return Err(e.to_string()),
        Ok(_) => {}
    }
    let mut parts = origin.serialize_internal(serde_json::value::Serializer).map_err(|e| e.to_string())?;
    // The text, and where query and fragment begin in it.
    parts[0] = text.into();
    parts[8] = target.find('?').map(|i| path_start + i).into();
    parts[9] = serde_json::Value::Null;
    Url::deserialize_internal(parts).map_err(|e| e.to_string())
}
