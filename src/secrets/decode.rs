//! Decoded views of a text. Each maps a range of its bytes back to the range of the encoded text.
use memchr::{memchr2, memchr3, memmem};
use std::{borrow::Cow, ops::Range, rc::Rc};

/// Between decoded pieces of a view. Occurs in no secret: UTF-8 has no such byte.
pub const SEPARATOR: u8 = 0xff;
/// Pieces are searched together: a search of its own for each would cost more than the search.
const BATCH_BYTES: usize = 1 << 16;

/// Takes the range and the secret of each occurrence in one view.
pub type EmitFound<'e> = &'e mut dyn FnMut(Range<usize>, usize);

/// Whether a byte of a text is that of a secret, which a form writes with `+` for a space.
pub fn is_same_in_form((found, secret): (&u8, &u8)) -> bool {
    found == secret || (*found, *secret) == (b'+', b' ')
}

pub fn with_spaces(text: &[u8]) -> Vec<u8> {
    text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect()
}

/// Where the bytes of a view come from: pairs of decoded and encoded offsets. Between two pairs both advance alike.
#[derive(Default)]
struct Offsets(Vec<(u32, u32)>);

impl Offsets {
    fn push(&mut self, decoded: usize, encoded: usize) {
        self.0.push((decoded as u32, encoded as u32));
    }

    fn encoded(&self, decoded: usize) -> usize {
        let i = self.0.partition_point(|(d, _)| *d as usize <= decoded);
        let (d, e) = i.checked_sub(1).map_or((0, 0), |i| self.0[i]);
        e as usize + (decoded - d as usize)
    }
}

pub struct Unescaped {
    pub bytes: Vec<u8>,
    offsets: Offsets,
}

impl Unescaped {
    pub fn encoded(&self, range: &Range<usize>) -> Range<usize> {
        self.offsets.encoded(range.start)..self.offsets.encoded(range.end)
    }
}

