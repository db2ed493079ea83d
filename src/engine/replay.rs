//! A recorded run judged again, by the same code as the live one: whole, or from the sentence on in which something else is seen than
//! was seen then. No network, no clock. Knows nothing of what is changed, nor why.
use super::{
    case::Course,
    doubt::Doubts,
    looks::{Again, Ask, Look, Looks},
    run::{RunContext, base_scope, run_scope},
    schedule::{ActionKind, Case, Schedule, ScheduledAction},
    step::{Done, Runner},
    undo::Stack,
};
use crate::{
    address::Address,
    event::{ErrorKind, Event, EventKind, Events, RunStarted},
    executor::{ActionError, Output, RunInfo},
    expr::{AssertionResult, ReferencedLiterals, Scope},
    outcome::{Status, Verdict},
    plan::Assertions,
    secrets::Secrets,
    source::{Location, Span},
    value::Value,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a journal says of a run.
pub struct Record {
    pub started: RunStarted,
    /// The plan's variables and the environment's names; a journal may be older than that.
    bound: Option<(Value, Value)>,
    pub looks: HashMap<Address, Vec<Sight>>,
    pub judged: HashMap<Address, Judged>,
    /// When each action ended.
    ended: HashMap<Address, Timestamp>,
    /// Each action: in a line for people, and where it stands.
    pub acts: HashMap<Address, (String, Location)>,
    pub cases: HashMap<String, (Verdict, Option<String>)>,
    pub statuses: HashMap<Address, Status>,
    pub finished: bool,
}

/// One look at the world.
#[derive(Clone)]
pub struct Sight {
    pub result: Result<Output, ActionError>,
    /// Of its event.
    pub seq: u64,
}

/// What an action came to.
#[derive(Clone, Debug)]
pub struct Judged {
    pub at: Address,
    pub status: Status,
    pub results: Vec<AssertionResult>,
}

impl Record {
    /// `None` where no run began.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Option<Record> {
        let mut record: Option<Record> = None;
        for event in events {
            if let EventKind::RunStarted(started) = &event.kind {
                record.get_or_insert(Record {
                    started: (**started).clone(),
                    bound: None,
                    looks: HashMap::new(),
                    judged: HashMap::new(),
                    ended: HashMap::new(),
                    acts: HashMap::new(),
                    cases: HashMap::new(),
                    statuses: HashMap::new(),
                    finished: false,
                });
            }
            if let Some(record) = &mut record {
                record.take(event);
            }
        }
        record
    }

    fn take(&mut self, event: &Event) {
        let at = &event.address;
        match &event.kind {
            EventKind::NamesBound { vars, environment } => self.bound = Some((vars.clone(), environment.clone())),
            EventKind::ActionStarted { what, location } => {
                self.acts.insert(at.clone(), (what.clone(), location.clone()));
            }
            EventKind::Observed { at: began, took, value, error, error_kind, .. } => {
                let result = match (value, error_kind) {
                    (Some(value), _) => Ok(Output { value: value.clone(), at: *began, took: *took, cursor: None }),
                    (None, kind) => {
                        Err(failure(kind.unwrap_or(ErrorKind::Invalid), error.clone().unwrap_or_default(), *took))
                    }
                };
                self.looks.entry(at.clone()).or_default().push(Sight { result, seq: event.seq });
            }
            EventKind::ActionFinished { status, results, .. } => {
                let judged = Judged { at: at.clone(), status: *status, results: results.clone() };
                self.judged.insert(at.clone(), judged);
                self.ended.insert(at.clone(), event.at);
            }
            EventKind::SentenceFinished { status, .. } => {
                self.statuses.insert(at.clone(), *status);
            }
            EventKind::CaseFinished { verdict, reason, .. } => {
                self.cases.insert(at.to_string(), (*verdict, reason.clone()));
            }
            EventKind::RunFinished { .. } => self.finished = true,
            _ => {}
        }
    }

    fn without_looks(&self) -> Record {
        Record {
            started: self.started.clone(),
            bound: self.bound.clone(),
            looks: HashMap::new(),
            judged: HashMap::new(),
            ended: self.ended.clone(),
            acts: self.acts.clone(),
            cases: self.cases.clone(),
            statuses: HashMap::new(),
            finished: self.finished,
        }
    }

    /// What it does not say that is needed to judge it again, in a sentence.
    pub fn lacks(&self) -> Option<&'static str> {
        self.bound.is_none().then_some(
            "the journal does not say which names were bound before the cases (an older `tp-runner` wrote it): \
             they are taken from the plan, and checks that read names of the environment cannot be judged",
        )
    }
}

