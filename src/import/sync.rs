//! Compares an earlier state of a plan with its document: what is new, gone, changed or moved.
use super::{
    model::{Case, Imported, Kind, Tier},
    text::words,
};
use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// Above this product of lengths, sentences are only compared for equality.
const MAX_PAIRS: usize = 40_000;
/// From this similarity on, a text is a changed one and not a new one.
const SIMILAR: f64 = 0.55;

/// The sentences of a plan as they are now.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    pub cases: Vec<ExistingCase>,
}

/// A case of the plan as it is now.
#[derive(Clone, Debug, Default)]
pub struct ExistingCase {
    pub id: String,
    pub title: String,
    pub tier: Option<Tier>,
    pub priority: Option<String>,
    pub preconditions: Vec<String>,
    pub steps: Vec<String>,
    pub expected: Vec<String>,
}

impl From<&Imported> for Existing {
    fn from(plan: &Imported) -> Existing {
        Existing { cases: plan.cases.iter().map(ExistingCase::from).collect() }
    }
}

impl From<&Case> for ExistingCase {
    fn from(case: &Case) -> ExistingCase {
        let texts = |kind| case.list(kind).iter().map(|s| s.text.clone()).collect();
        ExistingCase {
            id: case.id.clone(),
            title: case.title.clone(),
            tier: case.tier,
            priority: case.priority.clone(),
            preconditions: texts(Kind::Precondition),
            steps: texts(Kind::Step),
            expected: texts(Kind::Expected),
        }
    }
}

impl ExistingCase {
    fn list(&self, kind: Kind) -> &[String] {
        match kind {
            Kind::Precondition => &self.preconditions,
            Kind::Step => &self.steps,
            Kind::Expected => &self.expected,
            Kind::Teardown => &[],
        }
    }
}

/// All differences between a plan and its document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    pub cases: Vec<CaseChange>,
}

/// What happened to a case.
#[derive(Clone, Debug, PartialEq)]
pub enum CaseChange {
    Added {
        id: String,
        title: String,
        line: usize,
    },
    Removed {
        id: String,
        title: String,
    },
    /// The case has another id, or other contents, or both.
    Changed {
        id: String,
        was: Option<String>,
        line: usize,
        changes: Vec<Change>,
    },
}

/// A difference within a case. Lines are those of the document.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The title, tier or priority.
    Field {
        name: &'static str,
        from: String,
        to: String,
    },
    Added {
        kind: Kind,
        text: String,
        line: usize,
    },
    Removed {
        kind: Kind,
        text: String,
    },
    Changed {
        kind: Kind,
        from: String,
        to: String,
        line: usize,
    },
    /// The same words at another place, perhaps in another list.
    Moved {
        from: Kind,
        to: Kind,
        text: String,
        line: usize,
    },
}

/// Compares a plan with a reading of its document. Letter case and punctuation do not count.
pub fn sync(old: &Existing, new: &Imported) -> Changes {
    let by_id: HashMap<&str, usize> = old.cases.iter().enumerate().rev().map(|(i, c)| (c.id.as_str(), i)).collect();
    let mut pairs: Vec<Option<usize>> = new.cases.iter().map(|c| by_id.get(c.id.as_str()).copied()).collect();
    let mut used: HashSet<usize> = pairs.iter().flatten().copied().collect();
    find_renamed(old, new, &mut pairs, &mut used);
    let mut cases = Vec::new();
    for (case, pair) in new.cases.iter().zip(&pairs) {
        let Some(before) = pair.map(|i| &old.cases[i]) else {
            cases.push(CaseChange::Added { id: case.id.clone(), title: case.title.clone(), line: case.line });
            continue;
        };
        let changes = compare(before, case);
        let was = (before.id != case.id).then(|| before.id.clone());
        if was.is_some() || !changes.is_empty() {
            cases.push(CaseChange::Changed { id: case.id.clone(), was, line: case.line, changes });
        }
    }
    for (_, case) in old.cases.iter().enumerate().filter(|(i, _)| !used.contains(i)) {
        cases.push(CaseChange::Removed { id: case.id.clone(), title: case.title.clone() });
    }
    Changes { cases }
}

