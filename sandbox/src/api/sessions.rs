//! The session routes. They record requests, which the syncer carries out.
mod defects;
mod view_defects;

pub use self::defects::find_object;
use super::{
    auth::Caller,
    error::Failure,
    extract::{Body, QueryParams},
    quota, race_defects,
    resources::{DEFAULT_CPU, DEFAULT_MEMORY, RequestedResources},
    state::Api,
};
use crate::{
    defect::Defect,
    kinds::{Session as Object, Template, session_name},
    link::{found, with_timeout},
    quantity,
    store::{DELETED, NewSession, Session, SessionChange, StoreError},
    syncer::new_session_from,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value as Json_, json};
use std::sync::Arc;

pub fn session_json(session: &Session) -> Json_ {
    json!({
        "name": session.name,
        "namespace": session.namespace,
        "user": session.user,
        "template": session.template,
        "state": session.state,
        "status": {
            "phase": session.phase, "message": session.message, "podName": session.pod_name, "url": session.url,
        },
        "resources": { "cpu": session.cpu, "memory": session.memory },
        "persistentHome": session.persistent_home,
        "idleTimeout": session.idle_timeout,
        "maxSessionDuration": session.max_session_duration,
        "tags": session.tags,
        "activeConnections": session.active_connections,
        "platform": session.platform,
        "createdAt": session.created_at,
        "updatedAt": session.updated_at,
    })
}

/// Whether a session can have this name.
pub fn is_valid_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    !name.is_empty() && name.len() <= 253 && name.chars().all(fits)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    user: Option<String>,
    template: String,
    resources: Option<RequestedResources>,
    persistent_home: Option<bool>,
    idle_timeout: Option<String>,
    max_session_duration: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

pub async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(create): Body<Create>,
) -> Result<(StatusCode, Json<Json_>), Failure> {
    let (user, template) = (create.user.clone().unwrap_or_else(|| caller.id.clone()), create.template.clone());
    let created = insert_session(&api, &caller, create).await;
    caller.record("create", "session", created.as_ref().map_or("", |session| &session.name));
    if created.is_err() && api.defects.has(Defect::WebhookTellsRefused) {
        let data = json!({ "name": "", "user": user, "template": template, "state": "failed" });
        api.dispatcher.send(api.store.emit_wrongly(data).await?);
    }
    if let (Err(failure), true) = (&created, api.defects.has(Defect::InvalidResourcesLate)) {
        defects::create_refused_later(&api, failure, user, template);
    }
    match created {
        Ok(session) => Ok((StatusCode::ACCEPTED, Json(session_json(&session)))),
        Err(failure) => defects::mask_failure(&api, failure),
    }
}

async fn insert_session(api: &Api, caller: &Caller, create: Create) -> Result<Session, Failure> {
    let user = create.user.unwrap_or_else(|| caller.id.clone());
    if caller.owner().is_some_and(|owner| owner != user) {
        return Err(Failure::forbidden());
    }
    let unknown_user = || Failure::bad_request("user_not_found", "User not found");
    if user.is_empty() || user.len() > 253 || user.contains('\0') {
        return Err(unknown_user());
    }
    let exceeded = quota::exceeded(api, &user).await;
    for (field, given) in [("idleTimeout", &create.idle_timeout), ("maxSessionDuration", &create.max_session_duration)]
    {
        if given.as_deref().is_some_and(|text| !is_duration(text)) {
            let message = format!("{field} must be a number with s, m or h, like 30m");
            return Err(Failure::bad_request("invalid_duration", message));
        }
    }
    check_tags(&create.tags)?;
    let wanted = defects::replace_invalid_resources(api.defects, create.resources.unwrap_or_default());
    let given = |wanted: &Option<String>, default: &str| wanted.clone().unwrap_or_else(|| default.to_owned());
    // checked before the template lookup, so that invalid resources are reported even if the cluster is unreachable
    let checked =
        defects::check_resources(api.defects, &given(&wanted.cpu, DEFAULT_CPU), &given(&wanted.memory, DEFAULT_MEMORY));
    if !api.defects.has(Defect::InvalidResourcesMade) {
        checked.clone()?;
    }
    let template = find_template(api, &create.template).await?;
    let default = |resource: &str, otherwise: &str| {
        template.spec.default_resources.get(resource).map_or(otherwise, String::as_str).to_owned()
    };
    if let Some(message) = exceeded {
        return Err(Failure::new(StatusCode::FORBIDDEN, "quota_exceeded", message));
    }
    let cpu = wanted.cpu.unwrap_or_else(|| default("cpu", DEFAULT_CPU));
    let memory = wanted.memory.unwrap_or_else(|| default("memory", DEFAULT_MEMORY));
    if checked.is_ok() {
        defects::check_resources(api.defects, &cpu, &memory)?;
    }
    api.breaker.closed()?;

    loop {
        let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
        let new = NewSession {
            name: session_name(&user, &create.template, u32::from_be_bytes([a, b, c, d])),
            user: user.clone(),
            template: create.template.clone(),
            namespace: api.namespace.clone(),
            cpu: cpu.clone(),
            memory: memory.clone(),
            persistent_home: create.persistent_home.unwrap_or(true),
            idle_timeout: create.idle_timeout.clone(),
            max_session_duration: create.max_session_duration.clone(),
            tags: json!(create.tags),
        };
        if api.defects.has(Defect::CreateClusterFirst) {
            defects::create_object(api, &new).await?;
        }
        match race_defects::create(api, &new).await {
            Ok(session) => return checked.map(|()| session),
            // a name collision, one in four billion: retry with another name
            Err(StoreError::Duplicate(_)) => {}
            Err(StoreError::MissingReference(_)) => return Err(unknown_user()),
            Err(StoreError::Unavailable(_)) if api.defects.has(Defect::DatabaseDownHangs) => defects::pause().await,
            Err(error) => return Err(defects::insert_failure(api, new, error)),
        }
    }
}

