//! CustomResourceDefinitions: validates them, and turns an accepted one into a `Kind`.
use super::{
    cause::Cause,
    kinds::{Column, Kind, builtin},
    metadata,
    names::{self, Naming},
    schema::Schema,
    status::Refusal,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// A finalizer that keeps a definition until its last object is deleted, as the real server does.
pub(super) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The kind that a stored definition describes; `None` if the definition was not accepted by `accept`.
pub(super) fn served_kind(definition: &Value) -> Option<Kind> {
    let spec = definition.get("spec")?;
    let names = spec.get("names")?;
    let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).map(str::to_owned);
    let version = spec.get("versions")?.as_array()?.iter().find(|v| v.get("served") == Some(&Value::Bool(true)))?;
    let kind = text(names, "kind")?;
    let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
    let columns = columns.into_iter().flatten().filter_map(|c| {
        let path = text(c, "jsonPath")?;
        let plain = || format!("Custom resource definition column (in JSONPath format): {path}");
        Some(Column {
            name: text(c, "name")?,
            kind: text(c, "type")?,
            format: text(c, "format").unwrap_or_default(),
            description: text(c, "description").unwrap_or_else(plain),
            priority: c.get("priority").and_then(Value::as_i64).unwrap_or_default(),
            path,
        })
    });
    let words = |field: &str| -> Vec<String> {
        let list = names.get(field).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|s| s.as_str().map(str::to_owned)).collect()
    };
    Some(Kind {
        group: text(spec, "group")?,
        version: text(version, "name")?,
        plural: text(names, "plural")?,
        singular: text(names, "singular").unwrap_or_else(|| kind.to_lowercase()),
        short_names: words("shortNames"),
        namespaced: text(spec, "scope")? == "Namespaced",
        status: version.get("subresources").and_then(|s| s.get("status")).is_some(),
        generation: true,
        custom: true,
        categories: words("categories"),
        naming: Naming::Subdomain,
        columns: columns.collect(),
        fields: &[],
        schema: Schema::read(version.pointer("/schema/openAPIV3Schema")?, "").ok().map(Arc::new),
        kind,
    })
}

/// Accepts a definition: validates it, sets the defaults of the real server and the conditions.
///
/// # Errors
/// 422 with a cause for each missing or invalid field, and for unsupported parts: built-in groups, schema features that
/// are not evaluated, and other than one served version (conversion is not supported).
pub(super) fn accept(kind: &Kind, definition: &mut Value, now: &str) -> Result<(), Refusal> {
    set_defaults(definition);
    let name = metadata::string(definition, "name").to_owned();
    let spec = definition.get("spec").cloned().unwrap_or_default();
    let at = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut causes = Vec::new();
    for pointer in ["/group", "/names/plural", "/names/kind", "/scope"] {
        if at(pointer).is_empty() {
            causes.push(Cause::required(&format!("spec{}", pointer.replace('/', ".")), ""));
        }
    }
    if causes.is_empty() {
        let expected = format!("{}.{}", at("/names/plural"), at("/group"));
        if name != expected {
            causes.push(Cause::invalid("metadata.name", &name, "must be spec.names.plural+\".\"+spec.group"));
        }
        if !["Namespaced", "Cluster"].contains(&at("/scope")) {
            let given = format!("{:?}", at("/scope"));
            causes.push(Cause::unsupported("spec.scope", &given, &["Cluster", "Namespaced"]));
        }
        if let Some(why) = names::name_error(Naming::Label1035, at("/names/plural")) {
            causes.push(Cause::invalid("spec.names.plural", at("/names/plural"), why));
        }
        if !at("/group").contains('.') {
            causes.push(Cause::invalid("spec.group", at("/group"), "should be a domain with at least one dot"));
        }
        if builtin().iter().any(|k| k.group == at("/group")) {
            causes.push(Cause::invalid("spec.group", at("/group"), "this group is built in"));
        }
    }
    let versions = spec.get("versions").and_then(Value::as_array).cloned().unwrap_or_default();
    let served = versions.iter().filter(|v| v.get("served") == Some(&Value::Bool(true))).count();
    if served != 1 {
        causes.push(Cause::invalid(
            "spec.versions",
            &served.to_string(),
            "the embedded API server serves exactly one version of a custom resource",
        ));
    }
    for (n, version) in versions.iter().enumerate() {
        match version.pointer("/schema/openAPIV3Schema") {
            None => {
                let field = format!("spec.versions[{n}].schema.openAPIV3Schema");
                causes.push(Cause::required(&field, ""));
            }
            // the real server stores a single version's schema under this path, and reports it so
            Some(written) => {
                let wrong = Schema::read(written, "spec.validation.openAPIV3Schema").err();
                causes.extend(wrong.into_iter().flatten());
            }
        }
    }
    if causes.is_empty() && served_kind(definition).is_none() {
        causes.push(Cause::required("spec.versions[0].name", ""));
    }
    if !causes.is_empty() {
        return Err(Refusal::invalid(kind, &name, causes));
    }
    let condition = |what: &str, reason: &str, message: &str| json!({ "type": what, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message });
    let stored: Vec<_> = versions.iter().filter(|v| v.get("storage") == Some(&Value::Bool(true))).collect();
    let status = json!({
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": spec.get("names"),
        "storedVersions": stored.iter().filter_map(|v| v.get("name")).collect::<Vec<_>>(),
    });
    if let Some(fields) = definition.as_object_mut() {
        fields.insert("status".into(), status);
    }
    Ok(())
}

/// Fills in the defaults that the real server sets in a definition.
fn set_defaults(definition: &mut Value) {
    let Some(spec) = definition.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("conversion").or_insert_with(|| json!({ "strategy": "None" }));
    let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) else { return };
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
    names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
}

/// Adds the `Terminating` condition to a definition.
pub(super) fn mark_terminating(definition: &mut Value, now: &str) {
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    let terminating = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": now,
        "reason": "InstanceDeletionPending", "message": message,
    });
    if let Some(conditions) = definition.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        conditions.push(terminating);
    }
}
