//! Paths to the fields of an observation, and edits at them. Depends on values, but not on runs or plans.
use crate::value::{Map, Value};

/// One step of a path: a key of a map, or all elements of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathStep {
    Key(String),
    Each,
}

pub type FieldPath = Vec<PathStep>;

/// The result of an edit.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    Unchanged,
    Replaced(Value),
    Removed,
}

/// `body.errors[].name`; the path to the whole observation is `(all of it)`.
pub fn format_path(path: &[PathStep]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            PathStep::Each => out.push_str("[]"),
            PathStep::Key(k) if k.is_empty() || k.contains(['.', '[', ']', ' ', '`']) => {
                out.push_str(&format!("[{}]", serde_json::Value::from(k.as_str())));
            }
            PathStep::Key(k) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(k);
            }
        }
    }
    if out.is_empty() { "(all of it)".into() } else { out }
}

/// The path with one more step.
pub fn joined(path: &[PathStep], step: PathStep) -> FieldPath {
    path.iter().cloned().chain([step]).collect()
}

/// The number of values at a path.
pub fn count(v: &Value, path: &[PathStep]) -> usize {
    match path.split_first() {
        None => 1,
        Some((PathStep::Key(k), rest)) => v.get(k).map_or(0, |v| count(v, rest)),
        Some((PathStep::Each, rest)) => v.as_list().map_or(0, |l| l.iter().map(|v| count(v, rest)).sum()),
    }
}

/// The first value at a path.
pub fn first<'v>(v: &'v Value, path: &[PathStep]) -> Option<&'v Value> {
    match path.split_first() {
        None => Some(v),
        Some((PathStep::Key(k), rest)) => first(v.get(k)?, rest),
        Some((PathStep::Each, rest)) => v.as_list()?.iter().find_map(|v| first(v, rest)),
    }
}

/// Edits every value at a path. `f` gets each value and its number; `n` is the next number.
pub fn edit(v: &Value, path: &[PathStep], n: &mut usize, f: &mut dyn FnMut(&Value, usize) -> Edit) -> Edit {
    match path.split_first() {
        None => {
            *n += 1;
            f(v, *n - 1)
        }
        Some((PathStep::Key(k), rest)) => {
            let (Some(map), Some(inner)) = (v.as_map(), v.get(k)) else { return Edit::Unchanged };
            let edited = edit(inner, rest, n, f);
            let mut map = match edited {
                Edit::Unchanged => return Edit::Unchanged,
                _ => map.clone(),
            };
            match edited {
                Edit::Replaced(new) => drop(map.insert(k.clone(), new)),
                _ => drop(map.shift_remove(k)),
            }
            Edit::Replaced(Value::from(map))
        }
        Some((PathStep::Each, rest)) => {
            let Some(list) = v.as_list() else { return Edit::Unchanged };
            let mut changed = false;
            let mut out = Vec::with_capacity(list.len());
            for item in list {
                match edit(item, rest, n, f) {
                    Edit::Unchanged => out.push(item.clone()),
                    Edit::Replaced(new) => {
                        changed = true;
                        out.push(new);
                    }
                    Edit::Removed => changed = true,
                }
            }
            if changed { Edit::Replaced(Value::list(out)) } else { Edit::Unchanged }
        }
    }
}

/// The value with `new` at a path, if there is a value at it.
pub fn replaced(v: &Value, path: &[PathStep], new: &Value) -> Option<Value> {
    match edit(v, path, &mut 0, &mut |_, _| Edit::Replaced(new.clone())) {
        Edit::Replaced(v) => Some(v),
        _ => None,
    }
}

/// The value with `new` at a path of keys. Creates maps that are missing on the path.
pub fn inserted(v: &Value, path: &[PathStep], new: &Value) -> Option<Value> {
    let Some((PathStep::Key(k), rest)) = path.split_first() else { return path.is_empty().then(|| new.clone()) };
    let mut map: Map = v.as_map()?.clone();
    let inner = map.get(k).cloned().unwrap_or_else(|| Value::Map(Default::default()));
    map.insert(k.clone(), inserted(&inner, rest, new)?);
    Some(Value::from(map))
}

/// The paths to the strings of a value, except strings in lists.
pub fn string_paths(v: &Value) -> Vec<FieldPath> {
    fn collect(v: &Value, path: &[PathStep], out: &mut Vec<FieldPath>) {
        match v {
            Value::Text(_) => out.push(path.to_vec()),
            Value::Map(m) => m.iter().for_each(|(k, v)| collect(v, &joined(path, PathStep::Key(k.clone())), out)),
            _ => {}
        }
    }
    let mut out = vec![];
    collect(v, &[], &mut out);
    out
}

/// Calls `f` for a value and every value in it, with the path to each.
pub fn visit(v: &Value, path: &mut FieldPath, f: &mut dyn FnMut(&[PathStep], &Value)) {
    f(path, v);
    let inner: Vec<(PathStep, &Value)> = match v {
        Value::Map(m) => m.iter().map(|(k, v)| (PathStep::Key(k.clone()), v)).collect(),
        Value::List(l) => l.iter().map(|v| (PathStep::Each, v)).collect(),
        _ => return,
    };
    for (step, v) in inner {
        path.push(step);
        visit(v, path, f);
        path.pop();
    }
}
