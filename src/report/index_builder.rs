//! Builds the index of a run from its events. A journal may end anywhere: what never finished counts as interrupted.
use super::{
    by_hand::run_again,
    case_state::{CaseState, FinishedCase, SentenceState, undo_entry},
    plan_order::PlanOrder,
    retention::{
        MAX_INNER_ACTIONS, MAX_RESULTS, MAX_RESULTS_PASSED, RetainedActions, RetainedInputs, shorten, shorten_result,
    },
    run_index::{ActionEntry, CaseEntry, MAX_ACTIONS, RunIndex, SentenceEntry},
    running_action::{RunningAction, between, is_quiet},
};
use crate::{
    address::Address,
    event::{
        ActionOutline, AssertionResult, CaseOutline, Event, EventKind, EventSink, RunStarted, SentenceOutline,
        SinkError,
    },
    outcome::{Blame, Status, Verdict},
};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// An event sink that builds a [`RunIndex`]. Clones share their state.
#[derive(Clone, Default)]
pub struct IndexBuilder(Arc<Mutex<State>>);

impl IndexBuilder {
    /// The index of all events so far.
    pub fn index(&self) -> RunIndex {
        self.0.lock().index()
    }

    pub fn case(&self, id: &str) -> Option<CaseEntry> {
        let state = self.0.lock();
        let (start, i) = (state.start.as_deref()?, *state.case_by_id.get(id)?);
        Some(state.case_entry(state.cases.get(i)?, start.cases.get(i)?))
    }

    /// The index of a recorded run.
    pub fn build<'e>(events: impl IntoIterator<Item = &'e Event>) -> RunIndex {
        let mut state = State::default();
        events.into_iter().for_each(|e| state.apply(e));
        state.index()
    }
}

impl EventSink for IndexBuilder {
    fn on_event(&mut self, event: &Event) -> Result<(), SinkError> {
        self.0.lock().apply(event);
        Ok(())
    }
}

#[derive(Default)]
struct State {
    start: Option<Box<RunStarted>>,
    last_event: Timestamp,
    finished: Option<Duration>,
    cancelled: bool,
    notes: Vec<String>,
    cases: Vec<CaseState>,
    case_by_id: HashMap<String, usize>,
    sentence_by_address: HashMap<Address, (usize, usize)>,
    /// The actions that bind the names that other sentences read.
    inputs: HashSet<Address>,
    running: HashMap<Address, RunningAction>,
    outside_cases: RetainedActions,
}

/// Replaces the values of known names, and adds the others.
fn replace(known: &mut Vec<(String, String)>, found: &[(String, String)]) {
    for (name, value) in found {
        match known.iter_mut().find(|(n, _)| n == name) {
            Some((_, known)) => known.clone_from(value),
            None => known.push((name.clone(), value.clone())),
        }
    }
}

