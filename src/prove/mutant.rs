//! One observation changed in one way. Pure: it knows values and what questions speak of, and neither runs nor plans.
use crate::{
    expr::ReferencedLiterals,
    value::{Map, Value},
};
use jiff::SignedDuration;
use std::borrow::Cow;

/// A step from a value to one within it; all elements of a list are one step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    Key(String),
    Each,
}

/// The way to a field, without the numbers of elements.
pub type Way = Vec<Step>;

/// `body.errors[].name`; the observation itself is `(all of it)`.
pub fn shown(way: &[Step]) -> String {
    let mut out = String::new();
    for step in way {
        match step {
            Step::Each => out.push_str("[]"),
            Step::Key(k) if k.is_empty() || k.contains(['.', '[', ']', ' ', '`']) => {
                out.push_str(&format!("[{}]", serde_json::Value::from(k.as_str())));
            }
            Step::Key(k) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(k);
            }
        }
    }
    if out.is_empty() { "(all of it)".into() } else { out }
}

/// How a field is changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Dropped,
    Null,
    OtherType,
    Plus,
    Minus,
    FarMore,
    FarLess,
    /// A status of another class.
    OtherClass(i64),
    NumberIs(i64),
    Flipped,
    TextChanged,
    TextEmptied,
    /// A text that the questions speak of.
    TextIs(String),
    GainsSecret(String),
    GainsTrace,
    /// Texts that the questions speak of.
    GainsSpoken(String),
    /// Without a text that stands in a question, or what its regular expression matches.
    Loses(String),
    LosesMatch(String),
    Earlier,
    Later,
    Emptied,
    Shortened,
    Doubled,
    Reordered,
    /// Elements that the questions speak of.
    Added(Vec<Value>),
    FieldAdded(Vec<String>),
    /// The object of the observation is not there.
    Missing,
    /// What the same request was answered with before.
    Stale,
}

impl Kind {
    /// The same from run to run, for the file of guards.
    pub fn word(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Kind::Loses(text) => return format!("without `{text}`").into(),
            Kind::LosesMatch(pattern) => return format!("without what matches `{pattern}`").into(),
            Kind::Dropped => "dropped",
            Kind::Null => "null",
            Kind::OtherType => "other type",
            Kind::Plus => "one more",
            Kind::Minus => "one less",
            Kind::FarMore => "far more",
            Kind::FarLess => "far less",
            Kind::OtherClass(_) => "status of another class",
            Kind::NumberIs(_) => "another number",
            Kind::Flipped => "flipped",
            Kind::TextChanged => "text changed",
            Kind::TextEmptied => "text emptied",
            Kind::TextIs(_) => "another text",
            Kind::GainsSecret(_) => "gains a secret",
            Kind::GainsTrace => "gains a stack trace",
            Kind::GainsSpoken(_) => "gains what the plan speaks of",
            Kind::Earlier => "an hour earlier",
            Kind::Later => "an hour later",
            Kind::Emptied => "list emptied",
            Kind::Shortened => "list shortened",
            Kind::Doubled => "list doubled",
            Kind::Reordered => "list reordered",
            Kind::Added(_) => "element added",
            Kind::FieldAdded(_) => "field added",
            Kind::Missing => "object missing",
            Kind::Stale => "earlier answer",
        })
    }

    /// For people, with what it was changed to where that says something.
    pub fn sentence(&self) -> String {
        match self {
            Kind::OtherClass(n) => format!("status {n}"),
            Kind::NumberIs(n) => format!("replaced by {n}"),
            Kind::TextIs(t) => format!("replaced by `{}`", t.replace('`', "'")),
            Kind::FieldAdded(names) => format!("field added: {}", names.join(", ")),
            other => other.word().into_owned(),
        }
    }
}

/// What became of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum New {
    Same,
    Put(Value),
    Gone,
}

