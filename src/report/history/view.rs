//! The history as JSON, and as a page for a terminal or a Markdown file.
use super::{CaseHistory, Group, History, NEAR_LIMIT, WaitHistory};
use crate::{
    outcome::{Tier, Verdict},
    report::{
        json_text,
        page::Page,
        wording::{count, duration},
    },
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    io::{self, Write},
    time::Duration,
};

/// Changes when a reader of the previous version would misread the JSON.
const VERSION: u32 = 1;

/// A folder that is not a run, or cannot be read, and why.
#[derive(Serialize)]
pub struct PassedOver {
    pub folder: String,
    pub why: String,
}

#[derive(Serialize)]
struct Json<'h> {
    version: u32,
    plans: Vec<PlanJson<'h>>,
    passed_over: &'h [PassedOver],
}

#[derive(Serialize)]
struct PlanJson<'h> {
    plan: &'h str,
    title: &'h str,
    environment: &'h str,
    runs: usize,
    first: String,
    last: String,
    last_digest: Option<&'h str>,
    cases: Vec<CaseJson<'h>>,
}

#[derive(Serialize)]
struct CaseJson<'h> {
    case: &'h str,
    title: &'h str,
    tier: Tier,
    runs: usize,
    passed: usize,
    flaky: usize,
    changes: usize,
    last: Verdict,
    waits: Vec<WaitJson<'h>>,
}

#[derive(Serialize)]
struct WaitJson<'h> {
    address: &'h str,
    summary: &'h str,
    satisfied: usize,
    not_satisfied: usize,
    median_ms: Option<u64>,
    worst_ms: Option<u64>,
    /// Of the last run.
    limit_ms: u64,
    near_limit: bool,
}

impl History {
    pub fn write_json(&self, passed_over: &[PassedOver], out: &mut dyn Write) -> io::Result<()> {
        let plans = self.0.iter().map(|((plan, environment), group)| PlanJson {
            plan,
            title: &group.title,
            environment,
            runs: group.runs,
            first: group.first.to_string(),
            last: group.last.to_string(),
            last_digest: group.digest.as_deref(),
            cases: group.cases.iter().map(case_json).collect(),
        });
        json_text::write(&Json { version: VERSION, plans: plans.collect(), passed_over }, out)
    }

    pub fn page(&self, passed_over: &[PassedOver]) -> Page {
        let mut page = Page::new("History of the recorded runs");
        for ((plan, environment), group) in &self.0 {
            add_group(&mut page, plan, environment, group);
        }
        if !passed_over.is_empty() {
            page.line(format!("{} passed over:", count(passed_over.len(), "folder")));
            page.list(passed_over.iter().map(|p| format!("{}: {}", p.folder, p.why)).collect());
        }
        page
    }
}

fn add_group(page: &mut Page, plan: &str, environment: &str, group: &Group) {
    let name = [plan, &group.title].join(" ");
    let days = [day(group.first), day(group.last)];
    let when = if days[0] == days[1] { format!("on {}", days[0]) } else { format!("from {} to {}", days[0], days[1]) };
    let heading = format!("{} in `{environment}`: {} {when}", name.trim(), count(group.runs, "run"));
    let head = ["Case", "Tier", "Last", "Runs", "Passed", "Rate", "Changes", "Flaky"];
    page.table(heading, &head, 5, group.cases.iter().map(case_row).collect());
    let waits = || group.cases.iter().flat_map(|case| &case.waits);
    let head = ["Wait", "Action", "Remark", "Runs", "Median", "Worst", "Limit"];
    page.table(format!("Waits of {plan} in `{environment}`"), &head, 4, waits().map(wait_row).collect());
    if group.cases.iter().any(|case| case.changes + case.flaky > 0) {
        page.line(
            "Changes: passed in one run, and not in the next one of the same plan and environment, or the reverse.",
        );
        page.line("Flaky: passed when it was tried again.");
    }
    if waits().any(WaitHistory::is_near_limit) {
        page.line(format!("Near the limit: at least {:.0} % of it in one of the runs.", NEAR_LIMIT * 100.0));
    }
}

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

fn case_row(case: &CaseHistory) -> Vec<String> {
    let number = |n: usize| if n == 0 { String::new() } else { n.to_string() };
    let rate = match case.runs {
        0 => String::new(),
        // 199 of 200 is not 100 %
        runs => format!("{} %", 100 * case.passed / runs),
    };
    let last = if case.last == Verdict::Skipped { String::new() } else { case.last.to_string() };
    let (changes, flaky) = (number(case.changes), number(case.flaky));
    let (runs, passed) = (case.runs.to_string(), case.passed.to_string());
    vec![case.id.clone(), case.tier.to_string(), last, runs, passed, rate, changes, flaky]
}

fn wait_row(wait: &WaitHistory) -> Vec<String> {
    let time = |d: Option<Duration>| d.map(duration).unwrap_or_default();
    let mut remarks = vec![];
    if wait.is_near_limit() {
        remarks.push("near the limit".to_owned());
    }
    if wait.not_satisfied > 0 {
        remarks.push(format!("{}x not satisfied", wait.not_satisfied));
    }
    vec![
        wait.entry.address.to_string(),
        wait.entry.summary.clone(),
        remarks.join(", "),
        (wait.times.len() + wait.not_satisfied).to_string(),
        time(wait.median()),
        time(wait.worst()),
        duration(wait.entry.limit),
    ]
}

fn case_json(case: &CaseHistory) -> CaseJson<'_> {
    CaseJson {
        case: &case.id,
        title: &case.title,
        tier: case.tier,
        runs: case.runs,
        passed: case.passed,
        flaky: case.flaky,
        changes: case.changes,
        last: case.last,
        waits: case.waits.iter().map(wait_json).collect(),
    }
}

fn wait_json(wait: &WaitHistory) -> WaitJson<'_> {
    WaitJson {
        address: wait.entry.address.as_str(),
        summary: &wait.entry.summary,
        satisfied: wait.times.len(),
        not_satisfied: wait.not_satisfied,
        median_ms: wait.median().map(millis),
        worst_ms: wait.worst().map(millis),
        limit_ms: millis(wait.entry.limit),
        near_limit: wait.is_near_limit(),
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
