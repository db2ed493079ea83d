//! For everything that a run observed: whether anybody looks there, and who notices when it is changed. Each observation is changed
//! one at a time, and the sentences from there on are judged again.
use super::mutant::{
    self, Growth, Kind, MANNERS, Manner, New, Step, Way, change, count, disturbed, edit, first, shown,
};
use crate::{
    address::Address,
    executor::Output,
    expr::ReferencedLiterals,
    outcome::Status,
    replay::{
        Replay,
        record::RecordedOutcome,
        replay::SentenceResult,
        shorten::is_sampled,
        source::{Change, ObservationKind as How},
    },
    source::Span,
    value::Value,
};
use indexmap::{IndexMap, IndexSet};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::{ControlFlow, Range},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Expressions are evaluated by recursion.
const STACK: usize = 64 << 20;

/// Elements of a list that are changed one by one, if there are as many at which somebody looks.
const SINGLES: usize = 4;

/// What was found out about the questions and the fields of a run.
#[derive(Default)]
pub struct Found {
    /// How many changed observations were judged.
    pub mutants: usize,
    pub kills: HashMap<Span, Kill>,
    /// Sentence, observation, field: the kinds of change that the sentence notices by a result of its own, and the questions that do.
    pub guards: BTreeMap<(Address, String, String), Kinds>,
    pub fields: BTreeMap<(Address, String), Fields>,
}

/// By their words: who notices.
pub type Kinds = BTreeMap<String, HashSet<Span>>;

pub struct Kill {
    /// Of the plan's order; the smaller is shown.
    order: (usize, usize),
    pub by: String,
    pub times: usize,
}

/// Of one kind of observation in one sentence.
#[derive(Default)]
pub struct Fields {
    pub looked: BTreeSet<Way>,
    /// With how many fields lie there.
    pub unlooked: BTreeMap<Way, usize>,
}

/// The observations of one action, in all rounds of its `foreach`.
struct Task {
    order: usize,
    case: usize,
    sentence: usize,
    address: Address,
    what: String,
    members: Vec<Member>,
}

struct Member {
    at: Address,
    how: How,
    /// How many looks decide: one, or every one of an `always`.
    looks: usize,
}

/// What came of judging again.
#[derive(Default)]
struct Reaction {
    noticed: bool,
    /// Sentence and question whose own result is now false.
    fails: IndexSet<(usize, Span)>,
    /// Questions that are not asked any more.
    silenced: IndexSet<Span>,
}

type Judgement = (Status, Vec<(Option<Span>, bool)>);

struct Hunt<'r> {
    replay: &'r Replay,
    /// Of each case and sentence, what each action came to unchanged.
    unchanged: Vec<Vec<HashMap<Address, Judgement>>>,
    /// A text with every secret of the run in it, as a record has them.
    secrets: String,
}

/// Hears how many of how many observations are done with, and says whether to go on.
pub type Watch<'w> = dyn Fn(usize, usize) -> ControlFlow<()> + Sync + 'w;

/// Changes everything that the cases observed; `None` where it was told to stop.
pub fn hunt(replay: &Replay, secrets: &[String], watch: &Watch) -> Option<Found> {
    let of = |told: &SentenceResult| {
        let judged = |j: &RecordedOutcome| {
            (j.at.clone(), (j.status, j.results.iter().map(|f| (f.asked.clone(), f.holds)).collect()))
        };
        told.actions.iter().map(judged).collect::<HashMap<_, _>>()
    };
    let unchanged = replay.cases.iter().map(|c| c.sentences.iter().map(of).collect()).collect();
    let hunt = Hunt { replay, unchanged, secrets: secrets.join(" ") };
    let tasks = tasks(replay);
    let (next, done, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let found = Mutex::new(Found::default());
    let work = || {
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            if watch(done.load(Ordering::Relaxed), tasks.len()).is_break() {
                stopped.store(true, Ordering::Relaxed);
                break;
            }
            let one = Hunted { hunt: &hunt, task, found: Found::default() }.run();
            found.lock().unwrap_or_else(|e| e.into_inner()).join(one);
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            if std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).is_err() {
                // no further thread: this one does the work
                work();
            }
        }
    });
    (!stopped.into_inner()).then(|| found.into_inner().unwrap_or_else(|e| e.into_inner()))
}