/// How many values a way leads to.
pub fn count(v: &Value, way: &[Step]) -> usize {
    match way.split_first() {
        None => 1,
        Some((Step::Key(k), rest)) => v.get(k).map_or(0, |v| count(v, rest)),
        Some((Step::Each, rest)) => v.as_list().map_or(0, |l| l.iter().map(|v| count(v, rest)).sum()),
    }
}

/// The first value that a way leads to.
pub fn first<'v>(v: &'v Value, way: &[Step]) -> Option<&'v Value> {
    match way.split_first() {
        None => Some(v),
        Some((Step::Key(k), rest)) => first(v.get(k)?, rest),
        Some((Step::Each, rest)) => v.as_list()?.iter().find_map(|v| first(v, rest)),
    }
}

/// `f` is given each value that the way leads to, and its number. `Same` where nothing changed.
pub fn edit(v: &Value, way: &[Step], n: &mut usize, f: &mut dyn FnMut(&Value, usize) -> New) -> New {
    match way.split_first() {
        None => {
            *n += 1;
            f(v, *n - 1)
        }
        Some((Step::Key(k), rest)) => {
            let (Some(map), Some(inner)) = (v.as_map(), v.get(k)) else { return New::Same };
            match edit(inner, rest, n, f) {
                New::Same => New::Same,
                New::Put(new) => {
                    let mut map = map.clone();
                    map.insert(k.clone(), new);
                    New::Put(Value::from(map))
                }
                New::Gone => {
                    let mut map = map.clone();
                    map.shift_remove(k);
                    New::Put(Value::from(map))
                }
            }
        }
        Some((Step::Each, rest)) => {
            let Some(list) = v.as_list() else { return New::Same };
            let mut changed = false;
            let mut out = Vec::with_capacity(list.len());
            for item in list {
                match edit(item, rest, n, f) {
                    New::Same => out.push(item.clone()),
                    New::Put(new) => {
                        changed = true;
                        out.push(new);
                    }
                    New::Gone => changed = true,
                }
            }
            if changed { New::Put(Value::list(out)) } else { New::Same }
        }
    }
}

/// Stack traces as five languages print them.
pub const TRACES: &str = "\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:42 +0x1d\n\
    thread 'main' panicked at src/main.rs:7:9:\nstack backtrace:\n   0: rust_begin_unwind\n\
    Traceback (most recent call last):\n  File \"/app/main.py\", line 3, in <module>\n\
    Exception in thread \"main\" java.lang.NullPointerException\n\tat com.example.Main.main(Main.java:5)\n\
    TypeError: x is not a function\n    at handler (/app/index.js:12:3)\n";

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Further than any limit that a plan knows.
const FAR: i64 = 1_000_000_007;

