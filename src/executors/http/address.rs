//! Validates the URLs of an environment: of a target and of its proxy.
use crate::executor::ActionError;
use reqwest::Url;

/// The base address of a target.
pub(super) fn parse_base(text: &str) -> Result<Url, ActionError> {
    let url = parse(text.trim().trim_end_matches('/'))?;
    match (url.scheme(), url.query()) {
        ("http" | "https", None) => Ok(url),
        ("http" | "https", Some(query)) => Err(unexpected("a URL without a query", &format!("?{query}"))),
        (scheme, _) => Err(unexpected("a URL with `http:` or `https:`", &format!("{scheme}:"))),
    }
}

pub(super) fn parse_proxy(text: &str) -> Result<Url, ActionError> {
    let url = parse(text)?;
    match url.scheme() {
        "http" | "https" | "socks5" | "socks5h" if url.has_host() => Ok(url),
        other => {
            let expected = "a URL with a host and `http:`, `https:`, `socks5:` or `socks5h:`";
            Err(unexpected(expected, &format!("{other}:")))
        }
    }
}

fn parse(text: &str) -> Result<Url, ActionError> {
    Url::parse(text).map_err(|e| ActionError::Invalid(format!("expected a URL, found `{text}`: {e}")))
}

fn unexpected(expected: &str, found: &str) -> ActionError {
    ActionError::Invalid(format!("expected {expected}, found `{found}`"))
}
