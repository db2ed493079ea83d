//! The index of a run, from which every report is written: data and queries, without formatting.
use super::{performed, wording};
use crate::{
    address::Address,
    event::{AssertionResult, CaseOutline, Evidence, EvidenceKind, RunStarted, SentenceOutline, WaitOutcome},
    outcome::{Blame, Status, Verdict},
    source::Location,
};
use std::{borrow::Cow, sync::Arc, time::Duration};

/// Actions kept per sentence: this many that passed or were skipped, and this many others.
pub const MAX_ACTIONS: usize = 32;

/// A run, complete or not.
#[derive(Clone, Debug)]
pub struct RunIndex {
    /// False when the journal has no `run-started` event; all other fields are empty then.
    pub has_started: bool,
    /// Whether the `run-finished` event was seen.
    pub complete: bool,
    pub cancelled: bool,
    pub start: RunStarted,
    /// For an incomplete run: the time up to its last event.
    pub took: Duration,
    /// In the plan's order, including cases that were not selected.
    pub cases: Vec<CaseEntry>,
    /// Actions outside of cases, such as the environment's setup, that did not pass.
    pub outside_cases: Vec<ActionEntry>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct CaseEntry {
    pub outline: Arc<CaseOutline>,
    /// The command that runs it again.
    pub again: String,
    pub verdict: Verdict,
    pub blame: Option<Blame>,
    pub reason: Option<String>,
    /// Time from the start of the run to the start of the case. `None` for a case that never started.
    pub started: Option<Duration>,
    pub took: Duration,
    /// Waits and faults, by their start.
    pub spans: Vec<Span>,
    /// The time limit, if the case ran out of time.
    pub out_of_time: Option<Duration>,
    /// In the plan's order.
    pub sentences: Vec<SentenceEntry>,
    /// How many undo entries were carried out.
    pub undone_count: usize,
    /// Undo entries that failed or were never tried.
    pub not_undone: Vec<UndoEntry>,
    /// Evidence collected by `on_failure`.
    pub on_failure: Vec<ActionEntry>,
    /// In a case that did not pass: the actions that passed, with their evidence, and whose output another sentence reads or an action
    /// judges that contains them.
    pub inputs: Vec<ActionEntry>,
    /// Every `eventually` that ended, in the plan's order.
    pub waits: Vec<WaitEntry>,
    /// The attempts before the one that all else is of (`--retries`), the first one first. Theirs are empty.
    pub earlier: Vec<CaseEntry>,
}

#[derive(Clone, Debug)]
pub struct SentenceEntry {
    pub outline: Arc<SentenceOutline>,
    pub status: Status,
    pub reason: Option<String>,
    /// Distinct assertions that held, those of the outermost actions first.
    pub passed: Vec<PassedAssertion>,
    /// In the plan's order.
    pub actions: Vec<ActionEntry>,
    /// Number of actions that did not pass and were dropped to bound memory.
    pub omitted: usize,
}

/// A time in which a case waited for a condition, or a dependency was broken on purpose.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub kind: SpanKind,
    /// The action that waited, or the undo of the fault.
    pub summary: String,
    /// Time from the start of the run.
    pub since: Duration,
    pub took: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Wait,
    Fault,
}

#[derive(Clone, Debug)]
pub struct PassedAssertion {
    pub result: AssertionResult,
    pub count: usize,
}

#[derive(Clone, Debug)]
pub struct ActionEntry {
    pub address: Address,
    pub summary: String,
    pub location: Option<Location>,
    pub status: Status,
    /// Assertions that do not hold come first.
    pub results: Vec<AssertionResult>,
    /// Number of unmet assertions that were dropped to bound memory.
    pub omitted: usize,
    pub reason: Option<String>,
    pub attempts: u32,
    pub took: Duration,
    /// Empty for a single attempt.
    pub timeline: Vec<TimelineEntry>,
    /// What its `eventually` came to.
    pub wait: Option<WaitOutcome>,
    /// Evidence of the last attempt; kept only if the action did not pass.
    pub evidence: Vec<Evidence>,
    /// The error in the last response, in the product's own words.
    pub said: Option<String>,
}

/// An `eventually` of the plan. All items of a `foreach` around it count together.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitEntry {
    /// Of its action, without items.
    pub address: Address,
    pub summary: String,
    pub location: Option<Location>,
    /// The longest.
    pub limit: Duration,
    /// The longest time until it was satisfied. `None`: at least one item never was.
    pub held_after: Option<Duration>,
}

/// Consecutive attempts with the same outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineEntry {
    /// Time from the action's first attempt to the first attempt of this entry.
    pub since: Duration,
    pub message: String,
    pub attempts: u32,
}