impl State {
    fn apply(&mut self, event: &Event) {
        self.last_event = self.last_event.max(event.at);
        let at = &event.address;
        match &event.kind {
            EventKind::RunStarted(start) => self.start(start),
            EventKind::CaseStarted => {
                if let Some(case) = self.case(at) {
                    case.started.get_or_insert(event.at);
                }
            }
            EventKind::SentenceStarted => {
                if let Some(s) = self.sentence(at) {
                    s.started = true;
                }
            }
            EventKind::ActionStarted { action: ActionOutline { summary, location, .. } } => {
                let action = RunningAction::new(at, event.at, summary, Some(location.clone()));
                self.running.insert(at.clone(), action);
            }
            EventKind::Observed(attempt) => {
                let can_repeat = self.can_repeat();
                self.running_action(event).observe(attempt, can_repeat);
            }
            EventKind::ActionFinished { status, results, reason, attempts, took, wait, last } => {
                if let Some(attempt) = last {
                    let can_repeat = self.can_repeat();
                    self.running_action(event).observe(attempt, can_repeat);
                }
                let started = || RunningAction::new(at, event.at, "", None);
                let mut running = self.running.remove(at).unwrap_or_else(started);
                if running.entry.attempts > 1
                    && let Some(case) = self.case(at)
                {
                    case.spans.waited(running.started, event.at, &running.entry.summary);
                }
                self.finish_inner(at, &mut running, *status, results);
                let is_input = self.is_input(at);
                let entry = running.into_entry(*status, is_input);
                let (attempts, reason) = (entry.attempts.max(*attempts), reason.as_deref().map(shorten));
                self.finish_action(
                    ActionEntry { reason, attempts, took: *took, wait: *wait, ..entry },
                    results,
                    is_input,
                );
            }
            EventKind::SentenceFinished { status, reason } => {
                if let Some(s) = self.sentence(at) {
                    s.finished = Some((*status, reason.as_deref().map(shorten)));
                }
            }
            EventKind::UndoPlanned { summary, location, heals, .. } => {
                if let Some(case) = self.case(at) {
                    if heals.is_some() {
                        case.spans.broke(at, event.at, summary);
                    }
                    case.not_undone.push(undo_entry(at, summary, Some(location.clone())));
                }
            }
            EventKind::UndoFinished { status, summary, reason } => {
                if let Some(case) = self.case(at) {
                    case.spans.healed(at, event.at);
                    case.finish_undo(at, *status, summary, reason.as_deref());
                }
            }
            EventKind::CaseFinished { verdict, blame, reason, took, out_of_time } => {
                if let Some(case) = self.case(at) {
                    case.out_of_time = *out_of_time;
                    if *verdict == Verdict::Passed {
                        case.inputs = RetainedInputs::default();
                    }
                    case.finished = Some((*verdict, *blame, reason.as_deref().map(shorten), *took));
                }
            }
            EventKind::CaseRetried { verdict, blame, reason, took, out_of_time } => {
                let finished = (*verdict, *blame, reason.as_deref().map(shorten), *took);
                self.retry(at, event.at, finished, *out_of_time);
            }
            EventKind::EnvironmentDescribed { targets, versions } => {
                if let Some(start) = &mut self.start {
                    replace(&mut start.environment.targets, targets);
                    replace(&mut start.versions, versions);
                }
            }
            EventKind::UndoBound { summary, .. } => {
                if let Some(entry) = self.case(at).and_then(|case| case.pending_undo(at)) {
                    entry.summary = shorten(summary);
                }
            }
            // what failed is tried again
            EventKind::CleanupStarted => {
                self.cases.iter_mut().flat_map(|case| &mut case.not_undone).for_each(|entry| entry.status = None);
            }
            EventKind::NamesBound { .. } | EventKind::CleanupFinished { .. } => {}
            EventKind::CancelRequested => self.cancelled = true,
            EventKind::RunFinished { took, notes } => {
                self.finished = Some(*took);
                self.notes.extend(notes.iter().map(|n| shorten(n)));
            }
        }
    }

    /// Whether a command can ask the environment after the run.
    fn can_repeat(&self) -> bool {
        !self.start.as_ref().is_some_and(|start| start.environment.ends_with_run)
    }

    fn running_action(&mut self, event: &Event) -> &mut RunningAction {
        let started = || RunningAction::new(&event.address, event.at, "", None);
        self.running.entry(event.address.clone()).or_insert_with(started)
    }

    fn start(&mut self, start: &RunStarted) {
        self.cases = Vec::new();
        for (i, case) in start.cases.iter().enumerate() {
            self.case_by_id.insert(case.id.clone(), i);
            for (j, s) in case.sentences.iter().enumerate() {
                self.sentence_by_address.insert(s.address.clone(), (i, j));
                self.inputs.extend(s.inputs.iter().filter_map(|input| input.actions.first()).cloned());
            }
            let sentences = case.sentences.iter().map(|_| SentenceState::default()).collect();
            self.cases.push(CaseState { sentences, ..CaseState::default() });
        }
        self.start = Some(Box::new(start.clone()));
    }

    /// Keeps an attempt at a case, and begins the next one.
    fn retry(&mut self, at: &Address, now: Timestamp, finished: FinishedCase, out_of_time: Option<Duration>) {
        let Some(i) = self.case_index(at) else { return };
        let Some(outline) = self.start.as_ref().and_then(|start| start.cases.get(i)).cloned() else { return };
        let state = &mut self.cases[i];
        let mut earlier = std::mem::take(&mut state.earlier);
        (state.finished, state.out_of_time) = (Some(finished), out_of_time);
        let attempt = self.case_entry(&self.cases[i], &outline);
        let old = std::mem::take(&mut self.cases[i]);
        earlier.push(attempt);
        self.cases[i] = CaseState {
            // a run that ends now was in the middle of the case
            started: old.started.or(Some(now)),
            spans: old.spans,
            sentences: outline.sentences.iter().map(|_| SentenceState::default()).collect(),
            undone_count: old.undone_count,
            not_undone: old.not_undone,
            undo_actions: old.undo_actions,
            earlier,
            ..CaseState::default()
        };
    }

