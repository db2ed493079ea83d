//! The section of one case: its sentences with what was observed, what was not undone, and evidence of the failure.
use super::{
    details,
    escape::{Context, anchor, block, code},
    format::{
        block_content, cell, colon_reason, empty_line, file_and_line, heading, is_block, line, plan_text, status_icon,
        verdict_icon, why_unverified,
    },
};
use crate::{
    address::Address,
    event::{EvidenceKind, Part},
    outcome::{Status, Verdict},
    report::{
        run_index::{ActionEntry, CaseEntry, Causes, PassedAssertion, SentenceEntry, UndoEntry},
        wording::{self, count, duration},
    },
};
use std::collections::HashMap;

/// Observed values shown for a sentence that passed.
const MAX_VALUES: usize = 3;
/// Failed actions shown in full for a sentence.
const MAX_CAUSES: usize = 4;
/// Observations shown that a failed action judges.
const MAX_JUDGED: usize = 6;
/// Items named that failed in the same way.
const MAX_ITEMS: usize = 8;

pub fn write(case: &CaseEntry, out: &mut String) {
    if !case.outline.selected {
        return;
    }
    *out += &format!("\n### {}\n\n", line(&heading(case)));
    *out += &format!("{} **{}**", verdict_icon(case.verdict), case.verdict);
    if case.verdict != Verdict::Skipped {
        *out += &format!(" in {}{}", duration(case.took), wording::out_of_time(case.out_of_time));
    }
    *out += &colon_reason(case.own_reason());
    *out += "\n\n";
    if case.has_problem() {
        *out += &format!("To see it again:\n\n{}\n", block(&case.again, "sh"));
    }
    let mut fields = vec![("Tier", case.outline.tier.as_str())];
    fields.extend(case.outline.priority.iter().map(|p| ("Priority", p.as_str())));
    fields.extend(case.outline.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let fields: Vec<String> = fields.iter().map(|(n, v)| format!("**{}**: {}", plan_text(n), plan_text(v))).collect();
    *out += &format!("{}\n", fields.join(" · "));
    if case.verdict == Verdict::Skipped {
        return;
    }
    let mut observations = Observations { case, anchor: anchor(&heading(case)), shown: HashMap::new() };
    for (part, name) in
        [(Part::Precondition, "Preconditions"), (Part::Step, "Steps"), (Part::Expected, "Expected Results")]
    {
        let sentences: Vec<_> = case.sentences.iter().filter(|s| s.outline.part == part).collect();
        if sentences.is_empty() {
            continue;
        }
        empty_line(out);
        *out += &format!("**{name}**:\n\n");
        for (n, s) in sentences.into_iter().enumerate() {
            let bullet = if part == Part::Step { format!("{}. ", n + 1) } else { "- ".to_owned() };
            sentence(s, &mut observations, &bullet, out);
        }
    }
    case.earlier.iter().enumerate().for_each(|(n, attempt)| earlier_attempt(case, n + 1, attempt, out));
    undo(case, out);
    on_failure(case, out);
}

/// Writes what did not pass in an attempt before the last one.
fn earlier_attempt(case: &CaseEntry, number: usize, attempt: &CaseEntry, out: &mut String) {
    empty_line(out);
    let (icon, all) = (verdict_icon(attempt.verdict), case.earlier.len() + 1);
    let late = wording::out_of_time(attempt.out_of_time);
    *out +=
        &format!("**Attempt {number} of {all}**: {icon} **{}** in {}{late}", attempt.verdict, duration(attempt.took));
    *out += &format!("{}\n\n", colon_reason(attempt.own_reason()));
    let anchor = format!("{}-attempt-{number}", anchor(&heading(case)));
    let mut observations = Observations { case: attempt, anchor, shown: HashMap::new() };
    for s in attempt.sentences.iter().filter(|s| s.status.is_unsuccessful()) {
        sentence(s, &mut observations, "- ", out);
    }
    on_failure(attempt, out);
}

/// Writes a sentence; everything below it is indented by the width of the bullet.
fn sentence<'a>(s: &'a SentenceEntry, observations: &mut Observations<'a>, bullet: &str, out: &mut String) {
    let status = match s.status {
        Status::Passed => status_icon(s.status).to_owned(),
        status => format!("{} **{status}**", status_icon(status)),
    };
    let mut below = String::new();
    if is_block(&s.outline.text) {
        *out += &format!("{bullet}{status}\n");
        below += &format!("\n{}\n", block(block_content(&s.outline.text), "json"));
    } else if s.status == Status::Passed {
        *out += &format!("{bullet}{status} {}\n", plan_text(&s.outline.text));
    } else {
        let place = match s.status.is_unsuccessful() {
            true => format!(" ({})", file_and_line(&s.outline.location, Context::Line)),
            false => String::new(),
        };
        *out += &format!("{bullet}{status}: {}{place}\n", plan_text(&s.outline.text));
    }
    match s.status {
        Status::Passed => below += &observed_values(s),
        Status::NotVerified | Status::Unproven => below += &format!("- {}\n", plan_text(why_unverified(s))),
        _ => not_passed(s, observations, &mut below),
    }
    indent(&below, bullet.len(), out);
    // More than one paragraph needs an empty line before the next sentence.
    if below.contains("\n\n") {
        empty_line(out);
    }
}

