//! Escapes foreign text for GitHub Markdown, so that it cannot change the structure of the document.
use crate::report::wording::{MAX_INLINE_CHARS, count, first_lines, one_line, sanitize};

/// Where a text is placed. In a table cell, a pipe ends the cell even within code.
#[derive(Clone, Copy, PartialEq)]
pub enum Context {
    Line,
    Cell,
}

/// One line of prose. Pairs of backticks stay code, everything else is shown literally.
pub fn prose(text: &str, context: Context) -> String {
    escape_prose(&one_line(text, 4 * MAX_INLINE_CHARS), context)
}

/// Like [`prose`], with a much higher limit, for sentences of the plan.
pub fn plan_text(text: &str, context: Context) -> String {
    escape_prose(&one_line(text, 4_000), context)
}

fn escape_prose(text: &str, context: Context) -> String {
    let ticks = text.matches('`').count();
    if ticks > 0 && ticks.is_multiple_of(2) && !text.contains("``") {
        let mut out = String::new();
        for (i, part) in text.split('`').enumerate() {
            match i % 2 {
                0 => out += &escaped(part, i == 0),
                _ => out += &code(part, context),
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

/// One line of code.
pub fn code(text: &str, context: Context) -> String {
    let text = one_line(text, MAX_INLINE_CHARS);
    if text.is_empty() {
        return "*empty*".to_owned();
    }
    let longest = longest_run(&text, '`');
    if context == Context::Cell && text.contains('|') {
        if longest > 0 || text.contains("\\|") {
            // Markdown parsers disagree on backslash, pipe and backtick combined; entities are unambiguous.
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

/// A fenced code block.
pub fn block(text: &str, language: &str) -> String {
    let text = sanitize(text);
    let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_matches('\n'))
}

/// A fenced code block of the first lines, and how many more there are.
pub fn block_of_first_lines(text: &str, language: &str, lines: usize) -> String {
    let (kept, more) = first_lines(text, lines, 400);
    let mut out = block(&kept, language);
    if more > 0 {
        out += &format!("\n… and {}.\n", count(more, "more line"));
    }
    out
}

/// The anchor that GitHub generates for a heading.
pub fn anchor(heading: &str) -> String {
    let heading = heading.to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_shown_literally() {
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
            assert_eq!(prose(text, Context::Line), line);
        }
        assert_eq!(prose("`a || b` is | `c`", Context::Cell), "`a \\|\\| b` is \\| `c`");
    }

    #[test]
    fn code_cannot_be_closed_by_its_text() {
        assert_eq!(code("a`b", Context::Line), "``a`b``");
        assert_eq!(code("```", Context::Line), "```` ``` ````");
        assert_eq!(code("", Context::Line), "*empty*");
        assert_eq!(code("a|b", Context::Line), "`a|b`");
        assert_eq!(code("a|b", Context::Cell), "`a\\|b`");
        assert_eq!(code("a\\|b", Context::Cell), "<code>a&#92;&#124;b</code>");
        assert_eq!(code("a`|<b", Context::Cell), "<code>a&#96;&#124;&#60;b</code>");
    }

    #[test]
    fn fence_is_longer_than_any_inside() {
        assert_eq!(block("a\n````\nb", "json"), "`````json\na\n````\nb\n`````\n");
        assert_eq!(block_of_first_lines("a\nb\nc", "", 1), "```\na\n```\n\n… and 2 more lines.\n");
    }

    #[test]
    fn anchors_match_github() {
        assert_eq!(anchor("TC-INT-001: Batch Session Hibernate"), "tc-int-001-batch-session-hibernate");
        assert_eq!(anchor("A & B (C_d)"), "a--b-c_d");
    }
}
