//! The formats in which objects are returned: full, metadata only, or as the table that `kubectl get` prints.
use super::{
    kinds::{Column, Kind},
    list::Listing,
    metadata,
    status::Refusal,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseFormat {
    Full,
    Metadata,
    Table(Include),
}

/// What a table row carries beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl ResponseFormat {
    /// The first supported format in the `Accept` header.
    ///
    /// # Errors
    /// 406 if no format is supported, 400 for an unknown `includeObject`.
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
            return Ok(Self::Full);
        }
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !["application/json", "application/*", "*/*"].contains(&media) {
                continue;
            }
            let parts: Vec<&str> = parts.collect();
            match parts.iter().find_map(|p| p.strip_prefix("as=")) {
                None => return Ok(Self::Full),
                Some("Table") if parts.contains(&"v=v1") => return Ok(Self::Table(include)),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") if parts.contains(&"v=v1") => {
                    return Ok(Self::Metadata);
                }
                Some(_) => {}
            }
        }
        Err(Refusal::not_acceptable())
    }

    /// Writes one object. `with_columns`: a table includes its column definitions (in a watch only the first event
    /// does).
    pub fn write(self, kind: &Kind, object: &Value, with_columns: bool, out: &mut Vec<u8>) {
        match self {
            Self::Full => write_json(object, out),
            Self::Metadata => write_json(&partial_metadata(object), out),
            Self::Table(include) => {
                let version = json!({ "resourceVersion": metadata::string(object, "resourceVersion") });
                write_json(&table(kind, &version, [object].into_iter(), include, with_columns), out);
            }
        }
    }

    /// Writes a list item by item, without building a second tree in memory.
    pub fn write_list(self, kind: &Kind, listing: &Listing, out: &mut Vec<u8>) {
        let items = listing.items.iter().map(|o| &**o);
        if let Self::Table(include) = self {
            return write_json(&table(kind, &listing.metadata(), items, include, true), out);
        }
        let (list_kind, version) = match self {
            Self::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
            _ => (format!("{}List", kind.kind), kind.api_version()),
        };
        out.extend_from_slice(b"{\"kind\":");
        write_json(&json!(list_kind), out);
        out.extend_from_slice(b",\"apiVersion\":");
        write_json(&json!(version), out);
        out.extend_from_slice(b",\"metadata\":");
        write_json(&listing.metadata(), out);
        out.extend_from_slice(b",\"items\":[");
        for (n, item) in items.enumerate() {
            if n > 0 {
                out.push(b',');
            }
            match item.as_object().filter(|_| !kind.custom && self == Self::Full) {
                // items of a built-in list have no `kind` and `apiVersion`
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

const NAME_DESCRIPTION: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

fn write_json(value: &Value, out: &mut Vec<u8>) {
    // writing JSON into memory cannot fail
    let _ = serde_json::to_writer(out, value);
}

fn partial_metadata(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata") })
}

fn table<'a>(
    kind: &Kind,
    metadata: &Value,
    objects: impl Iterator<Item = &'a Value>,
    include: Include,
    with_columns: bool,
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
        "name": "Name", "type": "string", "format": "name", "description": NAME_DESCRIPTION, "priority": 0,
    })];
    definitions.extend(
        columns
            .iter()
            .map(|c| json!({ "name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority })),
    );
    let rows: Vec<Value> = objects
        .map(|object| {
            let mut cells = vec![json!(metadata::string(object, "name"))];
            cells.extend(columns.iter().map(|c| cell(c, object)));
            let mut row = json!({ "cells": cells });
            match include {
                Include::Nothing => row["object"] = Value::Null,
                Include::Metadata => row["object"] = partial_metadata(object),
                Include::Object => row["object"] = object.clone(),
            }
            row
        })
        .collect();
    let mut table = json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata });
    table["columnDefinitions"] = json!(if with_columns { definitions } else { Vec::new() });
    table["rows"] = json!(rows);
    table
}

fn cell(column: &Column, object: &Value) -> Value {
    let path = column.path.trim_start_matches('.').split('.').filter(|p| !p.is_empty());
    let found = path.into_iter().try_fold(object, |at, part| at.get(part));
    match found {
        // the real server returns null for an absent field; kubectl prints nothing
        None | Some(Value::Null) => Value::Null,
        Some(Value::String(text)) if column.kind == "date" => json!(human_age(text, jiff::Timestamp::now())),
        Some(Value::Number(n)) if column.kind == "integer" || column.kind == "number" => json!(n),
        Some(Value::String(text)) => json!(text),
        Some(other) => json!(other.to_string()),
    }
}

/// A duration in the format of apimachinery's `duration.HumanDuration`.
fn human_age(then: &str, now: jiff::Timestamp) -> String {
    let Ok(then) = then.parse::<jiff::Timestamp>() else { return "<unknown>".into() };
    let seconds = (now.as_second() - then.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two_units = |big: i64, unit: &str, small: i64, rest: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{rest}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two_units(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two_units(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two_units(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        _ => two_units(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_supported_format() {
        let form = |accept| ResponseFormat::accepted(accept, "");
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Ok(ResponseFormat::Table(Include::Metadata)));
        assert_eq!(form("application/vnd.kubernetes.protobuf,application/json"), Ok(ResponseFormat::Full));
        assert_eq!(
            form("application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io,*/*"),
            Ok(ResponseFormat::Full)
        );
        assert_eq!(form(""), Ok(ResponseFormat::Full));
        assert_eq!(form("text/html").unwrap_err().code, 406);
    }

    #[test]
    fn formats_ages_like_kubectl() {
        let now = jiff::Timestamp::from_second(100_000_000).unwrap();
        let ago = |s: i64| human_age(&jiff::Timestamp::from_second(100_000_000 - s).unwrap().to_string(), now);
        let ages: Vec<String> = [5, 119, 150, 600, 3600, 10_860, 36_000, 180_000, 864_000].map(ago).into();
        assert_eq!(ages, ["5s", "119s", "2m30s", "10m", "60m", "3h1m", "10h", "2d2h", "10d"]);
        assert_eq!(human_age("nonsense", now), "<unknown>");
    }
}
