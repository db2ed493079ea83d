//! Values of a YAML file: on one line where they are short, else as a block.
use crate::import::yaml::quoted;
use serde_json::Value as Json;
use std::fmt::Write as _;

/// Columns of a line.
pub const WIDTH: usize = 116;

/// A value of a plan or an environment.
#[derive(Clone, Debug, PartialEq)]
pub enum Yaml {
    /// Written as it is: a number, a keyword, a matcher.
    Word(String),
    /// A text without placeholders.
    Text(String),
    /// A text with placeholders.
    Template(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

/// A map from its entries.
pub fn map<const N: usize>(entries: [(&str, Yaml); N]) -> Yaml {
    Yaml::Map(entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
}

/// A word that needs no quotes.
pub fn word(text: impl ToString) -> Yaml {
    Yaml::Word(text.to_string())
}

/// A text without placeholders.
pub fn text(text: impl Into<String>) -> Yaml {
    Yaml::Text(text.into())
}

/// A text with placeholders.
pub fn template(text: impl Into<String>) -> Yaml {
    Yaml::Template(text.into())
}

impl Yaml {
    /// A value that is sent or compared as it is.
    pub fn of_json(json: &Json) -> Yaml {
        match json {
            Json::Null | Json::Bool(_) | Json::Number(_) => word(json),
            Json::String(s) => text(s),
            Json::Array(items) => Yaml::List(items.iter().map(Yaml::of_json).collect()),
            Json::Object(map) => Yaml::Map(map.iter().map(|(k, v)| (escaped(k), Yaml::of_json(v))).collect()),
        }
    }

    /// The value on one line.
    pub fn inline(&self) -> String {
        match self {
            Yaml::Word(word) => word.clone(),
            Yaml::Text(text) => scalar(&escaped(text)),
            Yaml::Template(text) => scalar(text),
            Yaml::List(items) => format!("[{}]", items.iter().map(Yaml::inline).collect::<Vec<_>>().join(", ")),
            Yaml::Map(entries) if entries.is_empty() => "{}".into(),
            Yaml::Map(entries) => {
                let entries: Vec<String> = entries.iter().map(|(k, v)| format!("{}: {}", key(k), v.inline())).collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }

    /// Writes `key: value`, with the key in column `indent`.
    pub fn write_entry(&self, out: &mut String, indent: usize, name: &str) {
        let _ = write!(out, "{:indent$}{}:", "", key(name));
        self.write_after_key(out, indent, key(name).len() + 1);
    }

    /// Writes the value after its key, which ends `used` columns after `indent`.
    fn write_after_key(&self, out: &mut String, indent: usize, used: usize) {
        let line = self.inline();
        match self {
            Yaml::Map(entries) if !entries.is_empty() && indent + used + 1 + line.chars().count() > WIDTH => {
                out.push('\n');
                entries.iter().for_each(|(k, v)| v.write_entry(out, indent + 2, k));
            }
            Yaml::List(items) if !items.is_empty() && indent + used + 1 + line.chars().count() > WIDTH => {
                out.push('\n');
                items.iter().for_each(|item| item.write_item(out, indent + 2));
            }
            _ => {
                let _ = writeln!(out, " {line}");
            }
        }
    }

    /// Writes an item of a list, with its dash in column `indent`. A map has one line for each entry.
    pub fn write_item(&self, out: &mut String, indent: usize) {
        let _ = write!(out, "{:indent$}-", "");
        match self {
            Yaml::Map(entries) if !entries.is_empty() => {
                for (i, (name, value)) in entries.iter().enumerate() {
                    if i == 0 {
                        let _ = write!(out, " {}:", key(name));
                        value.write_after_key(out, indent + 2, key(name).len() + 1);
                    } else {
                        value.write_entry(out, indent + 2, name);
                    }
                }
            }
            Yaml::List(items) if !items.is_empty() && indent + 2 + self.inline().chars().count() > WIDTH => {
                out.push('\n');
                items.iter().for_each(|item| item.write_item(out, indent + 2));
            }
            _ => {
                let _ = writeln!(out, " {}", self.inline());
            }
        }
    }
}

/// The text with literal `${` escaped.
pub fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// A key of a pattern: one that starts with `$` is not taken for a matcher.
pub fn pattern_key(key: &str) -> String {
    if key.starts_with('$') { format!("${}", escaped(key)) } else { escaped(key) }
}

fn key(text: &str) -> String {
    let body = text.strip_prefix('$').unwrap_or(text);
    let is_plain = body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && body.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && !is_keyword(body);
    if is_plain { text.to_string() } else { quoted_always(text) }
}

fn is_keyword(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n" | "nan" | "inf")
}

/// A scalar that is read as a text, also between brackets. A name is quoted, since `check` takes one without quotes for
/// a forgotten placeholder.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.contains([' ', '/'])
        && !text.contains("  ")
        && !text.ends_with(' ')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '/' | '_' | '-' | '.'));
    if is_plain { text.to_string() } else { quoted_always(text) }
}

fn quoted_always(text: &str) -> String {
    let is_simple = text.chars().all(|c| matches!(c, ' '..='~') && c != '"' && c != '\\');
    if is_simple {
        return format!("\"{text}\"");
    }
    let line = quoted(text);
    // the writer leaves some texts without quotes, which between brackets are more than a text
    if line.starts_with(['"', '\'']) { line } else { format!("'{}'", text.replace('\'', "''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_values_are_one_line_and_long_ones_a_block() {
        let request = map([("request", text("GET /pets")), ("query", map([("limit", text("10"))]))]);
        assert_eq!(request.inline(), r#"{ request: GET /pets, query: { limit: "10" } }"#);
        let long = map([("json", Yaml::of_json(&json!({ "a": "x".repeat(80), "b": ["y".repeat(60)] })))]);
        let mut out = String::new();
        map([("http", long)]).write_item(&mut out, 2);
        assert_eq!(
            out,
            format!("  - http:\n      json:\n        a: \"{}\"\n        b: [\"{}\"]\n", "x".repeat(80), "y".repeat(60))
        );
    }

    /// Any text survives as a value and as a key, in both layouts.
    #[test]
    fn hostile_texts_survive() {
        let mut random = fastrand::Rng::with_seed(17);
        let alphabet: Vec<char> =
            "a9 :#,[]{}\"'\\%&*!|>@`-?=~$\n\t\r\u{0}\u{7f}\u{85}\u{2028}\u{feff}é名🦀/<yes".chars().collect();
        for _ in 0..600 {
            let mut random_text = || {
                (0..random.usize(0..9)).map(|_| random.choice(&alphabet).copied().unwrap_or('x')).collect::<String>()
            };
            let (a, b) = (random_text(), random_text());
            let value = map([("t", text(&a)), ("l", Yaml::List(vec![text(&b), word(1)]))]);
            let value = Yaml::Map(vec![("outer".into(), value), (escaped(&a), text(&b))]);
            let mut block = String::new();
            value.write_item(&mut block, 0);
            let line = format!("- {}\n", value.inline());
            let (ea, eb) = (escaped(&a), escaped(&b));
            if ea == "outer" {
                continue;
            }
            let expected = json!([{ "outer": { "t": ea, "l": [eb, 1] }, &ea: eb }]);
            for written in [block, line] {
                let read: Json = serde_saphyr::from_str(&written).unwrap_or_else(|e| panic!("{written:?}: {e}"));
                assert_eq!(read, expected, "{written:?}");
            }
        }
    }
}
