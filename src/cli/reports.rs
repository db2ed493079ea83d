//! The files of a report: the Markdown report and the other formats beside it, and what GitHub Actions shows.
use super::{failure::Failure, files, print};
use crate::{
    file::write_atomically,
    report::{
        formats::{FORMATS, Format, MARKDOWN},
        github,
        run_index::RunIndex,
    },
};
use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

/// Where a run is reported.
#[derive(Clone)]
pub struct Reports {
    /// The Markdown report.
    path: PathBuf,
    formats: Vec<&'static Format>,
}

impl Reports {
    /// Markdown, and these formats beside it.
    pub fn new(path: PathBuf, formats: &[&'static Format]) -> Reports {
        let is_asked =
            |f: &&'static Format| f.name == MARKDOWN.name || formats.iter().any(|asked| asked.name == f.name);
        Reports { path, formats: FORMATS.into_iter().filter(is_asked).collect() }
    }

    /// The Markdown report, relative to the current folder.
    pub fn markdown(&self) -> String {
        shown(&self.path)
    }

    /// Writes every format, whole or not at all. Gives the files that were written, relative to the current folder.
    pub fn write(&self, run: &RunIndex) -> (Vec<String>, Vec<Failure>) {
        let (mut written, mut failures) = (vec![], vec![]);
        let rest = self.markdown();
        for format in &self.formats {
            let path = format.beside(&self.path);
            match write_atomically(&path, |out| (format.write)(run, &rest, out)) {
                Ok(()) => written.push(shown(&path)),
                Err(e) => failures.push(Failure::not_written(&path, &e)),
            }
        }
        (written, failures)
    }

    /// Under GitHub Actions: prints annotations, and appends to the summary of the job.
    pub fn show_on_github(&self, run: &RunIndex) -> Result<(), Failure> {
        if std::env::var("GITHUB_ACTIONS").as_deref() != Ok("true") {
            return Ok(());
        }
        let (rest, mut lines) = (self.markdown(), vec![]);
        let _ = github::annotations(run, &repository_path, &rest, &mut lines);
        print::commands(&lines);
        let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else { return Ok(()) };
        let mut text = vec![];
        let _ = github::job_summary(run, &rest, &mut text);
        let opened = OpenOptions::new().append(true).create(true).open(&path);
        opened.and_then(|mut file| file.write_all(&text)).map_err(|e| Failure::not_written(&path, &e))
    }
}

fn shown(path: &Path) -> String {
    files::relative(path).display().to_string()
}

/// The path of a plan in the repository that the workflow checked out; `None` for a built-in plan.
fn repository_path(file: &str) -> Option<String> {
    let path = std::path::absolute(file).ok().filter(|p| p.is_file())?;
    let workspace = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let within = workspace.as_deref().and_then(|w| path.strip_prefix(w).ok());
    Some(within.map_or(file.to_owned(), |p| p.display().to_string()))
}
