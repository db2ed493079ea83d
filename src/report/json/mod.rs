//! The report as JSON, with everything that the other reports are written from. `docs/report.schema.json` describes it.
mod parts;
#[cfg(test)]
mod tests;

use super::{json_text, run_index::RunIndex};
use std::io::{self, Write};

/// Writes the run, without a copy of its texts.
pub fn write(run: &RunIndex, out: &mut dyn Write) -> io::Result<()> {
    json_text::write(&parts::report(run), out)
}
