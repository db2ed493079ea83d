//! Owns what the schema of a definition does to an object: takes out what it does not name, puts in defaults, says what is wrong.
//!
//! Rules and words are those of `apiextensions-apiserver/pkg/apiserver/schema` and `kube-openapi/pkg/validation/validate`. Pure; must
//! not know the store, HTTP or metadata.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps as Node, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex::Regex;
use serde_json::{Map, Value};

use super::status::Cause;

/// A structural schema with its patterns compiled.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    root: Node,
    patterns: HashMap<String, Regex>,
    formats: HashMap<String, Format>,
}

type Format = fn(&str) -> bool;

/// Formats of strings that are checked. The real server knows more; a definition that uses those is refused.
const FORMATS: &[(&str, Format)] = &[
    ("date-time", |s| s.to_ascii_uppercase().parse::<jiff::Timestamp>().is_ok()),
    ("date", |s| s.len() == 10 && s.parse::<jiff::civil::Date>().is_ok()),
    ("ipv4", |s| s.parse::<std::net::Ipv4Addr>().is_ok()),
    ("ipv6", |s| s.parse::<std::net::Ipv6Addr>().is_ok()),
    ("uuid", |s| uuid::Uuid::try_parse(s).is_ok()),
    ("password", |_| true),
];
/// What the real server checks beyond these. Any other format says nothing.
const UNCHECKED: &[&str] = &[
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "cidr",
    "mac",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "duration",
    "k8s-short-name",
    "k8s-long-name",
];

impl Schema {
    /// The schema of one version of a definition, as `spec.versions[n].schema.openAPIV3Schema` writes it.
    ///
    /// # Errors
    /// What in it is no schema, or is not spoken here: fields below `at`.
    pub fn read(written: &Value, at: &str) -> Result<Self, Vec<Cause>> {
        let root: Node = serde_json::from_value(written.clone())
            .map_err(|e| vec![Cause::invalid(at, "", &format!("it is no schema: {e}"))])?;
        let mut schema = Schema { root: Node::default(), ..Schema::default() };
        let mut causes = Vec::new();
        if root.type_.as_deref() != Some("object") {
            let given = root.type_.as_deref().unwrap_or_default();
            if given.is_empty() {
                causes.push(Cause::required(&format!("{at}.type"), "must not be empty at the root"));
            } else {
                causes.push(Cause::invalid(&format!("{at}.type"), given, "must be object at the root"));
                let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
                causes.push(Cause::invalid(&format!("{at}.type"), given, why));
            }
        }
        schema.admit(&root, at, true, &mut causes);
        schema.root = root;
        if causes.is_empty() { Ok(schema) } else { Err(causes) }
    }

    /// Compiles what is below a node. `typed`: the node has to say its type (those of junctors need not).
    fn admit(&mut self, node: &Node, at: &str, typed: bool, causes: &mut Vec<Cause>) {
        let free =
            node.x_kubernetes_int_or_string == Some(true) || node.x_kubernetes_preserve_unknown_fields == Some(true);
        if typed && node.type_.is_none() && !free {
            let cause = Cause::required(&format!("{at}.type"), "must not be empty for specified object fields");
            causes.push(cause);
        }
        if node.x_kubernetes_validations.as_ref().is_some_and(|v| !v.is_empty()) {
            let why = "the embedded API server does not evaluate validation rules";
            causes.push(Cause::forbidden(&format!("{at}.x-kubernetes-validations"), why));
        }
        if let Some(pattern) = &node.pattern {
            match Regex::new(pattern) {
                Ok(compiled) => drop(self.patterns.insert(pattern.clone(), compiled)),
                Err(_) => causes.push(Cause::invalid(
                    &format!("{at}.pattern"),
                    pattern,
                    "must be a valid regular expression, but isn't",
                )),
            }
        }
        if let Some(format) = &node.format {
            if let Some((_, check)) = FORMATS.iter().find(|(name, _)| name.replace('-', "") == format.replace('-', ""))
            {
                self.formats.insert(format.clone(), *check);
            } else if UNCHECKED.contains(&format.as_str()) {
                let why = format!("the embedded API server does not check the format {format:?}");
                causes.push(Cause::forbidden(&format!("{at}.format"), &why));
            }
        }
        for (name, below) in node.properties.iter().flatten() {
            self.admit(below, &format!("{at}.properties[{name}]"), typed, causes);
        }
        if let Some(below) = additional(node) {
            self.admit(below, &format!("{at}.additionalProperties"), typed, causes);
        }
        if let Some(below) = items(node) {
            self.admit(below, &format!("{at}.items"), typed, causes);
        }
        for (name, list) in [("allOf", &node.all_of), ("anyOf", &node.any_of), ("oneOf", &node.one_of)] {
            for (n, below) in list.iter().flatten().enumerate() {
                self.admit(below, &format!("{at}.{name}[{n}]"), false, causes);
            }
        }
        if let Some(below) = &node.not {
            self.admit(below, &format!("{at}.not"), false, causes);
        }
    }

