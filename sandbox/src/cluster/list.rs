//! Owns lists: which objects, at which version, in which pages.
//!
//! A page is a look into the past of the store, so nothing is kept between two pages. Must not know HTTP.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::selector::Selector;
use super::status::{Cause, Refusal};
use super::store::{Key, Store};

/// What a request says about the list it wants.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub limit: usize,
    /// Where the previous page ended; empty for the first.
    pub token: String,
    pub version: String,
    pub version_match: String,
}

/// A page of a list, or all of it.
#[derive(Debug)]
pub(super) struct Listing {
    pub version: u64,
    pub items: Vec<Arc<Value>>,
    pub token: String,
    pub remaining: Option<usize>,
}

impl Listing {
    pub fn metadata(&self) -> Value {
        let mut metadata = json!({ "resourceVersion": self.version.to_string() });
        if !self.token.is_empty() {
            metadata["continue"] = json!(self.token);
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = json!(remaining);
        }
        metadata
    }
}

/// A version as a request writes it.
///
/// # Errors
/// `code` if it is no number: 400 for a list, 500 elsewhere, as in the real server.
pub(super) fn version(text: &str, code: u16) -> Result<Option<u64>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Refusal::bad_version(code, text))
}

/// # Errors
/// 400 for a token or version that cannot be read, 410 for one that the history no longer reaches, 504 for a version to come.
pub(super) fn list(
    store: &Store,
    kind: &Kind,
    namespace: &str,
    selector: &Selector,
    wanted: &Wanted,
) -> Result<Listing, Refusal> {
    let resource = kind.resource();
    let asked = version(&wanted.version, 400)?;
    let exact = match wanted.version_match.as_str() {
        "" | "NotOlderThan" => false,
        "Exact" => true,
        other => {
            let other = format!("{other:?}");
            let cause = Cause::unsupported("resourceVersionMatch", &other, &["Exact", "NotOlderThan", ""]);
            return Err(Refusal::invalid_options("ListOptions", vec![cause]));
        }
    };
    if !wanted.version_match.is_empty() && asked.is_none() {
        let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        return Err(Refusal::invalid_options("ListOptions", vec![Cause::forbidden("resourceVersionMatch", why)]));
    }
    let (at, after) = if wanted.token.is_empty() {
        (if exact { asked.unwrap_or_default() } else { store.version() }, None)
    } else {
        if asked.is_some_and(|v| v > 0) {
            return Err(Refusal::bad_request("specifying resource version is not allowed when using continue"));
        }
        let (at, after) = read_token(&wanted.token, &resource).ok_or_else(|| {
            Refusal::bad_request("invalid continue token: continue key is not valid: it was not made by this server")
        })?;
        (at, Some(after))
    };
    if exact && at == 0 {
        let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
        return Err(Refusal::invalid_options("ListOptions", vec![Cause::forbidden("resourceVersionMatch", why)]));
    }
    if let Some(asked) = asked.or(Some(at)).filter(|v| *v > store.version()) {
        return Err(Refusal::version_too_large(asked, store.version()));
    }
    let all: Vec<(Key, Arc<Value>)> = if at == store.version() {
        store.list(&resource, namespace).map(|(k, v)| (k.clone(), v.clone())).collect()
    } else {
        let then = store.list_at(&resource, namespace, at);
        then.map_err(|_| expired(!wanted.token.is_empty()))?.into_iter().collect()
    };
    let mut matching = all
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .filter(|(_, object)| selector.matches(object));
    if wanted.limit == 0 {
        let items = matching.map(|(_, object)| object).collect();
        return Ok(Listing { version: at, items, token: String::new(), remaining: None });
    }
    let page: Vec<_> = matching.by_ref().take(wanted.limit).collect();
    let left = matching.count();
    let token = match page.last() {
        Some((last, _)) if left > 0 => write_token(at, last),
        _ => String::new(),
    };
    // The real server does not count what it would still have to filter.
    let remaining = (left > 0 && selector.is_everything()).then_some(left);
    Ok(Listing { version: at, items: page.into_iter().map(|(_, object)| object).collect(), token, remaining })
}

fn expired(paging: bool) -> Refusal {
    Refusal::expired(if paging {
        "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter."
    } else {
        "The resourceVersion for the provided list is too old."
    })
}

fn write_token(version: u64, last: &Key) -> String {
    URL_SAFE_NO_PAD.encode(json!([version, last.resource, last.namespace, last.name]).to_string())
}

fn read_token(token: &str, resource: &str) -> Option<(u64, Key)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (version, of, namespace, name): (u64, String, String, String) = serde_json::from_slice(&bytes).ok()?;
    (of == resource).then(|| (version, Key::new(&of, &namespace, &name)))
}
