//! Follows references inside a document.
use serde_json::Value as Json;

/// Length of a chain of references.
const MAX_REFERENCES: usize = 16;

/// The value that a chain of `$ref`s leads to; `None` if it leaves the document, or does not end.
pub fn resolve<'d>(document: &'d Json, value: &'d Json) -> Option<&'d Json> {
    let mut value = value;
    for _ in 0..MAX_REFERENCES {
        match value.get("$ref").and_then(Json::as_str) {
            None => return Some(value),
            Some(reference) => value = document.pointer(&local(reference)?)?,
        }
    }
    None
}

/// The JSON Pointer of a reference into the same document.
pub fn local(reference: &str) -> Option<String> {
    let fragment = reference.strip_prefix('#')?;
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let encoded = (first == b'%').then(|| tail.get(..2)).flatten();
        let decoded = encoded.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn follows_chains_and_stops_at_cycles() {
        let document = json!({ "a": { "$ref": "#/b~1c" }, "b/c": { "$ref": "#/d%20e" }, "d e": 1,
            "loop": { "$ref": "#/loop" }, "out": { "$ref": "other.yaml#/a" }, "gone": { "$ref": "#/none" } });
        assert_eq!(resolve(&document, &document["a"]), Some(&json!(1)));
        for broken in ["loop", "out", "gone"] {
            assert_eq!(resolve(&document, &document[broken]), None, "{broken}");
        }
    }
}
