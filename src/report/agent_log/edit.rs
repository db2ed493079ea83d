//! Inserts an entry into a document, or replaces the entry of the same run. All other bytes stay as they are.
use super::outline::{Kind, Line, Refusal, lines};
use std::ops::Range;

pub const SECTION: &str = "Agent Communication Log";
/// A new section is placed before this one.
const NEXT_SECTION: &str = "Notes and Blockers";

/// An entry of a run.
#[derive(Clone, Debug)]
pub struct Entry {
    pub run: String,
    /// `2026-01-02`.
    pub date: String,
    /// Lines without line ends.
    pub lines: Vec<String>,
}

/// What is replaced in a document, and by what.
#[derive(Clone, Debug)]
pub struct Edit {
    pub range: Range<usize>,
    pub text: String,
    /// Where it begins, from 1.
    pub line: usize,
}

impl Edit {
    pub fn apply(&self, document: &str) -> String {
        [&document[..self.range.start], &self.text, &document[self.range.end..]].concat()
    }
}

impl Entry {
    fn begin(&self) -> String {
        format!("<!-- tp-runner run {} -->", self.run)
    }

    fn end(&self) -> String {
        format!("<!-- end of tp-runner run {} -->", self.run)
    }

    /// All lines with the comments around them.
    fn text(&self, line_end: &str) -> String {
        let all = std::iter::once(self.begin()).chain(self.lines.iter().cloned()).chain([self.end()]);
        all.collect::<Vec<_>>().join(line_end)
    }
}

