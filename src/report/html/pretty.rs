//! JSON with line breaks, also if it is cut off at its end.
use super::text::Text;
use maud::{Markup, html};

const INDENT: &str = "  ";
/// Deeper values stay on one line.
const MAX_DEPTH: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    depth: usize,
    text: String,
    /// Of the value on this line: `items[2].phase`.
    path: String,
}

impl Line {
    pub fn indented(&self) -> String {
        format!("{}{}", INDENT.repeat(self.depth), self.text)
    }
}

/// The lines of an object or a list. `None` if the text does not begin like one.
pub fn lines(text: &str) -> Option<Vec<Line>> {
    let tokens = tokens(text.trim())?;
    let mut out = Layout::default();
    let mut rest = tokens.iter().copied().peekable();
    while let Some(token) = rest.next() {
        match token {
            "{" | "[" => {
                out.put(token);
                match rest.peek().copied() {
                    Some(close @ ("}" | "]")) => {
                        rest.next();
                        out.put(close);
                    }
                    _ => out.open(token == "["),
                }
            }
            "}" | "]" => out.close(token),
            "," => out.next(),
            ":" => out.put(": "),
            value if rest.peek() == Some(&":") => out.key(value),
            value => out.put(value),
        }
    }
    out.end_line();
    (out.lines.len() > 1).then_some(out.lines)
}

/// The lines as code; those whose value is at one of these paths are marked. Other texts stay as they are.
pub fn block(text: &str, marked: &[&str]) -> Markup {
    let Some(lines) = lines(text) else { return html! { (Text(text)) } };
    let is_marked = |line: &Line| !line.path.is_empty() && marked.iter().any(|path| ends_with_path(path, &line.path));
    html! {
        @for line in &lines {
            (INDENT.repeat(line.depth))
            @if is_marked(line) { mark { (Text(&line.text)) } } @else { (Text(&line.text)) }
            "\n"
        }
    }
}

/// Whether the subject of an assertion is the value at a path: `batch.body.items[2].phase` and `items[2].phase`.
fn ends_with_path(subject: &str, path: &str) -> bool {
    let rest = subject.strip_suffix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '[']) || path.starts_with('['))
}

#[derive(Default)]
struct Layout {
    lines: Vec<Line>,
    line: String,
    /// For each open container: the index in a list, or `None` in an object.
    containers: Vec<Option<usize>>,
    path: Vec<String>,
    key: Option<String>,
}

impl Layout {
    fn put(&mut self, text: &str) {
        self.line.push_str(text);
    }

    fn key(&mut self, text: &str) {
        self.key = Some(text.trim_matches('"').to_owned());
        self.put(text);
    }

    fn segment(&self) -> String {
        match (self.containers.last(), &self.key) {
            (Some(Some(index)), _) => format!("[{index}]"),
            (_, Some(key)) => key.clone(),
            _ => String::new(),
        }
    }

    fn open(&mut self, is_list: bool) {
        let segment = self.segment();
        self.end_line();
        self.path.push(segment);
        self.containers.push(is_list.then_some(0));
        self.key = None;
    }

    fn close(&mut self, token: &str) {
        self.end_line();
        self.containers.pop();
        self.path.pop();
        self.key = None;
        self.put(token);
    }

    fn next(&mut self) {
        self.put(",");
        self.end_line();
        self.key = None;
        if let Some(Some(index)) = self.containers.last_mut() {
            *index += 1;
        }
    }

    fn end_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let is_closing = self.line.starts_with(['}', ']']);
        let mut path = String::new();
        for segment in self.path.iter().chain([&self.segment()]).filter(|_| !is_closing) {
            if !path.is_empty() && !segment.is_empty() && !segment.starts_with('[') {
                path.push('.');
            }
            path += segment;
        }
        let depth = self.containers.len().min(MAX_DEPTH);
        self.lines.push(Line { depth, text: std::mem::take(&mut self.line), path });
    }
}

/// Strings, numbers and words, and punctuation. `None` if the text does not begin like an object or a list.
fn tokens(text: &str) -> Option<Vec<&str>> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let (bytes, mut tokens, mut i) = (text.as_bytes(), vec![], 0);
    while i < bytes.len() {
        let start = i;
        match bytes[i] {
            b' ' | b'\n' | b'\t' | b'\r' => {
                i += 1;
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => i += 1,
            b'"' => {
                i += 1;
                while i < bytes.len() && bytes[i] != b'"' {
                    i += if bytes[i] == b'\\' { 2 } else { 1 };
                }
                i = (i + 1).min(bytes.len());
            }
            _ => {
                let ends = |b: &u8| b" \n\t\r{}[],:\"".contains(b);
                i = bytes[i..].iter().position(ends).map_or(bytes.len(), |n| start + n);
            }
        }
        i = text.ceil_char_boundary(i);
        tokens.push(&text[start..i]);
    }
    // `{broken]` and `[12:00] a line of a log` are no JSON
    let opening = |t: &&str| matches!(*t, "{" | "[");
    let is_json = match tokens.get(..3) {
        Some(["{", key, _]) => key.starts_with('"'),
        Some(["[", value, after]) => opening(value) || matches!(*after, "," | "]") || value.starts_with('"'),
        _ => true,
    };
    (is_json && opening(&tokens[0])).then_some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Some(lines(text)?.iter().map(Line::indented).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn json_is_laid_out() {
        for text in [
            r#"{"a": [1, {"b": "x\",{}"}, [], {}], "c": null, "d": -1.5, "é": "ü"}"#,
            r#"[[1, 2], {"a": true}]"#,
            r#"{"a": {"b": {"c": [{}]}}}"#,
        ] {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(shown(text).unwrap(), serde_json::to_string_pretty(&value).unwrap());
        }
    }

    #[test]
    fn json_that_is_cut_off_is_laid_out_up_to_there() {
        assert_eq!(shown(r#"{"a": [1, "tex…"#).unwrap(), "{\n  \"a\": [\n    1,\n    \"tex…");
        assert_eq!(shown(r#"{"a": "\"#).unwrap(), "{\n  \"a\": \"\\");
        for broken in ["{", "}", "[1}]]]]}}", "{,,::", "{\"a", "[\"é\\"] {
            let _ = lines(broken);
        }
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in ["", "abc", "{broken]", "[12:00] a line", "\"text\"", "{}", "[]"] {
            assert_eq!(lines(text), None, "{text}");
        }
    }

    #[test]
    fn marks_the_value_that_an_assertion_is_about() {
        let body = r#"{"items": [{"phase": "A"}, {"phase": "B"}], "n": 1}"#;
        for (subject, marked) in [
            ("body.items[1].phase", "\"phase\": \"B\""),
            ("batch.body.n", "\"n\": 1"),
            ("body.items[0].phase", "\"phase\": \"A\""),
        ] {
            let html = block(body, &[subject]).into_string().replace("&quot;", "\"");
            assert_eq!(html.matches("<mark>").count(), 1, "{html}");
            assert!(html.contains(&format!("<mark>{marked}")), "{html}");
        }
        assert!(!block(body, &["body.other", "status"]).into_string().contains("<mark>"));
    }
}
