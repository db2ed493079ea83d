//! Everything that a plan asks: each check and each leaf of a picture, once, by its place. What stands in an `undo` asks for the
//! runner's sake and is left out.
use crate::{
    engine::schedule::{Act, Schedule, Step},
    expr::{picture::Picture, spoken},
    plan::Asks,
    source::Span,
};
use indexmap::IndexMap;
use std::collections::BTreeSet;

pub struct Leaf {
    pub span: Span,
    /// As it stands in the plan, in one line.
    pub text: String,
    /// The matcher over a list that asks it, and is found in its place while it holds.
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
            asked(&sentence.asks, case, &mut out.all);
        }
    }
    undoing.retain(|span, _| !out.all.contains_key(span));
    out.undoing = undoing.into_values().map(|leaf| leaf.text).collect();
    out.all.sort_by(|a, _, b, _| (&a.source.name, a.range.start).cmp(&(&b.source.name, b.range.start)));
    out
}

type Map = IndexMap<Span, Leaf>;

fn steps(list: &[Step], case: usize, out: &mut Map, undoing: &mut Map) {
    for step in list {
        asked(&step.asks, case, out);
        match &step.act {
            Act::Use { definition, .. } => steps(&definition.steps, case, out, undoing),
            Act::Parallel { branches, .. } => branches.iter().for_each(|b| steps(b, case, out, undoing)),
            _ => {}
        }
        let mut aside = IndexMap::new();
        steps(&step.undo, case, undoing, &mut aside);
        undoing.extend(aside);
    }
}

fn asked(asks: &Asks, case: usize, out: &mut Map) {
    if let Some(p) = &asks.picture {
        p.leaves(&mut |leaf| {
            let text = spoken_text(&leaf);
            add(out, &leaf.picture.span, text, leaf.within, case);
        });
    }
    for (e, span) in &asks.checks {
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

fn spoken_text(leaf: &spoken::Leaf<'_>) -> String {
    let value = one_line(source_of(leaf.picture));
    match leaf.key {
        Some(key) => format!("expect: {}: {value}", key.source()),
        None => format!("expect: {value}"),
    }
}

fn source_of(p: &Picture) -> &str {
    p.span.text()
}

fn one_line(text: &str) -> String {
    const MOST: usize = 160;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= MOST { line } else { format!("{}…", &line[..line.floor_char_boundary(MOST)]) }
}