/// The value, changed; `n` makes the changes of several values differ.
pub fn change(kind: &Kind, v: &Value, n: usize) -> New {
    let put = |v: Value| New::Put(v);
    match (kind, v) {
        (Kind::Dropped, _) => New::Gone,
        (Kind::Null, Value::Null) => New::Same,
        (Kind::Null, _) => put(Value::Null),
        (Kind::OtherType, _) => put(other_type(v)),
        (Kind::Plus, Value::Int(i)) => put(Value::Int(i.saturating_add(1 + n as i64))),
        (Kind::Minus, Value::Int(i)) => put(Value::Int(i.saturating_sub(1 + n as i64))),
        (Kind::FarMore, Value::Int(i)) => put(Value::Int(i.saturating_add(FAR + n as i64))),
        (Kind::FarLess, Value::Int(i)) => put(Value::Int(i.saturating_sub(FAR + n as i64))),
        (Kind::Plus, Value::Float(f)) => put(Value::Float(f + 1.0 + n as f64)),
        (Kind::Minus, Value::Float(f)) => put(Value::Float(f - 1.0 - n as f64)),
        (Kind::OtherClass(c), Value::Int(i)) if (100..600).contains(i) && i / 100 != c / 100 => put(Value::Int(*c)),
        (Kind::NumberIs(c), Value::Int(i)) if i != c => put(Value::Int(*c)),
        (Kind::Flipped, Value::Bool(b)) => put(Value::Bool(!b)),
        (Kind::TextChanged, Value::Text(_)) => put(Value::from(format!("changed{n}"))),
        (Kind::TextEmptied, Value::Text(t)) if !t.is_empty() => put(Value::text("")),
        (Kind::TextIs(new), Value::Text(t)) if **t != **new => put(Value::text(new)),
        (Kind::GainsSecret(more) | Kind::GainsSpoken(more), Value::Text(t)) if !more.is_empty() => {
            put(Value::from(format!("{t}\n{more}")))
        }
        (Kind::Loses(piece), Value::Text(t)) if t.contains(piece.as_str()) => put(t.replace(piece.as_str(), "").into()),
        (Kind::LosesMatch(pattern), Value::Text(t)) => match regex::Regex::new(pattern) {
            Ok(r) if r.is_match(t) => put(r.replace_all(t, "").into_owned().into()),
            _ => New::Same,
        },
        (Kind::GainsTrace, Value::Text(t)) => put(Value::from(format!("{t}{TRACES}"))),
        (Kind::Earlier, v) => shifted(v, -HOUR).map_or(New::Same, New::Put),
        (Kind::Later, v) => shifted(v, HOUR).map_or(New::Same, New::Put),
        (Kind::Emptied, Value::List(l)) if !l.is_empty() => put(Value::list(vec![])),
        (Kind::Shortened, Value::List(l)) if l.len() > 1 => put(Value::list(l[..l.len() - 1].to_vec())),
        (Kind::Doubled, Value::List(l)) if !l.is_empty() => {
            put(l.iter().chain(l.iter()).cloned().collect::<Vec<_>>().into())
        }
        (Kind::Reordered, Value::List(l)) if l.iter().zip(l.iter().rev()).any(|(a, b)| a != b) => {
            put(l.iter().rev().cloned().collect::<Vec<_>>().into())
        }
        (Kind::Added(more), Value::List(l)) if !more.is_empty() => {
            put(l.iter().chain(more).cloned().collect::<Vec<_>>().into())
        }
        (Kind::FieldAdded(names), Value::Map(m)) => {
            let mut map = (**m).clone();
            names.iter().for_each(|name| {
                map.entry(name.clone()).or_insert_with(|| "added".into());
            });
            if map.len() > m.len() { put(Value::from(map)) } else { New::Same }
        }
        _ => New::Same,
    }
}

fn other_type(v: &Value) -> Value {
    match v {
        Value::Text(_) => Value::Int(7),
        Value::List(_) => Value::Map(Default::default()),
        Value::Map(_) => Value::list(vec![]),
        Value::Null => "changed".into(),
        other => other.to_string().into(),
    }
}

/// A time, a duration, or a text that is a time.
pub fn shifted(v: &Value, by: SignedDuration) -> Option<Value> {
    match v {
        Value::Time(t) => t.checked_add(by).ok().map(Value::Time),
        Value::Duration(d) => d.checked_add(by).map(Value::Duration),
        // as another writer would have written it: the same form, another hour
        Value::Text(s) if s.len() >= 20 && s.as_bytes()[4] == b'-' => {
            let t: jiff::Timestamp = s.parse().ok()?;
            Some(t.checked_add(by).ok()?.to_string().into())
        }
        _ => None,
    }
}

/// The kinds that are tried on a field whatever the questions speak of; those that do not fit its value change nothing.
pub fn plain(secrets: &str) -> Vec<Kind> {
    vec![
        Kind::Dropped,
        Kind::Null,
        Kind::OtherType,
        Kind::TextChanged,
        Kind::TextEmptied,
        Kind::Plus,
        Kind::Minus,
        Kind::FarMore,
        Kind::FarLess,
        Kind::Flipped,
        Kind::Earlier,
        Kind::Later,
        Kind::Emptied,
        Kind::Shortened,
        Kind::Doubled,
        Kind::Reordered,
        Kind::GainsSecret(secrets.to_string()),
        Kind::GainsTrace,
    ]
}

