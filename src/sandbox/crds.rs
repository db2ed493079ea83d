//! The platform's kinds, for a cluster that does not know them yet: definitions, and making them if missing.
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value as Json, json};

use super::kinds::{GROUP, Session, Template, VERSION};
use super::link::{ClusterError, found, soon};

/// How long a cluster may take from a definition to serving it.
const ESTABLISHED: Duration = Duration::from_secs(20);

/// Returns when namespace and kinds are there.
pub async fn install(client: &Client, namespace: &str) -> Result<(), ClusterError> {
    let known = served(client, namespace).await?;
    let namespaces = Api::<Namespace>::all(client.clone());
    if found(namespaces.get(namespace)).await?.is_none() {
        let new: Namespace = serde_json::from_value(json!({ "metadata": { "name": namespace } })).expect("plain");
        made(namespaces.create(&PostParams::default(), &new)).await?;
    }
    if known {
        return Ok(());
    }
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in [session(), template()] {
        let new: CustomResourceDefinition = serde_json::from_value(definition).expect("written here");
        made(definitions.create(&PostParams::default(), &new)).await?;
    }
    let until = tokio::time::Instant::now() + ESTABLISHED;
    while !served(client, namespace).await? {
        if tokio::time::Instant::now() >= until {
            return Err(ClusterError::Silent);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn served(client: &Client, namespace: &str) -> Result<bool, ClusterError> {
    let one = ListParams::default().limit(1);
    let sessions = found(Api::<Session>::namespaced(client.clone(), namespace).list(&one)).await?;
    let templates = found(Api::<Template>::namespaced(client.clone(), namespace).list(&one)).await?;
    Ok(sessions.is_some() && templates.is_some())
}

/// Somebody else who was quicker is as good.
async fn made<T>(request: impl Future<Output = kube::Result<T>>) -> Result<(), ClusterError> {
    match soon(request).await {
        Err(error) if error.status() != Some(409) => Err(error),
        _ => Ok(()),
    }
}

fn definition(kind: &str, plural: &str, short: &[&str], columns: Json, spec: Json, status: Json) -> Json {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{GROUP}") },
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "names": { "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                       "singular": kind.to_lowercase(), "shortNames": short },
            "versions": [{
                "name": VERSION, "served": true, "storage": true, "subresources": { "status": {} },
                "additionalPrinterColumns": columns,
                "schema": { "openAPIV3Schema": {
                    "type": "object", "required": ["spec"], "properties": { "spec": spec, "status": status },
                } },
            }],
        },
    })
}

fn column(name: &str, path: &str, kind: &str) -> Json {
    json!({ "name": name, "jsonPath": path, "type": kind })
}

fn name() -> Json {
    json!({ "type": "string", "minLength": 1, "maxLength": 253,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" })
}

fn session() -> Json {
    let text = json!({ "type": "string" });
    let length = json!({ "type": "string", "pattern": "^[0-9]+(s|m|h)$" });
    let quantities = json!({ "type": "object", "properties": { "cpu": text, "memory": text } });
    let columns = json!([
        column("User", ".spec.user", "string"),
        column("Template", ".spec.template", "string"),
        column("State", ".spec.state", "string"),
        column("Phase", ".status.phase", "string"),
        column("Age", ".metadata.creationTimestamp", "date"),
    ]);
    let spec = json!({
        "type": "object", "required": ["user", "template", "state"],
        "properties": {
            "user": name(), "template": name(),
            "state": { "type": "string", "enum": ["running", "hibernated", "terminated"] },
            "resources": { "type": "object", "properties": { "requests": quantities, "limits": quantities } },
            "persistentHome": { "type": "boolean", "default": true },
            "idleTimeout": length, "maxSessionDuration": length,
        },
    });
    let status = json!({
        "type": "object",
        "properties": {
            "phase": { "type": "string", "enum": ["Pending", "Running", "Hibernated", "Failed", "Terminated"] },
            "podName": text, "url": text, "lastActivity": { "type": "string", "format": "date-time" },
            "resourceUsage": quantities,
            "conditions": { "type": "array", "items": {
                "type": "object", "required": ["type", "status"],
                "properties": {
                    "type": text, "status": text, "reason": text, "message": text,
                    "lastTransitionTime": { "type": "string", "format": "date-time" },
                },
            } },
        },
    });
    definition("Session", "sessions", &["ss"], columns, spec, status)
}

fn template() -> Json {
    let text = json!({ "type": "string" });
    let columns = json!([
        column("Display Name", ".spec.displayName", "string"),
        column("Image", ".spec.baseImage", "string"),
        column("Valid", ".status.valid", "boolean"),
        column("Age", ".metadata.creationTimestamp", "date"),
    ]);
    let loose = json!({ "type": "array", "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    let spec = json!({
        "type": "object", "required": ["displayName", "baseImage"],
        "properties": {
            "displayName": text, "baseImage": text, "description": text, "category": text, "icon": text,
            "defaultResources": { "type": "object", "properties": { "cpu": text, "memory": text } },
            "ports": loose, "env": loose, "volumeMounts": loose,
            "vnc": { "type": "object", "properties": {
                "enabled": { "type": "boolean", "default": true }, "port": { "type": "integer", "default": 3000 },
            } },
            "capabilities": { "type": "array", "items": text },
            "tags": { "type": "array", "items": text },
        },
    });
    let status = json!({ "type": "object", "properties": { "valid": { "type": "boolean" }, "message": text } });
    definition("Template", "templates", &["tpl"], columns, spec, status)
}
