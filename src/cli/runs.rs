//! Where runs are recorded, and which of them are unfinished.
use super::{failure::Failure, files, print};
use crate::{
    engine::cleanup::{OpenUndo, open_undos},
    event::Event,
    journal::{RunFolder, lines, lock::Lock},
};
use std::path::{Path, PathBuf};

/// The folder of the runs of a plan: `TP_RUNS_DIR`, else `.tp-runner/runs` beside the plan.
pub fn folder(root: &Path) -> Result<PathBuf, Failure> {
    match std::env::var_os("TP_RUNS_DIR") {
        Some(folder) if folder.is_empty() => Err(Failure::usage("error: `TP_RUNS_DIR` is empty")),
        Some(folder) => Ok(folder.into()),
        None => Ok(root.join(".tp-runner").join("runs")),
    }
}

/// The folder of the runs that were recorded in this folder or a parent.
pub fn found() -> Option<PathBuf> {
    match std::env::var_os("TP_RUNS_DIR") {
        Some(folder) => Some(folder.into()),
        None => files::find_upwards(".tp-runner").map(|data| data.join("runs")),
    }
}

/// A run that has ended and left something, or was killed.
pub struct UnfinishedRun {
    pub folder: RunFolder,
    pub events: Vec<Event>,
    pub open: Vec<OpenUndo>,
    /// Held while it is cleaned up.
    _lock: Lock,
}

/// What is known about a run before its events are read.
pub enum State {
    /// Its process lives.
    Running,
    /// It was recorded by an older version, which wrote no snapshot.
    Old,
    /// Nothing is left.
    Finished,
    /// It was recorded on another host, or its folder was copied: whether it runs is not known.
    Elsewhere(Lock),
    Unfinished(Lock),
}

pub fn state(folder: &RunFolder) -> Result<State, Failure> {
    if folder.result().is_some_and(|result| result.left == 0) {
        return Ok(State::Finished);
    }
    let Some(owner) = folder.owner() else { return Ok(State::Old) };
    match folder.lock().map_err(|e| Failure::not_written(folder.path(), &e))? {
        None => Ok(State::Running),
        Some(lock) if owner.is_of(folder.path()) => Ok(State::Unfinished(lock)),
        Some(lock) => Ok(State::Elsewhere(lock)),
    }
}

/// Reads what an unfinished run left.
pub fn unfinished(folder: RunFolder, lock: Lock) -> Result<UnfinishedRun, Failure> {
    let events = read_journal(&folder.events())?;
    let open = open_undos(&events);
    Ok(UnfinishedRun { folder, events, open, _lock: lock })
}

pub fn unknown(run: &str) -> Failure {
    Failure::usage(format!("error: unknown run `{run}`: not recorded in this folder or a parent"))
}

/// The events of a journal. Says which of its lines are damaged.
pub fn read_journal(path: &Path) -> Result<Vec<Event>, Failure> {
    let lines::Journal { events, damaged } = lines::read(path).map_err(|e| Failure::not_read(path, e))?;
    if !damaged.is_empty() {
        let numbers = damaged.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        print::err(format_args!("warning: `{}` is damaged and read without these lines: {numbers}\n", path.display()));
    }
    Ok(events)
}
