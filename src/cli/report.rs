//! `report`: writes the report of a recorded run, its failures as known failures, or its entry in an agent log.
use super::{
    args, exit,
    failure::Failure,
    reports::Reports,
    runs::{self, read_index},
};
use crate::{
    file::write_atomically,
    report::{
        agent_log,
        console::{neutral::neutral, stream::Patient},
        formats::{Format, MARKDOWN},
        known_failures,
        run_index::RunIndex,
    },
};
use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Writes entries for `known_failures`, which are not a format of the report.
static KNOWN_FAILURES: Format = Format {
    name: "known-failures",
    extension: "yaml",
    write: |run, _, out| known_failures::write(run, out),
    is_neutral: false,
};

pub fn command(args: args::Report) -> Result<u8, Failure> {
    let path = find_journal(&args.run)?;
    if args.agent_log.agent_log.is_some() {
        let index = read_index(&path)?;
        match args.dry_run {
            true => args.agent_log.preview(&agent_log::entry(&index, &rest(&index)))?,
            false => args.agent_log.add(&index, &rest(&index))?,
        }
        return Ok(exit::SUCCESS);
    }
    let format = match args.format.as_slice() {
        _ if args.known_failures => &KNOWN_FAILURES,
        [] => &MARKDOWN,
        [format] => *format,
        several => return write_several(&args, several, &path),
    };
    let index = read_index(&path)?;
    let write = |out: &mut dyn io::Write| (format.write)(&index, &rest(&index), out);
    match &args.output {
        Some(file) => write_atomically(file, write).map_err(|e| Failure::not_written(file, &e))?,
        None => {
            let (mut stdout, mut text) = (Patient(io::stdout().lock()), vec![]);
            let written = write(&mut text).and_then(|()| match format.is_neutral {
                true => stdout.write_all(&text),
                false => stdout.write_all(neutral(&String::from_utf8_lossy(&text)).as_bytes()),
            });
            match written.and_then(|()| stdout.flush()) {
                // The reader has read enough.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
                written => written.map_err(|e| Failure::not_written(Path::new("stdout"), &e))?,
            }
        }
    }
    Ok(exit::SUCCESS)
}

/// Where the rest of something is that a format cuts.
fn rest(index: &RunIndex) -> String {
    format!("tp-runner report {}", index.start.run)
}

fn write_several(args: &args::Report, formats: &[&'static Format], journal: &Path) -> Result<u8, Failure> {
    let Some(file) = &args.output else {
        let message = "error: several formats need a file\n\
                       help: name the Markdown report with `--output FILE`; the others are written beside it";
        return Err(Failure::usage(message));
    };
    let index = read_index(journal)?;
    let (_, failures) = Reports::new(file.clone(), formats).write(&index);
    failures.into_iter().next().map_or(Ok(exit::SUCCESS), Err)
}

/// The journal of a run: a file, or the id of a run recorded in this folder or a parent.
pub fn find_journal(run: &str) -> Result<PathBuf, Failure> {
    if Path::new(run).is_file() {
        return Ok(run.into());
    }
    runs::find(run).map(|folder| folder.events())
}