#[derive(Clone, Debug)]
pub struct UndoEntry {
    pub address: Address,
    pub summary: String,
    pub location: Option<Location>,
    /// `None`: never tried.
    pub status: Option<Status>,
    pub reason: Option<String>,
    /// The actions of the undo that did not pass.
    pub actions: Vec<ActionEntry>,
}

impl RunIndex {
    /// How many undo entries of the cases are open, and how many were carried out.
    pub fn left_and_undone(&self) -> (usize, usize) {
        let left = self.cases.iter().map(|c| c.not_undone.len()).sum();
        (left, self.cases.iter().map(|c| c.undone_count).sum())
    }
}

impl CaseEntry {
    /// Whether it was performed, or its performance began.
    pub fn has_run(&self) -> bool {
        self.outline.selected && self.verdict != Verdict::Skipped
    }

    /// Whether the gate counts it as passed.
    pub fn is_accepted(&self) -> bool {
        self.verdict.is_accepted(self.outline.tier)
    }

    /// Whether the case ran and did not pass.
    pub fn has_problem(&self) -> bool {
        !matches!(self.verdict, Verdict::Passed | Verdict::Skipped)
    }

    /// The attempt whose failure is shown first: the last one, unless that is not the one that decided. With its number, from 1.
    pub fn deciding_attempt(&self) -> (usize, &CaseEntry) {
        let severity = |case: &CaseEntry| case.verdict.severity(case.blame);
        let is_last = self.verdict != Verdict::Flaky && self.deciding_sentence().is_some();
        let worst = self.earlier.iter().enumerate().rev().max_by_key(|(_, attempt)| severity(attempt));
        match worst.filter(|_| !is_last) {
            Some((n, attempt)) => (n + 1, attempt),
            None => (self.earlier.len() + 1, self),
        }
    }

    /// The reason, unless a sentence of the case states the same.
    pub fn own_reason(&self) -> Option<&str> {
        self.reason.as_deref().filter(|r| !self.sentences.iter().any(|s| s.reason.as_deref() == Some(r)))
    }

    /// The sentence that decides the verdict: the first of those with the most severe status whose inputs do not come from an action
    /// that failed or was not performed. For a blocked case, the first precondition that does not hold. `None` if all passed.
    pub fn deciding_sentence(&self) -> Option<&SentenceEntry> {
        let unsuccessful = || self.sentences.iter().filter(|s| s.status.is_unsuccessful());
        if self.verdict == Verdict::Blocked {
            return unsuccessful().next();
        }
        let worst = unsuccessful().map(|s| s.status).reduce(Status::worst)?;
        let mut of_worst = unsuccessful().filter(|s| s.status == worst);
        let first = of_worst.clone().next();
        of_worst.find(|s| !self.has_failed_input(s, |_| true)).or(first)
    }

    /// For a known failure that kept sentences from being reached: `A: known, and 3 sentences were never checked`.
    pub fn known_remark(&self) -> Option<String> {
        let unchecked = self.sentences.iter().filter(|s| s.status == Status::NotReached).count();
        let verb = if unchecked == 1 { "was" } else { "were" };
        let text =
            format!("{}: known, and {} {verb} never checked", self.outline.id, wording::count(unchecked, "sentence"));
        (self.verdict == Verdict::KnownFailure && unchecked > 0).then_some(text)
    }

    /// The numbers of [`CaseEntry::others`].
    pub fn other_problems(&self) -> (usize, usize) {
        let (follow, others) = self.others();
        (follow.len(), others.len())
    }

    /// The sentences that did not pass because of the deciding one, in the plan's order.
    pub fn consequences(&self) -> Vec<&SentenceEntry> {
        self.others().0
    }

    /// The other sentences that did not pass: those that follow from the deciding one, and those with a cause of their own.
    pub fn others(&self) -> (Vec<&SentenceEntry>, Vec<&SentenceEntry>) {
        let Some(deciding) = self.deciding_sentence() else { return (vec![], vec![]) };
        let (mut follow, mut others): (Vec<&SentenceEntry>, _) = (vec![], vec![]);
        for s in self.sentences.iter().filter(|s| s.status.is_unsuccessful() && !std::ptr::eq(*s, deciding)) {
            let causes: Vec<_> = std::iter::once(deciding).chain(follow.iter().copied()).collect();
            let is_cause = |at: &Address| causes.iter().any(|c| at.is_within(&c.outline.address));
            // a sentence that was not reached never has a cause of its own
            if s.status == Status::NotReached || self.has_failed_input(s, is_cause) {
                follow.push(s);
            } else {
                others.push(s);
            }
        }
        (follow, others)
    }

