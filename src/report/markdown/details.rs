//! Details of one action: its unmet assertions, the timeline of its attempts, and its evidence.
use super::{
    escape::{Context, block, block_of_first_lines, code},
    format::{cell, line},
};
use crate::{
    event::EvidenceKind,
    report::{
        difference::sides,
        run_index::ActionEntry,
        wording::{self, MAX_INLINE_CHARS, duration, join_with_and},
    },
};

const MAX_RESULTS: usize = 20;
const MAX_EVIDENCE_LINES: usize = 20;
/// Timeline entries shown from the beginning, and as many from the end.
const TIMELINE_ENDS: usize = 6;

pub fn write(action: &ActionEntry, out: &mut String) {
    results(action, out);
    timeline(action, out);
    evidence(action, out);
}

fn results(action: &ActionEntry, out: &mut String) {
    let unmet: Vec<_> = action.unmet().collect();
    if unmet.is_empty() {
        return;
    }
    *out += "\n| What | Expected | Actual |\n| --- | --- | --- |\n";
    for f in unmet.iter().take(MAX_RESULTS) {
        let (expected, actual) = sides(f, MAX_INLINE_CHARS);
        let actual = match f.operands.is_empty() {
            true => code(&actual, Context::Cell),
            false => {
                let operand = |(name, value): &(String, String)| {
                    format!("{} is {}", code(name, Context::Cell), code(value, Context::Cell))
                };
                let error = (f.actual != "false").then(|| cell(&f.actual));
                let operands = f.operands.iter().take(MAX_RESULTS).map(operand);
                error.into_iter().chain(operands).collect::<Vec<_>>().join("<br>")
            }
        };
        let (subject, expected) = (code(wording::subject(f), Context::Cell), code(&expected, Context::Cell));
        *out += &format!("| {subject} | {expected} | {actual} |\n");
    }
    let more = unmet.len().saturating_sub(MAX_RESULTS) + action.omitted;
    if more > 0 {
        *out += &format!("\n… and {more} more that did not hold.\n");
    }
}

fn timeline(action: &ActionEntry, out: &mut String) {
    if action.timeline.is_empty() {
        return;
    }
    let all = action.timeline.len();
    if all == 1 && action.unmet().next().is_some() {
        *out += "\nNothing changed while waiting.\n";
        return;
    }
    *out += "\nObserved while waiting:\n\n";
    for (i, entry) in action.timeline.iter().enumerate() {
        if all > 2 * TIMELINE_ENDS && i == TIMELINE_ENDS {
            *out += &format!("- … {} more …\n", all - 2 * TIMELINE_ENDS);
        }
        if all > 2 * TIMELINE_ENDS && (TIMELINE_ENDS..all - TIMELINE_ENDS).contains(&i) {
            continue;
        }
        let attempts = if entry.attempts > 1 { format!(" ({} attempts)", entry.attempts) } else { String::new() };
        *out += &format!("- from {}: {}{attempts}\n", duration(entry.since), line(&entry.message));
    }
}

pub fn evidence(action: &ActionEntry, out: &mut String) {
    for e in action.evidence.iter().filter(|e| e.kind == EvidenceKind::Reproduce) {
        *out += &format!("\nBy hand:\n\n{}", block(&e.text, "sh"));
    }
    let folded: Vec<_> =
        action.evidence.iter().filter(|e| e.kind != EvidenceKind::Reproduce && !e.text.trim().is_empty()).collect();
    if folded.is_empty() {
        return;
    }
    let name = |kind| match kind {
        EvidenceKind::Request => "request",
        EvidenceKind::Response => "response",
        _ => "notes",
    };
    let mut names: Vec<&str> = folded.iter().map(|e| name(e.kind)).collect();
    names.dedup();
    *out += &format!("\n<details><summary>Evidence: {}</summary>\n", join_with_and(&names));
    for e in folded {
        *out += &format!("\n{}", block_of_first_lines(&e.text, "text", MAX_EVIDENCE_LINES));
    }
    *out += "\n</details>\n";
}
