//! The result of one attempt to deliver.

#[derive(Debug)]
pub enum AttemptResult {
    Delivered(u16, String),
    /// Permanent failure.
    Refused(u16, String),
    /// Temporary failure.
    Failed(Option<u16>, String),
}
