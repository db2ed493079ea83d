//! Disturbs all values under a path at once. If no assertion detects any disturbance, no assertion reads a field under
//! that path.
use super::{
    mutation::{Mutation, additional_elements, additional_fields, mutate, shifted},
    path::Edit,
};
use crate::{
    expr::ReferencedLiterals,
    value::{Map, Value},
};
use jiff::SignedDuration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Disturbance {
    /// Removes the value.
    Removed,
    /// Changes texts, numbers, booleans and times.
    Other,
    /// Adds text, elements and fields. Integers become much larger, times earlier.
    More,
    /// Empties texts. Integers become much larger, times earlier.
    Less,
}

pub const DISTURBANCES: [Disturbance; 4] =
    [Disturbance::Removed, Disturbance::Other, Disturbance::More, Disturbance::Less];

/// Largest number of elements added to one list.
const MAX_ADDED: usize = 400;

pub struct Disturber<'a> {
    pub disturbance: Disturbance,
    /// Appended to texts by [`Disturbance::More`].
    pub text: &'a str,
    /// Added to maps and lists by [`Disturbance::More`].
    pub mentioned: &'a ReferencedLiterals,
    /// Makes the new values of several fields differ.
    pub n: usize,
}

impl Disturber<'_> {
    /// Disturbs a value and everything in it.
    pub fn disturb(&mut self, v: &Value) -> Edit {
        let grows = self.disturbance == Disturbance::More;
        match v {
            _ if self.disturbance == Disturbance::Removed => Edit::Removed,
            Value::Map(m) => {
                let mut map: Map = m.iter().filter_map(|(k, v)| Some((k.clone(), self.disturb(v).apply(v)?))).collect();
                for field in additional_fields(self.mentioned).into_iter().filter(|_| grows) {
                    map.entry(field).or_insert_with(|| "added".into());
                }
                Edit::Replaced(Value::from(map))
            }
            Value::List(l) => {
                let mut list: Vec<Value> = l.iter().filter_map(|v| self.disturb(v).apply(v)).collect();
                if grows {
                    list.extend(additional_elements(l, self.mentioned).into_iter().flatten().take(MAX_ADDED));
                }
                Edit::Replaced(Value::list(list))
            }
            Value::Text(t) if grows => Edit::Replaced(format!("{t}\n{}", self.text).into()),
            Value::Null => Edit::Replaced(Value::text("changed")),
            v => {
                self.n += 1;
                let is_time = matches!(v, Value::Text(_)) && shifted(v, SignedDuration::from_hours(1)).is_some();
                let mutations: &[Mutation] = match self.disturbance {
                    Disturbance::Other if is_time => &[Mutation::Later],
                    Disturbance::Other => &[Mutation::TextChanged, Mutation::Plus, Mutation::Flipped, Mutation::Later],
                    _ => &[Mutation::TextEmptied, Mutation::FarMore, Mutation::Earlier],
                };
                let mut edits = mutations.iter().map(|m| mutate(m, v, self.n));
                edits.find(|edit| *edit != Edit::Unchanged).unwrap_or(Edit::Unchanged)
            }
        }
    }
}
