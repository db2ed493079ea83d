//! Values on their way to PostgreSQL, in the binary form of the type that the server inferred for each placeholder. Pure.
use super::read::is_nameless;
use crate::value::Value;
use jiff::{Timestamp, civil};
use sqlx::{
    Encode, Postgres, Type, TypeInfo,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgTypeKind},
};

/// 2000-01-01, from which PostgreSQL counts, in microseconds since 1970.
pub const EPOCH_MICROS: i64 = 946_684_800_000_000;
pub const EPOCH_DAYS: i32 = 10_957;

/// One bound value.
#[derive(Debug)]
pub struct Param {
    ty: PgTypeInfo,
    /// `None` for NULL.
    bytes: Option<Vec<u8>>,
}

#[derive(Debug, PartialEq)]
pub enum Misfit {
    /// We do not know the binary form of this type: the server is to cast it from text.
    Cast,
    /// The value cannot be one of this type; why.
    Wrong(String),
}

impl Param {
    pub fn new(value: &Value, ty: &PgTypeInfo) -> Result<Param, Misfit> {
        let bytes = if *value == Value::Null { None } else { Some(encoded(value, ty)?) };
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

fn encoded(value: &Value, ty: &PgTypeInfo) -> Result<Vec<u8>, Misfit> {
    if is_nameless(ty) {
        return Err(Misfit::Wrong("nobody here knows this type; cast the placeholder".into()));
    }
    match ty.kind() {
        PgTypeKind::Domain(inner) => return encoded(value, inner),
        PgTypeKind::Enum(_) => return Ok(value.to_string().into_bytes()),
        PgTypeKind::Array(of) => return array(value, of),
        PgTypeKind::Simple => {}
        _ => return Err(Misfit::Cast),
    }
    let text = value.to_string();
    let wrong = |why: &str| Misfit::Wrong(why.to_string());
    let number = || text.parse::<i64>().map_err(|_| wrong("it is no whole number"));
    let float = || text.parse::<f64>().map_err(|_| wrong("it is no number"));
    Ok(match ty.name().to_lowercase().as_str() {
        "bool" => match text.as_str() {
            "true" => vec![1],
            "false" => vec![0],
            _ => return Err(wrong("it is neither true nor false")),
        },
        "int2" => i16::try_from(number()?).map_err(|_| wrong("it is too large"))?.to_be_bytes().into(),
        "int4" => i32::try_from(number()?).map_err(|_| wrong("it is too large"))?.to_be_bytes().into(),
        "int8" => number()?.to_be_bytes().into(),
        "oid" => u32::try_from(number()?).map_err(|_| wrong("it is no object id"))?.to_be_bytes().into(),
        "float4" => (float()? as f32).to_be_bytes().into(),
        "float8" => float()?.to_be_bytes().into(),
        "numeric" => numeric(&text).ok_or_else(|| wrong("it is no decimal number"))?,
        "text" | "varchar" | "char" | "bpchar" | "name" | "xml" | "unknown" => text.into_bytes(),
        "uuid" => uuid::Uuid::parse_str(&text).map_err(|e| Misfit::Wrong(e.to_string()))?.as_bytes().to_vec(),
        // A text is taken to be JSON already, as PostgreSQL takes it.
        "json" => json(value).into_bytes(),
        "jsonb" => [vec![1], json(value).into_bytes()].concat(),
        "timestamptz" => instant(value, &text)?.to_be_bytes().into(),
        "timestamp" => local(value, &text)?.to_be_bytes().into(),
        "date" => date(value, &text)?.to_be_bytes().into(),
        "time" => {
            text.parse::<civil::Time>().map_err(|e| Misfit::Wrong(e.to_string())).map(micros_of)?.to_be_bytes().into()
        }
        "bytea" => match text.strip_prefix("\\x") {
            Some(hex) => hex::decode(hex).map_err(|e| Misfit::Wrong(e.to_string()))?,
            None => text.into_bytes(),
        },
        _ => return Err(Misfit::Cast),
    })
}

fn json(value: &Value) -> String {
    match value {
        Value::Text(t) => t.to_string(),
        other => other.to_json().to_string(),
    }
}

fn micros_of(t: civil::Time) -> i64 {
    let seconds = i64::from(t.hour()) * 3600 + i64::from(t.minute()) * 60 + i64::from(t.second());
    seconds * 1_000_000 + i64::from(t.subsec_nanosecond()) / 1000
}

fn endless(text: &str) -> Option<i64> {
    match text {
        "infinity" => Some(i64::MAX),
        "-infinity" => Some(i64::MIN),
        _ => None,
    }
}

fn instant(value: &Value, text: &str) -> Result<i64, Misfit> {
    if let Some(end) = endless(text) {
        return Ok(end);
    }
    let at = match value {
        Value::Time(t) => *t,
        _ => text.parse::<Timestamp>().map_err(|e| Misfit::Wrong(e.to_string()))?,
    };
    Ok(at.as_microsecond() - EPOCH_MICROS)
}

fn local(value: &Value, text: &str) -> Result<i64, Misfit> {
    if let Some(end) = endless(text) {
        return Ok(end);
    }
    // A time without zone is compared with an instant as PostgreSQL would if the session's zone were UTC.
    if let Ok(at) = instant(value, text) {
        return Ok(at);
    }
    let civil = text.parse::<civil::DateTime>().map_err(|e| Misfit::Wrong(e.to_string()))?;
    let day = days(civil.date());
    Ok(i64::from(day) * 86_400_000_000 + micros_of(civil.time()))
}

fn date(value: &Value, text: &str) -> Result<i32, Misfit> {
    match (endless(text), value) {
        (Some(i64::MAX), _) => Ok(i32::MAX),
        (Some(_), _) => Ok(i32::MIN),
        (None, Value::Time(t)) => Ok(days(t.to_zoned(jiff::tz::TimeZone::UTC).date())),
        _ => text.parse::<civil::Date>().map(days).map_err(|e| Misfit::Wrong(e.to_string())),
    }
}

fn days(d: civil::Date) -> i32 {
    let since = d.to_datetime(civil::Time::midnight()).to_zoned(jiff::tz::TimeZone::UTC);
    let seconds = since.map(|z| z.timestamp().as_second()).unwrap_or_default();
    i32::try_from(seconds.div_euclid(86_400)).unwrap_or_default() - EPOCH_DAYS
}

/// Base 10,000, with the weight of its first digit.
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
    // Groups of four digits begin at the point.
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

fn array(value: &Value, of: &PgTypeInfo) -> Result<Vec<u8>, Misfit> {
    let Some(items) = value.as_list() else { return Err(Misfit::Wrong("it is no list".into())) };
    let Some(oid) = of.oid() else { return Err(Misfit::Cast) };
    let count = |n: usize| i32::try_from(n).map_err(|_| Misfit::Wrong("the list is too long".into()));
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
        let bytes = encoded(item, of)?;
        out.extend(count(bytes.len())?.to_be_bytes());
        out.extend(bytes);
    }
    Ok(out)
}
