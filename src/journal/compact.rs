//! Shortens the lines of a journal: a part that an earlier line has is written as a reference to it. [`super::expand`] reverses it.
//!
//! | Written | Meaning |
//! |---|---|
//! | `{"$same": "12.7"}` | part 7 of the event with `seq` 12: its JSON values are counted in the order of the text, and the line is part 0 |
//! | `{"$text": ["201\n", "pretty", {…}]}` | a string: a beginning, and the JSON that follows it, as `compact` or `pretty` text |
//! | `{"$literal": {…}}` | a map with one key that would be read as one of these |
//! | `{"$whole": true, …}` | a line of a value of very many parts, in which nothing is a reference |
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

pub(super) const SAME: &str = "$same";
pub(super) const TEXT: &str = "$text";
pub(super) const LITERAL: &str = "$literal";
/// Marks a line in which nothing is a reference.
pub(super) const WHOLE: &str = "$whole";

/// A shorter part is written again: a reference has about 20 bytes.
const MIN_PART_BYTES: usize = 32;
/// A shorter or longer string is not searched for JSON: parsed, it takes many times its size.
const TEXT_BYTES: std::ops::RangeInclusive<usize> = 64..=1 << 20;
/// References reach back over this many bytes of lines, so that writer and reader need little memory.
pub(super) const WINDOW_BYTES: usize = 8 << 20;

/// The first 16 bytes of the SHA-256 of a part: a product must not be able to choose two values that are taken for one.
type PartDigest = [u8; 16];

/// Whether a map with one key could be read as a reference.
pub(super) fn is_marker(map: &Map<String, Json>) -> bool {
    map.len() == 1 && map.keys().all(|key| [SAME, TEXT, LITERAL].contains(&key.as_str()))
}

/// A string as JSON text, if it is some.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Layout {
    Compact,
    Pretty,
}

impl Layout {
    pub const ALL: [(&'static str, Layout); 2] = [("compact", Layout::Compact), ("pretty", Layout::Pretty)];

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
    /// The line of an event, without line end. With `complete`, it has no references: it can be read without the others.
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
            hash.update(b"\"");
            hash.update(text);
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
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.finalize()[..16]);
    parts[at] = Part { digest, bytes, count };
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
        if part.bytes >= MIN_PART_BYTES {
            match self.known.get(&part.digest) {
                Some((line, number)) if !self.complete => {
                    self.next_part += part.count;
                    let place = Json::String(format!("{line}.{number}"));
                    return self.marker(SAME, |line| line.scalar(place));
                }
                Some(_) => {}
                None => {
                    self.known.insert(part.digest, (self.seq, self.written));
                    self.added.push(part.digest);
                }
            }
        }
        self.next_part += 1;
        match json {
            Json::Object(map) if is_marker(map) => self.marker(LITERAL, |line| line.map(map)),
            Json::Object(map) => self.map(map),
            Json::Array(items) => {
                self.written += 1;
                items.iter().map(|item| self.part(item)).collect()
            }
            Json::String(text) => match json_at_end(text).filter(|_| !self.complete) {
                Some((beginning, layout, json)) => self.text(beginning, layout, &json),
                None => self.scalar(json.clone()),
            },
            scalar => self.scalar(scalar.clone()),
        }
    }

    fn scalar(&mut self, json: Json) -> Json {
        self.written += 1;
        json
    }

    fn map(&mut self, map: &Map<String, Json>) -> Json {
        self.written += 1;
        map.iter().map(|(key, content)| (key.clone(), self.part(content))).collect()
    }

    fn marker(&mut self, key: &str, content: impl FnOnce(&mut Self) -> Json) -> Json {
        self.written += 1;
        Json::Object(Map::from_iter([(key.to_string(), content(self))]))
    }

    /// A string that ends with JSON, which has parts of its own.
    fn text(&mut self, beginning: &str, layout: &'static str, json: &Json) -> Json {
        let mut parts = vec![];
        measure(json, &mut parts);
        self.marker(TEXT, |line| {
            // the list and two strings
            line.written += 3;
            let mut inner = Line {
                known: line.known,
                parts: &parts,
                seq: line.seq,
                complete: line.complete,
                next_part: 0,
                written: line.written,
                added: std::mem::take(&mut line.added),
            };
            let json = inner.part(json);
            (line.written, line.added) = (inner.written, inner.added);
            Json::Array(vec![beginning.into(), layout.into(), json])
        })
    }
}

/// Splits a string at the line from which on it is a JSON map or list, if printing that again gives the same text.
fn json_at_end(text: &str) -> Option<(&str, &'static str, Json)> {
    if !TEXT_BYTES.contains(&text.len()) {
        return None;
    }
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1));
    let mut candidates = starts.filter(|at| text[*at..].starts_with(['{', '[']));
    let (beginning, json_text) = text.split_at(candidates.next()?);
    let json: Json = serde_json::from_str(json_text).ok()?;
    Layout::ALL
        .into_iter()
        .find(|(_, layout)| layout.print(&json).is_some_and(|printed| printed == json_text))
        .map(|(name, _)| (beginning, name, json))
}