    fn case_index(&self, at: &Address) -> Option<usize> {
        self.case_by_id.get(&*at.case()).copied()
    }

    fn case(&mut self, at: &Address) -> Option<&mut CaseState> {
        let i = self.case_index(at)?;
        self.cases.get_mut(i)
    }

    fn sentence(&mut self, at: &Address) -> Option<&mut SentenceState> {
        let (i, j) = *self.sentence_by_address.get(at)?;
        self.cases.get_mut(i)?.sentences.get_mut(j)
    }

    /// The case and sentence that an action belongs to.
    fn sentence_of(&self, at: &Address) -> Option<(usize, usize)> {
        let found = at.ancestors().filter_map(|a| self.sentence_by_address.get(&a));
        found.last().copied()
    }

    /// Whether an action makes an output that another sentence reads, or is part of one that does.
    fn is_input(&self, at: &Address) -> bool {
        !self.inputs.is_empty() && at.ancestors().any(|a| self.inputs.contains(&a))
    }

    /// Keeps the requests inside an action whose own assertions do not hold, and passes those of any other on to the action that contains
    /// it.
    fn finish_inner(&mut self, at: &Address, running: &mut RunningAction, status: Status, results: &[AssertionResult]) {
        let mut inner = std::mem::take(&mut running.inner);
        let is_unmet = status.is_unsuccessful() && results.iter().any(|f| !f.holds);
        if is_unmet && inner.is_empty() && !running.has_observed {
            // an assertion in a `use` judges what was observed there
            inner = self.containing(at).map(|parent| parent.inner.clone()).unwrap_or_default();
        }
        if is_unmet && let Some((i, _)) = self.sentence_of(at).filter(|_| !at.is_in("undo")) {
            for (order, action) in inner {
                self.cases[i].inputs.add(at.without_items(), order, action.into_entry(Status::Passed, true));
            }
            return;
        }
        if status == Status::Passed && running.has_observed {
            inner.insert(PlanOrder::of(at), running.clone());
        }
        if inner.is_empty() {
            return;
        }
        if let Some(parent) = self.containing(at) {
            parent.inner.append(&mut inner);
            while parent.inner.len() > MAX_INNER_ACTIONS {
                parent.inner.pop_last();
            }
        }
    }

    /// The innermost running action that contains another.
    fn containing(&mut self, at: &Address) -> Option<&mut RunningAction> {
        let containing: Vec<Address> = at.ancestors().filter(|a| a != at).collect();
        let parent = containing.iter().rev().find(|a| self.running.contains_key(*a))?;
        self.running.get_mut(parent)
    }

    fn finish_action(&mut self, mut entry: ActionEntry, results: &[AssertionResult], is_input: bool) {
        let is_quiet = is_quiet(entry.status);
        let order = PlanOrder::of(&entry.address);
        let is_undo = entry.address.is_in("undo");
        let sentence = if is_undo { None } else { self.sentence_of(&entry.address) };
        if let Some((i, j)) = sentence
            && entry.status == Status::Passed
        {
            self.cases[i].sentences[j].passed.add(&order, results);
        }
        let case = self.case_index(&entry.address);
        let is_on_failure = sentence.is_none() && case.is_some() && !is_undo;
        if let Some((i, _)) = sentence {
            self.cases[i].waits.add(&entry);
        }
        let (holding, unmet): (Vec<_>, Vec<_>) = results.iter().partition(|f| f.holds);
        let limit = if is_quiet { MAX_RESULTS_PASSED } else { MAX_RESULTS };
        entry.omitted = unmet.len().saturating_sub(MAX_RESULTS);
        entry.results = unmet.into_iter().chain(holding).take(limit).map(shorten_result).collect();
        if let Some((i, _)) = sentence
            && is_input
            && entry.status == Status::Passed
            && entry.has_observation()
        {
            self.cases[i].inputs.add(entry.address.without_items(), order.clone(), entry.clone());
        }
        if is_quiet && !is_on_failure {
            entry.evidence.clear();
        }
        let retained = match (sentence, case) {
            (Some((i, j)), _) => &mut self.cases[i].sentences[j].actions,
            (None, Some(i)) if is_undo => &mut self.cases[i].undo_actions,
            (None, Some(i)) => &mut self.cases[i].on_failure,
            (None, None) => &mut self.outside_cases,
        };
        // Undo and setup report failed actions only; `on_failure` reports all actions.
        if !is_quiet || sentence.is_some() || is_on_failure {
            retained.add(order, entry, is_quiet);
        }
    }

