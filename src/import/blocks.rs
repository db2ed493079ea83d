//! Turns Markdown into blocks of plain lines, each with its place in the document.
pub use super::block::{Block, Cell, Item, Line, Table};
use super::{html, tags, text::squeeze};
use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

/// Containers nested deeper than this are read as if they were on this level.
const MAX_DEPTH: usize = 24;

enum Open {
    Blocks(Vec<Block>),
    List { ordered: bool, items: Vec<Item> },
    Item(Item),
    Table(Table),
}

struct Builder<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
    open: Vec<Open>,
    /// Containers that were not opened because they are too deep.
    skipped: usize,
    lines: Vec<Line>,
    current: Line,
    in_text: bool,
    heading: Option<u8>,
    cell: bool,
    head: bool,
    code: Option<(String, String, usize)>,
    html: Option<(String, usize)>,
    links: Vec<Option<String>>,
    emphasis: Vec<bool>,
    in_code: bool,
}

/// Reads the blocks of a Markdown document. Lines count from 1.
pub fn read(text: &str) -> Vec<Block> {
    read_with(text, false)
}

/// Reads blocks; `in_code` if the text is that of a code block.
fn read_with(text: &str, in_code: bool) -> Vec<Block> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_DEFINITION_LIST;
    let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut builder = Builder {
        text,
        line_starts,
        open: vec![Open::Blocks(Vec::new())],
        skipped: 0,
        lines: Vec::new(),
        current: Line::default(),
        in_text: false,
        heading: None,
        cell: false,
        head: false,
        code: None,
        html: None,
        links: Vec::new(),
        emphasis: Vec::new(),
        in_code,
    };
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        builder.event(event, range.start);
    }
    builder.finish_text();
    while builder.open.len() > 1 {
        builder.close();
    }
    match builder.open.pop() {
        Some(Open::Blocks(blocks)) => blocks,
        _ => Vec::new(),
    }
}

