//! Decodes values of PostgreSQL, in the binary format (bound statements) and the text format (scripts). Replaces the
//! library's decoders, which panic on `infinity` and lose the scale of a numeric. See
//! `docs/decisions/0006-hand-written-code.md`.
use super::super::server::{Cell, DecodeError};
use super::types::{has_binary_format, is_unresolved};
use crate::value::Value;
use jiff::{ToSpan, civil};
use sqlx::{
    TypeInfo, ValueRef,
    postgres::{PgTypeInfo, PgTypeKind, PgValueFormat, PgValueRef},
};
use std::net::IpAddr;

pub fn decode(raw: &PgValueRef<'_>) -> Cell {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let ty = raw.type_info();
    let bytes = raw.as_bytes().map_err(DecodeError::library)?;
    if raw.format() == PgValueFormat::Text {
        let text = std::str::from_utf8(bytes).map_err(DecodeError::library)?;
        return Ok(from_text(text, &ty));
    }
    from_binary(bytes, &ty).ok_or_else(|| DecodeError::Undecoded(bytes.to_vec()))
}

fn from_binary(b: &[u8], ty: &PgTypeInfo) -> Option<Value> {
    if is_unresolved(ty) {
        return None;
    }
    match ty.kind() {
        PgTypeKind::Domain(inner) => return from_binary(b, inner),
        PgTypeKind::Enum(_) => return text(b),
        PgTypeKind::Array(of) => return array(b, of),
        _ => {}
    }
    Some(match ty.name().to_lowercase().as_str() {
        "bool" => Value::Bool(*b.first()? != 0),
        "int2" => Value::Int(i16::from_be_bytes(b.try_into().ok()?).into()),
        "int4" => Value::Int(i32::from_be_bytes(b.try_into().ok()?).into()),
        "int8" => Value::Int(i64::from_be_bytes(b.try_into().ok()?)),
        "oid" => Value::Int(u32::from_be_bytes(b.try_into().ok()?).into()),
        "float4" => float4(f32::from_be_bytes(b.try_into().ok()?)),
        "float8" => float(f64::from_be_bytes(b.try_into().ok()?)),
        "numeric" => decimal(&numeric(b)?),
        "uuid" => Value::text(uuid::Uuid::from_slice(b).ok()?.to_string()),
        "json" => parse_json(std::str::from_utf8(b).ok()?),
        "jsonb" => parse_json(std::str::from_utf8(b.get(1..)?).ok()?),
        "timestamptz" => Value::text(timestamp(i64::from_be_bytes(b.try_into().ok()?), "Z")),
        "timestamp" => Value::text(timestamp(i64::from_be_bytes(b.try_into().ok()?), "")),
        "date" => Value::text(date(i32::from_be_bytes(b.try_into().ok()?))),
        "time" => Value::text(time(i64::from_be_bytes(b.try_into().ok()?))),
        "timetz" => {
            let zone = -i32::from_be_bytes(b.get(8..12)?.try_into().ok()?);
            let sign = if zone < 0 { '-' } else { '+' };
            let zone = zone.unsigned_abs();
            let time = time(i64::from_be_bytes(b.get(..8)?.try_into().ok()?));
            Value::text(format!("{time}{sign}{:02}:{:02}", zone / 3600, zone / 60 % 60))
        }
        "interval" => {
            let micros = i64::from_be_bytes(b.get(..8)?.try_into().ok()?);
            let days = i32::from_be_bytes(b.get(8..12)?.try_into().ok()?);
            Value::text(interval(micros, days, i32::from_be_bytes(b.get(12..16)?.try_into().ok()?)))
        }
        "bytea" => Value::text(format!("\\x{}", hex::encode(b))),
        "inet" | "cidr" => Value::text(network(b)?),
        "void" => Value::Null,
        _ if has_binary_format(ty) => return text(b),
        _ => return None,
    })
}

