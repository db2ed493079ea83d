//! Extractors for JSON bodies and queries, with readable errors.
use super::error::Failure;
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::request::Parts,
    response::IntoResponse,
};
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// A JSON body; the content type is ignored.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Failure::from_status(rejection.into_response().status()))?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Body(value)),
            Err(error) => Err(Failure::bad_request("invalid_body", describe_error(&error))),
        }
    }
}

/// Names the position and kind of an error without quoting the input, which may be a password.
fn describe_error(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let place = format!("line {} column {}", error.line(), error.column());
    match error.classify() {
        Category::Eof => "The request body ends too early; JSON is expected".into(),
        Category::Syntax | Category::Io => format!("The request body is not valid JSON, at {place}"),
        Category::Data => {
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default();
            if what.starts_with("missing field") || what.starts_with("unknown field") {
                format!("The request body is incomplete or wrong: {what}")
            } else {
                let wanted = what.split(", expected ").nth(1).unwrap_or("another type");
                format!("The request body has a value of the wrong type at {place}: expected {wanted}")
            }
        }
    }
}

/// The query parameters of a request.
pub struct QueryParams(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for QueryParams {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let query: Result<Query<HashMap<String, String>>, _> = Query::try_from_uri(&parts.uri);
        match query {
            // not every database accepts a null character, and no parameter needs one
            Ok(Query(map)) if !map.values().any(|value| value.contains('\0')) => Ok(QueryParams(map)),
            _ => Err(Failure::bad_request("invalid_query", "The query cannot be read")),
        }
    }
}

impl QueryParams {
    /// The value of a parameter; `None` if it is empty.
    pub fn get(&self, key: &str) -> Option<String> {
        self.0.get(key).filter(|value| !value.is_empty()).cloned()
    }

    /// # Errors
    /// 400 if the value cannot be parsed. `wanted` completes the message.
    pub fn parsed<T: std::str::FromStr>(&self, key: &'static str, wanted: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let wrong = |_| Failure::bad_request("invalid_query", format!("The query parameter {key} must be {wanted}"));
        text.parse().map(Some).map_err(wrong)
    }

    /// A number of at least 1; `default` if it is missing, and `max` if it is larger.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn number(&self, key: &'static str, default: i64, max: i64) -> Result<i64, Failure> {
        let number = self.parsed(key, "a whole number")?.unwrap_or(default);
        if number < 1 {
            return Err(Failure::bad_request("invalid_query", format!("The query parameter {key} must be at least 1")));
        }
        Ok(number.min(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Login {
        password: String,
    }

    fn message(text: &str) -> String {
        describe_error(&serde_json::from_str::<Login>(text).unwrap_err())
    }

    #[test]
    fn describes_errors_without_quoting_the_input() {
        assert!(message("").contains("ends too early"));
        assert!(message("{nope}").contains("not valid JSON, at line 1"));
        assert!(message("{}").contains("missing field `password`"));
        let wrong = message(r#"{"password": 424242}"#);
        assert!(wrong.contains("expected a string") && !wrong.contains("424242"), "{wrong}");
    }
}