    /// What decoding does: takes out fields that are not named, and nulls where there can be none, then puts in defaults.
    /// Gives the paths of the unknown fields.
    pub fn decode(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        let Value::Object(map) = object else { return unknown };
        // What every object has is not in a schema's hands.
        let own: Vec<(&str, Value)> =
            ["apiVersion", "kind", "metadata"].into_iter().filter_map(|f| Some((f, map.shift_remove(f)?))).collect();
        whole_numbers(object);
        prune(object, Some(&self.root), "", &mut unknown);
        drop_nulls(object, Some(&self.root));
        fill(object, Some(&self.root));
        if let Value::Object(map) = object {
            for (n, (field, value)) in own.into_iter().enumerate() {
                map.shift_insert(n, field.to_owned(), value);
            }
        }
        unknown.sort();
        unknown
    }

    /// Everything that is wrong with a new object.
    pub fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut wrong = Wrong::default();
        self.check(&self.root, object, None, "", &mut wrong);
        let mut causes = wrong.below("");
        lists(&self.root, object, "", &mut causes);
        causes
    }

    /// Everything that is wrong with a changed object, but for what was so before. With `status` only that part is looked at.
    pub fn validate_change(&self, object: &Value, old: &Value, status: bool) -> Vec<Cause> {
        let mut wrong = Wrong::default();
        let mut causes = if status {
            if let (Some(new), Some(node)) = (object.get("status"), property(&self.root, "status")) {
                self.check(node, new, old.get("status"), "", &mut wrong);
            }
            wrong.below("status")
        } else {
            self.check(&self.root, object, Some(old), "", &mut wrong);
            wrong.below("")
        };
        let mut before = Vec::new();
        lists(&self.root, old, "", &mut before);
        if before.is_empty() {
            lists(&self.root, object, "", &mut causes);
        }
        causes
    }

    fn check(&self, node: &Node, value: &Value, old: Option<&Value>, at: &str, wrong: &mut Wrong) {
        let mut here = Wrong::default();
        self.check_fresh(node, value, old, at, &mut here);
        // What was there before may stay, whatever the schema has come to say of it.
        if old != Some(value) {
            wrong.add(here);
        }
    }

    fn check_fresh(&self, node: &Node, value: &Value, old: Option<&Value>, at: &str, wrong: &mut Wrong) {
        let types: Vec<&str> = match &node.type_ {
            _ if node.x_kubernetes_int_or_string == Some(true) => vec!["integer", "string"],
            Some(one) => vec![one.as_str()],
            None => Vec::new(),
        };
        let format = node.format.as_deref().unwrap_or_default();
        let is = kind_of(value);
        if value.is_null() {
            if !types.is_empty() && node.nullable != Some(true) {
                wrong.typed(at, &types.join(","), "null");
            }
            return self.check_enum(node, value, at, wrong);
        }
        let fits = types.is_empty()
            || types.contains(&is)
            || (is == "integer" && types.contains(&"number"))
            || (types.contains(&"integer") && value.as_f64().is_some_and(|f| f.fract() == 0.0));
        if !fits {
            wrong.typed(at, &types.join(","), is);
        }
        self.check_junctors(node, value, at, wrong);
        match value {
            Value::String(text) => self.check_text(node, text, format, at, wrong),
            Value::Number(_) => check_number(node, value, format, at, wrong),
            Value::Array(list) => {
                let below = items(node);
                for (n, item) in list.iter().enumerate() {
                    if let Some(below) = below {
                        // Only lists that are maps say which of the old items this one was.
                        let before = old.and_then(|old| same_item(node, old, item));
                        self.check(below, item, before, &format!("{at}[{n}]"), wrong);
                    }
                }
                let size = i64::try_from(list.len()).unwrap_or(i64::MAX);
                if node.min_items.is_some_and(|least| size < least) {
                    let least = node.min_items.unwrap_or_default();
                    wrong.invalid(at, &size.into(), &format!("should have at least {least} items"));
                }
                if let Some(most) = node.max_items.filter(|most| size > *most) {
                    wrong.too_many(at, size, most);
                }
            }
            _ => {}
        }
        self.check_enum(node, value, at, wrong);
        if let Value::Object(map) = value {
            self.check_map(node, map, old, at, wrong);
        }
    }

    fn check_enum(&self, node: &Node, value: &Value, at: &str, wrong: &mut Wrong) {
        let Some(allowed) = node.enum_.as_ref().filter(|all| !all.is_empty()) else { return };
        // The real server cuts a fraction off before it compares.
        let cut = value.as_f64().filter(|_| value.is_f64()).map(|f| Value::from(f.trunc() as i64));
        if allowed.iter().any(|a| a.0 == *value || cut.as_ref() == Some(&a.0)) {
            return;
        }
        let said = |v: &Value| v.as_str().map_or_else(|| format!("{:?}", v.to_string()), |s| format!("{s:?}"));
        let all: Vec<String> = allowed.iter().map(|a| said(&a.0)).collect();
        let message = format!("Unsupported value: {}: supported values: {}", shown(value), all.join(", "));
        wrong.push("FieldValueNotSupported", at, message);
    }

    fn check_text(&self, node: &Node, text: &str, format: &str, at: &str, wrong: &mut Wrong) {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let value = Value::from(text);
        if let Some(most) = node.max_length.filter(|most| length > *most) {
            let unit = if most == 1 { "byte" } else { "bytes" };
            wrong.push("FieldValueTooLong", at, format!("Too long: may not be more than {most} {unit}"));
        } else if let Some(least) = node.min_length.filter(|least| length < *least) {
            wrong.invalid(at, &value, &format!("should be at least {least} chars long"));
        } else if let Some(pattern) = &node.pattern
            && self.patterns.get(pattern).is_some_and(|p| !p.is_match(text))
        {
            wrong.invalid(at, &value, &format!("should match '{pattern}'"));
        }
        if self.formats.get(format).is_some_and(|fine| !fine(text)) {
            wrong.typed(at, format, text);
        }
    }

    fn check_map(&self, node: &Node, map: &Map<String, Value>, old: Option<&Value>, at: &str, wrong: &mut Wrong) {
        let size = i64::try_from(map.len()).unwrap_or(i64::MAX);
        if let Some(least) = node.min_properties.filter(|least| size < *least) {
            wrong.invalid(at, &size.into(), &format!("should have at least {least} properties"));
        }
        if let Some(most) = node.max_properties.filter(|most| size > *most) {
            wrong.too_many(at, size, most);
        }
        for (field, value) in map {
            let before = old.and_then(|old| old.get(field));
            if let Some(below) = property(node, field) {
                let path = if at.is_empty() { field.clone() } else { format!("{at}.{field}") };
                self.check(below, value, before, &path, wrong);
            } else if let Some(below) = additional(node) {
                self.check(below, value, before, &format!("{at}.{field}"), wrong);
            }
        }
        for field in node.required.iter().flatten().filter(|field| !map.contains_key(*field)) {
            wrong.push("FieldValueRequired", &format!("{at}.{field}"), "Required value".into());
        }
    }

    fn check_junctors(&self, node: &Node, value: &Value, at: &str, wrong: &mut Wrong) {
        let attempts = |list: &Option<Vec<Node>>| -> Vec<Wrong> {
            let one = |node: &Node| {
                let mut found = Wrong::default();
                self.check_fresh(node, value, None, at, &mut found);
                found
            };
            list.iter().flatten().map(one).collect()
        };
        let nearest = |tried: Vec<Wrong>| tried.into_iter().min_by_key(|w| w.found.len()).unwrap_or_default();
        let any = attempts(&node.any_of);
        if !any.is_empty() && !any.iter().any(Wrong::is_empty) {
            wrong.whole(format!("{at:?} must validate at least one schema (anyOf)"));
            wrong.add(nearest(any));
        }
        let one = attempts(&node.one_of);
        let valid = one.iter().filter(|w| w.is_empty()).count();
        if !one.is_empty() && valid != 1 {
            let found =
                if valid == 0 { "Found none valid".into() } else { format!("Found {valid} valid alternatives") };
            wrong.whole(format!("{at:?} must validate one and only one schema (oneOf). {found}"));
            if valid == 0 {
                wrong.add(nearest(one));
            }
        }
        let all = attempts(&node.all_of);
        let valid = all.iter().filter(|w| w.is_empty()).count();
        let wanted = all.len();
        all.into_iter().for_each(|w| wrong.add(w));
        if valid != wanted {
            let none = if valid == 0 { ". None validated" } else { "" };
            wrong.whole(format!("{at:?} must validate all the schemas (allOf){none}"));
        }
        if let Some(not) = &node.not {
            let mut found = Wrong::default();
            self.check_fresh(not, value, None, at, &mut found);
            if found.is_empty() {
                wrong.whole(format!("{at:?} must not validate the schema (not)"));
            }
        }
    }
}

