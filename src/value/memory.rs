//! Estimates what values take in memory and in the journal, for the limits on what comes from outside.
use super::{Map, Value};

/// What shared content takes beside its bytes: the counts of its users, and the part of a block that is not used.
const SHARED_BYTES: usize = 24;
/// What an entry of a map takes beside the bytes of its key and its value.
const ENTRY_BYTES: usize = 64;

impl Value {
    /// How many values it consists of, itself included.
    pub fn count(&self) -> usize {
        1 + match self {
            Value::List(items) => items.iter().map(Value::count).sum(),
            Value::Map(entries) => entries.values().map(Value::count).sum(),
            Value::Partial(partial) => partial.value.count(),
            _ => 0,
        }
    }

    /// What it takes in memory, about, in bytes; a text in the journal, if that is more.
    pub fn memory(&self) -> usize {
        self.own_memory()
            + match self {
                Value::List(items) => items.iter().map(Value::memory).sum(),
                Value::Map(entries) => entries.values().map(Value::memory).sum(),
                Value::Partial(partial) => partial.value.memory(),
                _ => 0,
            }
    }

    /// Like [`Value::memory`], without the values in it.
    pub(crate) fn own_memory(&self) -> usize {
        size_of::<Value>()
            + match self {
                Value::Text(text) => SHARED_BYTES + recorded_bytes(text),
                Value::Decimal(text) | Value::Unset(text) => SHARED_BYTES + text.len(),
                Value::List(_) => SHARED_BYTES,
                Value::Map(entries) => {
                    SHARED_BYTES + entries.keys().map(|key| ENTRY_BYTES + key.len()).sum::<usize>() + size_of::<Map>()
                }
                Value::Partial(partial) => SHARED_BYTES + partial.reason.len(),
                _ => 0,
            }
    }

    /// Where a text reaches `max_bytes` in the journal; `None` if it takes less.
    pub fn end_in_record(text: &str, max_bytes: usize) -> Option<usize> {
        if text.len() <= max_bytes / MAX_ESCAPE_BYTES {
            return None;
        }
        let mut left = max_bytes;
        let end = text.bytes().position(|byte| match left.checked_sub(escape_bytes(byte)) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })?;
        Some(text.floor_char_boundary(end))
    }
}

/// A control character in JSON: `\u0000`.
const MAX_ESCAPE_BYTES: usize = 6;

fn escape_bytes(byte: u8) -> usize {
    match byte {
        b'\n' | b'\r' | b'\t' | b'"' | b'\\' | 8 | 12 => 2,
        0..0x20 => MAX_ESCAPE_BYTES,
        _ => 1,
    }
}

/// The bytes of a text in the journal, where a text with many control characters takes several times its size. Escapes that double a
/// character do not count.
pub fn recorded_bytes(text: &str) -> usize {
    text.len() + (MAX_ESCAPE_BYTES - 1) * text.bytes().filter(|b| escape_bytes(*b) == MAX_ESCAPE_BYTES).count()
}