fn failure(kind: ErrorKind, text: String, took: Duration) -> ActionError {
    match kind {
        ErrorKind::Unreachable => ActionError::Unreachable(text),
        ErrorKind::TimedOut => ActionError::TimedOut(took),
        ErrorKind::Undefined => ActionError::Undefined(text),
        ErrorKind::Cancelled => ActionError::Cancelled,
        ErrorKind::Invalid => ActionError::Invalid(text),
    }
}

/// Another sight in location of the `look`th of an action.
#[derive(Clone)]
pub struct Change {
    pub at: Address,
    pub look: usize,
    pub sight: Output,
}

/// Why something was looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// By a verb.
    Seen,
    /// It is what an action of the plan gave: of this only the times are taken from the record.
    Given,
    /// An overlap, or what a fault refused.
    Measured,
}

/// The looks of a record, each action's in their order.
pub struct Recorded {
    record: Arc<Record>,
    environment: Scope,
    changes: Vec<Change>,
    next: Mutex<HashMap<Address, usize>>,
    /// When the round that an action of the plan is in came to its end.
    rounds: Mutex<HashMap<Address, u64>>,
    notes: Option<Mutex<Notes>>,
    /// What actions came to unchanged: whatever begins as it did then comes to the same.
    known: Option<Arc<HashMap<Address, Known>>>,
    /// The actions that were known.
    kept: Mutex<Vec<Address>>,
}

/// What an action came to, and in what circumstances: of the names only those that it read.
struct Known {
    scope: Scope,
    faults: Vec<String>,
    done: Done,
}

/// What is learned when all is judged unchanged.
#[derive(Default)]
struct Notes {
    ways: HashMap<Address, Way>,
    spoken: HashMap<Span, ReferencedLiterals>,
    /// None of one that was performed again and again: each time is another.
    known: HashMap<Address, Option<Known>>,
}

fn open<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(|e| e.into_inner())
}

impl Recorded {
    pub fn of(record: Arc<Record>) -> Self {
        let environment = environment_of(&record);
        Recorded {
            record,
            environment,
            changes: vec![],
            next: Mutex::default(),
            rounds: Mutex::default(),
            notes: None,
            known: None,
            kept: Mutex::default(),
        }
    }

    fn take(&self, at: &Address, way: Way) -> Option<Result<Output, ActionError>> {
        let look = {
            let mut next = open(&self.next);
            match next.get_mut(at) {
                Some(n) => {
                    *n += 1;
                    *n
                }
                None => {
                    next.insert(at.clone(), 0);
                    0
                }
            }
        };
        if let Some(notes) = &self.notes {
            open(notes).ways.insert(at.clone(), way);
        }
        if let Some(change) = self.changes.iter().find(|c| c.look == look && c.at == *at) {
            return Some(Ok(change.sight.clone()));
        }
        self.record.looks.get(at)?.get(look).map(|s| s.result.clone())
    }

    /// Whether what it saw next it saw in a later round of what it is part of.
    fn round_is_over(&self, at: &Address) -> bool {
        let next = open(&self.next).get(at).map_or(0, |n| n + 1);
        let Some(sight) = self.record.looks.get(at).and_then(|looks| looks.get(next)) else { return false };
        let rounds = open(&self.rounds);
        !rounds.is_empty() && upwards(at).any(|a| a != *at && rounds.get(&a).is_some_and(|end| *end < sight.seq))
    }
}

#[async_trait]
impl Looks for Recorded {
    async fn look(&self, ask: Ask<'_>) -> Option<Look> {
        if self.round_is_over(ask.at) {
            return None;
        }
        let result = self.take(ask.at, Way::Seen)?;
        Some(Look { result, evidence: vec![], sent: false })
    }

    async fn again(&self, at: &Address, _: u32, _: Option<Instant>, _: Duration, _: &CancellationToken) -> Again {
        let recorded = self.take(at, Way::Given);
        let round = open(&self.next).get(at).and_then(|n| self.record.looks.get(at)?.get(*n));
        if let Some(round) = round {
            open(&self.rounds).insert(at.clone(), round.seq);
        }
        recorded.map_or(Again::No, |r| Again::Recorded(r.map(|o| o.value).unwrap_or_default()))
    }

    fn measured(&self, at: &Address, _: Value) -> Value {
        self.take(at, Way::Measured).and_then(|r| r.ok()).map(|o| o.value).unwrap_or_default()
    }

    fn live(&self) -> bool {
        false
    }

    fn environment(&self) -> Scope {
        self.environment.clone()
    }

