//! Folds events into the index of the run: what every document is written from. Copes with a journal that ends midway: what never
//! finished is interrupted. Knows no format.
//!
//! Memory stays flat however often a `foreach` goes round: of one sentence so many actions are kept, the first in the order of the
//! plan, and of those that passed only what a report shows.
use super::wording;
use crate::{
    address::Address,
    event::{
        AssertionResult, CaseOutline, EnvironmentOutline, Event, EventKind, EventSink, Evidence, EvidenceKind,
        PlanOutline, RunStarted, SentenceOutline,
    },
    outcome::{Blame, Status, Verdict},
    source::Location,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Actions kept of one sentence: so many that passed, and so many that did not.
const ACTIONS: usize = 32;
/// Findings kept of one action that did not pass, and of one that did.
const FINDINGS: usize = 100;
const FINDINGS_PASSED: usize = 4;
/// Different observations kept of one sentence.
const SEEN: usize = 64;
const MOMENTS: usize = 64;
/// Bytes kept of one text from the world.
const TEXT: usize = 16 << 10;

/// A run, complete or not.
#[derive(Clone, Debug)]
pub struct RunIndex {
    /// False when not even the first event was there: then all else is empty.
    pub begun: bool,
    /// Whether the run came to its end.
    pub complete: bool,
    pub cancelled: bool,
    pub start: RunStarted,
    /// Until the last event, where the run did not come to its end.
    pub took: Duration,
    /// In the plan's order, with those that were not selected.
    pub cases: Vec<CaseIndex>,
    /// What stands outside the cases, such as the environment's setup, and did not pass.
    pub around: Vec<ActionIndex>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct CaseIndex {
    pub outline: CaseOutline,
    pub verdict: Verdict,
    pub blame: Option<Blame>,
    pub reason: Option<String>,
    pub took: Duration,
    /// How often it was begun.
    pub attempts: u32,
    /// In the plan's order.
    pub sentences: Vec<SentenceIndex>,
    /// How many undo entries were carried out.
    pub undone: usize,
    /// Those that were not.
    pub left: Vec<UndoRow>,
    /// Actions that belong to no sentence: evidence collected when the case went red.
    pub collected: Vec<ActionIndex>,
}

#[derive(Clone, Debug)]
pub struct SentenceIndex {
    pub outline: SentenceOutline,
    pub status: Status,
    pub reason: Option<String>,
    /// What held, the outermost actions first, each different observation once.
    pub seen: Vec<Seen>,
    /// In the plan's order.
    pub actions: Vec<ActionIndex>,
    /// Actions that did not pass and were not kept.
    pub left_out: usize,
}

#[derive(Clone, Debug)]
pub struct Seen {
    pub result: AssertionResult,
    pub times: usize,
}

#[derive(Clone, Debug)]
pub struct ActionIndex {
    pub address: Address,
    pub what: String,
    pub location: Option<Location>,
    pub status: Status,
    /// Of one that did not pass: those that do not hold come first.
    pub results: Vec<AssertionResult>,
    /// Findings that do not hold and were not kept.
    pub left_out: usize,
    pub reason: Option<String>,
    pub attempts: u32,
    pub took: Duration,
    /// Of one that looked more than once.
    pub timeline: Vec<Moment>,
    /// Of the last attempt; only for what did not pass.
    pub evidence: Vec<Evidence>,
}

/// Looks in a row at which the same was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// From the first attempt of the action to the first of these.
    pub since: Duration,
    pub said: String,
    pub attempts: u32,
}

#[derive(Clone, Debug)]
pub struct UndoRow {
    pub address: Address,
    pub what: String,
    pub location: Option<Location>,
    /// `None`: it was never tried.
    pub status: Option<Status>,
    pub reason: Option<String>,
    /// The actions of the undo that did not pass.
    pub actions: Vec<ActionIndex>,
}

impl CaseIndex {
    pub fn is_red(&self) -> bool {
        !matches!(self.verdict, Verdict::Passed | Verdict::Skipped)
    }

    /// Its reason, where no sentence says the same.
    pub fn own_reason(&self) -> Option<&str> {
        self.reason.as_deref().filter(|r| !self.sentences.iter().any(|s| s.reason.as_deref() == Some(r)))
    }

    /// The sentence to attempt at first. A wrong answer comes before what could not be asked, and that before what was not reached.
    pub fn first_red(&self) -> Option<&SentenceIndex> {
        let worst = self.sentences.iter().map(|s| s.status).filter(|m| m.is_red()).reduce(Status::worse)?;
        self.sentences.iter().find(|s| s.status == worst)
    }
}

impl SentenceIndex {
    /// The actions by which it is not passed: not those that only enclose one.
    pub fn causes(&self) -> Vec<&ActionIndex> {
        let red = || self.actions.iter().filter(|a| a.status.is_red());
        let encloses = |a: &ActionIndex| red().any(|b| b.address != a.address && b.address.is_within(&a.address));
        red().filter(|a| a.unmet().next().is_some() || !encloses(a)).collect()
    }

    /// Why a sentence is not passed, in one line, and where in the plan to attempt.
    pub fn first_cause(&self) -> (Option<String>, &Location) {
        let causes = self.causes();
        let worst = causes.iter().map(|c| c.status).reduce(Status::worse);
        let Some(cause) = causes.iter().find(|c| Some(c.status) == worst) else {
            return (self.reason.clone(), &self.outline.location);
        };
        let unmet = wording::all_unmet(&cause.results);
        let why = if unmet.is_empty() { cause.reason.clone().or_else(|| self.reason.clone()) } else { Some(unmet) };
        (why, cause.location().unwrap_or(&self.outline.location))
    }

    /// Its reason, where no action under it says the same.
    pub fn own_reason(&self) -> Option<&str> {
        let said = |reason: &str, c: &ActionIndex| {
            wording::repeats(reason, &c.results) || c.reason.as_ref().is_some_and(|r| reason.contains(r.as_str()))
        };
        let causes = self.causes();
        self.reason.as_deref().filter(|reason| !causes.iter().any(|c| said(reason, c)))
    }

    /// The actions around another one, outermost first.
    pub fn around(&self, action: &ActionIndex) -> Vec<&ActionIndex> {
        let encloses = |a: &&ActionIndex| a.address != action.address && action.address.is_within(&a.address);
        self.actions.iter().filter(encloses).collect()
    }
}

impl ActionIndex {
    pub fn unmet(&self) -> impl Iterator<Item = &AssertionResult> {
        self.results.iter().filter(|f| !f.holds)
    }

    /// Its reason, where its results do not say the same.
    pub fn own_reason(&self) -> Option<&str> {
        self.reason.as_deref().filter(|r| !wording::repeats(r, &self.results))
    }

    /// Of which items of a `foreach` it is, outermost first.
    pub fn items(&self) -> Vec<&str> {
        self.address.as_str().split('/').flat_map(|segment| segment.split('#').skip(1)).collect()
    }

    /// Where in the plan to attempt: at the first thing that does not hold.
    pub fn location(&self) -> Option<&Location> {
        self.unmet().find_map(|f| f.location.as_ref()).or(self.location.as_ref())
    }
}

/// The sink that the index is read from. Clones share it.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<State>>);

impl Ledger {
    /// As far as the events have come.
    pub fn index(&self) -> RunIndex {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).index()
    }

    /// The index of a recorded run.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> RunIndex {
        let mut state = State::default();
        events.into_iter().for_each(|e| state.take(e));
        state.index()
    }
}

