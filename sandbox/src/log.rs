//! The platform's log: a text file, one line for each event.
//!
//! It owns the file and the form of a line: RFC 3339 time in UTC, level, message, then `key=value`. It must not know what
//! is worth saying; and since nobody hands it bodies, queries or headers, no secret can reach it.
use jiff::Timestamp;
use std::{
    fmt::{self, Display, Write as _},
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

impl Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        })
    }
}

/// A handle on the log; copies write to the same file.
#[derive(Debug, Clone)]
pub struct Log {
    file: Arc<Mutex<File>>,
}

type Fields<'a> = &'a [(&'a str, &'a dyn Display)];

impl Log {
    pub fn open(path: &Path) -> io::Result<Log> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Log { file: Arc::new(Mutex::new(file)) })
    }

    pub fn info(&self, message: &str, fields: Fields<'_>) {
        self.write(Level::Info, message, fields);
    }

    pub fn warn(&self, message: &str, fields: Fields<'_>) {
        self.write(Level::Warn, message, fields);
    }

    pub fn error(&self, message: &str, fields: Fields<'_>) {
        self.write(Level::Error, message, fields);
    }

    fn write(&self, level: Level, message: &str, fields: Fields<'_>) {
        let text = line(Timestamp::now(), level, message, fields);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not take the platform down with it.
        let _ = file.write_all(text.as_bytes());
    }
}

fn line(at: Timestamp, level: Level, message: &str, fields: Fields<'_>) -> String {
    let mut text = format!("{at:.6} {level} {}", one_line(message));
    for (key, value) in fields {
        let value = value.to_string();
        let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"');
        let _ = if plain { write!(text, " {key}={value}") } else { write!(text, " {key}={value:?}") };
    }
    text.push('\n');
    text
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_whatever_is_said() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let text = line(
            at,
            Level::Warn,
            "a\nb",
            &[("code", &"session_missing"), ("cause", &"two\nlines \"here\""), ("n", &3)],
        );
        assert_eq!(
            text,
            "2026-01-02T03:04:05.000000Z WARN a b code=session_missing cause=\"two\\nlines \\\"here\\\"\" n=3\n"
        );
    }
}
