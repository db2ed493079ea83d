//! What follows the method: a path or a URL. Its text is sent as written; a placeholder is data, so it is encoded and
//! cannot add or remove a segment.
use super::endpoint::scheme;
use crate::{
    executor::ActionError,
    expr::{Expression, Scope, Template, Tree},
    value::Value,
};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a path cannot contain. Anything else stays, also `\`, `%` and what looks like an encoded character.
const TEXT: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}');
const QUERY_TEXT: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');
/// Everything with a meaning in a path.
const SEGMENT: &AsciiSet = &VALUE.remove(b'$').remove(b'&').remove(b'\'').remove(b'+').remove(b'=').remove(b'@');
/// Everything with a meaning in a query.
const QUERY_VALUE: &AsciiSet = &VALUE.remove(b'/').remove(b'@');
const VALUE: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'(').remove(b')').remove(b'*').remove(b',').remove(b':');
const AUTHORITY: &AsciiSet = &UNRESERVED.remove(b':').remove(b'[').remove(b']');
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Renders the request line without its `method`.
pub(super) fn render(line: &Template, method: &str, scope: &Scope, is_undo: bool) -> Result<String, ActionError> {
    let mut parts = line.evaluate(scope)?;
    if let Some((None, first)) = parts.first_mut() {
        let text = first.to_string();
        *first = Value::text(text.trim_start().get(method.len()..).unwrap_or_default().trim_start());
    }
    if let Some((None, last)) = parts.last_mut() {
        *last = Value::text(last.to_string().trim_end());
    }
    let mut out = String::new();
    let mut segments: Vec<(usize, &Expression)> = vec![];
    for (placeholder, value) in &parts {
        let text = value.to_string();
        let Some(e) = placeholder else {
            let (path, query) = if out.contains('?') { ("", &text[..]) } else { split_query(&text) };
            out.extend(utf8_percent_encode(path, TEXT));
            out.extend(utf8_percent_encode(query, QUERY_TEXT));
            continue;
        };
        let place = Place::after(&out, &text);
        check(e, value, &place, is_undo)?;
        match place {
            Place::Address => out.push_str(&encode_address(&text)),
            Place::Authority => out.extend(utf8_percent_encode(&text, AUTHORITY)),
            Place::Query => out.extend(utf8_percent_encode(&text, QUERY_VALUE)),
            Place::Path => {
                segments.push((out.len(), e));
                out.extend(utf8_percent_encode(&text, SEGMENT));
            }
        }
    }
    for (at, e) in segments {
        let start = out[..at].rfind('/').map_or(0, |i| i + 1);
        let end = out[at..].find(['/', '?']).map_or(out.len(), |i| at + i);
        if matches!(&out[start..end].to_ascii_lowercase().replace("%2e", ".")[..], "." | "..") {
            return Err(invalid(e, "makes the segment `.` or `..`, which leads to another path"));
        }
    }
    Ok(out)
}

/// Where a placeholder stands.
enum Place {
    /// At the beginning, with a path or a URL as value.
    Address,
    /// In the host and port of a URL.
    Authority,
    Path,
    Query,
}

impl Place {
    fn after(before: &str, value: &str) -> Place {
        let is_address = before.is_empty() && (value.starts_with('/') || scheme(value).is_some());
        let authority = scheme(before).map(|s| &before[s.len()..]);
        match authority {
            _ if is_address => Place::Address,
            _ if before.contains('?') => Place::Query,
            Some(authority) if !authority.contains('/') => Place::Authority,
            _ => Place::Path,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Place::Address => "the address of a request",
            Place::Authority => "the host of a request",
            Place::Path => "a path",
            Place::Query => "a query",
        }
    }
}

/// Refuses a value with which another request would be sent than the plan says.
fn check(e: &Expression, value: &Value, place: &Place, is_undo: bool) -> Result<(), ActionError> {
    let found = match value {
        Value::Text(text) if text.is_empty() && is_undo => Some("empty"),
        Value::Null | Value::List(_) | Value::Map(_) => Some(value.kind()),
        Value::Text(text) if text.is_empty() && !matches!(place, Place::Query) => Some("empty"),
        Value::Text(text) if text.chars().any(char::is_control) && !matches!(place, Place::Query) => {
            Some("a text with a control character")
        }
        Value::Text(text) if text.contains('#') && matches!(place, Place::Address) => {
            Some("a URL with a fragment, which is never sent")
        }
        _ => None,
    };
    match found {
        Some(found) => Err(invalid(e, &format!("in {} is {found}", place.name()))),
        None => Ok(()),
    }
}

/// Refuses an empty placeholder under `query` in an undo: without it, the request would select more than the action
/// created.
pub(super) fn check_undo_query(pairs: &[(String, Tree)], scope: &Scope) -> Result<(), ActionError> {
    for template in pairs.iter().flat_map(|(_, tree)| tree.templates()) {
        for (placeholder, value) in template.evaluate(scope)? {
            let is_empty = match &value {
                Value::Null => true,
                Value::Text(text) => text.is_empty(),
                Value::List(items) => items.iter().all(|v| *v == Value::Null || v.as_str() == Some("")),
                _ => false,
            };
            if let Some(e) = placeholder.filter(|_| is_empty) {
                return Err(invalid(e, &format!("in a query of an undo is {}", described(&value))));
            }
        }
    }
    Ok(())
}

fn described(value: &Value) -> &'static str {
    if *value == Value::Null { "null" } else { "empty" }
}

fn invalid(e: &Expression, problem: &str) -> ActionError {
    ActionError::Invalid(format!("`${{{}}}` {problem}: nothing was sent", e.text().trim()))
}

fn encode_address(text: &str) -> String {
    let (path, query) = split_query(text);
    utf8_percent_encode(path, TEXT).chain(utf8_percent_encode(query, QUERY_TEXT)).collect()
}

/// The query begins with its `?`.
fn split_query(text: &str) -> (&str, &str) {
    text.split_at(text.find('?').unwrap_or(text.len()))
}
