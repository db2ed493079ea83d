//! Reads JSON strictly: whatever readers may understand differently is an error with a reason and a position.
use super::{Map, Value};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;
use struson::reader::{JsonReader, JsonReaderPosition, JsonStreamReader, ReaderError, ReaderSettings, ValueType};

const MAX_DEPTH: u32 = 128;

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{reason} at line {line}, column {column}")]
pub struct JsonError {
    pub reason: String,
    pub line: u64,
    pub column: u64,
    /// Whether it is JSON up to here, and would take too much memory.
    pub is_too_large: bool,
}

impl JsonError {
    fn new(reason: impl Into<String>, at: &JsonReaderPosition) -> JsonError {
        let (line, column) = at.line_pos.as_ref().map_or((0, 0), |p| (p.line, p.column));
        JsonError { reason: reason.into(), line: line + 1, column: column + 1, is_too_large: false }
    }
}

impl From<ReaderError> for JsonError {
    fn from(e: ReaderError) -> JsonError {
        match &e {
            ReaderError::SyntaxError(e) => JsonError::new(words(&e.kind.to_string()), &e.location),
            ReaderError::MaxNestingDepthExceeded { location, .. } => {
                JsonError::new(format!("nested more than {MAX_DEPTH} levels deep"), location)
            }
            ReaderError::UnexpectedValueType { location, .. }
            | ReaderError::UnexpectedStructure { location, .. }
            | ReaderError::UnsupportedNumberValue { location, .. }
            | ReaderError::IoError { location, .. } => JsonError::new(e.to_string(), location),
            _ => JsonError { reason: e.to_string(), line: 1, column: 1, is_too_large: false },
        }
    }
}

/// Reads one document.
///
/// # Errors
/// The first deviation from JSON, a duplicate key, or nesting that is too deep.
pub fn read(text: &str) -> Result<Value, JsonError> {
    read_within(text, usize::MAX)
}

/// Like [`read`], for a document from outside: its values take at most `max_bytes` in memory.
///
/// # Errors
/// As [`read`], and the place where they would take more.
pub fn read_within(text: &str, max_bytes: usize) -> Result<Value, JsonError> {
    let settings = ReaderSettings {
        max_nesting_depth: Some(MAX_DEPTH),
        restrict_number_values: false,
        track_path: false,
        ..ReaderSettings::default()
    };
    let mut reader = JsonStreamReader::new_custom(text.as_bytes(), settings);
    let value = Builder { max_bytes, left: max_bytes }.next(&mut reader)?;
    reader.consume_trailing_whitespace()?;
    Ok(value)
}

/// Reads bytes in UTF-8, in UTF-16, or in the character set `charset`.
///
/// # Errors
/// As [`read_within`], and bytes that are invalid in their encoding.
pub fn read_bytes(bytes: &[u8], charset: Option<&'static Encoding>, max_bytes: usize) -> Result<Value, JsonError> {
    read_within(&decode(bytes, charset)?, max_bytes)
}

/// A byte order mark decides first, then the zero bytes of UTF-16 (RFC 4627), then `charset`.
fn decode<'a>(bytes: &'a [u8], charset: Option<&'static Encoding>) -> Result<Cow<'a, str>, JsonError> {
    let (encoding, bytes) = match (Encoding::for_bom(bytes), bytes) {
        (Some((encoding, mark)), _) => (encoding, &bytes[mark..]),
        (None, [0, 1..=255, ..]) => (UTF_16BE, bytes),
        (None, [1..=255, 0, ..]) => (UTF_16LE, bytes),
        _ => (charset.unwrap_or(UTF_8), bytes),
    };
    let (text, has_errors) = encoding.decode_without_bom_handling(bytes);
    if !has_errors {
        return Ok(text);
    }
    let before = &text[..text.find('\u{fffd}').unwrap_or(text.len())];
    let line = before.rsplit('\n').next().unwrap_or_default();
    Err(JsonError {
        reason: format!("bytes that are not {}", encoding.name()),
        line: before.matches('\n').count() as u64 + 1,
        column: line.chars().count() as u64 + 1,
        is_too_large: false,
    })
}

/// Builds values, and counts the memory that they take.
struct Builder {
    max_bytes: usize,
    left: usize,
}

impl Builder {
    fn next(&mut self, reader: &mut JsonStreamReader<&[u8]>) -> Result<Value, JsonError> {
        let value = match reader.peek()? {
            ValueType::Array => {
                let mut items = vec![];
                reader.begin_array()?;
                while reader.has_next()? {
                    items.push(self.next(reader)?);
                }
                reader.end_array()?;
                items.shrink_to_fit();
                Value::list(items)
            }
            ValueType::Object => {
                let mut entries = Map::new();
                reader.begin_object()?;
                while reader.has_next()? {
                    let at = reader.current_position(false);
                    let key = reader.next_name_owned()?;
                    if entries.contains_key(&key) {
                        return Err(JsonError::new(format!("duplicate key `{key}`"), &at));
                    }
                    let value = self.next(reader)?;
                    entries.insert(key, value);
                }
                reader.end_object()?;
                Value::from(entries)
            }
            ValueType::String => Value::text(reader.next_str()?),
            ValueType::Number => {
                let at = reader.current_position(false);
                let text = reader.next_number_as_str()?;
                Value::number(text).ok_or_else(|| JsonError::new("a number whose exponent is too large", &at))?
            }
            ValueType::Boolean => Value::Bool(reader.next_bool()?),
            ValueType::Null => {
                reader.next_null()?;
                Value::Null
            }
        };
        match self.left.checked_sub(value.own_memory()) {
            Some(left) => self.left = left,
            None => {
                let max = self.max_bytes >> 20;
                let reason = format!("more values than fit into {max} MiB of memory, up to here");
                return Err(JsonError {
                    is_too_large: true,
                    ..JsonError::new(reason, &reader.current_position(false))
                });
            }
        }
        Ok(value)
    }
}

/// `IncompleteDocument` as `incomplete document`.
fn words(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests;
