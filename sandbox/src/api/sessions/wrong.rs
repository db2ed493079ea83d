//! How a create or a read goes wrong when what it needs is impossible or away. None of it is on by default.
use super::{Api, Failure, Wanted};
use crate::{
    defect::{Defect as D, Defects},
    kinds::{Resources, Session as Object, SessionSpec, Template},
    link::{ClusterError, found, soon},
    quantity,
    store::{NewSession, Session, StoreError},
};
use axum::{Json, http::StatusCode};
use kube::api::PostParams;
use serde_json::{Value as Json_, json};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Spares a database that is away the creates that would ask it.
#[derive(Default)]
pub struct Breaker(AtomicBool);

impl Breaker {
    pub fn closed(&self) -> Result<(), Failure> {
        let open = || StoreError::Unavailable("the circuit breaker is open".into());
        if self.0.load(Ordering::SeqCst) { Err(open().into()) } else { Ok(()) }
    }
}

/// What is impossible is replaced.
pub fn corrected(defects: Defects, asked: Wanted) -> Wanted {
    let sound = quantity::check(asked.cpu.as_deref().unwrap_or("1"), asked.memory.as_deref().unwrap_or("1Gi")).is_ok();
    if defects.has(D::InvalidResourcesAccepted) && !sound { Wanted::default() } else { asked }
}

pub fn checked(defects: Defects, cpu: &str, memory: &str) -> Result<(), Failure> {
    let checked = match () {
        () if defects.has(D::InvalidResourcesUnbounded) => quantity::check_form(cpu, memory),
        () => quantity::check(cpu, memory),
    };
    checked.map_err(|wrong| {
        let swapped = || wrong.replace("cpu", "·").replace("memory", "cpu").replace('·', "memory");
        let message = if defects.has(D::InvalidResourcesWrongField) { swapped() } else { wrong };
        Failure::bad("invalid_resources", message)
    })
}

/// A failure answered as if it were none.
pub fn answered(api: &Api, failure: Failure) -> Result<(StatusCode, Json<Json_>), Failure> {
    match failure.code {
        "invalid_resources" if api.defects.has(D::InvalidResources200) => {
            Ok((StatusCode::OK, Json(json!({ "success": false, "error": failure.message }))))
        }
        // laid aside for later, and nobody looks there
        "database_unavailable" if api.defects.has(D::DatabaseDownAccepts) => {
            Ok((StatusCode::ACCEPTED, Json(json!({ "message": "Session creation requested", "state": "pending" }))))
        }
        _ => Err(failure),
    }
}

/// What becomes of a row that could not be written.
pub fn unwritten(api: &Api, error: StoreError) -> Failure {
    if api.defects.has(D::DatabaseDownStays) {
        api.breaker.0.store(true, Ordering::SeqCst);
    }
    let said = format!("insert into sessions (id, user_id, template_name, state) values ($1, $2, $3, $4): {error}");
    let failure = Failure::from(error);
    if api.defects.has(D::DatabaseDownTellsSql) { Failure { message: said, ..failure } } else { failure }
}

/// What could not be read is taken for what is not there.
pub fn looked_up(api: &Api, found: Result<Option<Session>, StoreError>) -> Result<Option<Session>, StoreError> {
    if api.defects.has(D::DatabaseDown404) { Ok(found.unwrap_or_default()) } else { found }
}

pub fn listed(api: &Api, found: Result<Vec<Session>, StoreError>) -> Result<Vec<Session>, StoreError> {
    if api.defects.has(D::DatabaseDownEmpty) { Ok(found.unwrap_or_default()) } else { found }
}

/// Its address is looked up by its user.
pub async fn addressed(api: &Api, session: Session) -> Result<Session, StoreError> {
    if !api.defects.has(D::AddressOfOther) {
        return Ok(session);
    }
    let all = api.store.sessions(Some(&session.user)).await?;
    Ok(Session { url: all.into_iter().find_map(|newest| newest.url), ..session })
}

pub async fn a_while() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// The session in the cluster, before there is a row.
pub async fn object(api: &Api, new: &NewSession) -> Result<(), ClusterError> {
    let spec = SessionSpec {
        user: new.user.clone(),
        template: new.template.clone(),
        state: "running".into(),
        resources: Some(Resources::exactly(&new.cpu, &new.memory)),
        persistent_home: Some(new.persistent_home),
        idle_timeout: new.idle_timeout.clone(),
        max_session_duration: new.max_session_duration.clone(),
    };
    let objects = kube::Api::<Object>::namespaced(api.client.clone(), &api.namespace);
    soon(objects.create(&PostParams::default(), &Object::new(&new.name, spec))).await.map(|_| ())
}

/// The session as the cluster has it.
pub async fn object_of(api: &Api, name: &str) -> Result<Option<Object>, ClusterError> {
    found(kube::Api::<Object>::namespaced(api.client.clone(), &api.namespace).get(name)).await
}

/// Asks until there is an answer.
pub async fn waited_for(templates: kube::Api<Template>, name: &str) -> Option<Template> {
    loop {
        match found(templates.get(name)).await {
            Ok(template) => return template,
            Err(_) => a_while().await,
        }
    }
}
