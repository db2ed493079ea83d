//! Encodes values for PostgreSQL, in the binary format of the type that the server inferred for each parameter.
use super::decode::is_unresolved;
use crate::value::Value;
use jiff::{Timestamp, civil};
use sqlx::{
    Encode, Postgres, Type, TypeInfo,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgTypeKind},
};

/// 2000-01-01, the origin of PostgreSQL's timestamps, in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A bind parameter with its value.
#[derive(Debug)]
pub struct Param {
    ty: PgTypeInfo,
    /// `None` for NULL.
    bytes: Option<Vec<u8>>,
}

/// Why a value cannot be encoded as a type.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The type's binary format is unsupported: the server must cast the value from text.
    #[error("the type needs a cast from text")]
    NeedsCast,
    #[error("{0}")]
    Mismatch(String),
}

fn mismatch(reason: impl ToString) -> EncodeError {
    EncodeError::Mismatch(reason.to_string())
}

impl Param {
    pub fn new(value: &Value, ty: &PgTypeInfo) -> Result<Param, EncodeError> {
        let bytes = if *value == Value::Null { None } else { Some(encode(value, ty)?) };
        Ok(Param { ty: ty.clone(), bytes })
    }

    pub fn text(value: &Value) -> Param {
        let bytes = (*value != Value::Null).then(|| value.to_string().into_bytes());
        Param { ty: PgTypeInfo::with_name("TEXT"), bytes }
    }
}

impl Type<Postgres> for Param {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("TEXT")
    }
}

impl Encode<'_, Postgres> for Param {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let Some(bytes) = &self.bytes else { return Ok(IsNull::Yes) };
        buf.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.ty.clone())
    }
}

fn encode(value: &Value, ty: &PgTypeInfo) -> Result<Vec<u8>, EncodeError> {
    if is_unresolved(ty) {
        return Err(mismatch("unknown type: cast the value"));
    }
    match ty.kind() {
        PgTypeKind::Domain(inner) => return encode(value, inner),
        PgTypeKind::Enum(_) => return Ok(value.to_string().into_bytes()),
        PgTypeKind::Array(of) => return array(value, of),
        PgTypeKind::Simple => {}
        _ => return Err(EncodeError::NeedsCast),
    }
    let text = value.to_string();
    let int = || text.parse::<i64>().map_err(|_| mismatch("expected a whole number"));
    let float = || match value {
        Value::Decimal(_) => Err(mismatch("no double holds this number exactly")),
        _ => text.parse::<f64>().map_err(|_| mismatch("expected a number")),
    };
    Ok(match ty.name().to_lowercase().as_str() {
        "bool" => match text.as_str() {
            "true" => vec![1],
            "false" => vec![0],
            _ => return Err(mismatch("expected true or false")),
        },
        "int2" => i16::try_from(int()?).map_err(|_| mismatch("out of range"))?.to_be_bytes().into(),
        "int4" => i32::try_from(int()?).map_err(|_| mismatch("out of range"))?.to_be_bytes().into(),
        "int8" => int()?.to_be_bytes().into(),
        "oid" => u32::try_from(int()?).map_err(|_| mismatch("expected an object id"))?.to_be_bytes().into(),
        "float4" => (float()? as f32).to_be_bytes().into(),
        "float8" => float()?.to_be_bytes().into(),
        "numeric" => numeric(&text).ok_or_else(|| mismatch("expected a decimal number"))?,
        "text" | "varchar" | "char" | "bpchar" | "name" | "xml" | "unknown" => text.into_bytes(),
        "uuid" => uuid::Uuid::parse_str(&text).map_err(mismatch)?.as_bytes().to_vec(),
        // A string is already JSON, as in PostgreSQL.
        "json" => json(value).into_bytes(),
        "jsonb" => [vec![1], json(value).into_bytes()].concat(),
        "timestamptz" => instant(value, &text)?.to_be_bytes().into(),
        "timestamp" => local(value, &text)?.to_be_bytes().into(),
        "date" => date(value, &text)?.to_be_bytes().into(),
        "time" => text.parse::<civil::Time>().map_err(mismatch).map(micros_of_day)?.to_be_bytes().into(),
        "bytea" => match text.strip_prefix("\\x") {
            Some(hex) => hex::decode(hex).map_err(mismatch)?,
            None => text.into_bytes(),
        },
        _ => return Err(EncodeError::NeedsCast),
    })
}

fn json(value: &Value) -> String {
    match value {
        Value::Text(t) => t.to_string(),
        other => other.to_string(),
    }
}

