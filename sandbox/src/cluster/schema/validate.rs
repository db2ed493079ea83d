//! Validates an object against its schema.
use super::{
    Schema,
    errors::{Errors, quoted},
    node::{additional, items, property},
};
use crate::cluster::cause::Cause;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps as Node;
use serde_json::{Map, Value};

impl Schema {
    /// The validation errors of a new object.
    pub fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut errors = Errors::default();
        self.check(&self.root, object, None, "", &mut errors);
        let mut causes = errors.below("");
        check_duplicates(&self.root, object, "", &mut causes);
        causes
    }

    /// The validation errors of a changed object, without those that it had before. `status`: only the status is
    /// validated.
    pub fn validate_change(&self, object: &Value, old: &Value, status: bool) -> Vec<Cause> {
        let mut errors = Errors::default();
        let mut causes = if status {
            if let (Some(new), Some(node)) = (object.get("status"), property(&self.root, "status")) {
                self.check(node, new, old.get("status"), "", &mut errors);
            }
            errors.below("status")
        } else {
            self.check(&self.root, object, Some(old), "", &mut errors);
            errors.below("")
        };
        let mut before = Vec::new();
        check_duplicates(&self.root, old, "", &mut before);
        if before.is_empty() {
            check_duplicates(&self.root, object, "", &mut causes);
        }
        causes
    }

    fn check(&self, node: &Node, value: &Value, old: Option<&Value>, at: &str, errors: &mut Errors) {
        let mut here = Errors::default();
        self.check_fresh(node, value, old, at, &mut here);
        // ratcheting: an unchanged value may stay even if it is invalid
        if old != Some(value) {
            errors.add(here);
        }
    }

    /// Like `check`, but also reports errors in an unchanged value.
    fn check_fresh(&self, node: &Node, value: &Value, old: Option<&Value>, at: &str, errors: &mut Errors) {
        let types: Vec<&str> = match &node.type_ {
            _ if node.x_kubernetes_int_or_string == Some(true) => vec!["integer", "string"],
            Some(one) => vec![one.as_str()],
            None => Vec::new(),
        };
        let format = node.format.as_deref().unwrap_or_default();
        let is = json_type(value);
        if value.is_null() {
            if !types.is_empty() && node.nullable != Some(true) {
                errors.typed(at, &types.join(","), "null");
            }
            return self.check_enum(node, value, at, errors);
        }
        let fits = types.is_empty()
            || types.contains(&is)
            || (is == "integer" && types.contains(&"number"))
            || (types.contains(&"integer") && value.as_f64().is_some_and(|f| f.fract() == 0.0));
        if !fits {
            errors.typed(at, &types.join(","), is);
        }
        self.check_combinators(node, value, at, errors);
        match value {
            Value::String(text) => self.check_string(node, text, format, at, errors),
            Value::Number(_) => check_number(node, value, format, at, errors),
            Value::Array(list) => {
                let below = items(node);
                for (n, item) in list.iter().enumerate() {
                    if let Some(below) = below {
                        // only in lists of type `map` an item can be matched with its old value
                        let before = old.and_then(|old| same_item(node, old, item));
                        self.check(below, item, before, &format!("{at}[{n}]"), errors);
                    }
                }
                let size = i64::try_from(list.len()).unwrap_or(i64::MAX);
                if node.min_items.is_some_and(|least| size < least) {
                    let least = node.min_items.unwrap_or_default();
                    errors.invalid(at, &size.into(), &format!("should have at least {least} items"));
                }
                if let Some(most) = node.max_items.filter(|most| size > *most) {
                    errors.too_many(at, size, most);
                }
            }
            _ => {}
        }
        self.check_enum(node, value, at, errors);
        if let Value::Object(map) = value {
            self.check_map(node, map, old, at, errors);
        }
    }

    fn check_enum(&self, node: &Node, value: &Value, at: &str, errors: &mut Errors) {
        let Some(allowed) = node.enum_.as_ref().filter(|all| !all.is_empty()) else { return };
        // the real server truncates fractions before it compares
        let cut = value.as_f64().filter(|_| value.is_f64()).map(|f| Value::from(f.trunc() as i64));
        if allowed.iter().any(|a| a.0 == *value || cut.as_ref() == Some(&a.0)) {
            return;
        }
        let quote = |v: &Value| v.as_str().map_or_else(|| format!("{:?}", v.to_string()), |s| format!("{s:?}"));
        let all: Vec<String> = allowed.iter().map(|a| quote(&a.0)).collect();
        let message = format!("Unsupported value: {}: supported values: {}", quoted(value), all.join(", "));
        errors.push("FieldValueNotSupported", at, message);
    }

    fn check_string(&self, node: &Node, text: &str, format: &str, at: &str, errors: &mut Errors) {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let value = Value::from(text);
        if let Some(most) = node.max_length.filter(|most| length > *most) {
            let unit = if most == 1 { "byte" } else { "bytes" };
            errors.push("FieldValueTooLong", at, format!("Too long: may not be more than {most} {unit}"));
        } else if let Some(least) = node.min_length.filter(|least| length < *least) {
            errors.invalid(at, &value, &format!("should be at least {least} chars long"));
        } else if let Some(pattern) = &node.pattern
            && self.patterns.get(pattern).is_some_and(|p| !p.is_match(text))
        {
            errors.invalid(at, &value, &format!("should match '{pattern}'"));
        }
        if self.formats.get(format).is_some_and(|fine| !fine(text)) {
            errors.typed(at, format, text);
        }
    }

    fn check_map(&self, node: &Node, map: &Map<String, Value>, old: Option<&Value>, at: &str, errors: &mut Errors) {
        let size = i64::try_from(map.len()).unwrap_or(i64::MAX);
        if let Some(least) = node.min_properties.filter(|least| size < *least) {
            errors.invalid(at, &size.into(), &format!("should have at least {least} properties"));
        }
        if let Some(most) = node.max_properties.filter(|most| size > *most) {
            errors.too_many(at, size, most);
        }
        for (field, value) in map {
            let before = old.and_then(|old| old.get(field));
            if let Some(below) = property(node, field) {
                let path = if at.is_empty() { field.clone() } else { format!("{at}.{field}") };
                self.check(below, value, before, &path, errors);
            } else if let Some(below) = additional(node) {
                self.check(below, value, before, &format!("{at}.{field}"), errors);
            }
        }
        for field in node.required.iter().flatten().filter(|field| !map.contains_key(*field)) {
            errors.push("FieldValueRequired", &format!("{at}.{field}"), "Required value".into());
        }
    }

    fn check_combinators(&self, node: &Node, value: &Value, at: &str, errors: &mut Errors) {
        let attempts = |list: &Option<Vec<Node>>| -> Vec<Errors> {
            let one = |node: &Node| {
                let mut found = Errors::default();
                self.check_fresh(node, value, None, at, &mut found);
                found
            };
            list.iter().flatten().map(one).collect()
        };
        let nearest = |tried: Vec<Errors>| tried.into_iter().min_by_key(|w| w.errors.len()).unwrap_or_default();
        let any = attempts(&node.any_of);
        if !any.is_empty() && !any.iter().any(Errors::is_empty) {
            errors.push_object(format!("{at:?} must validate at least one schema (anyOf)"));
            errors.add(nearest(any));
        }
        let one = attempts(&node.one_of);
        let valid = one.iter().filter(|w| w.is_empty()).count();
        if !one.is_empty() && valid != 1 {
            let found =
                if valid == 0 { "Found none valid".into() } else { format!("Found {valid} valid alternatives") };
            errors.push_object(format!("{at:?} must validate one and only one schema (oneOf). {found}"));
            if valid == 0 {
                errors.add(nearest(one));
            }
        }
        let all = attempts(&node.all_of);
        let valid = all.iter().filter(|w| w.is_empty()).count();
        let wanted = all.len();
        all.into_iter().for_each(|w| errors.add(w));
        if valid != wanted {
            let none = if valid == 0 { ". None validated" } else { "" };
            errors.push_object(format!("{at:?} must validate all the schemas (allOf){none}"));
        }
        if let Some(not) = &node.not {
            let mut found = Errors::default();
            self.check_fresh(not, value, None, at, &mut found);
            if found.is_empty() {
                errors.push_object(format!("{at:?} must not validate the schema (not)"));
            }
        }
    }
}

