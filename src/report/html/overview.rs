//! What is said of the run as a whole: verdict, gate, what was tested; the filter of the cases; what was not verified; the plan.
use super::{
    cause,
    text::{Text, id, plan_text, prose},
    words::{badge, of_run, of_status, of_verdict, place},
};
use crate::{
    outcome::{Status, Tier, Verdict},
    report::{
        gate::{Gate, gate},
        run_index::{CaseEntry, RunIndex, SentenceEntry},
        sentences::why_incomplete,
        wording::{count, duration, tally},
    },
};
use maud::{Markup, PreEscaped, html};

pub fn header(run: &RunIndex) -> Markup {
    let (start, gate) = (&run.start, gate(run));
    let (class, symbol) = of_run(gate.verdict);
    html! {
        header {
            @if run.has_started {
                p.kicker { "Test report · run " code { (Text(&start.run)) } }
                h1 { (Text(format!("{} {}", start.plan.id, start.plan.title).trim())) }
            } @else {
                h1 { "Test report" }
            }
            div class={ "verdict " (class) } {
                p.word { span aria-hidden="true" { (symbol) " " } (gate.verdict.as_str()) }
                p { (in_words(run, &gate)) }
            }
            @if let Some(notice) = &start.environment.notice { p.notice { (Text(notice)) } }
            @if run.has_started {
                div.columns { (tiers(&gate)) (facts(run)) }
            }
        }
    }
}

fn in_words(run: &RunIndex, gate: &Gate) -> Markup {
    html! {
        @match gate.deciding {
            0 if !run.has_started => "The journal ends before the run started.",
            0 => "No deciding case was selected.",
            all => { (gate.passed) " of " (count(all, "deciding case")) " passed." }
        }
        @for (n, verdict) in tally(run.cases.iter().map(|c| c.verdict), &PROBLEMS) { " " (n) " " (verdict.as_str()) "." }
        @if run.has_started && let Some(why) = why_incomplete(run) { " Incomplete: " (why) "." }
        @for remark in run.cases.iter().filter_map(CaseEntry::known_remark) { " " (Text(&remark)) "." }
    }
}

const PROBLEMS: [Verdict; 6] =
    [Verdict::Failed, Verdict::Blocked, Verdict::Errored, Verdict::Interrupted, Verdict::KnownFailure, Verdict::Flaky];

fn tiers(gate: &Gate) -> Markup {
    html! {
        table.tiers {
            caption { "Gate" }
            thead { tr { th scope="col" { "Tier" } th scope="col" { "Passed" } th scope="col" { "Decides" } } }
            tbody {
                @for t in &gate.tiers {
                    tr {
                        th scope="row" { (t.tier.as_str()) }
                        td {
                            @match t.selected { 0 => "not selected", n => { (t.passed) " of " (n) } }
                            @if t.selected > 0 && t.selected < t.in_plan { " (" (t.in_plan) " in the plan)" }
                        }
                        td { @if t.decides { "yes" } @else { "no" } }
                    }
                }
            }
        }
    }
}

fn facts(run: &RunIndex) -> Markup {
    let start = &run.start;
    let time = start.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let (left, _) = run.left_and_undone();
    let named = |rows: &[(String, String)]| {
        html! { @for (name, value) in rows { dt { (Text(name)) } dd { (value_of(value)) } } }
    };
    html! {
        dl.facts {
            dt { "Environment" }
            dd {
                (Text(&start.environment.name))
                @if !start.environment.about.is_empty() { ": " (Text(&start.environment.about)) }
            }
            dt { "Selection" } dd { (Text(&start.selection)) }
            dt { "Started" } dd { (time) ", took " (duration(run.took)) }
            @if left > 0 {
                dt { "Left behind" }
                dd { (count(left, "thing")) ": " code { (Text(&format!("tp-runner cleanup {}", start.run))) } }
            }
            dt { "Plan" }
            dd {
                code { (Text(&start.plan.file)) }
                @if let Some(source) = &start.plan.source { ", which implements " code { (Text(source)) } }
            }
            (named(&start.environment.targets)) (named(&start.versions)) (named(&start.ci))
            @if let Some(trace) = &start.trace { dt { "Trace" } dd { code { (Text(trace)) } } }
            @if !start.environment.replaced.is_empty() {
                dt { "Replaced by the environment" } dd { (Text(&start.environment.replaced.join(", "))) }
            }
        }
    }
}

/// An address of the web as a link, anything else as code.
fn value_of(value: &str) -> Markup {
    let is_address = value.starts_with("https://") || value.starts_with("http://");
    let is_link = is_address && !value.contains(char::is_whitespace);
    html! {
        @if is_link { a href=(Text(value)) rel="noreferrer" { (Text(value)) } } @else { code { (Text(value)) } }
    }
}