impl EventSink for Ledger {
    fn on_event(&mut self, event: &Event, _: &str) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(event);
        Ok(())
    }
}

#[derive(Default)]
struct State {
    start: Option<Box<RunStarted>>,
    last: Timestamp,
    finished: Option<Duration>,
    cancelled: bool,
    notes: Vec<String>,
    cases: Vec<CaseState>,
    case_by_id: HashMap<String, usize>,
    sentence_by_address: HashMap<Address, (usize, usize)>,
    live: HashMap<Address, Live>,
    around: Kept,
}

#[derive(Default)]
struct CaseState {
    started: Option<Timestamp>,
    finished: Option<(Verdict, Option<Blame>, Option<String>, Duration)>,
    attempts: u32,
    sentences: Vec<SentenceState>,
    undone: usize,
    undo: Vec<UndoRow>,
    undo_actions: Kept,
    collected: Kept,
}

#[derive(Default)]
struct SentenceState {
    started: bool,
    finished: Option<(Status, Option<String>)>,
    seen: Tally,
    kept: Kept,
}

/// An action that has begun.
#[derive(Default)]
struct Live {
    what: String,
    location: Option<Location>,
    began: Timestamp,
    first_look: Option<Timestamp>,
    attempts: u32,
    timeline: Vec<Moment>,
    unmet: Vec<AssertionResult>,
    evidence: Vec<Evidence>,
}

