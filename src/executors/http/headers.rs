//! Headers as written in a plan or an environment, and how they override others.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body},
    expr::{Scope, Tree},
    secrets::Secrets,
    source::Span,
    value::Value,
    yaml::{Node, duplicate_key},
};
use reqwest::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING,
    CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RANGE, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};

/// Headers that are no credentials, unlike perhaps `X-Api-Key`: a redirect to another origin keeps them.
pub(super) const SENT_ANYWHERE: [HeaderName; 16] = [
    ACCEPT,
    ACCEPT_CHARSET,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    RANGE,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION,
    UPGRADE,
    USER_AGENT,
];

#[derive(Clone, Debug, Default)]
pub(super) struct Headers(Vec<(HeaderName, Tree)>);

impl Headers {
    /// Compiles the map at `key`. Names are checked here, values when they are rendered.
    pub fn compile(body: &mut Body<'_>, key: &str) -> Headers {
        let mut headers = vec![];
        let entries = body.get(key).map_or(&[][..], Node::entries);
        for ((at, _), (name, value)) in entries.iter().zip(body.pairs(key)) {
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) if headers.iter().any(|(known, _)| *known == name) => {
                    let help = "names of headers have no case: remove one, or write a list to send both values";
                    body.problem(duplicate_key(at).help(help));
                }
                Ok(name) => headers.push((name, value)),
                Err(_) => body.problem(invalid_header_name(&name, &at.span)),
            }
        }
        Headers(headers)
    }

    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Sets these headers in `target`, replacing those of the same name. `null` removes a header, a list repeats it.
    pub fn apply_to(&self, target: &mut HeaderMap, scope: &Scope) -> Result<(), ActionError> {
        for (name, tree) in &self.0 {
            let value = tree.render(scope)?;
            target.remove(name);
            for v in value.items().iter().filter(|v| **v != Value::Null) {
                target.append(name, header_value(name, v)?);
            }
        }
        Ok(())
    }
}

/// Masks a header that an environment sets from now on, unless it cannot be a credential.
pub fn mask_header(secrets: &Secrets, name: &str, value: &str) {
    let is_credential = HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| !SENT_ANYWHERE.contains(&name));
    if is_credential && !value.contains("${") {
        secrets.add_found(name, value.split_once(' ').map_or(value, |(_, credential)| credential));
    }
}

pub(super) fn invalid_header_name(name: &str, at: &Span) -> Diagnostic {
    Diagnostic::error("invalid-header", at, format!("invalid header name `{name}`"))
        .help("a header name has letters, digits and `-`")
}

fn header_value(name: &HeaderName, value: &Value) -> Result<HeaderValue, ActionError> {
    if matches!(value, Value::Map(_) | Value::List(_)) {
        let message = format!("expected a string or a number in the header `{name}`, found a {}", value.kind());
        return Err(ActionError::Invalid(message));
    }
    HeaderValue::from_bytes(value.to_string().as_bytes()).map_err(|_| {
        ActionError::Invalid(format!("the value of the header `{name}` contains a line break or a control character"))
    })
}
