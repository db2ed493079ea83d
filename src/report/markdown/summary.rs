//! The parts of the report about the run as a whole: verdict, table of cases, problems, scope, and
//! what was not verified.
use super::{
    escape::{self, Context, code},
    format::{
        block_content, cell, file_and_line, heading, is_block, line, link, notice, plan_text, run_verdict, status_icon,
        verdict_icon, why_unverified,
    },
};
use crate::{
    outcome::{Status, Tier, Verdict},
    report::{
        gate::{Gate, gate},
        run_index::{CaseEntry, RunIndex, SentenceEntry},
        verdict_words::verdict_in_words,
        wording::{self, count, duration, join_with_and, tally},
    },
    source::Location,
};

/// Sentences named beside the one that decides a case.
const MAX_OTHERS: usize = 6;

pub fn header(run: &RunIndex, out: &mut String) {
    let start = &run.start;
    if !run.has_started {
        *out += "# Test report\n\n**⏹️ INTERRUPTED**: the journal ends before the run started.\n";
        return;
    }
    let gate = gate(run);
    let name = [start.plan.id.as_str(), start.plan.title.as_str()].join(" ");
    *out += &format!("# Test report: {}\n\n", line(name.trim()));
    *out += &format!("**{}**: {}\n\n", run_verdict(gate.verdict), verdict_in_words(run, &gate));
    if let Some(notice) = notice(run) {
        *out += &format!("> {notice}\n\n");
    }
    let mut row = |name: &str, value: String| *out += &format!("- **{name}**: {value}\n");
    let about = match start.environment.about.is_empty() {
        true => String::new(),
        false => format!(" ({})", line(&start.environment.about)),
    };
    row("Environment", format!("{}{about}", line(&start.environment.name)));
    let pairs = |all: &[(String, String)]| {
        let pair = |(name, value): &(String, String)| format!("{} {}", line(name), code(value, Context::Line));
        all.iter().map(pair).collect::<Vec<_>>().join(", ")
    };
    if !start.environment.targets.is_empty() {
        row("Tested", pairs(&start.environment.targets));
    }
    if !start.versions.is_empty() {
        row("Versions", pairs(&start.versions));
    }
    row("Run by", if start.ci.is_empty() { "hand, not in a CI job".to_owned() } else { pairs(&start.ci) });
    row("Selection", line(&start.selection));
    let known = run.cases.iter().filter_map(CaseEntry::known_remark).map(|remark| format!("; {}", line(&remark)));
    row("Gate", format!("{}{}", tiers_in_words(&gate), known.collect::<String>()));
    row("Verified", verified_in_words(run));
    let time = start.started.strftime("%Y-%m-%d %H:%M:%S UTC");
    row("Run", format!("{}, {time}, took {}", code(&start.run, Context::Line), duration(run.took)));
    if let (left @ 1.., _) = run.left_and_undone() {
        let command = code(&format!("tp-runner cleanup {}", start.run), Context::Line);
        row("Left behind", format!("{}: {command}", wording::count(left, "thing")));
    }
}

fn tiers_in_words(gate: &Gate) -> String {
    let tiers: Vec<String> = gate
        .tiers
        .iter()
        .map(|t| {
            let counts = match t.selected {
                0 => return format!("{} not selected", t.tier),
                n => format!("{} {}/{n}", t.tier, t.passed),
            };
            let mut remarks = Vec::new();
            if t.selected < t.in_plan {
                remarks.push(format!("of {} in the plan", t.in_plan));
            }
            if !t.decides {
                remarks.push("does not decide".to_owned());
            }
            if remarks.is_empty() { counts } else { format!("{counts} ({})", remarks.join(", ")) }
        })
        .collect();
    if tiers.is_empty() { "the plan has no cases".to_owned() } else { tiers.join(" · ") }
}

const UNVERIFIED: [Status; 4] = [Status::NotVerified, Status::Unproven, Status::NotReached, Status::Interrupted];

/// Sentences that this run did not verify.
fn unverified_sentences(run: &RunIndex) -> impl Iterator<Item = (&CaseEntry, &SentenceEntry)> {
    run.cases
        .iter()
        .filter(|c| c.verdict != Verdict::Skipped)
        .flat_map(|c| c.sentences.iter().filter(|s| UNVERIFIED.contains(&s.status)).map(move |s| (c, s)))
}

fn verified_in_words(run: &RunIndex) -> String {
    let all = run.cases.iter().filter(|c| c.verdict != Verdict::Skipped).map(|c| c.sentences.len()).sum();
    let counts = tally(unverified_sentences(run).map(|(_, s)| s.status), &UNVERIFIED);
    let unverified: usize = counts.iter().map(|(n, _)| n).sum();
    let counts: Vec<String> = counts.iter().map(|(n, status)| format!("**{n} {status}**")).collect();
    match (all, counts.is_empty()) {
        (0, _) => "nothing".to_owned(),
        (all, true) => format!("all {}", count(all, "sentence")),
        (all, false) => format!(
            "{} of {}; {} ([details](#what-was-not-verified))",
            all - unverified,
            count(all, "sentence"),
            join_with_and(&counts)
        ),
    }
}

