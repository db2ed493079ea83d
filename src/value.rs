//! The value type shared by plans, expressions, executors and reports: JSON plus times and durations.
mod decimal;
mod digits;
mod entries;
pub mod json;
mod json_writer;
mod kind;
mod memory;
mod time;

pub use self::{decimal::Decimal, kind::ValueKind, memory::recorded_bytes, time::is_rfc3339};
use self::{digits::Digits, entries::Entries};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, sync::Arc};

pub type Map = Entries<Value>;

/// A JSON value, a time, a duration, or a value that was not or not completely observed. Cheap to clone: text, lists
/// and maps are shared.
///
/// Serialised as JSON, where a map with one key marks what JSON lacks, so that a record keeps the types:
/// `{"$time": "2026-01-02T03:04:05Z"}`, `{"$duration": 1500000000}` (nanoseconds), `{"$float": "inf"}`, `{"$decimal": "1e400"}`,
/// `{"$headers": {…}}` (a map whose keys are found without regard to case), `{"$unset": "the reason"}` and
/// `{"$partial": [value, "the reason"]}`. An observed map that looks like one of these is written as `{"$map": …}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// Only for numbers that do not fit an `Int`.
    Uint(u64),
    Float(f64),
    /// A number that none of the three above holds exactly, as it is spelled.
    Decimal(Arc<str>),
    Text(Arc<str>),
    Time(Timestamp),
    Duration(SignedDuration),
    List(Arc<Vec<Value>>),
    Map(Arc<Map>),
    /// A field that was not observed, with the reason. Reading it is an error.
    Unset(Arc<str>),
    Partial(Arc<Partial>),
}

/// The part of a value that was observed, and why the rest is missing. The type of the value is known, and what it
/// contains, but not what it does not contain.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    pub value: Value,
    pub reason: Arc<str>,
}

impl Value {
    pub fn unset(reason: impl AsRef<str>) -> Self {
        Value::Unset(Arc::from(reason.as_ref()))
    }

    pub fn partial(value: Value, reason: impl AsRef<str>) -> Self {
        Value::Partial(Arc::new(Partial { value, reason: Arc::from(reason.as_ref()) }))
    }

    /// Why it, or the first incomplete value in it, is incomplete.
    pub fn incomplete(&self) -> Option<&Arc<str>> {
        match self {
            Value::Unset(reason) => Some(reason),
            Value::Partial(partial) => Some(&partial.reason),
            Value::List(items) => items.iter().find_map(Value::incomplete),
            Value::Map(entries) => entries.values().find_map(Value::incomplete),
            _ => None,
        }
    }

    pub fn text(s: impl AsRef<str>) -> Self {
        Value::Text(Arc::from(s.as_ref()))
    }

    pub fn list(items: Vec<Value>) -> Self {
        Value::List(Arc::new(items))
    }

