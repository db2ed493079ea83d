//! Writes JSON into a formatter, without a copy of the text.
use std::{fmt, io};

/// Takes JSON, which is UTF-8; `serde_json` writes it in pieces that end between characters.
pub(super) struct JsonWriter<'a, 'f>(pub &'a mut fmt::Formatter<'f>);

impl io::Write for JsonWriter<'_, '_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(piece).map_err(io::Error::other)?;
        self.0.write_str(text).map_err(io::Error::other)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
