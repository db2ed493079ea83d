//! Label and field selectors: parsing and matching. Pure.
use super::{kinds::Kind, metadata, names, status::Refusal};
use serde_json::Value;

/// The label and field selector of a list or watch.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    /// Path of a field, whether it must be equal, and the value.
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    DoesNotExist(String),
    /// Greater (`true`) or less than an integer.
    Compare(String, bool, i64),
}

impl Selector {
    /// # Errors
    /// 400 for a selector that cannot be parsed, or a field that this kind cannot be selected by.
    pub fn new(kind: &Kind, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let labels = parse_labels(labels).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let mut parsed = Vec::new();
        for term in fields.split(',').filter(|t| !t.is_empty()) {
            let (field, same, value) = if let Some((f, v)) = term.split_once("!=") {
                (f, false, v)
            } else if let Some((f, v)) = term.split_once("==") {
                (f, true, v)
            } else if let Some((f, v)) = term.split_once('=') {
                (f, true, v)
            } else {
                return Err(Refusal::bad_request(format!("invalid selector: '{fields}'; can't understand '{term}'")));
            };
            let served = field == "metadata.name" || (field == "metadata.namespace" && kind.namespaced);
            if !served && !kind.fields.contains(&field) {
                let plain = !kind.custom && kind.fields.is_empty() && kind.namespaced;
                return Err(Refusal::bad_request(if plain {
                    format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
                } else {
                    format!("field label not supported: {field}")
                }));
            }
            parsed.push((field.to_owned(), same, value.to_owned()));
        }
        Ok(Self { labels, fields: parsed })
    }

    pub fn selects_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Value) -> bool {
        let labels = self.labels.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => metadata::label(object, key).is_some_and(|v| values.iter().any(|w| w == v)),
            Requirement::NotIn(key, values) => {
                !metadata::label(object, key).is_some_and(|v| values.iter().any(|w| w == v))
            }
            Requirement::Exists(key) => metadata::label(object, key).is_some(),
            Requirement::DoesNotExist(key) => metadata::label(object, key).is_none(),
            Requirement::Compare(key, greater, bound) => metadata::label(object, key)
                .and_then(|v| v.parse::<i64>().ok())
                .is_some_and(|v| if *greater { v > *bound } else { v < *bound }),
        });
        labels
            && self.fields.iter().all(|(field, same, value)| {
                let found = field.split('.').try_fold(object, |at, part| at.get(part));
                (found.and_then(Value::as_str).unwrap_or_default() == value) == *same
            })
    }
}