/// The heading of the cases and what filters them.
pub fn begin_cases(run: &RunIndex) -> Markup {
    let verdicts = tally(
        run.cases.iter().map(|c| c.verdict),
        &[PROBLEMS.as_slice(), &[Verdict::Passed, Verdict::Skipped]].concat(),
    );
    let tiers = tally(run.cases.iter().map(|c| c.outline.tier), &Tier::ALL);
    let choice = |id: String, words: &str, n: usize| {
        html! {
            label { input type="checkbox" id=(id) checked autocomplete="off"; " " (words) " " span.n { (n) } }
        }
    };
    html! {
        (PreEscaped("<section aria-labelledby=\"cases\">"))
        h2 #cases tabindex="-1" { "Cases" }
        @if run.cases.is_empty() { p { "The plan has no cases." } } @else {
            div.filter {
                fieldset {
                    legend { "Verdict" }
                    @for (n, v) in verdicts { (choice(format!("show-{}", of_verdict(v).0), v.as_str(), n)) }
                }
                fieldset {
                    legend { "Tier" }
                    @for (n, t) in tiers { (choice(format!("show-{}", t.as_str()), t.as_str(), n)) }
                }
                p.tools hidden {
                    button type="button" data-open="" { "Open all" } " " button type="button" { "Close all" }
                }
            }
        }
    }
}

const UNVERIFIED: [Status; 2] = [Status::NotVerified, Status::Unproven];

pub fn not_verified(run: &RunIndex) -> Markup {
    let is_unverified = |s: &&SentenceEntry| UNVERIFIED.contains(&s.status);
    let ran = run.cases.iter().filter(|c| c.verdict != Verdict::Skipped);
    let rows: Vec<(&CaseEntry, &SentenceEntry)> =
        ran.flat_map(|c| c.sentences.iter().filter(is_unverified).map(move |s| (c, s))).collect();
    html! {
        @if !rows.is_empty() {
            section aria-labelledby="not-verified" {
                h2 #not-verified { "What was not verified" }
                ul.plain {
                    @for (case, s) in rows {
                        li {
                            (badge(of_status(s.status), s.status.as_str())) " "
                            a href={ "#" (id(s.outline.address.as_str())) } { (Text(&case.outline.id)) } " "
                            (plan_text(&s.outline.text)) ": " span.muted { (prose(why_unverified(s))) }
                        }
                    }
                }
            }
        }
    }
}

/// Why a sentence is not verified or unproven.
pub fn why_unverified(s: &SentenceEntry) -> &str {
    let stated = match s.status {
        Status::Unproven => s.outline.unproven.as_deref().or(s.reason.as_deref()),
        _ => s.reason.as_deref(),
    };
    stated.unwrap_or(match s.status {
        Status::Unproven => "the plan gives no reason",
        _ => "no action verifies it",
    })
}

pub fn outside_cases(run: &RunIndex) -> Markup {
    html! {
        @if !run.outside_cases.is_empty() {
            section aria-labelledby="outside" {
                h2 #outside { "Outside of the cases" }
                @for action in &run.outside_cases {
                    div.cause {
                        p {
                            (badge(of_status(action.status), action.status.as_str())) " " code { (Text(&action.summary)) }
                            @if let Some(location) = action.location() { " " (place(location)) }
                        }
                        @if let Some(reason) = &action.reason { p { (prose(reason)) } }
                        (cause::details(action))
                    }
                }
            }
        }
    }
}

/// Objective, scope, variables and notes.
pub fn plan(run: &RunIndex) -> Markup {
    let plan = &run.start.plan;
    let list = |title: &str, items: &[String]| {
        html! { @if !items.is_empty() { h3 { (title) } ul { @for item in items { li { (plan_text(item)) } } } } }
    };
    let has_scope = plan.objective.is_some() || !plan.scope_in.is_empty() || !plan.scope_out.is_empty();
    html! {
        @if has_scope || !plan.vars.is_empty() || !run.notes.is_empty() {
            section aria-labelledby="plan" {
                h2 #plan { "The plan" }
                @if let Some(objective) = &plan.objective { p { (plan_text(objective)) } }
                (list("In scope", &plan.scope_in)) (list("Out of scope", &plan.scope_out))
                @if !plan.vars.is_empty() {
                    h3 { "Variables" }
                    dl.facts { @for (name, value) in &plan.vars { dt { (Text(name)) } dd { code { (Text(value)) } } } }
                }
                (list("Notes", &run.notes))
            }
        }
    }
}