/// As many texts and numbers are put in location of a field.
const TEXTS: usize = 32;
const NUMBERS: usize = 8;

/// The kinds that depend on what the questions speak of, for a field that has this value.
pub fn spoken(v: &Value, said: &ReferencedLiterals) -> Vec<Kind> {
    match v {
        Value::Text(_) => {
            let mut out: Vec<Kind> = said.texts.iter().take(TEXTS).cloned().map(Kind::TextIs).collect();
            out.push(Kind::GainsSpoken(pieces(said)));
            out.extend(said.literals.iter().cloned().map(Kind::Loses));
            out.extend(said.patterns.iter().cloned().map(Kind::LosesMatch));
            out
        }
        Value::Int(_) => said.numbers.iter().take(NUMBERS).copied().map(Kind::NumberIs).collect(),
        Value::List(l) => elements(l, said).into_iter().map(Kind::Added).collect(),
        Value::Map(_) => vec![Kind::FieldAdded(fields(said))],
        _ => vec![],
    }
}

/// Everything that questions speak of, in one text, each on a line of its own.
pub fn pieces(said: &ReferencedLiterals) -> String {
    said.texts.iter().chain(&said.matching).cloned().collect::<Vec<_>>().join("\n")
}

fn fields(said: &ReferencedLiterals) -> Vec<String> {
    said.fields.iter().cloned().chain(["added".to_string()]).collect()
}

/// As many elements are copied, those first in which the most spoken texts stand; and as many texts are paired.
const COPIES: usize = 6;
const PAIRS: usize = 20;
/// When everything grows at once, every list by as many elements at most.
const GROWN: usize = 400;

/// Lists of elements to add: plain texts and numbers; copies with a field that is spoken of; and where there is nothing to copy,
/// elements of what is read of them.
fn elements(list: &[Value], said: &ReferencedLiterals) -> Vec<Vec<Value>> {
    let texts: Vec<Value> = said.texts.iter().take(TEXTS).map(Value::text).collect();
    let mut out = vec![];
    let plain = list.first().is_none_or(|v| !matches!(v, Value::Map(_)));
    if plain {
        let mut all = texts.clone();
        all.extend(said.numbers.iter().take(NUMBERS).map(|n| Value::Int(*n)));
        all.push(Value::text("added"));
        out.push(all);
    }
    if let Some(Value::Map(_)) = list.first() {
        // which elements come first may differ from run to run; those that the questions are about are noticed in each
        let mut bases: Vec<&Value> = list.iter().collect();
        bases.sort_by_cached_key(|base| std::cmp::Reverse(texts.iter().filter(|t| holds(base, t)).count()));
        bases.truncate(COPIES);
        for way in texts_of(bases[0]) {
            let copies = bases.iter().flat_map(|base| texts.iter().filter_map(|t| put(base, &way, t)));
            out.push(copies.collect());
        }
    }
    for read in said.elements.iter().filter(|_| list.is_empty()) {
        let ways: Vec<Way> = read.iter().map(|p| p.iter().cloned().map(Step::Key).collect()).collect();
        let empty = Value::Map(Default::default());
        out.push(match &ways[..] {
            [] => continue,
            [a, b] => {
                let texts = &texts[..texts.len().min(PAIRS)];
                let pairs = texts.iter().flat_map(|t| texts.iter().map(move |u| (t, u)));
                pairs.filter_map(|(t, u)| grown(&grown(&empty, a, t)?, b, u)).collect()
            }
            all => {
                texts.iter().filter_map(|t| all.iter().try_fold(empty.clone(), |v, way| grown(&v, way, t))).collect()
            }
        });
    }
    if list.is_empty() {
        out.push(vec![Value::map([("added".to_string(), "added".into())])]);
    }
    out.retain(|l: &Vec<Value>| !l.is_empty());
    out
}

