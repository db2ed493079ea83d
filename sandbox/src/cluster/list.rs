//! Lists: selection, resource version and paging.
//!
//! A page reads the store's history at the version of the first page, so no state is kept between pages. Knows no HTTP.
use super::{
    cause::Cause,
    kinds::Kind,
    selector::Selector,
    status::Refusal,
    store::{Key, Store},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::Arc;

/// The list options of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct ListOptions {
    pub limit: usize,
    /// The continue token of the previous page; empty for the first.
    pub token: String,
    pub version: String,
    pub version_match: String,
}

/// A list, or one page of it.
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

/// Parses a resource version.
///
/// # Errors
/// A refusal with `code` if it is not a number: 400 for a list, 500 elsewhere, as in the real server.
pub(super) fn version(text: &str, code: u16) -> Result<Option<u64>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Refusal::bad_version(code, text))
}

/// The selected objects of a resource, in one namespace or in all, or one page of them.
///
/// # Errors
/// 400 for an invalid token or version, 410 for a version that is no longer in the history, 504 for a future one.
pub(super) fn list(
    store: &Store,
    kind: &Kind,
    namespace: &str,
    selector: &Selector,
    options: &ListOptions,
) -> Result<Listing, Refusal> {
    let resource = kind.resource();
    let requested = version(&options.version, 400)?;
    let exact = match options.version_match.as_str() {
        "" | "NotOlderThan" => false,
        "Exact" => true,
        other => {
            let other = format!("{other:?}");
            let cause = Cause::unsupported("resourceVersionMatch", &other, &["Exact", "NotOlderThan", ""]);
            return Err(Refusal::invalid_options("ListOptions", vec![cause]));
        }
    };
    if !options.version_match.is_empty() && requested.is_none() {
        let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        return Err(Refusal::invalid_options("ListOptions", vec![Cause::forbidden("resourceVersionMatch", why)]));
    }
    let (at, after) = if options.token.is_empty() {
        (if exact { requested.unwrap_or_default() } else { store.version() }, None)
    } else {
        if requested.is_some_and(|v| v > 0) {
            return Err(Refusal::bad_request("specifying resource version is not allowed when using continue"));
        }
        let (at, after) = parse_token(&options.token, &resource).ok_or_else(|| {
            Refusal::bad_request("invalid continue token: continue key is not valid: not issued by this server")
        })?;
        (at, Some(after))
    };
    if exact && at == 0 {
        let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
        return Err(Refusal::invalid_options("ListOptions", vec![Cause::forbidden("resourceVersionMatch", why)]));
    }
    if let Some(requested) = requested.or(Some(at)).filter(|v| *v > store.version()) {
        return Err(Refusal::version_too_large(requested, store.version()));
    }
    let all: Vec<(Key, Arc<Value>)> = if at == store.version() {
        store.list(&resource, namespace).map(|(k, v)| (k.clone(), v.clone())).collect()
    } else {
        let then = store.list_at(&resource, namespace, at);
        then.map_err(|_| expired(!options.token.is_empty()))?.into_iter().collect()
    };
    let mut matching = all
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .filter(|(_, object)| selector.matches(object));
    if options.limit == 0 {
        let items = matching.map(|(_, object)| object).collect();
        return Ok(Listing { version: at, items, token: String::new(), remaining: None });
    }
    let page: Vec<_> = matching.by_ref().take(options.limit).collect();
    let left = matching.count();
    let token = match page.last() {
        Some((last, _)) if left > 0 => format_token(at, last),
        _ => String::new(),
    };
    // as in the real server, a list with a selector has no count of the remaining items
    let remaining = (left > 0 && selector.selects_all()).then_some(left);
    Ok(Listing { version: at, items: page.into_iter().map(|(_, object)| object).collect(), token, remaining })
}

fn expired(paging: bool) -> Refusal {
    Refusal::expired(if paging {
        "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter."
    } else {
        "The resourceVersion for the provided list is too old."
    })
}

fn format_token(version: u64, last: &Key) -> String {
    URL_SAFE_NO_PAD.encode(json!([version, last.resource, last.namespace, last.name]).to_string())
}

fn parse_token(token: &str, resource: &str) -> Option<(u64, Key)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (version, of, namespace, name): (u64, String, String, String) = serde_json::from_slice(&bytes).ok()?;
    (of == resource).then(|| (version, Key::new(&of, &namespace, &name)))
}
