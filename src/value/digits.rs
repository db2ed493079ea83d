//! The digits of an integer, without memory of their own.
use std::fmt::{self, Write as _};

/// At most 20 bytes, which hold every 64-bit integer.
pub(super) struct Digits {
    bytes: [u8; 20],
    length: usize,
}

impl Digits {
    pub fn of(number: impl fmt::Display) -> Digits {
        let mut digits = Digits { bytes: [0; 20], length: 0 };
        let _ = write!(digits, "{number}");
        digits
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
