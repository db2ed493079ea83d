//! How much an action may receive and keep by default: `docs/limits.md` has them all. A plan or a target changes one with
//! `limit`, in bytes. The limits apply before memory is allocated.
use super::Body;
use crate::{diagnostic::Diagnostic, value::Value};

/// Of an HTTP response or a stream of messages, after decompression.
pub const BODY_BYTES: usize = 8 << 20;
/// Of a response of a Kubernetes API server, of an event of a watch, and of the events that a watch keeps.
pub const CLUSTER_BYTES: usize = 16 << 20;
/// Of a log in one attempt.
pub const LOG_BYTES: usize = 8 << 20;
/// Of the deliveries that a box keeps, in memory.
pub const BOX_BYTES: usize = 16 << 20;
/// Of the rows of a statement, in memory.
pub const ROWS_BYTES: usize = 16 << 20;
/// Of a value in a row, which is copied several times.
pub const CELL_BYTES: usize = 8 << 20;
/// Of each output stream of a program.
pub const OUTPUT_BYTES: usize = 8 << 20;

/// What the values that are made of the input may take in memory at least. A number takes more than its digits.
const MIN_DECODED_BYTES: usize = 64 << 20;
const MIN_LINE_BYTES: usize = 16 << 20;
const MIN_MESSAGE_BYTES: usize = 32 << 20;

/// What the values that are made of up to `limit` bytes may take in memory.
pub fn decoded_bytes(limit: usize) -> usize {
    limit.saturating_mul(2).max(MIN_DECODED_BYTES)
}

/// What a server of SQL may send in one row or message, of a result of up to `limit` bytes. It is read as a whole.
pub fn message_bytes(limit: usize) -> usize {
    limit.saturating_mul(2).max(MIN_MESSAGE_BYTES)
}

/// What the lines of a log of up to `limit` bytes may take in memory.
pub fn line_bytes(limit: usize) -> usize {
    limit.saturating_mul(2).max(MIN_LINE_BYTES)
}

/// Cuts a text of up to `limit` bytes whose control characters would take several times that in the journal. Returns why, if it is cut.
pub fn cut_escaped(text: &mut String, limit: usize) -> Option<String> {
    let max = limit.saturating_mul(2);
    let end = Value::end_in_record(text, max)?;
    text.truncate(end);
    let max = size(max);
    Some(format!("the text is longer than {max} with its control characters escaped: the rest was not kept"))
}

/// A number of bytes for people: `64 KiB`.
pub fn size(bytes: usize) -> String {
    match bytes {
        n if n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        n => format!("{n} bytes"),
    }
}

/// Parses `500`, `64 KiB` or `10MB` into bytes.
fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor).filter(|n| *n > 0)
}

impl Body<'_> {
    /// The number of bytes under `limit`, or `default`.
    pub fn limit(&mut self, default: usize) -> usize {
        let Some(node) = self.get("limit") else { return default };
        let text = node.to_value().to_string();
        parse_size(&text).unwrap_or_else(|| {
            let message = format!("expected a size like `500`, `64 KiB` or `10 MiB`, found `{text}`");
            self.problem(Diagnostic::error("invalid-size", &node.span, message));
            default
        })
    }
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn parses_sizes_and_refuses_other_texts() {
        for (text, bytes) in [("500", 500), ("64 KiB", 65536), ("2MB", 2_000_000), (" 1 GiB ", 1 << 30)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "0", "MiB", "1.5 MiB", "-1", "1 parsec", "99999999999999999999", "99999999999 GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
