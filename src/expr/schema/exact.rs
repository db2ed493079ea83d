//! Numbers that no double holds exactly, which the JSON of the schema library cannot hold either. Each has a double as
//! a stand-in, and the keywords that look at numbers compare the decimals behind them.
use crate::value::{Decimal, Value};
use jsonschema::{Keyword, ValidationError, ValidationOptions};
use serde_json::{Map, Number, Value as Json};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

const KEYWORDS: [&str; 9] = [
    "type",
    "const",
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "uniqueItems",
];

/// A document with schemas.
#[derive(Clone, Debug)]
pub struct Document {
    pub json: Json,
    pub numbers: StandIns,
}

impl From<&Value> for Document {
    fn from(value: &Value) -> Document {
        let mut numbers = StandIns::default();
        Document { json: numbers.encode(value), numbers }
    }
}

#[derive(Clone, Debug, Default)]
pub struct StandIns {
    /// By the bits of the double.
    decimals: HashMap<u64, Decimal>,
    doubles: HashMap<Decimal, f64>,
    /// The bits of the doubles that occur as such.
    taken: HashSet<u64>,
}

impl StandIns {
    pub fn is_empty(&self) -> bool {
        self.decimals.is_empty()
    }

    /// The JSON of a value, in which equal numbers have the same substitute.
    pub fn encode(&mut self, value: &Value) -> Json {
        match value {
            Value::Decimal(text) => match Decimal::parse(text) {
                Some(decimal) => self.substitute(decimal, text.parse().unwrap_or_default()),
                None => Json::Null,
            },
            Value::Float(f) if self.decimals.contains_key(&f.to_bits()) => match Decimal::of(*f) {
                Some(decimal) => self.substitute(decimal, *f),
                None => Json::Null,
            },
            Value::Float(f) => {
                self.taken.insert(f.to_bits());
                value.to_json()
            }
            Value::List(items) => items.iter().map(|item| self.encode(item)).collect(),
            Value::Map(map) => Json::Object(map.iter().map(|(name, v)| (name.clone(), self.encode(v))).collect()),
            other => other.to_json(),
        }
    }

    fn substitute(&mut self, decimal: Decimal, nearest: f64) -> Json {
        let mut double = nearest.clamp(f64::MIN, f64::MAX);
        match self.doubles.get(&decimal) {
            Some(known) => double = *known,
            None => {
                while self.taken.contains(&double.to_bits()) || self.decimals.contains_key(&double.to_bits()) {
                    double = if double > 0.0 { double.next_down() } else { double.next_up() };
                }
                self.decimals.insert(double.to_bits(), decimal.clone());
                self.doubles.insert(decimal, double);
            }
        }
        Number::from_f64(double).map_or(Json::Null, Json::Number)
    }

    fn decimal(&self, number: &Json) -> Option<Decimal> {
        let Json::Number(n) = number else { return None };
        if let Some(i) = n.as_i128() {
            return Some(i.into());
        }
        let double = n.as_f64()?;
        self.decimals.get(&double.to_bits()).cloned().or_else(|| Decimal::of(double))
    }

    fn same(&self, a: &Json, b: &Json) -> bool {
        match (a, b) {
            (Json::Number(_), Json::Number(_)) => self.decimal(a) == self.decimal(b),
            (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b)),
            (Json::Object(a), Json::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| self.same(a, b)))
            }
            _ => a == b,
        }
    }

    /// The options with keywords that compare decimals.
    pub fn compare_exactly(self, options: ValidationOptions<'_>) -> ValidationOptions<'_> {
        let numbers = Arc::new(self);
        KEYWORDS.iter().fold(options, |options, keyword| {
            let numbers = numbers.clone();
            options.with_keyword(*keyword, move |parent: &Map<String, Json>, value: &Json, _| {
                let (parent, value) = (parent.clone(), value.clone());
                Ok(Box::new(ExactKeyword { keyword, parent, value, numbers: numbers.clone() }) as Box<_>)
            })
        })
    }
}

struct ExactKeyword {
    keyword: &'static str,
    /// The schema that contains it.
    parent: Map<String, Json>,
    value: Json,
    numbers: Arc<StandIns>,
}

impl ExactKeyword {
    /// Why `instance` is not valid.
    fn error(&self, instance: &Json) -> Option<String> {
        let (value, number) = (&self.value, self.numbers.decimal(instance));
        let values = || value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let is_unequal = |limit: &Decimal, is_above: bool, exclusive: &str| {
            let order = number.as_ref().map(|n| if is_above { limit.cmp(n) } else { n.cmp(limit) });
            let is_exclusive = self.parent.get(exclusive) == Some(&Json::Bool(true)) || self.keyword == exclusive;
            order.is_some_and(|order| order.is_lt() || is_exclusive && order.is_eq())
        };
        let limit = self.numbers.decimal(value);
        let is_invalid = match (self.keyword, &limit) {
            ("type", _) => !values().iter().any(|t| self.is_of_type(instance, t)),
            ("const", _) => !self.numbers.same(instance, value),
            ("enum", _) => !values().iter().any(|one| self.numbers.same(instance, one)),
            ("uniqueItems", _) => {
                let items = instance.as_array().filter(|_| *value == Json::Bool(true)).map_or(&[][..], Vec::as_slice);
                items.iter().enumerate().any(|(i, a)| items[..i].iter().any(|b| self.numbers.same(a, b)))
            }
            ("minimum" | "exclusiveMinimum", Some(limit)) => is_unequal(limit, false, "exclusiveMinimum"),
            ("maximum" | "exclusiveMaximum", Some(limit)) => is_unequal(limit, true, "exclusiveMaximum"),
            ("multipleOf", Some(divisor)) => number.is_some_and(|n| n.is_multiple_of(divisor) != Some(true)),
            // `exclusiveMinimum: true` of draft 4 belongs to `minimum`
            _ => false,
        };
        is_invalid.then(|| format!("not valid by `{}`", self.keyword))
    }

    fn is_of_type(&self, instance: &Json, name: &Json) -> bool {
        match name.as_str().unwrap_or_default() {
            "null" => instance.is_null(),
            "boolean" => instance.is_boolean(),
            "string" => instance.is_string(),
            "array" => instance.is_array(),
            "object" => instance.is_object(),
            "number" => instance.is_number(),
            "integer" => self.numbers.decimal(instance).is_some_and(|n| n.is_integer()),
            _ => false,
        }
    }
}

impl<'i> Keyword<'i> for ExactKeyword {
    fn validate(&self, instance: &'i Json) -> Result<(), ValidationError<'i>> {
        self.error(instance).map_or(Ok(()), |message| Err(ValidationError::custom(message)))
    }

    fn is_valid(&self, instance: &'i Json) -> bool {
        self.error(instance).is_none()
    }
}
