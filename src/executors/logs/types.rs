//! The data that the sources of a log share.
use crate::value::Value;
use std::{fs::Metadata, time::SystemTime};

pub(super) const MAX_LOG_BYTES: u64 = 64 << 20;

/// Lines as a plan reads them.
pub(super) struct LogLines {
    pub lines: Vec<Value>,
    /// For the evidence.
    pub notes: Vec<String>,
    /// `None` if the source is not a file.
    pub file_state: Option<FileState>,
}

/// Length and modification time of a file; a difference means that it has changed.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct FileState {
    pub len: u64,
    pub modified: Option<SystemTime>,
}

impl FileState {
    pub fn of(m: &Metadata) -> FileState {
        FileState { len: m.len(), modified: m.modified().ok() }
    }
}
