//! The literals and fields that an assertion refers to. Mutation testing puts them into outputs, because they may
//! change the result of the assertion. An assertion is a check or a leaf of a pattern.
use super::{
    cel::EvalError,
    pattern::{Matcher, Pattern},
    sample,
    scope::Scope,
    template::Template,
};
use crate::{source::Span, value::Value};
use indexmap::IndexSet;

const MAX_TEXT_BYTES: usize = 200;
const MAX_PER_KIND: usize = 48;

#[derive(Clone, Debug, Default)]
pub struct ReferencedLiterals {
    pub texts: IndexSet<String>,
    /// The texts that are written in the plan, and so are the same in every run.
    pub literals: IndexSet<String>,
    /// Regular expressions.
    pub patterns: IndexSet<String>,
    pub numbers: IndexSet<i64>,
    /// Strings that its regular expressions match.
    pub matching: IndexSet<String>,
    /// Fields that may be absent.
    pub fields: IndexSet<String>,
    /// For each list that it iterates over: the field paths that it reads from an element.
    pub elements: IndexSet<Vec<Vec<String>>>,
}

impl ReferencedLiterals {
    pub fn text(&mut self, text: &str) {
        if !text.is_empty() && text.len() <= MAX_TEXT_BYTES && self.texts.len() < MAX_PER_KIND {
            self.texts.insert(text.to_string());
        }
    }

    pub fn literal(&mut self, text: &str) {
        self.text(text);
        if self.texts.contains(text) {
            self.literals.insert(text.to_string());
        }
    }

    pub fn number(&mut self, n: i64) {
        if self.numbers.len() < MAX_PER_KIND {
            self.numbers.insert(n);
        }
    }

    pub fn pattern(&mut self, pattern: &str) {
        self.patterns.insert(pattern.to_string());
        let room = MAX_PER_KIND.saturating_sub(self.matching.len());
        self.matching.extend(sample::matching_strings(pattern).into_iter().take(room));
    }

    /// Adds the texts and numbers of a value that the assertion compares with.
    pub fn value(&mut self, v: &Value) {
        match v {
            Value::Text(t) => self.text(t),
            Value::Int(n) => self.number(*n),
            Value::List(l) => l.iter().for_each(|v| self.value(v)),
            Value::Map(m) => m.values().for_each(|v| self.value(v)),
            _ => {}
        }
    }

    pub fn join(&mut self, other: &ReferencedLiterals) {
        self.texts.extend(other.texts.iter().cloned());
        self.literals.extend(other.literals.iter().cloned());
        self.patterns.extend(other.patterns.iter().cloned());
        self.numbers.extend(&other.numbers);
        self.matching.extend(other.matching.iter().cloned());
        self.fields.extend(other.fields.iter().cloned());
        self.elements.extend(other.elements.iter().cloned());
    }
}

/// A scalar or a matcher of a pattern.
pub struct Leaf<'p> {
    pub pattern: &'p Pattern,
    /// The key above it.
    pub key: Option<&'p Template>,
    /// The list matcher around it, which decides whether it is evaluated.
    pub within: Option<&'p Span>,
}

impl Pattern {
    pub fn leaves<'p>(&'p self, each: &mut dyn FnMut(Leaf<'p>)) {
        self.leaves_under(None, None, each);
    }

    /// Spans of the maps and lists around leaves: what is reported if such a map or list is missing.
    pub fn branches(&self, each: &mut dyn FnMut(&Span)) {
        let inner = self.inner();
        match &self.matcher {
            Matcher::Map(_) | Matcher::List(_) if !inner.is_empty() => each(&self.span),
            Matcher::All(_) | Matcher::Set(_) | Matcher::Contains(_) | Matcher::Each(_) => {}
            _ => return,
        }
        inner.into_iter().for_each(|p| p.branches(each));
    }

    fn leaves_under<'p>(&'p self, key: Option<&'p Template>, within: Option<&'p Span>, each: &mut dyn FnMut(Leaf<'p>)) {
        match &self.matcher {
            Matcher::Map(entries) if !entries.is_empty() => {
                entries.iter().for_each(|(k, _, p)| p.leaves_under(Some(k), within, each));
            }
            Matcher::List(ps) if !ps.is_empty() => ps.iter().for_each(|p| p.leaves_under(key, within, each)),
            Matcher::All(ps) => ps.iter().for_each(|p| p.leaves_under(key, within, each)),
            Matcher::Set(ps) | Matcher::Contains(ps) => {
                each(Leaf { pattern: self, key, within });
                // `$contains: text` is one leaf
                let inner = ps.iter().filter(|p| matches!(p.matcher, Matcher::Map(_) | Matcher::List(_)));
                inner.for_each(|p| p.leaves_under(None, Some(&self.span), each));
            }
            Matcher::Each(p) => {
                each(Leaf { pattern: self, key, within });
                p.leaves_under(None, Some(&self.span), each);
            }
            _ => each(Leaf { pattern: self, key, within }),
        }
    }
}

impl Leaf<'_> {
    pub fn collect_literals(&self, scope: &Scope) -> ReferencedLiterals {
        let mut out = ReferencedLiterals::default();
        if let (Matcher::Absent, Some(key)) = (&self.pattern.matcher, self.key)
            && let Ok(key) = key.render_text(scope)
        {
            out.fields.insert(key);
        }
        collect_literals(self.pattern, scope, &mut out);
        out
    }
}

fn collect_literals(p: &Pattern, scope: &Scope, out: &mut ReferencedLiterals) {
    let mut rendered = |v: Result<Value, _>| {
        if let Ok::<Value, EvalError>(v) = v {
            out.value(&v);
        }
    };
    match &p.matcher {
        Matcher::Equal(Value::Text(t)) => out.literal(t),
        Matcher::Equal(v) => out.value(v),
        Matcher::Rendered(t) => rendered(t.render(scope)),
        Matcher::InRendered(t) | Matcher::SetRendered(t) | Matcher::ContainsRendered(t) => rendered(t.render(scope)),
        Matcher::Regex(t) => {
            if let Ok(r) = t.render_regex(scope) {
                out.pattern(&r);
            }
        }
        Matcher::That(e) => e.collect_literals(&scope.with("it", Value::Null), out),
        _ => p.inner().into_iter().for_each(|p| collect_literals(p, scope, out)),
    }
}
