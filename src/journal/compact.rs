//! Shortens the lines of a journal: a part that an earlier line has is written as a reference to it. [`super::expand`] reverses it.
//!
//! | Written | Meaning |
//! |---|---|
//! | `"^12.7"` | part 7 of the event with `seq` 12: its JSON values are counted in the order of the text, and the line is part 0 |
//! | `"^12.7/use/0"` | the string that is part 7 of that line, and `/use/0` after it |
//! | `"^^x"` | the string `^x` |
//! | `{"$compact": {…}}`, `{"$pretty": {…}}` | a string: the JSON printed in one line, or in several |
//! | `{"$join": ["\n", "a", {"$compact": {…}}]}` | a string: the strings after the first one, with the first one between them |
//! | `{"$literal": {…}}` | a map with one key that would be read as one of these |
//! | `{"$whole": true, …}` | a line of a value of very many parts, in which nothing is shortened |
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

/// Begins a string that is a reference.
pub(super) const REFERENCE: char = '^';
pub(super) const JOIN: &str = "$join";
pub(super) const LITERAL: &str = "$literal";
/// Marks a line in which nothing is shortened.
pub(super) const WHOLE: &str = "$whole";

/// A shorter part is written again: a reference has about 10 bytes.
const MIN_PART_BYTES: usize = 16;
/// A shorter or longer string is not taken apart: as JSON, it takes many times its size.
const TEXT_BYTES: std::ops::RangeInclusive<usize> = 32..=1 << 20;
/// A longer string is not taken for a path.
const MAX_PATH_BYTES: usize = 512;
/// A string of more pieces is not taken apart.
const MAX_PIECES: usize = 200;
/// References reach back over this many bytes of lines, so that writer and reader need little memory.
pub(super) const WINDOW_BYTES: usize = 8 << 20;

/// The first 16 bytes of the SHA-256 of a part: a product must not be able to choose two values that are taken for one.
type PartDigest = [u8; 16];

/// Whether a map with one key could be read as a reference.
pub(super) fn is_marker(map: &Map<String, Json>) -> bool {
    map.keys()
        .next()
        .is_some_and(|key| map.len() == 1 && ([JOIN, LITERAL].contains(&&**key) || Layout::named(key).is_some()))
}

/// A string as JSON text, if it is some.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Layout {
    Compact,
    Pretty,
}

impl Layout {
    pub const ALL: [(&'static str, Layout); 2] = [("$compact", Layout::Compact), ("$pretty", Layout::Pretty)];

    pub fn named(name: &str) -> Option<Layout> {
        Layout::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, layout)| layout)
    }

    pub fn print(self, json: &Json) -> Option<String> {
        match self {
            Layout::Compact => serde_json::to_string(json).ok(),
            Layout::Pretty => serde_json::to_string_pretty(json).ok(),
        }
    }
}

/// What the lines that were written have, and where.
#[derive(Default)]
pub struct Compactor {
    places: HashMap<PartDigest, (u64, u32)>,
    /// The lines that are referred to: number, size, and the digests of its parts.
    lines: VecDeque<(u64, usize, Vec<PartDigest>)>,
    bytes: usize,
}

impl Compactor {
    /// The line of an event, without line end. With `complete`, nothing but escapes is shortened: it can be read without the others.
    pub fn line(&mut self, seq: u64, event: &Json, complete: bool) -> serde_json::Result<String> {
        let mut parts = vec![];
        measure(event, &mut parts);
        let mut line =
            Line { known: &mut self.places, parts: &parts, seq, complete, next_part: 0, written: 0, added: vec![] };
        let written = line.part(event);
        let added = line.added;
        let text = serde_json::to_string(&written)?;
        self.bytes += text.len();
        self.lines.push_back((seq, text.len(), added));
        while self.bytes > WINDOW_BYTES
            && let Some((seq, bytes, digests)) = self.lines.pop_front()
        {
            self.bytes -= bytes;
            digests.iter().for_each(|digest| {
                if self.places.get(digest).is_some_and(|(line, _)| *line == seq) {
                    self.places.remove(digest);
                }
            });
        }
        Ok(text)
    }
}

/// A part of an event: all parts are listed with a map or list before what it contains.
struct Part {
    digest: PartDigest,
    /// Of its JSON text, roughly.
    bytes: usize,
    /// How many parts it has, itself included.
    count: usize,
}

