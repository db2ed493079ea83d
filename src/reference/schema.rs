//! The JSON Schemas (draft 7) of plans and environment files, for editors: which keys there are, what they mean and
//! what may be written under them. What a schema cannot say, `check` reports: names, types of outputs, and what fits
//! together.
//!
//! Their form is the one that `yaml-language-server` completes and underlines best: one map for each place, values of
//! several types without `anyOf`, descriptions at the property and not at a definition, no titles.
use super::manual;
use crate::{
    executor::{Executor, Registry},
    language::{
        ACTION_KEYS, BUILTIN_VERBS, ENVIRONMENT_FILE_KEYS, FAULT, Key, MATCHERS, PARALLEL, PLAN_KEYS, Shape, TYPES,
    },
};
use serde_json::{Map, Value as Json, json};
use std::cell::RefCell;

/// Where the schemas and the manual are published.
const SITE: &str = "https://tp-runner.github.io/tp-runner/";
/// A placeholder in a text.
const PLACEHOLDER: &str = r"\$\{";

/// The schema of plans.
pub fn plan(registry: &Registry) -> Json {
    Schemas { registry, named: RefCell::default(), placeholders: false }.document("plan.schema.json", PLAN_KEYS)
}

/// The schema of environment files. Most of their values may be placeholders, for variables of the process.
pub fn environment(registry: &Registry) -> Json {
    Schemas { registry, named: RefCell::default(), placeholders: true }
        .document("environment.schema.json", ENVIRONMENT_FILE_KEYS)
}

struct Schemas<'r> {
    registry: &'r Registry,
    /// Maps with required keys: an editor offers each as a whole, by its name.
    named: RefCell<Map<String, Json>>,
    /// Whether a word may also be a placeholder.
    placeholders: bool,
}

type Described<'d> = &'d dyn Fn(&str) -> Option<String>;

