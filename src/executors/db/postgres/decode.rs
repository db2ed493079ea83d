//! Decodes values of PostgreSQL, in the binary format (bound statements) and the text format (scripts). Replaces the
//! library's decoders, which panic on `infinity` and lose the scale of a numeric. See
//! `docs/decisions/0006-hand-written-code.md`.
use super::super::cell::{Cell, decimal, hex_text, trim_fraction};
use crate::value::{Value, json};
use jiff::{SignedDuration, ToSpan, civil};
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
    let bytes = raw.as_bytes().map_err(|e| e.to_string())?;
    if raw.format() == PgValueFormat::Text {
        let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
        return Ok(from_text(text, &ty));
    }
    from_binary(bytes, &ty).ok_or_else(|| hex_text(bytes))
}

/// Whether values of this type can be decoded from the binary format. Others are requested as text.
pub fn has_binary_format(ty: &PgTypeInfo) -> bool {
    if is_unresolved(ty) {
        return false;
    }
    match ty.kind() {
        PgTypeKind::Domain(inner) => has_binary_format(inner),
        PgTypeKind::Array(of) => has_binary_format(of),
        PgTypeKind::Enum(_) => true,
        PgTypeKind::Simple | PgTypeKind::Pseudo => decoder(ty.name()).is_some(),
        _ => false,
    }
}

/// Whether the library has not looked up the type, as in scripts. It then panics on every other method of the type.
pub fn is_unresolved(ty: &PgTypeInfo) -> bool {
    ty.name() == "?"
}

fn from_binary(b: &[u8], ty: &PgTypeInfo) -> Option<Value> {
    if is_unresolved(ty) {
        return None;
    }
    match ty.kind() {
        PgTypeKind::Domain(inner) => from_binary(b, inner),
        PgTypeKind::Enum(_) => text(b),
        PgTypeKind::Array(of) => array(b, of),
        _ => decoder(ty.name())?(b),
    }
}

/// Decodes the binary format of one type.
type Decoder = fn(&[u8]) -> Option<Value>;

fn decoder(type_name: &str) -> Option<Decoder> {
    let decoder: Decoder = match type_name.to_lowercase().as_str() {
        "bool" => |b| Some(Value::Bool(*b.first()? != 0)),
        "int2" => |b| Some(Value::Int(i16::from_be_bytes(b.try_into().ok()?).into())),
        "int4" => |b| Some(Value::Int(int4(b)?.into())),
        "int8" => |b| Some(Value::Int(int8(b)?)),
        "oid" => |b| Some(Value::Int(u32::from_be_bytes(b.try_into().ok()?).into())),
        "float4" => |b| Some(float4(f32::from_be_bytes(b.try_into().ok()?))),
        "float8" => |b| Some(float(f64::from_be_bytes(b.try_into().ok()?))),
        "numeric" => |b| Some(decimal(&numeric(b)?)),
        "uuid" => |b| Some(Value::from(uuid::Uuid::from_slice(b).ok()?.to_string())),
        "json" => |b| Some(parse_json(std::str::from_utf8(b).ok()?)),
        "jsonb" => |b| Some(parse_json(std::str::from_utf8(b.get(1..)?).ok()?)),
        "timestamptz" => |b| Some(Value::from(timestamp(int8(b)?, "Z"))),
        "timestamp" => |b| Some(Value::from(timestamp(int8(b)?, ""))),
        "date" => |b| Some(Value::from(date(int4(b)?))),
        "time" => |b| Some(Value::from(time(int8(b)?))),
        "timetz" => |b| {
            let zone = -int4(b.get(8..)?)?;
            let (sign, zone) = (if zone < 0 { '-' } else { '+' }, zone.unsigned_abs());
            let time = time(int8(b.get(..8)?)?);
            let seconds = if zone % 60 == 0 { String::new() } else { format!(":{:02}", zone % 60) };
            Some(Value::from(format!("{time}{sign}{:02}:{:02}{seconds}", zone / 3600, zone / 60 % 60)))
        },
        "interval" => |b| Some(Value::from(interval(int8(b.get(..8)?)?, int4(b.get(8..12)?)?, int4(b.get(12..)?)?))),
        "bytea" => |b| Some(Value::from(hex_text(b))),
        "inet" | "cidr" => |b| Some(Value::from(network(b)?)),
        "void" => |_| Some(Value::Null),
        "text" | "varchar" | "char" | "bpchar" | "\"char\"" | "name" | "xml" | "unknown" | "citext" => text,
        _ => return None,
    };
    Some(decoder)
}

fn int4(b: &[u8]) -> Option<i32> {
    b.try_into().ok().map(i32::from_be_bytes)
}