/// The text without one level of escapes: percent, JSON and JavaScript, HTML. `None` if it has none.
pub fn unescape(text: &[u8]) -> Option<Unescaped> {
    let (mut bytes, mut offsets) = (vec![], Offsets::default());
    let (mut copied, mut next) = (0, 0);
    while let Some(found) = memchr3(b'%', b'\\', b'&', &text[next..]) {
        let at = next + found;
        next = at + 1;
        let Some((length, escaped)) = escape(&text[at..]) else { continue };
        bytes.extend_from_slice(&text[copied..at]);
        match escaped {
            Escaped::Byte(b) => bytes.push(b),
            Escaped::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        (copied, next) = (at + length, at + length);
        offsets.push(bytes.len(), copied);
    }
    (copied > 0).then(|| {
        bytes.extend_from_slice(&text[copied..]);
        Unescaped { bytes, offsets }
    })
}

/// The text without `'\''`, a quote inside the quotes of a shell. `None` if it has none.
pub fn unquote(text: &[u8]) -> Option<Unescaped> {
    let (mut bytes, mut offsets, mut copied) = (vec![], Offsets::default(), 0);
    for at in memmem::find_iter(text, br"'\''") {
        bytes.extend_from_slice(&text[copied..=at]);
        copied = at + 4;
        offsets.push(bytes.len(), copied);
    }
    (copied > 0).then(|| {
        bytes.extend_from_slice(&text[copied..]);
        Unescaped { bytes, offsets }
    })
}

/// The longest escape: an HTML entity.
const MAX_ESCAPE_BYTES: usize = 12;

/// Where an escape begins that the end of the text cuts, or the length of the text.
pub fn incomplete_escape(text: &[u8]) -> usize {
    let start = text.len().saturating_sub(MAX_ESCAPE_BYTES - 1);
    let last = text[start..].iter().rposition(|b| b"%\\&".contains(b)).map(|at| start + at);
    last.filter(|at| escape(&text[*at..]).is_none()).unwrap_or(text.len())
}

enum Escaped {
    Byte(u8),
    Char(char),
}

/// The escape at the beginning of the text, and its length.
fn escape(text: &[u8]) -> Option<(usize, Escaped)> {
    match (text[0], text.get(1)?) {
        (b'%', _) => Some((3, Escaped::Byte(number(text.get(1..3)?, 16)? as u8))),
        (b'&', _) => entity(text),
        (_, c @ (b'"' | b'\\' | b'/' | b'\'')) => Some((2, Escaped::Byte(*c))),
        (_, b'b') => Some((2, Escaped::Byte(8))),
        (_, b'f') => Some((2, Escaped::Byte(12))),
        (_, b'n') => Some((2, Escaped::Byte(b'\n'))),
        (_, b'r') => Some((2, Escaped::Byte(b'\r'))),
        (_, b't') => Some((2, Escaped::Byte(b'\t'))),
        (_, b'x') => Some((4, Escaped::Byte(number(text.get(2..4)?, 16)? as u8))),
        (_, b'u') => unicode(text),
        _ => None,
    }
}

/// `\u20ac`, a surrogate pair, or `\u{20ac}`.
fn unicode(text: &[u8]) -> Option<(usize, Escaped)> {
    if text.get(2) == Some(&b'{') {
        let length = text.iter().take(10).position(|b| *b == b'}')?;
        return Some((length + 1, Escaped::Char(char::from_u32(number(&text[3..length], 16)?)?)));
    }
    let unit = number(text.get(2..6)?, 16)?;
    if !(0xd800..0xdc00).contains(&unit) {
        return Some((6, Escaped::Char(char::from_u32(unit)?)));
    }
    let low = number(text.get(6..12)?.strip_prefix(b"\\u")?, 16)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((12, Escaped::Char(char::from_u32(0x10000 + ((unit - 0xd800) << 10) + low)?)))
}

fn entity(text: &[u8]) -> Option<(usize, Escaped)> {
    let end = text.iter().take(MAX_ESCAPE_BYTES).position(|b| *b == b';')?;
    let c = match &text[1..end] {
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(number(digits, 16)?)?,
        [b'#', digits @ ..] => char::from_u32(number(digits, 10)?)?,
        name => named_character(std::str::from_utf8(name).ok()?)?,
    };
    Some((end + 1, Escaped::Char(c)))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let add = |n: u32, d: &u8| n.checked_mul(radix)?.checked_add((*d as char).to_digit(radix)?);
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// The HTML entities of ASCII and Latin-1.
fn named_character(name: &str) -> Option<char> {
    const ASCII: &str = "quot\" amp& apos' lt< gt> sol/ bsol\\ plus+ equals= num# excl! dollar$ percnt% lpar( rpar) \
        ast* midast* comma, period. colon: semi; quest? commat@ lsqb[ lbrack[ rsqb] rbrack] Hat^ lowbar_ grave` lcub{ \
        lbrace{ verbar| vert| rcub} rbrace} QUOT\" AMP& LT< GT> euro€";
    const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn \
        sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde \
        Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde \
        Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig \
        ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide \
        oslash ugrave uacute ucirc uuml yacute thorn yuml";
    let ascii = ASCII.split(' ').find_map(|entry| entry.strip_prefix(name).filter(|c| c.chars().count() == 1));
    ascii.and_then(|c| c.chars().next()).or_else(|| {
        let position = LATIN_1.split(' ').position(|n| n == name)?;
        char::from_u32(0xa0 + position as u32)
    })
}

/// What a byte is in base64: the value of a digit, a line break inside it, or anything else.
const BREAK: u8 = 64;
const OTHER: u8 = 65;
const BASE64: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut i = 0;
    while i < 26 {
        table[b'A' as usize + i] = i as u8;
        table[b'a' as usize + i] = 26 + i as u8;
        i += 1;
    }
    i = 0;
    while i < 10 {
        table[b'0' as usize + i] = 52 + i as u8;
        i += 1;
    }
    table[b'+' as usize] = 62;
    table[b'-' as usize] = 62;
    table[b'/' as usize] = 63;
    table[b'_' as usize] = 63;
    table[b'\r' as usize] = BREAK;
    table[b'\n' as usize] = BREAK;
    table
};

/// Part of a text in which every byte is a digit of base64 or a line break.
struct Run {
    /// From digits to the text.
    offsets: Offsets,
    digits: usize,
    /// With the `=` that follow.
    end: usize,
}

/// The digits of a run that were decoded from one of the possible beginnings.
struct Piece {
    /// Where it starts in the batch.
    start: usize,
    run: Rc<Run>,
    first_digit: usize,
    bits: usize,
}

/// Decoded pieces of a text, separated by [`SEPARATOR`].
#[derive(Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    /// Whether the pieces could be text, not the bytes that result from a wrong beginning.
    pub is_text: bool,
    pieces: Vec<Piece>,
}

