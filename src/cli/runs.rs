//! Where runs are recorded, how long they are kept, and which of them are unfinished.
use super::{exit, failure::Failure, files, print};
use crate::{
    engine::open_undos::{OpenUndo, OpenUndos},
    event::{Event, EventSink},
    journal::{RunFolder, RunResult, lines, lock::Lock},
    plan::RunsSetting,
    report::{gate::gate, index_builder::IndexBuilder, run_index::RunIndex, wording::count},
    source::Source,
    yaml,
};
use jiff::Timestamp;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// How many finished runs are kept, unless the environment file says otherwise.
const KEPT: usize = 20;

/// The newest run, in place of an id.
const LATEST: &str = "latest";

/// The folder that `--runs-dir` or `TP_RUNS_DIR` names.
static CHOSEN: OnceLock<PathBuf> = OnceLock::new();

/// Uses this folder for all runs.
pub fn use_folder(folder: PathBuf) {
    let _ = CHOSEN.set(folder);
}

/// The folder of the runs of a plan: the one that was chosen, else `runs.folder` of the environment file, else `.tp-runner/runs`
/// beside the plan.
pub fn folder(root: &Path, environment: Option<&Source>) -> PathBuf {
    let configured = || environment.and_then(configured);
    CHOSEN.get().cloned().or_else(configured).unwrap_or_else(|| root.join(".tp-runner").join("runs"))
}