/// An `inet` or `cidr`: family, bits of the mask, whether it is a `cidr`, length, address. The mask of a single host is
/// omitted.
fn network(b: &[u8]) -> Option<String> {
    let (bits, is_network, address) = (*b.get(1)?, *b.get(2)? == 1, b.get(4..)?);
    let (ip, max_bits): (IpAddr, u8) = match address.len() {
        4 => (<[u8; 4]>::try_from(address).ok()?.into(), 32),
        _ => (<[u8; 16]>::try_from(address).ok()?.into(), 128),
    };
    Some(if bits == max_bits && !is_network { ip.to_string() } else { format!("{ip}/{bits}") })
}

fn text(b: &[u8]) -> Option<Value> {
    std::str::from_utf8(b).ok().map(Value::text)
}

/// NaN and the infinities, which JSON numbers lack, become text in PostgreSQL's spelling.
fn float(f: f64) -> Value {
    if f.is_finite() {
        Value::Float(f)
    } else if f.is_nan() {
        Value::text("NaN")
    } else {
        Value::text(if f > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

/// As the shortest decimal: 0.1 instead of 0.10000000149.
fn float4(f: f32) -> Value {
    float(if f.is_finite() { f.to_string().parse().unwrap_or(f.into()) } else { f.into() })
}

fn parse_json(text: &str) -> Value {
    serde_json::from_str::<serde_json::Value>(text).map_or_else(|_| Value::text(text), Value::from)
}

/// An int if it is a whole number that fits; otherwise the exact decimal as text.
fn decimal(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(i) if i.to_string() == text => Value::Int(i),
        _ => Value::text(text),
    }
}

/// A numeric: count, weight, sign and scale, then groups of four decimal digits.
fn numeric(b: &[u8]) -> Option<String> {
    let word = |i: usize| Some(i16::from_be_bytes(b.get(i * 2..i * 2 + 2)?.try_into().ok()?));
    let (count, weight, sign, scale) = (word(0)?, i32::from(word(1)?), word(2)? as u16, word(3)?);
    match sign {
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => {}
    }
    let group = |place: i32| -> Option<i16> {
        let i = weight - place;
        if i < 0 || i >= i32::from(count) { Some(0) } else { word(4 + usize::try_from(i).ok()?) }
    };
    let mut out = String::new();
    for place in (0..=weight.max(0)).rev() {
        let g = group(place)?;
        out.push_str(&if out.is_empty() { g.to_string() } else { format!("{g:04}") });
        if out == "0" && place > 0 {
            out.clear();
        }
    }
    let scale = usize::try_from(scale).unwrap_or_default();
    if scale > 0 {
        let mut fraction = String::new();
        let mut place = -1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", group(place)?));
            place -= 1;
        }
        fraction.truncate(scale);
        out = format!("{out}.{fraction}");
    }
    Some(if sign == 0x4000 { format!("-{out}") } else { out })
}

/// Formats microseconds since 2000-01-01 as RFC 3339, also for years of more than four digits.
fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".into(),
        i64::MIN => "-infinity".into(),
        _ => {
            let (days, micros) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
            format!("{}T{}{zone}", calendar_date(days), time(micros))
        }
    }
}

fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".into(),
        i32::MIN => "-infinity".into(),
        _ => calendar_date(days.into()),
    }
}

/// Formats days since 2000-01-01. PostgreSQL's dates exceed the range of `civil::Date`, but the calendar repeats every
/// 400 years.
fn calendar_date(days: i64) -> String {
    const CYCLE_DAYS: i64 = 146_097;
    let date = civil::date(2000, 1, 1).saturating_add(days.rem_euclid(CYCLE_DAYS).days());
    // Years are astronomical: 1 BC is the year 0.
    let year = i64::from(date.year()) + 400 * days.div_euclid(CYCLE_DAYS);
    let sign = if year < 0 { "-" } else { "" };
    format!("{sign}{:04}-{:02}-{:02}", year.abs(), date.month(), date.day())
}

fn time(micros: i64) -> String {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { time } else { format!("{time}.{rest:06}").trim_end_matches('0').to_string() }
}

