//! `report`: writes the report of a recorded run, or its failures as known failures.
use super::{
    args, exit,
    failure::Failure,
    runs::{self, read_journal},
};
use crate::{
    file::write_atomically,
    report::{
        console::{neutral::neutral, stream::Patient},
        index_builder::IndexBuilder,
        known_failures, markdown,
    },
};
use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

pub fn command(args: args::Report) -> Result<u8, Failure> {
    let path = find_journal(&args.run)?;
    let index = IndexBuilder::build(&read_journal(&path)?);
    let write = if args.known_failures { known_failures::write } else { markdown::write };
    match &args.output {
        Some(file) => write_atomically(file, |out| write(&index, out)).map_err(|e| Failure::not_written(file, &e))?,
        None => {
            let (mut stdout, mut text) = (Patient(io::stdout().lock()), vec![]);
            let written = write(&index, &mut text)
                .and_then(|()| stdout.write_all(neutral(&String::from_utf8_lossy(&text)).as_bytes()))
                .and_then(|()| stdout.flush());
            match written {
                // The reader has read enough.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
                written => written.map_err(|e| Failure::not_written(Path::new("stdout"), &e))?,
            }
        }
    }
    Ok(exit::SUCCESS)
}

/// The journal of a run: a file, or the id of a run recorded in this folder or a parent.
pub fn find_journal(run: &str) -> Result<PathBuf, Failure> {
    if Path::new(run).is_file() {
        return Ok(run.into());
    }
    runs::find(run).map(|folder| folder.events())
}
