//! Converts between [`Value`] and the CEL library's values. A string, list or map is converted lazily, one level at a
//! time and once: the library's copies share the result.
use super::{
    decimal,
    error::EvalError,
    incomplete::{PartialVal, UnsetVal, not_observed},
};
use crate::value::{Map, Value};
use cel::{
    ExecutionError,
    common::{
        ast::LiteralValue,
        traits::{self, Adder, Comparer, Container, Indexer, Iterable, Sizer, Zeroer},
        types::{
            CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString,
            CelTimestamp, CelType, CelUInt, LIST_TYPE, MAP_TYPE, STRING_TYPE, Type,
        },
        value::{Builtin, BuiltinRef, CowVal, StaticVal, Val},
    },
};
use jiff::{SignedDuration, Timestamp};
use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// A value of the CEL library.
pub(super) type BoxedVal = Box<dyn Val>;

pub(super) fn to_cel(v: &Value) -> BoxedVal {
    match v {
        Value::Null => Box::new(CelNull),
        Value::Bool(b) => Box::new(CelBool::from(*b)),
        Value::Int(i) => Box::new(CelInt::from(*i)),
        Value::Uint(u) => Box::new(CelUInt::from(*u)),
        Value::Float(f) => decimal::double(*f),
        Value::Decimal(text) => decimal::decimal(text),
        Value::Time(t) => Box::new(CelTimestamp::from(chrono_time(*t))),
        Value::Duration(d) => {
            let nanoseconds = i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
            Box::new(CelDuration::from(chrono::Duration::nanoseconds(nanoseconds)))
        }
        Value::Text(_) | Value::List(_) | Value::Map(_) => {
            Box::new(LazyValue(Arc::new(Lazy { value: v.clone(), converted: OnceLock::new() })))
        }
        Value::Unset(reason) => Box::new(UnsetVal::new(reason)),
        Value::Partial(partial) => Box::new(PartialVal::new(partial.clone(), to_cel(&partial.value))),
    }
}

/// Converts a result. A map built by an expression is sorted by key, since the library keeps no order.
pub(super) fn from_cel(v: &dyn Val) -> Result<Value, EvalError> {
    if let Some(lazy) = v.downcast_ref::<LazyValue>() {
        return Ok(lazy.0.value.clone());
    }
    if let Some(v) = v.downcast_ref::<PartialVal>() {
        return Ok(Value::Partial(v.partial.clone()));
    }
    if let Some(text) = v.downcast_ref::<CelString>() {
        return Ok(Value::text(text.inner()));
    }
    if let Some(list) = v.downcast_ref::<CelList>() {
        return Ok(Value::list(list.inner().iter().map(|v| from_cel(&**v)).collect::<Result<_, _>>()?));
    }
    if let Some(map) = v.downcast_ref::<CelMap>() {
        let entries = map.inner().iter().map(|(k, v)| Ok((key(k), from_cel(&**v)?)));
        let mut entries = entries.collect::<Result<Vec<_>, EvalError>>()?;
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        return Ok(Value::map(entries));
    }
    let unsupported = || EvalError::Other(format!("expected a value, found a {}", v.get_type().name()));
    scalar(v).unwrap_or_else(|| Err(unsupported()))
}

/// Converts the argument of a function this project adds to CEL.
pub(super) fn from_argument(v: cel::Value) -> Result<Value, EvalError> {
    let v: BoxedVal = v.try_into().map_err(|e: ExecutionError| EvalError::Other(e.to_string()))?;
    from_cel(&*v)
}