impl State {
    fn take(&mut self, event: &Event) {
        self.last = self.last.max(event.at);
        let at = &event.address;
        match &event.kind {
            EventKind::RunStarted(start) => self.begin(start),
            EventKind::CaseStarted => {
                if let Some(case) = self.case(at) {
                    // A retry: what is reported is the last attempt. What an earlier one left behind stays said.
                    *case = CaseState {
                        started: Some(event.at),
                        attempts: case.attempts + 1,
                        sentences: case.sentences.iter().map(|_| SentenceState::default()).collect(),
                        undone: case.undone,
                        undo: std::mem::take(&mut case.undo),
                        ..CaseState::default()
                    };
                }
            }
            EventKind::SentenceStarted => {
                if let Some(s) = self.sentence(at) {
                    s.started = true;
                }
            }
            EventKind::ActionStarted { what, location } => {
                let live = Live {
                    what: shortened(what),
                    location: Some(location.clone()),
                    began: event.at,
                    ..Live::default()
                };
                self.live.insert(at.clone(), live);
            }
            EventKind::Observed { at: when, value, error, unmet, evidence, .. } => {
                let live = self.live.entry(at.clone()).or_default();
                let first = *live.first_look.get_or_insert(*when);
                live.attempts += 1;
                let said = match error {
                    Some(error) => wording::one_line(error, wording::SHORT),
                    None if unmet.is_empty() => "everything held".to_owned(),
                    None => wording::all_unmet(unmet),
                };
                note(&mut live.timeline, between(first, *when), said);
                live.unmet = unmet.iter().take(FINDINGS).map(kept_finding).collect();
                live.evidence = evidence.iter().map(|e| Evidence { kind: e.kind, text: shortened(&e.text) }).collect();
                // what is looked at only to be shown has no result that says what was seen
                let only_shown = at.as_str().split('/').any(|s| without_round(s) == "on_failure")
                    && !evidence.iter().any(|e| e.kind == EvidenceKind::Response);
                if let (Some(value), true) = (value, only_shown) {
                    live.evidence
                        .push(Evidence { kind: EvidenceKind::Response, text: shortened(&wording::observed(value)) });
                }
            }
            EventKind::ActionFinished { status, results, reason, attempts, took } => {
                let live = self.live.remove(at).unwrap_or_default();
                self.finish(at, live, *status, results, reason.as_deref(), *attempts, *took);
            }
            EventKind::SentenceFinished { status, reason } => {
                if let Some(s) = self.sentence(at) {
                    s.finished = Some((*status, reason.as_deref().map(shortened)));
                }
            }
            EventKind::UndoIntended { what, location } => {
                if let Some(case) = self.case(at) {
                    case.undo.push(UndoRow {
                        address: at.clone(),
                        what: shortened(what),
                        location: Some(location.clone()),
                        status: None,
                        reason: None,
                        actions: Vec::new(),
                    });
                }
            }
            EventKind::UndoFinished { status, what, reason } => {
                if let Some(case) = self.case(at) {
                    case.undo_finished(at, *status, what, reason.as_deref());
                }
            }
            EventKind::CaseFinished { verdict, blame, reason, took } => {
                if let Some(case) = self.case(at) {
                    case.finished = Some((*verdict, *blame, reason.as_deref().map(shortened), *took));
                }
            }
            EventKind::NamesBound { .. } => {}
            EventKind::CancelRequested => self.cancelled = true,
            EventKind::RunFinished { took, notes } => {
                self.finished = Some(*took);
                self.notes.extend(notes.iter().map(|n| shortened(n)));
            }
        }
    }