/// Whether a text stands anywhere in a value, by itself.
fn holds(v: &Value, text: &Value) -> bool {
    match v {
        Value::Map(m) => m.values().any(|v| holds(v, text)),
        Value::List(l) => l.iter().any(|v| holds(v, text)),
        v => v == text,
    }
}

/// The ways to the texts of an element, lists within it aside.
fn texts_of(v: &Value) -> Vec<Way> {
    fn walk(v: &Value, at: &Way, out: &mut Vec<Way>) {
        match v {
            Value::Text(_) => out.push(at.clone()),
            Value::Map(m) => m.iter().for_each(|(k, v)| {
                let mut at = at.clone();
                at.push(Step::Key(k.clone()));
                walk(v, &at, out);
            }),
            _ => {}
        }
    }
    let mut out = vec![];
    walk(v, &vec![], &mut out);
    out
}

fn put(v: &Value, way: &[Step], new: &Value) -> Option<Value> {
    match edit(v, way, &mut 0, &mut |_, _| New::Put(new.clone())) {
        New::Put(v) => Some(v),
        _ => None,
    }
}

/// Like [`put`], making the maps on the way.
fn grown(v: &Value, way: &[Step], new: &Value) -> Option<Value> {
    let Some((Step::Key(k), rest)) = way.split_first() else { return way.is_empty().then(|| new.clone()) };
    let mut map: Map = v.as_map()?.clone();
    let inner = map.get(k).cloned().unwrap_or_else(|| Value::Map(Default::default()));
    map.insert(k.clone(), grown(&inner, rest, new)?);
    Some(Value::from(map))
}

/// Everything under a value disturbed at once, in one of several manners: if nobody notices any, nobody looks there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    Gone,
    Other,
    More,
    Less,
}

pub const MANNERS: [Manner; 4] = [Manner::Gone, Manner::Other, Manner::More, Manner::Less];

/// What is added to texts when everything grows.
pub struct Growth<'a> {
    pub text: &'a str,
    pub said: &'a ReferencedLiterals,
}

pub fn disturbed(v: &Value, manner: Manner, growth: &Growth<'_>, n: &mut usize) -> New {
    if manner == Manner::Gone {
        return New::Gone;
    }
    let kinds: &[Kind] = match (manner, v) {
        (Manner::Other, Value::Text(_)) if shifted(v, HOUR).is_some() => &[Kind::Later],
        (Manner::Other, _) => &[Kind::TextChanged, Kind::Plus, Kind::Flipped, Kind::Later],
        (_, _) => &[Kind::TextEmptied, Kind::FarMore, Kind::Earlier],
    };
    match v {
        Value::Map(m) => {
            let mut map: Map = m.iter().map(|(k, v)| (k.clone(), settled(v, manner, growth, n))).collect();
            if manner == Manner::More {
                fields(growth.said).into_iter().for_each(|f| {
                    map.entry(f).or_insert_with(|| "added".into());
                });
            }
            New::Put(Value::from(map))
        }
        Value::List(l) => {
            let mut list: Vec<Value> = l.iter().map(|v| settled(v, manner, growth, n)).collect();
            if manner == Manner::More {
                list.extend(elements(l, growth.said).into_iter().flatten().take(GROWN));
            }
            New::Put(Value::list(list))
        }
        Value::Text(t) if manner == Manner::More => New::Put(Value::from(format!("{t}\n{}", growth.text))),
        Value::Null => New::Put(Value::text("changed")),
        v => {
            *n += 1;
            kinds.iter().map(|k| change(k, v, *n)).find(|new| *new != New::Same).unwrap_or(New::Same)
        }
    }
}

fn settled(v: &Value, manner: Manner, growth: &Growth<'_>, n: &mut usize) -> Value {
    match disturbed(v, manner, growth, n) {
        New::Put(new) => new,
        _ => v.clone(),
    }
}