    fn index(&self) -> RunIndex {
        let start = self.start.as_deref().cloned().unwrap_or_default();
        let complete = self.finished.is_some();
        let mut cases: Vec<CaseEntry> =
            self.cases.iter().zip(&start.cases).map(|(state, outline)| self.case_entry(state, outline)).collect();
        let mut outside_cases = self.outside_cases.clone();
        for (at, action) in &self.running {
            let mut entry = action.clone().into_entry(Status::Interrupted, false);
            entry.took = between(action.started, self.last_event);
            match self.sentence_of(at) {
                Some((i, j)) => {
                    let actions = &mut cases[i].sentences[j].actions;
                    actions.push(entry);
                    actions.sort_by_cached_key(|a| PlanOrder::of(&a.address));
                    actions.truncate(2 * MAX_ACTIONS);
                }
                None if self.case_index(at).is_none() => outside_cases.add(PlanOrder::of(at), entry, false),
                None => {}
            }
        }
        RunIndex {
            has_started: self.start.is_some(),
            complete,
            cancelled: self.cancelled,
            took: self.finished.unwrap_or_else(|| match self.start {
                Some(_) => between(start.started, self.last_event),
                None => Duration::ZERO,
            }),
            start,
            cases,
            outside_cases: outside_cases.list(),
            notes: self.notes.clone(),
        }
    }

    fn case_entry(&self, state: &CaseState, outline: &Arc<CaseOutline>) -> CaseEntry {
        let complete = self.finished.is_some();
        let (verdict, blame, reason, took) = match (&state.finished, state.started) {
            (Some(finished), _) => finished.clone(),
            (None, Some(started)) => {
                let why = match (self.cancelled, complete) {
                    (true, _) => "cancelled while the case was running",
                    (false, false) => "the run ended before the case did",
                    (false, true) => "the case never ended",
                };
                (Verdict::Interrupted, None, Some(why.to_owned()), between(started, self.last_event))
            }
            (None, None) => {
                let why = match (outline.selected, self.cancelled, complete) {
                    (false, ..) => "not selected",
                    (true, true, _) => "cancelled before the case started",
                    (true, false, false) => "the run ended before the case started",
                    (true, false, true) => "the case never started",
                };
                (Verdict::Skipped, None, Some(why.to_owned()), Duration::ZERO)
            }
        };
        let (verdict, blame, reason) = match &state.finished {
            Some(_) => (verdict, blame, reason),
            None => with_earlier(verdict, blame, reason, &state.earlier),
        };
        let mut not_undone = state.not_undone.clone();
        for action in state.undo_actions.list() {
            if let Some(entry) = not_undone.iter_mut().rev().find(|entry| action.address.is_within(&entry.address)) {
                entry.actions.push(action);
            }
        }
        let sentences = state.sentences.iter().zip(&outline.sentences);
        CaseEntry {
            again: self.start.as_ref().map(|start| run_again(start, &outline.id)).unwrap_or_default(),
            sentences: sentences.map(|(s, outline)| sentence_entry(s, outline, state, verdict)).collect(),
            outline: outline.clone(),
            verdict,
            blame,
            reason,
            started: state.started.zip(self.start.as_ref()).map(|(at, start)| between(start.started, at)),
            took,
            spans: self.start.as_ref().map(|s| state.spans.list(s.started, self.last_event)).unwrap_or_default(),
            out_of_time: state.out_of_time,
            undone_count: state.undone_count,
            not_undone,
            on_failure: state.on_failure.list(),
            inputs: state.inputs.list(),
            waits: state.waits.list(),
            earlier: state.earlier.clone(),
        }
    }
}

