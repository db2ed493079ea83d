//! Prints to stdout and stderr, without commands for terminals and CI servers. A stream that cannot be written (full,
//! closed, a pipe without a reader) neither ends a command nor changes its exit code.
use crate::report::console::{neutral::neutral, stream::Patient};
use anstream::{AutoStream, ColorChoice, adapter::strip_str, stream::RawStream};
use std::{
    fmt::Arguments,
    io::{self, Write as _},
};

pub fn out(text: Arguments<'_>) {
    print(io::stdout().lock(), text);
}

pub fn err(text: Arguments<'_>) {
    print(io::stderr().lock(), text);
}

/// Prints lines that contain workflow commands of the runner's own, whose texts are escaped.
pub fn commands(lines: &[u8]) {
    let mut stream = Patient(io::stderr().lock());
    let _ = stream.write_all(lines).and_then(|()| stream.flush());
}

fn print(stream: impl RawStream, text: Arguments<'_>) {
    let text = match AutoStream::choice(&stream) {
        ColorChoice::Never => strip_str(&text.to_string()).to_string(),
        _ => text.to_string(),
    };
    let mut stream = Patient(stream);
    let _ = stream.write_all(neutral(&text).as_bytes()).and_then(|()| stream.flush());
}
