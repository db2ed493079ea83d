//! The names that are bound at a point of a run. Immutable: binding a name makes a new scope that shares the old one.
use super::cel::{BoxedVal, to_cel};
use crate::{secrets::Secrets, value::Value};
use cel::{common::value::CowVal, context::VariableResolver};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock},
};

#[derive(Clone, Default)]
pub struct Scope {
    top: Option<Arc<Frame>>,
    secrets: Arc<Secrets>,
    /// In a record: what `now()` gave.
    moment: Option<Timestamp>,
    /// Who wants to know which names are read.
    reads: Option<Arc<Reads>>,
}

/// The names that were read of a scope and of those made from it, bound or not.
#[derive(Default)]
struct Reads {
    names: Mutex<BTreeSet<String>>,
    outer: Option<Arc<Reads>>,
}

impl Reads {
    fn note(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(|e| e.into_inner());
        if !names.contains(name) {
            names.insert(name.to_owned());
            if let Some(outer) = &self.outer {
                outer.note(name);
            }
        }
    }
}

struct Frame {
    name: Arc<str>,
    value: Value,
    /// The same value as the expression language wants it: made once, at the first use.
    cel: OnceLock<BoxedVal>,
    below: Option<Arc<Frame>>,
}

impl Scope {
    pub fn new(secrets: Arc<Secrets>) -> Self {
        Scope { top: None, secrets, moment: None, reads: None }
    }

    #[must_use]
    pub fn with(&self, name: impl AsRef<str>, value: impl Into<Value>) -> Scope {
        let frame = Frame {
            name: Arc::from(name.as_ref()),
            value: value.into(),
            cel: OnceLock::new(),
            below: self.top.clone(),
        };
        Scope {
            top: Some(Arc::new(frame)),
            secrets: self.secrets.clone(),
            moment: self.moment,
            reads: self.reads.clone(),
        }
    }

    /// As it was at a moment of a record.
    #[must_use]
    pub fn at(&self, moment: Timestamp) -> Scope {
        let mut then = self.clone();
        then.moment = Some(moment);
        then
    }

    pub fn now(&self) -> Timestamp {
        self.moment.unwrap_or_else(Timestamp::now)
    }

    /// Binds each entry of a map.
    #[must_use]
    pub fn with_all(&self, map: &Value) -> Scope {
        map.as_map().into_iter().flatten().fold(self.clone(), |s, (k, v)| s.with(k, v.clone()))
    }

    /// These names over those of another scope.
    #[must_use]
    pub fn over(&self, below: &Scope) -> Scope {
        let mut own = vec![];
        let mut at = self.top.as_deref();
        while let Some(frame) = at {
            own.push(frame);
            at = frame.below.as_deref();
        }
        own.into_iter().rev().fold(below.clone(), |s, f| s.with(&f.name, f.value.clone()))
    }

    /// All that is bound, as it is seen from here.
    pub fn names(&self) -> crate::value::Map {
        let mut out = crate::value::Map::new();
        let mut at = self.top.as_deref();
        while let Some(frame) = at {
            out.entry(frame.name.to_string()).or_insert_with(|| frame.value.clone());
            at = frame.below.as_deref();
        }
        out
    }

    /// Whether both bind the same names, in the same order, to the same values.
    pub fn same(&self, other: &Scope) -> bool {
        let (mut a, mut b) = (self.top.as_ref(), other.top.as_ref());
        loop {
            match (a, b) {
                (None, None) => return true,
                // from here on they share everything
                (Some(x), Some(y)) if Arc::ptr_eq(x, y) => return true,
                (Some(x), Some(y)) if x.name == y.name && x.value.identical(&y.value) => {
                    (a, b) = (x.below.as_ref(), y.below.as_ref());
                }
                _ => return false,
            }
        }
    }