    fn begin(&mut self, start: &RunStarted) {
        self.cases = Vec::new();
        for (i, case) in start.cases.iter().enumerate() {
            self.case_by_id.insert(case.id.clone(), i);
            for (j, s) in case.sentences.iter().enumerate() {
                self.sentence_by_address.insert(s.address.clone(), (i, j));
            }
            let sentences = case.sentences.iter().map(|_| SentenceState::default()).collect();
            self.cases.push(CaseState { sentences, ..CaseState::default() });
        }
        self.start = Some(Box::new(start.clone()));
    }

    fn case(&mut self, at: &Address) -> Option<&mut CaseState> {
        let i = *self.case_by_id.get(without_round(at.case()))?;
        self.cases.get_mut(i)
    }

    fn sentence(&mut self, at: &Address) -> Option<&mut SentenceState> {
        let (i, j) = *self.sentence_by_address.get(at)?;
        self.cases.get_mut(i)?.sentences.get_mut(j)
    }

    /// The sentence that an action stands under.
    fn roof(&self, at: &Address) -> Option<(usize, usize)> {
        let mut text = at.as_str();
        loop {
            if let Some(found) = self.sentence_by_address.get(&Address::new(text)) {
                return Some(*found);
            }
            text = &text[..text.rfind(['/', '#'])?];
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn finish(
        &mut self,
        at: &Address,
        live: Live,
        status: Status,
        results: &[AssertionResult],
        reason: Option<&str>,
        attempts: u32,
        took: Duration,
    ) {
        let calm = matches!(status, Status::Passed | Status::Skipped);
        let order = Order::of(at);
        let under_undo = at.as_str().split('/').any(|s| without_round(s) == "undo");
        let roof = if under_undo { None } else { self.roof(at) };
        if let Some((i, j)) = roof
            && status == Status::Passed
        {
            self.cases[i].sentences[j].seen.add(&order, results);
        }
        let case = self.case_by_id.get(without_round(at.case())).copied();
        let collected = roof.is_none() && case.is_some() && !under_undo;
        let (holding, missing): (Vec<_>, Vec<_>) = results.iter().partition(|f| f.holds);
        let left_out = missing.len().saturating_sub(FINDINGS);
        let most = if calm { FINDINGS_PASSED } else { FINDINGS };
        let action = ActionIndex {
            address: at.clone(),
            what: live.what,
            location: live.location,
            status,
            results: missing.into_iter().chain(holding).take(most).map(kept_finding).collect(),
            left_out,
            reason: reason.map(shortened),
            attempts: attempts.max(live.attempts),
            took,
            timeline: if live.attempts > 1 { live.timeline } else { Vec::new() },
            evidence: if calm && !collected { Vec::new() } else { live.evidence },
        };
        let kept = match (roof, case) {
            (Some((i, j)), _) => &mut self.cases[i].sentences[j].kept,
            (None, Some(i)) if under_undo => &mut self.cases[i].undo_actions,
            (None, Some(i)) => &mut self.cases[i].collected,
            (None, None) => &mut self.around,
        };
        // Evidence that was collected is shown whether it could be got or not; of undo and setup only what went wrong.
        if !calm || roof.is_some() || collected {
            kept.add(order, action, calm);
        }
    }

    fn index(&self) -> RunIndex {
        let start = self.start.as_deref().cloned().unwrap_or_else(nothing);
        let complete = self.finished.is_some();
        let mut cases: Vec<CaseIndex> =
            self.cases.iter().zip(&start.cases).map(|(state, outline)| self.case_index(state, outline)).collect();
        let mut around = self.around.clone();
        // What had begun and never ended.
        for (at, live) in &self.live {
            let action = ActionIndex {
                address: at.clone(),
                what: live.what.clone(),
                location: live.location.clone(),
                status: Status::Interrupted,
                results: live.unmet.clone(),
                left_out: 0,
                reason: None,
                attempts: live.attempts,
                took: between(live.began, self.last),
                timeline: if live.attempts > 1 { live.timeline.clone() } else { Vec::new() },
                evidence: live.evidence.clone(),
            };
            match self.roof(at) {
                Some((i, j)) => {
                    let actions = &mut cases[i].sentences[j].actions;
                    actions.push(action);
                    actions.sort_by_cached_key(|a| Order::of(&a.address));
                    actions.truncate(2 * ACTIONS);
                }
                None if !self.case_by_id.contains_key(without_round(at.case())) => {
                    around.add(Order::of(at), action, false);
                }
                None => {}
            }
        }
        RunIndex {
            begun: self.start.is_some(),
            complete,
            cancelled: self.cancelled,
            took: self.finished.unwrap_or_else(|| match self.start {
                Some(_) => between(start.started, self.last),
                None => Duration::ZERO,
            }),
            start,
            cases,
            around: around.list(),
            notes: self.notes.clone(),
        }
    }

    fn case_index(&self, state: &CaseState, outline: &CaseOutline) -> CaseIndex {
        let complete = self.finished.is_some();
        let (verdict, blame, reason, took) = match (&state.finished, state.started) {
            (Some(finished), _) => finished.clone(),
            (None, Some(began)) => {
                let why = match (self.cancelled, complete) {
                    (true, _) => "cancelled midway",
                    (false, false) => "the run ended before the case did",
                    (false, true) => "the case never ended",
                };
                (Verdict::Interrupted, None, Some(why.to_owned()), between(began, self.last))
            }
            (None, None) => {
                let why = match (outline.selected, self.cancelled, complete) {
                    (false, ..) => "not selected",
                    (true, true, _) => "cancelled before it began",
                    (true, false, false) => "the run ended before it began",
                    (true, false, true) => "it never began",
                };
                (Verdict::Skipped, None, Some(why.to_owned()), Duration::ZERO)
            }
        };
        let sentences = state.sentences.iter().zip(&outline.sentences);
        let mut left = state.undo.clone();
        for action in state.undo_actions.list() {
            // The undo stands at the action that made the thing; its own actions stand within it.
            if let Some(row) = left.iter_mut().rev().find(|row| action.address.is_within(&row.address)) {
                row.actions.push(action);
            }
        }
        CaseIndex {
            sentences: sentences
                .map(|(s, outline)| {
                    let (status, reason) = match &s.finished {
                        Some(finished) => finished.clone(),
                        None if verdict == Verdict::Skipped => (Status::Skipped, None),
                        None if s.started && state.finished.is_none() => (Status::Interrupted, None),
                        None if outline.unproven.is_some() => (Status::Unproven, None),
                        None => (Status::NotReached, None),
                    };
                    SentenceIndex {
                        outline: outline.clone(),
                        status,
                        reason,
                        seen: s.seen.list(),
                        actions: s.kept.list(),
                        left_out: s.kept.red_count.saturating_sub(s.kept.red.len()),
                    }
                })
                .collect(),
            outline: outline.clone(),
            verdict,
            blame,
            reason,
            took,
            attempts: state.attempts,
            undone: state.undone,
            left,
            collected: state.collected.list(),
        }
    }
}

impl CaseState {
    fn undo_finished(&mut self, at: &Address, status: Status, what: &str, reason: Option<&str>) {
        // From the end: the last made is the first undone.
        let open = |row: &UndoRow| row.status.is_none() && row.address == *at;
        let location = self
            .undo
            .iter()
            .rposition(|row| open(row) && row.what == what)
            .or_else(|| self.undo.iter().rposition(open));
        // Skipped: its own `if` said that there is nothing to undo.
        let done = matches!(status, Status::Passed | Status::Skipped);
        match (location, done) {
            (Some(i), true) => {
                self.undo.remove(i);
                self.undone += 1;
            }
            (None, true) => self.undone += 1,
            (Some(i), false) => {
                self.undo[i].status = Some(status);
                self.undo[i].reason = reason.map(shortened);
            }
            (None, false) => self.undo.push(UndoRow {
                address: at.clone(),
                what: shortened(what),
                location: None,
                status: Some(status),
                reason: reason.map(shortened),
                actions: Vec::new(),
            }),
        }
    }
}

/// Actions in the order of the plan, the first so many of each kind.
#[derive(Clone, Default)]
struct Kept {
    calm: BTreeMap<Order, ActionIndex>,
    red: BTreeMap<Order, ActionIndex>,
    red_count: usize,
}

impl Kept {
    fn add(&mut self, order: Order, action: ActionIndex, calm: bool) {
        self.red_count += usize::from(!calm);
        let kept = if calm { &mut self.calm } else { &mut self.red };
        kept.insert(order, action);
        if kept.len() > ACTIONS {
            kept.pop_last();
        }
    }

    fn list(&self) -> Vec<ActionIndex> {
        let mut all: Vec<_> = self.calm.iter().chain(&self.red).collect();
        all.sort_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, a)| a.clone()).collect()
    }
}

