//! Turns the bytes of a log into complete lines. Pure.
use std::borrow::Cow;

/// The encodings that a byte order mark names.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Encoding {
    Utf8,
    Utf16(&'static encoding_rs::Encoding),
}

impl Encoding {
    /// By the first bytes of the log.
    pub fn of(start: &[u8]) -> Encoding {
        match encoding_rs::Encoding::for_bom(start) {
            Some((encoding, 2)) => Encoding::Utf16(encoding),
            _ => Encoding::Utf8,
        }
    }

    /// Whether the last line has no end yet.
    pub fn is_unfinished(self, bytes: &[u8]) -> bool {
        match self {
            Encoding::Utf8 => !bytes.is_empty() && !bytes.ends_with(b"\n"),
            Encoding::Utf16(_) => {
                let text = self.decode(bytes).0;
                !bytes.len().is_multiple_of(2) || !(text.is_empty() || text.ends_with('\n'))
            }
        }
    }

    /// The text without its byte order mark, and why it is not the whole text.
    pub fn decode(self, bytes: &[u8]) -> (Cow<'_, str>, Option<String>) {
        let (text, problem) = match self {
            Encoding::Utf16(encoding) => {
                let (text, invalid) = encoding.decode_without_bom_handling(&bytes[..bytes.len() & !1]);
                (text, invalid.then(|| format!("the log is not valid {}", encoding.name())))
            }
            Encoding::Utf8 => {
                let problem = std::str::from_utf8(bytes).err().map(|e| {
                    let line = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
                    format!("line {line} is not valid UTF-8")
                });
                (String::from_utf8_lossy(bytes), problem)
            }
        };
        match text {
            Cow::Borrowed(text) => (Cow::Borrowed(text.trim_start_matches('\u{feff}')), problem),
            Cow::Owned(text) => (Cow::Owned(text.trim_start_matches('\u{feff}').to_string()), problem),
        }
    }
}

/// The lines of a text. A program that writes on after its file was emptied leaves zero bytes before its next line.
pub(super) fn lines(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.lines().map(|line| line.trim_start_matches('\0'))
}

/// Why lines with zero bytes are not what was logged.
pub(super) fn zero_bytes<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<String> {
    lines.any(|l| l.contains('\0')).then(|| "the log has zero bytes: it is not UTF-8 text".to_string())
}