impl Found {
    fn join(&mut self, other: Found) {
        self.mutants += other.mutants;
        for (span, kill) in other.kills {
            match self.kills.entry(span) {
                std::collections::hash_map::Entry::Occupied(mut e) => {
                    let times = e.get().times + kill.times;
                    if kill.order < e.get().order {
                        e.insert(kill);
                    }
                    e.get_mut().times = times;
                }
                std::collections::hash_map::Entry::Vacant(e) => {
                    e.insert(kill);
                }
            }
        }
        for (key, kinds) in other.guards {
            let mine = self.guards.entry(key).or_default();
            kinds.into_iter().for_each(|(kind, who)| mine.entry(kind).or_default().extend(who));
        }
        for (key, fields) in other.fields {
            let mine = self.fields.entry(key).or_default();
            mine.looked.extend(fields.looked);
            for (way, n) in fields.unlooked {
                let most = mine.unlooked.entry(way).or_default();
                *most = n.max(*most);
            }
        }
    }
}

/// The address without the rounds that it is in.
fn without_rounds(at: &Address) -> String {
    let parts = at.as_str().split('/').map(|part| match part.split_once('#') {
        // a branch of a `parallel` is a location of its own
        Some((own, round)) => round.rsplit_once('.').map_or(own.to_string(), |(_, branch)| format!("{own}#{branch}")),
        None => part.to_string(),
    });
    parts.collect::<Vec<_>>().join("/")
}

fn tasks(replay: &Replay) -> Vec<Task> {
    let record = replay.record();
    let mut out: IndexMap<(usize, usize, String), Task> = IndexMap::new();
    for (c, case) in replay.schedule().cases.iter().enumerate() {
        let mut ways: Vec<(&Address, How)> = replay.cases[c].kinds.iter().map(|(a, w)| (a, *w)).collect();
        let began = |at: &Address| record.observations.get(at).and_then(|l| l.first()).map_or(u64::MAX, |s| s.seq);
        ways.sort_by_key(|(at, _)| began(at));
        for (s, sentence) in case.sentences.iter().enumerate() {
            for (at, how) in ways.iter().filter(|(at, _)| at.is_within(&sentence.address)) {
                let looks = replay.observations(c, at).len();
                let Some((what, _)) = record.actions.get(*at).filter(|_| looks > 0).map(|a| (&a.what, ())) else {
                    continue;
                };
                let order = out.len();
                let task = out.entry((c, s, without_rounds(at))).or_insert_with(|| Task {
                    order,
                    case: c,
                    sentence: s,
                    address: sentence.address.clone(),
                    what: what.clone(),
                    members: vec![],
                });
                task.members.push(Member { at: (*at).clone(), how: *how, looks });
            }
        }
    }
    out.into_values().collect()
}

impl Hunt<'_> {
    fn judge(&self, task: &Task, changes: Vec<Change>) -> Reaction {
        let mut out = Reaction::default();
        for (sentence, told) in self.replay.with_changes(task.case, task.sentence, changes) {
            let before = &self.unchanged[task.case][sentence];
            // what is performed again and again counts by its last time
            let now: HashMap<&Address, &RecordedOutcome> = told.actions.iter().map(|j| (&j.at, j)).collect();
            out.noticed |= now.keys().any(|at| !before.contains_key(*at));
            for (at, (status, results)) in before {
                let now = now.get(at);
                if now.is_none() && told.reused.iter().any(|reused| at.is_within(reused)) {
                    continue;
                }
                let same = now.is_some_and(|now| {
                    *status == now.status
                        && results.len() == now.results.len()
                        && results.iter().zip(&now.results).all(|((_, held), f)| *held == f.holds)
                });
                if same {
                    continue;
                }
                out.noticed = true;
                match now {
                    Some(now) if !now.results.is_empty() => {
                        let red = now.results.iter().filter(|f| !f.holds);
                        out.fails.extend(red.filter_map(|f| Some((sentence, f.asked.clone()?))));
                    }
                    // it could not be asked any more; where it was not even tried, the case had ended for another reason
                    Some(_) => out.silenced.extend(results.iter().filter_map(|(span, _)| span.clone())),
                    None => {}
                }
            }
        }
        out
    }

    fn sight(&self, task: &Task, at: &Address, look: usize) -> Option<&Output> {
        self.replay.observations(task.case, at).get(look)?.result.as_ref().ok()
    }

    /// What those who react speak of: first those that say so themselves.
    fn spoken(&self, case: usize, reaction: &Reaction) -> ReferencedLiterals {
        let all = &self.replay.cases[case].literals;
        let mut out = ReferencedLiterals::default();
        for span in reaction.fails.iter().map(|(_, s)| s).chain(&reaction.silenced) {
            if let Some(said) = all.get(span) {
                out.join(said);
            }
        }
        out
    }
}

