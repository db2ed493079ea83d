//! The response of an action as text, from its output.
use super::wording::count;
use crate::value::Value;
use std::{fmt::Write, io};

/// No more is shown of a response.
const MAX_BYTES: usize = 64 << 10;

/// A response that begins with `head`, such as `HTTP/1.1 200 OK`, which may be empty: headers and body, the rows of a database, the
/// lines of a log, anything else as JSON.
pub fn response_text(output: &Value, head: &str) -> String {
    let field = |name: &str| output.get(name).map(|v| if let Value::Partial(p) = v { &p.value } else { v });
    if let (Some(headers), Some(body)) = (field("headers").and_then(Value::as_map), field("text")) {
        let mut out = match (head, field("status")) {
            ("", Some(status)) => format!("HTTP {status}\n"),
            _ => format!("{head}\n"),
        };
        for (name, value) in headers.iter() {
            let values = value.as_list().unwrap_or(std::slice::from_ref(value));
            for value in values {
                let _ = writeln!(out, "{name}: {}", text_of(value));
            }
        }
        let _ = write!(out, "\n{}", text_of(body));
        return out;
    }
    if let (Some(rows), Some(Value::Int(affected))) = (field("rows").and_then(Value::as_list), field("affected")) {
        let first = format!("{}, {affected} affected", count(rows.len(), "row"));
        return lines(first, rows.iter().map(ToString::to_string));
    }
    if let Some(log) = field("lines").and_then(Value::as_list) {
        return lines(String::new(), log.iter().filter_map(|l| Some(l.get("text")?.as_str()?.to_string())));
    }
    let without_times =
        |(k, v): (&String, &Value)| (!["at", "took"].contains(&k.as_str())).then(|| (k.clone(), v.clone()));
    let fields = output.as_map().map(|m| Value::map(m.iter().filter_map(without_times)));
    let mut text = Beginning(vec![]);
    // fails where the text is cut
    let _ = serde_json::to_writer_pretty(&mut text, fields.as_ref().unwrap_or(output));
    String::from_utf8_lossy(&text.0).trim_end_matches(char::REPLACEMENT_CHARACTER).to_string()
}

/// Takes the first [`MAX_BYTES`] of a text, and then fails.
struct Beginning(Vec<u8>);

impl io::Write for Beginning {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let taken = piece.len().min(MAX_BYTES - self.0.len());
        self.0.extend_from_slice(&piece[..taken]);
        if taken == 0 && !piece.is_empty() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// The first line, unless it is empty, and the others as far as they are shown.
fn lines(first: String, others: impl Iterator<Item = String>) -> String {
    let mut out = first;
    for line in others {
        if out.len() > MAX_BYTES {
            break;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_response_is_shown_as_its_protocol_writes_it() {
        for (output, head, text) in [
            (
                json!({ "answered": true, "status": 404, "headers": { "$headers": { "a": "b", "set-cookie": ["c=1", "d=2"] } }, "body": {}, "text": "{ }" }),
                "HTTP/1.1 404 Not Found",
                "HTTP/1.1 404 Not Found\na: b\nset-cookie: c=1\nset-cookie: d=2\n\n{ }",
            ),
            (
                json!({ "status": 200, "headers": { "$headers": {} }, "text": { "$partial": ["the beg", "cut"] } }),
                "",
                "HTTP 200\n\nthe beg",
            ),
            (
                json!({ "rows": [{ "id": 1 }, { "id": 2 }], "affected": 0 }),
                "",
                "2 rows, 0 affected\n{\"id\":1}\n{\"id\":2}",
            ),
            (json!({ "lines": [{ "text": "one" }, { "text": "two" }] }), "", "one\ntwo"),
            (json!({ "found": true, "at": 1, "took": 2 }), "", "{\n  \"found\": true\n}"),
        ] {
            let value: Value = serde_json::from_value(output).unwrap();
            assert_eq!(response_text(&value, head), text);
        }
    }
}
