//! How a command reports that it could not do its work.
use super::exit;

/// The message to print, and the exit code.
pub struct Failure {
    pub message: String,
    pub code: u8,
}

impl Failure {
    pub fn usage(message: impl Into<String>) -> Self {
        Failure { message: message.into(), code: exit::USAGE }
    }

    /// The product, the environment or the sandbox could not be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Failure { message: message.into(), code: exit::UNREACHABLE }
    }

    /// The journal or the report could not be written.
    pub fn no_report(message: impl Into<String>) -> Self {
        Failure { message: message.into(), code: exit::NO_REPORT }
    }

    pub fn interrupted() -> Self {
        Failure { message: "error: interrupted".into(), code: exit::INTERRUPTED }
    }
}
