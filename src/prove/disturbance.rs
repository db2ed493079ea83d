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

/// What [`Disturbance::More`] adds.
pub struct Growth<'a> {
    /// Appended to texts.
    pub text: &'a str,
    pub mentioned: &'a ReferencedLiterals,
}

/// Largest number of elements added to one list.
const MAX_ADDED: usize = 400;

/// Disturbs a value and everything in it. `n` makes the new values of several fields differ.
pub fn disturb(v: &Value, disturbance: Disturbance, growth: &Growth<'_>, n: &mut usize) -> Edit {
    if disturbance == Disturbance::Removed {
        return Edit::Removed;
    }
    let mutations: &[Mutation] = match (disturbance, v) {
        (Disturbance::Other, Value::Text(_)) if shifted(v, SignedDuration::from_hours(1)).is_some() => {
            &[Mutation::Later]
        }
        (Disturbance::Other, _) => &[Mutation::TextChanged, Mutation::Plus, Mutation::Flipped, Mutation::Later],
        (_, _) => &[Mutation::TextEmptied, Mutation::FarMore, Mutation::Earlier],
    };
    match v {
        Value::Map(m) => {
            let mut map: Map =
                m.iter().map(|(k, v)| (k.clone(), disturbed_or_same(v, disturbance, growth, n))).collect();
            if disturbance == Disturbance::More {
                additional_fields(growth.mentioned).into_iter().for_each(|f| {
                    map.entry(f).or_insert_with(|| "added".into());
                });
            }
            Edit::Replaced(Value::from(map))
        }
        Value::List(l) => {
            let mut list: Vec<Value> = l.iter().map(|v| disturbed_or_same(v, disturbance, growth, n)).collect();
            if disturbance == Disturbance::More {
                list.extend(additional_elements(l, growth.mentioned).into_iter().flatten().take(MAX_ADDED));
            }
            Edit::Replaced(Value::list(list))
        }
        Value::Text(t) if disturbance == Disturbance::More => Edit::Replaced(format!("{t}\n{}", growth.text).into()),
        Value::Null => Edit::Replaced(Value::text("changed")),
        v => {
            *n += 1;
            mutations.iter().map(|m| mutate(m, v, *n)).find(|edit| *edit != Edit::Unchanged).unwrap_or(Edit::Unchanged)
        }
    }
}

fn disturbed_or_same(v: &Value, disturbance: Disturbance, growth: &Growth<'_>, n: &mut usize) -> Value {
    match disturb(v, disturbance, growth, n) {
        Edit::Replaced(new) => new,
        _ => v.clone(),
    }
}