/// The folder of the runs that cannot be recorded beside their plan: `tp-runner/runs` in the user's folder for state.
pub fn state_folder() -> Option<PathBuf> {
    if CHOSEN.get().is_some() {
        return None;
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    Some(state.filter(|path| path.is_absolute()).or_else(home)?.join("tp-runner").join("runs"))
}

/// The folders in which runs of this folder, or of a parent, may be recorded.
pub fn found() -> Vec<PathBuf> {
    if let Some(chosen) = CHOSEN.get() {
        return vec![chosen.clone()];
    }
    let environment = files::environment_file(None).ok().flatten();
    let configured = environment.and_then(|source| configured(&source));
    let beside = files::find_upwards(".tp-runner").map(|data| data.join("runs"));
    configured.into_iter().chain(beside).chain(state_folder()).filter(|folder| folder.is_dir()).collect()
}

/// `runs.folder` of an environment file, relative to the file.
fn configured(source: &Source) -> Option<PathBuf> {
    let source = Arc::new(Source::new(source.name.clone(), source.text.clone()));
    let root = yaml::parse(&source).ok()?;
    let folder = root.get("runs")?.get("folder")?.as_str()?;
    Some(Path::new(&source.name).parent()?.join(folder))
}

/// The folder of a recorded run.
pub fn find(id: &str) -> Result<RunFolder, Failure> {
    let mut all = found().into_iter().map(|runs| RunFolder::of(&runs, id));
    all.find(|folder| folder.events().is_file()).ok_or_else(|| unknown(id))
}

/// The ids of all recorded runs, newest first in each folder.
pub fn ids() -> Vec<String> {
    let ids = found().into_iter().flat_map(|runs| RunFolder::all(&runs).into_iter().rev()).map(|folder| folder.id());
    ids.chain([LATEST.to_string()]).collect()
}

/// The newest run of a plan in an environment whose id `is_meant`, complete or killed, but not one that is running. A journal that cannot
/// be read is passed over with a warning.
pub fn newest(folders: &[PathBuf], plan: &str, environment: &str, is_meant: &dyn Fn(&str) -> bool) -> Option<RunIndex> {
    let of_folder = |runs: &PathBuf| newest_of(runs, plan, environment, is_meant);
    folders.iter().filter_map(of_folder).max_by_key(|run| run.start.started)
}

fn newest_of(runs: &Path, plan: &str, environment: &str, is_meant: &dyn Fn(&str) -> bool) -> Option<RunIndex> {
    for folder in RunFolder::all(runs).into_iter().rev() {
        let is_of_other_plan = folder.result().is_some_and(|result| result.plan != plan);
        if is_of_other_plan || !is_meant(&folder.id()) || matches!(state(&folder), Ok(State::Running)) {
            continue;
        }
        match read_index(&folder.events()) {
            Ok(run) if run.start.plan.id == plan && run.start.environment.name == environment => return Some(run),
            Ok(_) => {}
            Err(e) => print::err(format_args!("warning: passed over: {}\n", e.message)),
        }
    }
    None
}

/// The journal of a run: a file, its folder, or the id of a run recorded in this folder or a parent.
pub fn find_journal(run: &str) -> Result<PathBuf, Failure> {
    if run == LATEST {
        let started = |folder: &RunFolder| folder.result().map(|r| r.started);
        let all = found().into_iter().flat_map(|runs| RunFolder::all(&runs)).filter(|f| f.events().is_file());
        let newest = all.max_by_key(started).ok_or_else(|| Failure::usage("error: no recorded runs"))?;
        return Ok(newest.events());
    }
    let within = Path::new(run).join("events.jsonl");
    if within.is_file() {
        return Ok(within);
    }
    if Path::new(run).is_file() {
        return Ok(run.into());
    }
    find(run).map(|folder| folder.events())
}

/// Removes finished runs: all but the newest, and those that are too old. Unfinished ones are kept.
pub fn prune(runs: &Path, setting: &RunsSetting) {
    let mut finished: Vec<(Timestamp, RunFolder)> = RunFolder::all(runs)
        .into_iter()
        .filter_map(|folder| Some((folder.result().filter(|r| r.left == 0)?.finished, folder)))
        .collect();
    finished.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let keep = setting.keep.unwrap_or(KEPT);
    let oldest = setting.max_age.and_then(|age| Timestamp::now().checked_sub(age).ok());
    for (n, (time, folder)) in finished.into_iter().enumerate() {
        let too_old = oldest.is_some_and(|oldest| time < oldest);
        // a run that is being read or cleaned up is kept
        if (n >= keep || too_old) && matches!(folder.lock(), Ok(Some(_))) {
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}

/// Says in the folder of a run how it ended, and how many undo entries are open.
pub fn write_result(folder: &RunFolder, index: &RunIndex, finished: Timestamp, left: usize) -> Result<(), Failure> {
    let result = RunResult {
        plan: index.start.plan.id.clone(),
        verdict: gate(index).verdict.as_str().into(),
        started: index.start.started,
        finished,
        left,
    };
    folder.write_result(&result).map_err(|e| Failure::not_written(folder.path(), &e))
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
    let open = OpenUndos::of(&events).all();
    Ok(UnfinishedRun { folder, events, open, _lock: lock })
}

pub fn unknown(run: &str) -> Failure {
    Failure::usage(format!("error: unknown run `{run}`: not recorded in this folder or a parent"))
}

/// The events of a journal. Says which of its lines are damaged.
pub fn read_journal(path: &Path) -> Result<Vec<Event>, Failure> {
    let mut events = vec![];
    for_each_event(path, |event| events.push(event))?;
    Ok(events)
}

/// The index of a recorded run, with one event in memory at a time. Says which lines of the journal are damaged.
pub fn read_index(path: &Path) -> Result<RunIndex, Failure> {
    let mut builder = IndexBuilder::default();
    for_each_event(path, |event| {
        // it takes every event
        let _ = builder.on_event(&event);
    })?;
    Ok(builder.index())
}

/// Like [`read_index`], of a journal that is whole; otherwise the reason why it cannot be read.
pub fn read_whole(path: &Path) -> Result<RunIndex, String> {
    let mut builder = IndexBuilder::default();
    let damaged = lines::for_each(path, |event| {
        // it takes every event
        let _ = builder.on_event(&event);
    });
    match damaged.map_err(|e| e.to_string())?.len() {
        0 => Ok(builder.index()),
        damaged => Err(format!("its journal is damaged in {}", count(damaged, "line"))),
    }
}

fn for_each_event(path: &Path, f: impl FnMut(Event)) -> Result<(), Failure> {
    let damaged = lines::for_each(path, f).map_err(|e| Failure::not_read(path, e))?;
    if !damaged.is_empty() {
        let numbers = damaged.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        print::err(format_args!("warning: `{}` is damaged and read without these lines: {numbers}\n", path.display()));
    }
    Ok(())
}

/// `runs`: lists the recorded runs, the newest first.
pub fn command() -> Result<u8, Failure> {
    let mut rows = vec![];
    for runs in found() {
        for folder in RunFolder::all(&runs).into_iter().rev() {
            rows.push(row(&folder)?);
        }
    }
    if rows.is_empty() {
        print::out(format_args!("no recorded runs\n"));
        return Ok(exit::SUCCESS);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.force_no_tty().set_header(["RUN", "PLAN", "STARTED", "VERDICT", "SIZE", "LEFT"]).add_rows(rows);
    table.lines().for_each(|line| print::out(format_args!("{}\n", line.trim_end())));
    Ok(exit::SUCCESS)
}

/// A run in the table.
fn row(folder: &RunFolder) -> Result<[String; 6], Failure> {
    let time = |t: Timestamp| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let size = match folder.size() {
        bytes @ ..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        bytes => format!("{:.1} MB", bytes as f64 / 1e6),
    };
    let owner = folder.owner();
    let (plan, started, verdict, left) = match folder.result() {
        Some(r) => (r.plan, time(r.started), r.verdict, if r.left == 0 { String::new() } else { r.left.to_string() }),
        None => {
            let verdict = match state(folder)? {
                State::Running => "running",
                _ => "killed",
            };
            let plan = folder.snapshot().ok().flatten().map(|s| s.plan.name).unwrap_or_default();
            (plan, owner.map(|o| time(o.since)).unwrap_or_default(), verdict.to_string(), "unknown".into())
        }
    };
    Ok([folder.id(), plan, started, verdict, size, left])
}