    pub fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        Value::Map(Arc::new(entries.into_iter().collect()))
    }

    /// A number as it is spelled: an integer, the double of which it is the shortest spelling, or a decimal. `None` if it
    /// is not a number, or its exponent is too large.
    pub fn number(text: &str) -> Option<Value> {
        if let Ok(i) = text.parse() {
            return Some(Value::Int(i));
        }
        let decimal = Decimal::parse(text)?;
        let spelled = || Value::Decimal(text.into());
        Some(match (decimal.integer(), text.parse::<f64>().ok()) {
            (Some(i), _) if !text.contains(['.', 'e', 'E']) => u64::try_from(i).map_or_else(|_| spelled(), Value::from),
            (_, Some(f)) if Decimal::of(f).as_ref() == Some(&decimal) => Value::Float(f),
            (Some(i), _) => {
                i64::try_from(i).map(Value::Int).or(u64::try_from(i).map(Value::from)).unwrap_or_else(|_| spelled())
            }
            _ => spelled(),
        })
    }

    /// The decimal value of a number; that of a double is its shortest spelling.
    pub fn decimal(&self) -> Option<Decimal> {
        match self {
            Value::Int(i) => Some(i128::from(*i).into()),
            Value::Uint(u) => Some(i128::from(*u).into()),
            Value::Float(f) => Decimal::of(*f),
            Value::Decimal(text) => Decimal::parse(text),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Value::Text(s) = self { Some(s) } else { None }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(l) = self { Some(l) } else { None }
    }

    /// The items of a list, or the value alone.
    pub fn items(&self) -> &[Value] {
        if let Value::List(items) = self { items } else { std::slice::from_ref(self) }
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
            Value::Decimal(text) if text.contains(['.', 'e', 'E']) => "float",
            Value::Decimal(_) => "int",
            Value::Text(_) => "string",
            Value::Time(_) => "time",
            Value::Duration(_) => "duration",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Unset(_) => "unset",
            Value::Partial(partial) => partial.value.kind(),
        }
    }

    /// Typed equality: `1` is not `"1"`. Numbers compare by decimal value, maps without order, lists with it. Nothing equals a
    /// value that is incomplete.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same(b)),
            (Value::Map(a), Value::Map(b)) => {
                let (a, b) = if a.is_any_case() { (b, a) } else { (a, b) };
                a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| v.same(w)))
            }
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Float(_) | Value::Decimal(_), _) | (_, Value::Float(_) | Value::Decimal(_)) => {
                self.decimal().is_some_and(|a| other.decimal() == Some(a))
            }
            (Value::Unset(_) | Value::Partial(_), _) => false,
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
                    || (a.len() == b.len()
                        && a.is_any_case() == b.is_any_case()
                        && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| v.identical(w))))
            }
            _ => self == other,
        }
    }

    /// The value for libraries that take JSON: times in RFC 3339, durations like `1.5s`, a decimal as the nearest double.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as J;
        match self {
            Value::Null => J::Null,
            Value::Bool(b) => J::Bool(*b),
            Value::Int(i) => J::from(*i),
            Value::Uint(u) => J::from(*u),
            Value::Float(f) => serde_json::Number::from_f64(*f).map_or(J::Null, J::Number),
            Value::Decimal(text) => {
                let nearest = text.parse().unwrap_or(0.0f64).clamp(f64::MIN, f64::MAX);
                serde_json::Number::from_f64(nearest).map_or(J::Null, J::Number)
            }
            Value::Text(s) => J::String(s.to_string()),
            Value::Time(t) => J::String(t.to_string()),
            Value::Duration(d) => J::String(seconds(*d)),
            Value::List(l) => J::Array(l.iter().map(Value::to_json).collect()),
            Value::Map(m) => J::Object(m.iter().map(|(k, v)| (k.clone(), v.to_json())).collect()),
            Value::Unset(_) => J::Null,
            Value::Partial(partial) => partial.value.to_json(),
        }
    }

    /// Applies `f` to every string and number with the name of its field, and to every key. `None`: nothing changed.
    pub fn map_text(&self, field: &str, f: &dyn Fn(&str, &str) -> Option<String>) -> Option<Value> {
        match self {
            Value::Text(s) => f(field, s).map(Value::from),
            Value::Int(i) => f(field, Digits::of(*i).as_str()).map(Value::from),
            Value::Uint(u) => f(field, Digits::of(*u).as_str()).map(Value::from),
            Value::Decimal(text) => f(field, text).map(Value::from),
            Value::List(items) => {
                let mut changed = None;
                for (i, item) in items.iter().enumerate() {
                    if let Some(new) = item.map_text(field, f) {
                        changed.get_or_insert_with(|| items.to_vec())[i] = new;
                    }
                }
                changed.map(Value::list)
            }
            Value::Map(entries) => {
                // `{ name: PASSWORD, value: … }` is a field too
                let name = entries.get("name").and_then(Value::as_str);
                let mut changed: Option<Vec<(String, Value)>> = None;
                for (i, (key, value)) in entries.iter().enumerate() {
                    let field = name.filter(|_| key == "value").unwrap_or(key);
                    let (new_key, new_value) = (f("", key), value.map_text(field, f));
                    if changed.is_none() && (new_key.is_some() || new_value.is_some()) {
                        let before = entries.iter().take(i);
                        changed = Some(before.map(|(key, value)| (key.clone(), value.clone())).collect());
                    }
                    if let Some(changed) = &mut changed {
                        let (key, value) = (|| key.clone(), || value.clone());
                        changed.push((new_key.unwrap_or_else(key), new_value.unwrap_or_else(value)));
                    }
                }
                let changed = changed?.into_iter().collect::<Map>();
                Some(Value::from(changed.any_case(entries.is_any_case())))
            }
            Value::Unset(reason) => f("", reason).map(Value::unset),
            Value::Partial(p) => {
                let (value, reason) = (p.value.map_text(field, f), f("", &p.reason));
                (value.is_some() || reason.is_some()).then(|| {
                    let reason = reason.unwrap_or_else(|| p.reason.to_string());
                    Value::partial(value.unwrap_or_else(|| p.value.clone()), reason)
                })
            }
            _ => None,
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
            Value::Float(x) if !x.is_finite() => write!(f, "{x}"),
            Value::Unset(reason) => write!(f, "not observed: {reason}"),
            Value::Partial(partial) => write!(f, "{}", partial.value),
            other => other.write_json(f),
        }
    }
}