/// What held under a sentence, each different observation once, the outermost and first of the plan's order kept.
#[derive(Default)]
struct Tally(HashMap<(String, String), (usize, Order, usize, Seen)>);

impl Tally {
    fn add(&mut self, order: &Order, results: &[AssertionResult]) {
        for (n, f) in results.iter().enumerate().filter(|(_, f)| f.holds).take(SEEN) {
            let (subject, actual) = wording::held(f);
            let key = (shortened(subject), actual.map(shortened).unwrap_or_default());
            let rank = (order.0.len(), order.clone(), n);
            if let Some((depth, first, location, seen)) = self.0.get_mut(&key) {
                seen.times += 1;
                if rank < (*depth, first.clone(), *location) {
                    (*depth, *first, *location) = rank;
                }
                continue;
            }
            self.0.insert(key, (rank.0, rank.1, rank.2, Seen { result: kept_finding(f), times: 1 }));
            if self.0.len() > SEEN
                && let Some(last) = self.0.iter().max_by_key(|(_, v)| (v.0, &v.1, v.2)).map(|(k, _)| k.clone())
            {
                self.0.remove(&last);
            }
        }
    }

    fn list(&self) -> Vec<Seen> {
        let mut all: Vec<_> = self.0.values().collect();
        all.sort_by_key(|v| (v.0, &v.1, v.2));
        all.into_iter().map(|v| v.3.clone()).collect()
    }
}

