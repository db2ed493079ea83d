//! The folder of a recorded run, `.tp-runner/runs/<id>/`: all that is needed to report it, to replay it and to undo what it left.
//!
//! | File | Content |
//! |---|---|
//! | `events.jsonl` | the events, one JSON object a line; a part that an earlier line has is a reference (`compact`, `times`) |
//! | `snapshot.json` | plan, included files, environment and arguments, as they were |
//! | `lock` | who writes to the folder; locked while that process lives |
//! | `result.json` | the verdict and what is left; missing while the run is unfinished |
mod compact;
mod expand;
pub mod lines;
pub mod lock;
pub mod snapshot;
mod times;

use crate::file::write_private;
use jiff::Timestamp;
use lock::Lock;
use serde::{Deserialize, Serialize};
use snapshot::Snapshot;
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder(PathBuf);

/// How a run ended, for lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    pub plan: String,
    /// `passed`, `failed`, `errored`, `interrupted` or `undecided`.
    pub verdict: String,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// How many undo entries are open.
    pub left: usize,
}

impl RunFolder {
    /// The folder of a run in the folder of all runs. It need not exist.
    pub fn of(runs: &Path, id: &str) -> RunFolder {
        RunFolder(runs.join(id))
    }

    /// Creates the folder, which only the user may read, and locks it. In `runs`, a `.gitignore` excludes all of it.
    pub fn create(runs: &Path, id: &str) -> io::Result<(RunFolder, Lock)> {
        let folder = RunFolder::of(runs, id);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder.0)?;
        let ignore = runs.parent().filter(|data| data.ends_with(".tp-runner")).unwrap_or(runs).join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
        let lock = Lock::take(&folder.file("lock"))?
            .ok_or_else(|| io::Error::new(io::ErrorKind::AlreadyExists, "another process writes to it"))?;
        Ok((folder, lock))
    }

    /// The folders of all runs, the oldest first.
    pub fn all(runs: &Path) -> Vec<RunFolder> {
        let entries = fs::read_dir(runs).into_iter().flatten().flatten();
        let mut found: Vec<(std::time::SystemTime, PathBuf)> = entries
            .map(|entry| entry.path())
            .filter(|path| path.join("events.jsonl").is_file())
            .map(|path| (created(&path), path))
            .collect();
        found.sort();
        found.into_iter().map(|(_, path)| RunFolder(path)).collect()
    }

    pub fn id(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn events(&self) -> PathBuf {
        self.file("events.jsonl")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Locks the folder; `None` while another process has it.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        Lock::take(&self.file("lock"))
    }

    /// Who locked the folder last. `None` in folders of old versions.
    pub fn owner(&self) -> Option<lock::Owner> {
        lock::Owner::read(&self.file("lock"))
    }

    pub fn write_snapshot(&self, snapshot: &Snapshot) -> io::Result<()> {
        self.write_json("snapshot.json", snapshot)
    }

    /// `None` in folders of old versions.
    pub fn snapshot(&self) -> io::Result<Option<Snapshot>> {
        self.read_json("snapshot.json")
    }

    pub fn write_result(&self, result: &RunResult) -> io::Result<()> {
        self.write_json("result.json", result)
    }

    /// `None` while the run is unfinished.
    pub fn result(&self) -> Option<RunResult> {
        self.read_json("result.json").ok().flatten()
    }

    /// The size of all files, in bytes.
    pub fn size(&self) -> u64 {
        let files = fs::read_dir(&self.0).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum()
    }

    fn write_json(&self, name: &str, content: &impl Serialize) -> io::Result<()> {
        write_private(&self.file(name), |out| serde_json::to_writer(out, content).map_err(io::Error::from))
    }

    fn read_json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.file(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// When a run began: the time of its first file. Unknown: the earliest time.
fn created(folder: &Path) -> std::time::SystemTime {
    let time = |name: &str| fs::metadata(folder.join(name)).and_then(|m| m.modified());
    time("snapshot.json").or_else(|_| time("events.jsonl")).unwrap_or(std::time::UNIX_EPOCH)
}
