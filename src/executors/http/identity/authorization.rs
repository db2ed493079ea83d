//! Values of the header `Authorization`, and tokens fetched for it.
use crate::executor::ActionError;
use reqwest::header::HeaderValue;
use std::time::Duration;

/// A token as its server issued it.
pub(super) struct FetchedToken {
    /// `None` for a login without `token`: the session is in the cookies.
    pub header: Option<HeaderValue>,
    /// `None`: the token does not expire.
    pub lifetime: Option<Duration>,
}

pub(super) fn bearer(token: &str) -> Result<HeaderValue, ActionError> {
    sensitive_value(&format!("Bearer {token}"))
}

pub(super) fn sensitive_value(text: &str) -> Result<HeaderValue, ActionError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        ActionError::Invalid("a credential contains a line break or a character that headers must not contain".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}
