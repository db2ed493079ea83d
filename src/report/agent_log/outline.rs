//! The lines of a Markdown document, with what matters for inserting into it: headings, thematic breaks and comments outside of code.

/// Why a document is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("line {0}: expected no merge conflict, found `{1}`; resolve the conflict first")]
    MergeConflict(usize, String),
    #[error("line {0}: expected the end of {1}, found the end of the file; close it first")]
    Unclosed(usize, &'static str),
    #[error("expected the heading `## {0}`, found none; add it, or use `--agent-log-create`")]
    NoSection(&'static str),
    #[error("line {0}: expected one heading `## {1}`, found a second one; rename one of them")]
    SecondSection(usize, &'static str),
    #[error(
        "line {0}: expected one entry of the run `{1}` between its two comments, found another form; remove the entry first"
    )]
    ChangedEntry(usize, String),
    #[error("the entry would change the structure of the document")]
    ChangedStructure,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Blank,
    /// Level and text.
    Heading(usize, String),
    /// `---` that is not the underline of a heading.
    Break,
    /// A comment on one line.
    Comment,
    Text,
    /// Part of a code block, a longer comment or raw HTML.
    Opaque,
}

#[derive(Clone, Debug)]
pub struct Line<'t> {
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its line end.
    pub end: usize,
    /// Without the line end.
    pub text: &'t str,
    pub kind: Kind,
}

/// What lasts until a line that closes it.
enum Open {
    Fence { mark: char, length: usize, in_list: bool },
    Html { end: &'static str },
}

/// Raw HTML whose lines are not Markdown.
const RAW: [(&str, &str); 5] = [
    ("<!--", "-->"),
    ("<pre", "</pre>"),
    ("<script", "</script>"),
    ("<style", "</style>"),
    ("<textarea", "</textarea>"),
];
const MERGE_MARKERS: [&str; 3] = ["<<<<<<<", "|||||||", ">>>>>>>"];

/// The lines of a document. Headings in fenced code and in comments do not count.
pub fn lines(document: &str) -> Result<Vec<Line<'_>>, Refusal> {
    let mut lines: Vec<Line<'_>> = vec![];
    let mut open: Option<(usize, Open)> = None;
    // the first line of the paragraph that the line before belongs to
    let mut paragraph: Option<usize> = None;
    let mut start = 0;
    for (i, with_end) in document.split_inclusive('\n').enumerate() {
        let text = with_end.trim_end_matches(['\n', '\r']);
        let text = if i == 0 { text.trim_start_matches('\u{feff}') } else { text };
        let byte_order_mark = with_end.trim_end_matches(['\n', '\r']).len() - text.len();
        if let Some(marker) = MERGE_MARKERS.iter().find(|m| text.strip_prefix(**m).is_some_and(is_end_of_marker)) {
            return Err(Refusal::MergeConflict(i + 1, (*marker).to_owned()));
        }
        // a line at the margin ends the list, and a code block in it
        if matches!(open, Some((_, Open::Fence { in_list: true, .. })))
            && text.starts_with(|c: char| !c.is_whitespace())
        {
            open = None;
        }
        let kind = match &open {
            Some((_, open_kind)) => {
                if closes(open_kind, text) {
                    open = None;
                }
                Kind::Opaque
            }
            None => {
                open = opens(text).map(|o| (i + 1, o));
                match (&open, text.trim().is_empty()) {
                    (Some((_, Open::Html { end })), _) if text.trim_start()[2..].to_ascii_lowercase().contains(end) => {
                        let is_comment = *end == "-->" && text.trim_end().ends_with("-->");
                        open = None;
                        if is_comment { Kind::Comment } else { Kind::Opaque }
                    }
                    (Some(_), _) => Kind::Opaque,
                    (None, true) => Kind::Blank,
                    (None, false) => line_kind(text),
                }
            }
        };
        let end = start + with_end.len();
        lines.push(Line { start: start + byte_order_mark, end, text, kind: kind.clone() });
        start = end;
        match (kind, paragraph) {
            (Kind::Break | Kind::Text, Some(first)) if underline(text).is_some() => {
                let level = underline(text).unwrap_or(2);
                let title: Vec<&str> = lines[first..i].iter().map(|l| l.text.trim()).collect();
                lines[first].kind = Kind::Heading(level, title.join(" "));
                lines[i].kind = Kind::Opaque;
                paragraph = None;
            }
            (Kind::Text, Some(_)) => {}
            (Kind::Text, None) => {
                // the text after a list item belongs to it
                let is_continued = i > 0 && lines[i - 1].kind == Kind::Text;
                paragraph = (begins_paragraph(text) && !is_continued).then_some(i);
            }
            _ => paragraph = None,
        }
    }
    match open {
        Some((line, Open::Fence { .. })) => Err(Refusal::Unclosed(line, "the code block")),
        Some((line, Open::Html { end: "-->" })) => Err(Refusal::Unclosed(line, "the comment")),
        Some((line, Open::Html { .. })) => Err(Refusal::Unclosed(line, "the HTML element")),
        None => Ok(lines),
    }
}

fn is_end_of_marker(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(' ')
}

/// The text without at most three spaces; `None` for deeper indentation, which is code or part of a list.
fn outdented(text: &str) -> Option<&str> {
    let inner = text.trim_start_matches(' ');
    (text.len() - inner.len() <= 3 && !inner.starts_with('\t')).then_some(inner)
}

