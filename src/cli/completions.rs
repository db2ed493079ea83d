//! `completions`: the script that completes arguments in a shell, and the words that it asks for: plans, cases,
//! environments and runs, as they are at that moment.
use super::{exit, failure::Failure, files, print, runs};
use crate::{executors, reference};
use clap_complete::{
    Shell,
    engine::CompletionCandidate,
    env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh},
};
use std::{collections::BTreeSet, ffi::OsStr};

/// The variable by which the script asks.
/// Of the program alone: another tool's variable must not end a run.
const VARIABLE: &str = "TP_RUNNER_COMPLETE";
const NAME: &str = "tp-runner";

/// Answers the script of a shell, if it asks. Returns the exit code if it does.
pub fn answer(command: fn() -> clap::Command) -> Option<u8> {
    let completer = clap_complete::CompleteEnv::with_factory(command).var(VARIABLE).bin(NAME).completer(NAME);
    let here = std::env::current_dir().ok();
    match completer.try_complete(std::env::args_os(), here.as_deref()) {
        Ok(true) => Some(exit::SUCCESS),
        Ok(false) => None,
        Err(e) => {
            print::err(format_args!("error: cannot complete, as `{VARIABLE}` asks: {e}\n"));
            Some(exit::USAGE)
        }
    }
}

pub fn print_script(shell: Shell) -> Result<u8, Failure> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Zsh => &Zsh,
        other => return Err(Failure::usage(format!("error: no completions for {other}"))),
    };
    let mut script = vec![];
    shell
        .write_registration(VARIABLE, NAME, NAME, NAME, &mut script)
        .map_err(|e| Failure::usage(format!("error: cannot write the script: {e}")))?;
    print::out(format_args!("{}", String::from_utf8_lossy(&script)));
    Ok(exit::SUCCESS)
}

fn candidates(words: impl IntoIterator<Item = String>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    words.into_iter().filter(|w| w.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

/// The ids of plans.
pub fn plans(typed: &OsStr) -> Vec<CompletionCandidate> {
    candidates(files::known_ids(), typed)
}

/// The ids of the cases of all known plans.
pub fn cases(typed: &OsStr) -> Vec<CompletionCandidate> {
    let ids: BTreeSet<String> = files::plans(&[]).unwrap_or_default().iter().flat_map(case_ids).collect();
    candidates(ids, typed)
}

/// The ids in the text of a plan, whether it is valid or not.
fn case_ids(plan: &files::PlanFile) -> Vec<String> {
    let ids = plan.source.text.lines().filter_map(|l| l.trim_start().strip_prefix("- id:"));
    ids.filter_map(|id| id.split_whitespace().next()).map(|id| id.trim_matches(['"', '\'']).to_string()).collect()
}

/// The environments of the file in this folder or a parent, and the sandbox.
pub fn environments(typed: &OsStr) -> Vec<CompletionCandidate> {
    let source = files::environment_file(None).ok().flatten();
    let node = source.and_then(|source| crate::yaml::parse(&source).ok());
    let named = node.as_ref().and_then(|n| n.get("environments"));
    let names = named.map(|n| n.entries().iter().map(|(k, _)| k.key_text()).collect::<Vec<_>>()).unwrap_or_default();
    let sandbox = cfg!(feature = "sandbox").then(|| "sandbox".to_string());
    candidates(names.into_iter().chain(sandbox), typed)
}

/// The recorded runs, newest first.
pub fn recorded_runs(typed: &OsStr) -> Vec<CompletionCandidate> {
    candidates(runs::ids(), typed)
}

/// The words that `explain` knows.
pub fn words(typed: &OsStr) -> Vec<CompletionCandidate> {
    let words: BTreeSet<String> = reference::entries(&executors::registry()).into_iter().map(|e| e.word).collect();
    candidates(words, typed)
}
