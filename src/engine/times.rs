//! Durations of a plan, and the fields `at` and `took` of an output.
use crate::{
    expr::{EvalError, Scope, Template},
    value::{Map, Value},
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum DurationError {
    #[error(transparent)]
    Eval(#[from] EvalError),
    #[error("expected a duration of at least zero, found `{0}`")]
    Negative(SignedDuration),
    #[error("expected a duration like `30s`, found `{found}`: {source}")]
    Invalid { found: String, source: humantime::DurationError },
}

/// Renders a duration: a text like `30s`, or a duration that an expression computed.
pub fn render_duration(template: &Template, scope: &Scope) -> Result<Duration, DurationError> {
    match template.render(scope)? {
        Value::Duration(d) => Duration::try_from(d).map_err(|_| DurationError::Negative(d)),
        other => {
            let found = other.to_string();
            humantime::parse_duration(&found).map_err(|source| DurationError::Invalid { found, source })
        }
    }
}

/// The output of an attempt that began at `at`, with the times of its action: from the first attempt to the end of this one.
pub fn with_times(output: &Value, first: Timestamp, at: Timestamp, took: Duration) -> Value {
    let mut map: Map = output.as_map().cloned().unwrap_or_default();
    map.insert("at".into(), Value::Time(first));
    map.insert("took".into(), elapsed(first, at, took));
    Value::from(map)
}

/// The time from `first` to the end of what began at `at` and took `took`.
pub fn elapsed(first: Timestamp, at: Timestamp, took: Duration) -> Value {
    let took = SignedDuration::try_from(took).unwrap_or(SignedDuration::MAX);
    Value::Duration(at.duration_since(first).checked_add(took).unwrap_or(took))
}
