//! Mutates the observations of one action, one mutation at a time: first to find the fields that assertions read, then
//! each of those fields.
use super::{
    disturbance::{DISTURBANCES, Disturber},
    mutation::{Mutation, NOT_RECEIVED, STACK_TRACES, general_mutations, mentioned_text, mutate, mutations_for},
    mutation_results::{Fields, Kill, MutationResults},
    path::{Edit, FieldPath, PathStep, edit, format_path, joined, values_at},
    reaction::{Judge, Reaction},
};
use crate::{
    address::Address,
    executor::Output,
    expr::ReferencedLiterals,
    replay::{
        shorten::is_sampled,
        source::{Change, ObservationKind},
    },
    source::Location,
    value::Value,
};
use indexmap::IndexSet;
use jiff::SignedDuration;
use std::{cmp::Reverse, ops::Range, time::Duration};

/// Number of values at one path, such as the elements of a list, that bisection isolates for each mutation.
const MAX_SINGLE_ELEMENTS: usize = 4;

/// The observations of one action in one sentence: those of all items of its `foreach`.
pub struct Group {
    /// Position in the plan.
    pub order: usize,
    pub case: usize,
    pub sentence: usize,
    /// The part of the case that makes the observations: the sentence, or the end of the case.
    pub part: usize,
    pub summary: String,
    pub location: Location,
    pub members: Vec<Member>,
}

pub struct Member {
    pub at: Address,
    pub kind: ObservationKind,
    /// Number of attempts that decide the result: one, or several for an `always`.
    pub attempts: usize,
}

/// Tries all mutations of the observations of a group.
pub fn mutate_group(judge: &Judge<'_>, group: &Group) -> MutationResults {
    Mutator { judge, group, results: MutationResults::default() }.run()
}

/// A mutation of a field of one observation.
#[derive(Clone, Copy)]
struct FieldMutation<'m> {
    member: &'m Member,
    path: &'m FieldPath,
    mutation: &'m Mutation,
}

struct Mutator<'h> {
    judge: &'h Judge<'h>,
    group: &'h Group,
    results: MutationResults,
}

impl<'h> Mutator<'h> {
    fn run(mut self) -> MutationResults {
        let group = self.group;
        for member in &group.members {
            self.shift_times(member);
            if member.kind == ObservationKind::Verb {
                self.replace_whole(member);
            }
        }
        let emptied = self.edit_all(&[], &mut |_, _| Edit::Replaced(Value::Map(Default::default())));
        let reaction = emptied.map(|changes| self.try_mutant(changes)).unwrap_or_default();
        let mentioned = self.judge.mentioned(group.case, &reaction);
        let mut fields = Fields::default();
        self.find_fields(&[], &mentioned, &mut fields);
        for path in &fields.read {
            self.mutate_field(path, &mentioned);
        }
        for member in group.members.iter().filter(|m| m.kind == ObservationKind::Verb) {
            self.replace_by_no_response(member);
        }
        let address = self.sentence(group.sentence).clone();
        self.results.fields.insert((address, group.summary.clone()), fields);
        self.results
    }

    fn try_mutant(&mut self, changes: Vec<Change>) -> Reaction {
        self.results.mutants += 1;
        self.judge.judge(self.group.case, self.group.part, changes)
    }

