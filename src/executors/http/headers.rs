//! Headers as a plan or an environment writes them, and how they are laid over others. Knows no request.
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
    /// Reads the map at `key`; names are checked here, values when they are known.
    pub fn compile(body: &mut Body<'_>, key: &str) -> Headers {
        let mut headers = vec![];
        for (i, (name, value)) in body.pairs(key).into_iter().enumerate() {
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => headers.push((name, value)),
                Err(_) => {
                    let Some((at, _)) = body.get(key).and_then(|n| n.entries().get(i)) else { continue };
                    let d = Diagnostic::error(
                        "invalid-header",
                        &at.span.clone(),
                        format!("`{name}` cannot be the name of a header"),
                    );
                    body.problem(d.help("letters, digits and `-`"));
                }
            }
        }
        Headers(headers)
    }

    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Lays these over what `onto` has: a name that it has is replaced, `null` takes it away, a list sends it several times.
    pub fn lay(&self, scope: &Scope, onto: &mut HeaderMap) -> Result<(), ActionError> {
        for (name, tree) in &self.0 {
            let value = tree.render(scope)?;
            onto.remove(name);
            let values = match &value {
                Value::List(items) => &items[..],
                one => std::slice::from_ref(one),
            };
            for v in values.iter().filter(|v| **v != Value::Null) {
                onto.append(name, header_value(name, v)?);
            }
        }
        Ok(())
    }
}

fn header_value(name: &HeaderName, value: &Value) -> Result<HeaderValue, ActionError> {
    if matches!(value, Value::Map(_) | Value::List(_)) {
        return Err(ActionError::Invalid(format!("the header `{name}` cannot be a {}", value.kind())));
    }
    HeaderValue::from_bytes(value.to_string().as_bytes()).map_err(|_| {
        ActionError::Invalid(format!("the value of the header `{name}` holds a line break or a control character"))
    })
}
