//! Mutations of one field: their kinds, and how each changes a value. Depends on values and on the literals that
//! assertions mention, but not on runs or plans.
use super::path::{Edit, FieldPath, PathStep, inserted, replaced, string_paths};
use crate::{
    expr::ReferencedLiterals,
    value::{Value, is_rfc3339},
};
use jiff::{SignedDuration, Timestamp};
use std::{borrow::Cow, cmp::Reverse};

#[derive(Clone, Debug, PartialEq)]
pub enum Mutation {
    Dropped,
    Null,
    OtherType,
    Plus,
    Minus,
    FarMore,
    FarLess,
    /// An HTTP status of another class.
    OtherClass(i64),
    NumberIs(i64),
    Flipped,
    TextChanged,
    TextEmptied,
    TextIs(String),
    GainsSecret(String),
    GainsTrace,
    /// Appends texts that the assertions mention.
    GainsMentioned(String),
    /// Removes a text that the assertions mention.
    Loses(String),
    /// Removes all matches of a regular expression of the assertions.
    LosesMatch(String),
    Earlier,
    Later,
    Emptied,
    Shortened,
    Doubled,
    Reordered,
    Added(Vec<Value>),
    FieldAdded(Vec<String>),
    /// The observed object does not exist.
    Missing,
    /// An earlier response to the same request.
    Stale,
    /// The request was sent, and nothing came back.
    NoResponse,
    /// Nothing of a text or list was received, as of an empty log.
    Partial,
}

impl Mutation {
    /// The kind in a few words. Baseline files contain it, so it is the same in every run.
    pub fn label(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Mutation::Loses(text) => return format!("without `{text}`").into(),
            Mutation::LosesMatch(pattern) => return format!("without what matches `{pattern}`").into(),
            Mutation::Dropped => "dropped",
            Mutation::Null => "null",
            Mutation::OtherType => "other type",
            Mutation::Plus => "one more",
            Mutation::Minus => "one less",
            Mutation::FarMore => "far more",
            Mutation::FarLess => "far less",
            Mutation::OtherClass(_) => "status of another class",
            Mutation::NumberIs(_) => "another number",
            Mutation::Flipped => "flipped",
            Mutation::TextChanged => "text changed",
            Mutation::TextEmptied => "text emptied",
            Mutation::TextIs(_) => "another text",
            Mutation::GainsSecret(_) => "gains a secret",
            Mutation::GainsTrace => "gains a stack trace",
            Mutation::GainsMentioned(_) => "gains mentioned text",
            Mutation::Earlier => "an hour earlier",
            Mutation::Later => "an hour later",
            Mutation::Emptied => "list emptied",
            Mutation::Shortened => "list shortened",
            Mutation::Doubled => "list doubled",
            Mutation::Reordered => "list reordered",
            Mutation::Added(_) => "element added",
            Mutation::FieldAdded(_) => "field added",
            Mutation::Missing => "object missing",
            Mutation::Stale => EARLIER_RESPONSE,
            Mutation::NoResponse => "no response",
            Mutation::Partial => "partial",
        })
    }

    /// The label, or the new value where that is more precise.
    pub fn describe(&self) -> String {
        match self {
            Mutation::OtherClass(n) => format!("status {n}"),
            Mutation::NumberIs(n) => format!("replaced by {n}"),
            Mutation::TextIs(t) => format!("replaced by `{}`", t.replace('`', "'")),
            Mutation::FieldAdded(names) => format!("field added: {}", names.join(", ")),
            other => other.label().into_owned(),
        }
    }
}

pub const EARLIER_RESPONSE: &str = "earlier response";

/// Stack traces as five languages print them.
pub const STACK_TRACES: &str = "\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:42 +0x1d\n\
    thread 'main' panicked at src/main.rs:7:9:\nstack backtrace:\n   0: rust_begin_unwind\n\
    Traceback (most recent call last):\n  File \"/app/main.py\", line 3, in <module>\n\
    Exception in thread \"main\" java.lang.NullPointerException\n\tat com.example.Main.main(Main.java:5)\n\
    TypeError: x is not a function\n    at handler (/app/index.js:12:3)\n";

/// The reason in mutants without a response or a part of it.
pub const NOT_RECEIVED: &str = "not received in this mutant";

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Added and subtracted by `FarMore` and `FarLess`: more than any limit in a plan.
const FAR: i64 = 1_000_000_007;

