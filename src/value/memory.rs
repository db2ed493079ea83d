//! Estimates what values take in memory, for the limits on what comes from outside.
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

    /// What it takes in memory, about, in bytes.
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
                Value::Text(text) | Value::Decimal(text) | Value::Unset(text) => SHARED_BYTES + text.len(),
                Value::List(_) => SHARED_BYTES,
                Value::Map(entries) => {
                    SHARED_BYTES + entries.keys().map(|key| ENTRY_BYTES + key.len()).sum::<usize>() + size_of::<Map>()
                }
                Value::Partial(partial) => SHARED_BYTES + partial.reason.len(),
                _ => 0,
            }
    }
}
