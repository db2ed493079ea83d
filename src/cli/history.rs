//! `report --history`: what the recorded runs say of each case and each wait.
use super::{
    args, exit,
    failure::Failure,
    output::write_page,
    print,
    runs::{self, State, read_whole},
};
use crate::{
    journal::RunFolder,
    report::history::{History, view::PassedOver},
};
use std::fs;

/// With one run in memory at a time. A folder that is not a run, or is damaged, is named and passed over.
pub fn command(args: &args::Report, plan: Option<&str>) -> Result<u8, Failure> {
    let (mut folders, mut passed_over, mut history) = (vec![], vec![], History::default());
    for runs in runs::found() {
        folders.extend(RunFolder::all(&runs));
        let entries = fs::read_dir(&runs).into_iter().flatten().flatten().map(|entry| entry.path());
        let foreign = entries.filter(|path| path.is_dir() && !path.join("events.jsonl").is_file());
        passed_over.extend(foreign.map(|path| PassedOver {
            folder: path.display().to_string(),
            why: "no `events.jsonl`: not the folder of a run".into(),
        }));
    }
    // the times of files may be those of a copy
    folders.sort_by_cached_key(|folder| folder.result().map(|r| r.started).or(folder.owner().map(|o| o.since)));
    for folder in folders {
        if plan.is_some_and(|plan| folder.result().is_some_and(|result| result.plan != plan)) {
            continue;
        }
        let why = match runs::state(&folder) {
            Ok(State::Running) => Some("it is still running".into()),
            _ => match read_whole(&folder.events()) {
                Ok(run) if !run.has_started => Some("its journal ends before the run started".into()),
                Ok(run) => {
                    if plan.is_none_or(|plan| run.start.plan.id == plan) {
                        history.add(&run);
                    }
                    None
                }
                Err(why) => Some(why),
            },
        };
        passed_over.extend(why.map(|why| PassedOver { folder: folder.path().display().to_string(), why }));
    }
    match plan {
        Some(plan) if history.is_empty() => {
            let message = format!("error: no run of `{plan}` is recorded in this folder or a parent");
            return Err(Failure::usage(format!("{message}\nhelp: `tp-runner runs` lists the recorded runs")));
        }
        None if history.is_empty() && passed_over.is_empty() => print::out(format_args!("no recorded runs\n")),
        _ => write_page(args, &history.page(&passed_over), |out| history.write_json(&passed_over, out))?,
    }
    Ok(exit::SUCCESS)
}
