//! Reads CSV exports of test management tools as a table.
use super::{
    blocks::{Cell, Table},
    vocabulary::role,
};

/// Reads the table of a CSV text, and the rows above its header. The delimiter is the one that the header uses most.
pub fn read(text: &str) -> (Vec<Vec<Cell>>, Table) {
    // Excel writes `sep=;` in front
    let (text, skipped, said) = match text.split_once('\n') {
        Some((first, rest)) if first.trim().to_ascii_lowercase().starts_with("sep=") => {
            (rest, 1, first.trim().as_bytes().get(4).copied())
        }
        _ => (text, 0, None),
    };
    if said.is_none()
        && let Some(rows) = fixed_width(text)
    {
        return table(rows);
    }
    let delimiter = said.unwrap_or_else(|| delimiter(text));
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(text.as_bytes());
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for record in reader.records().flatten() {
        let mut line = record.position().map_or(1, |p| p.line() as usize) + skipped;
        // the position is the one before blank lines
        line = line.max(1);
        let mut row = Vec::with_capacity(record.len());
        for cell in &record {
            let text = cell.replace("\r\n", "\n");
            let breaks = text.matches('\n').count();
            let lead = text.len() - text.trim_start().len();
            let blank = text[..lead].matches('\n').count();
            row.push(Cell::new(plain(text.trim()), line + blank));
            line += breaks;
        }
        rows.push(row);
    }
    table(rows)
}

/// Finds the header of the rows.
fn table(mut rows: Vec<Vec<Cell>>) -> (Vec<Vec<Cell>>, Table) {
    let head = match header_row(&rows) {
        Some(head) => head,
        None => {
            // only data: names are missing, contents must tell
            rows.insert(0, Vec::new());
            0
        }
    };
    let mut rows = rows.into_iter();
    let before: Vec<Vec<Cell>> = rows.by_ref().take(head).collect();
    let mut header = rows.next().unwrap_or_default();
    let rest: Vec<Vec<Cell>> = rows.collect();
    let width = rest.iter().map(Vec::len).max().unwrap_or_default();
    if header.len() < width {
        header.resize(width, Cell::new("", header.first().map_or(1, |c| c.line)));
    }
    let table = Table { line: header.first().map_or(1, |c| c.line), header, rows: rest, cells_span_lines: true };
    (before, table)
}

/// The rows of a text whose columns are padded with spaces: at least its first line has three known names, each
/// at least two spaces apart.
fn fixed_width(text: &str) -> Option<Vec<Vec<Cell>>> {
    let header = text.lines().next()?;
    let mut starts = Vec::new();
    let mut spaces = 2;
    for (at, c) in header.chars().enumerate() {
        if c == ' ' {
            spaces += 1;
        } else {
            if spaces >= 2 {
                starts.push(at);
            }
            spaces = 0;
        }
    }
    let cut = |line: &str, number: usize| -> Vec<Cell> {
        let chars: Vec<char> = line.chars().collect();
        let cell = |(i, start): (usize, &usize)| {
            let end = starts.get(i + 1).copied().unwrap_or(chars.len()).min(chars.len());
            let text: String = chars.get(*start..end.max(*start)).unwrap_or_default().iter().collect();
            Cell::new(text.trim(), number)
        };
        starts.iter().enumerate().map(cell).collect()
    };
    let names = cut(header, 1);
    let known = names.iter().filter(|c| role(&c.text).is_some()).count();
    if known < 3 || header.contains([',', ';', '\t']) {
        return None;
    }
    Some(text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()).map(|(i, l)| cut(l, i + 1)).collect())
}

/// The row with the most known names among the first ones.
fn header_row(rows: &[Vec<Cell>]) -> Option<usize> {
    let known = |row: &Vec<Cell>| row.iter().filter(|c| role(&c.text).is_some()).count();
    let best = rows.iter().take(12).map(known).max().unwrap_or_default();
    let starts_with_id = |row: &Vec<Cell>| row.first().is_some_and(|c| super::tables::cell_id(&c.text).is_some());
    let found = rows.iter().take(12).position(|r| known(r) == best)?;
    (best > 0 || !rows.first().is_some_and(starts_with_id))
        .then_some(found)
        .filter(|at| !(starts_with_id(&rows[*at]) && best < 2))
}

fn delimiter(text: &str) -> u8 {
    let mut counts = [(b',', 0usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    let mut lines = 0;
    for byte in text.bytes().take(64 * 1024) {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => {
                lines += 1;
                // the header decides, unless it has only one column
                if lines >= 1 && counts.iter().any(|(_, n)| *n > 0) {
                    break;
                }
            }
            other if !quoted => {
                if let Some((_, n)) = counts.iter_mut().find(|(d, _)| *d == other) {
                    *n += 1;
                }
            }
            _ => {}
        }
    }
    counts.iter().max_by_key(|(d, n)| (*n, *d == b',')).map_or(b',', |(d, _)| *d)
}

/// The text of a cell that contains HTML.
fn plain(text: &str) -> String {
    let has_tags = ["<p>", "<br", "<div", "<ol", "<ul", "<li", "<P>", "<BR", "<DIV"].iter().any(|t| text.contains(t));
    if !has_tags {
        return text.to_string();
    }
    let mut out = String::new();
    for block in super::html::read(text, 1) {
        for line in super::plain::block(&block, 0) {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&line.text);
        }
    }
    out
}