impl Schemas<'_> {
    fn document(&self, file: &str, keys: &'static [Key]) -> Json {
        let mut document = Map::new();
        document.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
        document.insert("$id".into(), format!("{SITE}{file}").into());
        document.append(&mut self.keys(&[keys], &|_| None));
        let mut definitions = json!({ "action": self.action(), "pattern": pattern_definition() });
        if keys.iter().any(|k| k.name == "environments") {
            definitions["target"] = self.target();
        }
        if let Some(definitions) = definitions.as_object_mut() {
            definitions.append(&mut self.named.borrow_mut());
        }
        document.insert("definitions".into(), definitions);
        Json::Object(document)
    }

    /// A verb, and the keys beside it.
    fn action(&self) -> Json {
        let mut verbs = Map::new();
        for executor in self.executors() {
            let manual = executor.manual();
            let described = |name: &str| described_in(manual, &["## Body", "## Streams"], name);
            let body = self.named(executor.verb(), Json::Object(self.keys(executor.keys(), &described)));
            verbs.insert(executor.verb().into(), with_verb_description(body, executor));
        }
        for verb in BUILTIN_VERBS {
            let shape = match verb.name {
                "parallel" => &PARALLEL,
                "fault" => &FAULT,
                "use" => &Shape::Use,
                _ => &Shape::Verb,
            };
            verbs.insert(verb.name.into(), with_description(self.shape(shape, &|_| None), verb.meaning));
        }
        let names: Vec<String> = verbs.keys().cloned().collect();
        let mut schema = self.keys(&[ACTION_KEYS], &|_| None);
        if let Some(Json::Object(others)) = schema.get_mut("properties") {
            verbs.append(others);
        }
        schema.insert("properties".into(), Json::Object(verbs));
        schema.insert("dependencies".into(), one_of_each(&names));
        Json::Object(schema)
    }

    /// One of the verbs with its address, and the settings beside it.
    fn target(&self) -> Json {
        let with_targets: Vec<_> = self.executors().filter(|e| !e.target_keys().is_empty()).collect();
        let (mut verbs, mut others) = (Map::new(), Map::new());
        let mut rules = vec![];
        for executor in &with_targets {
            let manual = executor.manual();
            let described = |name: &str| described_in(manual, &["## Target", "## Credentials", "## Body"], name);
            let settings = self.keys(executor.target_keys(), &described);
            verbs.insert(executor.verb().into(), with_verb_description(json!({}), *executor));
            let names = executor.target_keys().iter().flat_map(|keys| keys.iter()).map(|key| key.name);
            // known, so that a misspelled verb is underlined and its settings are not; the rules describe them
            others.extend(names.map(|name| (name.to_string(), json!({ "doNotSuggest": true }))));
            rules.push(json!({ "if": { "required": [executor.verb()] }, "then": settings }));
        }
        others.append(&mut verbs);
        json!({ "type": "object", "properties": others, "additionalProperties": false, "allOf": rules })
    }

    fn executors(&self) -> impl Iterator<Item = &dyn Executor> {
        self.registry.verbs().filter_map(|verb| self.registry.get(verb))
    }

    /// A map with these keys. `described` explains a key that has no meaning of its own.
    fn keys(&self, groups: &[&[Key]], described: Described<'_>) -> Map<String, Json> {
        let keys = || groups.iter().flat_map(|keys| keys.iter());
        let mut properties = Map::new();
        for key in keys() {
            let meaning = match key.meaning {
                "" => described(key.name),
                meaning => Some(meaning.to_string()),
            };
            let schema = self.of_key(key, described);
            properties.insert(key.name.into(), with_description(schema, &meaning.unwrap_or_default()));
        }
        let mut schema = Map::from_iter([("type".to_string(), json!("object"))]);
        schema.insert("properties".into(), Json::Object(properties));
        let required: Vec<_> = keys().filter(|k| k.required).map(|k| k.name).collect();
        match required[..] {
            [] => {}
            // an environment inherits its targets
            _ if keys().any(|k| k.name == "extends") => {
                let alternatives = ["targets", "extends"].map(|name| json!({ "required": [name] }));
                schema.insert("anyOf".into(), json!(alternatives));
            }
            _ => {
                schema.insert("required".into(), json!(required));
            }
        }
        schema.insert("additionalProperties".into(), false.into());
        schema
    }

    /// What may be written under a key. Its map, or the maps in its list, get a name.
    fn of_key(&self, key: &Key, described: Described<'_>) -> Json {
        let name = match key.name {
            "expected" => "result",
            name => name.strip_suffix('s').unwrap_or(name),
        };
        match key.shape {
            Shape::Keys(_) => self.named(key.name, self.shape(&key.shape, described)),
            Shape::List(item @ Shape::Keys(_)) => {
                json!({ "type": "array", "items": self.named(name, self.shape(item, described)) })
            }
            Shape::MapOf(value @ Shape::Keys(_)) => {
                json!({ "type": "object", "additionalProperties": self.named(name, self.shape(value, described)) })
            }
            _ => self.shape(&key.shape, described),
        }
    }

    /// A map with required keys as a definition of its own, unless another map has the name.
    fn named(&self, name: &str, schema: Json) -> Json {
        let mut named = self.named.borrow_mut();
        let is_taken =
            named.get(name).is_some_and(|other| *other != schema) || ["action", "pattern", "target"].contains(&name);
        if schema.get("required").is_none() || is_taken {
            return schema;
        }
        named.insert(name.into(), schema);
        json!({ "$ref": format!("#/definitions/{name}") })
    }

    fn shape(&self, shape: &Shape, described: Described<'_>) -> Json {
        match shape {
            Shape::Any => json!({}),
            Shape::Null => json!({ "type": "null" }),
            Shape::Text | Shape::Path | Shape::Name => json!({ "type": ["string", "number"] }),
            Shape::Expression => json!({ "type": ["string", "number", "boolean"] }),
            Shape::Duration => json!({
                "type": "string",
                "pattern": format!(r"^\s*\d|{PLACEHOLDER}"),
                "patternErrorMessage": "expected a duration like `30s`",
            }),
            Shape::Size => json!({ "type": ["string", "integer"] }),
            Shape::Number => or_placeholder("integer", "expected a number or a placeholder"),
            Shape::Bool => or_placeholder("boolean", "expected `true`, `false` or a placeholder"),
            Shape::True => json!({ "enum": [true] }),
            Shape::Word(words) => self.words(words),
            Shape::Pattern => pattern(),
            Shape::Placeholder => or_placeholder("string", "expected a placeholder"),
            Shape::List(item) => json!({ "type": "array", "items": self.shape(item, described) }),
            Shape::MapOf(value) => {
                json!({ "type": "object", "additionalProperties": self.shape(value, described) })
            }
            Shape::Keys(groups) => Json::Object(self.keys(groups, described)),
            Shape::Either(shapes) => either(shapes.iter().map(|s| self.shape(s, described)).collect()),
            Shape::Action => json!({ "$ref": "#/definitions/action" }),
            Shape::Target => json!({ "$ref": "#/definitions/target" }),
            Shape::Verb => self.words(&self.registry.verbs().collect::<Vec<_>>()),
            Shape::Use => json!({ "type": "object", "minProperties": 1, "maxProperties": 1 }),
        }
    }

    fn words(&self, words: &[&str]) -> Json {
        match self.placeholders {
            true => json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": PLACEHOLDER }] }),
            false => json!({ "enum": words }),
        }
    }
}