    fn moment(&self, at: &Address) -> Option<Timestamp> {
        self.record.ended.get(at).copied()
    }

    fn known(&self, at: &Address, scope: &Scope, faults: &[String]) -> Option<Done> {
        let known = self.known.as_ref()?.get(at)?;
        let same = known.faults == faults
            && !self.changes.iter().any(|c| c.at.is_within(at))
            && known.scope.reads_the_same(scope);
        same.then(|| {
            open(&self.kept).push(at.clone());
            known.done.clone()
        })
    }

    fn watch(&self, scope: &Scope) -> Option<Scope> {
        self.notes.is_some().then(|| scope.watched())
    }

    fn learn(&self, at: &Address, scope: &Scope, faults: &[String], done: &Done) {
        let Some(notes) = &self.notes else { return };
        let (scope, faults, done) = (scope.clone(), faults.to_vec(), done.clone());
        open(notes).known.entry(at.clone()).and_modify(|k| *k = None).or_insert(Some(Known { scope, faults, done }));
    }

    fn asking(&self, assertions: &Assertions, scope: &Scope) {
        let Some(notes) = &self.notes else { return };
        let spoken = &mut open(notes).spoken;
        if let Some(p) = &assertions.pattern {
            let mut all = ReferencedLiterals::default();
            p.leaves(&mut |leaf| {
                let said = leaf.collect_literals(scope);
                all.join(&said);
                spoken.entry(leaf.pattern.span.clone()).or_default().join(&said);
            });
            p.branches(&mut |span| spoken.entry(span.clone()).or_default().join(&all));
        }
        for (e, span) in &assertions.checks {
            let mut said = ReferencedLiterals::default();
            e.collect_literals(scope, &mut said);
            spoken.entry(span.clone()).or_default().join(&said);
        }
    }
}

fn secrets() -> Arc<Secrets> {
    Arc::new(Secrets::recorded())
}

fn run_of(record: &Record) -> RunInfo {
    RunInfo { id: record.started.run.clone(), started: record.started.started, dir: Default::default() }
}

fn environment_of(record: &Record) -> Scope {
    let own = record.bound.as_ref().map(|(_, environment)| environment.clone()).unwrap_or_default();
    run_scope(&run_of(record), &secrets()).with_all(&own)
}

/// The run's names and the plan's variables, as they were.
fn base_of(record: &Record, schedule: &Schedule) -> Result<Scope, String> {
    let (run, secrets) = (run_of(record), secrets());
    if let Some((vars, _)) = &record.bound {
        return Ok(run_scope(&run, &secrets).with_all(vars));
    }
    let scope = base_scope(&run, &secrets, &schedule.vars, &run_scope(&run, &secrets))
        .map_err(|(name, e)| format!("the variable `{name}` cannot be evaluated: {e}"))?;
    // of those that were set otherwise the record has the texts
    Ok(record.started.plan.vars.iter().fold(scope, |scope, (name, text)| match scope.get(name) {
        Some(v) if v.to_string() != *text => {
            let value = serde_json::from_str(text).map_or_else(|_| Value::text(text), |j: serde_json::Value| j.into());
            scope.with(name, value)
        }
        _ => scope,
    }))
}

/// Every case of a record, judged unchanged, and ready to be judged otherwise.
pub struct Replay {
    schedule: Arc<Schedule>,
    record: Arc<Record>,
    base: Scope,
    /// Where actions stand that must hold for a while.
    lasting: HashSet<Location>,
    pub cases: Vec<Rehearsed>,
}

/// A case judged unchanged.
pub struct Rehearsed {
    /// All of the record; or, where that comes to the same, without the looks at which something was still waited for.
    record: Arc<Record>,
    /// Where the case stood before each of its sentences, and at the end.
    points: Vec<Point>,
    known: Arc<HashMap<Address, Known>>,
    /// What each sentence came to.
    pub told: Vec<Told>,
    /// In which way each action looked.
    pub ways: HashMap<Address, Way>,
    /// What each question spoke of.
    pub spoken: HashMap<Span, ReferencedLiterals>,
    pub verdict: Verdict,
}

struct Point {
    course: Course,
    faults: Vec<String>,
}

/// What came of one sentence.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: Status,
    /// Of each action that ended.
    pub actions: Vec<Judged>,
    /// Those that came to what they came to unchanged, with all that is part of them.
    pub kept: Vec<Address>,
}

/// The status of an action, and which of its results hold.
type Held = (Status, Vec<bool>);

