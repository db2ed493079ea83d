//! Patterns that fit observed values: exact where a value looks stable, else by type and form.
use crate::init::{
    words::{is_secret, split_words},
    yaml::{Yaml, map, pattern_key, text, word},
};
use serde_json::Value as Json;

const MAX_DEPTH: usize = 5;
/// Fields of one map that are asserted.
const MAX_FIELDS: usize = 20;
const MAX_STABLE_CHARS: usize = 40;
/// Words in the names of fields that differ between instances and requests.
const VOLATILE: &[&str] = &[
    "host", "hostname", "pod", "node", "instance", "ip", "address", "session", "nonce", "request", "trace", "id",
    "url", "uptime",
];

/// Words in the names of numbers with decimals.
const MEASURED: &[&str] = &[
    "uptime",
    "seconds",
    "duration",
    "latency",
    "load",
    "ratio",
    "percent",
    "took",
    "price",
    "amount",
    "total",
    "average",
    "usage",
    "temperature",
    "rate",
    "score",
    "cost",
    "lat",
    "lon",
    "latitude",
    "longitude",
    "time",
    "ms",
];

/// A pattern that all the observed values satisfy, and that other values do not.
pub fn pattern(values: &[&Json]) -> Yaml {
    fit(values, "", true, 0).unwrap_or_else(|| word("$nonempty"))
}

/// `None`: nothing can be said.
fn fit(values: &[&Json], name: &str, may_be_exact: bool, depth: usize) -> Option<Yaml> {
    let first = *values.first()?;
    let are = |is: fn(&Json) -> bool| values.iter().all(|v| is(v));
    let is_same = values.iter().all(|v| *v == first);
    match first {
        Json::Bool(_) if are(Json::is_boolean) => {
            Some(if may_be_exact && is_same { word(first) } else { typed("bool") })
        }
        // a measured value may be whole by chance
        Json::Number(_) if are(|v| v.is_i64() || v.is_u64()) && !is_measured(name) => Some(typed("int")),
        Json::Number(_) if are(Json::is_number) => Some(typed("number")),
        Json::String(_) if are(Json::is_string) => {
            let texts: Vec<&str> = values.iter().filter_map(|v| v.as_str()).collect();
            Some(text_pattern(&texts, name, may_be_exact && is_same))
        }
        Json::Array(_) if are(Json::is_array) => Some(list_pattern(values, name, depth)),
        Json::Object(_) if are(Json::is_object) => Some(map_pattern(values, may_be_exact, depth)),
        _ => None,
    }
}

fn is_measured(name: &str) -> bool {
    split_words(name).iter().any(|w| MEASURED.contains(&w.as_str()))
}

fn typed(name: &str) -> Yaml {
    map([("$type", word(name))])
}

fn list_pattern(values: &[&Json], name: &str, depth: usize) -> Yaml {
    let lists: Vec<&Vec<Json>> = values.iter().filter_map(|v| v.as_array()).collect();
    let elements: Vec<&Json> = lists.iter().flat_map(|list| list.iter()).collect();
    let is_filled = lists.iter().all(|list| !list.is_empty()) && depth < MAX_DEPTH;
    // elements of a list come and go: their values are not exact
    match fit(&elements, name, false, depth + 1).filter(|_| is_filled) {
        Some(element) => map([("$each", element)]),
        None => typed("list"),
    }
}

fn map_pattern(values: &[&Json], may_be_exact: bool, depth: usize) -> Yaml {
    let Some(first) = values.first().and_then(|v| v.as_object()).filter(|_| depth < MAX_DEPTH) else {
        return typed("map");
    };
    let mut entries = vec![];
    for name in first.keys().filter(|name| is_field(name)) {
        let all: Vec<&Json> = values.iter().filter_map(|v| v.get(name)).collect();
        if all.len() < values.len() || entries.len() >= MAX_FIELDS {
            continue;
        }
        entries.extend(fit(&all, name, may_be_exact, depth + 1).map(|pattern| (pattern_key(name), pattern)));
    }
    if entries.is_empty() { typed("map") } else { Yaml::Map(entries) }
}

/// Whether a key is a name, and not data such as an id.
fn is_field(name: &str) -> bool {
    name.len() <= 60 && name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$') && !is_uuid(name)
}

