//! Request lines: paths with values in place of their parameters.
use crate::init::{openapi::placeholders, yaml::Yaml};
use std::fmt::Write as _;

/// What takes the place of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// A value from the document, not encoded.
    Value(String),
    /// A name that an earlier step binds.
    Name(String),
    /// Nothing is known: the reader has to fill it in.
    Unknown,
}

/// The request line, with one segment for each parameter of the path.
pub fn request(method: &str, path: &str, segments: &[Segment]) -> Yaml {
    let mut line = format!("{method} ");
    if !path.starts_with('/') {
        line.push('/');
    }
    let mut rest = path;
    for (name, segment) in placeholders(path).iter().zip(segments) {
        let Some((before, after)) = rest.split_once(&format!("{{{name}}}")) else { break };
        line.push_str(&literal(before));
        match segment {
            Segment::Value(value) => line.push_str(&encoded(value)),
            Segment::Name(name) => {
                let _ = write!(line, "${{{name}}}");
            }
            Segment::Unknown => line.push_str("TODO"),
        }
        rest = after;
    }
    line.push_str(&literal(rest));
    if segments.iter().any(|s| matches!(s, Segment::Name(_))) { Yaml::Template(line) } else { Yaml::Text(line) }
}

/// A part of a path as the document writes it. What a URL cannot contain is encoded, and what looks like a placeholder of
/// another tool.
fn literal(text: &str) -> String {
    let mut out = String::new();
    let bytes = text.as_bytes();
    for (i, &b) in bytes.iter().enumerate() {
        let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        let starts_segment = i > 0 && matches!(bytes[i - 1], b'/' | b'?' | b'=' | b'&');
        let keeps = match b {
            b'%' => hex(i + 1) && hex(i + 2),
            b':' => !starts_segment,
            b'$' | b'#' => false,
            b => b.is_ascii_alphanumeric() || b"-._~!&'()*+,;=@/?".contains(&b),
        };
        push(&mut out, b, keeps);
    }
    out
}

/// A value as one segment.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    text.bytes().for_each(|b| push(&mut out, b, b.is_ascii_alphanumeric() || b"-._~,@".contains(&b)));
    out
}

fn push(out: &mut String, byte: u8, keeps: bool) {
    if keeps {
        out.push(char::from(byte));
    } else {
        let _ = write!(out, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_and_filled() {
        let name = |name: &str| Segment::Name(name.into());
        let value = |value: &str| Segment::Value(value.into());
        for (path, segments, expected) in [
            ("/pets/{petId}", vec![name("pet_id")], Yaml::Template("GET /pets/${pet_id}".into())),
            ("/a/{x}/b/{y}", vec![value("1/2 ä"), Segment::Unknown], Yaml::Text("GET /a/1%2F2%20%C3%A4/b/TODO".into())),
            ("pets#list/$count/:id/50%/%20", vec![], Yaml::Text("GET /pets%23list/%24count/%3Aid/50%25/%20".into())),
            ("/v1/{name}:cancel", vec![name("name")], Yaml::Template("GET /v1/${name}:cancel".into())),
            ("/a{b", vec![], Yaml::Text("GET /a%7Bb".into())),
        ] {
            assert_eq!(request("GET", path, &segments), expected);
        }
    }
}