fn indent(text: &str, by: usize, out: &mut String) {
    for l in text.lines() {
        if !l.is_empty() {
            *out += &" ".repeat(by);
            *out += l;
        }
        out.push('\n');
    }
}

/// The values observed by a sentence that passed, each subject once: the first in one line, the others folded.
fn observed_values(s: &SentenceEntry) -> String {
    let mut subjects: Vec<(&PassedAssertion, usize)> = Vec::new();
    for passed in &s.passed {
        match subjects.iter_mut().find(|(first, _)| first.result.subject == passed.result.subject) {
            Some((_, others)) => *others += 1,
            None => subjects.push((passed, 0)),
        }
    }
    let value = |(passed, others): &(&PassedAssertion, usize)| {
        let (subject, actual) = wording::subject_and_value(&passed.result);
        let mut text = code(subject, Context::Line);
        if let Some(actual) = actual {
            text += &format!(" is {}", code(&wording::one_line(actual, 60), Context::Line));
        }
        match *others {
            0 if passed.count > 1 => text += &format!(" ({} times)", passed.count),
            0 => {}
            n => text += &format!(" and {}", count(n, "other value")),
        }
        text
    };
    let shown = if subjects.len() > MAX_VALUES + 1 { MAX_VALUES } else { subjects.len() };
    let (first, others) = subjects.split_at(shown);
    let values: Vec<String> = s.reason.iter().map(|r| line(r)).chain(first.iter().map(value)).collect();
    let mut text = if values.is_empty() { String::new() } else { format!("- {}\n", values.join(" · ")) };
    if !others.is_empty() {
        let summary = count(others.len(), "more observed value");
        text += &format!("\n<details><summary>{summary}</summary>\n\n");
        others.iter().for_each(|other| text += &format!("- {}\n", value(other)));
        text += "\n</details>\n";
    }
    text
}

fn not_passed<'a>(s: &'a SentenceEntry, observations: &mut Observations<'a>, out: &mut String) {
    let causes = s.grouped_causes();
    if let Some(reason) = s.own_reason() {
        *out += &format!("- {}\n", line(reason));
    }
    for group in causes.iter().take(MAX_CAUSES) {
        cause(s, group, out);
        observations.write(s, group.first(), out);
    }
    let more = causes.iter().skip(MAX_CAUSES).map(|group| group.all().len()).sum::<usize>() + s.omitted;
    if more > 0 {
        *out += &format!("\n… and {} more that did not pass.\n", count(more, "action"));
    }
}

fn cause(s: &SentenceEntry, causes: &Causes<'_>, out: &mut String) {
    let a = causes.first();
    // A `check` or `expect` written directly on the sentence makes no observation.
    let is_assertion_only = a.attempts == 0 && a.took.is_zero() && a.unmet().next().is_some();
    let ancestors = s.ancestors(a);
    let mut path: Vec<String> =
        ancestors.iter().filter(|b| b.summary != a.summary).map(|b| code(&b.summary, Context::Line)).collect();
    path.push(match a.summary.as_str() {
        _ if is_assertion_only => "assertion".to_owned(),
        "" => "an action".to_owned(),
        _ => code(&a.performed(), Context::Line),
    });
    let mut head = path.join(" › ") + &items(a);
    if let [_, others @ ..] = causes.all()
        && !others.is_empty()
    {
        let of = s.items_of(causes).map(|all| format!(" of {all}")).unwrap_or_default();
        let names: Vec<String> = others.iter().take(MAX_ITEMS).map(|a| a.items().join(" › ")).collect();
        let more = if others.len() > MAX_ITEMS { ", …" } else { "" };
        let names = format!("{}{more}", names.join(", "));
        head += &format!(" ({}{of} items, the same: also {})", causes.all().len(), code(&names, Context::Line));
    }
    if let Some(location) = a.location() {
        head += &format!(", {}", file_and_line(location, Context::Line));
    }
    if a.status == Status::NotReached && a.unmet().next().is_none() {
        let status = if s.status == Status::NotReached { "" } else { "not reached: " };
        *out += &format!("- {status}{head}{}\n", colon_reason(a.reason.as_deref()));
        return;
    }
    let reason_counts_attempts = a.own_reason().is_some_and(|r| r.contains(" attempts"));
    let attempts = match a.attempts > 1 && !reason_counts_attempts {
        true => format!(" and {} attempts", a.attempts),
        false => String::new(),
    };
    if out.is_empty() {
        out.push('\n');
    } else {
        empty_line(out);
    }
    let after = if is_assertion_only { String::new() } else { format!(" after {}{attempts}", duration(a.took)) };
    *out += &format!("{head}: **{}**{after}{}\n", a.status, colon_reason(a.own_reason()));
    details::write(a, out);
}