impl Value {
    /// The value as it is sent in a request body: as [`Value::to_json`], but decimals keep their spelling.
    pub fn json_text(&self) -> String {
        struct Json<'a>(&'a Value);
        impl fmt::Display for Json<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write_json(f)
            }
        }
        Json(self).to_string()
    }

    fn write_json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Decimal(text) => f.write_str(text),
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    f.write_str(if i == 0 { "[" } else { "," })?;
                    item.write_json(f)?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Value::Map(entries) => {
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{}:", if i == 0 { "{" } else { "," }, serde_json::Value::from(key.as_str()))?;
                    value.write_json(f)?;
                }
                f.write_str(if entries.is_empty() { "{}" } else { "}" })
            }
            Value::Partial(partial) => partial.value.write_json(f),
            // it may be long: no copy
            Value::Text(text) => serde_json::to_writer(json_writer::JsonWriter(f), text).map_err(|_| fmt::Error),
            scalar => write!(f, "{}", scalar.to_json()),
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
const FLOAT: &str = "$float";
const DECIMAL: &str = "$decimal";
const HEADERS: &str = "$headers";
const UNSET: &str = "$unset";
const PARTIAL: &str = "$partial";
/// Marks an observed map that could be mistaken for a marker.
const MAP: &str = "$map";

fn is_marker(key: &str) -> bool {
    [TIME, DURATION, FLOAT, DECIMAL, HEADERS, UNSET, PARTIAL, MAP].contains(&key)
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => s.serialize_unit(),
            Value::Bool(b) => s.serialize_bool(*b),
            Value::Int(i) => s.serialize_i64(*i),
            Value::Uint(u) => s.serialize_u64(*u),
            Value::Float(f) if f.is_finite() => s.serialize_f64(*f),
            Value::Float(f) => s.collect_map([(FLOAT, f.to_string())]),
            Value::Decimal(text) => s.collect_map([(DECIMAL, text)]),
            Value::Text(t) => s.serialize_str(t),
            Value::Time(t) => s.collect_map([(TIME, t.to_string())]),
            Value::Duration(d) => match i64::try_from(d.as_nanos()) {
                Ok(nanos) => s.collect_map([(DURATION, nanos)]),
                Err(_) => s.collect_map([(DURATION, d.to_string())]),
            },
            Value::List(l) => s.collect_seq(l.iter()),
            Value::Map(m) if m.is_any_case() => s.collect_map([(HEADERS, Entire(m))]),
            Value::Map(m) if m.len() == 1 && m.keys().all(|k| is_marker(k)) => s.collect_map([(MAP, Entire(m))]),
            Value::Map(m) => s.collect_map(m.iter()),
            Value::Unset(reason) => s.collect_map([(UNSET, reason)]),
            Value::Partial(p) => s.collect_map([(PARTIAL, (&p.value, &p.reason))]),
        }
    }
}

/// A map that is written as it is, whatever its keys.
struct Entire<'a>(&'a Map);

impl Serialize for Entire<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        typed(serde_json::Value::deserialize(d)?).map_err(D::Error::custom)
    }
}

#[derive(Debug, thiserror::Error)]
enum MarkerError {
    #[error(transparent)]
    Time(#[from] jiff::Error),
    #[error(transparent)]
    Number(#[from] std::num::ParseFloatError),
}

fn typed(json: serde_json::Value) -> Result<Value, MarkerError> {
    use serde_json::Value as J;
    let entries = |o: serde_json::Map<String, J>| {
        o.into_iter().map(|(k, v)| Ok((k, typed(v)?))).collect::<Result<Map, MarkerError>>()
    };
    Ok(match json {
        J::Object(mut o) if o.len() == 1 && o.keys().all(|k| is_marker(k)) => {
            let (key, content) = o.iter_mut().next().map(|(k, v)| (k.as_str(), v.take())).unwrap_or_default();
            match (key, content) {
                (TIME, J::String(text)) => Value::Time(text.parse()?),
                (DURATION, J::String(text)) => Value::Duration(text.parse()?),
                (DURATION, J::Number(nanos)) if let Some(nanos) = nanos.as_i64() => {
                    Value::Duration(SignedDuration::from_nanos(nanos))
                }
                (FLOAT, J::String(text)) => Value::Float(text.parse()?),
                (DECIMAL, J::String(text)) if Decimal::parse(&text).is_some() => Value::Decimal(text.into()),
                (HEADERS, J::Object(o)) => entries(o)?.any_case(true).into(),
                (UNSET, J::String(reason)) => Value::unset(reason),
                (MAP, J::Object(o)) => entries(o)?.into(),
                (PARTIAL, J::Array(mut pair)) if pair.len() == 2 && pair[1].is_string() => {
                    let reason = pair.pop().and_then(|r| r.as_str().map(Arc::<str>::from)).unwrap_or_default();
                    Value::Partial(Arc::new(Partial { value: typed(pair.remove(0))?, reason }))
                }
                (key, content) => Value::map([(key.to_string(), typed(content)?)]),
            }
        }
        J::Object(o) => entries(o)?.into(),
        J::Array(a) => Value::list(a.into_iter().map(typed).collect::<Result<_, _>>()?),
        other => Value::from(other),
    })
}

#[cfg(test)]
mod tests;
