//! The error type of the commands.
use super::exit;
use crate::diagnostic::nearest;
use std::{fmt::Display, path::Path};

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

    /// The journal or a report could not be written.
    pub fn not_written(path: &Path, e: &std::io::Error) -> Self {
        Failure { message: format!("error: cannot write `{}`: {e}", path.display()), code: exit::NO_REPORT }
    }

    /// Names an unknown environment, and the most similar of `known`.
    pub fn unknown_environment(name: &str, known: &[&str]) -> Self {
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => format!("; known: {}", known.join(", ")),
        };
        Failure::usage(format!("error: unknown environment `{name}`{hint}"))
    }

    pub fn not_read(path: &Path, e: impl Display) -> Self {
        Failure::usage(format!("error: cannot read `{}`: {e}", path.display()))
    }

    /// A `--case` that matches none of `ids`.
    pub fn no_such_case(pattern: &str, ids: &[&str]) -> Self {
        let near = nearest(pattern, ids.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
        let message = format!("error: no case matches `--case {pattern}`{}", near.unwrap_or_default());
        Failure { message, code: exit::NOTHING_SELECTED }
    }

    pub fn nothing_selected() -> Self {
        let message = "error: no case matches `--tier` and `--case`".into();
        Failure { message, code: exit::NOTHING_SELECTED }
    }

    pub fn interrupted() -> Self {
        Failure { message: "error: interrupted".into(), code: exit::INTERRUPTED }
    }
}
