//! Label selectors: reading them, and asking whether an object matches. The server selects what is listed; here the same is asked
//! of what a watch tells, because one watch serves waiters with different selectors. Pure; knows no cluster.
use crate::value::Value;

/// Requirements that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Labels {
    /// From names and values. A value that no label can have is an error: it would change the meaning of the selector.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Labels, String> {
        let one = |(key, value): (String, String)| Ok(Requirement::In(word(&key, true)?, vec![word(&value, false)?]));
        pairs.into_iter().map(one).collect::<Result<_, String>>().map(Labels)
    }

    /// As kubectl's `-l` takes it: `a=b`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b, c)`, `a`, `!a`, with commas between.
    pub fn parse(text: &str) -> Result<Labels, String> {
        let mut found = vec![];
        let mut rest = text.trim();
        while !rest.is_empty() {
            let mut depth = 0;
            let end = rest.find(|c: char| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                c == ',' && depth == 0
            });
            let (term, after) = end.map_or((rest, ""), |i| (&rest[..i], &rest[i + 1..]));
            found.push(requirement(term.trim())?);
            rest = after.trim_start();
        }
        Ok(Labels(found))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn matches(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|m| m.get("labels"));
        let label = |key: &str| labels.and_then(|l| l.get(key)).and_then(Value::as_str);
        self.0.iter().all(|r| match r {
            Requirement::In(k, values) => label(k).is_some_and(|v| values.iter().any(|w| w == v)),
            // As in Kubernetes: what lacks the label matches too.
            Requirement::NotIn(k, values) => !label(k).is_some_and(|v| values.iter().any(|w| w == v)),
            Requirement::Exists(k) => label(k).is_some(),
            Requirement::Absent(k) => label(k).is_none(),
        })
    }
}

impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, r) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { "," } else { "" })?;
            match r {
                Requirement::In(k, v) if v.len() == 1 => write!(f, "{k}={}", v[0])?,
                Requirement::In(k, v) => write!(f, "{k} in ({})", v.join(","))?,
                Requirement::NotIn(k, v) if v.len() == 1 => write!(f, "{k}!={}", v[0])?,
                Requirement::NotIn(k, v) => write!(f, "{k} notin ({})", v.join(","))?,
                Requirement::Exists(k) => f.write_str(k)?,
                Requirement::Absent(k) => write!(f, "!{k}")?,
            }
        }
        Ok(())
    }
}

fn requirement(term: &str) -> Result<Requirement, String> {
    if let Some(key) = term.strip_prefix('!') {
        return Ok(Requirement::Absent(word(key.trim(), true)?));
    }
    for (operator, same) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = term.split_once(operator) {
            let (key, value) = (word(key.trim(), true)?, vec![word(value.trim(), false)?]);
            return Ok(if same { Requirement::In(key, value) } else { Requirement::NotIn(key, value) });
        }
    }
    if let Some((head, list)) = term.split_once('(') {
        let mut words = head.split_whitespace();
        let (key, operator) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let list = list.strip_suffix(')').ok_or_else(|| format!("`{term}` lacks its `)`"))?;
        let values = list.split(',').map(|v| word(v.trim(), false)).collect::<Result<Vec<_>, _>>()?;
        let key = word(key, true)?;
        return match operator {
            "in" => Ok(Requirement::In(key, values)),
            "notin" => Ok(Requirement::NotIn(key, values)),
            _ => Err(format!("`{term}` is no requirement; before a list stands `in` or `notin`")),
        };
    }
    Ok(Requirement::Exists(word(term, true)?))
}

fn word(text: &str, key: bool) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c) || (key && c == '/');
    if text.chars().all(fits) && text.len() <= if key { 317 } else { 63 } && !(key && text.is_empty()) {
        return Ok(text.to_string());
    }
    Err(format!("`{text}` cannot be the {} of a label", if key { "name" } else { "value" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn matches_as_kubernetes_does() {
        let object = Value::from(json!({ "metadata": { "labels": { "app": "web", "tier": "front" } } }));
        for (text, expected) in [
            ("", true),
            ("app=web", true),
            ("app == web,tier!=back", true),
            ("app in (web, api),tier", true),
            ("app notin (web)", false),
            ("other notin (web)", true),
            ("!tier", false),
            ("!other", true),
            ("app=we", false),
        ] {
            assert_eq!(Labels::parse(text).unwrap().matches(&object), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_label_is_refused_and_never_widens_the_selection() {
        for text in ["a=b c", "a in b", "a in (b", "=x", "a near (b)"] {
            assert!(Labels::parse(text).is_err(), "{text}");
        }
        assert!(Labels::from_pairs([("a".to_string(), "x,y".to_string())]).is_err());
        assert_eq!(Labels::parse("a in (x,y),!b,c").unwrap().to_string(), "a in (x,y),!b,c");
    }
}