fn check_number(node: &Node, value: &Value, format: &str, at: &str, errors: &mut Errors) {
    let number = value.as_f64().unwrap_or_default();
    // integers are compared with the integral part of a bound
    let bound = |b: f64| if value.is_f64() { b } else { b.trunc() };
    if node.type_.as_deref() == Some("integer") && value.is_f64() {
        let as_what = if format.is_empty() { "(default format)".into() } else { format!("with format {format}") };
        errors.push_object(format!("Checked value must be of type integer {as_what} in {at}"));
    }
    if format == "int32" && value.as_i64().is_some_and(|n| i32::try_from(n).is_err()) {
        errors.push_object(format!("Checked value must be of type integer with format int32 in {at}"));
    }
    if let Some(step) = node.multiple_of
        && (number / step).fract().abs() > f64::EPSILON
    {
        errors.invalid(at, value, &format!("should be a multiple of {step}"));
    }
    if let Some(least) = node.minimum.map(bound) {
        let open = node.exclusive_minimum == Some(true);
        if number < least || (open && number <= least) {
            let word = if open { "greater than" } else { "greater than or equal to" };
            errors.invalid(at, value, &format!("should be {word} {least}"));
        }
    }
    if let Some(most) = node.maximum.map(bound) {
        let open = node.exclusive_maximum == Some(true);
        if number > most || (open && number >= most) {
            let word = if open { "less than" } else { "less than or equal to" };
            errors.invalid(at, value, &format!("should be {word} {most}"));
        }
    }
}

fn json_type(value: &Value) -> &'static str {
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

fn same_item<'o>(node: &Node, old: &'o Value, item: &Value) -> Option<&'o Value> {
    let keys = node.x_kubernetes_list_map_keys.as_ref()?;
    let list = old.as_array().filter(|_| node.x_kubernetes_list_type.as_deref() == Some("map"))?;
    list.iter().find(|before| keys.iter().all(|key| before.get(key) == item.get(key)))
}

/// Reports duplicate items of lists of type `set` or `map`.
fn check_duplicates(node: &Node, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(map) => {
            for (field, below) in map {
                if let Some(node) = property(node, field) {
                    let path = if at.is_empty() { field.clone() } else { format!("{at}.{field}") };
                    check_duplicates(node, below, &path, causes);
                } else if let Some(node) = additional(node) {
                    check_duplicates(node, below, &format!("{at}[{field}]"), causes);
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
                // only the first repetition is reported
                if identities[..n].iter().filter(|before| before.as_ref() == Some(identity)).count() == 1 {
                    causes.push(Cause {
                        reason: "FieldValueDuplicate",
                        field: format!("{at}[{n}]"),
                        message: format!("Duplicate value: {}", quoted(identity)),
                    });
                }
            }
            if let Some(node) = items(node) {
                for (n, item) in list.iter().enumerate() {
                    check_duplicates(node, item, &format!("{at}[{n}]"), causes);
                }
            }
        }
        _ => {}
    }
}
