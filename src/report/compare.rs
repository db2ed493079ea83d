//! Compares two runs of a plan: what failed newly, what passed newly, what became slower, and what cannot be compared.
#[cfg(test)]
mod tests;

use super::{
    gate::gate,
    json_text,
    page::Page,
    run_index::{CaseEntry, RunIndex},
    wording::{self, duration},
};
use crate::outcome::Verdict;
use serde::Serialize;
use std::{
    io::{self, Write},
    time::Duration,
};

/// Changes when a reader of the previous version would misread the JSON.
const VERSION: u32 = 1;
/// A case or a wait is slower if it takes at least this many times as long,
const MIN_FACTOR: f64 = 1.5;
/// and at least this much longer: two runs on the same machine differ by less.
const MIN_DIFFERENCE: Duration = Duration::from_secs(1);

/// Two runs of one plan. Serialised, it is the JSON of the comparison.
#[derive(Serialize)]
pub struct Comparison {
    version: u32,
    plan: String,
    before: ComparedRun,
    after: ComparedRun,
    /// What else differs between the runs, a sentence each.
    differences: Vec<String>,
    pub newly_failed: Vec<CaseChange>,
    pub newly_passed: Vec<CaseChange>,
    pub still_failed: Vec<CaseChange>,
    /// Accepted in both, but passed only when it was tried again in the later run.
    pub newly_flaky: Vec<CaseChange>,
    pub slower_cases: Vec<Slower>,
    pub slower_waits: Vec<Slower>,
    /// Cases that only the later plan has.
    pub new_cases: Vec<String>,
    /// Cases that only the earlier plan has.
    pub removed_cases: Vec<String>,
    /// Cases that one of the runs did not perform.
    pub not_compared: Vec<String>,
    /// The number of cases that passed in both.
    passed_in_both: usize,
}

#[derive(Serialize)]
struct ComparedRun {
    run: String,
    started: String,
    environment: String,
    verdict: &'static str,
    plan_digest: Option<String>,
}

#[derive(Serialize)]
pub struct CaseChange {
    pub case: String,
    title: String,
    before: &'static str,
    after: &'static str,
    /// Of the later run, or of the earlier one if the later one passed.
    why: Option<String>,
}

#[derive(Serialize)]
pub struct Slower {
    /// The id of a case; for a wait, with its place in the case and its action.
    pub what: String,
    before_ms: u64,
    after_ms: u64,
    /// Of a wait.
    limit_ms: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("the runs are of different plans: {0} of `{1}`, {2} of `{3}`")]
    Plans(String, String, String, String),
    #[error("the journal ends before the run started")]
    Empty,
}

/// Compares a run with an earlier one of the same plan.
pub fn compare(before: &RunIndex, after: &RunIndex) -> Result<Comparison, CompareError> {
    if !before.has_started || !after.has_started {
        return Err(CompareError::Empty);
    }
    let (a, b) = (&before.start, &after.start);
    if a.plan.id != b.plan.id {
        return Err(CompareError::Plans(a.run.clone(), a.plan.id.clone(), b.run.clone(), b.plan.id.clone()));
    }
    let mut all = Comparison {
        version: VERSION,
        plan: [a.plan.id.as_str(), a.plan.title.as_str()].join(" ").trim().to_owned(),
        before: compared_run(before),
        after: compared_run(after),
        differences: differences(before, after),
        newly_failed: vec![],
        newly_passed: vec![],
        still_failed: vec![],
        newly_flaky: vec![],
        slower_cases: vec![],
        slower_waits: vec![],
        new_cases: vec![],
        removed_cases: vec![],
        not_compared: vec![],
        passed_in_both: 0,
    };
    for case in &after.cases {
        match before.cases.iter().find(|c| c.outline.id == case.outline.id) {
            Some(earlier) => all.add(earlier, case),
            None => all.new_cases.push(case.outline.id.clone()),
        }
    }
    let is_removed = |c: &&CaseEntry| !after.cases.iter().any(|other| other.outline.id == c.outline.id);
    all.removed_cases.extend(before.cases.iter().filter(is_removed).map(|c| c.outline.id.clone()));
    Ok(all)
}

/// Whether a time is longer than another by more than two runs usually differ.
pub fn is_slower(before: Duration, after: Duration) -> bool {
    after >= before.mul_f64(MIN_FACTOR) && after >= before + MIN_DIFFERENCE
}

fn compared_run(run: &RunIndex) -> ComparedRun {
    ComparedRun {
        run: run.start.run.clone(),
        started: run.start.started.to_string(),
        environment: run.start.environment.name.clone(),
        verdict: gate(run).verdict.as_str(),
        plan_digest: run.start.plan.digest.clone(),
    }
}

fn differences(before: &RunIndex, after: &RunIndex) -> Vec<String> {
    let (a, b) = (&before.start, &after.start);
    let mut all = vec![];
    if a.environment.name != b.environment.name {
        all.push(format!("the environment: `{}`, now `{}`", a.environment.name, b.environment.name));
    }
    match (&a.plan.digest, &b.plan.digest) {
        (Some(a), Some(b)) if a != b => {
            all.push(format!("the text of the plan: digest {}, now {}", short(a), short(b)));
        }
        (Some(_), Some(_)) => {}
        _ => all.push("whether the plan was changed is unknown: an older `tp-runner` recorded no digest".into()),
    }
    let version = |versions: &[(String, String)], name: &str| {
        versions.iter().find(|(n, _)| n == name).map_or("unknown".to_owned(), |(_, v)| v.clone())
    };
    let only_after = b.versions.iter().filter(|(n, _)| !a.versions.iter().any(|(other, _)| n == other));
    for (name, _) in a.versions.iter().chain(only_after) {
        let (old, new) = (version(&a.versions, name), version(&b.versions, name));
        if old != new {
            all.push(format!("the version of {name}: {old}, now {new}"));
        }
    }
    if a.selection != b.selection {
        all.push(format!("the selection: {}, now {}", a.selection, b.selection));
    }
    for (run, which) in [(before, "earlier"), (after, "later")] {
        if run.cancelled || !run.complete {
            all.push(format!("the {which} run did not end"));
        }
    }
    all
}