impl Builder<'_> {
    fn line_at(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    fn event(&mut self, event: Event, at: usize) {
        match event {
            Event::Start(tag) => self.start(tag, at),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text, at),
            Event::Code(code) => {
                let fence = if code.contains('`') { "``" } else { "`" };
                self.push(&format!("{fence}{code}{fence}"), at);
            }
            Event::Html(text) => match &mut self.html {
                Some((html, _)) => html.push_str(&text),
                None => self.html = Some((text.to_string(), self.line_at(at))),
            },
            Event::InlineHtml(tag) => {
                if tags::is_break(&tag) {
                    self.break_line(at);
                } else if !tags::is_markup(&tag) {
                    self.push(&tag, at);
                }
            }
            Event::SoftBreak | Event::HardBreak => self.break_line(at),
            Event::Rule => {
                self.finish_text();
                self.add(Block::Rule);
            }
            Event::TaskListMarker(_) => {
                if let Some(Open::Item(item)) = self.open.last_mut() {
                    item.checkbox = true;
                }
            }
            Event::FootnoteReference(name) => self.push(&name, at),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.push(&text, at),
        }
    }

    fn text(&mut self, text: &str, at: usize) {
        if let Some((_, code, _)) = &mut self.code {
            code.push_str(text);
        } else if let Some((html, _)) = &mut self.html {
            html.push_str(text);
        } else {
            self.push(text, at);
        }
    }

    fn push(&mut self, text: &str, at: usize) {
        if !self.in_text {
            self.in_text = true;
            self.current = Line { line: self.line_at(at), ..Line::default() };
        }
        if self.current.text.is_empty() && self.current.bold == 0 {
            self.current.line = self.line_at(at);
        }
        self.current.text.push_str(text);
    }

    fn break_line(&mut self, at: usize) {
        if self.cell {
            self.current.text.push('\n');
        } else {
            self.finish_line();
            self.current = Line { line: self.line_at(at) + 1, ..Line::default() };
        }
    }

    fn finish_line(&mut self) {
        let mut line = std::mem::take(&mut self.current);
        let lead = line.text.len() - line.text.trim_start().len();
        line.bold = line.bold.saturating_sub(lead);
        line.text = line.text.trim().to_string();
        line.bold = line.bold.min(line.text.len());
        if !line.text.is_empty() {
            self.lines.push(line);
        }
    }

    fn finish_text(&mut self) {
        if self.in_text {
            self.finish_line();
            self.in_text = false;
        }
        self.emphasis.clear();
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            return;
        }
        if let Some(level) = self.heading.take() {
            let mut line = lines[0].clone();
            for more in &lines[1..] {
                line.text.push(' ');
                line.text.push_str(&more.text);
            }
            // a heading inside a list or quotation does not divide the document
            let top = matches!(self.open.as_slice(), [Open::Blocks(_)]) && self.skipped == 0;
            if top {
                self.add(Block::Heading { level, line });
            } else {
                line.bold = line.text.len();
                self.add(Block::Lines(vec![line]));
            }
        } else {
            self.add(Block::Lines(lines));
        }
    }

    fn add(&mut self, block: Block) {
        for open in self.open.iter_mut().rev() {
            match open {
                Open::Blocks(blocks) => return blocks.push(block),
                Open::Item(item) => return item.blocks.push(block),
                Open::List { .. } | Open::Table(_) => {}
            }
        }
    }

    fn start(&mut self, tag: Tag, at: usize) {
        match tag {
            Tag::Strong | Tag::Emphasis => {
                let blank = !self.in_text || !self.current.text.chars().any(char::is_alphanumeric);
                self.emphasis.push(blank);
                return;
            }
            Tag::Link { link_type, dest_url, title, .. } => {
                let plain = matches!(link_type, LinkType::Autolink | LinkType::Email);
                self.links.push((!plain).then(|| target(&dest_url, &title)));
                if !plain {
                    self.push("[", at);
                }
                return;
            }
            Tag::Image { dest_url, title, .. } => {
                self.links.push(Some(target(&dest_url, &title)));
                self.push("![", at);
                return;
            }
            Tag::Strikethrough | Tag::Superscript | Tag::Subscript => return,
            _ => self.finish_text(),
        }
        let line = self.line_at(at);
        match tag {
            Tag::Heading { level, .. } => self.heading = Some(level as u8),
            Tag::CodeBlock(kind) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((language, String::new(), line));
            }
            Tag::HtmlBlock => self.html = Some((String::new(), line)),
            Tag::List(first) => self.nest(Open::List { ordered: first.is_some(), items: Vec::new() }),
            Tag::Item => self.nest(Open::Item(Item { line, ..Item::default() })),
            Tag::Table(_) => self.open.push(Open::Table(Table { line, ..Table::default() })),
            Tag::TableHead => self.head = true,
            Tag::TableRow => {
                if let Some(Open::Table(table)) = self.open.last_mut() {
                    table.rows.push(Vec::new());
                }
            }
            Tag::TableCell => {
                self.cell = true;
                self.in_text = true;
                self.current = Line { line, ..Line::default() };
            }
            _ => {}
        }
    }

    fn nest(&mut self, open: Open) {
        if self.open.len() >= MAX_DEPTH {
            self.skipped += 1;
        } else {
            self.open.push(open);
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong | TagEnd::Emphasis => {
                if self.emphasis.pop() == Some(true) && self.in_text {
                    self.current.bold = self.current.text.len();
                }
            }
            TagEnd::Link | TagEnd::Image => {
                if let Some(Some(target)) = self.links.pop() {
                    let at = self.line_starts.get(self.current.line.saturating_sub(1)).copied().unwrap_or_default();
                    self.push(&format!("]({target})"), at);
                }
            }
            TagEnd::Paragraph | TagEnd::Heading(_) => {
                self.finish_text();
                self.heading = None;
            }
            TagEnd::DefinitionListTitle => {
                if self.in_text {
                    self.current.bold = self.current.text.len();
                }
                self.finish_text();
            }
            TagEnd::CodeBlock => {
                if let Some((language, text, line)) = self.code.take() {
                    if is_list(&text, &language) && !self.in_code {
                        self.nested_markdown(&text, line);
                    } else {
                        self.add(Block::Code { language, text, line });
                    }
                }
            }
            TagEnd::HtmlBlock => {
                if let Some((html, line)) = self.html.take() {
                    for block in html::read(&html, line) {
                        let top = matches!(self.open.as_slice(), [Open::Blocks(_)]);
                        match block {
                            Block::Heading { line, .. } if !top => self.add(Block::Lines(vec![line])),
                            block => self.add(block),
                        }
                    }
                }
            }
            TagEnd::List(_) | TagEnd::Item => {
                self.finish_text();
                if self.skipped > 0 {
                    self.skipped -= 1;
                } else {
                    self.close();
                }
            }
            TagEnd::Table => self.close(),
            TagEnd::TableHead => self.head = false,
            TagEnd::TableCell => {
                let mut cell = std::mem::take(&mut self.current);
                self.in_text = false;
                self.cell = false;
                self.emphasis.clear();
                cell.text = cell.text.split('\n').map(squeeze).collect::<Vec<_>>().join("\n").trim().to_string();
                cell.bold = cell.bold.min(cell.text.len());
                if !cell.text.is_char_boundary(cell.bold) {
                    cell.bold = 0;
                }
                let head = self.head;
                if let Some(Open::Table(table)) = self.open.last_mut() {
                    match table.rows.last_mut() {
                        Some(row) if !head => row.push(cell),
                        _ => table.header.push(cell),
                    }
                }
            }
            TagEnd::Strikethrough | TagEnd::Superscript | TagEnd::Subscript => {}
            _ => self.finish_text(),
        }
    }

    /// A code block that holds a list of checks is read like the text around it.
    fn nested_markdown(&mut self, text: &str, line: usize) {
        for block in read_with(text, true) {
            let mut block = match block {
                Block::Heading { mut line, .. } => {
                    line.bold = line.text.len();
                    Block::Lines(vec![line])
                }
                other => other,
            };
            shift(&mut block, line);
            self.add(block);
        }
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::List { ordered, items }) => self.add(Block::List { ordered, items }),
            Some(Open::Item(item)) => {
                if let Some(Open::List { items, .. }) = self.open.last_mut() {
                    items.push(item);
                }
            }
            Some(Open::Table(table)) => self.add(Block::Table(table)),
            Some(Open::Blocks(blocks)) => blocks.into_iter().for_each(|block| self.add(block)),
            None => {}
        }
        debug_assert!(self.line_starts.len() <= self.text.len() + 1);
    }
}

