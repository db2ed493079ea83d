//! Puts foreign text into Markdown so that it can neither break nor pretend to be part of the document. Knows GitHub's Markdown,
//! and nothing of runs.
use crate::report::wording::{SHORT, clean, head, one_line};

/// Where a text goes. In the cell of a table a pipe ends the cell, even within code.
#[derive(Clone, Copy, PartialEq)]
pub enum Spot {
    Line,
    Cell,
}

/// In one line, as prose. Names in backticks stay code, everything else is shown as it is written.
pub fn prose(text: &str, spot: Spot) -> String {
    prose_of(&one_line(text, 4 * SHORT), spot)
}

/// Like [`prose`], for the plan's own sentences: these are not cut, as far as they are sentences.
pub fn words(text: &str, spot: Spot) -> String {
    prose_of(&one_line(text, 4_000), spot)
}

fn prose_of(text: &str, spot: Spot) -> String {
    let ticks = text.matches('`').count();
    if ticks > 0 && ticks.is_multiple_of(2) && !text.contains("``") {
        let mut out = String::new();
        for (i, part) in text.split('`').enumerate() {
            match i % 2 {
                0 => out += &escaped(part, i == 0),
                // Unlike elsewhere, blanks at the edges were meant.
                _ => out += &code(part, spot),
            }
        }
        return out;
    }
    escaped(text, true)
}

fn escaped(text: &str, starts: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    let numbered = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered =
        (numbered.len() < text.len() && numbered.starts_with(['.', ')'])).then(|| text.len() - numbered.len());
    let mut at = 0;
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        let escape = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '|' | '~' | '$' => true,
            '_' => !(before.is_alphanumeric() && next.is_alphanumeric()),
            '&' => next.is_ascii_alphanumeric() || next == '#',
            '#' | '-' | '+' | '=' | '>' => starts && at == 0,
            '.' | ')' => starts && numbered == Some(at),
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        out.push(c);
        before = c;
        at += c.len_utf8();
    }
    out
}

/// In one line, as code.
pub fn code(text: &str, spot: Spot) -> String {
    let text = one_line(text, SHORT);
    if text.is_empty() {
        return "*empty*".to_owned();
    }
    let longest = longest_run(&text, '`');
    if spot == Spot::Cell && text.contains('|') {
        if longest > 0 || text.contains("\\|") {
            // Backslash, pipe and backtick together are read differently by different readers of Markdown; entities are not.
            return format!("<code>{}</code>", entities(&text));
        }
        return format!("`{}`", text.replace('|', "\\|"));
    }
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn entities(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.is_ascii_punctuation() {
            true => out += &format!("&#{};", c as u32),
            false => out.push(c),
        }
    }
    out
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

/// A fenced block of the whole text.
pub fn block(text: &str, language: &str) -> String {
    let text = clean(text);
    let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_matches('\n'))
}

/// A fenced block of the beginning of a text, and a word on what is missing.
pub fn cut_block(text: &str, language: &str, lines: usize) -> String {
    let (kept, more) = head(text, lines, 400);
    let mut out = block(&kept, language);
    if more > 0 {
        out += &format!("\n… and {more} more line{}.\n", if more == 1 { "" } else { "s" });
    }
    out
}

/// The anchor that GitHub gives to a heading.
pub fn anchor(heading: &str) -> String {
    let heading = heading.to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_shown_as_written() {
        for (text, line) in [
            ("plain, 1.5 s (200 OK)", "plain, 1.5 s (200 OK)"),
            ("# not a heading", "\\# not a heading"),
            ("1. not a list", "1\\. not a list"),
            ("- no\r\n- list", "\\- no - list"),
            ("a | b", "a \\| b"),
            ("</details><b>", "\\</details>\\<b>"),
            ("snake_case *bold* _it_", "snake_case \\*bold\\* \\_it\\_"),
            ("![x](y) &amp; & c", "!\\[x\\](y) \\&amp; & c"),
            ("`name` was never bound", "`name` was never bound"),
            ("`odd", "\\`odd"),
            ("``two`` `x", "\\`\\`two\\`\\` \\`x"),
        ] {
            assert_eq!(prose(text, Spot::Line), line);
        }
        assert_eq!(prose("`a || b` is | `c`", Spot::Cell), "`a \\|\\| b` is \\| `c`");
    }

    #[test]
    fn code_cannot_be_left() {
        assert_eq!(code("a`b", Spot::Line), "``a`b``");
        assert_eq!(code("```", Spot::Line), "```` ``` ````");
        assert_eq!(code("", Spot::Line), "*empty*");
        assert_eq!(code("a|b", Spot::Line), "`a|b`");
        assert_eq!(code("a|b", Spot::Cell), "`a\\|b`");
        assert_eq!(code("a\\|b", Spot::Cell), "<code>a&#92;&#124;b</code>");
        assert_eq!(code("a`|<b", Spot::Cell), "<code>a&#96;&#124;&#60;b</code>");
    }

    #[test]
    fn a_fence_is_longer_than_any_within() {
        assert_eq!(block("a\n````\nb", "json"), "`````json\na\n````\nb\n`````\n");
        assert_eq!(cut_block("a\nb\nc", "", 1), "```\na\n```\n\n… and 2 more lines.\n");
    }

    #[test]
    fn anchors_are_those_of_github() {
        assert_eq!(anchor("TC-INT-001: Batch Session Hibernate"), "tc-int-001-batch-session-hibernate");
        assert_eq!(anchor("A & B (C_d)"), "a--b-c_d");
    }
}
