//! An action between its start and its end: collects its attempts.
use super::{
    by_hand::with_commands,
    own_words::own_words,
    plan_order::PlanOrder,
    response::response_text,
    retention::{MAX_RESULTS, add_to_timeline, shorten, shorten_evidence, shorten_result},
    run_index::ActionEntry,
    wording,
};
use crate::{
    address::Address,
    event::{Attempt, Evidence, EvidenceKind},
    outcome::Status,
    source::Location,
    value::Value,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// An action that has started and not finished.
#[derive(Clone)]
pub struct RunningAction {
    pub started: Timestamp,
    first_attempt: Option<Timestamp>,
    /// Whether an executor has observed something: it notes what it does.
    pub has_observed: bool,
    /// Of the last attempt.
    output: Option<Value>,
    /// The actions that it contains and that passed, with their last requests: they are shown if an assertion about them does not hold.
    pub inner: BTreeMap<PlanOrder, RunningAction>,
    pub entry: ActionEntry,
}

impl RunningAction {
    pub fn new(at: &Address, started: Timestamp, summary: &str, location: Option<Location>) -> Self {
        let entry = ActionEntry {
            address: at.clone(),
            summary: shorten(summary),
            location,
            status: Status::Interrupted,
            results: Vec::new(),
            omitted: 0,
            reason: None,
            attempts: 0,
            took: Duration::ZERO,
            timeline: Vec::new(),
            wait: None,
            evidence: Vec::new(),
            said: None,
        };
        RunningAction { started, first_attempt: None, has_observed: false, output: None, inner: BTreeMap::new(), entry }
    }

    /// An attempt, and whether its commands can be repeated.
    pub fn observe(&mut self, attempt: &Attempt, can_repeat: bool) {
        let Attempt { began, value, error, unmet, evidence, .. } = attempt;
        let first = *self.first_attempt.get_or_insert(*began);
        self.output.clone_from(value);
        let entry = &mut self.entry;
        entry.attempts += 1;
        let message = match error {
            Some(error) => wording::one_line(error, wording::MAX_INLINE_CHARS),
            None if unmet.is_empty() => "everything held".to_owned(),
            None => wording::all_unmet(unmet),
        };
        add_to_timeline(&mut entry.timeline, between(first, *began), message);
        entry.said = value.as_ref().and_then(own_words);
        entry.results = unmet.iter().take(MAX_RESULTS).map(shorten_result).collect();
        self.has_observed = !evidence.is_empty();
        let is_shown = |e: &&Evidence| can_repeat || e.kind != EvidenceKind::Reproduce;
        let evidence = with_commands(evidence);
        entry.evidence = evidence.iter().filter(is_shown).map(|e| shorten_evidence(e.kind, &e.text)).collect();
    }

    /// The entry. A timeline of one attempt is left out. Where evidence is shown, what the executor did not note of the response comes
    /// from the output.
    pub fn into_entry(self, status: Status, is_input: bool) -> ActionEntry {
        let mut entry = ActionEntry { status, ..self.entry };
        if entry.attempts <= 1 {
            entry.timeline.clear();
        }
        let on_failure = entry.address.is_in("on_failure");
        let is_shown = !is_quiet(status) || on_failure || is_input;
        let Some(output) = self.output.filter(|_| is_shown) else { return entry };
        let last = |kind| entry.evidence.iter().rposition(|e| e.kind == kind);
        let (request, response) = (last(EvidenceKind::Request), last(EvidenceKind::Response));
        let head = response.filter(|response| request < Some(*response)).map(|i| entry.evidence[i].text.clone());
        match head {
            Some(head) if head.lines().count() == 1 && output.get("headers").is_some() => {
                entry.evidence.retain(|e| e.kind != EvidenceKind::Response || e.text != head);
                entry.evidence.push(shorten_evidence(EvidenceKind::Response, &response_text(&output, &head)));
            }
            None if self.has_observed || on_failure => {
                entry.evidence.push(shorten_evidence(EvidenceKind::Response, &response_text(&output, "")));
            }
            _ => {}
        }
        entry
    }
}

/// Whether a report shows no evidence of an action with this status.
pub fn is_quiet(status: Status) -> bool {
    matches!(status, Status::Passed | Status::Skipped)
}

/// The time from one moment to a later one.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