/// Finds the place of an entry. `create`: whether a missing section is added.
pub fn edit(document: &str, entry: &Entry, create: bool) -> Result<Edit, Refusal> {
    let all = lines(document)?;
    let line_end = match document.find('\n') {
        Some(at) if document[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    };
    let found = match own_entry(&all, entry)? {
        Some((range, line)) => Edit { range, text: entry.text(line_end), line },
        None => insertion(document, &all, entry, create, line_end)?,
    };
    keeps_structure(&all, &found, document).then_some(found).ok_or(Refusal::ChangedStructure)
}

/// The place of the entry of the same run, without its last line end.
fn own_entry(all: &[Line<'_>], entry: &Entry) -> Result<Option<(Range<usize>, usize)>, Refusal> {
    let places = |text: String| -> Vec<usize> {
        let is_meant = |l: &Line<'_>| l.kind == Kind::Comment && l.text.trim() == text;
        all.iter().enumerate().filter(|(_, l)| is_meant(l)).map(|(i, _)| i).collect()
    };
    match (places(entry.begin()).as_slice(), places(entry.end()).as_slice()) {
        ([], []) => Ok(None),
        ([begin], [end]) if begin < end && !all[*begin..*end].iter().any(|l| level(l).is_some_and(|n| n <= 3)) => {
            Ok(Some((all[*begin].start..all[*end].start + all[*end].text.len(), begin + 1)))
        }
        (begins, ends) => {
            let line = begins.iter().chain(ends).min().map_or(1, |i| i + 1);
            Err(Refusal::ChangedEntry(line, entry.run.clone()))
        }
    }
}

fn level(line: &Line<'_>) -> Option<usize> {
    if let Kind::Heading(level, _) = &line.kind { Some(*level) } else { None }
}

fn is_heading(line: &Line<'_>, level: usize, title: &str) -> bool {
    matches!(&line.kind, Kind::Heading(l, t) if *l == level && t.eq_ignore_ascii_case(title))
}

fn insertion(document: &str, all: &[Line<'_>], entry: &Entry, create: bool, line_end: &str) -> Result<Edit, Refusal> {
    let sections: Vec<usize> = (0..all.len()).filter(|i| is_heading(&all[*i], 2, SECTION)).collect();
    let date = format!("### {}", entry.date);
    let group = [date.as_str(), "", &entry.text(line_end)].join(line_end);
    let section = match sections.as_slice() {
        [one] => *one,
        [_, second, ..] => return Err(Refusal::SecondSection(second + 1, SECTION)),
        [] if !create => return Err(Refusal::NoSection(SECTION)),
        [] => {
            let heading = format!("## {SECTION}");
            let section = [heading.as_str(), "", &group].join(line_end);
            return Ok(match all.iter().position(|l| is_heading(l, 2, NEXT_SECTION)) {
                Some(next) => before(all, next, &[section.as_str(), "", "---"].join(line_end), line_end),
                None => after(document, all, last_content(all, 0..all.len()), &section, line_end),
            });
        }
    };
    let until = |from: usize, max_level: usize| {
        let ends = |i: &usize| level(&all[*i]).is_some_and(|n| n <= max_level);
        (from + 1..all.len()).find(ends).unwrap_or(all.len())
    };
    let section_end = until(section, 2);
    // a thematic break closes the section before the next heading
    let content_end = |range: Range<usize>| {
        let last = last_content(all, range.clone());
        let closes = range.end == section_end && section_end < all.len();
        match last {
            Some(i) if closes && all[i].kind == Kind::Break && i > section => last_content(all, range.start..i),
            last => last,
        }
    };
    let groups: Vec<usize> = (section..section_end).filter(|i| level(&all[*i]) == Some(3)).collect();
    if let Some(today) = groups.iter().find(|i| is_heading(&all[**i], 3, &entry.date)) {
        let last = content_end(*today..until(*today, 3));
        return Ok(after(document, all, last, &entry.text(line_end), line_end));
    }
    let title = |i: &usize| all[*i].text.trim_start_matches('#').trim();
    Ok(match (groups.first(), groups.last()) {
        // newest first
        (Some(first), Some(last)) if first != last && title(first) > title(last) => {
            before(all, *first, &group, line_end)
        }
        _ => after(document, all, content_end(section..section_end), &group, line_end),
    })
}

/// The last line that is not blank.
fn last_content(all: &[Line<'_>], range: Range<usize>) -> Option<usize> {
    range.rev().find(|i| all[*i].kind != Kind::Blank)
}

/// Before a heading.
fn before(all: &[Line<'_>], heading: usize, text: &str, line_end: &str) -> Edit {
    let start = all[heading].start;
    let gap = if heading > 0 && all[heading - 1].kind != Kind::Blank { line_end } else { "" };
    let text = format!("{gap}{text}{line_end}{line_end}");
    Edit { range: start..start, text, line: heading + 1 }
}

/// After a line, with an empty line before, and one after unless the document ends.
fn after(document: &str, all: &[Line<'_>], last: Option<usize>, text: &str, line_end: &str) -> Edit {
    let Some(last) = last else {
        let end_of_line = if document.is_empty() || document.ends_with('\n') { "" } else { line_end };
        let text = format!("{end_of_line}{text}");
        return Edit { range: document.len()..document.len(), text: format!("{text}{line_end}"), line: all.len() + 1 };
    };
    let at = all[last].end;
    let end_of_line = if document[..at].ends_with('\n') { "" } else { line_end };
    let gap = if all.get(last + 1).is_some_and(|l| l.kind != Kind::Blank) { line_end } else { "" };
    Edit { range: at..at, text: format!("{end_of_line}{line_end}{text}{line_end}{gap}"), line: last + 3 }
}

/// Whether the headings outside of the entry are the same as before.
fn keeps_structure(all: &[Line<'_>], edit: &Edit, document: &str) -> bool {
    let changed = edit.apply(document);
    let Ok(after) = lines(&changed) else { return false };
    let new = edit.range.start..edit.range.start + edit.text.len();
    let outside = |all: &[Line<'_>], range: &Range<usize>| -> Vec<Kind> {
        let is_outside = |l: &&Line<'_>| (l.end <= range.start || l.start >= range.end) && level(l).is_some();
        all.iter().filter(is_outside).map(|l| l.kind.clone()).collect()
    };
    outside(all, &edit.range) == outside(&after, &new)
}
