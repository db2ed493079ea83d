//! Parses label selectors, and filters watched objects: waiters with different selectors share one watch, so its
//! objects are selected here instead of on the server. Pure.
use super::objects::{ObjectKey, metadata};
use crate::value::Value;
use kube::core::{Expression, Selector, SelectorExt};
use std::{collections::BTreeMap, ops::RangeInclusive};

const MAX_LABEL_NAME_CHARS: usize = 317;
const MAX_LABEL_VALUE_CHARS: usize = 63;

/// Which objects an action reads.
#[derive(Clone, Default)]
pub struct ObjectFilter {
    pub name: Option<String>,
    pub labels: Selector,
    /// The uid of an owner.
    pub owner: Option<String>,
}

impl ObjectFilter {
    pub fn matches(&self, key: &ObjectKey, object: &Value) -> bool {
        let owned_by = |uid: &str| {
            let owners = metadata(object, "ownerReferences").and_then(Value::as_list);
            owners.into_iter().flatten().any(|o| o.get("uid").and_then(Value::as_str) == Some(uid))
        };
        self.name.as_ref().is_none_or(|n| *n == key.1)
            && self.owner.as_deref().is_none_or(owned_by)
            && (self.labels.selects_all() || self.labels.matches(&labels_of(object)))
    }
}

fn labels_of(object: &Value) -> BTreeMap<String, String> {
    let labels = metadata(object, "labels").and_then(Value::as_map).into_iter().flatten();
    labels.filter_map(|(name, value)| Some((name.to_string(), value.as_str()?.to_string()))).collect()
}

/// Builds a selector from names and values. An invalid value is an error, because it could change the meaning of the
/// selector.
pub fn labels_from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Selector, String> {
    let expression = |(key, value): (String, String)| Ok(Expression::Equal(label_name(&key)?, label_value(&value)?));
    pairs.into_iter().map(expression).collect()
}

/// Parses the syntax of kubectl's `-l`: `a=b`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b, c)`, `a`, `!a`, separated by
/// commas.
pub fn parse_labels(text: &str) -> Result<Selector, String> {
    let mut expressions = vec![];
    let mut rest = text.trim();
    while !rest.is_empty() {
        let mut depth = 0;
        let end = rest.find(|c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ',' && depth == 0
        });
        let (term, after) = end.map_or((rest, ""), |i| (&rest[..i], &rest[i + 1..]));
        expressions.push(parse_expression(term.trim())?);
        rest = after.trim_start();
    }
    Ok(expressions.into_iter().collect())
}

fn parse_expression(term: &str) -> Result<Expression, String> {
    if let Some(name) = term.strip_prefix('!') {
        return Ok(Expression::DoesNotExist(label_name(name.trim())?));
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((name, value)) = term.split_once(operator) {
            let (name, value) = (label_name(name.trim())?, label_value(value.trim())?);
            return Ok(if equal { Expression::Equal(name, value) } else { Expression::NotEqual(name, value) });
        }
    }
    if let Some((head, list)) = term.split_once('(') {
        let mut words = head.split_whitespace();
        let (name, operator) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let list = list.strip_suffix(')').ok_or_else(|| format!("missing `)` in `{term}`"))?;
        let values = list.split(',').map(|v| label_value(v.trim())).collect::<Result<_, _>>()?;
        let name = label_name(name)?;
        return match operator {
            "in" => Ok(Expression::In(name, values)),
            "notin" => Ok(Expression::NotIn(name, values)),
            _ => Err(format!("expected `in` or `notin` before the list in `{term}`")),
        };
    }
    Ok(Expression::Exists(label_name(term)?))
}

fn label_name(text: &str) -> Result<String, String> {
    label(text, "name", 1..=MAX_LABEL_NAME_CHARS, "-_./")
}

fn label_value(text: &str) -> Result<String, String> {
    label(text, "value", 0..=MAX_LABEL_VALUE_CHARS, "-_.")
}

fn label(text: &str, what: &str, length: RangeInclusive<usize>, special: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || special.contains(c);
    if text.chars().all(allowed) && length.contains(&text.len()) {
        return Ok(text.to_string());
    }
    let most = length.end();
    Err(format!("`{text}` cannot be the {what} of a label: expected letters, digits and `{special}`, at most {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn matches_labels_like_kubernetes() {
        let key = ObjectKey::default();
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
            assert_eq!(
                ObjectFilter { labels: parse_labels(text).unwrap(), ..ObjectFilter::default() }.matches(&key, &object),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_invalid_labels_instead_of_widening_the_selection() {
        for text in ["a=b c", "a in b", "a in (b", "=x", "a near (b)"] {
            assert!(parse_labels(text).is_err(), "{text}");
        }
        assert!(labels_from_pairs([("a".to_string(), "x,y".to_string())]).is_err());
        assert_eq!(parse_labels("a in (x,y),!b,c").unwrap().to_string(), "a in (x,y),!b,c");
    }
}
