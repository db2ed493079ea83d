//! The assertions of a plan: each check and each leaf of a pattern, once, by its location.
use crate::{
    engine::schedule::{ActionKind, Schedule, ScheduledAction},
    expr::referenced::Leaf,
    plan::Assertions,
    source::{Location, Span},
};
use indexmap::IndexMap;
use std::collections::BTreeSet;

/// Longest text of an assertion, in bytes.
const MAX_TEXT_BYTES: usize = 160;

pub struct PlanAssertion {
    pub span: Span,
    /// The action or sentence that has it.
    pub of: Location,
    /// As written in the plan, in one line.
    pub text: String,
    /// The enclosing list matcher, which decides whether this assertion is evaluated: the results may contain only the
    /// matcher.
    pub within: Option<Span>,
    /// Indices in the schedule of the cases that contain it.
    pub cases: BTreeSet<usize>,
}

type BySpan = IndexMap<Span, PlanAssertion>;

#[derive(Default)]
pub struct PlanAssertions {
    /// In the plan's order.
    pub all: BySpan,
    /// The texts of assertions that occur only in an `undo`, which mutation testing leaves out.
    pub in_undo: Vec<String>,
}

/// Collects the assertions of all cases.
pub fn assertions_of(schedule: &Schedule) -> PlanAssertions {
    let mut out = PlanAssertions::default();
    let mut in_undo = IndexMap::new();
    for (case, scheduled) in schedule.cases.iter().enumerate() {
        for sentence in &scheduled.sentences {
            collect_actions(&sentence.actions, case, &mut out.all, &mut in_undo);
            collect(&sentence.assertions, &sentence.location, case, &mut out.all);
        }
    }
    in_undo.retain(|span, _| !out.all.contains_key(span));
    out.in_undo = in_undo.into_values().map(|assertion| assertion.text).collect();
    out.all.sort_by(|a, _, b, _| (&a.source.name, a.range.start).cmp(&(&b.source.name, b.range.start)));
    out
}

fn collect_actions(actions: &[ScheduledAction], case: usize, out: &mut BySpan, in_undo: &mut BySpan) {
    for action in actions {
        collect(&action.assertions, &action.location, case, out);
        match &action.kind {
            ActionKind::Use { definition, .. } => collect_actions(&definition.actions, case, out, in_undo),
            ActionKind::Parallel { branches, .. } => {
                branches.iter().for_each(|b| collect_actions(b, case, out, in_undo));
            }
            _ => {}
        }
        let mut nested = IndexMap::new();
        collect_actions(&action.undo, case, in_undo, &mut nested);
        in_undo.extend(nested);
    }
}

fn collect(assertions: &Assertions, of: &Location, case: usize, out: &mut BySpan) {
    let mut add = |span: &Span, text: String, within: Option<&Span>| {
        let (of, within) = (of.clone(), within.cloned());
        let new = || PlanAssertion { span: span.clone(), of, text, within, cases: BTreeSet::new() };
        out.entry(span.clone()).or_insert_with(new).cases.insert(case);
    };
    if let Some(pattern) = &assertions.pattern {
        pattern.leaves(&mut |leaf| add(&leaf.pattern.span, text_of(&leaf), leaf.within));
    }
    for (expression, span) in &assertions.checks {
        add(span, format!("check: {}", one_line(expression.text())), None);
    }
}

fn text_of(leaf: &Leaf<'_>) -> String {
    let value = one_line(leaf.pattern.span.text());
    match leaf.key {
        Some(key) => format!("expect: {}: {value}", key.source()),
        None => format!("expect: {value}"),
    }
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.len() <= MAX_TEXT_BYTES {
        true => line,
        false => format!("{}…", &line[..line.floor_char_boundary(MAX_TEXT_BYTES)]),
    }
}