/// Lists all parts of `json`.
fn measure(json: &Json, parts: &mut Vec<Part>) {
    let at = parts.len();
    parts.push(Part { digest: [0; 16], bytes: 0, count: 1 });
    let mut hash = Sha256::new();
    let mut bytes = 2;
    let add = |hash: &mut Sha256, parts: &mut Vec<Part>, content: &Json| {
        let from = parts.len();
        measure(content, parts);
        hash.update(parts[from].digest);
        parts[from].bytes + 1
    };
    match json {
        Json::Array(items) => {
            hash.update(b"[");
            bytes += items.iter().map(|item| add(&mut hash, parts, item)).sum::<usize>();
        }
        Json::Object(map) => {
            hash.update(b"{");
            for (key, content) in map {
                hash.update((key.len() as u64).to_le_bytes());
                hash.update(key);
                bytes += key.len() + 3 + add(&mut hash, parts, content);
            }
        }
        Json::String(text) => {
            hash_text(&mut hash, text);
            bytes += text.len();
        }
        scalar => {
            let text = scalar.to_string();
            hash.update(b"#");
            hash.update(&text);
            bytes = text.len();
        }
    }
    let count = parts.len() - at;
    parts[at] = Part { digest: finish(hash), bytes, count };
}

fn hash_text(hash: &mut Sha256, text: &str) {
    hash.update(b"\"");
    hash.update(text);
}

fn digest_of_text(text: &str) -> PartDigest {
    let mut hash = Sha256::new();
    hash_text(&mut hash, text);
    finish(hash)
}

fn finish(hash: Sha256) -> PartDigest {
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.finalize()[..16]);
    digest
}

/// A line while it is written.
struct Line<'a> {
    known: &'a mut HashMap<PartDigest, (u64, u32)>,
    parts: &'a [Part],
    seq: u64,
    complete: bool,
    /// The part of the event that is next.
    next_part: usize,
    /// How many parts are written.
    written: u32,
    /// The digests of the parts that later lines can refer to.
    added: Vec<PartDigest>,
}

