//! Writes a report to a file or to stdout.
use super::{args, failure::Failure};
use crate::{
    file::write_atomically,
    report::{
        console::{neutral::neutral, stream::Patient},
        formats::Format,
        page::Page,
    },
};
use std::{
    io::{self, Write as _},
    path::Path,
};

/// Writes to a file, else to stdout.
pub fn write(
    file: Option<&Path>,
    is_neutral: bool,
    content: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<(), Failure> {
    match file {
        Some(file) => write_atomically(file, content).map_err(|e| Failure::not_written(file, &e))?,
        None => {
            let (mut stdout, mut text) = (Patient(io::stdout().lock()), vec![]);
            let written = content(&mut text).and_then(|()| match is_neutral {
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
    Ok(())
}

/// Writes a page as text for the terminal, as Markdown or as JSON, as `--format` says.
pub fn write_page(
    args: &args::Report,
    page: &Page,
    json: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let file = args.output.as_deref();
    match args.format.as_slice() {
        [] => write(file, false, |out| out.write_all(page.terminal().as_bytes())),
        [Format { name: "markdown", .. }] => write(file, false, |out| out.write_all(page.markdown().as_bytes())),
        [Format { name: "json", .. }] => write(file, true, json),
        _ => Err(Failure::usage("error: what is about several runs has one format: `markdown` or `json`")),
    }
}
