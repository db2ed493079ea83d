//! Reads the lines that [`super::compact`] shortened.
use super::compact::{LITERAL, Layout, SAME, TEXT, WHOLE, WINDOW_BYTES};
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
        let mut expansion = Expansion { lines: &self.lines, bytes: 0, in_value: false };
        let mut event = Map::new();
        for (key, part) in entries {
            expansion.in_value = ["value", "vars", "environment", "names"].contains(&key.as_str());
            let content = match (expansion.part(seq, *part, 0), key.as_str()) {
                (Err(ExpandError::Missing(_)), "results" | "unmet" | "evidence") => continue,
                (Err(e @ ExpandError::Missing(_)), "summary" | "reason" | "error") => Json::String(format!("({e})")),
                (content, _) => content?,
            };
            event.insert(key.clone(), content);
        }
        Ok(Json::Object(event))
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
    fn part(&mut self, line: u64, number: u32, depth: usize) -> Result<Json, ExpandError> {
        self.bytes += PART_BYTES;
        if depth > MAX_DEPTH || self.bytes > MAX_EVENT_BYTES {
            return Err(ExpandError::TooLarge);
        }
        let parts = self.lines.get(&line).ok_or(ExpandError::Missing(line))?;
        let part = |number: u32| parts.get(number as usize).ok_or(ExpandError::Invalid);
        let text = |number: u32| match part(number)? {
            Part::Scalar(Json::String(text)) => Ok(text),
            _ => Err(ExpandError::Invalid),
        };
        match part(number)? {
            Part::Scalar(scalar) => {
                self.bytes += scalar.as_str().map_or(0, str::len);
                Ok(scalar.clone())
            }
            Part::List(items) => items.iter().map(|item| self.part(line, *item, depth + 1)).collect(),
            Part::Map(entries) => match &entries[..] {
                [(key, content)] if key == SAME => self.same(text(*content)?, depth),
                [(key, content)] if key == TEXT => {
                    let Part::List(content) = part(*content)? else { return Err(ExpandError::Invalid) };
                    let &[beginning, layout, json] = &content[..] else { return Err(ExpandError::Invalid) };
                    let layout = Layout::named(text(layout)?).ok_or(ExpandError::Invalid)?;
                    let beginning = text(beginning)?;
                    let json = self.part(line, json, depth + 1)?;
                    let printed = layout.print(&json).ok_or(ExpandError::Invalid)?;
                    self.bytes += beginning.len() + printed.len();
                    Ok(Json::String(format!("{beginning}{printed}")))
                }
                [(key, content)] if key == LITERAL => match part(*content)? {
                    Part::Map(entries) => self.map(line, entries, depth),
                    _ => Err(ExpandError::Invalid),
                },
                entries => self.map(line, entries, depth),
            },
        }
    }

    fn map(&mut self, line: u64, entries: &[(String, u32)], depth: usize) -> Result<Json, ExpandError> {
        let entry = |(key, part): &(String, u32)| {
            self.bytes += key.len();
            Ok((key.clone(), self.part(line, *part, depth + 1)?))
        };
        Ok(Json::Object(entries.iter().map(entry).collect::<Result<_, _>>()?))
    }

    fn same(&mut self, place: &str, depth: usize) -> Result<Json, ExpandError> {
        let (line, number) = place.split_once('.').ok_or(ExpandError::Invalid)?;
        let number = number.parse().map_err(|_| ExpandError::Invalid)?;
        let line = line.parse().map_err(|_| ExpandError::Invalid)?;
        match self.part(line, number, depth + 1) {
            Err(e @ ExpandError::Missing(_)) if self.in_value => Ok(serde_json::json!({ "$unset": e.to_string() })),
            part => part,
        }
    }
}

#[cfg(test)]
mod tests;