/// The value of a literal that needs no evaluation; `None` for other literals.
pub(super) fn literal_value(literal: &LiteralValue) -> Option<Value> {
    Some(match literal {
        LiteralValue::Boolean(b) => Value::Bool(*b.inner()),
        LiteralValue::Int(i) => Value::Int(*i.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(s) => Value::text(s.inner()),
        _ => return None,
    })
}

fn scalar(v: &dyn Val) -> Option<Result<Value, EvalError>> {
    Some(Ok(if let Some(b) = v.downcast_ref::<CelBool>() {
        Value::Bool(*b.inner())
    } else if let Some(i) = v.downcast_ref::<CelInt>() {
        Value::Int(*i.inner())
    } else if let Some(u) = v.downcast_ref::<CelUInt>() {
        Value::from(*u.inner())
    } else if let Some(f) = v.downcast_ref::<CelDouble>() {
        Value::Float(*f.inner())
    } else if v.downcast_ref::<CelNull>().is_some() {
        Value::Null
    } else if let Some(bytes) = v.downcast_ref::<CelBytes>() {
        Value::text(String::from_utf8_lossy(bytes.inner()))
    } else if let Some(t) = v.downcast_ref::<CelTimestamp>() {
        let (seconds, rest) = (t.inner().timestamp(), t.inner().timestamp_subsec_nanos());
        let time = Timestamp::new(seconds, rest as i32).map(Value::Time);
        return Some(time.map_err(|e| EvalError::Other(e.to_string())));
    } else if let Some(d) = v.downcast_ref::<CelDuration>() {
        Value::Duration(d.inner().num_nanoseconds().map_or(SignedDuration::MAX, SignedDuration::from_nanos))
    } else if let Some(t) = v.downcast_ref::<CelType>() {
        Value::text(t.name())
    } else if let Some(text) = decimal::spelling(v) {
        Value::Decimal(text)
    } else {
        return None;
    }))
}

fn key(k: &CelMapKey) -> String {
    match k {
        CelMapKey::String(s) => s.inner().to_string(),
        CelMapKey::Int(i) => i.inner().to_string(),
        CelMapKey::UInt(u) => u.inner().to_string(),
        CelMapKey::Bool(b) => b.inner().to_string(),
    }
}

pub(super) fn chrono_time(t: Timestamp) -> chrono::DateTime<chrono::FixedOffset> {
    chrono::DateTime::from_timestamp(t.as_second(), t.subsec_nanosecond().max(0) as u32)
        .unwrap_or_default()
        .fixed_offset()
}

/// A string, list or map. `as_builtin` gives the library its own type, so comparisons and functions treat it like a
/// literal.
#[derive(Clone, Debug)]
pub(super) struct LazyValue(Arc<Lazy>);

#[derive(Debug)]
struct Lazy {
    value: Value,
    converted: OnceLock<Converted>,
}

#[derive(Debug)]
enum Converted {
    Text(CelString<'static>),
    List(CelList<'static>),
    Map(CelMap<'static>),
}

impl LazyValue {
    fn converted(&self) -> &Converted {
        self.0.converted.get_or_init(|| match &self.0.value {
            Value::List(items) => Converted::List(items.iter().map(to_cel).collect::<Vec<_>>().into()),
            Value::Map(entries) => {
                let entry = |(k, v): (&String, &Value)| (CelMapKey::String(k.clone().into()), to_cel(v));
                Converted::Map(entries.iter().map(entry).collect::<HashMap<_, _>>().into())
            }
            other => Converted::Text(other.as_str().unwrap_or_default().to_owned().into()),
        })
    }

    fn is_any_case(&self) -> bool {
        self.0.value.as_map().is_some_and(Map::is_any_case)
    }

    fn val(&self) -> &(dyn Val + 'static) {
        match self.converted() {
            Converted::Text(text) => text,
            Converted::List(list) => list,
            Converted::Map(map) => map,
        }
    }
}

impl Val for LazyValue {
    fn get_type(&self) -> &Type {
        match &self.0.value {
            Value::List(_) => &LIST_TYPE,
            Value::Map(_) => &MAP_TYPE,
            _ => &STRING_TYPE,
        }
    }

    /// Used only by function overloads, and no overload is declared for this type.
    fn cel_type() -> &'static Type {
        &STRING_TYPE
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        self.val().as_adder()
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        self.val().as_comparer()
    }

    fn as_container(&self) -> Option<&dyn Container> {
        if self.is_any_case() { Some(self) } else { self.val().as_container() }
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        match &self.0.value {
            Value::Map(_) => Some(self),
            _ => self.val().as_indexer(),
        }
    }

    fn into_indexer<'v>(self: Box<Self>) -> Option<Box<dyn Indexer + 'v>>
    where
        Self: 'v,
    {
        self.val().as_indexer()?;
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        match self.converted() {
            Converted::Map(_) => Some(self),
            _ => self.val().as_iterable(),
        }
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        self.val().as_sizer()
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        self.val().as_zeroer()
    }

    fn equals(&self, other: &dyn Val) -> bool {
        match self.is_any_case() {
            true => from_cel(other).is_ok_and(|other| self.0.value.same(&other)),
            false => self.val().equals(other),
        }
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn as_builtin<'b, 'v>(&'b self) -> BuiltinRef<'b, 'v>
    where
        Self: 'v,
    {
        self.val().as_builtin()
    }

    fn into_builtin<'v>(self: Box<Self>) -> Option<Builtin<'v>>
    where
        Self: 'v,
    {
        self.val().clone_as_boxed().into_builtin()
    }
}

impl StaticVal for LazyValue {}

/// Used for a map whose keys are found without regard to case.
impl Container for LazyValue {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        match key.downcast_ref::<CelString>() {
            Some(key) => Ok(self.0.value.get(key.inner()).is_some()),
            None => Ok(false),
        }
    }
}

/// Used when the library owns the value, and for every map: one may have fields that were not observed, or keys that are
/// found without regard to case.
impl Indexer for LazyValue {
    fn get<'b, 'v>(&'b self, at: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let key = at.downcast_ref::<CelString>();
        if let Some(Value::Unset(reason)) = key.and_then(|key| self.0.value.get(key.inner())) {
            return Err(not_observed(reason));
        }
        let any_case = self.0.value.as_map().filter(|map| map.is_any_case());
        let spelled = key.zip(any_case).and_then(|(key, map)| map.spelled(key.inner()));
        let spelled = spelled.map(|key| CelString::from(key.to_owned()));
        let at = spelled.as_ref().map_or(at, |key| key as &dyn Val);
        let unsupported =
            || ExecutionError::UnexpectedType { got: self.get_type().name().into(), want: "indexable".into() };
        self.val().as_indexer().ok_or_else(unsupported)?.get(at)
    }

    fn steal<'v>(self: Box<Self>, at: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Ok(self.get(at)?.into_owned())
    }
}

/// Iterates over the keys of a map, in their original order.
impl Iterable for LazyValue {
    fn iter<'b, 'v>(&'b self) -> Box<dyn traits::Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        let keys = self.0.value.as_map().into_iter().flat_map(|m| m.keys());
        let map = if let Converted::Map(map) = self.converted() { Some(map) } else { None };
        Box::new(Keys { keys, map })
    }
}

struct Keys<'b, I> {
    keys: I,
    map: Option<&'b CelMap<'static>>,
}

impl<'b, 'v, I: Iterator<Item = &'b String>> traits::Iterator<'b, 'v> for Keys<'b, I> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        let key = CelMapKey::String(self.keys.next()?.clone().into());
        self.map?.get_key_value(&key).map(|(k, _)| k.inner())
    }
}
