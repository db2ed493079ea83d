//! The lengths of the messages that a PostgreSQL server sends.
use crate::executors::db::{relay::Watch, too_large::TooLarge};
use std::io;

/// The type of a message, and its length with these four bytes.
const HEADER_BYTES: usize = 5;
/// A setting of the session, which the library keeps.
const PARAMETER_STATUS: u8 = b'S';

/// Refuses messages that are longer than `max`, as soon as their length is announced.
pub struct Messages {
    max: usize,
    header: Vec<u8>,
    /// How many bytes of the current message are still to come.
    remaining: usize,
    /// What the library keeps as long as the connection is open.
    kept: usize,
}

impl Messages {
    pub fn new(max: usize) -> Messages {
        Messages { max, header: Vec::with_capacity(HEADER_BYTES), remaining: 0, kept: 0 }
    }
}

impl Watch for Messages {
    fn received(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let skipped = self.remaining.min(bytes.len());
            self.remaining -= skipped;
            bytes = &bytes[skipped..];
            let (head, rest) = bytes.split_at(bytes.len().min(HEADER_BYTES - self.header.len()));
            self.header.extend_from_slice(head);
            bytes = rest;
            if let [kind, length @ ..] = &self.header[..]
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                let length = u32::from_be_bytes(length) as usize;
                let Some(content) = length.checked_sub(4) else {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a message with an invalid length"));
                };
                self.kept += if *kind == PARAMETER_STATUS { length } else { 0 };
                if length > self.max || self.kept > self.max {
                    return Err(TooLarge { max: self.max }.into());
                }
                self.remaining = content;
                self.header.clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, content: usize) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend(u32::try_from(content + 4).unwrap().to_be_bytes());
        message.extend(vec![0; content]);
        message
    }

    #[test]
    fn finds_the_length_of_each_message_wherever_the_bytes_are_split() {
        let good: Vec<u8> = [0, 1, 96, 7].iter().flat_map(|n| message(b'D', *n)).collect();
        let bad = [&good[..], &message(b'D', 97)[..5]].concat();
        for chunk in 1..good.len() {
            let mut messages = Messages::new(100);
            assert!(good.chunks(chunk).all(|part| messages.received(part).is_ok()), "{chunk}");
            assert!(messages.header.is_empty() && messages.remaining == 0, "{chunk}");
            let mut messages = Messages::new(100);
            let failed = bad.chunks(chunk).find_map(|part| messages.received(part).err()).expect("too long");
            assert!(failed.get_ref().is_some_and(|e| e.is::<TooLarge>()), "{chunk}: {failed}");
        }
    }

    #[test]
    fn refuses_invalid_lengths_and_settings_without_an_end() {
        let mut messages = Messages::new(100);
        assert!(messages.received(b"D\0\0\0\x03").unwrap_err().to_string().contains("invalid length"));
        let mut messages = Messages::new(100);
        assert!((0..9).all(|_| messages.received(&message(b'S', 7)).is_ok()));
        assert!(messages.received(&message(b'S', 7)).is_err());
    }
}