/// The cases by tier, as the plan lists its success criteria, each with its verdict.
pub fn success_criteria(run: &RunIndex, out: &mut String) {
    if run.cases.is_empty() {
        return;
    }
    *out += "\n## Success Criteria\n";
    for tier in Tier::ALL {
        let cases: Vec<_> = run.cases.iter().filter(|c| c.outline.tier == tier).collect();
        if cases.is_empty() {
            continue;
        }
        let name = match tier {
            Tier::Must => "Must Pass",
            Tier::Should => "Should Pass",
            Tier::Nice => "Nice to Have",
        };
        let passed = cases.iter().filter(|c| c.verdict == Verdict::Passed).count();
        *out += &format!("\n### {name}: {passed} of {} passed\n\n", cases.len());
        for case in cases {
            let title = match case.outline.title.is_empty() {
                true => String::new(),
                false => format!(": {}", plan_text(&case.outline.title)),
            };
            let verdict = match (case.verdict, &case.reason) {
                (Verdict::Skipped, Some(why)) => line(why),
                (Verdict::Skipped, None) => case.verdict.to_string(),
                (v, _) => format!("**{v}** in {}", duration(case.took)),
            };
            let icon = verdict_icon(case.verdict);
            *out += &format!("- {icon} {}{title}: {verdict}\n", link(case, Context::Line));
        }
    }
}

pub fn problems(run: &RunIndex, out: &mut String) {
    if !run.cases.iter().any(CaseEntry::has_problem) {
        return;
    }
    *out += "\n## What Went Wrong\n\n";
    for case in run.cases.iter().filter(|c| c.has_problem()) {
        let late = wording::out_of_time(case.out_of_time);
        *out += &format!("- {} {} **{}**{late}", verdict_icon(case.verdict), link(case, Context::Line), case.verdict);
        let Some(sentence) = case.deciding_sentence() else {
            *out += &format!(": {}\n", line(case.reason.as_deref().unwrap_or("unknown reason")));
            continue;
        };
        let text = match is_block(&sentence.outline.text) {
            true => "the sample response of the plan".to_owned(),
            false => format!("“{}”", plan_text(&sentence.outline.text)),
        };
        *out += &format!(" in {text}");
        let (why, location) = sentence.worst_cause();
        if let Some(why) = why.or(case.reason.clone()) {
            *out += &format!(": {}", line(&why));
        }
        if let Some(said) = case.product_words(sentence) {
            *out += &format!("; the product says “{}”", line(said));
        }
        *out += &format!(" ({})", places(sentence, location));
        if let (Verdict::KnownFailure, Some(until)) = (case.verdict, &case.reason) {
            *out += &format!("; {}", line(until));
        }
        *out += "\n";
        consequences(case, out);
    }
}

/// The sentence in the plan, and the place of the assertion if it is in an action that the sentence uses.
fn places(s: &SentenceEntry, cause: &Location) -> String {
    let own = file_and_line(&s.outline.location, Context::Line);
    match s.outline.location == *cause {
        true => own,
        false => format!("{own}, by {}", file_and_line(cause, Context::Line)),
    }
}

/// The other sentences of a case that did not pass: first those that follow from the deciding one.
fn consequences(case: &CaseEntry, out: &mut String) {
    let (follow, others) = case.others();
    for (name, sentences) in [("From it follow", follow), ("Also not passed", others)] {
        let texts = sentences.iter().take(MAX_OTHERS).map(|s| match is_block(&s.outline.text) {
            true => "the sample response of the plan".to_owned(),
            false => format!("“{}”", plan_text(&s.outline.text)),
        });
        let mut texts: Vec<String> = texts.collect();
        let more = sentences.len().saturating_sub(MAX_OTHERS);
        if more > 0 {
            texts.push(format!("{more} more"));
        }
        if !texts.is_empty() {
            *out += &format!("  - {name}: {}\n", join_with_and(&texts));
        }
    }
}

pub fn objective_and_scope(run: &RunIndex, out: &mut String) {
    let plan = &run.start.plan;
    if let Some(objective) = &plan.objective {
        *out += &format!("\n## Objective\n\n{}\n", plan_text(objective));
    }
    if !plan.scope_in.is_empty() || !plan.scope_out.is_empty() {
        *out += "\n## Scope\n";
    }
    for (name, items) in [("In Scope", &plan.scope_in), ("Out of Scope", &plan.scope_out)] {
        if !items.is_empty() {
            *out += &format!("\n### {name}\n\n");
            items.iter().for_each(|item| *out += &format!("- {}\n", plan_text(item)));
        }
    }
}

pub fn not_verified(run: &RunIndex, out: &mut String) {
    if !run.has_started {
        return;
    }
    *out += "\n## What Was Not Verified\n\n";
    let rows: Vec<String> = unverified_sentences(run)
        .map(|(case, s)| {
            let text = match is_block(&s.outline.text) {
                true => code(block_content(&s.outline.text), Context::Cell),
                false => escape::plan_text(&s.outline.text, Context::Cell),
            };
            let why = cell(why_unverified(s));
            format!("| {} | {text} | {} {} | {why} |\n", link(case, Context::Cell), status_icon(s.status), s.status)
        })
        .collect();
    let skipped: Vec<String> = run
        .cases
        .iter()
        .filter(|c| c.verdict == Verdict::Skipped)
        .map(|c| format!("- {}: {}\n", line(&heading(c)), line(c.reason.as_deref().unwrap_or("skipped"))))
        .collect();
    if rows.is_empty() && skipped.is_empty() {
        *out += "Nothing: every sentence of the plan was verified.\n";
    }
    if !rows.is_empty() {
        *out += &format!("| Case | Sentence | Status | Why |\n| --- | --- | --- | --- |\n{}", rows.concat());
    }
    if !skipped.is_empty() {
        let gap = if rows.is_empty() { "" } else { "\n" };
        *out += &format!("{gap}{} did not run:\n\n{}", count(skipped.len(), "case"), skipped.concat());
    }
}