fn text_pattern(texts: &[&str], name: &str, may_be_exact: bool) -> Yaml {
    let all = |is: fn(&str) -> bool| texts.iter().all(|t| is(t));
    let regex = |pattern: &str| map([("$regex", Yaml::Text(pattern.into()))]);
    let is_volatile = is_secret(name) || split_words(name).iter().any(|w| VOLATILE.contains(&w.as_str()));
    match () {
        () if is_secret(name) && all(|t| !t.is_empty()) => word("$nonempty"),
        () if is_secret(name) => typed("string"),
        () if all(is_time) => word("$time"),
        () if all(is_uuid) => regex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
        () if may_be_exact && !is_volatile && all(is_stable) => text(texts.first().copied().unwrap_or_default()),
        () if all(is_version) => regex("^v?[0-9]+[.][0-9]+"),
        () if all(|t| t.len() >= 7 && t.bytes().all(|b| b.is_ascii_hexdigit())) => regex("^[0-9a-fA-F]+$"),
        () if all(|t| t.starts_with("http://") || t.starts_with("https://")) => regex("^https?://"),
        () if all(|t| !t.is_empty()) => word("$nonempty"),
        () => typed("string"),
    }
}

/// A few words without digits.
fn is_stable(text: &str) -> bool {
    text.chars().count() <= MAX_STABLE_CHARS
        && text.chars().any(char::is_alphabetic)
        && text.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '_' | '.' | ',' | '!' | '/'))
}

fn is_version(text: &str) -> bool {
    let digits = text.strip_prefix('v').unwrap_or(text);
    let Some((major, rest)) = digits.split_once('.') else { return false };
    !major.is_empty()
        && major.bytes().all(|b| b.is_ascii_digit())
        && rest.starts_with(|c: char| c.is_ascii_digit())
        && text.len() < 60
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .char_indices()
            .all(|(i, c)| if matches!(i, 8 | 13 | 18 | 23) { c == '-' } else { c.is_ascii_hexdigit() })
}

/// A time in RFC 3339.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits =
        |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let is = |at: usize, c: u8| bytes.get(at) == Some(&c);
    let starts = digits(0..4) && is(4, b'-') && digits(5..7) && is(7, b'-') && digits(8..10) && is(10, b'T');
    let clock = digits(11..13) && is(13, b':') && digits(14..16) && is(16, b':') && digits(17..19);
    let Some(mut rest) = text.get(19..).filter(|_| starts && clock) else { return false };
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
        if end == 0 || end > 9 {
            return false;
        }
        rest = &fraction[end..];
    }
    let offset = rest.as_bytes();
    rest == "Z"
        || offset.len() == 6
            && matches!(offset[0], b'+' | b'-')
            && offset[3] == b':'
            && [1, 2, 4, 5].iter().all(|i| offset[*i].is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stable_values_are_exact_and_volatile_ones_typed() {
        for (value, expected) in [
            (json!({ "status": "healthy" }), r#"{ status: "healthy" }"#),
            (
                json!({ "ok": true, "uptime": 12.5, "count": 3 }),
                "{ ok: true, uptime: { $type: number }, count: { $type: int } }",
            ),
            (json!({ "at": "2026-01-02T03:04:05.25Z" }), "{ at: $time }"),
            (json!({ "version": "1.27.0" }), r#"{ version: { $regex: "^v?[0-9]+[.][0-9]+" } }"#),
            (json!({ "token": "abc", "host": "web" }), "{ token: $nonempty, host: $nonempty }"),
            (
                json!({ "items": [{ "id": 1, "kind": "cat" }], "none": [] }),
                "{ items: { $each: { id: { $type: int }, kind: $nonempty } }, none: { $type: list } }",
            ),
            (json!({ "gone": null }), "{ $type: map }"),
            (json!({ "$id": 1, "a ${x}": "x" }), r#"{ "$$id": { $type: int }, "a $${x}": "x" }"#),
            (json!({ "uptime": 12 }), "{ uptime: { $type: number } }"),
            (json!([]), "{ $type: list }"),
            (json!(["a", 1]), "{ $type: list }"),
            (json!(null), "$nonempty"),
        ] {
            assert_eq!(pattern(&[&value]).inline(), expected, "{value}");
        }
        let (a, b) =
            (json!({ "status": "up", "leader": "ann" }), json!({ "status": "up", "leader": "bob", "more": 1 }));
        assert_eq!(pattern(&[&a, &b]).inline(), r#"{ status: "up", leader: $nonempty }"#);
    }
}
