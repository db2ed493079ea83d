//! Why a delivery has no valid signature.
use axum::http::HeaderName;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("there is no `secret` to verify it with")]
    NotVerified,
    #[error("the delivery was too large to be stored")]
    TooLarge,
    #[error("the header `{0}` is missing")]
    MissingHeader(HeaderName),
    /// The header, and what is wrong with it.
    #[error("the header `{0}` {1}")]
    Malformed(HeaderName, &'static str),
    /// The secret or the signed bytes are different; the two cases cannot be distinguished.
    #[error("it was signed with another secret, or over other bytes")]
    Mismatch,
    /// The signature is right, and was made this many seconds before the arrival. A negative number: after it.
    #[error("{}", describe_age(*.0))]
    Stale(i64),
}

impl SignatureError {
    /// The value of `signature.why`.
    pub fn code(&self) -> &'static str {
        match self {
            SignatureError::NotVerified => "not-asked",
            SignatureError::TooLarge => "too-large",
            SignatureError::MissingHeader(_) => "missing-header",
            SignatureError::Malformed(..) => "malformed",
            SignatureError::Mismatch => "mismatch",
            SignatureError::Stale(_) => "stale",
        }
    }

    /// Whether the signature was checked and is wrong.
    pub fn was_checked(&self) -> bool {
        !matches!(self, SignatureError::NotVerified | SignatureError::TooLarge)
    }
}

fn describe_age(seconds: i64) -> String {
    match seconds {
        0.. => format!("it was signed {seconds} s before it arrived"),
        _ => format!("its signature is dated {} s after it arrived", seconds.unsigned_abs()),
    }
}
