//! The names bound at a point of a run. Immutable: binding a name makes a new scope that shares the old one.
use super::interrupt::Interrupt;
use crate::{secrets::Secrets, value::Value};
use jiff::Timestamp;
use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

#[derive(Clone, Default)]
pub struct Scope {
    top: Option<Arc<Frame>>,
    secrets: Arc<Secrets>,
    /// The fixed time of `now()`; without one it is the current time.
    clock: Option<Timestamp>,
    interrupt: Option<Arc<dyn Interrupt>>,
    /// In a run, and not in a check before it.
    in_run: bool,
}

struct Frame {
    name: Arc<str>,
    value: Value,
    /// The value in another representation, computed at the first use: see [`Scope::cached`].
    cache: OnceLock<Box<dyn Any + Send + Sync>>,
    below: Option<Arc<Frame>>,
}

impl Scope {
    /// The scope of a run. Evaluations in the default scope, before a run, have a smaller budget.
    pub fn new(secrets: Arc<Secrets>) -> Self {
        Scope { top: None, secrets, clock: None, interrupt: None, in_run: true }
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
            clock: self.clock,
            interrupt: self.interrupt.clone(),
            in_run: self.in_run,
        }
    }

    /// The same names, with `now()` fixed.
    #[must_use]
    pub fn with_now(&self, now: Timestamp) -> Scope {
        let mut scope = self.clone();
        scope.clock = Some(now);
        scope
    }

    /// The same names; evaluations end when `interrupt` says so.
    #[must_use]
    pub fn with_interrupt(&self, interrupt: Arc<dyn Interrupt>) -> Scope {
        let mut scope = self.clone();
        scope.interrupt = Some(interrupt);
        scope
    }

    pub(super) fn is_in_run(&self) -> bool {
        self.in_run
    }

    pub(super) fn interrupt(&self) -> Option<&Arc<dyn Interrupt>> {
        self.interrupt.as_ref()
    }

    /// The current time, or that of [`Scope::with_now`].
    pub fn now(&self) -> Timestamp {
        self.clock.unwrap_or_else(Timestamp::now)
    }

    /// Binds each entry of a map.
    #[must_use]
    pub fn with_all(&self, map: &Value) -> Scope {
        map.as_map().into_iter().flatten().fold(self.clone(), |s, (k, v)| s.with(k, v.clone()))
    }

    /// This scope's names on top of those of another.
    #[must_use]
    pub fn over(&self, below: &Scope) -> Scope {
        let own: Vec<&Frame> = self.frames().collect();
        let mut below = below.clone();
        below.interrupt = self.interrupt.clone().or(below.interrupt.take());
        own.into_iter().rev().fold(below, |s, f| s.with(&f.name, f.value.clone()))
    }

    /// All bound names with their visible values.
    pub fn names(&self) -> crate::value::Map {
        let mut out = crate::value::Map::new();
        for frame in self.frames() {
            out.entry(frame.name.to_string()).or_insert_with(|| frame.value.clone());
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

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.find(name).map(|f| &f.value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value of `name` in another representation, converted once per binding. All callers must use the same `T`.
    pub fn cached<T: Any + Send + Sync>(&self, name: &str, convert: impl FnOnce(&Value) -> T) -> Option<&T> {
        let frame = self.find(name)?;
        frame.cache.get_or_init(|| Box::new(convert(&frame.value))).downcast_ref()
    }

    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    fn find(&self, name: &str) -> Option<&Frame> {
        self.frames().find(|f| &*f.name == name)
    }

    /// The innermost frame first.
    fn frames(&self) -> impl Iterator<Item = &Frame> {
        std::iter::successors(self.top.as_deref(), |f| f.below.as_deref())
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
    fn drops_a_very_long_chain() {
        let mut s = Scope::default();
        for i in 0..200_000i64 {
            s = s.with("x", i);
        }
        drop(s);
    }
}