/// Pairs cases whose ids differ but whose words are similar: the most similar pair first.
fn find_renamed(old: &Existing, new: &Imported, pairs: &mut [Option<usize>], used: &mut HashSet<usize>) {
    let gone: Vec<usize> = (0..old.cases.len()).filter(|i| !used.contains(i)).collect();
    let fresh: Vec<usize> = (0..new.cases.len()).filter(|i| pairs[*i].is_none()).collect();
    if gone.is_empty() || fresh.is_empty() || gone.len() * fresh.len() > MAX_PAIRS {
        return;
    }
    let bag = |title: &str, lists: [Vec<&str>; 3]| -> HashSet<String> {
        words(title).chain(lists.into_iter().flatten().flat_map(words)).collect()
    };
    let texts = |list: &'_ [String]| -> Vec<String> { list.to_vec() };
    let bags_old: Vec<HashSet<String>> = gone
        .iter()
        .map(|i| {
            let c = &old.cases[*i];
            let lists = [Kind::Precondition, Kind::Step, Kind::Expected].map(|k| texts(c.list(k)));
            bag(&c.title, lists.each_ref().map(|l| l.iter().map(String::as_str).collect()))
        })
        .collect();
    let bags_new: Vec<HashSet<String>> = fresh
        .iter()
        .map(|i| {
            let c = &new.cases[*i];
            let lists = [Kind::Precondition, Kind::Step, Kind::Expected];
            bag(&c.title, lists.map(|k| c.list(k).iter().map(|s| s.text.as_str()).collect()))
        })
        .collect();
    let mut scored = Vec::new();
    for (n, here) in bags_new.iter().enumerate() {
        for (o, there) in bags_old.iter().enumerate() {
            let common = here.intersection(there).count() as f64;
            let score = 2.0 * common / (here.len() + there.len()).max(1) as f64;
            if score >= 0.6 {
                scored.push((score, n, o));
            }
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, n, o) in scored {
        if pairs[fresh[n]].is_none() && used.insert(gone[o]) {
            pairs[fresh[n]] = Some(gone[o]);
        }
    }
}

fn bare(text: &str) -> String {
    words(text).collect::<Vec<_>>().join(" ")
}

fn compare(old: &ExistingCase, new: &Case) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut field = |name, from: &str, to: &str| {
        if bare(from) != bare(to) {
            changes.push(Change::Field { name, from: from.into(), to: to.into() });
        }
    };
    field("title", &old.title, &new.title);
    if let (Some(from), Some(to)) = (old.tier, new.tier) {
        field("tier", from.as_str(), to.as_str());
    }
    if let Some(to) = &new.priority {
        field("priority", old.priority.as_deref().unwrap_or_default(), to);
    }
    // what the lists have left over may have moved from one to another
    let (mut gone, mut fresh) = (Vec::new(), Vec::new());
    for kind in [Kind::Precondition, Kind::Step, Kind::Expected] {
        compare_list(kind, old, new, &mut changes, &mut gone, &mut fresh);
    }
    for (kind, text) in gone {
        let same = fresh.iter().position(|(_, to, _): &(Kind, String, usize)| bare(to) == bare(&text));
        match same {
            Some(at) => {
                let (to, text, line) = fresh.remove(at);
                changes.push(Change::Moved { from: kind, to, text, line });
            }
            None => changes.push(Change::Removed { kind, text }),
        }
    }
    changes.extend(fresh.into_iter().map(|(kind, text, line)| Change::Added { kind, text, line }));
    changes
}

