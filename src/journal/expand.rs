//! Reads the lines that [`super::compact`] shortened.
use super::compact::{JOIN, LITERAL, Layout, REFERENCE, WHOLE, WINDOW_BYTES};
use serde_json::{Map, Value as Json};
use std::collections::{HashMap, VecDeque};

/// An event that needs more memory is not read: a damaged or forged journal could describe more than fits.
const MAX_EVENT_BYTES: usize = 512 << 20;
/// What a part needs beside its text, roughly.
const PART_BYTES: usize = 100;
/// How deep parts may lie in each other, over all references.
const MAX_DEPTH: usize = 400;

/// The lines that the next ones refer to.
#[derive(Default)]
pub struct Expander {
    lines: HashMap<u64, Vec<Part>>,
    order: VecDeque<(u64, usize)>,
    bytes: usize,
}

/// A part as it is written. Maps and lists have the numbers of their parts.
enum Part {
    Scalar(Json),
    List(Vec<u32>),
    Map(Vec<(String, u32)>),
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ExpandError {
    #[error("it refers to event {0}, whose line in the journal is damaged or missing")]
    Missing(u64),
    #[error("an invalid reference")]
    Invalid,
    #[error("it needs more than 512 MiB of memory, or is nested too deeply")]
    TooLarge,
}

impl Expander {
    /// The event of a line that has this many bytes. Parts that refer to a damaged line are unset, or say so, unless the event
    /// means nothing without them.
    pub fn event(&mut self, line: Json, bytes: usize) -> Result<Json, ExpandError> {
        if line.get(WHOLE).is_some() {
            return Ok(line);
        }
        let seq = line.get("seq").and_then(Json::as_u64).ok_or(ExpandError::Invalid)?;
        let mut parts = vec![];
        flatten(line, &mut parts);
        self.lines.insert(seq, parts);
        self.order.push_back((seq, bytes));
        self.bytes += bytes;
        let expanded = self.expanded(seq);
        // the writer counts a little less
        while self.bytes > 2 * WINDOW_BYTES
            && let Some((seq, bytes)) = self.order.pop_front()
        {
            self.bytes -= bytes;
            self.lines.remove(&seq);
        }
        expanded
    }

    fn expanded(&self, seq: u64) -> Result<Json, ExpandError> {
        let Some([Part::Map(entries), ..]) = self.lines.get(&seq).map(|parts| &parts[..]) else {
            return Err(ExpandError::Invalid);
        };
        Expansion { lines: &self.lines, bytes: 0, in_value: false }.event(seq, entries)
    }
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

/// An event while it is expanded.
struct Expansion<'a> {
    lines: &'a HashMap<u64, Vec<Part>>,
    /// Memory of the parts so far, roughly.
    bytes: usize,
    /// Whether the part is an observed value, which can be unset.
    in_value: bool,
}

impl Expansion<'_> {
    /// An event, or the attempt in one.
    fn event(&mut self, line: u64, entries: &[(String, u32)]) -> Result<Json, ExpandError> {
        let lines = self.lines;
        let mut event = Map::new();
        for (key, part) in entries {
            self.in_value = ["value", "timed", "vars", "environment", "names"].contains(&key.as_str());
            let content = match (lines.get(&line).and_then(|parts| parts.get(*part as usize)), key.as_str()) {
                (Some(Part::Map(attempt)), "last") => self.event(line, attempt),
                _ => self.part(line, *part, 0),
            };
            let content = match (content, key.as_str()) {
                (Err(ExpandError::Missing(_)), "results" | "unmet" | "evidence") => continue,
                (Err(e @ ExpandError::Missing(_)), "summary" | "reason" | "error") => Json::String(format!("({e})")),
                (content, _) => content?,
            };
            event.insert(key.clone(), content);
        }
        Ok(Json::Object(event))
    }

    fn part(&mut self, line: u64, number: u32, depth: usize) -> Result<Json, ExpandError> {
        self.bytes += PART_BYTES;
        if depth > MAX_DEPTH || self.bytes > MAX_EVENT_BYTES {
            return Err(ExpandError::TooLarge);
        }
        let parts = self.lines.get(&line).ok_or(ExpandError::Missing(line))?;
        let part = |number: u32| parts.get(number as usize).ok_or(ExpandError::Invalid);
        match part(number)? {
            Part::Scalar(Json::String(text)) => match text.strip_prefix(REFERENCE) {
                Some(place) if !place.starts_with(REFERENCE) => self.reference(place, depth),
                escaped => Ok(Json::String(self.counted(escaped.unwrap_or(text)))),
            },
            Part::Scalar(scalar) => Ok(scalar.clone()),
            Part::List(items) => items.iter().map(|item| self.part(line, *item, depth + 1)).collect(),
            Part::Map(entries) => match &entries[..] {
                [(key, content)] if key == JOIN => {
                    let Part::List(pieces) = part(*content)? else { return Err(ExpandError::Invalid) };
                    self.whole_text(|this| this.joined(line, pieces, depth + 1))
                }
                [(key, content)] if key == LITERAL => match part(*content)? {
                    Part::Map(entries) => self.map(line, entries, depth),
                    _ => Err(ExpandError::Invalid),
                },
                [(key, content)] if let Some(layout) = Layout::named(key) => self.whole_text(|this| {
                    let json = this.part(line, *content, depth + 1)?;
                    layout.print(&json).ok_or(ExpandError::Invalid)
                }),
                entries => self.map(line, entries, depth),
            },
        }
    }

    /// A string of several parts. In a value it is unset if one of them is missing.
    fn whole_text(&mut self, text: impl FnOnce(&mut Self) -> Result<String, ExpandError>) -> Result<Json, ExpandError> {
        let in_value = std::mem::replace(&mut self.in_value, false);
        let text = text(self);
        self.in_value = in_value;
        let text = text.map(|text| Json::String(self.counted(&text)));
        self.or_unset(text)
    }

    fn joined(&mut self, line: u64, pieces: &[u32], depth: usize) -> Result<String, ExpandError> {
        let mut texts = vec![];
        for piece in pieces {
            let Json::String(text) = self.part(line, *piece, depth)? else { return Err(ExpandError::Invalid) };
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

    fn counted(&mut self, text: &str) -> String {
        self.bytes = self.bytes.saturating_add(text.len());
        text.into()
    }

    fn map(&mut self, line: u64, entries: &[(String, u32)], depth: usize) -> Result<Json, ExpandError> {
        let entry = |(key, part): &(String, u32)| {
            self.bytes += key.len();
            Ok((key.clone(), self.part(line, *part, depth + 1)?))
        };
        Ok(Json::Object(entries.iter().map(entry).collect::<Result<_, _>>()?))
    }

    /// The part at a place such as `12.7`, or that string and what follows in `12.7/use/0`.
    fn reference(&mut self, place: &str, depth: usize) -> Result<Json, ExpandError> {
        let (place, after) = place.split_at(place.find('/').unwrap_or(place.len()));
        let (line, number) = place.split_once('.').ok_or(ExpandError::Invalid)?;
        let number = number.parse().map_err(|_| ExpandError::Invalid)?;
        let line = line.parse().map_err(|_| ExpandError::Invalid)?;
        let part = match (self.part(line, number, depth + 1), after) {
            (part, "") => part,
            (Ok(Json::String(text)), after) => Ok(Json::String(self.counted(&format!("{text}{after}")))),
            (Ok(_), _) => Err(ExpandError::Invalid),
            (missing, _) => missing,
        };
        self.or_unset(part)
    }
}

#[cfg(test)]
mod tests;