impl Line<'_> {
    fn part(&mut self, json: &Json) -> Json {
        let part = &self.parts[self.next_part];
        if let Some(reference) = self.reference(part.digest, part.bytes) {
            self.next_part += part.count;
            return reference;
        }
        self.next_part += 1;
        match json {
            Json::Object(map) if is_marker(map) => self.marker(LITERAL, |line| line.map(map)),
            Json::Object(map) => self.map(map),
            Json::Array(items) => {
                self.written += 1;
                items.iter().map(|item| self.part(item)).collect()
            }
            Json::String(text) if !self.complete => self.text(text),
            Json::String(text) => self.string(text),
            scalar => self.scalar(scalar.clone()),
        }
    }

    /// The reference to a part that is known. One that is not is known from now on.
    fn reference(&mut self, digest: PartDigest, bytes: usize) -> Option<Json> {
        if bytes < MIN_PART_BYTES {
            return None;
        }
        match self.known.get(&digest) {
            Some((line, number)) if !self.complete => {
                let place = Json::String(format!("{REFERENCE}{line}.{number}"));
                Some(self.scalar(place))
            }
            Some(_) => None,
            None => {
                self.known.insert(digest, (self.seq, self.written));
                self.added.push(digest);
                None
            }
        }
    }

    fn scalar(&mut self, json: Json) -> Json {
        self.written += 1;
        json
    }

    fn string(&mut self, text: &str) -> Json {
        let escape = if text.starts_with(REFERENCE) { "^" } else { "" };
        self.scalar(Json::String(format!("{escape}{text}")))
    }

    fn map(&mut self, map: &Map<String, Json>) -> Json {
        self.written += 1;
        let entry = |(key, content): (&String, &Json)| {
            let written = match content {
                // a damaged line must not hide what other lines are
                Json::String(name) if key == "event" => {
                    self.next_part += 1;
                    self.string(name)
                }
                content => self.part(content),
            };
            (key.clone(), written)
        };
        map.iter().map(entry).collect()
    }

    fn marker(&mut self, key: &str, content: impl FnOnce(&mut Self) -> Json) -> Json {
        self.written += 1;
        Json::Object(Map::from_iter([(key.to_string(), content(self))]))
    }

    /// A string that is not known as a whole.
    fn text(&mut self, text: &str) -> Json {
        if let Some((layout, json)) = printed_json(text) {
            return self.marker(layout, |line| line.other_part(&json));
        }
        let Some((separator, pieces)) = pieces(text) else {
            return self.after_known(text).unwrap_or_else(|| self.string(text));
        };
        self.marker(JOIN, |line| {
            line.written += 1;
            let first = line.string(separator);
            let rest = pieces.into_iter().map(|piece| match piece {
                Piece::Text(text) => line.piece(text),
                Piece::Printed(layout, json) => line.marker(layout, |line| line.other_part(&json)),
            });
            std::iter::once(first).chain(rest).collect()
        })
    }

    /// A path or an address that begins with a known one.
    fn after_known(&mut self, text: &str) -> Option<Json> {
        let ends = text.rmatch_indices('/').map(|(i, _)| i).take_while(|i| *i >= MIN_PART_BYTES);
        let ends = ends.take(if text.len() <= MAX_PATH_BYTES { MAX_PIECES } else { 0 });
        let known = ends.into_iter().find_map(|end| Some((self.known.get(&digest_of_text(&text[..end]))?, end)));
        let ((line, number), end) = known?;
        Some(self.scalar(Json::String(format!("{REFERENCE}{line}.{number}{}", &text[end..]))))
    }

    /// A piece of a string. It is not taken apart again.
    fn piece(&mut self, text: &str) -> Json {
        // two more for the quotes, as `measure` counts
        let reference = self.reference(digest_of_text(text), text.len() + 2).or_else(|| self.after_known(text));
        reference.unwrap_or_else(|| self.string(text))
    }

    /// JSON that is not a part of the event: it lies in a string.
    fn other_part(&mut self, json: &Json) -> Json {
        let mut parts = vec![];
        measure(json, &mut parts);
        let mut inner = Line {
            known: self.known,
            parts: &parts,
            seq: self.seq,
            complete: self.complete,
            next_part: 0,
            written: self.written,
            added: std::mem::take(&mut self.added),
        };
        let json = inner.part(json);
        (self.written, self.added) = (inner.written, inner.added);
        json
    }
}

/// A piece of a string.
enum Piece<'a> {
    Text(&'a str),
    Printed(&'static str, Json),
}

/// The JSON map or list that gives `text` when it is printed, and the name of the layout.
fn printed_json(text: &str) -> Option<(&'static str, Json)> {
    if !TEXT_BYTES.contains(&text.len()) || !text.starts_with(['{', '[']) {
        return None;
    }
    let json: Json = serde_json::from_str(text).ok()?;
    let fits = |layout: Layout| layout.print(&json).is_some_and(|printed| printed == text);
    Layout::ALL.into_iter().find(|(_, layout)| fits(*layout)).map(|(name, _)| (name, json))
}

/// The lines of a string, or the words of a command line, and what separates them. JSON is one piece.
fn pieces(text: &str) -> Option<(&'static str, Vec<Piece<'_>>)> {
    if !TEXT_BYTES.contains(&text.len()) {
        return None;
    }
    let separator = ["\n", "'"].into_iter().find(|separator| text.contains(separator))?;
    let mut pieces = vec![];
    let mut rest = Some(text);
    while let Some(text) = rest {
        if let Some((layout, json, after)) = printed_at_start(text, separator) {
            pieces.push(Piece::Printed(layout, json));
            rest = after;
        } else {
            let (piece, after) = text.split_once(separator).map_or((text, None), |(piece, after)| (piece, Some(after)));
            pieces.push(Piece::Text(piece));
            rest = after;
        }
        if pieces.len() > MAX_PIECES {
            return None;
        }
    }
    Some((separator, pieces))
}

/// JSON at the start of `text`, up to its end, its last line or the next separator, and what follows.
fn printed_at_start<'a>(text: &'a str, separator: &str) -> Option<(&'static str, Json, Option<&'a str>)> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let split = if separator == "\n" { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = [Some((text, None)), split.map(|(start, after)| (start, Some(after)))];
    parts.into_iter().flatten().find_map(|(start, after)| printed_json(start).map(|(name, json)| (name, json, after)))
}