fn check_number(node: &Node, value: &Value, format: &str, at: &str, wrong: &mut Wrong) {
    let number = value.as_f64().unwrap_or_default();
    // Whole numbers are compared with the whole part of a bound.
    let bound = |b: f64| if value.is_f64() { b } else { b.trunc() };
    if node.type_.as_deref() == Some("integer") && value.is_f64() {
        let as_what = if format.is_empty() { "(default format)".into() } else { format!("with format {format}") };
        wrong.whole(format!("Checked value must be of type integer {as_what} in {at}"));
    }
    if format == "int32" && value.as_i64().is_some_and(|n| i32::try_from(n).is_err()) {
        wrong.whole(format!("Checked value must be of type integer with format int32 in {at}"));
    }
    if let Some(step) = node.multiple_of
        && (number / step).fract().abs() > f64::EPSILON
    {
        wrong.invalid(at, value, &format!("should be a multiple of {step}"));
    }
    if let Some(least) = node.minimum.map(bound) {
        let open = node.exclusive_minimum == Some(true);
        if number < least || (open && number <= least) {
            let word = if open { "greater than" } else { "greater than or equal to" };
            wrong.invalid(at, value, &format!("should be {word} {least}"));
        }
    }
    if let Some(most) = node.maximum.map(bound) {
        let open = node.exclusive_maximum == Some(true);
        if number > most || (open && number >= most) {
            let word = if open { "less than" } else { "less than or equal to" };
            wrong.invalid(at, value, &format!("should be {word} {most}"));
        }
    }
}

