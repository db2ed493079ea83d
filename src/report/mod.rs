//! The reader's side: from events to what people and machines read. Imports neither engine nor executors, and nothing of the
//! crate but events, outcomes, addresses, values and locations.
//!
//! Events go into sinks (`Console`, `JsonLines`, `Ledger`); the ledger's [`RunIndex`](ledger::RunIndex) goes into documents.
//! A new document is a file here and one line in [`DOCUMENTS`].
pub mod console;
pub mod file;
pub mod gate;
pub mod jsonl;
pub mod ledger;
pub mod markdown;
#[cfg(test)]
mod samples;
mod wording;

use ledger::RunIndex;
use std::io;

/// A way to write a run down.
pub struct Document {
    /// As `--format` names it.
    pub name: &'static str,
    /// Takes the location of the report's own `.md`.
    pub suffix: &'static str,
    pub write: fn(&RunIndex, &mut dyn io::Write) -> io::Result<()>,
}

pub const DOCUMENTS: &[Document] = &[Document { name: "markdown", suffix: ".md", write: markdown::write }];