fn micros_of_day(t: civil::Time) -> i64 {
    let seconds = i64::from(t.hour()) * 3600 + i64::from(t.minute()) * 60 + i64::from(t.second());
    seconds * 1_000_000 + i64::from(t.subsec_nanosecond()) / 1000
}

fn infinity(text: &str) -> Option<i64> {
    match text {
        "infinity" => Some(i64::MAX),
        "-infinity" => Some(i64::MIN),
        _ => None,
    }
}

fn instant(value: &Value, text: &str) -> Result<i64, EncodeError> {
    if let Some(infinity) = infinity(text) {
        return Ok(infinity);
    }
    let at = match value {
        Value::Time(t) => *t,
        _ => text.parse::<Timestamp>().map_err(mismatch)?,
    };
    Ok(at.as_microsecond() - EPOCH_MICROS)
}

fn local(value: &Value, text: &str) -> Result<i64, EncodeError> {
    if let Some(infinity) = infinity(text) {
        return Ok(infinity);
    }
    // An instant is converted in UTC, the session's time zone.
    if let Ok(at) = instant(value, text) {
        return Ok(at);
    }
    let civil = text.parse::<civil::DateTime>().map_err(mismatch)?;
    Ok(i64::from(days(civil.date())) * 86_400_000_000 + micros_of_day(civil.time()))
}

fn date(value: &Value, text: &str) -> Result<i32, EncodeError> {
    match (infinity(text), value) {
        (Some(i64::MAX), _) => Ok(i32::MAX),
        (Some(_), _) => Ok(i32::MIN),
        (None, Value::Time(t)) => Ok(days(t.to_zoned(jiff::tz::TimeZone::UTC).date())),
        _ => text.parse::<civil::Date>().map(days).map_err(mismatch),
    }
}

/// Days since 2000-01-01.
fn days(date: civil::Date) -> i32 {
    (date - civil::date(2000, 1, 1)).get_days()
}

/// Encodes a decimal number: count, weight, sign and scale, then groups of four digits.
fn numeric(text: &str) -> Option<Vec<u8>> {
    let special = match text {
        "NaN" => Some(0xC000u16),
        "Infinity" | "inf" => Some(0xD000),
        "-Infinity" | "-inf" => Some(0xF000),
        _ => None,
    };
    if let Some(sign) = special {
        return Some([[0u8; 4].as_slice(), &sign.to_be_bytes(), &[0, 0]].concat());
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i32>().ok().filter(|e| e.abs() < 1000)?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut all = format!("{whole}{fraction}");
    let mut point = i32::try_from(whole.len()).ok()? + exponent;
    let scale = (i32::try_from(fraction.len()).ok()? - exponent).max(0);
    // Groups of four digits are aligned at the decimal point.
    while point.rem_euclid(4) != 0 {
        all.insert(0, '0');
        point += 1;
    }
    while all.len() % 4 != 0 {
        all.push('0');
    }
    let mut groups: Vec<i16> =
        all.as_bytes().chunks(4).map(|c| c.iter().fold(0, |n, b| n * 10 + i16::from(b - b'0'))).collect();
    let mut weight = point / 4 - 1;
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let mut out = vec![];
    out.extend(i16::try_from(groups.len()).ok()?.to_be_bytes());
    out.extend(i16::try_from(weight).ok()?.to_be_bytes());
    out.extend(if negative { 0x4000u16 } else { 0 }.to_be_bytes());
    out.extend(i16::try_from(scale).ok()?.to_be_bytes());
    groups.iter().for_each(|g| out.extend(g.to_be_bytes()));
    Some(out)
}

fn array(value: &Value, of: &PgTypeInfo) -> Result<Vec<u8>, EncodeError> {
    let Some(items) = value.as_list() else { return Err(mismatch("expected a list")) };
    let Some(oid) = of.oid() else { return Err(EncodeError::NeedsCast) };
    let count = |n: usize| i32::try_from(n).map_err(|_| mismatch("the list is too long"));
    let mut out = vec![];
    out.extend(i32::from(!items.is_empty()).to_be_bytes());
    out.extend(i32::from(items.contains(&Value::Null)).to_be_bytes());
    out.extend(oid.0.to_be_bytes());
    if items.is_empty() {
        return Ok(out);
    }
    out.extend(count(items.len())?.to_be_bytes());
    out.extend(1i32.to_be_bytes());
    for item in items {
        if *item == Value::Null {
            out.extend((-1i32).to_be_bytes());
            continue;
        }
        let bytes = encode(item, of)?;
        out.extend(count(bytes.len())?.to_be_bytes());
        out.extend(bytes);
    }
    Ok(out)
}
