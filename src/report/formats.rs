//! The formats of a report. Command line and documentation use this list.
use super::{ctrf, html, json, junit, markdown, run_index::RunIndex};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Writes a run. The text says where the rest of something is that was cut, as a path or a command.
pub type WriteReport = fn(&RunIndex, &str, &mut dyn Write) -> io::Result<()>;

pub struct Format {
    /// As in `--format`.
    pub name: &'static str,
    /// In place of the `.md` of the Markdown report.
    pub extension: &'static str,
    pub write: WriteReport,
    /// Whether what it writes is free of commands for terminals and CI servers, so that it can be printed as it is.
    pub is_neutral: bool,
}

pub static MARKDOWN: Format =
    Format { name: "markdown", extension: "md", write: |run, _, out| markdown::write(run, out), is_neutral: false };

pub static FORMATS: [&Format; 5] = [
    &MARKDOWN,
    &Format { name: "junit", extension: "junit.xml", write: junit::write, is_neutral: true },
    &Format { name: "json", extension: "json", write: |run, _, out| json::write(run, out), is_neutral: true },
    &Format { name: "ctrf", extension: "ctrf.json", write: ctrf::write, is_neutral: true },
    &Format { name: "html", extension: "html", write: |run, _, out| html::write(run, out), is_neutral: true },
];

impl Format {
    /// The file beside a Markdown report: `integration-test-report.junit.xml`.
    pub fn beside(&self, markdown: &Path) -> PathBuf {
        match self.name == MARKDOWN.name {
            true => markdown.to_path_buf(),
            false => markdown.with_extension(self.extension),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_beside_the_markdown_report() {
        let files = |path: &str| FORMATS.map(|f| f.beside(Path::new(path)).display().to_string());
        assert_eq!(files("a/r.md"), ["a/r.md", "a/r.junit.xml", "a/r.json", "a/r.ctrf.json", "a/r.html"]);
        assert_eq!(files("a.b/r"), ["a.b/r", "a.b/r.junit.xml", "a.b/r.json", "a.b/r.ctrf.json", "a.b/r.html"]);
    }
}
