//! The error of a server that sent more than may be kept.
use crate::executor::limits::size;
use std::io;

/// A server sent more than may be kept.
#[derive(Debug, thiserror::Error)]
#[error(
    "sent more than {} in one row or message: select fewer or smaller values, or raise `limit` of the target",
    size(*max)
)]
pub struct TooLarge {
    pub max: usize,
}

impl TooLarge {
    /// Whether this is the cause of an error.
    pub fn caused(e: &io::Error) -> Option<&TooLarge> {
        e.get_ref()?.downcast_ref()
    }

    /// The message for a statement.
    pub fn message(e: &sqlx::Error) -> Option<String> {
        let sqlx::Error::Io(e) = e else { return None };
        Some(format!("the database {}", TooLarge::caused(e)?))
    }
}

impl From<TooLarge> for io::Error {
    fn from(e: TooLarge) -> Self {
        io::Error::other(e)
    }
}