/// Why a label selector cannot be parsed, in the wording of `apimachinery/pkg/labels`.
#[derive(Debug, thiserror::Error)]
enum SelectorError {
    #[error("found '{found}', expected: {expected}")]
    Unexpected { found: String, expected: &'static str },
    #[error("found '{0}' expected: '('")]
    NoParenthesis(String),
    #[error("{field}: Invalid value: {value:?}: {reason}")]
    Invalid { field: &'static str, value: String, reason: String },
    #[error("unable to parse requirement: {0}")]
    Requirement(Box<SelectorError>),
}

impl SelectorError {
    fn unexpected(found: &str, expected: &'static str) -> Self {
        Self::Unexpected { found: found.to_owned(), expected }
    }

    fn invalid(field: &'static str, value: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, value: value.to_owned(), reason: reason.into() }
    }
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut requirements = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if rest.starts_with(['=', ')', '(', ',', '<', '>']) {
            return Err(SelectorError::unexpected(&rest[..1], "!, identifier, or 'end of string'"));
        }
        let (requirement, left) = requirement(rest).map_err(|error| SelectorError::Requirement(Box::new(error)))?;
        requirements.push(requirement);
        let left = left.trim_start();
        rest = match left.strip_prefix(',') {
            Some(more) if more.trim().is_empty() => {
                return Err(SelectorError::unexpected("", "identifier after ','"));
            }
            Some(more) => more.trim_start(),
            None if left.is_empty() => left,
            None => {
                return Err(SelectorError::unexpected(split_word(left).0, "',' or 'end of string'"));
            }
        };
    }
    Ok(requirements)
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_whitespace() || "=!,()<>".contains(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn requirement(text: &str) -> Result<(Requirement, &str), SelectorError> {
    if let Some(rest) = text.strip_prefix('!') {
        let (key, rest) = split_word(rest.trim_start());
        return Ok((Requirement::DoesNotExist(valid_key(key)?), rest));
    }
    let (key, rest) = split_word(text);
    let key = valid_key(key)?;
    let after = rest.trim_start();
    if after.is_empty() || after.starts_with(',') {
        return Ok((Requirement::Exists(key), after));
    }
    for (operator, same) in [("==", true), ("!=", false), ("=", true)] {
        if let Some(rest) = after.strip_prefix(operator) {
            let (value, rest) = split_word(rest.trim_start());
            let values = vec![valid_value(value)?];
            let requirement = if same { Requirement::In(key, values) } else { Requirement::NotIn(key, values) };
            return Ok((requirement, rest));
        }
    }
    for (operator, greater) in [('>', true), ('<', false)] {
        if let Some(rest) = after.strip_prefix(operator) {
            let (value, rest) = split_word(rest.trim_start());
            let reason = "for 'Gt', 'Lt' operators, the value must be an integer";
            let bound = value.parse().map_err(|_| SelectorError::invalid("values[0]", value, reason))?;
            return Ok((Requirement::Compare(key, greater, bound), rest));
        }
    }
    let (operator, rest) = split_word(after);
    let among = match operator {
        "in" => true,
        "notin" => false,
        _ => return Err(SelectorError::unexpected(operator, "in, notin, =, ==, !=, gt, lt")),
    };
    let Some(rest) = rest.trim_start().strip_prefix('(') else {
        return Err(SelectorError::NoParenthesis(rest.to_owned()));
    };
    let Some((inside, rest)) = rest.split_once(')') else {
        return Err(SelectorError::unexpected("", "',' or ')'"));
    };
    let values = inside.split(',').map(|v| valid_value(v.trim())).collect::<Result<Vec<_>, _>>()?;
    Ok((if among { Requirement::In(key, values) } else { Requirement::NotIn(key, values) }, rest))
}

fn valid_key(key: &str) -> Result<String, SelectorError> {
    let errors = names::qualified_name_errors(key);
    if errors.is_empty() { Ok(key.to_owned()) } else { Err(SelectorError::invalid("<nil>", key, errors.join("; "))) }
}

fn valid_value(value: &str) -> Result<String, SelectorError> {
    match names::label_value_error(value) {
        None => Ok(value.to_owned()),
        Some(reason) => Err(SelectorError::invalid("values[0]", value, reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kinds;
    use serde_json::json;

    fn kind(plural: &str) -> Kind {
        (**kinds::builtin().iter().find(|k| k.plural == plural).unwrap()).clone()
    }

    fn matches(labels: &str, object: &Value) -> bool {
        Selector::new(&kind("pods"), labels, "").unwrap().matches(object)
    }

    #[test]
    fn matches_every_form_of_label_requirement() {
        let object = json!({ "metadata": { "labels": { "app": "x", "a.b/tier": "web", "n": "7" } } });
        for yes in [
            "",
            "app",
            "app=x",
            "app==x",
            "app!=y",
            "other!=x",
            "!other",
            "app in (x,y)",
            "app in ( y , x )",
            "app notin (y)",
            "other notin (x)",
            "a.b/tier=web,app in (x),!gone",
            " app = x , app ",
            "n>6,n<8",
        ] {
            assert!(matches(yes, &object), "{yes}");
        }
        for no in
            ["!app", "app=y", "app!=x", "other", "other=x", "app in (y)", "app notin (x,y)", "app=x,other", "app="]
        {
            assert!(!matches(no, &object), "{no}");
        }
    }

    #[test]
    fn refuses_invalid_selectors() {
        for bad in ["app in x", "app in (x", "=x", "app=x,", "app>x", ",", "app x", "app=a b", "(", "app in (ä)", "!"]
        {
            let refusal = Selector::new(&kind("pods"), bad, "").unwrap_err();
            assert_eq!(refusal.code, 400, "{bad}");
        }
    }

    #[test]
    fn supports_the_field_selectors_of_the_real_server() {
        let event = json!({ "metadata": { "name": "a" }, "involvedObject": { "name": "s" } });
        let of = |plural, fields| Selector::new(&kind(plural), "", fields);
        assert!(of("events", "involvedObject.name=s,metadata.name=a").unwrap().matches(&event));
        assert!(!of("events", "involvedObject.name!=s").unwrap().matches(&event));
        for bad in ["spec.replicas=1", "status.replicas=1", "involvedObject.name=s", "nonsense"] {
            assert_eq!(of("deployments", bad).unwrap_err().code, 400, "{bad}");
        }
    }
}
