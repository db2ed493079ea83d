//! The places of YAML nodes against the parser: what a span covers is what was parsed.
use super::driver::Outcome;
use std::sync::Arc;
use tp_runner::{
    source::Source,
    yaml::{self, Kind, Node},
};

pub fn spans(text: &str) -> Outcome {
    match yaml::parse(&Arc::new(Source::new("s", text))) {
        Ok(root) => {
            let mut shapes = vec![];
            check(&root, &mut shapes);
            shapes.sort_unstable();
            shapes.dedup();
            Outcome::of(shapes)
        }
        Err(d) => {
            d.render(false);
            Outcome::of((d.code, d.message.chars().take(30).collect::<String>()))
        }
    }
}

/// Collects what kinds of scalars there are.
fn check(node: &Node, shapes: &mut Vec<(u8, bool, bool)>) {
    let length = node.span.source.text.len();
    assert!(node.span.range.start <= node.span.range.end && node.span.range.end <= length, "{:?}", node.span);
    match &node.kind {
        Kind::Seq(items) => items.iter().for_each(|item| check(item, shapes)),
        Kind::Map(entries) => entries.iter().for_each(|(key, value)| {
            check(key, shapes);
            check(value, shapes);
        }),
        Kind::Str(decoded) => {
            let raw = node.span.text();
            let style = raw.bytes().next().unwrap_or(b' ');
            shapes.push((style, decoded.contains('\n'), raw.contains('\n')));
            places(node, decoded);
            parsed_again(raw, decoded);
        }
        _ => {}
    }
}

/// The place of each character that is not white space holds this character, or an escape for it.
fn places(node: &Node, decoded: &str) {
    let raw = node.span.text();
    // an alias, or a text that is not in the file
    if raw.starts_with('*') || !is_aligned(raw) {
        return;
    }
    for (i, c) in decoded.char_indices().take(3000) {
        let at = node.inner(i..i + c.len_utf8());
        assert!(node.span.contains(&at), "{c:?} of {decoded:?} is outside of {raw:?}");
        if !c.is_whitespace() && at.range != node.span.range {
            let found = at.text();
            assert!(
                found.starts_with(c) || found.starts_with('\\'),
                "{c:?} at {i} of {decoded:?} is {found:?} in {raw:?}"
            );
        }
    }
}

/// Tags and anchors come before a scalar and belong to its span.
fn is_aligned(raw: &str) -> bool {
    !raw.starts_with(['!', '&'])
}

/// A quoted scalar in one line, parsed alone, has the same text.
fn parsed_again(raw: &str, decoded: &str) {
    let is_quoted =
        raw.len() > 1 && (raw.starts_with('"') && raw.ends_with('"') || raw.starts_with('\'') && raw.ends_with('\''));
    // the quotes in a block scalar are text
    let is_block = decoded.trim_end_matches('\n') == raw;
    if !is_quoted || is_block || raw.contains(['\n', '\r']) {
        return;
    }
    match yaml::parse(&Arc::new(Source::new("again", raw))) {
        Ok(again) => assert_eq!(again.as_str(), Some(decoded), "{raw:?}"),
        Err(d) => assert!(raw.len() > 1000, "{raw:?}: {}", d.message),
    }
}