/// What was found wrong, each once.
#[derive(Default)]
struct Wrong {
    found: Vec<Found>,
}

#[derive(PartialEq)]
struct Found {
    reason: &'static str,
    /// `None` is the object as a whole.
    at: Option<String>,
    message: String,
}

impl Wrong {
    fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn add(&mut self, more: Wrong) {
        for found in more.found {
            if !self.found.contains(&found) {
                self.found.push(found);
            }
        }
    }

    fn push(&mut self, reason: &'static str, at: &str, message: String) {
        let at = Some(at.strip_prefix('.').unwrap_or(at).to_owned());
        self.add(Wrong { found: vec![Found { reason, at, message }] });
    }

    fn invalid(&mut self, at: &str, value: &Value, why: &str) {
        self.push("FieldValueInvalid", at, format!("Invalid value: {}: {at} in body {why}", shown(value)));
    }

    fn typed(&mut self, at: &str, wanted: &str, is: &str) {
        let message = format!("Invalid value: {is:?}: {at} in body must be of type {wanted}: {is:?}");
        self.push("FieldValueTypeInvalid", at, message);
    }

    fn too_many(&mut self, at: &str, size: i64, most: i64) {
        let unit = if most == 1 { "item" } else { "items" };
        self.push("FieldValueTooMany", at, format!("Too many: {size}: must have at most {most} {unit}"));
    }

    fn whole(&mut self, why: String) {
        let message = format!("Invalid value: \"\": {why}");
        self.add(Wrong { found: vec![Found { reason: "FieldValueInvalid", at: None, message }] });
    }

    /// The findings as causes, their fields below that one.
    fn below(self, field: &str) -> Vec<Cause> {
        let place = |at: Option<String>| match at {
            None if field.is_empty() => "<nil>".to_owned(),
            None => field.to_owned(),
            Some(at) if field.is_empty() && at.is_empty() => "<nil>".to_owned(),
            Some(at) if field.is_empty() => at,
            Some(at) if at.is_empty() => field.to_owned(),
            Some(at) => format!("{field}.{at}"),
        };
        self.found.into_iter().map(|f| Cause { reason: f.reason, field: place(f.at), message: f.message }).collect()
    }
}

/// A value as the real server's messages write it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn property<'n>(node: &'n Node, field: &str) -> Option<&'n Node> {
    node.properties.as_ref()?.get(field)
}

fn additional(node: &Node) -> Option<&Node> {
    match node.additional_properties.as_ref()? {
        JSONSchemaPropsOrBool::Schema(below) => Some(below),
        JSONSchemaPropsOrBool::Bool(_) => None,
    }
}

