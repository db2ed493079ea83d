//! The trace of a run: requests carry it, so that the traces of the platform continue those of the runner (W3C Trace Context).
use std::fmt;

/// An id of 16 bytes, as 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceId(String);

impl TraceId {
    /// A random one.
    pub fn random() -> TraceId {
        TraceId(uuid::Uuid::new_v4().simple().to_string())
    }

    /// The header `traceparent` of a request that is a span of its own.
    pub fn traceparent(&self) -> String {
        format!("00-{self}-{:016x}-01", fastrand::u64(1..))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
