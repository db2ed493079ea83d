//! Sessions as built: rows where they exist, otherwise the cluster's objects.
//!
//! A create writes a row, which reaches the cluster later. Updates and deletes are sent to the cluster only: an update
//! reaches the row with the status, a delete never does.
use super::errors::{failure, failure_because};
use crate::{
    api::{
        auth::Caller,
        error::Failure,
        extract::{Body, QueryParams},
        quota,
        resources::{DEFAULT_CPU, DEFAULT_MEMORY, RequestedResources},
        sessions::{find_template, is_valid_name},
        state::Api,
    },
    kinds::{Session as Object, session_name},
    link::found,
    quantity::{self, InvalidQuantity, InvalidResources},
    store::{NewSession, Session, StoreError},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value as Json_, json};
use std::sync::Arc;

fn not_found() -> Failure {
    failure(StatusCode::NOT_FOUND, "Session not found")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    user: String,
    template: Option<String>,
    resources: Option<RequestedResources>,
    persistent_home: Option<bool>,
    idle_timeout: Option<String>,
    max_session_duration: Option<String>,
}

/// Looks the template up first, so an unreachable cluster appears as a missing template; then checks the resources.
pub async fn create(
    State(api): State<Arc<Api>>,
    _: Caller,
    Body(create): Body<Create>,
) -> Result<(StatusCode, Json<Json_>), Failure> {
    let exceeded = quota::exceeded(&api, &create.user).await;
    let missing = || failure(StatusCode::BAD_REQUEST, "Missing required field");
    let name = create.template.filter(|template| !template.is_empty()).ok_or_else(missing)?;
    let found = find_template(&api, &name).await.map_err(|_| {
        let error = format!("Template not found: {name}. Please ensure the application is properly installed.");
        failure(StatusCode::BAD_REQUEST, &error)
    })?;
    let requested = create.resources.unwrap_or_default();
    let chosen = |requested: Option<String>, what: &str, otherwise: &str| {
        requested.or_else(|| found.spec.default_resources.get(what).cloned()).unwrap_or_else(|| otherwise.to_owned())
    };
    let (cpu, memory) = (chosen(requested.cpu, "cpu", DEFAULT_CPU), chosen(requested.memory, "memory", DEFAULT_MEMORY));
    check_resources(&cpu, &memory)
        .map_err(|error| failure_because(StatusCode::BAD_REQUEST, "Invalid resource request", error.to_string()))?;
    if let Some(message) = exceeded {
        return Err(failure_because(StatusCode::FORBIDDEN, "Quota exceeded", message));
    }
    let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
    let new = NewSession {
        name: session_name(&create.user, &name, u32::from_be_bytes([a, b, c, d])),
        user: create.user,
        template: name,
        namespace: api.namespace.clone(),
        cpu,
        memory,
        persistent_home: create.persistent_home.unwrap_or(true),
        idle_timeout: create.idle_timeout,
        max_session_duration: create.max_session_duration,
        tags: json!([]),
    };
    let (created, deliveries) = api.store.create_session(&new).await.map_err(|error| match error {
        StoreError::MissingReference(_) => {
            let why = "failed to get user limits: failed to get user: user not found";
            failure_because(StatusCode::FORBIDDEN, "Quota exceeded", why)
        }
        error => failure_because(StatusCode::INTERNAL_SERVER_ERROR, "Failed to create session", error.to_string()),
    })?;
    api.changes.notify(&created.name);
    api.dispatcher.send(deliveries);
    let mut body = session_json(&created, None);
    body["status"] = json!({ "phase": "Pending", "message": created.message });
    Ok((StatusCode::ACCEPTED, Json(body)))
}

const FORM: &str = "invalid resource quantity: quantities must match the regular expression \
                    '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

