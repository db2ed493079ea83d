//! Our values in the hands of the expression library, and from_cel. What is lent becomes a value of the library only where an expression
//! looks, one level at a time, and once: a copy, which the library makes of every element that it goes through, shares all of that.
//! Must not know scopes or what an expression is for.
use super::EvalError;
use crate::value::Value;
use cel::{
    ExecutionError,
    common::{
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

/// A value of the library.
pub(in crate::expr) type BoxedVal = Box<dyn Val>;

pub(in crate::expr) fn to_cel(v: &Value) -> BoxedVal {
    match v {
        Value::Null => Box::new(CelNull),
        Value::Bool(b) => Box::new(CelBool::from(*b)),
        Value::Int(i) => Box::new(CelInt::from(*i)),
        Value::Uint(u) => Box::new(CelUInt::from(*u)),
        Value::Float(f) => Box::new(CelDouble::from(*f)),
        Value::Time(t) => Box::new(CelTimestamp::from(chrono_time(*t))),
        Value::Duration(d) => {
            let nanoseconds = i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
            Box::new(CelDuration::from(chrono::Duration::nanoseconds(nanoseconds)))
        }
        Value::Text(_) | Value::List(_) | Value::Map(_) => {
            Box::new(LazyValue(Arc::new(Once { value: v.clone(), made: OnceLock::new() })))
        }
    }
}

/// Maps that an expression made come from_cel in the order of their keys: the library keeps none.
pub(super) fn from_cel(v: &dyn Val) -> Result<Value, EvalError> {
    if let Some(shared) = v.downcast_ref::<LazyValue>() {
        return Ok(shared.0.value.clone());
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
    scalar(v).unwrap_or_else(|| Err(EvalError::Other(format!("it gives a {}, which is no value", v.get_type().name()))))
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

/// A text, list or map. The library takes it for its own by `as_builtin`: so it equals what an expression spells out, and every function
/// takes it.
#[derive(Clone, Debug)]
struct LazyValue(Arc<Once>);

#[derive(Debug)]
struct Once {
    value: Value,
    made: OnceLock<Made>,
}

#[derive(Debug)]
enum Made {
    Text(CelString<'static>),
    List(CelList<'static>),
    Map(CelMap<'static>),
}

impl LazyValue {
    fn made(&self) -> &Made {
        self.0.made.get_or_init(|| match &self.0.value {
            Value::List(items) => Made::List(items.iter().map(to_cel).collect::<Vec<_>>().into()),
            Value::Map(entries) => {
                let entry = |(k, v): (&String, &Value)| (CelMapKey::String(k.clone().into()), to_cel(v));
                Made::Map(entries.iter().map(entry).collect::<HashMap<_, _>>().into())
            }
            other => Made::Text(other.as_str().unwrap_or_default().to_owned().into()),
        })
    }

    fn val(&self) -> &(dyn Val + 'static) {
        match self.made() {
            Made::Text(text) => text,
            Made::List(list) => list,
            Made::Map(map) => map,
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

    /// Only overloads of functions ask that of a type, and none is declared for this one.
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
        self.val().as_container()
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        self.val().as_indexer()
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
        match self.made() {
            Made::Map(_) => Some(self),
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
        self.val().equals(other)
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

/// Of one that the library holds alone.
impl Indexer for LazyValue {
    fn get<'b, 'v>(&'b self, at: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let nothing =
            || ExecutionError::UnexpectedType { got: self.get_type().name().into(), want: "indexable".into() };
        self.val().as_indexer().ok_or_else(nothing)?.get(at)
    }

    fn steal<'v>(self: Box<Self>, at: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Ok(self.get(at)?.into_owned())
    }
}

/// The keys of a map, in its own order.
impl Iterable for LazyValue {
    fn iter<'b, 'v>(&'b self) -> Box<dyn traits::Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        let keys = self.0.value.as_map().into_iter().flat_map(|m| m.keys());
        let made = if let Made::Map(made) = self.made() { Some(made) } else { None };
        Box::new(Keys { keys, made })
    }
}

struct Keys<'b, I> {
    keys: I,
    made: Option<&'b CelMap<'static>>,
}

impl<'b, 'v, I: Iterator<Item = &'b String>> traits::Iterator<'b, 'v> for Keys<'b, I> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        let key = CelMapKey::String(self.keys.next()?.clone().into());
        self.made?.get_key_value(&key).map(|(k, _)| k.inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        expr::{Expression, Scope},
        source::Source,
        yaml,
    };

    fn of(text: &str) -> Result<Value, EvalError> {
        let list = Value::list(vec![Value::Int(1), Value::text("b"), Value::map([("n".to_string(), Value::Null)])]);
        let map = Value::map([("z".to_string(), Value::Int(1)), ("a".to_string(), list.clone())]);
        let scope = Scope::default().with("t", "text").with("l", list).with("m", map);
        let source = Source { name: "t".into(), text: format!("\"{text}\"") };
        let node = yaml::parse(&Arc::new(source)).unwrap();
        Expression::compile(&node, 0..text.len()).unwrap().eval(&scope)
    }

    #[test]
    fn what_is_lent_equals_what_is_spelled_out_from_both_sides() {
        for same in [
            "t == 'text'",
            "'text' == t",
            "l == [1, 'b', {'n': null}]",
            "[1, 'b', {'n': null}] == l",
            "m == {'z': 1, 'a': l}",
            "{'a': [1, 'b', m.a[2]], 'z': 1} == m",
            "m.a == l && l == m.a",
            "t in ['text'] && {'n': null} in l && 'z' in m",
            "[t].map(x, x + '!') == ['text!'] && t + t == 'texttext'",
            "l + [t] == [1, 'b', {'n': null}, 'text']",
            "t < 'texu' && 'texs' < t && size(t) == 4 && size(l) == 3 && size(m) == 2",
            "l.slice(1, 2) == ['b'] && l.slice(2, 3)[0].n == null",
            "t.matches('^t') && t.split('e').join('-') == 't-xt' && [t, 'a'].sort() == ['a', t]",
            "type(t) == type('') && type(l) == type([]) && type(m) == type({})",
            "m['a'][1] == 'b' && has(m.z) && !has(m.y) && m.?y.orValue('no') == 'no'",
            "l.filter(x, x != 'b').size() == 2 && l.exists_one(x, x == 1)",
        ] {
            assert_eq!(of(same), Ok(Value::Bool(true)), "{same}");
        }
    }

    #[test]
    fn what_comes_back_is_in_the_order_that_it_had() {
        assert_eq!(of("m.map(k, k)"), Ok(Value::list(vec![Value::text("z"), Value::text("a")])));
        let Ok(Value::List(from_cel)) = of("[m]") else { panic!("no list") };
        assert_eq!(from_cel[0].as_map().unwrap().keys().collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(of("{'z': 1, 'a': 2}").unwrap().to_string(), r#"{"a":2,"z":1}"#);
    }

    #[test]
    fn what_cannot_be_done_is_said_of_the_type_that_was_lent() {
        assert_eq!(of("t + 1"), Err(EvalError::Other("`+` cannot be applied to string and int".into())));
        assert_eq!(of("l < l"), Err(EvalError::Other("`<` cannot be applied to list and list".into())));
        assert_eq!(of("m.y == 1"), Err(EvalError::Other("there is no `y`".into())));
    }
}