impl Rehearsed {
    /// What each action came to at its last time, and each sentence.
    fn comes_to(&self) -> (Verdict, Vec<Status>, HashMap<&Address, Held>) {
        let actions = self.told.iter().flat_map(|t| &t.actions);
        let judged = actions.map(|j| (&j.at, (j.status, j.results.iter().map(|f| f.holds).collect())));
        (self.verdict, self.told.iter().map(|t| t.status).collect(), judged.collect())
    }
}

/// An address and all that it lies within.
fn upwards(at: &Address) -> impl Iterator<Item = Address> + '_ {
    let text = at.as_str();
    text.match_indices(['/', '#']).map(|(i, _)| i).chain([text.len()]).map(|end| Address::new(&text[..end]))
}

/// Whether what was seen at this moment belongs to a round of an `always` that is not kept.
fn spared(rounds: &[Sight], seq: u64) -> bool {
    rounds.iter().position(|r| seq <= r.seq).is_some_and(|round| !stands_for_all(round, rounds.len()))
}

/// Of what happens again and again the first, the last, and some between.
pub fn stands_for_all(n: usize, of: usize) -> bool {
    const FEW: usize = 6;
    of <= FEW || (0..FEW).any(|k| k * (of - 1) / (FEW - 1) == n)
}

fn lasting_in(steps: &[ScheduledAction], seen: &mut HashSet<Location>, out: &mut HashSet<Location>) {
    for step in steps.iter().filter(|s| s.always.is_some()) {
        out.insert(step.location.clone());
    }
    for step in steps {
        if !seen.insert(step.location.clone()) {
            continue;
        }
        match &step.act {
            ActionKind::Use { definition, .. } => lasting_in(&definition.steps, seen, out),
            ActionKind::Parallel { branches, .. } => branches.iter().for_each(|b| lasting_in(b, seen, out)),
            _ => {}
        }
    }
}

impl Replay {
    /// Judges every case of the record unchanged. Cases that were not selected have nothing in the record, and are left empty.
    pub fn new(schedule: Arc<Schedule>, record: Arc<Record>) -> Result<Replay, String> {
        let base = base_of(&record, &schedule)?;
        let mut lasting = HashSet::new();
        let sentences = schedule.cases.iter().flat_map(|c| &c.sentences);
        sentences.for_each(|s| lasting_in(&s.steps, &mut HashSet::new(), &mut lasting));
        let mut replay = Replay { schedule, record, base, lasting, cases: vec![] };
        let short = Arc::new(replay.shortened());
        let rehearsed = |case| {
            let whole = replay.rehearse(case, replay.record.clone());
            let quick = replay.rehearse(case, short.clone());
            if quick.comes_to() == whole.comes_to() { Rehearsed { spoken: whole.spoken, ..quick } } else { whole }
        };
        replay.cases = replay.schedule.cases.iter().map(rehearsed).collect();
        Ok(replay)
    }

    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The looks of an action that decide: the last, or each one where it must hold for a while.
    pub fn looks(&self, case: usize, at: &Address) -> &[Sight] {
        self.cases[case].record.looks.get(at).map_or(&[], Vec::as_slice)
    }

    /// Whether an action, or one that it is part of, must hold for a while.
    fn lasts(&self, at: &Address) -> bool {
        upwards(at).any(|a| self.must_last(&a))
    }

    fn must_last(&self, at: &Address) -> bool {
        self.record.acts.get(at).is_some_and(|(_, location)| self.lasting.contains(location))
    }

    /// The record as it would be if everything that was waited for had come at the first look, and what had to last had been looked
    /// at a few times only.
    fn shortened(&self) -> Record {
        let mut looks = HashMap::new();
        for (at, all) in &self.record.looks {
            // what was seen before the last round of an action of the plan that was tried again
            let rounds = upwards(at).filter(|a| a != at && !self.lasts(a)).filter_map(|a| self.record.looks.get(&a));
            let before = rounds.filter_map(|l| l.len().checked_sub(2).map(|i| l[i].seq)).max().unwrap_or(0);
            let lasting = upwards(at).find(|a| self.must_last(a)).and_then(|a| self.record.looks.get(&a));
            let spared = |seq: u64| lasting.is_some_and(|rounds| spared(rounds, seq));
            let mut kept: Vec<Sight> = all.iter().filter(|s| s.seq > before && !spared(s.seq)).cloned().collect();
            if !self.lasts(at)
                && let Some(mut last) = kept.pop()
            {
                // it counts from the first look on
                if let Ok(output) = &mut last.result
                    && let (Some(Value::Time(first)), Some(Value::Duration(took))) =
                        (output.value.get("at").cloned(), output.value.get("took").cloned())
                {
                    output.at = first;
                    output.took = took.try_into().unwrap_or(output.took);
                }
                kept = vec![last];
            }
            looks.insert(at.clone(), kept);
        }
        Record { looks, ..self.record.without_looks() }
    }

