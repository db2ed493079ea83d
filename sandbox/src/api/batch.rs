//! The batch routes: one wish for many sessions. Each stands for itself; what fails takes nothing back from the others.
mod wrong;

use super::{Api, auth::Caller, body::Body, error::Failure, sessions::possible};
use crate::{
    defect::Defect,
    store::{SessionChange, StoreError},
};
use axum::{extract::State, response::Response};
use serde::Deserialize;
use serde_json::{Value as Json_, json};
use std::sync::Arc;
pub use wrong::Leftover;

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

type Answer = Result<Response, Failure>;

/// How it went with one session of a batch.
struct End {
    name: String,
    error: Option<String>,
}

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
    let names = &wrong::looked_up(api, names).await?[..];
    let before = wrong::before(api, names).await?;
    let mut ends: Vec<End> = vec![];
    let mut outage: Option<StoreError> = None;
    for name in wrong::reached(api.defects, names) {
        let error: Option<String> = match one(api, caller, name, wish).await {
            Ok(SessionChange::Recorded(_)) => {
                if !api.defects.has(Defect::BatchRollsBack) {
                    api.wishes.changed(name);
                }
                None
            }
            Ok(SessionChange::Unchanged(_)) if api.defects.has(Defect::BatchAlreadyIsSuccess) => None,
            Ok(SessionChange::Unchanged(_)) => Some(wish.already().into()),
            Ok(SessionChange::NotFound) => Some(NOT_FOUND.into()),
            Ok(SessionChange::Missing) => Some("Session is missing in the cluster; it can only be deleted".into()),
            Err(error) => {
                let failure = Failure::from(error.clone());
                outage = Some(error);
                Some(failure.message)
            }
        };
        caller.trail.note_item(wish.action(), "session", name, error.as_deref());
        let failed = error.is_some();
        ends.push(End { name: name.clone(), error });
        if failed && api.defects.has(Defect::BatchStopsAtFailure) {
            break;
        }
    }
    let failed = ends.iter().filter(|end| end.error.is_some()).count();
    if let (Some(outage), true) = (outage, failed == names.len()) {
        return Err(outage.into());
    }
    wrong::afterwards(api, caller, wish, &ends, before).await?;
    Ok(wrong::answered(api, &ends, told(names.len(), &ends)))
}

/// What the caller is told.
fn told(total: usize, ends: &[End]) -> Json_ {
    let errors: Vec<_> = ends.iter().filter_map(|end| Some(listed(&end.name, end.error.as_deref()?))).collect();
    json!({ "total": total, "succeeded": total - errors.len(), "failed": errors.len(), "errors": errors })
}

fn listed(name: &str, error: &str) -> Json_ {
    json!({ "name": name, "error": error })
}

async fn one(api: &Api, caller: &Caller, name: &str, wish: Wish) -> Result<SessionChange, StoreError> {
    if !possible(name) {
        return Ok(SessionChange::NotFound);
    }
    if let Some(asked) = wrong::one(api, caller, name, wish).await {
        return asked;
    }
    match wish {
        Wish::Hibernate => api.store.request_state(name, "hibernated", caller.owner()).await,
        Wish::Wake => api.store.request_state(name, "running", caller.owner()).await,
        Wish::Delete => api.store.request_delete(name, caller.owner()).await,
    }
}
