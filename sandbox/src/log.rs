//! The platform's log: a text file with one line per event.
//!
//! A line holds the time, level, message and `key=value` fields. Bodies, queries and headers are
//! logged only by the defects that leak them, so without them the log contains no secret.
use jiff::{Timestamp, tz::TimeZone};
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

#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// `2026-01-02T03:04:05.678901Z WARN …`
    Rfc3339,
    /// As Go's `log` package writes, in local time: `2026/01/02 03:04:05 level=WARN …`
    Go,
}

/// A handle on the log; copies write to the same file.
#[derive(Debug, Clone)]
pub struct Log {
    file: Arc<Mutex<File>>,
    format: Format,
}

type Fields<'a> = &'a [(&'a str, &'a dyn Display)];

impl Log {
    pub fn open(path: &Path, format: Format) -> io::Result<Log> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Log { file: Arc::new(Mutex::new(file)), format })
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
        let text = line(self.format, Timestamp::now(), level, message, fields);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // a full disk must not stop the platform
        let _ = file.write_all(text.as_bytes());
    }
}

fn line(format: Format, at: Timestamp, level: Level, message: &str, fields: Fields<'_>) -> String {
    let head = match format {
        Format::Rfc3339 => format!("{at:.6} {level}"),
        Format::Go => format!("{} level={level}", at.to_zoned(TimeZone::system()).strftime("%Y/%m/%d %H:%M:%S")),
    };
    let mut text = format!("{head} {}", one_line(message));
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
    fn writes_every_event_on_one_line() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let text = line(
            Format::Rfc3339,
            at,
            Level::Warn,
            "a\nb",
            &[("code", &"session_missing"), ("cause", &"two\nlines \"here\""), ("n", &3)],
        );
        assert_eq!(
            text,
            "2026-01-02T03:04:05.000000Z WARN a b code=session_missing cause=\"two\\nlines \\\"here\\\"\" n=3\n"
        );
        let local = at.to_zoned(TimeZone::system()).strftime("%Y/%m/%d %H:%M:%S").to_string();
        assert_eq!(line(Format::Go, at, Level::Warn, "a", &[]), format!("{local} level=WARN a\n"));
    }
}