#[derive(Debug, thiserror::Error)]
enum ResourceError {
    #[error("invalid {0} quantity: {FORM}")]
    Malformed(&'static str),
    #[error("{resource} request too low: minimum {limit}")]
    TooLow { resource: &'static str, limit: &'static str },
    #[error("{resource} request too high: maximum {limit}")]
    TooHigh { resource: &'static str, limit: &'static str },
}

fn check_resources(cpu: &str, memory: &str) -> Result<(), ResourceError> {
    quantity::check_form(cpu, "1Gi").map_err(|_| ResourceError::Malformed("CPU"))?;
    quantity::check_form("1", memory).map_err(|_| ResourceError::Malformed("memory"))?;
    let out_of_range = |error: &InvalidResources, resource, min, max| match error.0[..] {
        [InvalidQuantity::BelowMinimum { .. }, ..] => ResourceError::TooLow { resource, limit: min },
        _ => ResourceError::TooHigh { resource, limit: max },
    };
    quantity::check(cpu, "1Gi").map_err(|error| out_of_range(&error, "CPU", "100m", "64000m"))?;
    quantity::check("1", memory).map_err(|error| out_of_range(&error, "memory", "128Mi", "512Gi"))
}

pub async fn list(State(api): State<Arc<Api>>, _: Caller, query: QueryParams) -> Result<Json<Json_>, Failure> {
    let sessions = api.store.sessions(query.get("user").as_deref()).await?;
    let listed: Vec<_> = sessions.iter().map(|session| session_json(session, None)).collect();
    Ok(Json(json!({ "total": listed.len(), "sessions": listed })))
}

/// The row, completed from the cluster; without a row the object, in another shape.
pub async fn read(State(api): State<Arc<Api>>, _: Caller, Path(name): Path<String>) -> Result<Json<Json_>, Failure> {
    let row = api.store.session(&name).await?;
    let incomplete = row.as_ref().is_none_or(|row| row.state.is_empty() || row.url.is_none());
    let object = if incomplete { object(&api, &name).await } else { None };
    match (row, object) {
        (Some(row), object) => Ok(Json(session_json(&row, object.as_ref()))),
        (None, Some(object)) => Ok(Json(object_json(&object, &api.namespace))),
        (None, None) => Err(not_found()),
    }
}

/// An unreachable cluster counts as having no object.
async fn object(api: &Api, name: &str) -> Option<Object> {
    if !is_valid_name(name) {
        return None;
    }
    found(objects(api).get(name)).await.ok().flatten()
}

fn objects(api: &Api) -> kube::Api<Object> {
    kube::Api::namespaced(api.client.clone(), &api.namespace)
}

fn session_json(row: &Session, object: Option<&Object>) -> Json_ {
    let status = object.and_then(|object| object.status.as_ref());
    json!({
        "name": row.name,
        "namespace": row.namespace,
        "user": row.user,
        "template": row.template,
        "state": row.state,
        "status": {
            "phase": status.and_then(|status| status.phase.clone()).unwrap_or_else(|| capitalized(&row.state)),
            "podName": status.map_or(&row.pod_name, |status| &status.pod_name),
            "url": status.map_or(&row.url, |status| &status.url),
        },
        "resources": { "cpu": row.cpu, "memory": row.memory },
        "persistentHome": row.persistent_home,
        "idleTimeout": row.idle_timeout,
        "maxSessionDuration": row.max_session_duration,
        "activeConnections": row.active_connections,
        "platform": row.platform,
        "createdAt": row.created_at,
    })
}

fn capitalized(state: &str) -> String {
    let mut letters = state.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

fn object_json(object: &Object, namespace: &str) -> Json_ {
    let status = object.status.clone().unwrap_or_default();
    json!({
        "name": object.name(),
        "namespace": namespace,
        "user": object.spec.user,
        "template": object.spec.template,
        "state": object.spec.state,
        "status": {
            "Phase": status.phase, "PodName": status.pod_name, "URL": status.url, "LastActivity": null,
            "ResourceUsage": { "Memory": "", "CPU": "" }, "Conditions": null,
        },
        "resources": { "cpu": object.request("cpu"), "memory": object.request("memory") },
        "persistentHome": object.spec.persistent_home,
        "idleTimeout": object.spec.idle_timeout,
        "maxSessionDuration": object.spec.max_session_duration,
        "tags": null,
        "activeConnections": 0,
        "createdAt": object.metadata.creation_timestamp,
    })
}

#[derive(Deserialize)]
pub struct Change {
    state: Option<String>,
}

pub async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    Body(change): Body<Change>,
) -> Result<(StatusCode, Json<Json_>), Failure> {
    let state = change.state.unwrap_or_default();
    match state.as_str() {
        "running" | "hibernated" => {}
        // treated as a delete
        "terminated" => return delete(State(api), caller, Path(name)).await,
        _ => {
            let error = "Invalid state. Must be: running, hibernated, or terminated";
            return Err(failure(StatusCode::BAD_REQUEST, error));
        }
    }
    object(&api, &name).await.ok_or_else(not_found)?;
    let patch = Patch::Merge(json!({ "spec": { "state": state } }));
    let changed = found(objects(&api).patch(&name, &PatchParams::default(), &patch)).await;
    changed.ok().flatten().ok_or_else(not_found)?;
    let message = "State change requested, waiting for controller";
    Ok((StatusCode::ACCEPTED, Json(json!({ "message": message, "name": name, "state": state }))))
}

pub async fn delete(
    State(api): State<Arc<Api>>,
    _: Caller,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Json_>), Failure> {
    object(&api, &name).await.ok_or_else(not_found)?;
    found(objects(&api).delete(&name, &DeleteParams::background())).await.ok().flatten().ok_or_else(not_found)?;
    let message = "Session deletion requested, waiting for controller";
    Ok((StatusCode::ACCEPTED, Json(json!({ "message": message, "name": name }))))
}

#[cfg(test)]
mod tests {
    use super::check_resources;

    #[test]
    fn words_resource_errors_as_built() {
        let message = |cpu, memory| check_resources(cpu, memory).unwrap_err().to_string();
        assert!(check_resources("100m", "128Mi").is_ok());
        assert!(
            message("abc", "128Mi")
                .starts_with("invalid CPU quantity: invalid resource quantity: quantities must match")
        );
        assert!(message("100m", "lots").starts_with("invalid memory quantity: "));
        assert_eq!(message("10m", "128Mi"), "CPU request too low: minimum 100m");
        assert_eq!(message("65000m", "128Mi"), "CPU request too high: maximum 64000m");
        assert_eq!(message("100m", "64Mi"), "memory request too low: minimum 128Mi");
        assert_eq!(message("100m", "600Gi"), "memory request too high: maximum 512Gi");
    }
}