/// One task under way.
struct Hunted<'h> {
    hunt: &'h Hunt<'h>,
    task: &'h Task,
    found: Found,
}

impl Hunted<'_> {
    fn run(mut self) -> Found {
        let task = self.task;
        // that it is observed at all
        self.found.fields.entry((task.address.clone(), task.what.clone())).or_default();
        let mut whole = Reaction::default();
        for member in &task.members {
            self.times(member);
            if member.how == How::Verb {
                self.as_a_whole(member);
            }
        }
        let gone = self.with_all(&[], &mut |_, _| New::Put(Value::Map(Default::default())));
        if let Some(changes) = gone {
            whole = self.judge(changes);
        }
        let said = self.hunt.spoken(task.case, &whole);
        let mut looked = vec![];
        self.search(&vec![], &said, &mut looked);
        for way in &looked {
            self.field(way, &said);
        }
        let fields = self.found.fields.entry((task.address.clone(), task.what.clone())).or_default();
        fields.looked.extend(looked);
        self.found
    }

    fn judge(&mut self, changes: Vec<Change>) -> Reaction {
        self.found.mutants += 1;
        self.hunt.judge(self.task, changes)
    }

    /// What of an observation can be changed: of what the engine makes itself only what it takes from the record.
    fn open(how: How, key: &str) -> bool {
        match how {
            How::Verb => key != "at" && key != "took",
            How::Use => false,
            How::Measured => key == "overlap" || key == "refused",
        }
    }

    fn last(&self, member: &Member) -> Option<&Output> {
        self.hunt.sight(self.task, &member.at, member.looks - 1)
    }

    /// The last look of every member, edited; `None` where nothing changed.
    fn with_all(&self, way: &[Step], f: &mut dyn FnMut(&Value, usize) -> New) -> Option<Vec<Change>> {
        let mut changes = vec![];
        let mut n = 0;
        for member in &self.task.members {
            let (Some(sight), look) = (self.last(member), member.looks - 1) else { continue };
            if let New::Put(value) = edit(&sight.value, way, &mut n, f) {
                let sight = Output { value, ..sight.clone() };
                changes.push(Change { at: member.at.clone(), attempt: look, output: sight });
            }
        }
        (!changes.is_empty()).then_some(changes)
    }

    /// The steps that lead on from `way`, in any of the observations.
    fn further(&self, way: &Way) -> IndexSet<Step> {
        let mut out = IndexSet::new();
        for member in &self.task.members {
            let Some(sight) = self.last(member) else { continue };
            edit(&sight.value, way, &mut 0, &mut |v, _| {
                match v {
                    Value::Map(m) => {
                        let open = m.keys().filter(|k| !way.is_empty() || Self::open(member.how, k));
                        out.extend(open.cloned().map(Step::Key));
                    }
                    Value::List(l) if !l.is_empty() => {
                        out.insert(Step::Each);
                    }
                    _ => {}
                }
                New::Same
            });
        }
        out
    }

    /// Finds the fields at which somebody looks: what lies under a way is disturbed at once, and only where that is noticed it is
    /// looked at more closely.
    fn search(&mut self, way: &Way, said: &ReferencedLiterals, looked: &mut Vec<Way>) {
        let text = format!("{}{}\n{}", self.hunt.secrets, mutant::TRACES, mutant::pieces(said));
        for step in self.further(way) {
            let mut inner = way.clone();
            inner.push(step);
            let noticed = MANNERS.iter().any(|manner: &Manner| {
                let mut n = 0;
                let growth = Growth { text: &text, said };
                self.with_all(&inner, &mut |v, _| disturbed(v, *manner, &growth, &mut n))
                    .is_some_and(|changes| self.judge(changes).noticed)
            });
            if noticed {
                looked.push(inner.clone());
                self.search(&inner, said, looked);
            } else {
                let leaves = self.leaves(&inner);
                let key = (self.task.address.clone(), self.task.what.clone());
                self.found.fields.entry(key).or_default().unlooked.insert(inner, leaves);
            }
        }
    }

    /// How many different fields lie under a way.
    fn leaves(&self, way: &Way) -> usize {
        let further = self.further(way);
        if further.is_empty() {
            return 1;
        }
        further
            .into_iter()
            .map(|step| {
                let mut inner = way.clone();
                inner.push(step);
                self.leaves(&inner)
            })
            .sum()
    }

    /// Every kind of change of one field, in each observation by itself; where there are many, in a few of them, and in the others what
    /// depends on no question.
    fn field(&mut self, way: &Way, whole: &ReferencedLiterals) {
        let task = self.task;
        for (n, member) in task.members.iter().enumerate() {
            let Some(value) = self.last(member).map(|s| s.value.clone()) else { continue };
            let Some(sample) = first(&value, way).cloned() else { continue };
            if !is_sampled(n, task.members.len()) {
                for kind in mutant::plain(&self.hunt.secrets) {
                    let total = count(&value, way);
                    self.some(member, member.looks - 1, way, &kind, 0..total);
                }
                continue;
            }
            let mut here = Reaction::default();
            for kind in mutant::plain(&self.hunt.secrets) {
                let reaction = self.kind(member, &value, way, &kind);
                here.fails.extend(reaction.fails);
                here.silenced.extend(reaction.silenced);
            }
            let statuses = if way.last() == Some(&Step::Key("status".into())) { &[200, 404, 503][..] } else { &[] };
            for status in statuses {
                self.kind(member, &value, way, &Kind::OtherClass(*status));
            }
            let own = self.hunt.spoken(task.case, &here);
            let said = if here.fails.is_empty() && here.silenced.is_empty() { whole } else { &own };
            for kind in mutant::spoken(&sample, said) {
                self.kind(member, &value, way, &kind);
            }
        }
    }

    /// All values that the way leads to at once; where somebody notices and there are several, each by itself, and at the other looks
    /// that decide.
    fn kind(&mut self, member: &Member, value: &Value, way: &Way, kind: &Kind) -> Reaction {
        let (total, last) = (count(value, way), member.looks - 1);
        let reaction = self.some(member, last, way, kind, 0..total);
        if reaction.noticed {
            self.split(member, way, kind, 0..total, &mut 0);
            for look in 0..last {
                self.some(member, look, way, kind, 0..usize::MAX);
            }
        }
        reaction
    }

    /// Until a few are found of which each is noticed by itself.
    fn split(&mut self, member: &Member, way: &Way, kind: &Kind, range: Range<usize>, found: &mut usize) {
        if range.len() < 2 {
            *found += range.len();
            return;
        }
        let middle = range.start + range.len() / 2;
        for half in [range.start..middle, middle..range.end] {
            if *found < SINGLES && self.some(member, member.looks - 1, way, kind, half.clone()).noticed {
                self.split(member, way, kind, half, found);
            }
        }
    }

    fn some(&mut self, member: &Member, look: usize, way: &Way, kind: &Kind, range: Range<usize>) -> Reaction {
        let Some(sight) = self.hunt.sight(self.task, &member.at, look).cloned() else { return Reaction::default() };
        let mut f = |v: &Value, n| if range.contains(&n) { change(kind, v, n) } else { New::Same };
        let New::Put(value) = edit(&sight.value, way, &mut 0, &mut f) else { return Reaction::default() };
        let changes = vec![Change { at: member.at.clone(), attempt: look, output: Output { value, ..sight } }];
        let reaction = self.judge(changes);
        self.note(way, kind, &reaction);
        reaction
    }

    /// When it was, and how long it took.
    fn times(&mut self, member: &Member) {
        let hour = jiff::SignedDuration::from_hours(1);
        let last = member.looks - 1;
        for (kind, by) in [(Kind::Earlier, -hour), (Kind::Later, hour)] {
            for field in ["at", "took"] {
                let changes: Vec<Change> = match (member.how, field) {
                    // what happened earlier or later did so with all that was seen before
                    (How::Verb, "at") => (0..=last)
                        .filter_map(|look| {
                            let sight = self.hunt.sight(self.task, &member.at, look)?.clone();
                            let at = sight.at.checked_add(by).ok()?;
                            Some(Change { at: member.at.clone(), attempt: look, output: Output { at, ..sight } })
                        })
                        .collect(),
                    (How::Verb, _) => {
                        let Some(sight) = self.hunt.sight(self.task, &member.at, last).cloned() else { continue };
                        let took = match kind {
                            Kind::Later => sight.took + std::time::Duration::from_secs(3600),
                            _ => std::time::Duration::ZERO,
                        };
                        vec![Change { at: member.at.clone(), attempt: last, output: Output { took, ..sight } }]
                    }
                    _ => {
                        let Some(sight) = self.hunt.sight(self.task, &member.at, last).cloned() else { continue };
                        let way = [Step::Key(field.into())];
                        let New::Put(value) = edit(&sight.value, &way, &mut 0, &mut |v, n| change(&kind, v, n)) else {
                            continue;
                        };
                        vec![Change { at: member.at.clone(), attempt: last, output: Output { value, ..sight } }]
                    }
                };
                if changes.is_empty() {
                    continue;
                }
                let reaction = self.judge(changes);
                let way = vec![Step::Key(field.into())];
                self.note(&way, &kind, &reaction);
            }
        }
    }

    /// The object is not there; or the answer is one that the same request had before.
    fn as_a_whole(&mut self, member: &Member) {
        let look = member.looks - 1;
        let Some(sight) = self.hunt.sight(self.task, &member.at, look).cloned() else { return };
        let mut others: Vec<(Kind, Value)> = vec![];
        others.extend(missing(&sight.value).map(|v| (Kind::Missing, v)));
        others.extend(self.earlier(member, look).into_iter().map(|v| (Kind::Stale, v)));
        for (kind, value) in others {
            let changes =
                vec![Change { at: member.at.clone(), attempt: look, output: Output { value, ..sight.clone() } }];
            let reaction = self.judge(changes);
            self.note(&vec![], &kind, &reaction);
        }
    }

    /// Up to three other answers from before: the last of this very action, and the last two of the same request elsewhere in the case.
    fn earlier(&self, member: &Member, look: usize) -> Vec<Value> {
        let record = self.hunt.replay.record();
        let Some(own) = self.hunt.sight(self.task, &member.at, look) else { return vec![] };
        let seq = self.hunt.replay.observations(self.task.case, &member.at).get(look).map_or(0, |s| s.seq);
        let mut out: Vec<Value> = vec![];
        let mut take = |value: &Value| {
            if *value != own.value && !out.contains(value) {
                out.push(value.clone());
            }
        };
        let before = record.observations.get(&member.at).into_iter().flatten().rev().filter(|s| s.seq < seq);
        if let Some(before) = before.filter_map(|s| s.result.as_ref().ok()).next() {
            take(&before.value);
        }
        let mut same: Vec<(u64, &Value)> = record
            .observations
            .iter()
            .filter(|(at, _)| **at != member.at && at.case() == member.at.case() && !at.as_str().contains("/undo"))
            .filter(|(at, _)| record.actions.get(*at).is_some_and(|a| a.what == self.task.what))
            .filter_map(|(_, looks)| {
                let sight = looks.iter().rev().find(|s| s.seq < seq)?;
                Some((sight.seq, &sight.result.as_ref().ok()?.value))
            })
            .collect();
        same.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
        same.iter().take(2).for_each(|(_, v)| take(v));
        out
    }

    fn note(&mut self, way: &Way, kind: &Kind, reaction: &Reaction) {
        let field = shown(way);
        for (sentence, span) in &reaction.fails {
            let order = (self.task.order, self.found.mutants);
            let kill = self.found.kills.entry(span.clone()).or_insert_with(|| Kill {
                order,
                by: format!("{}: {field}: {}", self.task.what, kind.sentence()),
                times: 0,
            });
            kill.times += 1;
            let address = self.hunt.replay.schedule().cases[self.task.case].sentences[*sentence].address.clone();
            let key = (address, self.task.what.clone(), field.clone());
            self.found.guards.entry(key).or_default().entry(kind.word().into_owned()).or_default().insert(span.clone());
        }
    }
}

/// The observation as it is when its object is not there: as the cluster says it, or as an API does.
pub fn missing(v: &Value) -> Option<Value> {
    let mut map = v.as_map()?.clone();
    if map.get("found") == Some(&Value::Bool(true)) {
        map.insert("found".into(), false.into());
        map.insert("object".into(), Value::Null);
        return Some(Value::from(map));
    }
    if map.get("answered") == Some(&Value::Bool(true)) && map.get("status") != Some(&Value::Int(404)) {
        map.insert("status".into(), Value::Int(404));
        map.insert("body".into(), Value::Null);
        map.insert("text".into(), Value::text(""));
        return Some(Value::from(map));
    }
    None
}