/// The beginning of a digest.
pub fn short(digest: &str) -> &str {
    &digest[..digest.floor_char_boundary(12)]
}

impl Comparison {
    /// Adds a case that both plans have.
    fn add(&mut self, before: &CaseEntry, after: &CaseEntry) {
        if !before.has_run() || !after.has_run() {
            self.not_compared.push(after.outline.id.clone());
            return;
        }
        let change = |shown: &CaseEntry| CaseChange {
            case: after.outline.id.clone(),
            title: after.outline.title.clone(),
            before: before.verdict.as_str(),
            after: after.verdict.as_str(),
            why: why(shown),
        };
        match (before.is_accepted(), after.is_accepted()) {
            (true, false) => self.newly_failed.push(change(after)),
            (false, true) => self.newly_passed.push(change(before)),
            (false, false) => self.still_failed.push(change(after)),
            (true, true) if after.verdict == Verdict::Flaky && before.verdict != Verdict::Flaky => {
                self.newly_flaky.push(change(after));
            }
            (true, true) => self.passed_in_both += 1,
        }
        if before.verdict == Verdict::Passed && after.verdict == Verdict::Passed && is_slower(before.took, after.took) {
            self.slower_cases.push(Slower {
                what: after.outline.id.clone(),
                before_ms: millis(before.took),
                after_ms: millis(after.took),
                limit_ms: None,
            });
        }
        for wait in &after.waits {
            let earlier = before.waits.iter().find(|w| w.is_same(wait)).and_then(|w| w.held_after);
            let (Some(old), Some(new)) = (earlier, wait.held_after) else { continue };
            if is_slower(old, new) {
                self.slower_waits.push(Slower {
                    what: format!("{}: {}", wait.address, wait.summary),
                    before_ms: millis(old),
                    after_ms: millis(new),
                    limit_ms: Some(millis(wait.limit)),
                });
            }
        }
    }

    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_text::write(self, out)
    }

    /// For a terminal or a Markdown file.
    pub fn page(&self) -> Page {
        let mut page = Page::new(format!("{}: {} against {}", self.plan, self.after.run, self.before.run));
        for (name, run) in [("before", &self.before), ("now", &self.after)] {
            page.line(format!("{name}: {} in `{}`, {}, {}", run.run, run.environment, run.started, run.verdict));
        }
        if !self.differences.is_empty() {
            page.line("The runs differ in more than the product:");
            page.list(self.differences.clone());
        }
        for (name, changes) in [
            ("Newly failed", &self.newly_failed),
            ("Newly passed", &self.newly_passed),
            ("Failed in both", &self.still_failed),
            ("Newly flaky", &self.newly_flaky),
        ] {
            let rows = changes.iter().map(|c| {
                let why = c.why.clone().unwrap_or_default();
                vec![c.case.clone(), c.title.clone(), c.before.into(), c.after.into(), why]
            });
            page.table(with_count(name, changes.len()), &["Case", "Title", "Before", "Now", "Why"], 0, rows.collect());
        }
        for (name, slower) in [("Slower cases", &self.slower_cases), ("Slower waits", &self.slower_waits)] {
            let time = |ms: u64| duration(Duration::from_millis(ms));
            let rows = slower.iter().map(|s| {
                let limit = s.limit_ms.map(time).unwrap_or_default();
                vec![s.what.clone(), time(s.before_ms), time(s.after_ms), limit]
            });
            page.table(with_count(name, slower.len()), &["What", "Before", "Now", "Limit"], 3, rows.collect());
        }
        page.blocks.push(super::page::Block::Heading("In short".into()));
        page.line(self.in_short());
        for (name, cases) in [
            ("New cases", &self.new_cases),
            ("Removed cases", &self.removed_cases),
            ("Not compared, since only one run or none performed them", &self.not_compared),
        ] {
            if !cases.is_empty() {
                page.line(format!("{name}: {}", wording::join_with_and(cases)));
            }
        }
        if !self.slower_cases.is_empty() || !self.slower_waits.is_empty() {
            page.line(format!(
                "Slower means: at least {MIN_FACTOR} times as long, and at least {} longer.",
                duration(MIN_DIFFERENCE)
            ));
        }
        page
    }

    fn in_short(&self) -> String {
        let slower = self.slower_cases.len() + self.slower_waits.len();
        format!(
            "{} newly failed, {} newly passed, {} failed in both, {} passed in both, {} slower",
            self.newly_failed.len(),
            self.newly_passed.len(),
            self.still_failed.len(),
            self.passed_in_both,
            slower,
        )
    }
}

fn with_count(name: &str, n: usize) -> String {
    format!("{name} ({n})")
}

/// What decided a case that did not pass, in one line.
fn why(case: &CaseEntry) -> Option<String> {
    let (_, attempt) = case.deciding_attempt();
    let cause = attempt.deciding_sentence().and_then(|s| {
        let (why, _) = s.worst_cause();
        why.map(|why| format!("{}: {why}", wording::one_line(&s.outline.text, 60)))
    });
    cause.or_else(|| case.reason.clone())
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
