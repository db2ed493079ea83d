//! Decodes values of MySQL and MariaDB, in the binary format (bound statements) and the text format (scripts). Replaces
//! the library's decoders, which read `0000-00-00` as NULL and have no type for a `TIME` of more than a day. See
//! `docs/decisions/0006-hand-written-code.md`.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>
use super::super::cell::{Cell, bool_or_int, decimal, hex_text, trim_fraction};
use crate::value::{Value, json};
use sqlx::{Decode, MySql, Row, Type, TypeInfo, ValueRef, mysql::MySqlRow};

/// One column of one row.
pub struct Column<'r> {
    type_name: String,
    /// Text in a character set, as opposed to bytes.
    is_text: bool,
    bytes: &'r [u8],
}

impl Column<'_> {
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// Column `i` of a row; `None` for NULL.
pub fn column(row: &MySqlRow, i: usize) -> Option<Column<'_>> {
    let raw = row.try_get_raw(i).ok()?;
    let ty = raw.type_info().into_owned();
    // For NULL the library returns an error here. Its `is_null` is also true for a date of zeros.
    let bytes = <&[u8] as Decode<MySql>>::decode(raw).ok()?;
    Some(Column { type_name: ty.name().to_string(), is_text: <str as Type<MySql>>::compatible(&ty), bytes })
}

pub fn binary(c: &Column<'_>) -> Cell {
    let decoded = match (c.type_name.trim_end_matches(" UNSIGNED"), c.type_name.ends_with("UNSIGNED")) {
        ("BOOLEAN", _) => c.bytes.first().map(|b| bool_or_int(i64::from(i8::from_ne_bytes([*b])))),
        ("TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT", false) => signed(c.bytes).map(Value::Int),
        ("TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR", _) => unsigned(c.bytes).map(Value::from),
        // As the shortest decimal: 0.1 instead of 0.10000000149.
        ("FLOAT", _) => {
            c.bytes.try_into().ok().and_then(|b| f32::from_le_bytes(b).to_string().parse().ok()).map(Value::Float)
        }
        ("DOUBLE", _) => c.bytes.try_into().ok().map(f64::from_le_bytes).map(Value::Float),
        ("DATE", _) => datetime(c.bytes).map(|t| Value::text(&t[..10])),
        ("DATETIME", _) => datetime(c.bytes).map(Value::from),
        ("TIMESTAMP", _) => datetime(c.bytes).map(|t| Value::text(with_zone(t))),
        ("TIME", _) => time(c.bytes).map(Value::from),
        _ => return common(c),
    };
    decoded.ok_or_else(|| hex_text(c.bytes))
}

pub fn text(c: &Column<'_>) -> Cell {
    let Ok(text) = std::str::from_utf8(c.bytes) else { return common(c) };
    let decoded = match c.type_name.trim_end_matches(" UNSIGNED") {
        "BOOLEAN" => text.parse().ok().map(bool_or_int),
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR" => {
            text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Uint)).ok()
        }
        "FLOAT" | "DOUBLE" => text.parse().ok().map(Value::Float),
        "DATE" => Some(Value::text(text)),
        "DATETIME" => Some(Value::text(trim_fraction(&text.replacen(' ', "T", 1)))),
        "TIMESTAMP" => Some(Value::text(with_zone(trim_fraction(&text.replacen(' ', "T", 1)).to_string()))),
        "TIME" => Some(Value::text(trim_fraction(text))),
        _ => return common(c),
    };
    Ok(decoded.unwrap_or_else(|| Value::text(text)))
}

/// Decodes the types with the same representation in both formats.
fn common(c: &Column<'_>) -> Cell {
    let text = |convert: fn(&str) -> Value| {
        Ok(std::str::from_utf8(c.bytes).map_or_else(|_| Value::from(hex_text(c.bytes)), convert))
    };
    match c.type_name.as_str() {
        "DECIMAL" => text(decimal),
        "JSON" => Ok(json::read_bytes(c.bytes, None, usize::MAX).unwrap_or_else(|_| Value::from(hex_text(c.bytes)))),
        "BIT" if c.bytes.len() <= 8 => Ok(Value::from(c.bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)))),
        "BIT" | "GEOMETRY" => Err(hex_text(c.bytes)),
        _ if c.is_text || c.type_name == "SET" => text(|t| Value::text(t)),
        _ => Ok(Value::from(hex_text(c.bytes))),
    }
}