/// An address that sorts as the plan does: `do/2` before `do/10`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Order(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u64, String),
    Word(String),
}

impl Order {
    fn of(at: &Address) -> Self {
        // The branches of a `parallel` are told apart as `#1.2`.
        let keys = at.as_str().split(['/', '#', '.']).map(|s| match s.parse() {
            Ok(n) => Key::Number(n, s.to_owned()),
            Err(_) => Key::Word(s.to_owned()),
        });
        Order(keys.collect())
    }
}

fn note(timeline: &mut Vec<Moment>, since: Duration, said: String) {
    match timeline.last_mut() {
        Some(last) if last.said == said => last.attempts += 1,
        _ => timeline.push(Moment { since, said, attempts: 1 }),
    }
    // How it began and how it ended tell more than the middle.
    if timeline.len() > MOMENTS {
        timeline.remove(MOMENTS / 2);
    }
}

fn kept_finding(f: &AssertionResult) -> AssertionResult {
    AssertionResult {
        subject: shortened(&f.subject),
        holds: f.holds,
        expected: shortened(&f.expected),
        actual: shortened(&f.actual),
        operands: f.operands.iter().take(FINDINGS).map(|(a, b)| (shortened(a), shortened(b))).collect(),
        location: f.location.clone(),
        asked: None,
    }
}

fn shortened(text: &str) -> String {
    match text.len() > TEXT {
        true => format!("{}…", &text[..text.floor_char_boundary(TEXT)]),
        false => text.to_owned(),
    }
}

