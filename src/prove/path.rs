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

impl Edit {
    /// The value after the edit; `None` if it is removed.
    pub fn apply(self, v: &Value) -> Option<Value> {
        match self {
            Edit::Unchanged => Some(v.clone()),
            Edit::Replaced(new) => Some(new),
            Edit::Removed => None,
        }
    }

    /// The new value, if the edit is one.
    pub fn replaced(self) -> Option<Value> {
        if let Edit::Replaced(new) = self { Some(new) } else { None }
    }
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

/// The values at a path.
pub fn values_at<'v>(v: &'v Value, path: &[PathStep]) -> Vec<&'v Value> {
    path.iter().fold(vec![v], |values, step| {
        let inner = |v: &'v Value| match step {
            PathStep::Key(k) => v.get(k).into_iter().collect::<Vec<_>>(),
            PathStep::Each => v.as_list().unwrap_or_default().iter().collect(),
        };
        values.into_iter().flat_map(inner).collect()
    })
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
            if edited == Edit::Unchanged {
                return edited;
            }
            let mut map = map.clone();
            match edited.apply(inner) {
                Some(new) => drop(map.insert(k.clone(), new)),
                None => drop(map.shift_remove(k)),
            }
            Edit::Replaced(Value::from(map))
        }
        Some((PathStep::Each, rest)) => {
            let list = v.as_list().unwrap_or_default();
            let edits: Vec<Edit> = list.iter().map(|item| edit(item, rest, n, f)).collect();
            if edits.iter().all(|edit| *edit == Edit::Unchanged) {
                return Edit::Unchanged;
            }
            let items = list.iter().zip(edits).filter_map(|(item, edit)| edit.apply(item));
            Edit::Replaced(Value::list(items.collect()))
        }
    }
}

/// The value with `new` at a path, if there is a value at it.
pub fn replaced(v: &Value, path: &[PathStep], new: &Value) -> Option<Value> {
    edit(v, path, &mut 0, &mut |_, _| Edit::Replaced(new.clone())).replaced()
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
    let mut out = vec![];
    visit(v, &mut vec![], &mut |path, v| {
        if matches!(v, Value::Text(_)) && !path.contains(&PathStep::Each) {
            out.push(path.to_vec());
        }
    });
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
