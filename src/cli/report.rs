//! `report`: the report of a recorded run, written again.
use super::{args, exit, failure::Failure, files};
use crate::report::{file::write_atomically, index_builder::IndexBuilder, jsonl, markdown};
use std::path::{Path, PathBuf};

pub fn command(args: args::Report) -> Result<u8, Failure> {
    let path = find(&args.run)?;
    let events =
        jsonl::read(&path).map_err(|e| Failure::usage(format!("error: `{}` cannot be read: {e}", path.display())))?;
    let index = IndexBuilder::build(&events);
    let failed = |e: std::io::Error| Failure {
        message: format!("error: the report cannot be written: {e}"),
        code: exit::NO_REPORT,
    };
    match &args.output {
        Some(file) => write_atomically(file, |out| markdown::write(&index, out)).map_err(failed)?,
        None => markdown::write(&index, &mut std::io::stdout().lock()).map_err(failed)?,
    }
    Ok(exit::SUCCESS)
}

/// The journal of a run: a file, or an id that is looked for here and upwards.
pub fn find(run: &str) -> Result<PathBuf, Failure> {
    if Path::new(run).is_file() {
        return Ok(run.into());
    }
    let recorded =
        files::upwards(".tp-runner").map(|f| f.join("runs").join(run).join("events.jsonl")).filter(|p| p.is_file());
    recorded.ok_or_else(|| Failure::usage(format!("error: there is no recorded run `{run}` here or in a folder above")))
}