/// A value of one of these kinds: without `anyOf` if their types differ, since all keywords apply to their type only.
fn either(schemas: Vec<Json>) -> Json {
    let count = |key: &str| schemas.iter().filter(|s| s.get(key).is_some()).count();
    let takes_text = |s: &&Json| s.get("type").is_none_or(|t| types(t).contains(&json!("string")));
    let is_apart = ["enum", "$ref", "anyOf"].iter().any(|key| count(key) > 0)
        || ["properties", "items", "additionalProperties"].iter().any(|key| count(key) > 1);
    if is_apart {
        return json!({ "anyOf": schemas });
    }
    let any_text = schemas.iter().filter(takes_text).any(|s| s.get("pattern").is_none());
    let (mut merged, mut all_types) = (Map::new(), vec![]);
    for schema in &schemas {
        for (key, value) in schema.as_object().into_iter().flatten() {
            match key.as_str() {
                "type" => all_types.extend(types(value)),
                "pattern" | "patternErrorMessage" if any_text => {}
                _ => drop(merged.insert(key.clone(), value.clone())),
            }
        }
    }
    if count("type") == schemas.len() {
        let mut unique: Vec<Json> = vec![];
        all_types.into_iter().for_each(|t| {
            if !unique.contains(&t) {
                unique.push(t)
            }
        });
        merged.insert("type".into(), unique.into());
    }
    Json::Object(merged)
}

fn types(value: &Json) -> Vec<Json> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn or_placeholder(other: &str, message: &str) -> Json {
    let mut types = vec!["string"];
    if other != "string" {
        types.insert(0, other);
    }
    json!({ "type": types, "pattern": PLACEHOLDER, "patternErrorMessage": message })
}

/// At most one of the keys: the second one is reported.
fn one_of_each(names: &[String]) -> Json {
    let rule = |(i, name): (usize, &String)| {
        let others: Map<String, Json> = names[i + 1..].iter().map(|other| (other.clone(), false.into())).collect();
        let message = format!("an action has one verb, and `{name}` is already there");
        (name.clone(), json!({ "properties": others, "errorMessage": message }))
    };
    let all: Map<String, Json> = names.iter().enumerate().take(names.len().saturating_sub(1)).map(rule).collect();
    all.into()
}

/// Any value. In a map, matchers are known; a text may be a matcher without an argument.
fn pattern_definition() -> Json {
    let known = MATCHERS.iter().map(|m| m.name.trim_start_matches('$')).collect::<Vec<_>>().join("|");
    let items = json!({ "allOf": [pattern()] });
    let value = |name: &str| match name {
        "$type" => json!({ "enum": TYPES }),
        "$regex" | "$that" => json!({ "type": "string" }),
        "$set" | "$in" => json!({ "type": ["array", "string"], "items": items, "pattern": PLACEHOLDER }),
        "$schema" => json!({ "type": ["object", "string"] }),
        "$time" | "$absent" | "$nonempty" => json!({}),
        _ => pattern(),
    };
    let properties: Map<String, Json> =
        MATCHERS.iter().map(|m| (m.name.to_string(), with_description(value(m.name), m.meaning))).collect();
    let words: Vec<_> = MATCHERS.iter().filter(|m| ["$time", "$absent", "$nonempty"].contains(&m.name)).collect();
    let (names, meanings): (Vec<_>, Vec<_>) = words.iter().map(|m| (m.name, m.meaning)).unzip();
    json!({
        "properties": properties,
        // `$$key` is a key that begins with `$`
        "patternProperties": { r"^\$\$": pattern(), format!(r"^\$(?![${{]|(?:{known})$)"): false },
        "additionalProperties": pattern(),
        "items": items,
        "anyOf": [
            { "enum": names, "enumDescriptions": meanings, "markdownEnumDescriptions": meanings },
            { "pattern": r"^(?!\$)|^\$[${]" },
        ],
    })
}

fn pattern() -> Json {
    json!({ "$ref": "#/definitions/pattern" })
}

/// With the first paragraph of the manual, and where the manual is.
fn with_verb_description(schema: Json, executor: &dyn Executor) -> Json {
    let summary = manual::summary(executor.manual());
    let mut described = with_description(schema, &summary);
    described["markdownDescription"] = format!("{summary} [Manual]({SITE}verbs/{}.html)", executor.verb()).into();
    described
}

/// With a description, as text and as Markdown.
fn with_description(schema: Json, text: &str) -> Json {
    let Json::Object(schema) = schema else { return schema };
    let mut described = Map::new();
    if !text.is_empty() {
        described.insert("description".into(), manual::plain(text).replace('`', "").into());
        described.insert("markdownDescription".into(), text.into());
    }
    described.extend(schema);
    Json::Object(described)
}

/// What the manual says about a key: in the first of the sections that has a row for it.
fn described_in(manual: &str, sections: &[&str], name: &str) -> Option<String> {
    let text = sections.iter().find_map(|heading| manual::row(manual::section(manual, heading)?, name))?;
    Some(text.trim_end_matches(": limits").to_string())
}