    /// Whether an input of a sentence comes from an action of another one for which `is_meant` holds, and which failed or was not performed.
    fn has_failed_input(&self, sentence: &SentenceEntry, is_meant: impl Fn(&Address) -> bool) -> bool {
        let is_own = |at: &Address| at.is_within(&sentence.outline.address);
        let inputs = sentence.outline.inputs.iter().flat_map(|i| &i.actions);
        let mut actions = inputs.filter(|at| !is_own(at) && is_meant(at));
        actions.any(|at| {
            let was_skipped = self.sentence_of(at).is_some_and(|s| s.status == Status::NotReached);
            was_skipped || self.runs_of(at).any(|a| a.status.is_unsuccessful() || a.status == Status::Skipped)
        })
    }

    /// The retained entries of an action, one for each item.
    fn runs_of(&self, action: &Address) -> impl Iterator<Item = &ActionEntry> {
        let entries = self.sentence_of(action).into_iter().flat_map(|s| &s.actions);
        entries.filter(move |a| a.address.is_run_of(action))
    }

    fn sentence_of(&self, action: &Address) -> Option<&SentenceEntry> {
        self.sentences.iter().find(|s| action.is_within(&s.outline.address))
    }

    /// The actions that made the observations that a failed action of a sentence judges, in the plan's order. Empty if the action made
    /// its own.
    pub fn judged_by<'s>(&'s self, sentence: &'s SentenceEntry, cause: &ActionEntry) -> Vec<&'s ActionEntry> {
        if cause.has_observation() {
            return vec![];
        }
        let read = sentence.outline.inputs.iter().filter(|input| cause.reads(&input.name));
        let is_observed = |at: &&Address| self.inputs.iter().any(|entry| entry.address.is_within(at));
        let makers: Vec<&Address> = read.filter_map(|input| input.actions.iter().find(is_observed)).collect();
        let is_inner =
            |at: &Address| *at != cause.address && at.is_within(&cause.address) && cause.unmet().next().is_some();
        // an action that failed shows its evidence itself
        let is_judged = |at: &Address| is_inner(at) || makers.iter().any(|maker| at.is_within(maker));
        let judged: Vec<_> = self.inputs.iter().filter(|entry| is_judged(&entry.address)).collect();
        if judged.is_empty() { self.observed_beside(sentence, cause) } else { judged }
    }

    /// What was observed in the `use` that contains a failed assertion.
    fn observed_beside(&self, sentence: &SentenceEntry, cause: &ActionEntry) -> Vec<&ActionEntry> {
        let within = |at: &Address| self.inputs.iter().filter(|e| e.address.is_within(at)).collect::<Vec<_>>();
        let is_inside = |at: &Address| *at != sentence.outline.address && at.is_within(&sentence.outline.address);
        let containing: Vec<Address> = cause.address.ancestors().filter(is_inside).collect();
        let observed = containing.iter().rev().map(within).find(|entries| !entries.is_empty());
        observed.filter(|_| cause.unmet().next().is_some()).unwrap_or_default()
    }

    /// What the product said about the failure of a sentence: the error in the response that its first failed assertion is about.
    pub fn product_words<'s>(&'s self, sentence: &'s SentenceEntry) -> Option<&'s str> {
        let cause = sentence.causes().into_iter().find(|c| c.status == sentence.status)?;
        let from_inputs = || {
            let named = sentence.outline.inputs.iter().filter(|input| cause.reads(&input.name));
            named.filter_map(|i| i.actions.first()).flat_map(|at| self.runs_of(at)).find_map(|a| a.said.as_deref())
        };
        cause.said.as_deref().or_else(from_inputs)
    }
}

impl WaitEntry {
    /// Whether it is a run of the same action, as far as its place and its text say.
    pub fn is_same(&self, other: &WaitEntry) -> bool {
        self.address == other.address && self.summary == other.summary
    }
}

/// Whether the text from `start` is a name, and not a part of a longer one or a field.
fn is_whole_word(text: &str, start: usize, len: usize) -> bool {
    let continues = |c: char| c.is_alphanumeric() || c == '_';
    !text[..start].ends_with(|c| continues(c) || c == '.') && !text[start + len..].starts_with(continues)
}

impl SentenceEntry {
    /// The actions that failed themselves, without those that only contain a failed action.
    pub fn causes(&self) -> Vec<&ActionEntry> {
        let failed = || self.actions.iter().filter(|a| a.status.is_unsuccessful());
        let contains_failed =
            |a: &ActionEntry| failed().any(|b| b.address != a.address && b.address.is_within(&a.address));
        failed().filter(|a| a.unmet().next().is_some() || !contains_failed(a)).collect()
    }

