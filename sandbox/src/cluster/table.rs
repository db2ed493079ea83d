//! Owns the form in which objects are answered: whole, metadata only, or as the rows that `kubectl get` prints.
//!
//! Must not know the store or where the answer goes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kinds::{Column, Kind};
use super::list::Listing;
use super::metadata;
use super::status::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    Metadata,
    Table(Include),
}

/// What a row carries beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Form {
    /// The first form of the `Accept` header that can be given.
    ///
    /// # Errors
    /// 406 if there is none, 400 for an unknown `includeObject`.
    pub fn accepted(accept: &str, include: &str) -> Result<Self, Refusal> {
        let include = match include {
            "" | "Metadata" => Include::Metadata,
            "None" => Include::Nothing,
            "Object" => Include::Object,
            other => {
                return Err(Refusal::bad_request(format!(
                    "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', 'None', or empty"
                )));
            }
        };
        if accept.trim().is_empty() {
            return Ok(Self::Whole);
        }
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !["application/json", "application/*", "*/*"].contains(&media) {
                continue;
            }
            let parts: Vec<&str> = parts.collect();
            match parts.iter().find_map(|p| p.strip_prefix("as=")) {
                None => return Ok(Self::Whole),
                Some("Table") if parts.contains(&"v=v1") => return Ok(Self::Table(include)),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") if parts.contains(&"v=v1") => {
                    return Ok(Self::Metadata);
                }
                Some(_) => {}
            }
        }
        Err(Refusal::not_acceptable())
    }

    /// One object. `headed`: a table says its columns (in a watch only the first does).
    pub fn write(self, kind: &Kind, object: &Value, headed: bool, out: &mut Vec<u8>) {
        match self {
            Self::Whole => put(object, out),
            Self::Metadata => put(&partial(object), out),
            Self::Table(include) => {
                let version = json!({ "resourceVersion": metadata::text(object, "resourceVersion") });
                put(&table(kind, &version, [object].into_iter(), include, headed), out);
            }
        }
    }

    /// A list, written item by item: it is never there a second time as a tree.
    pub fn write_list(self, kind: &Kind, listing: &Listing, out: &mut Vec<u8>) {
        let items = listing.items.iter().map(|o| &**o);
        if let Self::Table(include) = self {
            return put(&table(kind, &listing.metadata(), items, include, true), out);
        }
        let (list_kind, version) = match self {
            Self::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
            _ => (format!("{}List", kind.kind), kind.api_version()),
        };
        out.extend_from_slice(b"{\"kind\":");
        put(&json!(list_kind), out);
        out.extend_from_slice(b",\"apiVersion\":");
        put(&json!(version), out);
        out.extend_from_slice(b",\"metadata\":");
        put(&listing.metadata(), out);
        out.extend_from_slice(b",\"items\":[");
        for (n, item) in items.enumerate() {
            if n > 0 {
                out.push(b',');
            }
            match item.as_object().filter(|_| !kind.custom && self == Self::Whole) {
                // The items of a list of built-in objects do not say their type.
                Some(fields) => {
                    let rest: BTreeMap<_, _> =
                        fields.iter().filter(|(f, _)| !["apiVersion", "kind"].contains(&f.as_str())).collect();
                    let _ = serde_json::to_writer(&mut *out, &rest);
                }
                None => self.write(kind, item, true, out),
            }
        }
        out.extend_from_slice(b"]}");
    }
}

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

fn put(value: &Value, out: &mut Vec<u8>) {
    // Writing a tree of JSON into memory has no way to fail.
    let _ = serde_json::to_writer(out, value);
}

fn partial(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata") })
}

fn table<'a>(
    kind: &Kind,
    metadata: &Value,
    objects: impl Iterator<Item = &'a Value>,
    include: Include,
    headed: bool,
) -> Value {
    let age = Column {
        name: "Age".into(),
        kind: "date".into(),
        path: ".metadata.creationTimestamp".into(),
        format: String::new(),
        description: "Custom resource definition column (in JSONPath format): .metadata.creationTimestamp".into(),
        priority: 0,
    };
    let own = std::slice::from_ref(&age);
    let columns = if kind.columns.is_empty() { own } else { kind.columns.as_slice() };
    let mut definitions = vec![json!({
        "name": "Name", "type": "string", "format": "name", "description": NAME, "priority": 0,
    })];
    definitions.extend(
        columns
            .iter()
            .map(|c| json!({ "name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority })),
    );
    let rows: Vec<Value> = objects
        .map(|object| {
            let mut cells = vec![json!(metadata::text(object, "name"))];
            cells.extend(columns.iter().map(|c| cell(c, object)));
            let mut row = json!({ "cells": cells });
            match include {
                Include::Nothing => row["object"] = Value::Null,
                Include::Metadata => row["object"] = partial(object),
                Include::Object => row["object"] = object.clone(),
            }
            row
        })
        .collect();
    let mut table = json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata });
    table["columnDefinitions"] = json!(if headed { definitions } else { Vec::new() });
    table["rows"] = json!(rows);
    table
}

fn cell(column: &Column, object: &Value) -> Value {
    let path = column.path.trim_start_matches('.').split('.').filter(|p| !p.is_empty());
    let found = path.into_iter().try_fold(object, |at, part| at.get(part));
    match found {
        // The real server leaves the cell of an absent field null; kubectl prints that as nothing.
        None | Some(Value::Null) => Value::Null,
        Some(Value::String(text)) if column.kind == "date" => json!(age(text, jiff::Timestamp::now())),
        Some(Value::Number(n)) if column.kind == "integer" || column.kind == "number" => json!(n),
        Some(Value::String(text)) => json!(text),
        Some(other) => json!(other.to_string()),
    }
}

/// How long ago, as `duration.HumanDuration` of apimachinery says it.
fn age(then: &str, now: jiff::Timestamp) -> String {
    let Ok(then) = then.parse::<jiff::Timestamp>() else { return "<unknown>".into() };
    let seconds = (now.as_second() - then.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |big: i64, unit: &str, small: i64, rest: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{rest}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        _ => two(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_can_be_given_is_taken() {
        let form = |accept| Form::accepted(accept, "");
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Ok(Form::Table(Include::Metadata)));
        assert_eq!(form("application/vnd.kubernetes.protobuf,application/json"), Ok(Form::Whole));
        assert_eq!(form("application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io,*/*"), Ok(Form::Whole));
        assert_eq!(form(""), Ok(Form::Whole));
        assert_eq!(form("text/html").unwrap_err().code, 406);
    }

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        let now = jiff::Timestamp::from_second(100_000_000).unwrap();
        let ago = |s: i64| age(&jiff::Timestamp::from_second(100_000_000 - s).unwrap().to_string(), now);
        let said: Vec<String> = [5, 119, 150, 600, 3600, 10_860, 36_000, 180_000, 864_000].map(ago).into();
        assert_eq!(said, ["5s", "119s", "2m30s", "10m", "60m", "3h1m", "10h", "2d2h", "10d"]);
        assert_eq!(age("nonsense", now), "<unknown>");
    }
}