/// `, item 2`: the items of the enclosing `foreach`. Empty outside of one.
fn items(a: &ActionEntry) -> String {
    let items: Vec<String> = a.items().iter().map(|i| code(i, Context::Line)).collect();
    if items.is_empty() { String::new() } else { format!(", item {}", items.join(" › ")) }
}

/// The observations of a case that other sentences judge. Each is shown whole once.
struct Observations<'a> {
    case: &'a CaseEntry,
    /// Of the case's heading.
    anchor: String,
    /// The number of each observation that was shown.
    shown: HashMap<&'a Address, usize>,
}

impl<'a> Observations<'a> {
    /// What a failed action judges.
    fn write(&mut self, s: &'a SentenceEntry, cause: &ActionEntry, out: &mut String) {
        let judged = self.case.judged_by(s, cause);
        for entry in judged.iter().take(MAX_JUDGED) {
            let mut head = code(&entry.performed(), Context::Line) + &items(entry);
            if let Some(location) = &entry.location {
                head += &format!(", {}", file_and_line(location, Context::Line));
            }
            empty_line(out);
            let next = self.shown.len() + 1;
            let number = *self.shown.entry(&entry.address).or_insert(next);
            let anchor = format!("{}-observation-{number}", self.anchor);
            if number == next {
                *out += &format!("<a id=\"{anchor}\"></a>Judged: {head}\n");
                details::evidence(entry, out);
            } else {
                let first_line = |kind| {
                    let found = entry.evidence.iter().rfind(|e| e.kind == kind)?.text.lines().next()?;
                    Some(code(&wording::one_line(found, wording::MAX_INLINE_CHARS), Context::Line))
                };
                let lines = [EvidenceKind::Request, EvidenceKind::Response].into_iter().filter_map(first_line);
                let lines = lines.collect::<Vec<_>>().join(" → ");
                *out += &format!("Judged, [shown above](#{anchor}): {head}: {lines}\n");
            }
        }
        let more = judged.len().saturating_sub(MAX_JUDGED);
        if more > 0 {
            *out += &format!("\n… and {} more.\n", count(more, "observation"));
        }
    }
}

fn undo(case: &CaseEntry, out: &mut String) {
    empty_line(out);
    if case.not_undone.is_empty() {
        let undone = if case.undone_count > 0 { format!(" ({} undone)", case.undone_count) } else { String::new() };
        *out += &format!("**Left behind**: nothing{undone}\n");
        return;
    }
    *out += &format!(
        "**Left behind**: {} of {}\n\n| Undo action | Status | Location | Why |\n| --- | --- | --- | --- |\n",
        case.not_undone.len(),
        count(case.not_undone.len() + case.undone_count, "thing")
    );
    for entry in &case.not_undone {
        let status = entry.status.map_or_else(|| "⏹️ not attempted".to_owned(), |s| format!("{} {s}", status_icon(s)));
        let location = entry.location.as_ref().map_or_else(|| "–".to_owned(), |l| file_and_line(l, Context::Cell));
        *out += &format!(
            "| {} | {status} | {location} | {} |\n",
            code(&entry.summary, Context::Cell),
            why_not_undone(entry)
        );
    }
    for action in case.not_undone.iter().flat_map(|entry| entry.actions.iter().filter(|a| a.status.is_unsuccessful())) {
        details::evidence(action, out);
    }
}

fn why_not_undone(entry: &UndoEntry) -> String {
    let mut reasons: Vec<String> = entry.reason.iter().map(|r| cell(r)).collect();
    for action in &entry.actions {
        reasons.extend(action.reason.iter().filter(|r| Some(*r) != entry.reason.as_ref()).map(|r| cell(r)));
        reasons.extend(action.unmet().take(2).map(|f| cell(&wording::unmet_text(f))));
    }
    if reasons.is_empty() { "–".to_owned() } else { reasons.join("<br>") }
}

fn on_failure(case: &CaseEntry, out: &mut String) {
    if case.on_failure.is_empty() {
        return;
    }
    *out += "\n**Collected after the failure**:\n";
    for action in &case.on_failure {
        let why = colon_reason(action.reason.as_deref());
        *out += &format!("\n{} {}{why}\n", status_icon(action.status), code(&action.summary, Context::Line));
        details::evidence(action, out);
    }
}
