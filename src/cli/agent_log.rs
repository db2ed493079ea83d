//! `--agent-log`: adds the entry of a run to a Markdown file that people and other tools write too.
use super::{failure::Failure, files, print};
use crate::{
    file,
    report::{
        agent_log::{self, Edit, Entry},
        run_index::RunIndex,
    },
};
use clap::Args as ClapArgs;
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long to wait for another process that adds an entry in the same folder.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// How often to begin again when the file changes meanwhile.
const MAX_CHANGES: usize = 5;

#[derive(ClapArgs, Clone, Default)]
pub struct AgentLogArgs {
    /// Add an entry under the heading `Agent Communication Log` of a Markdown file; that of the same run is replaced
    #[arg(long, value_name = "FILE")]
    pub agent_log: Option<PathBuf>,
    /// With --agent-log: create the file and the heading if they are missing
    #[arg(long, requires = "agent_log")]
    pub agent_log_create: bool,
}

impl AgentLogArgs {
    /// Adds the entry of a run, if a file is named. `report` is the path of its Markdown report.
    pub fn add(&self, run: &RunIndex, report: &str) -> Result<(), Failure> {
        let Some(path) = self.path() else { return Ok(()) };
        if !run.has_started {
            return Err(Failure::usage("error: expected a run with a start, found a journal that ends before it"));
        }
        let entry = agent_log::entry(run, report);
        let _lock = lock(&path)?;
        for _ in 0..MAX_CHANGES {
            let document = self.read(&path)?;
            let changed = self.edit(&path, &document, &entry)?.apply(&document);
            if self.read(&path)? == document {
                file::replace(&path, changed.as_bytes()).map_err(|e| Failure::not_written(&path, &e))?;
                return Ok(());
            }
        }
        let e = io::Error::other(format!("it changed {MAX_CHANGES} times while the entry was added"));
        Err(Failure::not_written(&path, &e))
    }

    /// Fails if the file cannot take an entry; so it is known before a run.
    pub fn check(&self, entry: &Entry) -> Result<(), Failure> {
        let Some(path) = self.path() else { return Ok(()) };
        self.edit(&path, &self.read(&path)?, entry).map(drop)
    }

    /// Prints what would be added, and where.
    pub fn preview(&self, entry: &Entry) -> Result<(), Failure> {
        let Some(path) = self.path() else { return Ok(()) };
        let edit = self.edit(&path, &self.read(&path)?, entry)?;
        print::out(format_args!("\n{}:{}: an entry is added (dry run: nothing is written)\n", shown(&path), edit.line));
        edit.text.trim().lines().for_each(|line| print::out(format_args!("{}\n", format!("+ {line}").trim_end())));
        Ok(())
    }

    /// The file itself, not a link to it, which would be replaced.
    fn path(&self) -> Option<PathBuf> {
        self.agent_log.as_ref().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()))
    }

    fn read(&self, path: &Path) -> Result<String, Failure> {
        match file::read_text(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.agent_log_create => Ok(String::new()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let message = format!("error: cannot read `{}`: {e}\nhelp: use `--agent-log-create`", shown(path));
                Err(Failure::usage(message))
            }
            read => read.map_err(|e| Failure::not_read(path, e)),
        }
    }

    fn edit(&self, path: &Path, document: &str, entry: &Entry) -> Result<Edit, Failure> {
        let refused =
            |e: agent_log::Refusal| Failure::usage(format!("error: cannot add an entry to `{}`: {e}", shown(path)));
        agent_log::edit(document, entry, self.agent_log_create).map_err(refused)
    }
}

fn shown(path: &Path) -> String {
    files::relative(path).display().to_string()
}

/// An entry without results, for a run that has not started.
pub fn entry_before_run(plan: &str) -> Entry {
    let now = jiff::Timestamp::now();
    let head = format!("#### Validator - {plan} run <id> ({})", now.strftime("%H:%M"));
    let lines = vec![head, String::new(), "(the results)".into(), String::new()];
    Entry { run: "<id>".into(), date: now.strftime("%Y-%m-%d").to_string(), lines }
}

/// Locks the folder of a file against other runners. No file is left behind.
fn lock(path: &Path) -> Result<File, Failure> {
    let not_written = |e: &io::Error| Failure::not_written(path, e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| not_written(&e))?;
    let file = File::open(folder).map_err(|e| not_written(&e))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_TIMEOUT => thread::sleep(RETRY_INTERVAL),
            Err(TryLockError::WouldBlock) => {
                return Err(not_written(&io::Error::other("another process holds the lock of its folder")));
            }
            Err(TryLockError::Error(e)) => return Err(not_written(&e)),
        }
    }
}