fn compare_list(
    kind: Kind,
    old: &ExistingCase,
    new: &Case,
    changes: &mut Vec<Change>,
    gone: &mut Vec<(Kind, String)>,
    fresh: &mut Vec<(Kind, String, usize)>,
) {
    let (before, after) = (old.list(kind), new.list(kind));
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (i, text) in before.iter().enumerate().rev() {
        places.entry(bare(text)).or_default().push(i);
    }
    let mut pairs: Vec<Option<usize>> =
        after.iter().map(|s| places.get_mut(&bare(&s.text)).and_then(Vec::pop)).collect();
    // pairs out of order moved
    let same: Vec<(usize, usize)> = pairs.iter().enumerate().filter_map(|(n, o)| Some((n, (*o)?))).collect();
    let kept = longest_increasing(&same.iter().map(|(_, o)| *o).collect::<Vec<_>>());
    for (i, (n, _)) in same.iter().enumerate() {
        if !kept.contains(&i) {
            let sentence = &after[*n];
            changes.push(Change::Moved { from: kind, to: kind, text: sentence.text.clone(), line: sentence.line });
        }
    }
    let mut left: Vec<usize> = {
        let used: HashSet<usize> = pairs.iter().flatten().copied().collect();
        (0..before.len()).filter(|i| !used.contains(i)).collect()
    };
    let open: Vec<usize> = (0..after.len()).filter(|i| pairs[*i].is_none()).collect();
    let mut scored = Vec::new();
    if left.len() * open.len() <= MAX_PAIRS {
        for n in &open {
            for o in &left {
                let score = similarity(&before[*o], &after[*n].text);
                if score >= SIMILAR {
                    scored.push((score, *n, *o));
                }
            }
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, n, o) in scored {
        if pairs[n].is_none() && left.contains(&o) {
            pairs[n] = Some(o);
            left.retain(|i| *i != o);
        }
    }
    for n in open {
        let sentence = &after[n];
        match pairs[n] {
            Some(o) => changes.push(Change::Changed {
                kind,
                from: before[o].clone(),
                to: sentence.text.clone(),
                line: sentence.line,
            }),
            None => fresh.push((kind, sentence.text.clone(), sentence.line)),
        }
    }
    gone.extend(left.into_iter().map(|o| (kind, before[o].clone())));
}

fn similarity(a: &str, b: &str) -> f64 {
    let (a, b) = (bare(a), bare(b));
    if a.len() > 2000 || b.len() > 2000 {
        return if a == b { 1.0 } else { strsim::sorensen_dice(&a, &b) };
    }
    strsim::normalized_levenshtein(&a, &b).max(strsim::sorensen_dice(&a, &b) - 0.1)
}

/// The positions of a longest increasing subsequence.
fn longest_increasing(values: &[usize]) -> HashSet<usize> {
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; values.len()];
    for (i, value) in values.iter().enumerate() {
        let at = tails.partition_point(|t| values[*t] < *value);
        before[i] = at.checked_sub(1).map(|p| tails[p]);
        if at == tails.len() {
            tails.push(i);
        } else {
            tails[at] = i;
        }
    }
    let mut kept = HashSet::new();
    let mut next = tails.last().copied();
    while let Some(i) = next {
        kept.insert(i);
        next = before[i];
    }
    kept
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.cases.is_empty() {
            return writeln!(f, "no changes");
        }
        for case in &self.cases {
            match case {
                CaseChange::Added { id, title, line } => writeln!(f, "new case {id}: {title} (line {line})")?,
                CaseChange::Removed { id, title } => writeln!(f, "removed case {id}: {title}")?,
                CaseChange::Changed { id, was, line, changes } => {
                    match was {
                        Some(was) => writeln!(f, "case {was} is now {id} (line {line})")?,
                        None => writeln!(f, "case {id} (line {line})")?,
                    }
                    changes.iter().try_for_each(|change| write!(f, "{change}"))?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Change::Field { name, from, to } if from.is_empty() => writeln!(f, "  {name}: {to}"),
            Change::Field { name, from, to } => writeln!(f, "  {name}: {from} -> {to}"),
            Change::Added { kind, text, line } => {
                writeln!(f, "  new {} (line {line})\n    + {}", kind.noun(), text.trim())
            }
            Change::Removed { kind, text } => writeln!(f, "  removed {}\n    - {}", kind.noun(), text.trim()),
            Change::Changed { kind, from, to, line } => {
                writeln!(f, "  changed {} (line {line})\n    - {}\n    + {}", kind.noun(), from.trim(), to.trim())
            }
            Change::Moved { from, to, text, line } if from == to => {
                writeln!(f, "  moved {} (line {line})\n      {}", to.noun(), text.trim())
            }
            Change::Moved { from, to, text, line } => {
                writeln!(f, "  {} is now a {} (line {line})\n      {}", from.noun(), to.noun(), text.trim())
            }
        }
    }
}