    fn rehearse(&self, case: &Case, record: Arc<Record>) -> Rehearsed {
        let mut looks = Recorded::of(record.clone());
        looks.notes = Some(Mutex::default());
        let id = Value::map([("id".to_string(), case.id.as_str().into())]);
        let mut at = Point { course: Course::new(self.base.with("case", id)), faults: vec![] };
        let (mut points, mut told) = (vec![], vec![]);
        if self.record.cases.contains_key(&case.id) {
            for i in 0..case.sentences.len() {
                let (next, said) = self.sentence(case, i, &at, &looks);
                points.push(std::mem::replace(&mut at, next));
                told.push(said);
            }
        }
        let verdict = at.course.outcome(false).verdict;
        points.push(at);
        let Notes { ways, spoken, known } =
            looks.notes.take().map(|n| std::mem::take(&mut *open(&n))).unwrap_or_default();
        let known = known.into_iter().filter_map(|(at, k)| Some((at, k?))).collect::<HashMap<_, _>>();
        Rehearsed { record, points, known: Arc::new(known), told, ways, spoken, verdict }
    }

    /// What else is said when something else is seen: from `sentence` on, each sentence with its number, until it makes no difference
    /// any more.
    pub fn changed(&self, case: usize, sentence: usize, changes: Vec<Change>) -> Vec<(usize, Told)> {
        let (scheduled, rehearsed) = (&self.schedule.cases[case], &self.cases[case]);
        let mut looks = Recorded::of(rehearsed.record.clone());
        looks.changes = changes;
        looks.known = Some(rehearsed.known.clone());
        let mut out = vec![];
        let mut moved: Option<Point> = None;
        for i in sentence..scheduled.sentences.len() {
            let from = moved.as_ref().unwrap_or(&rehearsed.points[i]);
            let (next, said) = self.sentence(scheduled, i, from, &looks);
            out.push((i, said));
            let unchanged = &rehearsed.points[i + 1];
            if next.faults == unchanged.faults && next.course.joins(&unchanged.course) {
                break;
            }
            moved = Some(next);
        }
        out
    }

    fn sentence(&self, case: &Case, i: usize, from: &Point, looks: &Recorded) -> (Point, Told) {
        let heard = Arc::new(Heard::default());
        let context = RunContext {
            run: run_of(&self.record),
            secrets: self.base.secrets().clone(),
            events: heard.clone(),
            cancel: CancellationToken::new(),
            kill: CancellationToken::new(),
            links: HashMap::new(),
            live: None,
            faults: vec![],
            on_failure: vec![],
            fail_fast: false,
            wall: Timestamp::now,
        };
        let (stack, faults, doubts) = (Stack::default(), Mutex::new(from.faults.clone()), Doubts::default());
        let base = &self.cases_base(case);
        let cancel = &context.cancel;
        let runner = Runner {
            context: &context,
            looks,
            cancel,
            stack: &stack,
            faults: &faults,
            doubts: &doubts,
            base,
            timeout: None,
            start: None,
        };
        let mut course = from.course.clone();
        at_once(course.take(&case.sentences[i], &runner));
        let status = course.statuses.last().map_or(Status::NotReached, |(_, m)| *m);
        let actions = std::mem::take(&mut *open(&heard.0));
        (
            Point { course, faults: faults.into_inner().unwrap_or_else(|e| e.into_inner()) },
            Told { status, actions, kept: std::mem::take(&mut *open(&looks.kept)) },
        )
    }

    /// What the actions of the plan see beside their inputs.
    fn cases_base(&self, case: &Case) -> Scope {
        self.base.with("case", Value::map([("id".to_string(), case.id.as_str().into())]))
    }
}

/// Nothing in a replay waits for anything outside of it: whoever assertions again and again gets to the end.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    // in a task of tokio its barriers would hold back what has run for long, until a yield that never comes
    let mut work = std::pin::pin!(tokio::task::unconstrained(work));
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

/// Keeps what came of each action.
#[derive(Default)]
struct Heard(Mutex<Vec<Judged>>);

#[async_trait]
impl Events for Heard {
    async fn emit(&self, at: &Address, kind: EventKind) {
        if let EventKind::ActionFinished { status, results, .. } = kind {
            open(&self.0).push(Judged { at: at.clone(), status, results });
        }
    }

    async fn commit(&self, at: &Address, kind: EventKind) -> Result<(), String> {
        self.emit(at, kind).await;
        Ok(())
    }
}
