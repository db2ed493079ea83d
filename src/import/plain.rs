//! Renders blocks as lines of plain text, for comments.
use super::{
    blocks::{Block, Item, Table},
    model::Comment,
    tables,
};

/// The lines of a block, with their places.
pub fn block(block: &Block, depth: usize) -> Vec<Comment> {
    let mut out = Vec::new();
    render(block, depth, &mut out);
    out
}

fn render(block: &Block, depth: usize, out: &mut Vec<Comment>) {
    let indent = "  ".repeat(depth.min(8));
    match block {
        Block::Heading { line, .. } | Block::Remark(line) => {
            out.extend(
                line.text
                    .lines()
                    .enumerate()
                    .map(|(i, l)| Comment { text: format!("{indent}{l}"), line: line.line + i }),
            );
        }
        Block::Lines(lines) => {
            out.extend(lines.iter().map(|l| Comment { text: format!("{indent}{}", l.text), line: l.line }));
        }
        Block::List { items, .. } => {
            for item in items {
                let from = out.len();
                item.blocks.iter().for_each(|b| render(b, depth + 1, out));
                if let Some(first) = out.get_mut(from) {
                    first.text = format!("{indent}- {}", first.text.trim_start());
                }
            }
        }
        Block::Table(t) => {
            let rows = std::iter::once(&t.header).chain(&t.rows);
            for row in rows {
                let line = row.first().map_or(t.line, |c| c.line);
                out.push(Comment { text: format!("{indent}{}", tables::row_text(row)), line });
            }
        }
        Block::Code { text, line, .. } => {
            out.extend(
                text.lines().enumerate().map(|(i, l)| Comment { text: format!("{indent}  {l}"), line: line + 1 + i }),
            );
        }
        Block::Rule => {}
    }
}

/// The rows of a table as text.
pub fn table(table: &Table) -> Vec<String> {
    std::iter::once(&table.header).chain(&table.rows).map(|r| tables::row_text(r)).collect()
}

/// An item with everything below it as one text.
pub fn item_text(item: &Item) -> String {
    let mut out = String::new();
    text_of(item, &mut out);
    out
}

fn text_of(item: &Item, out: &mut String) {
    for block in &item.blocks {
        match block {
            Block::Lines(lines) => {
                for line in lines {
                    if !out.is_empty() && !out.ends_with(", ") && !out.ends_with(' ') {
                        out.push(' ');
                    }
                    out.push_str(line.text.trim());
                }
            }
            Block::List { items, .. } => {
                for item in items {
                    out.push_str(if out.ends_with(':') { " " } else { ", " });
                    text_of(item, out);
                }
            }
            _ => {}
        }
    }
}
