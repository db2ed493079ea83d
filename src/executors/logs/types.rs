//! The data that the sources of a log share.
use super::file::LogFile;
use crate::value::Value;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

pub(super) const MAX_LOG_BYTES: u64 = 64 << 20;
pub(super) const CUT: &str = "the log is longer than 64 MiB: the rest was not read";

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
