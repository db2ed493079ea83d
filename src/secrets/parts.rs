//! Parts of secrets: a log that shows the beginning of a token has leaked most of it.
use super::decode::{EmitFound, is_same_in_form, with_spaces};
use std::{borrow::Cow, collections::HashMap, ops::Range};

/// A shorter part is too often a word of another text.
const MIN_PART_CHARS: usize = 12;
/// What is looked up. Every part contains a window that begins at a multiple of `STRIDE`.
const WINDOW_BYTES: usize = 8;
const STRIDE: usize = MIN_PART_CHARS + 1 - WINDOW_BYTES;
/// A value that repeats itself has the same window in many places; the first ones are enough to find it.
const MAX_PLACES: usize = 8;
/// Bits of the filter that most windows of a text do not pass.
const FILTER_BITS: usize = 1 << 18;

/// Finds parts of values in a text that is not decoded further.
#[derive(Debug, Default)]
pub struct Parts {
    /// Each value with the number of its secret.
    values: Vec<(usize, Vec<u8>)>,
    /// The values and offsets of each window.
    places: HashMap<u64, Vec<(usize, usize)>>,
    filter: Vec<u64>,
}

impl Parts {
    pub fn add(&mut self, secret: usize, value: Vec<u8>) {
        self.filter.resize(FILTER_BITS / 64, 0);
        for (offset, window) in with_spaces(&value).windows(WINDOW_BYTES).enumerate() {
            let window = number(window);
            self.filter[filter_bit(window) / 64] |= 1 << (filter_bit(window) % 64);
            let places = self.places.entry(window).or_default();
            if places.iter().filter(|(number, _)| *number == self.values.len()).count() < MAX_PLACES {
                places.push((self.values.len(), offset));
            }
        }
        self.values.push((secret, value));
    }

    /// The length of the shortest part, if any can be found.
    pub fn shortest(&self) -> Option<usize> {
        (!self.values.is_empty()).then_some(MIN_PART_CHARS)
    }

    pub fn find(&self, text: &[u8], emit: EmitFound<'_>) {
        if self.values.is_empty() {
            return;
        }
        // a form writes `+` for a space
        let folded = if text.contains(&b'+') { Cow::Owned(with_spaces(text)) } else { Cow::Borrowed(text) };
        // the last part found: where its value would begin in the text, and the end of the part
        let mut last = (0, 0, 0);
        for (at, window) in folded.windows(WINDOW_BYTES).enumerate().step_by(STRIDE) {
            let window = number(window);
            if self.filter[filter_bit(window) / 64] & 1 << (filter_bit(window) % 64) == 0 {
                continue;
            }
            for (number, offset) in self.places.get(&window).into_iter().flatten() {
                let (secret, value) = &self.values[*number];
                let start = (*number, at + value.len() - offset);
                if (last.0, last.1) == start && at < last.2 {
                    continue;
                }
                let part = common(text, at, value, *offset);
                if characters(&text[part.clone()]) >= MIN_PART_CHARS {
                    last = (start.0, start.1, part.end);
                    emit(part, *secret);
                }
            }
        }
    }
}

/// The longest range around `at` of the text that equals the value around `offset`.
fn common(text: &[u8], at: usize, value: &[u8], offset: usize) -> Range<usize> {
    let before = text[..at].iter().rev().zip(value[..offset].iter().rev());
    let after = text[at..].iter().zip(&value[offset..]);
    at - before.take_while(|pair| is_same_in_form(*pair)).count()
        ..at + after.take_while(|pair| is_same_in_form(*pair)).count()
}

/// The number of characters in UTF-8; one that is cut at the beginning does not count.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|b| **b & 0xc0 != 0x80).count()
}

fn number(window: &[u8]) -> u64 {
    window.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The filter's bit for a window: the highest bits of a multiplicative hash.
fn filter_bit(window: u64) -> usize {
    (window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS.trailing_zeros())) as usize
}

/// The piece of a value of which every part is secret: what other texts share with it is left out. Of a URL it is the
/// password or what follows the host, of a token in JWT form what follows the header. A document has none.
pub fn secret_piece(value: &str) -> Option<&str> {
    // `LS0tLS1CRUdJTi` is `-----BEGIN` in base64
    let is_document = value.trim_end().contains('\n') || value.starts_with(['{', '[', '<', '-']);
    if is_document || value.starts_with("LS0tLS1CRUdJTi") {
        return None;
    }
    if let Some((_, rest)) = value.split_once("://") {
        let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let password = rest[..host].rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        return Some(password.map_or(&rest[host..], |(_, password)| password));
    }
    match value.split_once('.') {
        Some((header, rest)) if header.starts_with("eyJ") => Some(rest),
        _ => Some(value),
    }
}