fn int8(b: &[u8]) -> Option<i64> {
    b.try_into().ok().map(i64::from_be_bytes)
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
    json::read(text).unwrap_or_else(|e| Value::unset(format!("the column is invalid JSON: {e}")))
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
    let year = i64::from(date.year()) + 400 * days.div_euclid(CYCLE_DAYS);
    format!("{}-{:02}-{:02}", year_text(year), date.month(), date.day())
}

/// Years are astronomical: 1 BC is the year 0.
fn year_text(year: i64) -> String {
    format!("{}{:04}", if year < 0 { "-" } else { "" }, year.abs())
}

fn time(micros: i64) -> String {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let time = format!("{:02}:{:02}:{:02}.{rest:06}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    trim_fraction(&time).to_string()
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
        out.push_str(&format!("T{}{}S", if micros < 0 { "-" } else { "" }, trim_fraction(&seconds)));
    }
    if out == "P" { "PT0S".into() } else { out }
}

fn array(b: &[u8], of: &PgTypeInfo) -> Option<Value> {
    let int = |i: usize| int4(b.get(i..i + 4)?);
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
        let length = int4(b.get(*at..*at + 4)?)?;
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
        PgTypeKind::Array(of) if has_binary_format(of) => {
            // Skip explicit bounds: `[0:1]={…}`.
            let mut rest = text.split_once('=').filter(|_| text.starts_with('[')).map_or(text, |(_, rest)| rest);
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
        "date" | "timestamp" | "timestamptz" => Value::from(date_literal(text)),
        // The server omits the minutes of a zone if they are zero.
        "timetz" if text.rfind(['+', '-']).is_some_and(|i| text.len() - i == 3) => Value::from(format!("{text}:00")),
        "interval" => Value::from(interval_literal(text).unwrap_or_else(|| text.to_string())),
        "void" => Value::Null,
        _ => Value::text(text),
    }
}

/// A date or timestamp as the server writes it (`0044-03-15 08:00:00+00 BC`), in the form of `timestamp` and `date`.
fn date_literal(text: &str) -> String {
    let (text, is_bc) = text.strip_suffix(" BC").map_or((text, false), |before| (before, true));
    let text = text.replacen(' ', "T", 1);
    // The library sets the session's time zone to UTC, so the offset is always `+00`.
    let text = text.strip_suffix("+00").map(|local| format!("{local}Z")).unwrap_or(text);
    match text.split_once('-').map(|(year, rest)| (year.parse::<i64>(), rest)) {
        Some((Ok(year), rest)) if is_bc => format!("{}-{rest}", year_text(1 - year)),
        _ => text,
    }
}

/// An interval in the server's default style (`1 year 2 mons -3 days +04:05:06.7`), in the form of `interval`. `None`
/// for other styles.
fn interval_literal(text: &str) -> Option<String> {
    let (mut micros, mut days, mut months) = (0, 0, 0);
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        if word.contains(':') {
            micros = i64::try_from(word.parse::<SignedDuration>().ok()?.as_micros()).ok()?;
            continue;
        }
        let n: i32 = word.parse().ok()?;
        match words.next()?.trim_end_matches('s') {
            "year" => months += 12 * n,
            "mon" => months += n,
            "day" => days = n,
            _ => return None,
        }
    }
    Some(interval(micros, days, months))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_one_form_in_both_formats() {
        let hour = 3_600_000_000;
        for (text, micros, days, months, expected) in [
            ("00:00:00", 0, 0, 0, "PT0S"),
            ("1 day 00:00:02", 2_000_000, 1, 0, "P1DT2S"),
            ("-1 days +02:03:00", 2 * hour + 180_000_000, -1, 0, "P-1DT7380S"),
            ("1 year 2 mons -3 days -100:05:06.7", -100 * hour - 306_700_000, -3, 14, "P1Y2M-3DT-360306.7S"),
            ("-1 years -2 mons", 0, 0, -14, "P-1Y-2M"),
            ("00:00:00.000001", 1, 0, 0, "PT0.000001S"),
        ] {
            assert_eq!(interval(micros, days, months), expected, "{text}");
            assert_eq!(interval_literal(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!((interval_literal("P1DT2S"), interval_literal("1-2 3 4:05:06")), (None, None), "other styles");
    }

    #[test]
    fn dates_have_one_form_in_both_formats() {
        for (text, expected) in [
            ("2026-11-22", "2026-11-22"),
            ("0044-03-15 BC", "-0043-03-15"),
            ("0001-12-31 BC", "0000-12-31"),
            ("2026-11-22 08:00:00.25", "2026-11-22T08:00:00.25"),
            ("2026-11-22 06:00:00+00", "2026-11-22T06:00:00Z"),
            ("0044-03-15 08:00:00+00 BC", "-0043-03-15T08:00:00Z"),
            ("infinity", "infinity"),
        ] {
            assert_eq!(date_literal(text), expected);
        }
        assert_eq!((date(-746_117), date(-730_120)), ("-0043-03-15".into(), "0000-12-31".into()));
    }
}
