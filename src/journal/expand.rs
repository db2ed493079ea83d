//! Reads the lines that [`super::compact`] shortened.
use super::compact::{JOIN, LITERAL, Layout, REFERENCE, WHOLE, WINDOW_BYTES, is_marker};
use serde_json::{Map, Value as Json};
use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
};

/// An event that needs more memory is not read: a damaged or forged journal could describe more than fits.
const MAX_EVENT_BYTES: usize = 512 << 20;
/// What a part needs beside its text, roughly.
const PART_BYTES: usize = 100;
/// Parts take some ten times the memory of their text: they are kept for so many bytes of lines.
const MAX_PARSED_BYTES: usize = 1 << 20;
/// How deep parts may lie in each other, over all references.
const MAX_DEPTH: usize = 400;

/// Reads lines, and keeps those that the next ones can refer to.
#[derive(Default)]
pub struct Expander(Lines);

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ExpandError {
    #[error("it refers to event {0}, whose line in the journal is damaged or missing")]
    Missing(u64),
    #[error("an invalid reference")]
    Invalid,
    #[error("it needs more than 512 MiB of memory, or is nested too deeply")]
    TooLarge,
    #[error("{0}")]
    NoJson(String),
}

impl Expander {
    /// The event of a line. Parts that refer to a damaged line are unset, or say so, unless the event means nothing without them.
    pub fn event(&mut self, line: &[u8]) -> Result<Json, ExpandError> {
        let json: Json = serde_json::from_slice(line).map_err(|e| ExpandError::NoJson(e.to_string()))?;
        if json.get(WHOLE).is_some() {
            return Ok(json);
        }
        let seq = json.get("seq").and_then(Json::as_u64).ok_or(ExpandError::Invalid)?;
        let Json::Object(entries) = json else { return Err(ExpandError::Invalid) };
        self.0.add(seq, line);
        Expansion { lines: &mut self.0, bytes: 0, in_value: false }.event(entries)
    }
}

/// The text of the last lines, and the parts of those that were referred to last.
#[derive(Default)]
struct Lines {
    texts: HashMap<u64, Box<[u8]>>,
    /// Numbers and bytes, the oldest first.
    order: VecDeque<(u64, usize)>,
    bytes: usize,
    parsed: HashMap<u64, Rc<Vec<Part>>>,
    parsed_order: VecDeque<(u64, usize)>,
    parsed_bytes: usize,
}

impl Lines {
    fn add(&mut self, seq: u64, line: &[u8]) {
        self.texts.insert(seq, line.into());
        self.parsed.remove(&seq);
        self.order.push_back((seq, line.len()));
        self.bytes += line.len();
        // the writer counts a little less
        while self.bytes > 2 * WINDOW_BYTES
            && let Some((oldest, bytes)) = self.order.pop_front()
        {
            self.bytes -= bytes;
            self.texts.remove(&oldest);
        }
    }

    fn parts(&mut self, seq: u64) -> Result<Rc<Vec<Part>>, ExpandError> {
        let text = self.texts.get(&seq).ok_or(ExpandError::Missing(seq))?;
        if let Some(parts) = self.parsed.get(&seq) {
            return Ok(parts.clone());
        }
        let json = serde_json::from_slice(text).map_err(|_| ExpandError::Invalid)?;
        let mut parts = vec![];
        flatten(json, &mut parts);
        self.parsed_bytes += text.len();
        while self.parsed_bytes > MAX_PARSED_BYTES
            && let Some((oldest, bytes)) = self.parsed_order.pop_front()
        {
            self.parsed_bytes -= bytes;
            self.parsed.remove(&oldest);
        }
        self.parsed_order.push_back((seq, text.len()));
        let parts = Rc::new(parts);
        self.parsed.insert(seq, parts.clone());
        Ok(parts)
    }
}

/// A part as it is written. Maps and lists have the numbers of their parts.
enum Part {
    Scalar(Json),
    List(Vec<u32>),
    Map(Vec<(String, u32)>),
}