/// Whether most lines of a code block are items of a list, and none of it is data.
fn is_list(text: &str, language: &str) -> bool {
    if matches!(
        language.trim().to_ascii_lowercase().as_str(),
        "yaml" | "yml" | "json" | "toml" | "diff" | "gherkin" | "feature" | "md"
    ) {
        return false;
    }
    let (mut items, mut all) = (0, 0);
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        all += 1;
        items += usize::from(line.starts_with("- ") && line.split_whitespace().count() > 2);
    }
    items >= 2 && items * 3 >= all * 2
}

/// Moves a block down by a number of lines.
fn shift(block: &mut Block, by: usize) {
    match block {
        Block::Heading { line, .. } | Block::Remark(line) => line.line += by,
        Block::Lines(lines) => lines.iter_mut().for_each(|l| l.line += by),
        Block::List { items, .. } => {
            for item in items {
                item.line += by;
                item.blocks.iter_mut().for_each(|b| shift(b, by));
            }
        }
        Block::Table(table) => {
            table.line += by;
            table.header.iter_mut().chain(table.rows.iter_mut().flatten()).for_each(|c| c.line += by);
        }
        Block::Code { line, .. } => *line += by,
        Block::Rule => {}
    }
}

fn target(url: &str, title: &str) -> String {
    if title.is_empty() { url.to_string() } else { format!("{url} \"{title}\"") }
}
