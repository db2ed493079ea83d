//! A page of headings, lines and tables about several runs, as text for a terminal or as Markdown.
use super::{
    markdown::escape::{Context, plan_text, prose},
    wording::{MAX_INLINE_CHARS, one_line},
};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

pub struct Page {
    pub title: String,
    pub blocks: Vec<Block>,
}

/// Texts are not escaped yet.
pub enum Block {
    Heading(String),
    /// A paragraph.
    Line(String),
    /// Items of a list.
    List(Vec<String>),
    Table {
        head: Vec<&'static str>,
        /// How many columns, counted from the end, are aligned to the right.
        numbers: usize,
        rows: Vec<Vec<String>>,
    },
}

impl Page {
    pub fn new(title: impl Into<String>) -> Page {
        Page { title: title.into(), blocks: vec![] }
    }

    pub fn line(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Line(text.into()));
    }

    pub fn list(&mut self, items: Vec<String>) {
        if !items.is_empty() {
            self.blocks.push(Block::List(items));
        }
    }

    /// A heading and a table; nothing without rows.
    pub fn table(&mut self, heading: String, head: &[&'static str], numbers: usize, rows: Vec<Vec<String>>) {
        if !rows.is_empty() {
            self.blocks.extend([Block::Heading(heading), Block::Table { head: head.to_vec(), numbers, rows }]);
        }
    }

    pub fn terminal(&self) -> String {
        let line = |text: &str| one_line(text, 4 * MAX_INLINE_CHARS);
        let mut out = format!("{}\n", line(&self.title));
        for block in &self.blocks {
            match block {
                Block::Heading(text) => out += &format!("\n{}\n", line(text)),
                Block::Line(text) => out += &format!("{}\n", line(text)),
                Block::List(items) => items.iter().for_each(|item| out += &format!("  {}\n", line(item))),
                Block::Table { head, numbers, rows } => {
                    let mut table = Table::new();
                    table.load_style(presets::NOTHING).force_no_tty();
                    table.set_content_arrangement(ContentArrangement::Disabled);
                    table.set_header(head.iter().map(|name| name.to_uppercase()));
                    table.add_rows(rows.iter().map(|row| row.iter().map(|cell| one_line(cell, MAX_INLINE_CHARS / 2))));
                    for column in table.column_iter_mut().rev().take(*numbers) {
                        column.set_cell_alignment(CellAlignment::Right);
                    }
                    table.lines().for_each(|line| out += &format!(" {}\n", line.trim_end()));
                }
            }
        }
        out
    }

    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n", prose(&self.title, Context::Line));
        for block in &self.blocks {
            match block {
                Block::Heading(text) => out += &format!("\n## {}\n", prose(text, Context::Line)),
                Block::Line(text) => out += &format!("\n{}\n", plan_text(text, Context::Line)),
                Block::List(items) => {
                    out.push('\n');
                    items.iter().for_each(|item| out += &format!("- {}\n", plan_text(item, Context::Line)));
                }
                Block::Table { head, numbers, rows } => {
                    let first_number = head.len().saturating_sub(*numbers);
                    let aligned = (0..head.len()).map(|i| if i < first_number { "---" } else { "---:" });
                    out += &format!("\n| {} |\n|{}|\n", head.join(" | "), aligned.collect::<Vec<_>>().join("|"));
                    for row in rows {
                        let cells = row.iter().enumerate().map(|(i, cell)| match cell.is_empty() {
                            true => "–".to_owned(),
                            // of a report's own making
                            false if i >= first_number => cell.clone(),
                            false => prose(cell, Context::Cell),
                        });
                        out += &format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let mut page = Page::new("Two | runs");
        page.line("one *line*\nof text");
        page.list(vec!["# an item".into()]);
        page.table("Cases".into(), &["Case", "Time"], 1, vec![vec!["a|b".into(), "1.0 s".into()]]);
        page.table("Nothing".into(), &["Case"], 0, vec![]);
        page
    }

    #[test]
    fn a_page_is_plain_text_on_a_terminal() {
        let expected = "Two | runs\none *line* of text\n  # an item\n\nCases\n  CASE   TIME\n  a|b   1.0 s\n";
        assert_eq!(page().terminal(), expected);
    }

    #[test]
    fn a_page_is_escaped_markdown() {
        let expected = "# Two \\| runs\n\none \\*line\\* of text\n\n- \\# an item\n\n## Cases\n\n\
                        | Case | Time |\n|---|---:|\n| a\\|b | 1.0 s |\n";
        assert_eq!(page().markdown(), expected);
    }
}
