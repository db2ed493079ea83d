//! A request or response in its parts, as far as it has the form of HTTP.

pub struct Message<'t> {
    /// `POST /sessions` or `HTTP/1.1 500 Internal Server Error`; the first line of anything else.
    pub first_line: &'t str,
    pub headers: Vec<&'t str>,
    pub body: &'t str,
}

impl<'t> Message<'t> {
    pub fn of(text: &'t str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let first_line = lines.next().unwrap_or_default();
        let headers: Vec<&str> = lines.collect();
        let is_header = |line: &&str| line.split_once(':').is_some_and(|(name, _)| !name.contains([' ', '"', '{']));
        if is_start_line(first_line) && headers.iter().all(is_header) {
            return Message { first_line, headers, body: body.trim_end() };
        }
        let is_whole = text.trim_end().lines().count() <= 1;
        Message { first_line, headers: vec![], body: if is_whole { "" } else { text.trim_end() } }
    }
}

/// `GET /x`, `HTTP/1.1 200 OK`, `HTTP 200`.
fn is_start_line(line: &str) -> bool {
    let method = line.split(' ').next().unwrap_or_default();
    line.starts_with("HTTP")
        || (!method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase()) && line.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_http_and_keeps_other_texts() {
        for (text, first_line, headers, body) in [
            ("POST /a\nx: 1\n\n{}", "POST /a", 1, "{}"),
            ("HTTP/1.1 500 Oops\na: b\nc: d\n\ntext\n", "HTTP/1.1 500 Oops", 2, "text"),
            ("HTTP 200\n\n", "HTTP 200", 0, ""),
            ("select 1", "select 1", 0, ""),
            ("{\n  \"a\": 1\n}", "{", 0, "{\n  \"a\": 1\n}"),
            ("2 rows, 0 affected\n{\"id\":1}", "2 rows, 0 affected", 0, "2 rows, 0 affected\n{\"id\":1}"),
            ("", "", 0, ""),
        ] {
            let m = Message::of(text);
            assert_eq!((m.first_line, m.headers.len(), m.body), (first_line, headers, body));
        }
    }
}