fn items(node: &Node) -> Option<&Node> {
    match node.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(below) => Some(below),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

fn same_item<'o>(node: &Node, old: &'o Value, item: &Value) -> Option<&'o Value> {
    let keys = node.x_kubernetes_list_map_keys.as_ref()?;
    let list = old.as_array().filter(|_| node.x_kubernetes_list_type.as_deref() == Some("map"))?;
    list.iter().find(|before| keys.iter().all(|key| before.get(key) == item.get(key)))
}

fn prune(value: &mut Value, node: Option<&Node>, at: &str, unknown: &mut Vec<String>) {
    let keeps = node.is_some_and(|n| n.x_kubernetes_preserve_unknown_fields == Some(true));
    match value {
        Value::Object(map) => {
            let embedded = node.is_some_and(|n| n.x_kubernetes_embedded_resource == Some(true));
            let mut gone = Vec::new();
            for (field, below) in map.iter_mut() {
                if embedded && ["apiVersion", "kind", "metadata"].contains(&field.as_str()) {
                    continue;
                }
                let path = if at.is_empty() { field.clone() } else { format!("{at}.{field}") };
                let named = node.and_then(|n| property(n, field));
                let open = node.is_some_and(|n| n.additional_properties.is_some());
                if named.is_some() || (open && node.and_then(additional).is_some()) {
                    prune(below, named.or_else(|| node.and_then(additional)), &path, unknown);
                } else if open && !keeps {
                    prune(below, None, &path, unknown);
                } else if !keeps {
                    gone.push(field.clone());
                    unknown.push(path);
                }
            }
            for field in gone {
                map.shift_remove(&field);
            }
        }
        Value::Array(list) => {
            let below = node.and_then(items);
            if !keeps || below.is_some() {
                for (n, item) in list.iter_mut().enumerate() {
                    prune(item, below, &format!("{at}[{n}]"), unknown);
                }
            }
        }
        _ => {}
    }
}

/// `2.0` is written as `2` wherever it comes from.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(n) => {
            // Up to 2^53 a float is exactly the integer that it shows.
            if let Some(f) = n.as_f64().filter(|f| n.is_f64() && f.fract() == 0.0 && f.abs() < 9e15) {
                *value = Value::from(f as i64);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

fn field_node<'n>(node: Option<&'n Node>, field: &str) -> Option<&'n Node> {
    node.and_then(|n| property(n, field).or_else(|| additional(n)))
}