fn unsigned(b: &[u8]) -> Option<u64> {
    let mut all = [0u8; 8];
    all.get_mut(..b.len())?.copy_from_slice(b);
    Some(u64::from_le_bytes(all))
}

fn signed(b: &[u8]) -> Option<i64> {
    let shift = 64 - 8 * u32::try_from(b.len()).ok().filter(|n| *n > 0)?;
    Some((unsigned(b)?.cast_signed() << shift) >> shift)
}

/// A date and time. The encoding omits microseconds, time and date if they are zero.
fn datetime(b: &[u8]) -> Option<String> {
    let (length, b) = b.split_first()?;
    let byte = |i: usize| b.get(i).copied().unwrap_or_default();
    if ![0, 4, 7, 11].contains(length) {
        return None;
    }
    let year = u16::from_le_bytes([byte(0), byte(1)]);
    let micros = u32::from_le_bytes([byte(7), byte(8), byte(9), byte(10)]);
    let time = format!("{:02}:{:02}:{:02}.{micros:06}", byte(4), byte(5), byte(6));
    Some(format!("{year:04}-{:02}-{:02}T{}", byte(2), byte(3), trim_fraction(&time)))
}

/// Appends `Z`, the session's time zone, unless the date is zero.
fn with_zone(datetime: String) -> String {
    if datetime.starts_with("0000-00-00") { datetime } else { format!("{datetime}Z") }
}

/// A `TIME`: up to 838 hours, or negative.
fn time(b: &[u8]) -> Option<String> {
    let (length, b) = b.split_first()?;
    let byte = |i: usize| b.get(i).copied().unwrap_or_default();
    if ![0, 8, 12].contains(length) {
        return None;
    }
    let sign = if byte(0) == 1 { "-" } else { "" };
    let days = u32::from_le_bytes([byte(1), byte(2), byte(3), byte(4)]);
    let hours = u64::from(days) * 24 + u64::from(byte(5));
    let micros = u32::from_le_bytes([byte(8), byte(9), byte(10), byte(11)]);
    let time = format!("{hours:02}:{:02}:{:02}.{micros:06}", byte(6), byte(7));
    Some(format!("{sign}{}", trim_fraction(&time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_integers_of_every_width() {
        assert_eq!(signed(&[0xff]), Some(-1));
        assert_eq!(signed(&(-2i32).to_le_bytes()), Some(-2));
        assert_eq!(signed(&i64::MIN.to_le_bytes()), Some(i64::MIN));
        assert_eq!(unsigned(&u64::MAX.to_le_bytes()), Some(u64::MAX));
        assert_eq!((signed(&[]), unsigned(&[0; 9])), (None, None));
    }

    #[test]
    fn only_timestamps_have_a_time_zone() {
        let column = |name: &str, bytes| Column { type_name: name.into(), is_text: false, bytes };
        let bytes = [7, 0xea, 7, 11, 22, 8, 0, 1];
        for (name, expected) in [("DATETIME", "2026-11-22T08:00:01"), ("TIMESTAMP", "2026-11-22T08:00:01Z")] {
            assert_eq!(binary(&column(name, &bytes)), Ok(Value::text(expected)), "{name}");
            assert_eq!(text(&column(name, b"2026-11-22 08:00:01.000")), Ok(Value::text(expected)), "{name}, as text");
        }
    }

    #[test]
    fn decodes_datetimes_and_times_of_every_length() {
        assert_eq!(datetime(&[0]).unwrap(), "0000-00-00T00:00:00");
        assert_eq!(datetime(&[4, 0xea, 7, 11, 22]).unwrap(), "2026-11-22T00:00:00");
        assert_eq!(datetime(&[11, 0xea, 7, 11, 22, 8, 0, 1, 0x90, 0xd0, 3, 0]).unwrap(), "2026-11-22T08:00:01.25");
        assert_eq!(time(&[0]).unwrap(), "00:00:00");
        assert_eq!(time(&[8, 1, 4, 0, 0, 0, 4, 5, 6]).unwrap(), "-100:05:06");
        assert_eq!((datetime(&[]), datetime(&[5, 0]), time(&[3])), (None, None, None));
    }
}