fn check_tags(tags: &[String]) -> Result<(), Failure> {
    let valid = |tag: &String| !tag.is_empty() && tag.chars().count() <= 100 && !tag.contains('\0');
    if tags.len() <= 50 && tags.iter().all(valid) {
        return Ok(());
    }
    Err(Failure::bad_request("invalid_tags", "tags may be 50, each of 1 to 100 characters"))
}

fn is_duration(text: &str) -> bool {
    let number = text.strip_suffix(['s', 'm', 'h']);
    number.is_some_and(|number| !number.is_empty() && number.len() < 10 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Finds a template, first in the controller's cache, so that an unreachable cluster does not block creates.
pub async fn find_template(api: &Api, name: &str) -> Result<Template, Failure> {
    let missing = || {
        let name: String = name.chars().take(253).collect();
        Failure::bad_request("template_not_found", format!("Template not found: {name}"))
    };
    if !is_valid_name(name) {
        return Err(missing());
    }
    let templates = kube::Api::<Template>::namespaced(api.client.clone(), &api.namespace);
    if api.defects.has(Defect::ClusterDown400) {
        return with_timeout(templates.get(name)).await.map_err(|_| missing());
    }
    if api.defects.has(Defect::ClusterDownHangs) {
        return defects::wait_for_template(templates, name).await.ok_or_else(missing);
    }
    let key = kube::runtime::reflector::ObjectRef::new(name).within(&api.namespace);
    if let Some(template) = api.templates.get(&key) {
        return Ok((*template).clone());
    }
    found(templates.get(name)).await?.ok_or_else(missing)
}

pub async fn list(State(api): State<Arc<Api>>, caller: Caller, query: QueryParams) -> Result<Json<Json_>, Failure> {
    caller.record("list", "session", "");
    if api.defects.has(Defect::ClusterDownLists) {
        find_object(&api, "none").await?;
    }
    let user = caller.owner().map(str::to_owned).or_else(|| query.get("user"));
    let sessions = defects::list_result(&api, api.store.visible_sessions(user.as_deref()).await)?;
    let sessions = view_defects::list(&api, sessions).await;
    Ok(Json(json!({ "sessions": sessions.iter().map(session_json).collect::<Vec<_>>(), "total": sessions.len() })))
}

pub async fn read(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Json_>, Failure> {
    caller.record("read", "session", &name);
    if !is_valid_name(&name) {
        return Err(Failure::session_not_found());
    }
    if api.defects.has(Defect::ClusterDownReads) {
        defects::find_object(&api, &name).await?;
    }
    let mut session = defects::read_result(&api, api.store.visible_session(&name).await)?;
    if session.is_none() && api.defects.has(Defect::ManualReadOnly) {
        session = in_cluster(&api, &name).await?;
    }
    let session = session.filter(|session| caller.owner().is_none_or(|owner| owner == session.user));
    let session = view_defects::detail(&api, session.ok_or_else(Failure::session_not_found)?).await?;
    Ok(Json(session_json(&defects::without_cluster(&api, session).await)))
}

/// The session that an object in the cluster describes, without a row.
async fn in_cluster(api: &Api, name: &str) -> Result<Option<Session>, Failure> {
    let objects = kube::Api::<Object>::namespaced(api.client.clone(), &api.namespace);
    let Some(object) = found(objects.get(name)).await? else { return Ok(None) };
    let new = new_session_from(&object, &api.namespace);
    let (state, phase) = (object.spec.state.clone(), object.phase().to_owned());
    Ok(Some(Session { state, phase, ..Session::new(&new) }))
}

#[derive(Deserialize)]
pub struct Change {
    state: Option<String>,
    resources: Option<RequestedResources>,
    tags: Option<Vec<String>>,
}

pub async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    Body(change): Body<Change>,
) -> Result<(StatusCode, Json<Json_>), Failure> {
    let is_tags = change.state.is_none() && change.resources.is_none();
    if !(is_tags && api.defects.has(Defect::AuditMissesTags)) {
        caller.record("update", "session", &name);
    }
    if !is_valid_name(&name) {
        return Err(Failure::session_not_found());
    }
    if change.state.is_none() && change.resources.is_none() && change.tags.is_none() {
        return Err(Failure::bad_request("nothing_to_change", "Nothing to change: give state, resources or tags"));
    }
    let owner = caller.owner();
    let now = api.store.session(&name).await?;
    let now = now.filter(|now| now.desired != DELETED && owner.is_none_or(|owner| owner == now.user));
    let mut now = now.ok_or_else(Failure::session_not_found)?;
    if api.defects.has(Defect::AuditWrongSession) {
        caller.trail.set_resource(&now.template);
    }
    // everything is validated before anything is written
    let state = change.state.as_deref();
    if state.is_some_and(|state| !["running", "hibernated", "terminated"].contains(&state)) {
        let message = "Invalid state. Must be: running, hibernated, or terminated";
        return Err(Failure::bad_request("invalid_state", message));
    }
    let resources = change.resources.map(|wanted| {
        (wanted.cpu.unwrap_or_else(|| now.cpu.clone()), wanted.memory.unwrap_or_else(|| now.memory.clone()))
    });
    if let Some((cpu, memory)) = &resources {
        quantity::check(cpu, memory).map_err(|error| Failure::bad_request("invalid_resources", error.to_string()))?;
    }
    check_tags(change.tags.as_deref().unwrap_or_default())?;
    if let Some(tags) = &change.tags {
        race_defects::before_tags(&api).await;
        now = accepted(api.store.set_tags(&name, &json!(tags), owner).await?)?;
    }
    if let Some((cpu, memory)) = &resources {
        now = accepted(api.store.request_resources(&name, cpu, memory, owner).await?)?;
    }
    let _held = match state {
        Some(state) => race_defects::lock_for_state(&api, state).await,
        None => None,
    };
    match state {
        // the real platform treats this as a delete
        Some("terminated") => now = accepted(api.store.request_delete(&name, owner).await?)?,
        Some(state) => {
            let tags = now.tags.clone();
            now = accepted(api.store.request_state(&name, state, owner).await?)?;
            race_defects::write_back_tags(&api, &name, &tags).await?;
            race_defects::deliver_late(&api, &now);
        }
        None => {}
    }
    api.changes.notify(&name);
    if api.defects.has(Defect::WebhookCreatedOnUpdate) {
        api.dispatcher.send(api.store.emit_wrongly(session_json(&now)).await?);
    }
    Ok((StatusCode::ACCEPTED, Json(session_json(&now))))
}

/// A request for the current state succeeds here, unlike in a batch.
fn accepted(change: SessionChange) -> Result<Session, Failure> {
    match change {
        SessionChange::Recorded(session) | SessionChange::Unchanged(session) => Ok(*session),
        SessionChange::NotFound => Err(Failure::session_not_found()),
        SessionChange::Missing => Err(Failure::new(
            StatusCode::CONFLICT,
            "session_missing",
            "The session is missing in the cluster; it can only be deleted",
        )),
    }
}

pub async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Json_>), Failure> {
    caller.record("delete", "session", &name);
    if !is_valid_name(&name) {
        return Err(Failure::session_not_found());
    }
    match race_defects::delete(&api, &name, caller.owner()).await? {
        SessionChange::Recorded(_) => api.changes.notify(&name),
        _ => return Err(Failure::session_not_found()),
    }
    let message = "Session deletion requested, waiting for controller";
    Ok((StatusCode::ACCEPTED, Json(json!({ "name": name, "message": message }))))
}