impl Batch {
    /// The encoded form of `range`, and its name.
    pub fn encoded(&self, range: &Range<usize>) -> (Range<usize>, &'static str) {
        let i = self.pieces.partition_point(|p| p.start <= range.start).saturating_sub(1);
        let Piece { start, run, first_digit, bits } = &self.pieces[i];
        let digit = |bit: usize| first_digit + bit / bits;
        let first = digit((range.start - start) * 8);
        let last = digit(((range.end - start) * 8).saturating_sub(1));
        let end = if last + 1 >= run.digits { run.end } else { run.offsets.encoded(last) + 1 };
        (run.offsets.encoded(first)..end, if *bits == 4 { "hex" } else { "base64" })
    }

    fn flush(&mut self, least: usize, each: &mut dyn FnMut(&Batch)) {
        if self.bytes.len() > least {
            each(self);
            self.bytes.clear();
            self.pieces.clear();
        }
    }
}

struct Unpacking<'e> {
    text: Batch,
    binary: Batch,
    each: &'e mut dyn FnMut(&Batch),
}

impl Unpacking<'_> {
    fn piece(&mut self, run: &Rc<Run>, digits: &[u8], first_digit: usize, bits: usize) {
        let start = self.text.bytes.len();
        if bits == 4 {
            unhex(digits, &mut self.text.bytes)
        } else {
            unbase64(digits, &mut self.text.bytes)
        }
        let decoded = &self.text.bytes[start..];
        let control = decoded.iter().filter(|b| matches!(b, 0..9 | 14..32 | 127)).count();
        let is_text = control <= decoded.len() / 16;
        if !is_text {
            self.binary.bytes.extend_from_slice(decoded);
            self.text.bytes.truncate(start);
        }
        let batch = if is_text { &mut self.text } else { &mut self.binary };
        let start = batch.bytes.len() - digits.len() * bits / 8;
        batch.bytes.push(SEPARATOR);
        batch.pieces.push(Piece { start, run: run.clone(), first_digit, bits });
        batch.flush(BATCH_BYTES, self.each);
    }
}

