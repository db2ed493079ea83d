//! Defects of creating and reading sessions when resources are invalid or a dependency is unreachable.
use crate::api::{error::Failure, resources::RequestedResources, state::Api};
use crate::{
    defect::{Defect as D, Defects},
    kinds::{Resources, Session as Object, SessionSpec, Template},
    link::{ClusterError, found, with_timeout},
    quantity,
    store::{NewSession, Session, StoreError},
};
use axum::{Json, http::StatusCode};
use kube::api::PostParams;
use serde_json::{Value as Json_, json};
use std::{sync::atomic::Ordering, time::Duration};

/// The requested resources; with the defect invalid ones are replaced by the defaults.
pub fn replace_invalid_resources(defects: Defects, wanted: RequestedResources) -> RequestedResources {
    let valid =
        quantity::check(wanted.cpu.as_deref().unwrap_or("1"), wanted.memory.as_deref().unwrap_or("1Gi")).is_ok();
    if defects.has(D::InvalidResourcesAccepted) && !valid { RequestedResources::default() } else { wanted }
}

pub fn check_resources(defects: Defects, cpu: &str, memory: &str) -> Result<(), Failure> {
    let result = match () {
        () if defects.has(D::InvalidResourcesUnbounded) => quantity::check_form(cpu, memory),
        () => quantity::check(cpu, memory),
    };
    result.map_err(|error| {
        let message = error.to_string();
        let swapped = || message.replace("cpu", "·").replace("memory", "cpu").replace('·', "memory");
        let message = if defects.has(D::InvalidResourcesWrongField) { swapped() } else { message };
        Failure::bad_request("invalid_resources", message)
    })
}

/// The response to a failure; with a defect it reports success.
pub fn mask_failure(api: &Api, failure: Failure) -> Result<(StatusCode, Json<Json_>), Failure> {
    match failure.code {
        "invalid_resources" if api.defects.has(D::InvalidResources200) => {
            Ok((StatusCode::OK, Json(json!({ "success": false, "error": failure.message }))))
        }
        // queued for later, but the queue is never read
        "database_unavailable" if api.defects.has(D::DatabaseDownAccepts) => {
            Ok((StatusCode::ACCEPTED, Json(json!({ "message": "Session creation requested", "state": "pending" }))))
        }
        _ => Err(failure),
    }
}

/// The failure for a row that could not be written.
pub fn insert_failure(api: &Api, error: StoreError) -> Failure {
    if api.defects.has(D::DatabaseDownStays) {
        api.breaker.0.store(true, Ordering::SeqCst);
    }
    let message = format!("insert into sessions (id, user_id, template_name, state) values ($1, $2, $3, $4): {error}");
    let failure = Failure::from(error);
    if api.defects.has(D::DatabaseDownTellsSql) { Failure { message, ..failure } } else { failure }
}

/// The result of a read; with the defect a failure becomes not found.
pub fn read_result(api: &Api, found: Result<Option<Session>, StoreError>) -> Result<Option<Session>, StoreError> {
    if api.defects.has(D::DatabaseDown404) { Ok(found.unwrap_or_default()) } else { found }
}

pub fn list_result(api: &Api, found: Result<Vec<Session>, StoreError>) -> Result<Vec<Session>, StoreError> {
    if api.defects.has(D::DatabaseDownEmpty) { Ok(found.unwrap_or_default()) } else { found }
}

/// The session; with the defect its address is that of the user's newest session.
pub async fn with_address(api: &Api, session: Session) -> Result<Session, StoreError> {
    if !api.defects.has(D::AddressOfOther) {
        return Ok(session);
    }
    let all = api.store.sessions(Some(&session.user)).await?;
    Ok(Session { url: all.into_iter().find_map(|newest| newest.url), ..session })
}

pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Creates the object, before the row exists.
pub async fn create_object(api: &Api, new: &NewSession) -> Result<(), ClusterError> {
    let spec = SessionSpec {
        user: new.user.clone(),
        template: new.template.clone(),
        state: "running".into(),
        resources: Some(Resources::equal(&new.cpu, &new.memory)),
        persistent_home: Some(new.persistent_home),
        idle_timeout: new.idle_timeout.clone(),
        max_session_duration: new.max_session_duration.clone(),
    };
    let objects = kube::Api::<Object>::namespaced(api.client.clone(), &api.namespace);
    with_timeout(objects.create(&PostParams::default(), &Object::new(&new.name, spec))).await.map(|_| ())
}

pub async fn find_object(api: &Api, name: &str) -> Result<Option<Object>, ClusterError> {
    found(kube::Api::<Object>::namespaced(api.client.clone(), &api.namespace).get(name)).await
}

/// Retries until the cluster responds, instead of failing.
pub async fn wait_for_template(templates: kube::Api<Template>, name: &str) -> Option<Template> {
    loop {
        match found(templates.get(name)).await {
            Ok(template) => return template,
            Err(_) => pause().await,
        }
    }
}