/// An ISO 8601 duration.
fn interval(micros: i64, days: i32, months: i32) -> String {
    let mut out = String::from("P");
    let mut part = |n: i64, unit: &str| {
        if n != 0 {
            out.push_str(&format!("{n}{unit}"));
        }
    };
    part((months / 12).into(), "Y");
    part((months % 12).into(), "M");
    part(days.into(), "D");
    if micros != 0 {
        let seconds = format!("{}.{:06}", micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
        let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
        out.push_str(&format!("T{}{seconds}S", if micros < 0 { "-" } else { "" }));
    }
    if out == "P" { "PT0S".into() } else { out }
}

fn array(b: &[u8], of: &PgTypeInfo) -> Option<Value> {
    let int = |i: usize| Some(i32::from_be_bytes(b.get(i..i + 4)?.try_into().ok()?));
    let dimensions = usize::try_from(int(0)?).ok()?;
    let mut sizes = vec![];
    for d in 0..dimensions {
        sizes.push(usize::try_from(int(12 + 8 * d)?).ok()?);
    }
    let mut at = 12 + 8 * dimensions;
    array_items(b, &mut at, &sizes, of)
}

fn array_items(b: &[u8], at: &mut usize, sizes: &[usize], of: &PgTypeInfo) -> Option<Value> {
    let Some((size, inner)) = sizes.split_first() else { return Some(Value::list(vec![])) };
    let mut items = vec![];
    for _ in 0..*size {
        if !inner.is_empty() {
            items.push(array_items(b, at, inner, of)?);
            continue;
        }
        let length = i32::from_be_bytes(b.get(*at..*at + 4)?.try_into().ok()?);
        *at += 4;
        let Ok(length) = usize::try_from(length) else {
            items.push(Value::Null);
            continue;
        };
        items.push(from_binary(b.get(*at..*at + length)?, of)?);
        *at += length;
    }
    Some(Value::list(items))
}

fn from_text(text: &str, ty: &PgTypeInfo) -> Value {
    if is_unresolved(ty) {
        return Value::text(text);
    }
    match ty.kind() {
        PgTypeKind::Domain(inner) => return from_text(text, inner),
        PgTypeKind::Array(of) => {
            let mut rest = text;
            // Skip explicit bounds: `[0:1]={…}`.
            if text.starts_with('[') {
                rest = text.split_once('=').map_or(text, |(_, r)| r);
            }
            return array_literal(&mut rest, of).unwrap_or_else(|| Value::text(text));
        }
        _ => {}
    }
    match ty.name().to_lowercase().as_str() {
        "bool" => Value::Bool(text == "t"),
        "int2" | "int4" | "int8" | "oid" => text.parse().map_or_else(|_| Value::text(text), Value::Int),
        "float4" | "float8" => text.parse().ok().map_or_else(|| Value::text(text), float),
        "numeric" => decimal(text),
        "json" | "jsonb" => parse_json(text),
        "timestamp" => Value::text(text.replacen(' ', "T", 1)),
        // The library sets the session's time zone to UTC, so the offset is always `+00`.
        "timestamptz" => Value::text(text.replacen(' ', "T", 1).replace("+00", "Z")),
        "void" => Value::Null,
        _ => Value::text(text),
    }
}

/// Parses `{a,NULL,"c d",{…}}` and advances `rest` past it.
fn array_literal(rest: &mut &str, of: &PgTypeInfo) -> Option<Value> {
    *rest = rest.strip_prefix('{')?;
    let mut items = vec![];
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            *rest = after;
            return Some(Value::list(items));
        }
        if let Some(after) = rest.strip_prefix(',') {
            *rest = after;
        }
        if rest.starts_with('{') {
            items.push(array_literal(rest, of)?);
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (mut out, mut chars) = (String::new(), quoted.char_indices());
            loop {
                match chars.next()? {
                    (_, '\\') => out.push(chars.next()?.1),
                    (i, '"') => {
                        *rest = &quoted[i + 1..];
                        break;
                    }
                    (_, c) => out.push(c),
                }
            }
            items.push(from_text(&out, of));
        } else {
            let end = rest.find([',', '}'])?;
            let word = &rest[..end];
            items.push(if word == "NULL" { Value::Null } else { from_text(word, of) });
            *rest = &rest[end..];
        }
    }
}
