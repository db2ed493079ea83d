//! What is printed of an event, in lines.
use super::{
    failure::{Page, failure},
    layout::wrap,
    state::RunState,
    style::{paint, status_style, verdict_style},
};
use crate::{
    event::{Event, EventKind},
    outcome::{Status, Verdict},
    report::{
        index_builder::IndexBuilder,
        wording::{self, MAX_INLINE_CHARS, duration, one_line},
    },
};
use anstyle::Style;
use std::{fmt::Write as _, time::Duration};

/// Lines of a case that did not pass.
const MAX_FAILURE_LINES: usize = 15;
const WORD_COLUMNS: usize = 11;

/// How events are printed.
pub struct Notices {
    pub page: Page,
    /// Whether each action is printed as it ends.
    pub actions: bool,
    /// Has every event that is printed.
    pub index: IndexBuilder,
}

impl Notices {
    /// Of an event that the state does not have yet.
    pub fn of(&self, event: &Event, state: &mut RunState) -> Vec<String> {
        let at = &event.address;
        match &event.kind {
            EventKind::ActionFinished { status, reason, attempts, took, .. } if self.actions => {
                let summary = state.summary(at).unwrap_or_default();
                let mut text = format!("{summary}  ({}", duration(*took));
                if *attempts > 1 {
                    let _ = write!(text, ", {attempts} attempts");
                }
                let _ = write!(text, ")  {at}");
                if let Some(reason) = reason.as_ref().filter(|_| status.is_unsuccessful()) {
                    let _ = write!(text, ": {}", one_line(reason, 4 * MAX_INLINE_CHARS));
                }
                self.lines(2, status.as_str(), status_style(*status), &text)
            }
            EventKind::UndoFinished { status, summary, reason } if status.is_unsuccessful() => {
                let why = reason.as_deref().map(|r| format!(": {}", one_line(r, MAX_INLINE_CHARS))).unwrap_or_default();
                let text = format!("{}  {}{why}", at.case(), one_line(summary, 100));
                self.lines(0, "left behind", status_style(*status), &text)
            }
            EventKind::CaseFinished { verdict, reason, took, out_of_time, .. } => {
                self.case(&at.case(), *verdict, reason.as_deref(), (*took, *out_of_time), state)
            }
            EventKind::CaseRetried { verdict, reason, took, out_of_time, .. } => {
                let time = format!("{}{}", duration(*took), wording::out_of_time(*out_of_time));
                let why = reason.as_deref().map(|r| format!(": {}", one_line(r, 4 * MAX_INLINE_CHARS)));
                let text = format!("trying again  {}  ({time}){}", at.case(), why.unwrap_or_default());
                self.lines(0, verdict.as_str(), verdict_style(*verdict), &text)
            }
            EventKind::CancelRequested => {
                self.lines(0, "cancelled", status_style(Status::Interrupted), "running the undo actions")
            }
            _ => vec![],
        }
    }

    fn case(
        &self,
        id: &str,
        verdict: Verdict,
        reason: Option<&str>,
        (took, limit): (Duration, Option<Duration>),
        state: &RunState,
    ) -> Vec<String> {
        let is_problem = !matches!(verdict, Verdict::Passed | Verdict::Skipped | Verdict::KnownFailure);
        let number = format!("{:>width$}/{}", state.ended + 1, state.total, width = state.total.to_string().len());
        let time = format!("{}{}", duration(took), wording::out_of_time(limit));
        let title = state.title(id);
        let gap = if title.is_empty() { "" } else { "  " };
        let mut text = format!("{number}  {}{gap}{title}  ({time})", one_line(id, 40));
        if let Some(reason) = reason.filter(|_| verdict == Verdict::KnownFailure) {
            let _ = write!(text, ": {}", one_line(reason, 2 * MAX_INLINE_CHARS));
        }
        let mut lines = self.lines(0, verdict.as_str(), verdict_style(verdict), &text);
        if let Some(case) = self.index.case(id).filter(|_| is_problem) {
            let max = MAX_FAILURE_LINES.saturating_sub(lines.len());
            lines.extend(failure(&case, self.page, max));
        }
        lines
    }

    /// A word in a column of its own, and a text beside it.
    fn lines(&self, indent: usize, word: &str, style: Style, text: &str) -> Vec<String> {
        let margin = indent + WORD_COLUMNS + 1;
        let word = paint(self.page.colour, style, &format!("{word:<WORD_COLUMNS$}"));
        let head = format!("{}{word} ", " ".repeat(indent));
        let Some(width) = self.page.width else { return vec![head + text] };
        let room = width.saturating_sub(margin).max(1);
        let lines = wrap(text, room, room);
        let below = " ".repeat(margin);
        lines
            .into_iter()
            .enumerate()
            .map(|(i, line)| format!("{}{line}", if i == 0 { &head } else { &below }))
            .collect()
    }
}
