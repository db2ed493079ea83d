//! `run --failed`: selects the cases that did not pass in the last run of a plan in an environment.
use super::{exit, failure::Failure, runs};
use crate::report::{
    run_index::{CaseEntry, RunIndex},
    wording::{count, join_with_and},
};
use std::{collections::BTreeSet, path::PathBuf};

/// What the last run says.
pub struct LastRun {
    pub id: String,
    /// The ids of the cases that it performed or began and that did not pass, or that it selected and never began.
    failed: BTreeSet<String>,
    /// In a sentence: the run, and what it came to.
    pub about: String,
}

impl LastRun {
    /// Of a plan in an environment.
    ///
    /// # Errors
    /// If `folders` have no run of it.
    pub fn find(folders: &[PathBuf], plan: &str, environment: &str) -> Result<LastRun, Failure> {
        let last = runs::newest(folders, plan, environment, &|_| true);
        last.map(|run| LastRun::of(&run)).ok_or_else(|| {
            let folders: Vec<String> = folders.iter().map(|f| format!("  {}", f.display())).collect();
            Failure::usage(format!(
                "error: `--failed` needs an earlier run of {plan} in `{environment}`, and none is recorded in\n{}\n\
                 help: run all cases first, or name the folder of the runs with `--runs-dir`",
                folders.join("\n")
            ))
        })
    }

    fn of(run: &RunIndex) -> LastRun {
        let selected = || run.cases.iter().filter(|c| c.outline.selected);
        let failed: BTreeSet<String> = selected().filter(|c| !is_done(c)).map(|c| c.outline.id.clone()).collect();
        let not_selected = run.cases.len() - selected().count();
        let mut about = format!(
            "{} of {} did not pass in run {} of {}",
            failed.len(),
            count(selected().count(), "case"),
            run.start.run,
            run.start.started.strftime("%Y-%m-%d %H:%M:%S UTC")
        );
        if not_selected > 0 {
            about += &format!("; {} not selected in it", count(not_selected, "more case"));
        }
        LastRun { id: run.start.run.clone(), failed, about }
    }

    pub fn has(&self, case: &str) -> bool {
        self.failed.contains(case)
    }

    /// Names the cases that did not pass and that the plan no longer has.
    pub fn no_longer_there(&self, cases: &[&str]) -> Option<String> {
        let gone: Vec<&String> = self.failed.iter().filter(|id| !cases.contains(&id.as_str())).collect();
        let verb = if gone.len() == 1 { "is" } else { "are" };
        (!gone.is_empty()).then(|| format!("{} {verb} no longer in the plan", join_with_and(&gone)))
    }
}

fn is_done(case: &CaseEntry) -> bool {
    case.has_run() && case.is_accepted()
}

/// Every case that was asked for passed last time.
pub fn nothing_left() -> Failure {
    let message = "nothing to run: no selected case is one that did not pass in the last run".into();
    Failure { message, code: exit::NOTHING_SELECTED }
}