fn unbase64(digits: &[u8], out: &mut Vec<u8>) {
    let value = |d: u8| u32::from(BASE64[d as usize]);
    let (groups, rest) = digits.as_chunks::<4>();
    let start = out.len();
    out.resize(start + groups.len() * 3, 0);
    for (bytes, [a, b, c, d]) in out[start..].as_chunks_mut::<3>().0.iter_mut().zip(groups) {
        let bits = value(*a) << 18 | value(*b) << 12 | value(*c) << 6 | value(*d);
        bytes.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    let bits = rest.iter().enumerate().fold(0, |bits, (i, d)| bits | value(*d) << (18 - 6 * i));
    out.extend_from_slice(&bits.to_be_bytes()[1..1 + rest.len() * 6 / 8]);
}

fn unhex(digits: &[u8], out: &mut Vec<u8>) {
    let value = |d: u8| (d as char).to_digit(16).unwrap_or_default() as u8;
    out.extend(digits.as_chunks::<2>().0.iter().map(|[a, b]| value(*a) << 4 | value(*b)));
}

/// Decodes everything that could be base64 or hex of `shortest` bytes or more, from every beginning, and gives it to
/// `each` in batches.
pub fn unpack(text: &[u8], shortest: usize, each: &mut dyn FnMut(&Batch)) {
    let text_batch = Batch { is_text: true, ..Batch::default() };
    let mut unpacking = Unpacking { text: text_batch, binary: Batch::default(), each };
    unpack_runs(text, shortest, &mut unpacking);
    unpack_spaced_hex(text, shortest, &mut unpacking);
    let Unpacking { mut text, mut binary, each } = unpacking;
    text.flush(0, each);
    binary.flush(0, each);
}

fn unpack_runs(text: &[u8], shortest: usize, unpacking: &mut Unpacking<'_>) {
    let shortest_run = (shortest * 8).div_ceil(6);
    let mut at = 0;
    while let Some(window) = text.get(at..at + shortest_run) {
        // from behind, so that most bytes of a text of short words are never looked at
        if let Some(other) = window.iter().rposition(|b| BASE64[*b as usize] == OTHER) {
            at += other + 1;
            continue;
        }
        let rest = &text[at + shortest_run..];
        let length = shortest_run + rest.iter().take_while(|b| BASE64[**b as usize] != OTHER).count();
        let run = text[at..at + length].trim_ascii_end();
        let (digits, offsets) = without_breaks(run, at);
        let end = at + run.len() + text[at + run.len()..].iter().take_while(|b| **b == b'=').count();
        at += length;
        let run = Rc::new(Run { offsets, digits: digits.len(), end });
        for first in 0..4.min(digits.len()) {
            if (digits.len() - first) * 6 / 8 >= shortest {
                unpacking.piece(&run, &digits[first..], first, 6);
            }
        }
        let mut first = 0;
        for part in digits.split(|d| !d.is_ascii_hexdigit()) {
            for skipped in 0..2 {
                if part.len() >= shortest * 2 + skipped {
                    unpacking.piece(&run, &part[skipped..], first + skipped, 4);
                }
            }
            first += part.len() + 1;
        }
    }
}

/// What can be between the bytes of a dump: `de:ad`, `DE AD`, `0xde, 0xad`.
const SEPARATORS: &[u8] = b" :-,._;|\t\r\nxX";
/// The longest separator: a line break and the indentation of the next line.
const MAX_SEPARATOR_BYTES: usize = 12;

fn is_dump(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || SEPARATORS.contains(&byte)
}

/// Decodes hex digits with separators.
fn unpack_spaced_hex(text: &[u8], shortest: usize, unpacking: &mut Unpacking<'_>) {
    let mut at = 0;
    // from behind, as above
    while let Some(window) = text.get(at..at + shortest * 2) {
        if let Some(other) = window.iter().rposition(|b| !is_dump(*b)) {
            at += other + 1;
            continue;
        }
        let (mut digits, mut offsets, mut is_spaced) = (vec![], Offsets::default(), false);
        let (start, mut end) = (at, at);
        while let Some(byte) = text.get(at).filter(|b| is_dump(**b) && at - end <= MAX_SEPARATOR_BYTES) {
            if !byte.is_ascii_hexdigit() {
                at += 1;
                continue;
            }
            if *byte == b'0' && text.get(at + 1).is_some_and(|b| matches!(b, b'x' | b'X')) {
                at += 2;
                continue;
            }
            let length = text[at..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
            is_spaced |= !digits.is_empty();
            offsets.push(digits.len(), at);
            digits.extend_from_slice(&text[at..at + length]);
            at += length;
            end = at;
        }
        at = at.max(start + 1);
        if is_spaced {
            let run = Rc::new(Run { offsets, digits: digits.len(), end });
            for skipped in (0..2).filter(|skipped| digits.len() >= shortest * 2 + skipped) {
                unpacking.piece(&run, &digits[skipped..], skipped, 4);
            }
        }
    }
}

fn without_breaks(run: &[u8], start: usize) -> (Cow<'_, [u8]>, Offsets) {
    let mut offsets = Offsets::default();
    offsets.push(0, start);
    if memchr2(b'\r', b'\n', run).is_none() {
        return (run.into(), offsets);
    }
    let mut digits = Vec::with_capacity(run.len());
    for (i, byte) in run.iter().enumerate() {
        if BASE64[*byte as usize] != BREAK {
            digits.push(*byte);
        } else {
            offsets.push(digits.len(), start + i + 1);
        }
    }
    (digits.into(), offsets)
}
