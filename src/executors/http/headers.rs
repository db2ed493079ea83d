//! Headers as written in a plan or an environment, and how they override others.
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body},
    expr::{Scope, Tree},
    value::Value,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

#[derive(Clone, Debug, Default)]
pub(super) struct Headers(Vec<(HeaderName, Tree)>);

impl Headers {
    /// Compiles the map at `key`. Names are checked here, values when they are rendered.
    pub fn compile(body: &mut Body<'_>, key: &str) -> Headers {
        let mut headers = vec![];
        for (i, (name, value)) in body.pairs(key).into_iter().enumerate() {
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => headers.push((name, value)),
                Err(_) => {
                    let Some((at, _)) = body.get(key).and_then(|n| n.entries().get(i)) else { continue };
                    let d = Diagnostic::error("invalid-header", &at.span.clone(), invalid_header_name(&name));
                    body.problem(d.help(HEADER_NAME_HELP));
                }
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
            let values = match &value {
                Value::List(items) => &items[..],
                single => std::slice::from_ref(single),
            };
            for v in values.iter().filter(|v| **v != Value::Null) {
                target.append(name, header_value(name, v)?);
            }
        }
        Ok(())
    }
}

pub(super) const HEADER_NAME_HELP: &str = "a header name has letters, digits and `-`";

pub(super) fn invalid_header_name(name: &str) -> String {
    format!("invalid header name `{name}`")
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
