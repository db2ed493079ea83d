//! The batch routes: one wish for many sessions. Each stands for itself; what fails takes nothing back from the others.
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value as Json_, json};

use super::super::store::{Asked, StoreError};
use super::Api;
use super::auth::Caller;
use super::body::Body;
use super::error::Failure;
use super::sessions::possible;

const MOST: usize = 1000;

#[derive(Deserialize)]
pub struct Batch {
    sessions: Vec<String>,
}

#[derive(Clone, Copy)]
enum Wish {
    Hibernate,
    Wake,
    Delete,
}

impl Wish {
    fn action(self) -> &'static str {
        match self {
            Wish::Hibernate | Wish::Wake => "update",
            Wish::Delete => "delete",
        }
    }

    fn already(self) -> &'static str {
        match self {
            Wish::Hibernate => "Session already hibernated",
            Wish::Wake => "Session already running",
            Wish::Delete => NOT_FOUND,
        }
    }
}

const NOT_FOUND: &str = "Session not found";

type Answer = Result<Json<Json_>, Failure>;

pub async fn hibernate(State(api): State<Arc<Api>>, caller: Caller, Body(batch): Body<Batch>) -> Answer {
    perform(&api, &caller, &batch.sessions, Wish::Hibernate).await
}

pub async fn wake(State(api): State<Arc<Api>>, caller: Caller, Body(batch): Body<Batch>) -> Answer {
    perform(&api, &caller, &batch.sessions, Wish::Wake).await
}

pub async fn delete(State(api): State<Arc<Api>>, caller: Caller, Body(batch): Body<Batch>) -> Answer {
    perform(&api, &caller, &batch.sessions, Wish::Delete).await
}

async fn perform(api: &Api, caller: &Caller, names: &[String], wish: Wish) -> Answer {
    if names.is_empty() || names.len() > MOST {
        return Err(Failure::bad("invalid_batch", format!("sessions must name 1 to {MOST} sessions")));
    }
    let mut errors: Vec<Json_> = vec![];
    let mut outage: Option<StoreError> = None;
    for name in names {
        let error: Option<String> = match one(api, caller, name, wish).await {
            Ok(Asked::Noted(_)) => {
                api.wishes.changed(name);
                None
            }
            Ok(Asked::Already(_)) => Some(wish.already().into()),
            Ok(Asked::NotFound) => Some(NOT_FOUND.into()),
            Ok(Asked::Missing) => Some("Session is missing in the cluster; it can only be deleted".into()),
            Err(error) => {
                let failure = Failure::from(error.clone());
                outage = Some(error);
                Some(failure.message)
            }
        };
        caller.trail.note_item(wish.action(), "session", name, error.as_deref());
        if let Some(error) = error {
            errors.push(json!({ "name": name, "error": error }));
        }
    }
    if let (Some(outage), true) = (outage, errors.len() == names.len()) {
        return Err(outage.into());
    }
    Ok(Json(json!({
        "total": names.len(), "succeeded": names.len() - errors.len(), "failed": errors.len(), "errors": errors,
    })))
}

async fn one(api: &Api, caller: &Caller, name: &str, wish: Wish) -> Result<Asked, StoreError> {
    if !possible(name) {
        return Ok(Asked::NotFound);
    }
    match wish {
        Wish::Hibernate => api.store.ask_state(name, "hibernated", caller.owner()).await,
        Wish::Wake => api.store.ask_state(name, "running", caller.owner()).await,
        Wish::Delete => api.store.ask_delete(name, caller.owner()).await,
    }
}