/// The verdict of a case that did not end, after its attempts so far: none of them hides a failure that was observed.
fn with_earlier(
    verdict: Verdict,
    blame: Option<Blame>,
    reason: Option<String>,
    earlier: &[CaseEntry],
) -> (Verdict, Option<Blame>, Option<String>) {
    let severity = |case: &&CaseEntry| case.verdict.severity(case.blame);
    match earlier.iter().rev().max_by_key(severity) {
        Some(worst) if severity(&worst) > verdict.severity(blame) => (worst.verdict, worst.blame, worst.reason.clone()),
        _ => (verdict, blame, reason),
    }
}

fn sentence_entry(
    s: &SentenceState,
    outline: &Arc<SentenceOutline>,
    case: &CaseState,
    verdict: Verdict,
) -> SentenceEntry {
    let (status, reason) = match &s.finished {
        Some(finished) => finished.clone(),
        None if verdict == Verdict::Skipped => (Status::Skipped, None),
        None if s.started && case.finished.is_none() => (Status::Interrupted, None),
        None if outline.unproven.is_some() => (Status::Unproven, None),
        None => (Status::NotReached, None),
    };
    SentenceEntry {
        outline: outline.clone(),
        status,
        reason,
        passed: s.passed.list(),
        actions: s.actions.list(),
        omitted: s.actions.omitted(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{EvidenceKind, Part},
        outcome::Tier,
        report::{
            retention::{MAX_PASSED_ASSERTIONS, MAX_TEXT_BYTES},
            samples::{self, SampleRun, evidence, passed, result},
        },
    };

    fn one_step() -> SampleRun {
        let cases = vec![samples::case("TC-1", "One", Tier::Must, &[(Part::Step, "Do it often")])];
        let mut s = SampleRun::begin(cases, |_| {});
        s.emit("TC-1", EventKind::CaseStarted);
        s.emit("TC-1/steps/0", EventKind::SentenceStarted);
        s
    }

    #[test]
    fn keeps_a_bounded_number_of_actions_per_sentence() {
        let mut s = one_step();
        for round in (0..20_000).rev() {
            let at = format!("TC-1/steps/0/do/0#{round}");
            s.start(&at, "http GET /", 30);
            s.attempt(&at, 0, vec![], vec![evidence(EvidenceKind::Response, "big")]);
            let (status, results) = match round % 4 {
                0 => (Status::Failed, vec![result("status", false, "200", "500")]),
                _ => (Status::Passed, vec![passed("status", "200"), passed("body.n", &round.to_string())]),
            };
            s.finish(&at, status, results, None, 1, 1);
        }
        let sentence = &s.index().cases[0].sentences[0];
        let addresses: Vec<&str> = sentence.actions.iter().map(|a| a.address.as_str()).collect();
        assert_eq!(addresses.len(), 2 * MAX_ACTIONS);
        assert_eq!(addresses[..3], ["TC-1/steps/0/do/0#0", "TC-1/steps/0/do/0#1", "TC-1/steps/0/do/0#2"]);
        assert_eq!(sentence.omitted, 5_000 - MAX_ACTIONS);
        assert_eq!(sentence.passed.len(), MAX_PASSED_ASSERTIONS);
        assert_eq!((sentence.passed[0].result.subject.as_str(), sentence.passed[0].count), ("status", 15_000));
        assert_eq!(sentence.passed[1].result.actual, "1");
        for action in &sentence.actions {
            assert_eq!(action.evidence.is_empty(), action.status == Status::Passed);
        }
    }

    #[test]
    fn shortens_a_large_response() {
        let mut s = one_step();
        let at = "TC-1/steps/0/do/0";
        s.start(at, "http GET /", 30);
        s.attempt(at, 0, vec![], vec![evidence(EvidenceKind::Response, &"é".repeat(1 << 20))]);
        let unmet: Vec<AssertionResult> =
            (0..1_000).map(|n| result(&format!("items[{n}]"), false, "1", &"x".repeat(1 << 16))).collect();
        s.finish(at, Status::Failed, unmet, None, 1, 1);
        let action = s.index().cases[0].sentences[0].actions[0].clone();
        assert_eq!((action.results.len(), action.omitted), (MAX_RESULTS, 1_000 - MAX_RESULTS));
        assert!(
            action.results[0].actual.len() <= MAX_TEXT_BYTES + 3 && action.evidence[0].text.len() <= MAX_TEXT_BYTES + 3
        );
    }

    #[test]
    fn equal_attempts_are_one_timeline_entry() {
        let mut s = one_step();
        let at = "TC-1/steps/0/do/0";
        s.start(at, "k8s get x", 30);
        for (attempt, phase) in ["Pending", "Pending", "Running", "Pending"].into_iter().enumerate() {
            s.wait(100).attempt(at, attempt as u32, vec![result("phase", false, "Done", phase)], vec![]);
        }
        s.wait(100).attempt(at, 4, vec![], vec![]);
        s.finish(at, Status::Passed, vec![passed("phase", "Done")], None, 5, 500);
        let timeline = s.index().cases[0].sentences[0].actions[0].timeline.clone();
        let entries: Vec<(u128, u32)> = timeline.iter().map(|m| (m.since.as_millis(), m.attempts)).collect();
        assert_eq!(entries, [(0, 2), (200, 1), (300, 1), (400, 1)]);
        assert_eq!(timeline[1].message, "`phase`: expected `Done`, found `Running`");
        assert_eq!(timeline[3].message, "everything held");
    }

    #[test]
    fn failed_undo_does_not_fail_its_sentence() {
        let mut s = one_step();
        let (at, undo) = ("TC-1/steps/0/do/0", "TC-1/steps/0/do/0/undo");
        s.emit(undo, samples::undo_planned("http DELETE /1", 33));
        s.start(at, "http POST /", 32);
        s.finish(at, Status::Passed, vec![passed("status", "201")], None, 1, 1);
        s.sentence("TC-1/steps/0", Status::Passed, None);
        let action = format!("{undo}/0");
        s.start(&action, "http DELETE /1", 33);
        s.finish(&action, Status::Failed, vec![result("status", false, "204", "500")], None, 1, 1);
        s.emit(
            undo,
            EventKind::UndoFinished { status: Status::Failed, summary: "http DELETE /1".into(), reason: None },
        );
        s.verdict("TC-1", Verdict::Errored, Some(Blame::Environment), None, 5);
        let run = s.index();
        let case = &run.cases[0];
        assert!(case.sentences[0].actions.iter().all(|a| a.status == Status::Passed));
        assert_eq!((case.not_undone.len(), case.undone_count, case.not_undone[0].actions.len()), (1, 0, 1));
        assert!(samples::markdown(&run).contains("| `status`: expected `204`, found `500` |"));
    }

    #[test]
    fn matches_finished_undo_entries_in_any_order() {
        let mut s = one_step();
        for summary in ["a", "b", "a"] {
            s.emit("TC-1/steps/0/do/0", samples::undo_planned(summary, 33));
        }
        for (summary, status) in [("a", Status::Passed), ("a", Status::Errored), ("other", Status::Skipped)] {
            s.emit("TC-1/steps/0/do/0", EventKind::UndoFinished { status, summary: summary.into(), reason: None });
        }
        let case = s.index().cases.remove(0);
        let not_undone: Vec<_> = case.not_undone.iter().map(|entry| (entry.summary.as_str(), entry.status)).collect();
        assert_eq!((not_undone, case.undone_count), (vec![("a", Some(Status::Errored))], 2));
    }

    #[test]
    fn keeps_failed_setup_actions() {
        let mut s = one_step();
        for (at, status) in [("setup/0", Status::Passed), ("setup/1", Status::Errored)] {
            s.start(at, "http POST /login", 3);
            s.finish(at, status, vec![], Some("connection refused"), 1, 1);
        }
        let run = s.index();
        assert_eq!(run.outside_cases.iter().map(|a| a.address.as_str()).collect::<Vec<_>>(), ["setup/1"]);
        assert!(samples::markdown(&run).contains("⚠️ **errored**: `http POST /login`"));
    }

    #[test]
    fn clones_share_their_state() {
        let builder = IndexBuilder::default();
        let mut sink = builder.clone();
        assert!(!builder.index().has_started);
        for e in samples::passing().events {
            sink.on_event(&e).unwrap();
        }
        let run = builder.index();
        assert!(
            run.has_started
                && run.complete
                && run.cases.iter().all(|c| c.verdict == Verdict::Passed && c.undone_count == 3)
        );
    }
}
