//! Merges runs that each performed a part of one plan (shards) into one run, which is then reported and gated as any other.
#[cfg(test)]
mod tests;

use super::{
    compare::short,
    run_index::{CaseEntry, RunIndex},
    wording::{self, count},
};
use jiff::Timestamp;
use std::{cmp::Reverse, time::Duration};

#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("the run `{0}` is named twice")]
    Twice(String),
    #[error("the journal of a run ends before the run started")]
    Empty,
    #[error("`{run}` and `{other}` differ in {what}: `{a}` and `{b}`")]
    Different { run: String, other: String, what: &'static str, a: String, b: String },
    #[error("`{run}` and `{other}` have different cases or sentences, although both are of `{plan}`")]
    Cases { run: String, other: String, plan: String },
}

/// Merges at least one run. The cases of the result are those of the plan; a note names each case that several runs performed, and each
/// that none did. Of a case that several runs performed, the worst result counts.
pub fn merge(runs: Vec<RunIndex>) -> Result<RunIndex, MergeError> {
    runs.iter().try_for_each(|run| if run.has_started { Ok(()) } else { Err(MergeError::Empty) })?;
    let mut rest = runs.iter();
    let Some(first) = rest.next() else { return Err(MergeError::Empty) };
    let mut ids = vec![&first.start.run];
    for run in rest {
        if ids.contains(&&run.start.run) {
            return Err(MergeError::Twice(run.start.run.clone()));
        }
        ids.push(&run.start.run);
        is_of_same_plan(first, run)?;
    }
    let mut notes: Vec<String> = vec![];
    for run in &runs {
        let of_run = |note: &String| format!("{}: {note}", run.start.run);
        notes.extend(run.notes.iter().map(of_run));
    }
    let mut doubled = vec![];
    let cases: Vec<CaseEntry> = (0..first.cases.len()).map(|i| merged_case(&runs, i, &mut doubled)).collect();
    let missing: Vec<&str> = cases.iter().filter(|c| !c.outline.selected).map(|c| c.outline.id.as_str()).collect();
    notes.append(&mut doubled);
    if !missing.is_empty() {
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let cases = count(missing.len(), "case");
        notes.push(format!("{cases} of the plan {verb} in no run: {}", wording::join_with_and(&missing)));
    }
    let selected = cases.iter().filter(|c| c.outline.selected).count();
    let selection = format!("{selected} of {} in {}", count(cases.len(), "case"), count(runs.len(), "run"));
    let mut merged = first.clone();
    merged.start.run = ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" ");
    merged.start.selection = selection;
    merged.start.started = runs.iter().map(|run| run.start.started).min().unwrap_or_default();
    merged.took = took(&runs, merged.start.started);
    merged.complete = runs.iter().all(|run| run.complete);
    merged.cancelled = runs.iter().any(|run| run.cancelled);
    merged.outside_cases = runs.iter().flat_map(|run| run.outside_cases.clone()).collect();
    for run in &runs[1..] {
        let (all, other) = (&mut merged.start, &run.start);
        add(&mut all.environment.targets, &other.environment.targets);
        add(&mut all.versions, &other.versions);
        add(&mut all.ci, &other.ci);
        add(&mut all.plan.vars, &other.plan.vars);
    }
    merged.cases = cases;
    merged.notes = notes;
    Ok(merged)
}

fn is_of_same_plan(a: &RunIndex, b: &RunIndex) -> Result<(), MergeError> {
    let (x, y) = (&a.start, &b.start);
    let same = |what: &'static str, a: &str, b: &str| match a == b {
        true => Ok(()),
        false => Err(MergeError::Different {
            run: x.run.clone(),
            other: y.run.clone(),
            what,
            a: a.to_owned(),
            b: b.to_owned(),
        }),
    };
    same("the plan", &x.plan.id, &y.plan.id)?;
    if let (Some(a), Some(b)) = (&x.plan.digest, &y.plan.digest) {
        same("the digest of the plan", short(a), short(b))?;
    }
    same("the environment", &x.environment.name, &y.environment.name)?;
    same("the gate", &wording::tiers(&x.gate), &wording::tiers(&y.gate))?;
    let texts = |run: &RunIndex| -> Vec<(String, Vec<String>)> {
        let sentences = |c: &CaseEntry| c.outline.sentences.iter().map(|s| s.text.clone()).collect();
        run.cases.iter().map(|c| (c.outline.id.clone(), sentences(c))).collect()
    };
    match texts(a) == texts(b) {
        true => Ok(()),
        false => Err(MergeError::Cases { run: x.run.clone(), other: y.run.clone(), plan: x.plan.id.clone() }),
    }
}

/// The result of a case: of the run that selected it. If several did, the worst counts; one that never began it says nothing of it; and a sentence is added to `doubled`.
fn merged_case(runs: &[RunIndex], i: usize, doubled: &mut Vec<String>) -> CaseEntry {
    let entries = || runs.iter().map(|run| (&run.start.run, &run.cases[i]));
    let mut selected: Vec<_> = entries().filter(|(_, case)| case.outline.selected).collect();
    let Some((run, worst)) =
        selected.iter().min_by_key(|(_, case)| Reverse(case.verdict.severity(case.blame))).copied()
    else {
        return runs[0].cases[i].clone();
    };
    if selected.len() > 1 {
        selected.sort_by_key(|(id, _)| *id);
        let names: Vec<&str> = selected.iter().map(|(id, _)| id.as_str()).collect();
        let verdict = worst.verdict;
        doubled.push(format!(
            "{} is in {} runs ({}): the worst result counts, {verdict} in {run}",
            worst.outline.id,
            names.len(),
            wording::join_with_and(&names)
        ));
    }
    worst.clone()
}

/// From the start of the first run to the end of the last one.
fn took(runs: &[RunIndex], started: Timestamp) -> Duration {
    let since = |run: &RunIndex| Duration::try_from(run.start.started.duration_since(started)).unwrap_or_default();
    runs.iter().map(|run| since(run) + run.took).max().unwrap_or_default()
}

/// Adds names, and other values of known names.
fn add(known: &mut Vec<(String, String)>, found: &[(String, String)]) {
    for (name, value) in found {
        match known.iter_mut().find(|(n, _)| n == name) {
            Some((_, values)) if values.split("; ").any(|v| v == value) => {}
            Some((_, values)) => *values += &format!("; {value}"),
            None => known.push((name.clone(), value.clone())),
        }
    }
}
