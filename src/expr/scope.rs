//! The names bound at a point of a run. Immutable: binding a name makes a new scope that shares the old one.
use crate::{secrets::Secrets, value::Value};
use jiff::Timestamp;
use std::{
    any::Any,
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock},
};

#[derive(Clone, Default)]
pub struct Scope {
    top: Option<Arc<Frame>>,
    secrets: Arc<Secrets>,
    /// The time of a recorded observation, for `now()` in a replay.
    moment: Option<Timestamp>,
    /// Records which names are read.
    reads: Option<Arc<Reads>>,
}

/// The names read from a scope and from those derived from it, bound or not.
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
    /// The value in another representation, computed at the first use: see [`Scope::cached`].
    cache: OnceLock<Box<dyn Any + Send + Sync>>,
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
            cache: OnceLock::new(),
            below: self.top.clone(),
        };
        Scope {
            top: Some(Arc::new(frame)),
            secrets: self.secrets.clone(),
            moment: self.moment,
            reads: self.reads.clone(),
        }
    }

    /// The same names, with `now()` fixed.
    #[must_use]
    pub fn at(&self, moment: Timestamp) -> Scope {
        let mut then = self.clone();
        then.moment = Some(moment);
        then
    }

    /// The current time, or that of [`Scope::at`].
    pub fn now(&self) -> Timestamp {
        self.moment.unwrap_or_else(Timestamp::now)
    }

    /// Binds each entry of a map.
    #[must_use]
    pub fn with_all(&self, map: &Value) -> Scope {
        map.as_map().into_iter().flatten().fold(self.clone(), |s, (k, v)| s.with(k, v.clone()))
    }

    /// This scope's names on top of those of another.
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

    /// All bound names with their visible values.
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
                // the rest is shared
                (Some(x), Some(y)) if Arc::ptr_eq(x, y) => return true,
                (Some(x), Some(y)) if x.name == y.name && x.value.identical(&y.value) => {
                    (a, b) = (x.below.as_ref(), y.below.as_ref());
                }
                _ => return false,
            }
        }
    }

    /// The same names, with reads recorded for [`Scope::reads_the_same`].
    #[must_use]
    pub fn watched(&self) -> Scope {
        let mut watched = self.clone();
        watched.reads = Some(Arc::new(Reads { names: Mutex::default(), outer: self.reads.clone() }));
        watched
    }

    /// Whether `other` binds every name read from this watched scope to the same value.
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

    /// The value of `name` in another representation, converted once per binding. All callers must use the same `T`. Does not count
    /// as a read.
    pub fn cached<T: Any + Send + Sync>(&self, name: &str, convert: impl FnOnce(&Value) -> T) -> Option<&T> {
        let frame = self.find(name)?;
        frame.cache.get_or_init(|| Box::new(convert(&frame.value))).downcast_ref()
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

/// Drops frames one by one: dropping a long chain recursively would overflow the stack.
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
    fn inner_binding_hides_outer_without_changing_it() {
        let outer = Scope::default().with("a", 1i64);
        let inner = outer.with("a", 2i64).with("b", 3i64);
        assert_eq!(inner.get("a"), Some(&Value::Int(2)));
        assert_eq!(outer.get("a"), Some(&Value::Int(1)));
        assert!(!outer.has("b"));
    }

    #[test]
    fn names_on_top_hide_those_below() {
        let below = Scope::default().with("a", 1i64).with("b", 2i64);
        let both = Scope::default().with("a", 3i64).with("c", 4i64).over(&below);
        assert_eq!(["a", "b", "c"].map(|n| both.get(n).and_then(Value::as_i64)), [Some(3), Some(2), Some(4)]);
    }

    #[test]
    fn equal_bindings_are_the_same() {
        let outer = Scope::default().with("a", 1i64);
        assert!(outer.with("b", 2i64).same(&outer.with("b", 2i64)));
        assert!(!outer.with("b", 2i64).same(&outer.with("b", 3i64)));
        assert!(!outer.with("b", 2i64).same(&outer));
        assert_eq!(outer.with("a", 2i64).names(), crate::value::Map::from_iter([("a".to_string(), Value::Int(2))]));
    }

    #[test]
    fn unread_names_may_differ() {
        let base = Scope::default().with("a", 1i64).with("b", 2i64);
        let outer = base.watched();
        let inner = outer.with("c", 3i64).watched();
        assert!(inner.get("a").is_some() && inner.get("d").is_none());
        assert!(outer.reads_the_same(&base.with("b", 5i64)));
        assert!(!outer.reads_the_same(&base.with("a", 5i64)));
        assert!(!outer.reads_the_same(&base.with("d", 5i64)), "a name that was not found counts as read");
        assert!(inner.reads_the_same(&Scope::default().with("a", 1i64)));
    }

    #[test]
    fn drops_a_very_long_chain() {
        let mut s = Scope::default();
        for i in 0..200_000i64 {
            s = s.with("x", i);
        }
        drop(s);
    }
}