/// Applies a mutation to a value; `n` makes the new values of several fields differ.
pub fn mutate(mutation: &Mutation, v: &Value, n: usize) -> Edit {
    use Mutation as M;
    let new = match (mutation, v) {
        (M::Dropped, _) => return Edit::Removed,
        (M::Null, Value::Null) => return Edit::Unchanged,
        (M::Null, _) => Value::Null,
        (M::OtherType, _) => other_type(v),
        (M::Plus, Value::Int(i)) => Value::Int(i.saturating_add(1 + n as i64)),
        (M::Minus, Value::Int(i)) => Value::Int(i.saturating_sub(1 + n as i64)),
        (M::FarMore, Value::Int(i)) => Value::Int(i.saturating_add(FAR + n as i64)),
        (M::FarLess, Value::Int(i)) => Value::Int(i.saturating_sub(FAR + n as i64)),
        (M::Plus, Value::Float(f)) => Value::Float(f + 1.0 + n as f64),
        (M::Minus, Value::Float(f)) => Value::Float(f - 1.0 - n as f64),
        (M::OtherClass(c), Value::Int(i)) if (100..600).contains(i) && i / 100 != c / 100 => Value::Int(*c),
        (M::NumberIs(c), Value::Int(i)) if i != c => Value::Int(*c),
        (M::Flipped, Value::Bool(b)) => Value::Bool(!b),
        (M::TextChanged, Value::Text(_)) => format!("changed{n}").into(),
        (M::TextEmptied, Value::Text(t)) if !t.is_empty() => Value::text(""),
        (M::TextIs(new), Value::Text(t)) if **t != **new => Value::text(new),
        (M::GainsSecret(more) | M::GainsMentioned(more), Value::Text(t)) if !more.is_empty() => {
            format!("{t}\n{more}").into()
        }
        (M::Loses(piece), Value::Text(t)) if t.contains(piece.as_str()) => t.replace(piece.as_str(), "").into(),
        (M::LosesMatch(pattern), Value::Text(t)) => match regex::Regex::new(pattern) {
            Ok(r) if r.is_match(t) => r.replace_all(t, "").into_owned().into(),
            _ => return Edit::Unchanged,
        },
        (M::GainsTrace, Value::Text(t)) => format!("{t}{STACK_TRACES}").into(),
        (M::Earlier, v) => return shifted(v, -HOUR).map_or(Edit::Unchanged, Edit::Replaced),
        (M::Later, v) => return shifted(v, HOUR).map_or(Edit::Unchanged, Edit::Replaced),
        (M::Emptied, Value::List(l)) if !l.is_empty() => Value::list(vec![]),
        (M::Shortened, Value::List(l)) if l.len() > 1 => Value::list(l[..l.len() - 1].to_vec()),
        (M::Doubled, Value::List(l)) if !l.is_empty() => l.iter().chain(l.iter()).cloned().collect::<Vec<_>>().into(),
        (M::Reordered, Value::List(l)) if l.iter().zip(l.iter().rev()).any(|(a, b)| a != b) => {
            l.iter().rev().cloned().collect::<Vec<_>>().into()
        }
        (M::Added(more), Value::List(l)) if !more.is_empty() => {
            l.iter().chain(more).cloned().collect::<Vec<_>>().into()
        }
        (M::Partial, Value::Text(_)) => Value::partial("".into(), NOT_RECEIVED),
        (M::Partial, Value::List(_)) => Value::partial(Value::list(vec![]), NOT_RECEIVED),
        (M::FieldAdded(names), Value::Map(m)) => {
            let mut map = (**m).clone();
            names.iter().for_each(|name| {
                map.entry(name.clone()).or_insert_with(|| "added".into());
            });
            if map.len() == m.len() {
                return Edit::Unchanged;
            }
            Value::from(map)
        }
        _ => return Edit::Unchanged,
    };
    Edit::Replaced(new)
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

/// Shifts a time, a duration or a string in RFC 3339; `None` for any other value.
pub fn shifted(v: &Value, by: SignedDuration) -> Option<Value> {
    match v {
        Value::Time(t) => t.checked_add(by).ok().map(Value::Time),
        Value::Duration(d) => d.checked_add(by).map(Value::Duration),
        Value::Text(s) if is_rfc3339(s) => {
            let t: Timestamp = s.parse().ok()?;
            Some(t.checked_add(by).ok()?.to_string().into())
        }
        _ => None,
    }
}

/// The mutations that do not depend on assertions. [`mutate`] leaves a value unchanged if the mutation does not fit it.
pub fn general_mutations(secrets: &str) -> Vec<Mutation> {
    vec![
        Mutation::Dropped,
        Mutation::Null,
        Mutation::OtherType,
        Mutation::TextChanged,
        Mutation::TextEmptied,
        Mutation::Plus,
        Mutation::Minus,
        Mutation::FarMore,
        Mutation::FarLess,
        Mutation::Flipped,
        Mutation::Earlier,
        Mutation::Later,
        Mutation::Emptied,
        Mutation::Shortened,
        Mutation::Doubled,
        Mutation::Reordered,
        Mutation::Partial,
        Mutation::GainsSecret(secrets.to_string()),
        Mutation::GainsTrace,
    ]
}

/// Largest number of mentioned texts and numbers that replace a value.
const MAX_TEXTS: usize = 32;
const MAX_NUMBERS: usize = 8;

/// The mutations of a value that depend on what the assertions mention.
pub fn mutations_for(v: &Value, mentioned: &ReferencedLiterals) -> Vec<Mutation> {
    match v {
        Value::Text(_) => {
            let mut out: Vec<_> = mentioned.texts.iter().take(MAX_TEXTS).cloned().map(Mutation::TextIs).collect();
            out.push(Mutation::GainsMentioned(mentioned_text(mentioned)));
            out.extend(mentioned.literals.iter().cloned().map(Mutation::Loses));
            out.extend(mentioned.patterns.iter().cloned().map(Mutation::LosesMatch));
            out
        }
        Value::Int(_) => mentioned.numbers.iter().take(MAX_NUMBERS).copied().map(Mutation::NumberIs).collect(),
        Value::List(l) => additional_elements(l, mentioned).into_iter().map(Mutation::Added).collect(),
        Value::Map(_) => vec![Mutation::FieldAdded(additional_fields(mentioned))],
        _ => vec![],
    }
}

/// Every text that the assertions mention or match, each on a line of its own.
pub fn mentioned_text(mentioned: &ReferencedLiterals) -> String {
    mentioned.texts.iter().chain(&mentioned.matching).cloned().collect::<Vec<_>>().join("\n")
}

pub fn additional_fields(mentioned: &ReferencedLiterals) -> Vec<String> {
    mentioned.fields.iter().cloned().chain(["added".to_string()]).collect()
}

/// Largest number of elements that are copied, and of texts that are combined in pairs.
const MAX_COPIES: usize = 6;
const MAX_PAIRED: usize = 20;

/// Lists of elements to add to `list`: mentioned texts and numbers; copies of elements, with a mentioned text in one
/// field; and for an empty list, elements with the fields that the assertions read.
pub fn additional_elements(list: &[Value], mentioned: &ReferencedLiterals) -> Vec<Vec<Value>> {
    let texts: Vec<Value> = mentioned.texts.iter().take(MAX_TEXTS).map(Value::text).collect();
    let mut out = vec![];
    if list.first().is_none_or(|v| !matches!(v, Value::Map(_))) {
        let mut all = texts.clone();
        all.extend(mentioned.numbers.iter().take(MAX_NUMBERS).map(|n| Value::Int(*n)));
        all.push(Value::text("added"));
        out.push(all);
    }
    if let Some(Value::Map(_)) = list.first() {
        // the order of elements may differ from run to run, so those with the most mentioned texts are copied
        let mut bases: Vec<&Value> = list.iter().collect();
        bases.sort_by_cached_key(|base| Reverse(texts.iter().filter(|t| contains(base, t)).count()));
        bases.truncate(MAX_COPIES);
        for path in string_paths(bases[0]) {
            let copies = bases.iter().flat_map(|base| texts.iter().filter_map(|t| replaced(base, &path, t)));
            out.push(copies.collect());
        }
    }
    for read in mentioned.elements.iter().filter(|_| list.is_empty()) {
        let paths: Vec<FieldPath> = read.iter().map(|p| p.iter().cloned().map(PathStep::Key).collect()).collect();
        let empty = Value::Map(Default::default());
        out.push(match &paths[..] {
            [] => continue,
            [a, b] => {
                let texts = &texts[..texts.len().min(MAX_PAIRED)];
                let pairs = texts.iter().flat_map(|t| texts.iter().map(move |u| (t, u)));
                pairs.filter_map(|(t, u)| inserted(&inserted(&empty, a, t)?, b, u)).collect()
            }
            all => {
                let with = |t| all.iter().try_fold(empty.clone(), |v, path| inserted(&v, path, t));
                texts.iter().filter_map(with).collect()
            }
        });
    }
    if list.is_empty() {
        out.push(vec![Value::map([("added".to_string(), "added".into())])]);
    }
    out.retain(|l: &Vec<Value>| !l.is_empty());
    out
}

/// Whether `text` is a value somewhere in `v`.
fn contains(v: &Value, text: &Value) -> bool {
    match v {
        Value::Map(m) => m.values().any(|v| contains(v, text)),
        Value::List(l) => l.iter().any(|v| contains(v, text)),
        v => v == text,
    }
}
