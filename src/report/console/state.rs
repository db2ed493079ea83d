//! What a run does at a moment, from its events: the running cases, and what each awaits.
use crate::{
    address::Address,
    event::{ActionOutline, AssertionResult, Attempt, Event, EventKind, RunStarted},
    outcome::Verdict,
    report::{
        running_action::between,
        wording::{MAX_INLINE_CHARS, is_expression, one_line, subject},
    },
};
use jiff::Timestamp;
use std::{collections::HashMap, time::Duration};

const MAX_ID_CHARS: usize = 24;
const MAX_VALUE_CHARS: usize = 60;

/// A pure function of the events so far.
#[derive(Default)]
pub struct RunState {
    pub plan: String,
    pub started: Option<Timestamp>,
    /// Selected cases.
    pub total: usize,
    pub ended: usize,
    /// Of those that ended.
    pub not_passed: usize,
    /// In the order of their start.
    pub running: Vec<RunningCase>,
    titles: HashMap<String, String>,
    sentences: HashMap<Address, String>,
}

/// A case that has started and not ended.
pub struct RunningCase {
    pub id: String,
    /// The sentence under way; empty between two.
    pub sentence: String,
    /// How many sentences did not pass so far.
    pub failed: usize,
    started: Timestamp,
    /// In the order of their start.
    actions: Vec<RunningAction>,
}

struct RunningAction {
    at: Address,
    outline: ActionOutline,
    started: Timestamp,
    attempts: u32,
    /// The first assertion that does not hold yet.
    unmet: Option<AssertionResult>,
    /// Since when all assertions hold.
    holds: Option<Timestamp>,
}

/// What a case does.
#[derive(Debug, PartialEq)]
pub struct Activity {
    /// `status.phase = Hibernated`, or the summary of the action.
    pub what: String,
    pub kind: ActivityKind,
    pub elapsed: Duration,
    /// How long it may take.
    pub limit: Option<Duration>,
    /// The number of the attempt under way, from 1.
    pub attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityKind {
    /// An action is performed.
    Performs,
    /// A condition is awaited.
    Awaits,
    /// A condition holds and must keep holding.
    Watches,
    Undoes,
    /// Evidence of a failure is collected.
    Collects,
}

impl RunState {
    pub fn apply(&mut self, event: &Event) {
        let at = &event.address;
        match &event.kind {
            EventKind::RunStarted(start) => self.start(event.at, start),
            EventKind::CaseStarted => self.running.push(RunningCase {
                id: at.case().into_owned(),
                sentence: String::new(),
                failed: 0,
                started: event.at,
                actions: vec![],
            }),
            EventKind::SentenceStarted => {
                let text = self.sentences.get(at).cloned().unwrap_or_default();
                self.case(at).into_iter().for_each(|case| case.sentence.clone_from(&text));
            }
            EventKind::ActionStarted { action } => {
                let (at, outline, started) = (at.clone(), action.clone(), event.at);
                let action = RunningAction { at, outline, started, attempts: 0, unmet: None, holds: None };
                self.case(&event.address).into_iter().for_each(|case| case.actions.retain(|a| a.at != action.at));
                if let Some(case) = self.case(&event.address) {
                    case.actions.push(action);
                }
            }
            EventKind::Observed(attempt) => {
                let action = self.case(at).and_then(|case| case.actions.iter_mut().find(|a| a.at == *at));
                action.into_iter().for_each(|action| action.observe(attempt, event.at));
            }
            EventKind::ActionFinished { .. } => {
                self.case(at).into_iter().for_each(|case| case.actions.retain(|a| !a.at.is_within(at)));
            }
            EventKind::SentenceFinished { status, .. } => {
                if let Some(case) = self.case(at) {
                    case.failed += usize::from(status.is_unsuccessful());
                    case.sentence.clear();
                }
            }
            EventKind::CaseFinished { verdict, .. } => {
                self.ended += 1;
                self.not_passed += usize::from(!matches!(verdict, Verdict::Passed | Verdict::Skipped));
                let id = at.case();
                self.running.retain(|case| case.id != *id);
            }
            // it starts again
            EventKind::CaseRetried { .. } => {
                let id = at.case();
                self.running.retain(|case| case.id != *id);
            }
            EventKind::RunFinished { .. } => self.running.clear(),
            _ => {}
        }
    }