    /// The same names; which of them are read from here on can be asked of it.
    #[must_use]
    pub fn watched(&self) -> Scope {
        let mut watched = self.clone();
        watched.reads = Some(Arc::new(Reads { names: Mutex::default(), outer: self.reads.clone() }));
        watched
    }

    /// Whether `other` binds whatever was read of this watched scope to the same values.
    pub fn reads_the_same(&self, other: &Scope) -> bool {
        let Some(reads) = &self.reads else { return self.same(other) };
        let names = reads.names.lock().unwrap_or_else(|e| e.into_inner());
        names.iter().all(|name| match (self.find(name), other.find(name)) {
            (None, None) => true,
            (Some(a), Some(b)) => std::ptr::eq(a, b) || a.value.identical(&b.value),
            _ => false,
        })
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.frame(name).map(|f| &f.value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.frame(name).is_some()
    }

    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    fn frame(&self, name: &str) -> Option<&Frame> {
        if let Some(reads) = &self.reads {
            reads.note(name);
        }
        self.find(name)
    }

    fn find(&self, name: &str) -> Option<&Frame> {
        let mut at = self.top.as_deref();
        while let Some(frame) = at {
            if &*frame.name == name {
                return Some(frame);
            }
            at = frame.below.as_deref();
        }
        None
    }
}

/// Who asks for a name has asked for it by [`Scope::has`] before: only that counts as read.
impl VariableResolver for Scope {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        // the library asks for `a.b.c` before it asks for `a`
        let frame = if name.contains('.') { None } else { self.find(name) }?;
        Some(CowVal::Borrowed(&**frame.cel.get_or_init(|| to_cel(&frame.value))))
    }
}

/// A long chain is taken down one by one: dropping it recursively would overflow the stack.
impl Drop for Scope {
    fn drop(&mut self) {
        let mut at = self.top.take();
        while let Some(frame) = at {
            at = Arc::into_inner(frame).and_then(|mut f| f.below.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_name_hides_the_outer_and_leaks_nowhere() {
        let outer = Scope::default().with("a", 1i64);
        let inner = outer.with("a", 2i64).with("b", 3i64);
        assert_eq!(inner.get("a"), Some(&Value::Int(2)));
        assert_eq!(outer.get("a"), Some(&Value::Int(1)));
        assert!(!outer.has("b"));
    }

    #[test]
    fn over_another_its_names_hide_those() {
        let below = Scope::default().with("a", 1i64).with("b", 2i64);
        let both = Scope::default().with("a", 3i64).with("c", 4i64).over(&below);
        assert_eq!(["a", "b", "c"].map(|n| both.get(n).and_then(Value::as_i64)), [Some(3), Some(2), Some(4)]);
    }

    #[test]
    fn two_ways_to_the_same_names_are_the_same() {
        let outer = Scope::default().with("a", 1i64);
        assert!(outer.with("b", 2i64).same(&outer.with("b", 2i64)));
        assert!(!outer.with("b", 2i64).same(&outer.with("b", 3i64)));
        assert!(!outer.with("b", 2i64).same(&outer));
        assert_eq!(outer.with("a", 2i64).names(), crate::value::Map::from_iter([("a".to_string(), Value::Int(2))]));
    }

    #[test]
    fn what_was_not_read_may_differ() {
        let base = Scope::default().with("a", 1i64).with("b", 2i64);
        let outer = base.watched();
        let inner = outer.with("c", 3i64).watched();
        assert!(inner.get("a").is_some() && inner.get("d").is_none());
        assert!(outer.reads_the_same(&base.with("b", 5i64)));
        assert!(!outer.reads_the_same(&base.with("a", 5i64)));
        assert!(!outer.reads_the_same(&base.with("d", 5i64)), "what was missed, too");
        assert!(inner.reads_the_same(&Scope::default().with("a", 1i64)));
    }

    #[test]
    fn a_very_long_chain_can_be_dropped() {
        let mut s = Scope::default();
        for i in 0..200_000i64 {
            s = s.with("x", i);
        }
        drop(s);
    }
}