    /// The address of a sentence of the case.
    fn sentence(&self, sentence: usize) -> &'h Address {
        &self.judge.replay.schedule.cases[self.group.case].sentences[sentence].address
    }

    /// Whether a top-level field of an observation comes from the record. The engine computes the other fields itself.
    fn is_mutable(kind: ObservationKind, key: &str) -> bool {
        match kind {
            ObservationKind::Verb => key != "at" && key != "took",
            ObservationKind::Use => false,
            ObservationKind::Measured => key == "overlap" || key == "refused",
        }
    }

    fn output(&self, member: &Member, attempt: usize) -> Option<&'h Output> {
        self.judge.output(self.group.case, &member.at, attempt)
    }

    fn last_output(&self, member: &Member) -> Option<&'h Output> {
        self.output(member, member.attempts - 1)
    }

    fn last_outputs(&self) -> impl Iterator<Item = (&'h Member, &'h Output)> {
        self.group.members.iter().filter_map(|member| Some((member, self.last_output(member)?)))
    }

    /// Edits the last output of every member at a path; `None` if nothing changed.
    fn edit_all(&self, path: &[PathStep], f: &mut dyn FnMut(&Value, usize) -> Edit) -> Option<Vec<Change>> {
        let mut changes = vec![];
        let mut n = 0;
        for (member, output) in self.last_outputs() {
            if let Edit::Replaced(value) = edit(&output.value, path, &mut n, f) {
                changes.push(change(member, member.attempts - 1, output, value));
            }
        }
        (!changes.is_empty()).then_some(changes)
    }

    /// The steps that extend a path in the last outputs of the members.
    fn steps_from(&self, path: &[PathStep]) -> IndexSet<PathStep> {
        let mut out = IndexSet::new();
        for (member, output) in self.last_outputs() {
            for v in values_at(&output.value, path) {
                match v {
                    Value::Map(m) => {
                        let keys = m.keys().filter(|k| !path.is_empty() || Self::is_mutable(member.kind, k));
                        out.extend(keys.cloned().map(PathStep::Key));
                    }
                    Value::List(l) if !l.is_empty() => drop(out.insert(PathStep::Each)),
                    _ => {}
                }
            }
        }
        out
    }

    /// Finds the paths that assertions read: disturbs everything under a path, and searches further only where that is
    /// detected.
    fn find_fields(&mut self, path: &[PathStep], mentioned: &ReferencedLiterals, fields: &mut Fields) {
        let text = format!("{}{}\n{}", self.judge.secrets, STACK_TRACES, mentioned_text(mentioned));
        for step in self.steps_from(path) {
            let inner = joined(path, step);
            let detected = DISTURBANCES.into_iter().any(|disturbance| {
                let mut disturber = Disturber { disturbance, text: &text, mentioned, n: 0 };
                let changes = self.edit_all(&inner, &mut |v, _| disturber.disturb(v));
                changes.is_some_and(|changes| self.try_mutant(changes).detected)
            });
            if detected {
                fields.read.insert(inner.clone());
                self.find_fields(&inner, mentioned, fields);
            } else {
                let leaves = self.count_leaves(&inner);
                fields.unread.insert(inner, leaves);
            }
        }
    }

    /// The number of different fields under a path.
    fn count_leaves(&self, path: &[PathStep]) -> usize {
        let steps = self.steps_from(path);
        if steps.is_empty() {
            return 1;
        }
        steps.into_iter().map(|step| self.count_leaves(&joined(path, step))).sum()
    }

    /// Tries every mutation of one field, in each member on its own. If there are many members, a sample gets all
    /// mutations, and the others only those that do not depend on assertions.
    fn mutate_field(&mut self, path: &FieldPath, by_group: &ReferencedLiterals) {
        let group = self.group;
        for (n, member) in group.members.iter().enumerate() {
            let Some(output) = self.last_output(member) else { continue };
            let values = values_at(&output.value, path);
            let Some(&sample) = values.first() else { continue };
            let total = values.len();
            let general = general_mutations(&self.judge.secrets);
            if !is_sampled(n, group.members.len()) {
                for mutation in &general {
                    self.mutate_range(FieldMutation { member, path, mutation }, member.attempts - 1, 0..total);
                }
                continue;
            }
            let mut reactions = Reaction::default();
            for mutation in &general {
                let reaction = self.mutate_each(FieldMutation { member, path, mutation }, total);
                reactions.fails.extend(reaction.fails);
                reactions.not_evaluated.extend(reaction.not_evaluated);
            }
            let is_status = path.last() == Some(&PathStep::Key("status".into()));
            let statuses = if is_status { &[200, 404, 503][..] } else { &[] };
            let own = self.judge.mentioned(group.case, &reactions);
            let reacted = !reactions.fails.is_empty() || !reactions.not_evaluated.is_empty();
            let mentioned = mutations_for(sample, if reacted { &own } else { by_group });
            for mutation in &statuses.iter().map(|n| Mutation::OtherClass(*n)).chain(mentioned).collect::<Vec<_>>() {
                self.mutate_each(FieldMutation { member, path, mutation }, total);
            }
        }
    }

    /// Mutates all values at a path together. If that is detected, also mutates single values, and the other attempts
    /// that decide.
    fn mutate_each(&mut self, field: FieldMutation<'_>, total: usize) -> Reaction {
        let last = field.member.attempts - 1;
        let reaction = self.mutate_range(field, last, 0..total);
        if reaction.detected {
            self.bisect(field, 0..total, &mut 0);
            for attempt in 0..last {
                self.mutate_range(field, attempt, 0..usize::MAX);
            }
        }
        reaction
    }

    /// Bisects a range of values to isolate some whose mutation alone is detected; `found` counts them.
    fn bisect(&mut self, field: FieldMutation<'_>, range: Range<usize>, found: &mut usize) {
        if range.len() < 2 {
            *found += range.len();
            return;
        }
        let middle = range.start + range.len() / 2;
        for half in [range.start..middle, middle..range.end] {
            if *found < MAX_SINGLE_ELEMENTS
                && self.mutate_range(field, field.member.attempts - 1, half.clone()).detected
            {
                self.bisect(field, half, found);
            }
        }
    }

    fn mutate_range(&mut self, field: FieldMutation<'_>, attempt: usize, range: Range<usize>) -> Reaction {
        let FieldMutation { member, path, mutation } = field;
        let Some(output) = self.output(member, attempt) else { return Reaction::default() };
        let mut f = |v: &Value, n| if range.contains(&n) { mutate(mutation, v, n) } else { Edit::Unchanged };
        let Edit::Replaced(value) = edit(&output.value, path, &mut 0, &mut f) else { return Reaction::default() };
        self.try_and_record(vec![change(member, attempt, output, value)], path, mutation)
    }

    /// Shifts the time of an observation, and its duration.
    fn shift_times(&mut self, member: &Member) {
        let hour = SignedDuration::from_hours(1);
        let last = member.attempts - 1;
        for (mutation, by) in [(Mutation::Earlier, -hour), (Mutation::Later, hour)] {
            for field in ["at", "took"] {
                let path = vec![PathStep::Key(field.into())];
                let shifted = |output: &Output| match (member.kind, field) {
                    (ObservationKind::Verb, "at") => {
                        Some(Output { at: output.at.checked_add(by).ok()?, ..output.clone() })
                    }
                    (ObservationKind::Verb, _) => {
                        let later = output.took + Duration::from_secs(3600);
                        let took = if mutation == Mutation::Later { later } else { Duration::ZERO };
                        Some(Output { took, ..output.clone() })
                    }
                    _ => {
                        let value =
                            edit(&output.value, &path, &mut 0, &mut |v, n| mutate(&mutation, v, n)).replaced()?;
                        Some(Output { value, ..output.clone() })
                    }
                };
                // the time of an observation together with all attempts before it
                let first = if (member.kind, field) == (ObservationKind::Verb, "at") { 0 } else { last };
                let change = |attempt| {
                    Some(Change { at: member.at.clone(), attempt, output: shifted(self.output(member, attempt)?)? })
                };
                let changes: Vec<Change> = (first..=last).filter_map(change).collect();
                if !changes.is_empty() {
                    self.try_and_record(changes, &path, &mutation);
                }
            }
        }
    }

    /// Replaces a whole output: its object does not exist, or it is an earlier response to the same request.
    fn replace_whole(&mut self, member: &Member) {
        let attempt = member.attempts - 1;
        let Some(output) = self.output(member, attempt) else { return };
        let missing = self.judge.actions.get(&self.group.location).and_then(|a| a.without_object(&output.value));
        let missing = missing.into_iter().map(|v| (Mutation::Missing, v));
        let earlier = self.earlier_responses(member, attempt).into_iter().map(|v| (Mutation::Stale, v));
        for (mutation, value) in missing.chain(earlier).collect::<Vec<_>>() {
            self.try_and_record(vec![change(member, attempt, output, value)], &vec![], &mutation);
        }
    }

    /// Replaces a whole output by that of no response. It kills every assertion about other fields, so it comes last.
    fn replace_by_no_response(&mut self, member: &Member) {
        let attempt = member.attempts - 1;
        let action = self.judge.actions.get(&self.group.location);
        if let Some(output) = self.output(member, attempt)
            && let Some(action) = action.filter(|a| a.fields().contains(&"answered"))
        {
            let none = Output::no_response(action.fields(), NOT_RECEIVED, output.at, output.took).value;
            let change = change(member, attempt, output, none);
            self.try_and_record(vec![change], &vec![], &Mutation::NoResponse);
        }
    }

    /// Up to three different earlier outputs: the previous one of this action, and the last two of the same request in
    /// the case.
    fn earlier_responses(&self, member: &Member, attempt: usize) -> Vec<Value> {
        let replay = self.judge.replay;
        let record = &replay.record;
        let Some(own) = self.output(member, attempt) else { return vec![] };
        let seq = replay.observations(self.group.case, &member.at).get(attempt).map_or(0, |o| o.seq);
        let mut out: Vec<Value> = vec![];
        let mut add = |value: &Value| {
            if *value != own.value && !out.contains(value) {
                out.push(value.clone());
            }
        };
        let before = record.observations.get(&member.at).into_iter().flatten().rev().filter(|o| o.seq < seq);
        if let Some(before) = before.filter_map(|o| o.result.as_ref().ok()).next() {
            add(&before.value);
        }
        let mut same: Vec<(u64, &Value)> = record
            .observations
            .iter()
            .filter(|(at, _)| **at != member.at && at.case() == member.at.case() && !at.is_in("undo"))
            .filter(|(at, _)| record.actions.get(*at).is_some_and(|a| a.summary == self.group.summary))
            .filter_map(|(_, all)| {
                let observation = all.iter().rev().find(|o| o.seq < seq)?;
                Some((observation.seq, &observation.result.as_ref().ok()?.value))
            })
            .collect();
        same.sort_by_key(|(seq, _)| Reverse(*seq));
        same.iter().take(2).for_each(|(_, v)| add(v));
        out
    }

    /// Tries a mutant, and records which assertions killed it.
    fn try_and_record(&mut self, changes: Vec<Change>, path: &FieldPath, mutation: &Mutation) -> Reaction {
        let reaction = self.try_mutant(changes);
        let field = format_path(path);
        for (sentence, span) in &reaction.fails {
            let order = (self.group.order, self.results.mutants);
            let kill = self.results.kills.entry(span.clone()).or_insert_with(|| Kill {
                order,
                by: format!("{}: {field}: {}", self.group.summary, mutation.describe()),
                times: 0,
            });
            kill.times += 1;
            let key = (self.sentence(*sentence).clone(), self.group.summary.clone(), field.clone());
            let detections = self.results.detections.entry(key).or_default();
            detections.entry(mutation.label().into_owned()).or_default().insert(span.clone());
        }
        reaction
    }
}

fn change(member: &Member, attempt: usize, output: &Output, value: Value) -> Change {
    Change { at: member.at.clone(), attempt, output: Output { value, ..output.clone() } }
}
