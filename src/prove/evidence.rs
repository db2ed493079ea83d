//! Mutated evidence: a recorded green run is judged again with what it observed changed, one observation at a time. Sits on the
//! engine; prints nothing and reads no file.
use super::{
    guards::{self, Guards, Lost},
    hunt::{self, Watch},
    leaf, mutant,
};
use crate::{
    address::Address,
    engine::schedule::{ActionKind, Schedule, ScheduledAction},
    outcome::Verdict,
    replay::{Record, Replay},
    source::{Location, Span},
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// What is known about whether a plan could fail.
pub struct Proof {
    pub run: String,
    pub plan: String,
    pub title: String,
    pub cases: Vec<CaseProof>,
    /// In the plan's order.
    pub leaves: Vec<LeafProof>,
    pub sentences: Vec<SentenceProof>,
    pub guards: Guards,
    /// What guards less than the file says.
    pub lost: Vec<Lost>,
    /// How many changed observations were judged.
    pub mutants: usize,
    pub took: Duration,
    /// Questions that stand in an `undo`, and are left out.
    pub undoing: usize,
    /// What the journal lacks, and the like, a sentence each.
    pub notes: Vec<String>,
}

pub struct CaseProof {
    pub id: String,
    pub title: String,
    /// It is in the record.
    pub performed: bool,
}

/// A check, or a leaf of an `expect`.
pub struct LeafProof {
    pub location: Location,
    pub text: String,
    /// The cases that ask it.
    pub cases: Vec<String>,
    pub fate: Fate,
}

#[derive(Debug, PartialEq)]
pub enum Fate {
    /// By the first mutant, and how many there are.
    Killed { by: String, times: usize },
    /// Whatever was changed, it held.
    Survived,
    /// Judged unchanged it finds something else than was recorded.
    NotReplayable(String),
    /// The run never asked it.
    NotExercised(String),
}

impl Fate {
    pub fn is_killed(&self) -> bool {
        matches!(self, Fate::Killed { .. })
    }
}

/// A sentence of the plan.
pub struct SentenceProof {
    pub case: String,
    pub text: String,
    pub address: Address,
    pub unproven: Option<String>,
    /// Observed fields at which somebody looks.
    pub looked: usize,
    /// Observation, field, and how many fields lie under it.
    pub unlooked: Vec<(String, String, usize)>,
}

impl SentenceProof {
    pub fn unlooked(&self) -> usize {
        self.unlooked.iter().map(|(_, _, n)| n).sum()
    }
}

impl Proof {
    /// Questions that no change of what was seen can make fail.
    pub fn survivors(&self) -> impl Iterator<Item = &LeafProof> {
        self.leaves.iter().filter(|l| !l.fate.is_killed())
    }

    /// Whether everything can fail, and everything is guarded that was.
    pub fn holds(&self) -> bool {
        self.survivors().next().is_none() && self.lost.is_empty()
    }

    pub fn killed(&self) -> usize {
        self.leaves.iter().filter(|l| l.fate.is_killed()).count()
    }
}

/// Judges a recorded run again, unchanged and then with everything changed; `held` is what was guarded before. The error says why that
/// cannot be done.
pub fn prove(
    schedule: Arc<Schedule>,
    record: Arc<Record>,
    held: Option<&Guards>,
    watch: &Watch,
) -> Result<Proof, String> {
    let begun = Instant::now();
    green(&record)?;
    let mut notes: Vec<String> = record.missing_part().map(String::from).into_iter().collect();
    let replay = Replay::new(schedule, record).map_err(|e| e.to_string())?;
    let locations = Places::of(replay.schedule());
    let other = differences(&replay, &locations);
    let secrets = secrets_of(replay.record());
    let found = hunt::hunt(&replay, &secrets, watch).ok_or("interrupted")?;
    let leaves = leaf::all(replay.schedule());
    let asked: HashSet<&Span> = replay
        .cases
        .iter()
        .flat_map(|c| &c.sentences)
        .flat_map(|t| &t.actions)
        .flat_map(|a| &a.results)
        .filter_map(|f| f.asked.as_ref())
        .collect();
    let cases: Vec<CaseProof> = replay
        .schedule()
        .outline
        .iter()
        .map(|c| CaseProof {
            id: c.id.clone(),
            title: c.title.clone(),
            performed: replay.record().cases.contains_key(&c.id),
        })
        .collect();
    if let Some(case) = cases.iter().find(|c| !c.performed) {
        notes.push(format!("the run is not of the whole plan: `{}`, for one, is not in it", case.id));
    }
    let id_of = |i: &usize| replay.schedule().cases[*i].id.clone();
    let fate = |leaf: &leaf::Leaf| {
        if let Some(why) = other.get(&leaf.span) {
            return Fate::NotReplayable(why.clone());
        }
        if let Some(kill) = found.kills.get(&leaf.span) {
            return Fate::Killed { by: kill.by.clone(), times: kill.times };
        }
        if asked.contains(&leaf.span) || leaf.within.as_ref().is_some_and(|w| asked.contains(w)) {
            return Fate::Survived;
        }
        let performed = leaf.cases.iter().any(|i| replay.record().cases.contains_key(&replay.schedule().cases[*i].id));
        Fate::NotExercised(match performed {
            true => "what it stands beside was never performed".into(),
            false => "its case is not in the run".into(),
        })
    };
    let leaf_proofs = leaves
        .all
        .values()
        .map(|leaf| LeafProof {
            location: leaf.span.location(),
            text: leaf.text.clone(),
            cases: leaf.cases.iter().map(id_of).collect(),
            fate: fate(leaf),
        })
        .collect();
    let now = Guards::of(&replay, &found, leaves.all.values().map(|leaf| &leaf.text).chain(&leaves.undoing));
    let lost = held.map(|held| guards::tried(&replay, held.lost_in(&now))).unwrap_or_default();
    Ok(Proof {
        run: replay.record().started.run.clone(),
        plan: replay.schedule().plan.id.clone(),
        title: replay.schedule().plan.title.clone(),
        sentences: sentences(&replay, &found),
        guards: now,
        lost,
        cases,
        leaves: leaf_proofs,
        mutants: found.mutants,
        undoing: leaves.undoing.len(),
        notes,
        took: begun.elapsed(),
    })
}

/// What a red run saw can prove nothing: its questions do not hold to begin with.
fn green(record: &Record) -> Result<(), String> {
    if !record.finished {
        return Err("the run did not come to its end: prove needs a green one".into());
    }
    let mut red: Vec<(&String, Verdict)> =
        record.cases.iter().filter(|(_, (v, _))| *v != Verdict::Passed).map(|(id, (v, _))| (id, *v)).collect();
    red.sort();
    match red.first() {
        Some((id, verdict)) => Err(format!("the run was not green: `{id}` is {verdict}; prove needs a green one")),
        None if record.cases.is_empty() => Err("no case was performed in this run".into()),
        None => Ok(()),
    }
}

/// What the plan assertions where, by the locations of its actions.
struct Places {
    assertions: HashMap<Location, Vec<Span>>,
}

impl Places {
    fn of(schedule: &Schedule) -> Places {
        let mut out = Places { assertions: HashMap::new() };
        for sentence in schedule.cases.iter().flat_map(|c| &c.sentences) {
            out.take(&sentence.location, &sentence.assertions);
            out.steps(&sentence.steps);
        }
        out
    }

    fn take(&mut self, location: &Location, assertions: &crate::plan::Assertions) {
        let spans = self.assertions.entry(location.clone()).or_default();
        if let Some(p) = &assertions.pattern {
            p.leaves(&mut |leaf| spans.push(leaf.pattern.span.clone()));
        }
        spans.extend(assertions.checks.iter().map(|(_, span)| span.clone()));
    }

    fn steps(&mut self, list: &[ScheduledAction]) {
        for step in list {
            if self.assertions.contains_key(&step.location) {
                continue;
            }
            self.take(&step.location, &step.assertions);
            match &step.act {
                ActionKind::Use { definition, .. } => self.steps(&definition.steps),
                ActionKind::Parallel { branches, .. } => branches.iter().for_each(|b| self.steps(b)),
                _ => {}
            }
        }
    }
}

/// Questions that find something else than was recorded, with why.
fn differences(replay: &Replay, locations: &Places) -> HashMap<Span, String> {
    let mut out = HashMap::new();
    let record = replay.record();
    for (case, rehearsed) in replay.schedule().cases.iter().zip(&replay.cases) {
        let told: HashMap<&Address, _> =
            rehearsed.sentences.iter().flat_map(|t| &t.actions).map(|judged| (&judged.at, judged)).collect();
        let outcomes = record.actions.iter().filter_map(|(at, a)| Some((at, &a.location, a.outcome.as_ref()?)));
        for (at, location, then) in outcomes.filter(|(at, ..)| within(case, at)) {
            let asked = || locations.assertions.get(location).into_iter().flatten().cloned();
            let Some(now) = told.get(at) else {
                let why = format!("judged again, `{at}` is not performed");
                out.extend(asked().map(|span| (span, why.clone())));
                continue;
            };
            if now.results.is_empty() && !then.results.is_empty() {
                let why = format!("at `{at}` it was {}, and judged again it is {}", then.status, now.status);
                out.extend(asked().map(|span| (span, why.clone())));
            }
            let mut before: Vec<_> = then.results.iter().collect();
            for now in &now.results {
                // a plan may ask more or less by now; what it asked then is known by its words
                let then = before.iter().position(|f| f.subject == now.subject).map(|i| before.remove(i));
                if !now.holds || then.is_some_and(|then| !then.holds) {
                    let then = then.map_or("it was not asked".into(), |then| format!("it was {}", then.actual));
                    let why = format!("at `{at}` {then}, and judged again it is {}", now.actual);
                    out.extend(now.asked.clone().map(|span| (span, why)));
                }
            }
        }
    }
    out
}

/// Whether an action is one of the case's own: not of its undo, nor of what was looked at when it went red.
fn within(case: &crate::engine::schedule::Case, at: &Address) -> bool {
    let aside = at.as_str().split('/').any(|part| part == "undo" || part == "fault");
    !aside && case.sentences.iter().any(|s| at.is_within(&s.address))
}

/// Every mask that stands in the record: secrets of the run, in the forms in which they occurred.
fn secrets_of(record: &Record) -> Vec<String> {
    let mut out = BTreeSet::from(["‹secret›".to_string()]);
    let mut take = |text: &str| {
        out.extend(text.match_indices('‹').filter_map(|(i, _)| {
            let end = text[i..].find('›')?;
            Some(text[i..i + end + '›'.len_utf8()].to_string())
        }));
        None
    };
    let take = std::cell::RefCell::new(&mut take);
    for sight in record.observations.values().flatten() {
        if let Ok(output) = &sight.result {
            output.value.map_text(&|text| (take.borrow_mut())(text));
        }
    }
    out.into_iter().collect()
}

fn sentences(replay: &Replay, found: &hunt::Found) -> Vec<SentenceProof> {
    let mut out = vec![];
    for case in &replay.schedule().outline {
        for sentence in &case.sentences {
            let mut proof = SentenceProof {
                case: case.id.clone(),
                text: sentence.text.clone(),
                address: sentence.address.clone(),
                unproven: sentence.unproven.clone(),
                looked: 0,
                unlooked: vec![],
            };
            for ((_, what), fields) in found.fields.iter().filter(|((at, _), _)| *at == sentence.address) {
                let inner = |way: &mutant::Way| fields.looked.iter().any(|w| w.len() > way.len() && w.starts_with(way));
                proof.looked += fields.looked.iter().filter(|way| !inner(way)).count();
                let unlooked = fields.unlooked.iter().filter(|(way, _)| !fields.looked.contains(*way));
                proof.unlooked.extend(unlooked.map(|(way, n)| (what.clone(), mutant::shown(way), *n)));
            }
            out.push(proof);
        }
    }
    out
}
