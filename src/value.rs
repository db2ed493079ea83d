//! The value type shared by plans, expressions, executors and reports: JSON plus times and durations.
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, sync::Arc};

pub type Map = IndexMap<String, Value>;

/// A JSON value, a time or a duration. Cheap to clone: text, lists and maps are shared.
///
/// Serialised as JSON with a time as `{"$time": "2026-01-02T03:04:05Z"}` and a duration as `{"$duration": "PT1.5S"}`,
/// so that a record keeps the types.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// Only for numbers that do not fit an `Int`.
    Uint(u64),
    Float(f64),
    Text(Arc<str>),
    Time(Timestamp),
    Duration(SignedDuration),
    List(Arc<Vec<Value>>),
    Map(Arc<Map>),
}

impl Value {
    pub fn text(s: impl AsRef<str>) -> Self {
        Value::Text(Arc::from(s.as_ref()))
    }

    pub fn list(items: Vec<Value>) -> Self {
        Value::List(Arc::new(items))
    }

    pub fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        Value::Map(Arc::new(entries.into_iter().collect()))
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Value::Text(s) = self { Some(s) } else { None }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(l) = self { Some(l) } else { None }
    }

    pub fn as_map(&self) -> Option<&Map> {
        if let Value::Map(m) = self { Some(m) } else { None }
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(b) = self { Some(*b) } else { None }
    }

    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Int(i) = self { Some(*i) } else { None }
    }

    /// The entry of a map; `None` for anything else.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    pub fn at(&self, index: usize) -> Option<&Value> {
        self.as_list()?.get(index)
    }

    /// The name of the type, as in `$type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Uint(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
            Value::Time(_) => "time",
            Value::Duration(_) => "duration",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        }
    }

    /// Typed equality: `1` is not `"1"`. Numbers compare by value, maps without order, lists with it.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same(b)),
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| v.same(w)))
            }
            (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => *a as f64 == *b,
            _ => self == other,
        }
    }

    /// Equal like `==`, but without comparing content that both values share.
    pub fn identical(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::List(a), Value::List(b)) => {
                Arc::ptr_eq(a, b) || (a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.identical(b)))
            }
            (Value::Map(a), Value::Map(b)) => {
                Arc::ptr_eq(a, b)
                    || (a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| v.identical(w))))
            }
            _ => self == other,
        }
    }

    /// The value as it is sent in a request body: times in RFC 3339, durations like `1.5s`.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as J;
        match self {
            Value::Null => J::Null,
            Value::Bool(b) => J::Bool(*b),
            Value::Int(i) => J::from(*i),
            Value::Uint(u) => J::from(*u),
            Value::Float(f) => serde_json::Number::from_f64(*f).map_or(J::Null, J::Number),
            Value::Text(s) => J::String(s.to_string()),
            Value::Time(t) => J::String(t.to_string()),
            Value::Duration(d) => J::String(seconds(*d)),
            Value::List(l) => J::Array(l.iter().map(Value::to_json).collect()),
            Value::Map(m) => J::Object(m.iter().map(|(k, v)| (k.clone(), v.to_json())).collect()),
        }
    }

    /// Applies `f` to every string, including the keys of maps.
    pub fn map_text(&self, f: &dyn Fn(&str) -> Option<String>) -> Value {
        match self {
            Value::Text(s) => f(s).map_or_else(|| self.clone(), Value::text),
            Value::List(l) => Value::list(l.iter().map(|v| v.map_text(f)).collect()),
            Value::Map(m) => Value::map(m.iter().map(|(k, v)| (f(k).unwrap_or_else(|| k.clone()), v.map_text(f)))),
            other => other.clone(),
        }
    }
}

/// A duration as in plans: `1.5s`, `-2s`.
fn seconds(d: SignedDuration) -> String {
    format!("{}s", d.as_secs_f64())
}

