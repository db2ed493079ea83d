//! Validates the URLs of an environment: of a target and of its proxy.
use crate::executor::ActionError;
use reqwest::Url;
use std::str::FromStr;

#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    #[error("expected a URL, found `{text}`: {source}")]
    Syntax { text: String, source: <Url as FromStr>::Err },
    #[error("expected a URL with {expected}, found `{found}:`")]
    Scheme { expected: &'static str, found: String },
    #[error("expected a URL without a query, found `?{0}`")]
    Query(String),
}

impl From<AddressError> for ActionError {
    fn from(e: AddressError) -> Self {
        ActionError::Invalid(e.to_string())
    }
}

/// The base address of a target: its text without a trailing `/`, and its URL.
pub(super) fn parse_base(text: &str) -> Result<(String, Url), AddressError> {
    let text = text.trim().trim_end_matches('/');
    let url = parse(text)?;
    match (url.scheme(), url.query()) {
        ("http" | "https", Some(query)) => Err(AddressError::Query(query.into())),
        ("http" | "https", None) => Ok((text.to_string(), url)),
        (scheme, _) => Err(AddressError::Scheme { expected: "`http:` or `https:`", found: scheme.into() }),
    }
}

pub(super) fn parse_proxy(text: &str) -> Result<Url, AddressError> {
    let url = parse(text)?;
    match url.scheme() {
        "http" | "https" | "socks5" | "socks5h" if url.has_host() => Ok(url),
        other => Err(AddressError::Scheme {
            expected: "a host and `http:`, `https:`, `socks5:` or `socks5h:`",
            found: other.into(),
        }),
    }
}

fn parse(text: &str) -> Result<Url, AddressError> {
    Url::parse(text).map_err(|source| AddressError::Syntax { text: text.into(), source })
}
