//! What is known of a case and its sentences while its events arrive.
use super::{
    retention::{PassedAssertions, RetainedActions, RetainedInputs, shorten},
    run_index::{CaseEntry, UndoEntry},
    spans::Spans,
    waits::Waits,
};
use crate::{
    address::Address,
    outcome::{Blame, Status, Verdict},
    source::Location,
};
use jiff::Timestamp;
use std::time::Duration;

/// Verdict, blame, reason and time.
pub type FinishedCase = (Verdict, Option<Blame>, Option<String>, Duration);

#[derive(Default)]
pub struct CaseState {
    pub started: Option<Timestamp>,
    pub finished: Option<FinishedCase>,
    pub out_of_time: Option<Duration>,
    pub spans: Spans,
    pub sentences: Vec<SentenceState>,
    pub undone_count: usize,
    /// Undo entries that are pending or failed.
    pub not_undone: Vec<UndoEntry>,
    pub undo_actions: RetainedActions,
    pub on_failure: RetainedActions,
    /// Actions that passed, and whose output another sentence or a containing action judges. Kept until the case passes.
    pub inputs: RetainedInputs,
    pub waits: Waits,
    pub earlier: Vec<CaseEntry>,
}

#[derive(Default)]
pub struct SentenceState {
    pub started: bool,
    pub finished: Option<(Status, Option<String>)>,
    pub passed: PassedAssertions,
    pub actions: RetainedActions,
}

impl CaseState {
    /// The last undo at an address that is not done and was not tried.
    pub fn pending_undo(&mut self, at: &Address) -> Option<&mut UndoEntry> {
        self.not_undone.iter_mut().rfind(|entry| entry.status.is_none() && entry.address == *at)
    }

    pub fn finish_undo(&mut self, at: &Address, status: Status, summary: &str, reason: Option<&str>) {
        // Undo runs in reverse order: search from the end.
        let is_pending = |entry: &UndoEntry| entry.status.is_none() && entry.address == *at;
        let position = self
            .not_undone
            .iter()
            .rposition(|entry| is_pending(entry) && entry.summary == summary)
            .or_else(|| self.not_undone.iter().rposition(is_pending));
        // A skipped undo is done: its `if` found nothing to undo.
        let is_done = matches!(status, Status::Passed | Status::Skipped);
        if is_done {
            position.map(|i| self.not_undone.remove(i));
            self.undone_count += 1;
            return;
        }
        let i = position.unwrap_or_else(|| {
            self.not_undone.push(undo_entry(at, summary, None));
            self.not_undone.len() - 1
        });
        self.not_undone[i].status = Some(status);
        self.not_undone[i].reason = reason.map(shorten);
    }
}

/// An undo that is planned.
pub fn undo_entry(at: &Address, summary: &str, location: Option<Location>) -> UndoEntry {
    let (address, summary) = (at.clone(), shorten(summary));
    UndoEntry { address, summary, location, status: None, reason: None, actions: Vec::new() }
}
