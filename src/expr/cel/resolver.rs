//! Gives the CEL library the names of a [`Scope`]. A value is converted once per frame, at its first use, and cached
//! there.
use super::{
    adapter::{BoxedVal, to_cel},
    incomplete::not_observed,
};
use crate::{expr::scope::Scope, value::Value};
use cel::{common::value::CowVal, context::VariableResolver};

impl VariableResolver for Scope {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        // the library looks up `a.b.c` before `a`; no name contains a dot
        if name.contains('.') {
            return None;
        }
        if let Some(Value::Unset(reason)) = self.get(name) {
            not_observed(reason);
            return None;
        }
        self.cached(name, to_cel).map(|v: &BoxedVal| CowVal::Borrowed(&**v))
    }
}
