//! An observed value as YAML, for people who write the pattern that it must match.
use crate::{import::yaml::scalar, value::Value};
use std::fmt::Write;

const INDENT: usize = 2;
/// A text of more characters is cut.
const MAX_TEXT_CHARS: usize = 2000;

/// A map as a block of YAML. What was not observed is a comment that says why.
pub fn block(value: &Value) -> String {
    let mut out = String::new();
    match value.as_map() {
        Some(map) if !map.is_empty() => entries(map.iter(), 0, &mut out),
        _ => out = format!("{}\n", inline(value, 0)),
    }
    out
}

fn entries<'v>(map: impl Iterator<Item = (&'v String, &'v Value)>, indent: usize, out: &mut String) {
    for (key, value) in map {
        let key = scalar(key, indent);
        match value {
            Value::Unset(reason) => drop(writeln!(out, "{:indent$}# {key}: not observed: {reason}", "")),
            value => {
                let _ = write!(out, "{:indent$}{key}:", "");
                nested(value, indent, out);
            }
        }
    }
}

/// The value of a key or of a list item, after the `:` or `-`.
fn nested(value: &Value, indent: usize, out: &mut String) {
    let (value, note) = match value {
        Value::Partial(partial) => (&partial.value, format!("  # partial: {}", partial.reason)),
        value => (value, String::new()),
    };
    match value {
        Value::Map(map) if !map.is_empty() => {
            let _ = writeln!(out, "{note}");
            entries(map.iter(), indent + INDENT, out);
        }
        Value::List(items) if !items.is_empty() => {
            let _ = writeln!(out, "{note}");
            for item in items.iter() {
                list_item(item, indent + INDENT, out);
            }
        }
        value => drop(writeln!(out, " {}{note}", inline(value, indent))),
    }
}

fn list_item(item: &Value, indent: usize, out: &mut String) {
    match item {
        Value::Map(map) if !map.is_empty() => {
            let mut inner = String::new();
            entries(map.iter(), indent + INDENT, &mut inner);
            // the first key follows the dash; a comment there leaves the dash alone
            match inner.trim_start().starts_with('#') {
                true => drop(write!(out, "{:indent$}-\n{inner}", "")),
                false => drop(write!(out, "{:indent$}- {}", "", inner.trim_start())),
            }
        }
        item => {
            let _ = write!(out, "{:indent$}-", "");
            nested(item, indent, out);
        }
    }
}

/// A scalar, or an empty list or map. `indent` is the column of its key.
fn inline(value: &Value, indent: usize) -> String {
    match value {
        Value::Text(text) => {
            let shown: String = text.chars().take(MAX_TEXT_CHARS).collect();
            let cut = if shown.len() < text.len() { "…" } else { "" };
            match &*shown {
                "" => "\"\"".into(),
                _ => string(&format!("{shown}{cut}"), indent),
            }
        }
        Value::Time(_) | Value::Duration(_) => scalar(&value.to_string(), indent),
        Value::Map(_) => "{}".into(),
        Value::Unset(_) => "null  # not observed".into(),
        value => value.to_json().to_string(),
    }
}

/// A text, exactly: also with line ends at its end, which the notation of plans leaves out.
fn string(text: &str, indent: usize) -> String {
    let lines = text.trim_end_matches('\n');
    if lines == text && !text.contains('\n') {
        return scalar(text, indent);
    }
    let block = scalar(text, indent);
    match text.len() - lines.len() {
        ends @ 0..=1 if block.starts_with('|') => block.replacen('|', if ends == 0 { "|-" } else { "|" }, 1),
        _ => serde_json::Value::from(text.replace("${", "$${")).to_string().replace('\u{7f}', "\\u007f"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{source::Source, yaml};
    use std::sync::Arc;

    fn value(json: serde_json::Value) -> Value {
        crate::value::json::read(&json.to_string()).unwrap()
    }

    #[test]
    fn what_is_printed_is_the_same_value_when_it_is_read() {
        for json in [
            serde_json::json!({ "a": 1, "b": [1, "two", null, true, [], {}], "c": { "d": { "e": [{ "f": 1, "g": [2] }, []] } } }),
            serde_json::json!({ "text": "a: b # c", "lines": "one\ntwo\n\nfour", "end": "one\ntwo\n", "ends": "one\n\n", "one": "1\n", "empty": "", "number": "201", "no": "no", "quote": "'\"" }),
            serde_json::json!({ "a b": { "": "x", "- y": ["- z", "\u{7}", "é 😀"] }, "f": 1.5, "list": [[1, [2]], { "k": "v" }] }),
        ] {
            let value = value(json);
            let text = block(&value);
            let source = Arc::new(Source::new("t.yaml", text.clone()));
            let read = yaml::parse(&source).unwrap_or_else(|d| panic!("{text}\n{}", d.render(false))).to_value();
            assert_eq!(read, value, "{text}");
        }
    }

    #[test]
    fn what_was_not_observed_is_a_comment() {
        let map = |entries: Vec<(&str, Value)>| Value::map(entries.into_iter().map(|(k, v)| (k.to_string(), v)));
        let unset = || Value::unset("the body is not JSON");
        let item = Value::list(vec![map(vec![("x", unset()), ("z", Value::Int(1))])]);
        let partial = Value::partial(Value::text("abc"), "longer than `limit`");
        let text = block(&map(vec![("status", Value::Int(200)), ("body", unset()), ("text", partial), ("list", item)]));
        assert_eq!(
            text,
            "status: 200\n# body: not observed: the body is not JSON\ntext: abc  # partial: longer than `limit`\n\
             list:\n  -\n    # x: not observed: the body is not JSON\n    z: 1\n"
        );
    }
}