    /// The causes; those of several items of a `foreach` that are the same are one.
    pub fn grouped_causes(&self) -> Vec<Causes<'_>> {
        let mut groups: Vec<Causes<'_>> = vec![];
        for cause in self.causes() {
            match groups.iter_mut().find(|group| group.first().is_same_for_other_item(cause)) {
                Some(group) => group.0.push(cause),
                None => groups.push(Causes(vec![cause])),
            }
        }
        groups
    }

    /// Of how many items some causes are; `None` if that is not known.
    pub fn items_of(&self, causes: &Causes<'_>) -> Option<usize> {
        let action = causes.first().address.without_items();
        let all = self.actions.iter().filter(|a| a.address.without_items() == action).count();
        (self.omitted == 0 && all < MAX_ACTIONS).then_some(all)
    }

    /// Why the sentence did not pass, in one line, and the location in the plan to inspect first.
    pub fn worst_cause(&self) -> (Option<String>, &Location) {
        let causes = self.causes();
        let worst = causes.iter().map(|c| c.status).reduce(Status::worst);
        let Some(cause) = causes.iter().find(|c| Some(c.status) == worst) else {
            return (self.reason.clone(), &self.outline.location);
        };
        let unmet = wording::all_unmet(&cause.results);
        let why = if unmet.is_empty() { cause.reason.clone().or_else(|| self.reason.clone()) } else { Some(unmet) };
        (why, cause.location().unwrap_or(&self.outline.location))
    }

    /// The reason, unless one of the causes states the same.
    pub fn own_reason(&self) -> Option<&str> {
        let stated_by = |c: &ActionEntry, reason: &str| {
            wording::restates(reason, &c.results) || c.reason.as_ref().is_some_and(|r| reason.contains(r.as_str()))
        };
        let causes = self.causes();
        self.reason.as_deref().filter(|reason| !causes.iter().any(|c| stated_by(c, reason)))
    }

    /// The actions that contain `action`, outermost first.
    pub fn ancestors(&self, action: &ActionEntry) -> Vec<&ActionEntry> {
        let contains = |a: &&ActionEntry| a.address != action.address && action.address.is_within(&a.address);
        self.actions.iter().filter(contains).collect()
    }
}

/// Actions that failed in the same way, one for each item of a `foreach`; at least one.
pub struct Causes<'a>(Vec<&'a ActionEntry>);

impl<'a> Causes<'a> {
    pub fn first(&self) -> &'a ActionEntry {
        self.0[0]
    }

    pub fn all(&self) -> &[&'a ActionEntry] {
        &self.0
    }
}

impl ActionEntry {
    /// Whether the same action failed in the same way for another item.
    fn is_same_for_other_item(&self, other: &ActionEntry) -> bool {
        let unmet = |a: &'_ ActionEntry| -> Vec<(String, String, String)> {
            a.unmet().map(|f| (f.subject.clone(), f.expected.clone(), f.actual.clone())).collect()
        };
        let (mine, others) = (unmet(self), unmet(other));
        // the reason of a wait counts its attempts
        let is_same = if mine.is_empty() { self.reason == other.reason } else { mine == others };
        self.address != other.address
            && self.address.without_items() == other.address.without_items()
            && self.status == other.status
            && is_same
    }

    /// What was done: the summary with its placeholders filled in, as far as the request shows them.
    pub fn performed(&self) -> Cow<'_, str> {
        let request = self.evidence.iter().rfind(|e| e.kind == EvidenceKind::Request);
        let filled_in = request.and_then(|e| performed::filled_in(&self.summary, &e.text));
        filled_in.map_or(Cow::Borrowed(&self.summary), Cow::Owned)
    }

    /// Whether it shows what it asked or what came back.
    pub fn has_observation(&self) -> bool {
        self.evidence.iter().any(|e| matches!(e.kind, EvidenceKind::Request | EvidenceKind::Response))
    }

    pub fn unmet(&self) -> impl Iterator<Item = &AssertionResult> {
        self.results.iter().filter(|f| !f.holds)
    }

    /// The reason, unless the assertion results state the same.
    pub fn own_reason(&self) -> Option<&str> {
        self.reason.as_deref().filter(|r| !wording::restates(r, &self.results))
    }

    /// Whether an assertion that does not hold is about `name`.
    fn reads(&self, name: &str) -> bool {
        let reads = |text: &str| text.match_indices(name).any(|(i, _)| is_whole_word(text, i, name.len()));
        self.unmet().any(|f| reads(&f.subject) || f.operands.iter().any(|(operand, _)| reads(operand)))
    }

    /// Indices of the enclosing `foreach` items, outermost first.
    pub fn items(&self) -> Vec<Cow<'_, str>> {
        self.address.items().collect()
    }

    /// The location of the first unmet assertion, otherwise of the action.
    pub fn location(&self) -> Option<&Location> {
        self.unmet().find_map(|f| f.location.as_ref()).or(self.location.as_ref())
    }
}
