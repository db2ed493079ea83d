//! Texts that are cut, by a limit or by a broken connection: they must not end with a part of a secret or of a token,
//! which could not be masked later.
use super::{
    Levels, MIN_SECRET_BYTES, Search, Secrets,
    decode::{EmitFound, SEPARATOR, incomplete_escape, is_same_in_form},
    without_escapes,
};
use memchr::memchr2_iter;
use std::ops::Range;

/// How many bytes of a text can be one byte of a secret: escapes are escaped, such as JSON in JSON.
const MAX_EXPANSION: usize = 16;
/// How far before the end of a text a cut secret ends: the rest is the cut encoding of its next character.
const MAX_REST_BYTES: usize = 32;
const MAX_TOKEN_BYTES: usize = 256;

impl Secrets {
    /// Cuts a text to `max_bytes` and adds `mark`. The secrets of a longer text are masked.
    pub fn mask_and_cut(&self, mut text: String, max_bytes: usize, mark: &str) -> String {
        if text.len() <= max_bytes {
            return text;
        }
        if text.len() > 2 * max_bytes {
            // bounds the work; masking makes texts shorter, but seldom by half
            text.truncate(text.floor_char_boundary(2 * max_bytes));
            self.trim_cut(&mut text);
            text.push_str(mark);
        }
        let mut text = self.masked(text);
        if text.len() > max_bytes {
            text.truncate(before_token(&text, text.floor_char_boundary(max_bytes)));
            text.push_str(mark);
        }
        text
    }

    /// Removes the beginning of a secret, in any encoding, from the end of a text that was cut.
    pub fn trim_cut(&self, text: &mut String) {
        let known = self.0.read();
        let Some(longest) = known.secrets.iter().map(|s| s.value.len()).max() else { return };
        let start = text.ceil_char_boundary(text.len().saturating_sub(longest * MAX_EXPANSION + MAX_REST_BYTES));
        // a character that was cut
        let tail = text[start..].trim_end_matches('\u{fffd}');
        let mut length = tail.len();
        let patterns: Vec<_> = known.secrets.iter().map(|s| (s.value.as_bytes(), without_escapes(&s.value))).collect();
        let find = |view: &[u8], emit: EmitFound<'_>| {
            for (secret, (value, plain)) in patterns.iter().enumerate() {
                let beginnings = beginnings(view, value).into_iter().chain(beginnings(view, plain));
                beginnings.for_each(|range| emit(range, secret));
            }
        };
        let search = Search { shortest: MIN_SECRET_BYTES, find: &find };
        known.scan(&search, tail.as_bytes(), Levels::default(), &mut |hit| {
            let counts = !known.secrets[hit.secret].weak || hit.credential;
            if counts && hit.range.end + MAX_REST_BYTES >= tail.len() {
                length = length.min(tail.floor_char_boundary(hit.range.start));
            }
        });
        if length < tail.len() {
            // a complete secret that ends with the beginning of another one stays, to be masked
            let whole = known.hits("", tail, true).into_iter().find(|hit| hit.range.contains(&length));
            text.truncate(start + whole.map_or(length, |hit| hit.range.end));
        }
    }
}

/// The beginning of a secret at the end of each decoded piece of a view, with and without an escape that was cut.
fn beginnings(view: &[u8], secret: &[u8]) -> Vec<Range<usize>> {
    let (mut found, mut start) = (vec![], 0);
    for piece in view.split(|b| *b == SEPARATOR) {
        let cut_escape = incomplete_escape(piece);
        // also the first half of a surrogate pair
        for end in [piece.len(), cut_escape, incomplete_escape(&piece[..cut_escape])] {
            // a complete one does not count
            let first = end.saturating_sub(secret.len().saturating_sub(1));
            let is_beginning = |at: &usize| {
                let part = &piece[first + at..end];
                part.len() >= MIN_SECRET_BYTES && part.iter().zip(secret).all(is_same_in_form)
            };
            let space = if secret[0] == b' ' { b'+' } else { secret[0] };
            let candidates = memchr2_iter(secret[0], space, &piece[first..end]);
            found.extend({ candidates }.find(is_beginning).map(|at| start + first + at..start + end));
        }
        start += piece.len() + 1;
    }
    found
}

/// Where to cut a masked text instead of at `index`, so that no token `‹name›` is cut.
pub fn before_token(text: &str, index: usize) -> usize {
    let before = &text[..index];
    let Some(start) = before.rfind('‹').filter(|start| !before[*start..].contains('›')) else { return index };
    let end = text[index..].find('›').map(|end| index + end);
    if end.is_some_and(|end| end - start <= MAX_TOKEN_BYTES) { start } else { index }
}
