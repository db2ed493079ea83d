//! The blocks of a document: plain lines, each with its place. Data only.

/// A line of text without markup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    pub text: String,
    pub line: usize,
    /// Length of the emphasised text in front.
    pub bold: usize,
}

impl Line {
    pub fn new(text: impl Into<String>, line: usize) -> Line {
        Line { text: text.into(), line, bold: 0 }
    }

    /// Whether the whole line is emphasised, perhaps except for a colon.
    pub fn is_bold(&self) -> bool {
        self.bold > 0 && !self.text[self.bold..].chars().any(char::is_alphanumeric)
    }
}

/// An item of a list, with everything below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    pub checkbox: bool,
    pub line: usize,
    pub blocks: Vec<Block>,
}

/// A table cell; line breaks inside it are `\n`.
pub type Cell = Line;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub header: Vec<Cell>,
    pub rows: Vec<Vec<Cell>>,
    pub line: usize,
    /// Whether a line break inside a cell is one of the document, as in CSV.
    pub cells_span_lines: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    Heading {
        level: u8,
        line: Line,
    },
    Lines(Vec<Line>),
    List {
        ordered: bool,
        items: Vec<Item>,
    },
    Table(Table),
    Code {
        language: String,
        text: String,
        line: usize,
    },
    /// An HTML comment.
    Remark(Line),
    Rule,
}

impl Block {
    /// The line that the block starts at.
    pub fn line(&self) -> usize {
        match self {
            Block::Heading { line, .. } | Block::Remark(line) => line.line,
            Block::Lines(lines) => lines.first().map_or(0, |l| l.line),
            Block::List { items, .. } => items.first().map_or(0, |i| i.line),
            Block::Table(table) => table.line,
            Block::Code { line, .. } => *line,
            Block::Rule => 0,
        }
    }
}