    fn start(&mut self, at: Timestamp, start: &RunStarted) {
        self.plan = one_line(&start.plan.id, MAX_ID_CHARS);
        self.started = Some(at);
        self.total = start.cases.iter().filter(|c| c.selected).count();
        for case in &start.cases {
            self.titles.insert(case.id.clone(), one_line(&case.title, 60));
            for s in &case.sentences {
                self.sentences.insert(s.address.clone(), one_line(&s.text, MAX_INLINE_CHARS));
            }
        }
    }

    fn case(&mut self, at: &Address) -> Option<&mut RunningCase> {
        let id = at.case();
        self.running.iter_mut().find(|case| case.id == *id)
    }

    pub fn title(&self, case: &str) -> &str {
        self.titles.get(case).map_or("", String::as_str)
    }

    /// The summary of an action that runs.
    pub fn summary(&mut self, at: &Address) -> Option<String> {
        self.case(at)?.actions.iter().find(|a| a.at == *at).map(|a| one_line(&a.outline.summary, 100))
    }

    /// How long the run takes so far.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        self.started.map_or(Duration::ZERO, |started| between(started, now))
    }
}

impl RunningCase {
    /// What the case does: the outermost wait that has been attempted, otherwise its last action.
    pub fn activity(&self, now: Timestamp) -> Activity {
        let waits = |a: &&RunningAction| a.attempts > 0 && (a.outline.eventually.or(a.outline.always)).is_some();
        match self.actions.iter().find(waits).or(self.actions.last()) {
            Some(action) => action.activity(now),
            None => Activity {
                what: self.sentence.clone(),
                kind: ActivityKind::Performs,
                elapsed: between(self.started, now),
                limit: None,
                attempt: 1,
            },
        }
    }
}

impl RunningAction {
    fn observe(&mut self, attempt: &Attempt, at: Timestamp) {
        self.attempts += 1;
        self.unmet = attempt.unmet.first().cloned();
        let holds = attempt.unmet.is_empty() && attempt.error.is_none();
        self.holds = if holds { self.holds.or(Some(at)) } else { None };
    }

    fn activity(&self, now: Timestamp) -> Activity {
        let summary = || one_line(&self.outline.summary, 100);
        let (what, kind, since, limit) = match (&self.unmet, self.holds) {
            (Some(unmet), _) => (condition(unmet), ActivityKind::Awaits, self.started, self.outline.eventually),
            (None, Some(since)) if self.outline.always.is_some() => {
                (summary(), ActivityKind::Watches, since, self.outline.always)
            }
            _ => (summary(), ActivityKind::Performs, self.started, self.outline.eventually),
        };
        let kind = match kind {
            ActivityKind::Performs if self.at.is_in("undo") => ActivityKind::Undoes,
            ActivityKind::Performs if self.at.is_in("on_failure") => ActivityKind::Collects,
            kind => kind,
        };
        Activity { what, kind, elapsed: between(since, now), limit, attempt: self.attempts + 1 }
    }
}

/// `status.phase = Hibernated`; with a matcher in words: `pods: an empty list`.
fn condition(f: &AssertionResult) -> String {
    let subject = one_line(subject(f), MAX_VALUE_CHARS);
    if is_expression(f) {
        return subject;
    }
    let expected = one_line(&f.expected, MAX_VALUE_CHARS);
    let is_number = expected.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    match expected.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => format!("{subject} = {text}"),
        None if is_number || ["true", "false", "null"].contains(&expected.as_str()) => {
            format!("{subject} = {expected}")
        }
        None => format!("{subject}: {expected}"),
    }
}
