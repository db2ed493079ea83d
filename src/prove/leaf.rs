//! Everything that a plan assertions: each check and each leaf of a picture, once, by its location. What stands in an `undo` asks for the
//! runner's sake and is left out.
use crate::{
    engine::schedule::{ActionKind, Schedule, ScheduledAction},
    expr::{pattern::Pattern, referenced},
    plan::Assertions,
    source::Span,
};
use indexmap::IndexMap;
use std::collections::BTreeSet;

pub struct Leaf {
    pub span: Span,
    /// As it stands in the plan, in one line.
    pub text: String,
    /// The matcher over a list that assertions it, and is found in its location while it holds.
    pub within: Option<Span>,
    /// The cases in which it stands, by their number.
    pub cases: BTreeSet<usize>,
}

#[derive(Default)]
pub struct Leaves {
    pub all: IndexMap<Span, Leaf>,
    /// The words of those that stand in an `undo`.
    pub undoing: Vec<String>,
}

/// In the plan's order.
pub fn all(schedule: &Schedule) -> Leaves {
    let mut out = Leaves::default();
    let mut undoing = IndexMap::new();
    for (case, scheduled) in schedule.cases.iter().enumerate() {
        for sentence in &scheduled.sentences {
            steps(&sentence.steps, case, &mut out.all, &mut undoing);
            asked(&sentence.assertions, case, &mut out.all);
        }
    }
    undoing.retain(|span, _| !out.all.contains_key(span));
    out.undoing = undoing.into_values().map(|leaf| leaf.text).collect();
    out.all.sort_by(|a, _, b, _| (&a.source.name, a.range.start).cmp(&(&b.source.name, b.range.start)));
    out
}

type Map = IndexMap<Span, Leaf>;

fn steps(list: &[ScheduledAction], case: usize, out: &mut Map, undoing: &mut Map) {
    for step in list {
        asked(&step.assertions, case, out);
        match &step.act {
            ActionKind::Use { definition, .. } => steps(&definition.steps, case, out, undoing),
            ActionKind::Parallel { branches, .. } => branches.iter().for_each(|b| steps(b, case, out, undoing)),
            _ => {}
        }
        let mut aside = IndexMap::new();
        steps(&step.undo, case, undoing, &mut aside);
        undoing.extend(aside);
    }
}

fn asked(assertions: &Assertions, case: usize, out: &mut Map) {
    if let Some(p) = &assertions.pattern {
        p.leaves(&mut |leaf| {
            let text = spoken_text(&leaf);
            add(out, &leaf.pattern.span, text, leaf.within, case);
        });
    }
    for (e, span) in &assertions.checks {
        add(out, span, format!("check: {}", one_line(e.text())), None, case);
    }
}

fn add(out: &mut Map, span: &Span, text: String, within: Option<&Span>, case: usize) {
    let leaf = out.entry(span.clone()).or_insert_with(|| Leaf {
        span: span.clone(),
        text,
        within: within.cloned(),
        cases: BTreeSet::new(),
    });
    leaf.cases.insert(case);
}

fn spoken_text(leaf: &referenced::Leaf<'_>) -> String {
    let value = one_line(source_of(leaf.pattern));
    match leaf.key {
        Some(key) => format!("expect: {}: {value}", key.source()),
        None => format!("expect: {value}"),
    }
}

fn source_of(p: &Pattern) -> &str {
    p.span.text()
}

fn one_line(text: &str) -> String {
    const MOST: usize = 160;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= MOST { line } else { format!("{}…", &line[..line.floor_char_boundary(MOST)]) }
}