/// Numbers the parts of a line in the order in which they are written.
fn flatten(json: Json, parts: &mut Vec<Part>) -> u32 {
    let number = parts.len();
    parts.push(Part::Scalar(Json::Null));
    parts[number] = match json {
        Json::Array(items) => Part::List(items.into_iter().map(|item| flatten(item, parts)).collect()),
        Json::Object(map) => Part::Map(map.into_iter().map(|(key, content)| (key, flatten(content, parts))).collect()),
        scalar => Part::Scalar(scalar),
    };
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The part of this number, as it is written.
fn written(parts: &[Part], number: u32) -> Option<Json> {
    Some(match parts.get(number as usize)? {
        Part::Scalar(scalar) => scalar.clone(),
        Part::List(items) => items.iter().map(|item| written(parts, *item)).collect::<Option<_>>()?,
        Part::Map(entries) => {
            let entries = entries.iter().map(|(key, part)| Some((key.clone(), written(parts, *part)?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
    })
}

/// An event while it is expanded.
struct Expansion<'a> {
    lines: &'a mut Lines,
    /// Memory of the parts so far, roughly.
    bytes: usize,
    /// Whether the part is an observed value, which can be unset.
    in_value: bool,
}

impl Expansion<'_> {
    /// An event, or the attempt in one.
    fn event(&mut self, entries: Map<String, Json>) -> Result<Json, ExpandError> {
        let mut event = Map::new();
        for (key, content) in entries {
            self.in_value = ["value", "timed", "vars", "environment", "names"].contains(&key.as_str());
            let content = match content {
                Json::Object(attempt) if key == "last" => self.event(attempt),
                content => self.part(content, 0),
            };
            let content = match (content, key.as_str()) {
                (Err(ExpandError::Missing(_)), "results" | "unmet" | "evidence") => continue,
                (Err(e @ ExpandError::Missing(_)), "summary" | "reason" | "error") => Json::String(format!("({e})")),
                (content, _) => content?,
            };
            event.insert(key, content);
        }
        Ok(Json::Object(event))
    }

    fn part(&mut self, written: Json, depth: usize) -> Result<Json, ExpandError> {
        self.bytes += PART_BYTES;
        if depth > MAX_DEPTH || self.bytes > MAX_EVENT_BYTES {
            return Err(ExpandError::TooLarge);
        }
        match written {
            Json::String(mut text) if text.starts_with(REFERENCE) => match text[1..].starts_with(REFERENCE) {
                true => Ok(Json::String(self.counted(text.split_off(1)))),
                false => self.reference(&text[1..], depth),
            },
            Json::String(text) => Ok(Json::String(self.counted(text))),
            Json::Array(items) => items.into_iter().map(|item| self.part(item, depth + 1)).collect(),
            Json::Object(map) if is_marker(&map) => {
                let Some((key, content)) = map.into_iter().next() else { return Err(ExpandError::Invalid) };
                self.marker(&key, content, depth)
            }
            Json::Object(map) => self.map(map, depth),
            scalar => Ok(scalar),
        }
    }

    fn marker(&mut self, key: &str, content: Json, depth: usize) -> Result<Json, ExpandError> {
        match (key, content) {
            (JOIN, Json::Array(pieces)) => self.whole_text(|this| this.joined(pieces, depth + 1)),
            (LITERAL, Json::Object(map)) => self.map(map, depth),
            (JOIN | LITERAL, _) => Err(ExpandError::Invalid),
            (layout, content) => self.whole_text(|this| {
                let json = this.part(content, depth + 1)?;
                Layout::named(layout).and_then(|layout| layout.print(&json)).ok_or(ExpandError::Invalid)
            }),
        }
    }

    fn map(&mut self, mut map: Map<String, Json>, depth: usize) -> Result<Json, ExpandError> {
        for (key, content) in &mut map {
            self.bytes += key.len();
            *content = self.part(content.take(), depth + 1)?;
        }
        Ok(Json::Object(map))
    }

    /// A string of several parts. In a value it is unset if one of them is missing.
    fn whole_text(&mut self, text: impl FnOnce(&mut Self) -> Result<String, ExpandError>) -> Result<Json, ExpandError> {
        let in_value = std::mem::replace(&mut self.in_value, false);
        let text = text(self);
        self.in_value = in_value;
        let text = text.map(|text| Json::String(self.counted(text)));
        self.or_unset(text)
    }

    fn joined(&mut self, pieces: Vec<Json>, depth: usize) -> Result<String, ExpandError> {
        let mut texts = vec![];
        for piece in pieces {
            let Json::String(text) = self.part(piece, depth)? else { return Err(ExpandError::Invalid) };
            texts.push(text);
        }
        let Some((separator, pieces)) = texts.split_first() else { return Err(ExpandError::Invalid) };
        self.bytes = self.bytes.saturating_add(separator.len().saturating_mul(pieces.len()));
        if self.bytes > MAX_EVENT_BYTES { Err(ExpandError::TooLarge) } else { Ok(pieces.join(separator)) }
    }

    fn or_unset(&self, part: Result<Json, ExpandError>) -> Result<Json, ExpandError> {
        match part {
            Err(e @ ExpandError::Missing(_)) if self.in_value => Ok(serde_json::json!({ "$unset": e.to_string() })),
            part => part,
        }
    }

    fn counted(&mut self, text: String) -> String {
        self.bytes = self.bytes.saturating_add(text.len());
        text
    }

    /// The part at a place such as `12.7`, or that string and what follows in `12.7/use/0`.
    fn reference(&mut self, place: &str, depth: usize) -> Result<Json, ExpandError> {
        let (place, after) = place.split_at(place.find('/').unwrap_or(place.len()));
        let (line, number) = place.split_once('.').ok_or(ExpandError::Invalid)?;
        let number = number.parse().map_err(|_| ExpandError::Invalid)?;
        let line = line.parse().map_err(|_| ExpandError::Invalid)?;
        let found = self.lines.parts(line).and_then(|parts| written(&parts, number).ok_or(ExpandError::Invalid));
        let part = match (found.and_then(|part| self.part(part, depth + 1)), after) {
            (part, "") => part,
            (Ok(Json::String(text)), after) => Ok(Json::String(self.counted(format!("{text}{after}")))),
            (Ok(_), _) => Err(ExpandError::Invalid),
            (missing, _) => missing,
        };
        self.or_unset(part)
    }
}

#[cfg(test)]
mod tests;
