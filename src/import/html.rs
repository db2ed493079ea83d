//! Reads the tables, lists and lines of HTML inside a Markdown document.
use super::{
    block::{Block, Item, Line, Table},
    tags::{is_element, name, tag_end},
    text::squeeze,
};

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    lines: Vec<Line>,
    current: Line,
    heading: Option<u8>,
    table: Option<Table>,
    row: Option<Vec<Line>>,
    cell: bool,
    is_head: bool,
    items: Vec<Item>,
    ordered: bool,
    in_item: bool,
    bold: bool,
}

/// Reads a piece of HTML that starts at line `first`.
pub fn read(html: &str, first: usize) -> Vec<Block> {
    let mut reader = Reader::default();
    let mut line = first;
    let mut rest = html;
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("<!--") {
            let end = comment.find("-->").unwrap_or(comment.len());
            reader.finish_lines();
            let text = comment[..end].trim();
            if !text.is_empty() {
                reader.blocks.push(Block::Remark(Line::new(text, line)));
            }
            line += comment[..end].matches('\n').count();
            rest = comment.get(end + 3..).unwrap_or_default();
        } else if let Some(end) = rest.starts_with('<').then(|| tag_end(rest)).flatten() {
            let tag = &rest[..=end];
            match name(tag) {
                Some((name, closes)) if is_element(&name) => reader.tag(&name, closes, line),
                _ => reader.text(tag, line),
            }
            line += tag.matches('\n').count();
            rest = &rest[end + 1..];
        } else {
            let end = rest.get(1..).and_then(|r| r.find('<')).map_or(rest.len(), |at| at + 1);
            // a multi-byte character may be in front
            let end = (end..=rest.len()).find(|i| rest.is_char_boundary(*i)).unwrap_or(rest.len());
            for (i, part) in rest[..end].split('\n').enumerate() {
                if i > 0 {
                    line += 1;
                    reader.soft_break(line);
                }
                reader.text(part, line);
            }
            rest = &rest[end..];
        }
    }
    reader.finish_lines();
    reader.finish_list();
    reader.finish_table();
    reader.blocks
}

impl Reader {
    fn text(&mut self, text: &str, line: usize) {
        let text = unescape(text);
        if self.current.text.trim().is_empty() {
            self.current.line = line;
        }
        self.current.text.push_str(&text);
        if self.bold {
            self.current.bold = self.current.text.len();
        }
    }

    fn soft_break(&mut self, line: usize) {
        if self.cell || self.in_item || self.heading.is_some() {
            self.current.text.push(' ');
        } else {
            self.finish_line();
            self.current.line = line;
        }
    }

    fn finish_line(&mut self) {
        let mut line = std::mem::take(&mut self.current);
        let lead = line.text.len() - line.text.trim_start().len();
        line.text = squeeze(&line.text);
        line.bold = line.bold.saturating_sub(lead).min(line.text.len());
        if !line.text.is_char_boundary(line.bold) {
            line.bold = 0;
        }
        if !line.text.is_empty() {
            self.lines.push(line);
        }
    }

    fn finish_lines(&mut self) {
        if self.cell {
            return;
        }
        self.finish_line();
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            return;
        }
        if self.in_item
            && let Some(item) = self.items.last_mut()
        {
            item.blocks.push(Block::Lines(lines));
        } else if let Some(level) = self.heading {
            let mut joined = lines[0].clone();
            joined.text = lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join(" ");
            self.blocks.push(Block::Heading { level, line: joined });
        } else {
            self.blocks.push(Block::Lines(lines));
        }
    }

    fn finish_list(&mut self) {
        let items = std::mem::take(&mut self.items);
        if !items.is_empty() {
            self.blocks.push(Block::List { ordered: self.ordered, items });
        }
        self.in_item = false;
    }

    fn finish_cell(&mut self) {
        if self.cell {
            self.cell = false;
            let mut cell = std::mem::take(&mut self.current);
            cell.text = cell.text.split('\n').map(squeeze).collect::<Vec<_>>().join("\n").trim().to_string();
            cell.bold = 0;
            if let Some(row) = &mut self.row {
                row.push(cell);
            }
        }
    }

    fn finish_row(&mut self) {
        self.finish_cell();
        if let (Some(row), Some(table)) = (self.row.take(), &mut self.table)
            && !row.is_empty()
        {
            if table.header.is_empty() && (self.is_head || table.rows.is_empty()) {
                table.header = row;
            } else {
                table.rows.push(row);
            }
        }
    }

    fn finish_table(&mut self) {
        self.finish_row();
        if let Some(table) = self.table.take() {
            self.blocks.push(Block::Table(table));
        }
    }

    fn tag(&mut self, name: &str, closes: bool, line: usize) {
        match name {
            "br" | "p" | "div" if self.cell && self.current.text.is_empty() => {}
            "br" | "p" | "div" if self.cell => self.current.text.push('\n'),
            "li" | "ul" | "ol" if self.cell => {
                if !closes && name == "li" && !self.current.text.is_empty() {
                    self.current.text.push('\n');
                }
                if !closes && name == "li" {
                    self.current.text.push_str("- ");
                }
            }
            "table" => {
                self.finish_table();
                self.finish_lines();
                if !closes {
                    self.table = Some(Table { line, ..Table::default() });
                }
            }
            "tr" => {
                self.finish_row();
                self.is_head = false;
                if !closes && self.table.is_some() {
                    self.row = Some(Vec::new());
                }
            }
            "td" | "th" => {
                self.finish_cell();
                if !closes && self.row.is_some() {
                    self.finish_lines();
                    self.cell = true;
                    self.is_head |= name == "th";
                    self.current = Line::new("", line);
                }
            }
            "ul" | "ol" => {
                self.finish_lines();
                self.finish_list();
                self.ordered = name == "ol";
            }
            "li" => {
                self.finish_lines();
                self.in_item = !closes;
                if !closes {
                    self.items.push(Item { line, ..Item::default() });
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.finish_lines();
                self.heading = (!closes).then(|| name.as_bytes()[1] - b'0');
            }
            "b" | "strong" | "summary" => {
                self.bold = !closes && !self.current.text.chars().any(char::is_alphanumeric);
                if name == "summary" {
                    self.finish_lines();
                }
            }
            "br" | "p" | "div" | "details" | "section" | "pre" | "hr" | "blockquote" | "dt" | "dd" => {
                if name == "br" {
                    self.finish_line();
                } else {
                    self.finish_lines();
                }
            }
            _ => {}
        }
    }
}

/// Replaces the common character references.
fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_string();
    }
    text.replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}
