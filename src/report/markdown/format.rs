//! Building blocks shared by the parts of the Markdown report.
use super::escape::{self, Context, anchor, code, prose};
use crate::{
    outcome::{Status, Verdict},
    report::{
        gate::RunVerdict,
        run_index::{CaseEntry, RunIndex, SentenceEntry},
        wording,
    },
    source::Location,
};

/// The environment's notice, which opens and closes the report.
pub fn notice(run: &RunIndex) -> Option<String> {
    let notice = run.start.environment.notice.as_deref()?;
    let mut rest = notice.chars();
    let capitalised: String = rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect();
    Some(format!("**{}.**", line(&capitalised)))
}

/// One line; a dash if nothing is visible, since an empty list item would make the line above a heading.
pub fn line(text: &str) -> String {
    or_dash(prose(text, Context::Line))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "–".to_owned() } else { text }
}

/// A text of the plan as prose on one line.
pub fn plan_text(text: &str) -> String {
    or_dash(escape::plan_text(text, Context::Line))
}

pub fn cell(text: &str) -> String {
    match text.is_empty() {
        true => "–".to_owned(),
        false => prose(text, Context::Cell),
    }
}

/// `: reason`, or nothing.
pub fn colon_reason(reason: Option<&str>) -> String {
    reason.map(|r| format!(": {}", line(r))).unwrap_or_default()
}

pub fn file_and_line(location: &Location, context: Context) -> String {
    code(&format!("{}:{}", location.file, location.line), context)
}

pub fn heading(case: &CaseEntry) -> String {
    let title = wording::one_line(&case.outline.title, wording::MAX_INLINE_CHARS);
    if title.is_empty() { case.outline.id.clone() } else { format!("{}: {title}", case.outline.id) }
}

/// The case's id, linked to its section if it has one.
pub fn link(case: &CaseEntry, context: Context) -> String {
    let id = prose(&case.outline.id, context);
    match case.outline.selected {
        true => format!("[{id}](#{})", anchor(&heading(case))),
        false => id,
    }
}

/// Whether a sentence of the plan is a block of code, such as a sample response in JSON.
pub fn is_block(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("```") || (text.contains('\n') && text.starts_with(['{', '[']) && text.ends_with(['}', ']']))
}

/// The content of a block, without its fence if it has one.
pub fn block_content(text: &str) -> &str {
    let text = text.trim();
    match text.strip_prefix("```").and_then(|t| t.split_once('\n')) {
        Some((_, rest)) => rest.trim_end().trim_end_matches('`'),
        None => text,
    }
}

/// Why a sentence is not verified or unproven.
pub fn why_unverified(s: &SentenceEntry) -> &str {
    let stated = match s.status {
        Status::Unproven => s.outline.unproven.as_deref().or(s.reason.as_deref()),
        _ => s.reason.as_deref(),
    };
    stated.unwrap_or(match s.status {
        Status::NotVerified => "no action verifies it",
        Status::Unproven => "the plan gives no reason",
        _ => "",
    })
}

/// Ends the text with one empty line.
pub fn empty_line(out: &mut String) {
    while !out.ends_with("\n\n") {
        out.push('\n');
    }
}

pub fn status_icon(status: Status) -> &'static str {
    match status {
        Status::Passed => "✅",
        Status::Failed => "❌",
        Status::Errored => "⚠️",
        Status::NotReached => "⏭️",
        Status::NotVerified | Status::Unproven => "❔",
        Status::Skipped => "➖",
        Status::Interrupted => "⏹️",
    }
}

pub fn verdict_icon(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✅",
        Verdict::Failed => "❌",
        Verdict::KnownFailure => "🟡",
        Verdict::Flaky => "🎲",
        Verdict::Blocked => "⛔",
        Verdict::Errored => "⚠️",
        Verdict::Interrupted => "⏹️",
        Verdict::Skipped => "➖",
    }
}

pub fn run_verdict(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::Passed => "✅ PASSED",
        RunVerdict::Failed => "❌ FAILED",
        RunVerdict::Errored => "⚠️ ERRORED",
        RunVerdict::Interrupted => "⏹️ INTERRUPTED",
        RunVerdict::Undecided => "➖ UNDECIDED",
    }
}
