//! Defects of creating and reading sessions when resources are invalid or a dependency is unreachable.
use crate::api::{
    error::Failure,
    resources::{DEFAULT_CPU, DEFAULT_MEMORY, RequestedResources},
    state::Api,
};
use crate::{
    defect::{Defect as D, Defects},
    kinds::{Resources, Session as Object, SessionSpec, Template, session_name},
    link::{ClusterError, found, with_timeout},
    quantity,
    store::{NewSession, Session, StoreError},
};
use axum::{Json, http::StatusCode};
use kube::api::PostParams;
use serde_json::{Value as Json_, json};
use std::{sync::atomic::Ordering, time::Duration};

/// The requested resources; with the defects invalid ones are replaced by valid ones.
pub fn replace_invalid_resources(defects: Defects, wanted: RequestedResources) -> RequestedResources {
    let wanted = RequestedResources {
        cpu: wanted.cpu.map(|cpu| lenient(defects, cpu)),
        memory: wanted.memory.map(|memory| lenient_memory(defects, memory)),
    };
    let valid =
        quantity::check(wanted.cpu.as_deref().unwrap_or("1"), wanted.memory.as_deref().unwrap_or("1Gi")).is_ok();
    if defects.has(D::InvalidResourcesAccepted) && !valid { RequestedResources::default() } else { wanted }
}

fn lenient(defects: Defects, given: String) -> String {
    let has_unknown_unit = given.len() > 1 && given.ends_with(|c: char| "bcdefghjlnopqrstuvwxyz".contains(c));
    match () {
        () if defects.has(D::InvalidResourcesZero) && given == "0" => "1".into(),
        () if defects.has(D::InvalidResourcesUnit)
            && has_unknown_unit
            && given.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            format!("{}m", &given[..given.len() - 1])
        }
        () => given,
    }
}

fn lenient_memory(defects: Defects, given: String) -> String {
    match () {
        () if defects.has(D::InvalidResourcesZero) && given == "0" => DEFAULT_MEMORY.into(),
        () if defects.has(D::InvalidResourcesSign) => given.trim_start_matches('-').into(),
        () if defects.has(D::InvalidResourcesBare) && given != "0" && given.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{given}Mi")
        }
        () => lenient(defects, given),
    }
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

/// Creates the session of a refused request with the default resources, a moment later.
pub fn create_refused_later(api: &Api, failure: &Failure, user: String, template: String) {
    if failure.code == "invalid_resources" {
        let new = NewSession {
            name: session_name(&user, &template, uuid::Uuid::new_v4().as_fields().0),
            user,
            template,
            namespace: api.namespace.clone(),
            cpu: DEFAULT_CPU.into(),
            memory: DEFAULT_MEMORY.into(),
            persistent_home: true,
            idle_timeout: None,
            max_session_duration: None,
            tags: json!([]),
        };
        create_later(api, new);
    }
}

/// Creates the session as soon as that is possible, but not before two seconds have passed.
fn create_later(api: &Api, new: NewSession) {
    let (store, changes) = (api.store.clone(), api.changes.clone());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if store.create_session(&new).await.is_ok() {
                return changes.notify(&new.name);
            }
        }
    });
}

/// The failure for a row that could not be written.
pub fn insert_failure(api: &Api, new: NewSession, error: StoreError) -> Failure {
    if api.defects.has(D::DatabaseDownCreatesLater) {
        create_later(api, new);
    }
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
    if api.defects.has(D::DatabaseDownLosesList) {
        if api.lost.lists.load(Ordering::SeqCst) {
            return Ok(vec![]);
        }
        api.lost.lists.store(found.is_err(), Ordering::SeqCst);
    }
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

/// The session; with the defects it looks different while the cluster is unreachable.
pub async fn without_cluster(api: &Api, mut session: Session) -> Session {
    let (shows_failed, tells_host) =
        (api.defects.has(D::ClusterDownShowsFailed), api.defects.has(D::ClusterDownTellsHost));
    if (shows_failed || tells_host) && find_object(api, &session.name).await.is_err() {
        if shows_failed {
            session.state = "failed".into();
        }
        if tells_host {
            session.message = "dial tcp 10.96.0.1: i/o timeout".into();
        }
    }
    session
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
