//! Headers as written in a plan or an environment, and how they override others.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body},
    expr::{Scope, Tree},
    source::Span,
    value::Value,
    yaml::{Node, duplicate_key},
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

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
