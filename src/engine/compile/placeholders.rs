//! Texts in which a placeholder was probably meant.
use super::compiler::Compiler;
use crate::{
    diagnostic::Diagnostic,
    engine::names::Names,
    yaml::{Kind, Node},
};
use std::ops::Range;

/// Names that every plan has; as a single word they are ordinary text.
const BUILT_IN: [&str; 5] = ["run", "case", "env", "inputs", "item"];

impl Compiler<'_> {
    /// Warns about texts in the body of a verb that are a name without `${}`, or placeholders of another tool.
    pub(super) fn forgotten_placeholders(&mut self, verb: &str, body: &Node, names: &Names) {
        for (key, value) in body.entries() {
            let is_path = verb == "http" && key.as_str() == Some("request");
            self.forgotten(value, is_path, verb != "exec" && is_nested(value), names);
        }
    }

    /// `words`: whether a single word can be a name.
    fn forgotten(&mut self, node: &Node, is_path: bool, words: bool, names: &Names) {
        match &node.kind {
            Kind::Seq(items) => items.iter().for_each(|n| self.forgotten(n, is_path, words, names)),
            Kind::Map(entries) => entries.iter().for_each(|(_, v)| self.forgotten(v, is_path, words, names)),
            Kind::Str(text) => {
                for (range, name) in written_names(text, is_path) {
                    let root = name.split('.').next().unwrap_or_default();
                    if is_path || names.has(root) {
                        self.forgotten_placeholder(node, range, &name);
                    }
                }
                for (range, name) in path_segments(text).filter(|_| is_path) {
                    if names.reads(&name) || name.starts_with([':', '<', '%']) {
                        self.forgotten_placeholder(node, range, name.trim_matches([':', '<', '>', '%']));
                    }
                }
                let is_plain = node.span.text() == text;
                let is_word = words && names.has(text) && !BUILT_IN.contains(&&text[..]);
                if is_plain && is_name(text) && (is_word || text.contains('.') && names.reads(text)) {
                    self.forgotten_placeholder(node, 0..text.len(), text);
                }
            }
            _ => {}
        }
    }

    fn forgotten_placeholder(&mut self, node: &Node, range: Range<usize>, name: &str) {
        let name = if ["s", "d"].contains(&name) { "name" } else { name };
        let span = node.inner(range);
        let message = format!("`{}` is sent as it is written", span.text());
        let d = Diagnostic::warning("missing-placeholder", &span, message);
        self.problems.push(d.help(format!("write `${{{name}}}` for the value; quote the text if it is meant")));
    }
}

fn is_nested(node: &Node) -> bool {
    matches!(node.kind, Kind::Map(_) | Kind::Seq(_))
}

/// A name, or a name with fields: `a.body.id`.
fn is_name(text: &str) -> bool {
    text.split('.').all(crate::plan::is_name)
}

/// The segments of the path of a request, and the values of its query, that are names with fields (`order.body.id`), or the
/// placeholders of other tools: `:id`, `<id>`, `%s`.
fn path_segments(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    let path = text.find(['/', '?']).unwrap_or(text.len());
    let mut at = path;
    text[path..].split(['/', '?', '&', '=']).filter_map(move |segment| {
        let range = at..at + segment.len();
        at = range.end + 1;
        let inner = segment.strip_prefix(':').or_else(|| segment.strip_prefix('<')?.strip_suffix('>'));
        let is_other = inner.is_some_and(crate::plan::is_name) || segment == "%s" || segment == "%d";
        (is_other || segment.contains('.') && is_name(segment)).then(|| (range, segment.to_string()))
    })
}

/// `{{ name }}`, a whole text `$name`, and in a path also `{name}` and `$name`.
fn written_names(text: &str, is_path: bool) -> Vec<(Range<usize>, String)> {
    let mut found = vec![];
    let mut at = 0;
    // the last places where brackets close: each is looked for once
    let (last_pair, last_single) = (text.rfind("}}"), text.rfind('}'));
    while let Some(i) = text[at..].find(['{', '$']).map(|i| at + i) {
        let rest = &text[i..];
        let name = |inside: &str| Some(inside.trim().to_string()).filter(|name| is_name(name));
        let (length, name) = if rest.starts_with("$${") || rest.starts_with("${") {
            (rest.find('}').map_or(rest.len(), |end| end + 1), None)
        } else if let Some((inside, _)) =
            rest.strip_prefix("{{").filter(|_| last_pair >= Some(i)).and_then(|r| r.split_once("}}"))
        {
            (inside.len() + 4, name(inside))
        } else if let Some((inside, _)) =
            rest.strip_prefix('{').filter(|_| is_path && last_single >= Some(i)).and_then(|r| r.split_once('}'))
        {
            (inside.len() + 2, name(inside))
        } else if let Some(word) = rest.strip_prefix('$') {
            let end = word.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(word.len());
            let whole = i == 0 && is_name(word);
            let end = if whole { word.len() } else { end };
            (end + 1, name(&word[..end]).filter(|_| whole || is_path))
        } else {
            (1, None)
        };
        found.extend(name.map(|name| (i..i + length, name)));
        at = i + length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{path_segments, written_names};

    #[test]
    fn finds_names_in_the_segments_of_a_path() {
        let found =
            |text: &str| path_segments(text).map(|(at, name)| format!("{}={name}", &text[at])).collect::<Vec<_>>();
        assert_eq!(found("GET /orders/order.body.id"), ["order.body.id=order.body.id"]);
        assert_eq!(found("GET /a/:id/b?x=<id>&y=%s"), [":id=:id", "<id>=<id>", "%s=%s"]);
        for text in ["GET /a/1.5/b", "GET /a/x", "GET /", "GET", "GET http://h:80/x", "GET /a%20b", "GET /${a.b}/x"] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn finds_names_in_the_placeholders_of_other_tools() {
        let names = |text: &str, is_path| {
            written_names(text, is_path)
                .into_iter()
                .map(|(at, name)| format!("{}={name}", &text[at]))
                .collect::<Vec<_>>()
        };
        assert_eq!(names("a {{ x }} b {{y.z}}", false), ["{{ x }}=x", "{{y.z}}=y.z"]);
        assert_eq!(names("$x.y", false), ["$x.y=x.y"]);
        assert_eq!(names("GET /a/{id}/$b/${c}/$${d}", true), ["{id}=id", "$b=b"]);
        for text in ["${x}", "$${x}", "{x}", "a $x", "{{ 7*7 }}", "{{", "$", "{\"a\": 1}", "ä{{ü"] {
            assert!(names(text, false).is_empty(), "{text}");
        }
    }
}
