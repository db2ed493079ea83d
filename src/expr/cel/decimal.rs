//! Numbers in expressions that the library's types do not hold exactly. They are equal to nothing but each other, since
//! [`crate::value::Value::number`] gives every other number a type of the library; `string(x)` is the spelling.
use crate::value::Decimal;
use cel::{
    Env, ExecutionError,
    common::{
        types::{CelDouble, CelInt, CelString, CelUInt, Kind, Type},
        value::{CowVal, Val},
    },
    objects::Opaque,
};
use std::sync::Arc;

/// The name of the type in messages.
pub(super) const TYPE: &str = "decimal";

#[derive(Debug)]
struct Spelled {
    text: Arc<str>,
    value: Option<Decimal>,
}

impl PartialEq for Spelled {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Spelled {}

impl Opaque for Spelled {
    fn runtime_type_name(&self) -> &str {
        TYPE
    }
}

pub(super) fn decimal(text: &Arc<str>) -> Box<dyn Val> {
    let spelled = Spelled { text: text.clone(), value: Decimal::parse(text) };
    let converted: Result<Box<dyn Val>, _> = cel::Value::Opaque(Arc::new(spelled)).try_into();
    converted.unwrap_or_else(|_| Box::new(CelDouble::from(f64::NAN)))
}

/// A double. The library compares an integer with it after rounding, so a large one becomes the integer it spells.
pub(super) fn double(f: f64) -> Box<dyn Val> {
    const EXACT: f64 = (1u64 << 53) as f64;
    if f.abs() < EXACT || !f.is_finite() {
        return Box::new(CelDouble::from(f));
    }
    let integer = Decimal::of(f).and_then(|d| d.integer());
    match integer.map(|i| (i64::try_from(i), u64::try_from(i))) {
        Some((Ok(i), _)) => Box::new(CelInt::from(i)),
        Some((_, Ok(u))) => Box::new(CelUInt::from(u)),
        // it would be equal to the largest unsigned integer
        _ if f == u64::MAX as f64 => decimal(&f.to_string().into()),
        _ => Box::new(CelDouble::from(f)),
    }
}

/// The spelling of a decimal; `None` for any other value.
pub(super) fn spelling(v: &dyn Val) -> Option<Arc<str>> {
    if v.get_type().kind() != Kind::Opaque {
        return None;
    }
    match v.try_into() {
        Ok(cel::Value::Opaque(opaque)) => opaque.downcast_ref::<Spelled>().map(|s| s.text.clone()),
        _ => None,
    }
}

/// Adds `string(x)`.
pub(super) fn add_conversion(env: &mut Env) {
    fn to_string<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
        let text = args.first().and_then(|v| spelling(&**v)).unwrap_or_default();
        Ok(CowVal::owned(CelString::from(text.to_string())))
    }
    let added = env.add_overload("string", "decimal_to_string", vec![Type::new_opaque_type(TYPE)], to_string);
    added.expect("the overload is new");
}