/// The form in rendered templates and reports: strings without quotes, everything else as JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(s) => f.write_str(s),
            Value::Time(t) => write!(f, "{t}"),
            Value::Duration(d) => f.write_str(&seconds(*d)),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as J;
        match json {
            J::Null => Value::Null,
            J::Bool(b) => Value::Bool(b),
            J::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(i), _) => Value::Int(i),
                (_, Some(u)) => Value::Uint(u),
                _ => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            J::String(s) => Value::text(s),
            J::Array(a) => Value::list(a.into_iter().map(Value::from).collect()),
            J::Object(o) => Value::map(o.into_iter().map(|(k, v)| (k, Value::from(v)))),
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::text(s)
    }
}
impl From<String> for Value {
    fn from(s: String) -> Self {
        Value::text(s)
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Int(i)
    }
}
impl From<u64> for Value {
    fn from(u: u64) -> Self {
        i64::try_from(u).map_or(Value::Uint(u), Value::Int)
    }
}
impl From<Timestamp> for Value {
    fn from(t: Timestamp) -> Self {
        Value::Time(t)
    }
}
impl From<std::time::Duration> for Value {
    fn from(d: std::time::Duration) -> Self {
        Value::Duration(SignedDuration::try_from(d).unwrap_or(SignedDuration::MAX))
    }
}
impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::list(items)
    }
}
impl From<Map> for Value {
    fn from(m: Map) -> Self {
        Value::Map(Arc::new(m))
    }
}

const TIME: &str = "$time";
const DURATION: &str = "$duration";

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => s.serialize_unit(),
            Value::Bool(b) => s.serialize_bool(*b),
            Value::Int(i) => s.serialize_i64(*i),
            Value::Uint(u) => s.serialize_u64(*u),
            Value::Float(f) => s.serialize_f64(*f),
            Value::Text(t) => s.serialize_str(t),
            Value::Time(t) => s.collect_map([(TIME, t.to_string())]),
            Value::Duration(d) => s.collect_map([(DURATION, d.to_string())]),
            Value::List(l) => s.collect_seq(l.iter()),
            Value::Map(m) => s.collect_map(m.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        typed(serde_json::Value::deserialize(d)?).map_err(D::Error::custom)
    }
}

fn typed(json: serde_json::Value) -> Result<Value, jiff::Error> {
    use serde_json::Value as J;
    Ok(match json {
        J::Object(o) if o.len() == 1 && o.get(TIME).is_some_and(J::is_string) => {
            Value::Time(o[TIME].as_str().unwrap_or_default().parse()?)
        }
        J::Object(o) if o.len() == 1 && o.get(DURATION).is_some_and(J::is_string) => {
            Value::Duration(o[DURATION].as_str().unwrap_or_default().parse()?)
        }
        J::Object(o) => {
            Value::Map(Arc::new(o.into_iter().map(|(k, v)| Ok((k, typed(v)?))).collect::<Result<_, jiff::Error>>()?))
        }
        J::Array(a) => Value::list(a.into_iter().map(typed).collect::<Result<_, _>>()?),
        other => Value::from(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn round_trips_with_its_types_and_order() {
        let v = Value::map([
            ("z".into(), Value::Time("2026-01-02T03:04:05.25Z".parse().unwrap())),
            ("a".into(), Value::Duration(SignedDuration::from_millis(-1500))),
            ("n".into(), Value::from(json!([1, u64::MAX, 1.5, null, true, "x"]))),
        ]);
        let text = serde_json::to_string(&v).unwrap();
        assert!(text.starts_with(r#"{"z":{"$time""#), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), v);
    }

    #[test]
    fn equality_is_typed() {
        assert!(!Value::from(json!(1)).same(&Value::from(json!("1"))));
        assert!(Value::from(json!(1)).same(&Value::from(json!(1.0))));
        assert!(Value::from(json!({"a": 1, "b": [2]})).same(&Value::from(json!({"b": [2], "a": 1}))));
        assert!(!Value::from(json!({"a": 1})).same(&Value::from(json!({"a": 1, "b": 2}))));
    }
}
