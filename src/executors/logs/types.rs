//! The data that the sources of a log share.
use super::file::LogFile;
use crate::{executor::limits::size, value::Value};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// Why a log is not complete, if there are more bytes than `limit`, or more lines than the memory for them can hold.
pub(super) fn cut(limit: usize) -> String {
    format!("the log is longer than {} (`limit`): the rest was not read", size(limit))
}

/// Lines as a plan reads them.
pub(super) struct LogLines {
    pub lines: Vec<Value>,
    /// Why they may not be all lines.
    pub missing: Vec<String>,
    pub cursor: Cursor,
}

impl LogLines {
    pub fn into_value(mut self) -> Value {
        self.missing.dedup();
        match self.missing.is_empty() {
            true => Value::list(self.lines),
            false => Value::partial(Value::list(self.lines), self.missing.join("; ")),
        }
    }
}

/// Where the next attempt continues.
pub(super) enum Cursor {
    File(Arc<Mutex<LogFile>>),
    /// A program is run again.
    Command,
    Pods(Restarts),
}

/// The restarts of each container of the selected pods, by pod and name.
pub(super) type Restarts = BTreeMap<(String, String), i64>;

/// Why no line was read.
pub(super) fn empty(since: Option<jiff::Timestamp>) -> String {
    since.map_or_else(|| "the log is empty".into(), |since| format!("the log has no line since {since}"))
}