fn opens(text: &str) -> Option<Open> {
    let outdented = outdented(text)?;
    let inner = after_list_markers(outdented);
    for mark in ['`', '~'] {
        let length = inner.len() - inner.trim_start_matches(mark).len();
        // the language after backticks contains none: otherwise it is code within a line
        if length >= 3 && !(mark == '`' && inner[length..].contains('`')) {
            return Some(Open::Fence { mark, length, in_list: inner.len() < outdented.len() });
        }
    }
    let lower = inner.get(..10.min(inner.len())).unwrap_or(inner).to_ascii_lowercase();
    let begins = |begin: &str| {
        let is_end = |c: char| c == '>' || c.is_whitespace();
        lower.strip_prefix(begin).is_some_and(|rest| begin == "<!--" || rest.is_empty() || rest.starts_with(is_end))
    };
    RAW.iter().find(|(begin, _)| begins(begin)).map(|(_, end)| Open::Html { end })
}

/// What follows the marks of list items, where a code block can begin.
fn after_list_markers(text: &str) -> &str {
    let mut text = text;
    loop {
        let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let marks: &[char] = if digits.len() < text.len() { &['.', ')'] } else { &['-', '*', '+'] };
        match digits.strip_prefix(marks).filter(|rest| rest.starts_with([' ', '\t'])) {
            Some(rest) => text = rest.trim_start(),
            None => return text,
        }
    }
}

fn closes(open: &Open, text: &str) -> bool {
    match open {
        Open::Html { end } => text.to_ascii_lowercase().contains(end),
        Open::Fence { mark, length, in_list } => {
            outdented(text).or(in_list.then(|| text.trim_start())).is_some_and(|inner| {
                let rest = inner.trim_start_matches(*mark);
                inner.len() - rest.len() >= *length && rest.trim().is_empty()
            })
        }
    }
}

fn line_kind(text: &str) -> Kind {
    let Some(inner) = outdented(text) else { return Kind::Text };
    let level = inner.len() - inner.trim_start_matches('#').len();
    let rest = &inner[level..];
    if (1..=6).contains(&level) && (rest.is_empty() || rest.starts_with([' ', '\t'])) {
        let rest = rest.trim();
        let without_closing = rest.trim_end_matches('#');
        let is_closing = without_closing.is_empty() || without_closing.ends_with([' ', '\t']);
        return Kind::Heading(level, if is_closing { without_closing.trim() } else { rest }.to_owned());
    }
    let marks: String = inner.chars().filter(|c| !c.is_whitespace()).collect();
    match ["-", "*", "_"].iter().any(|mark| marks.len() >= 3 && marks.replace(mark, "").is_empty()) {
        true => Kind::Break,
        false => Kind::Text,
    }
}

/// The level of the heading above a line of `=` or `-`.
fn underline(text: &str) -> Option<usize> {
    let inner = outdented(text)?.trim_end();
    let only = |mark: char| !inner.is_empty() && inner.chars().all(|c| c == mark);
    if only('=') { Some(1) } else { only('-').then_some(2) }
}

/// Whether a line can begin a paragraph, and not a list, a quotation, a table or indented code.
fn begins_paragraph(text: &str) -> bool {
    outdented(text).is_some_and(|inner| {
        let rest = inner.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_numbered = rest.len() < inner.len() && rest.starts_with(['.', ')']);
        !(is_numbered || inner.starts_with(['-', '*', '+', '>', '|', '<']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(text: &str) -> Vec<(usize, String)> {
        let heading = |l: Line<'_>| match l.kind {
            Kind::Heading(level, title) => Some((level, title)),
            _ => None,
        };
        lines(text).unwrap().into_iter().filter_map(heading).collect()
    }

    #[test]
    fn finds_headings_outside_of_code_and_comments() {
        let text = "\u{feff}# One #\r\n```sh\n# no\n## no\n``` \n~~~~ `x`\n## no\n~~~\n~~~~\n   ## Two ##\n    ## code\n#no\n```inline```\n\
                    ### A#\n<!-- one line -->\n<!--\n## no\n-->\n<pre>\n## no\n</pre>\n> ## no\n1.  ```\n    a\n    ```\n- ~~~\n  ## no\n  ~~~\n- ```\n# Two and a half\n<prefix>\n\nThree\n=====\nFour\nlines\n---\n- item\n---\n## \n";
        let expected =
            [(1, "One"), (2, "Two"), (3, "A#"), (1, "Two and a half"), (1, "Three"), (2, "Four lines"), (2, "")]
                .map(|(l, t)| (l, t.to_owned()));
        assert_eq!(headings(text), expected);
    }

    #[test]
    fn refuses_conflicts_and_what_is_not_closed() {
        for (text, refusal) in [
            ("a\n<<<<<<< HEAD\n", Refusal::MergeConflict(2, "<<<<<<<".into())),
            ("```\n>>>>>>> theirs\n```\n", Refusal::MergeConflict(2, ">>>>>>>".into())),
            ("a\n\n```\nb\n", Refusal::Unclosed(3, "the code block")),
            ("````\n```\n", Refusal::Unclosed(1, "the code block")),
            ("<!-- a\nb\n", Refusal::Unclosed(1, "the comment")),
        ] {
            assert_eq!(lines(text).unwrap_err(), refusal, "{text}");
        }
        assert!(lines("Title\n=======\n<<<<<<<<<\n").is_ok());
    }

    #[test]
    fn lines_cover_the_document() {
        for text in ["", "a", "a\n", "a\r\n\r\nb", "\n\n"] {
            let joined: String = lines(text).unwrap().iter().map(|l| &text[l.start..l.end]).collect();
            assert_eq!(joined, text);
        }
    }
}