/// A null that is neither allowed nor replaced by a default is an absent field.
fn drop_nulls(value: &mut Value, node: Option<&Node>) {
    match value {
        Value::Object(map) => {
            map.retain(|field, below| {
                let node = field_node(node, field);
                !(below.is_null() && node.is_some_and(|n| n.nullable != Some(true) && n.default.is_none()))
            });
            for (field, below) in map.iter_mut() {
                drop_nulls(below, field_node(node, field));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| drop_nulls(item, node.and_then(items))),
        _ => {}
    }
}

fn fill(value: &mut Value, node: Option<&Node>) {
    let Some(node) = node else { return };
    let replaced = |below: &Value, node: &Node| below.is_null() && node.nullable != Some(true);
    match value {
        Value::Object(map) => {
            let none = BTreeMap::new();
            for (field, node) in node.properties.as_ref().unwrap_or(&none) {
                let Some(default) = &node.default else { continue };
                if map.get(field).is_none_or(|below| replaced(below, node)) {
                    map.insert(field.clone(), default.0.clone());
                }
            }
            for (field, below) in map.iter_mut() {
                fill(below, field_node(Some(node), field));
            }
        }
        Value::Array(list) => {
            let node = items(node);
            for item in list.iter_mut() {
                if let Some(node) = node
                    && let Some(default) = &node.default
                    && replaced(item, node)
                {
                    *item = default.0.clone();
                }
                fill(item, node);
            }
        }
        _ => {}
    }
}

/// Lists that are sets or maps have no item twice.
fn lists(node: &Node, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(map) => {
            for (field, below) in map {
                if let Some(node) = property(node, field) {
                    let path = if at.is_empty() { field.clone() } else { format!("{at}.{field}") };
                    lists(node, below, &path, causes);
                } else if let Some(node) = additional(node) {
                    lists(node, below, &format!("{at}[{field}]"), causes);
                }
            }
        }
        Value::Array(list) => {
            let keys = node.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
            let identity = |item: &Value| match node.x_kubernetes_list_type.as_deref() {
                Some("set") => Some(item.clone()),
                Some("map") => Some(keys.iter().filter_map(|k| Some((k.clone(), item.get(k)?.clone()))).collect()),
                _ => None,
            };
            let identities: Vec<Option<Value>> = list.iter().map(identity).collect();
            for (n, identity) in identities.iter().enumerate() {
                let Some(identity) = identity else { break };
                // Only the first repetition is told.
                if identities[..n].iter().filter(|before| before.as_ref() == Some(identity)).count() == 1 {
                    causes.push(Cause {
                        reason: "FieldValueDuplicate",
                        field: format!("{at}[{n}]"),
                        message: format!("Duplicate value: {}", shown(identity)),
                    });
                }
            }
            if let Some(node) = items(node) {
                for (n, item) in list.iter().enumerate() {
                    lists(node, item, &format!("{at}[{n}]"), causes);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(properties: Value) -> Schema {
        Schema::read(&json!({ "type": "object", "properties": properties }), "schema").unwrap()
    }

    fn said(causes: &[Cause]) -> Vec<String> {
        causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
    }

    #[test]
    fn what_is_not_named_goes_and_what_is_missing_comes() {
        let schema = schema(json!({
            "spec": { "type": "object", "properties": {
                "n": { "type": "integer", "default": 3 },
                "m": { "type": "object", "additionalProperties": { "type": "string" } },
                "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                "list": { "type": "array", "items": { "type": "object", "properties": { "a": { "type": "string" } } } },
            } },
        }));
        let mut object = json!({
            "kind": "K", "metadata": { "odd": 1 }, "odd": 1,
            "spec": { "n": null, "odd": {}, "m": { "x": "y" }, "free": { "z": 1 }, "list": [{ "a": "b", "c": 1 }] },
        });
        assert_eq!(schema.decode(&mut object), ["odd", "spec.list[0].c", "spec.odd"]);
        let kept = json!({
            "kind": "K", "metadata": { "odd": 1 },
            "spec": { "n": 3, "m": { "x": "y" }, "free": { "z": 1 }, "list": [{ "a": "b" }] },
        });
        assert_eq!(object, kept);
    }

    #[test]
    fn faults_are_told_in_the_real_servers_words_and_all_at_once() {
        let schema = schema(json!({
            "spec": { "type": "object", "required": ["user"], "properties": {
                "state": { "type": "string", "enum": ["on", "off"] }, "n": { "type": "integer", "minimum": 1 },
                "set": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } },
            } },
        }));
        let wrong = json!({ "spec": { "state": "x", "n": 0, "set": ["a", "a", "a"] } });
        let mut found = said(&schema.validate(&wrong));
        found.sort();
        assert_eq!(
            found,
            [
                "spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1",
                "spec.set[1]: Duplicate value: \"a\"",
                "spec.state: Unsupported value: \"x\": supported values: \"on\", \"off\"",
                "spec.user: Required value",
            ]
        );
        let typed = json!({ "spec": { "user": 1, "state": 5, "n": "x" } });
        assert!(said(&schema.validate(&typed)).contains(
            &"spec.n: Invalid value: \"string\": spec.n in body must be of type integer: \"string\"".to_owned()
        ));
    }

    #[test]
    fn what_was_wrong_before_may_stay() {
        let schema = schema(json!({
            "spec": { "type": "object", "properties": {
                "state": { "type": "string", "enum": ["on"] }, "n": { "type": "integer", "minimum": 1 },
            } },
        }));
        let old = json!({ "spec": { "state": "x", "n": 1 } });
        assert_eq!(schema.validate_change(&json!({ "spec": { "state": "x", "n": 2 } }), &old, false), []);
        assert_eq!(schema.validate_change(&json!({ "spec": { "state": "y", "n": 2 } }), &old, false).len(), 1);
    }

    #[test]
    fn what_is_not_spoken_is_refused_with_the_definition() {
        for odd in [
            json!({ "type": "string", "format": "email" }),
            json!({ "type": "object", "x-kubernetes-validations": [{ "rule": "true" }] }),
            json!({ "type": "string", "pattern": "(" }),
            json!({}),
        ] {
            let written = json!({ "type": "object", "properties": { "a": odd } });
            assert!(Schema::read(&written, "schema").is_err(), "{written}");
        }
        assert!(Schema::read(&json!({ "type": "string" }), "schema").is_err());
        assert!(Schema::read(&json!(5), "schema").is_err());
    }
}