fn without_round(segment: &str) -> &str {
    segment.split('#').next().unwrap_or_default()
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn nothing() -> RunStarted {
    RunStarted {
        run: String::new(),
        started: Timestamp::default(),
        plan: PlanOutline::default(),
        environment: EnvironmentOutline::default(),
        selection: String::new(),
        gate: Vec::new(),
        versions: Vec::new(),
        cases: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Part,
        outcome::Tier,
        report::samples::{self, Story, evidence, is, result},
    };

    fn one_step() -> Story {
        let cases = vec![samples::case("TC-1", "One", Tier::Must, &[(Part::Step, "Do it often")])];
        let mut s = Story::begin(cases, |_| {});
        s.emit("TC-1", EventKind::CaseStarted);
        s.emit("TC-1/steps/0", EventKind::SentenceStarted);
        s
    }

    #[test]
    fn memory_stays_flat_over_many_rounds() {
        let mut s = one_step();
        for round in (0..20_000).rev() {
            let at = format!("TC-1/steps/0/do/0#{round}");
            s.start(&at, "http GET /", 30);
            s.attempt(&at, 0, vec![], vec![evidence(EvidenceKind::Response, "big")]);
            let (status, found) = match round % 4 {
                0 => (Status::Failed, vec![result("status", false, "200", "500")]),
                _ => (Status::Passed, vec![is("status", "200"), is("body.n", &round.to_string())]),
            };
            s.finish(&at, status, found, None, 1, 1);
        }
        let sentence = &s.index().cases[0].sentences[0];
        let kept: Vec<&str> = sentence.actions.iter().map(|a| a.address.as_str()).collect();
        assert_eq!(kept.len(), 2 * ACTIONS);
        assert_eq!(kept[..3], ["TC-1/steps/0/do/0#0", "TC-1/steps/0/do/0#1", "TC-1/steps/0/do/0#2"]);
        assert_eq!(sentence.left_out, 5_000 - ACTIONS);
        assert_eq!(sentence.seen.len(), SEEN);
        assert_eq!((sentence.seen[0].result.subject.as_str(), sentence.seen[0].times), ("status", 15_000));
        assert_eq!(sentence.seen[1].result.actual, "1");
        for action in &sentence.actions {
            assert_eq!(action.evidence.is_empty(), action.status == Status::Passed);
        }
    }

    #[test]
    fn a_huge_answer_is_cut() {
        let mut s = one_step();
        let at = "TC-1/steps/0/do/0";
        s.start(at, "http GET /", 30);
        s.attempt(at, 0, vec![], vec![evidence(EvidenceKind::Response, &"é".repeat(1 << 20))]);
        let wrong: Vec<AssertionResult> =
            (0..1_000).map(|n| result(&format!("items[{n}]"), false, "1", &"x".repeat(1 << 16))).collect();
        s.finish(at, Status::Failed, wrong, None, 1, 1);
        let action = s.index().cases[0].sentences[0].actions[0].clone();
        assert_eq!((action.results.len(), action.left_out), (FINDINGS, 1_000 - FINDINGS));
        assert!(action.results[0].actual.len() <= TEXT + 3 && action.evidence[0].text.len() <= TEXT + 3);
    }

    #[test]
    fn looks_that_see_the_same_are_one_moment() {
        let mut s = one_step();
        let at = "TC-1/steps/0/do/0";
        s.start(at, "k8s get x", 30);
        for (attempt, phase) in ["Pending", "Pending", "Running", "Pending"].into_iter().enumerate() {
            s.wait(100).attempt(at, attempt as u32, vec![result("phase", false, "Done", phase)], vec![]);
        }
        s.wait(100).attempt(at, 4, vec![], vec![]);
        s.finish(at, Status::Passed, vec![is("phase", "Done")], None, 5, 500);
        let timeline = s.index().cases[0].sentences[0].actions[0].timeline.clone();
        let told: Vec<(u128, u32)> = timeline.iter().map(|m| (m.since.as_millis(), m.attempts)).collect();
        assert_eq!(told, [(0, 2), (200, 1), (300, 1), (400, 1)]);
        assert_eq!(timeline[1].said, "`phase`: expected `Done`, was `Running`");
        assert_eq!(timeline[3].said, "everything held");
    }

    #[test]
    fn a_long_timeline_keeps_both_ends() {
        let mut timeline = Vec::new();
        for n in 0..10_000u64 {
            note(&mut timeline, Duration::from_millis(n), format!("{n}"));
        }
        assert_eq!(timeline.len(), MOMENTS);
        assert_eq!((timeline[0].said.as_str(), timeline[MOMENTS - 1].said.as_str()), ("0", "9999"));
    }

    #[test]
    fn a_retry_counts_and_its_last_attempt_is_reported() {
        let mut s = one_step();
        s.finish("TC-1/steps/0/do/0", Status::Failed, vec![result("status", false, "200", "500")], None, 1, 1);
        s.sentence("TC-1/steps/0", Status::Failed, None);
        s.verdict("TC-1", Verdict::Failed, Some(Blame::Product), None, 5);
        s.emit("TC-1", EventKind::CaseStarted);
        s.proved("TC-1/steps/0", "http GET /", vec![is("status", "200")]);
        s.verdict("TC-1", Verdict::Passed, None, None, 5);
        let run = s.index();
        let case = &run.cases[0];
        assert_eq!((case.attempts, case.verdict, case.sentences[0].status), (2, Verdict::Passed, Status::Passed));
        assert!(case.sentences[0].actions.iter().all(|a| a.status == Status::Passed));
    }

    #[test]
    fn what_undoes_is_no_part_of_its_sentence() {
        let mut s = one_step();
        let (at, undo) = ("TC-1/steps/0/do/0", "TC-1/steps/0/do/0/undo");
        s.emit(undo, EventKind::UndoIntended { what: "http DELETE /1".into(), location: samples::location(33) });
        s.start(at, "http POST /", 32);
        s.finish(at, Status::Passed, vec![is("status", "201")], None, 1, 1);
        s.sentence("TC-1/steps/0", Status::Passed, None);
        let act = format!("{undo}/0");
        s.start(&act, "http DELETE /1", 33);
        s.finish(&act, Status::Failed, vec![result("status", false, "204", "500")], None, 1, 1);
        s.emit(undo, EventKind::UndoFinished { status: Status::Failed, what: "http DELETE /1".into(), reason: None });
        s.verdict("TC-1", Verdict::Errored, Some(Blame::Environment), None, 5);
        let run = s.index();
        let case = &run.cases[0];
        assert!(case.sentences[0].actions.iter().all(|a| a.status == Status::Passed));
        assert_eq!((case.left.len(), case.undone, case.left[0].actions.len()), (1, 0, 1));
        assert!(samples::markdown(&run).contains("| `status`: expected `204`, was `500` |"));
    }

    #[test]
    fn what_undoes_in_any_order_is_matched() {
        let mut s = one_step();
        for what in ["a", "b", "a"] {
            s.emit("TC-1/steps/0/do/0", EventKind::UndoIntended { what: what.into(), location: samples::location(33) });
        }
        for (what, status) in [("a", Status::Passed), ("a", Status::Errored), ("other", Status::Skipped)] {
            s.emit("TC-1/steps/0/do/0", EventKind::UndoFinished { status, what: what.into(), reason: None });
        }
        let case = s.index().cases.remove(0);
        let left: Vec<_> = case.left.iter().map(|row| (row.what.as_str(), row.status)).collect();
        assert_eq!((left, case.undone), (vec![("a", Some(Status::Errored))], 2));
    }

    #[test]
    fn what_stands_around_the_cases_is_kept_when_it_went_wrong() {
        let mut s = one_step();
        for (at, status) in [("setup/0", Status::Passed), ("setup/1", Status::Errored)] {
            s.start(at, "http POST /login", 3);
            s.finish(at, status, vec![], Some("connection refused"), 1, 1);
        }
        let run = s.index();
        assert_eq!(run.around.iter().map(|a| a.address.as_str()).collect::<Vec<_>>(), ["setup/1"]);
        assert!(samples::markdown(&run).contains("⚠️ **errored**: `http POST /login`"));
    }

    #[test]
    fn clones_share_what_they_were_told() {
        let ledger = Ledger::default();
        let mut sink = ledger.clone();
        assert!(!ledger.index().begun);
        for e in samples::green().events {
            sink.on_event(&e, "").unwrap();
        }
        let run = ledger.index();
        assert!(run.begun && run.complete && run.cases.iter().all(|c| c.verdict == Verdict::Passed && c.undone == 3));
    }

    #[test]
    fn addresses_sort_as_the_plan_does() {
        let mut all =
            ["a/do/10", "a/do/2#10", "a/do/2", "a/do/2#9/use/0", "a/do/2#9.10", "a/do/2#9.2"].map(Address::new);
        all.sort_by_cached_key(Order::of);
        assert_eq!(
            all.map(|a| a.to_string()),
            ["a/do/2", "a/do/2#9.2", "a/do/2#9.10", "a/do/2#9/use/0", "a/do/2#10", "a/do/10"]
        );
    }
}
