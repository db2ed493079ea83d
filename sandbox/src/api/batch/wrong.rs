//! How a batch goes wrong: the places where `batch` asks, each with the bugs that live there. None is on by default.
use super::{Api, Caller, End, NOT_FOUND, Wish};
use crate::{
    defect::{Defect as D, Defects},
    kinds::Session as Object,
    link::found,
    store::{NewSession, Session, SessionChange, StoreError},
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use kube::api::DeleteParams;
use serde_json::{Value as Json_, json};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The errors of the batch before, where they are kept by mistake.
#[derive(Default)]
pub struct Leftover(Mutex<Vec<Json_>>);

/// `select … where id in (…)` says nothing of names that have no row.
pub async fn looked_up(api: &Api, names: &[String]) -> Result<Vec<String>, StoreError> {
    if !api.defects.has(D::BatchDropsUnknown) {
        return Ok(names.to_vec());
    }
    let known: Vec<_> = api.store.sessions(None).await?.into_iter().map(|session| session.name).collect();
    Ok(names.iter().filter(|name| known.contains(name)).cloned().collect())
}

/// The sessions that the loop comes to.
pub fn reached(defects: Defects, names: &[String]) -> Vec<&String> {
    let count = names.len() - usize::from(defects.has(D::BatchSkipsLast) && !names.is_empty());
    // A closure that holds the loop's variable and not its value runs when that stands at the end.
    let captured = |name| if defects.has(D::BatchActsOnLast) { &names[names.len() - 1] } else { name };
    names[..count].iter().map(captured).collect()
}

/// What the sessions were, for those who look back.
pub async fn before(api: &Api, names: &[String]) -> Result<Vec<Session>, StoreError> {
    let mut before = vec![];
    if [D::BatchRollsBack, D::BatchPutsBack, D::BatchTouchesAlike].into_iter().any(|defect| api.defects.has(defect)) {
        for name in names {
            before.extend(api.store.session(name).await?);
        }
    }
    Ok(before)
}

/// In place of the right way.
pub async fn one(api: &Api, caller: &Caller, name: &str, wish: Wish) -> Option<Result<SessionChange, StoreError>> {
    match wish {
        _ if api.defects.has(D::BatchInDatabaseOnly) => Some(row_alone(api, name, wish).await),
        Wish::Delete if api.defects.has(D::BatchDeleteKeepsRow) => Some(object_alone(api, name).await),
        Wish::Delete if api.defects.has(D::BatchDeleteHibernates) => {
            Some(api.store.request_state(name, "hibernated", caller.owner()).await)
        }
        Wish::Hibernate if api.defects.has(D::BatchToggles) => Some(toggled(api, caller, name).await),
        _ if api.defects.has(D::BatchMakesUnknown) => made(api, caller, name).await,
        _ => None,
    }
}

async fn row_alone(api: &Api, name: &str, wish: Wish) -> Result<SessionChange, StoreError> {
    let Some(row) = api.store.session(name).await? else { return Ok(SessionChange::NotFound) };
    match wish {
        Wish::Hibernate if row.state == "hibernated" => return Ok(SessionChange::Unchanged(Box::new(row))),
        Wish::Wake if row.state == "running" => return Ok(SessionChange::Unchanged(Box::new(row))),
        Wish::Hibernate => write_state(api, &row, "hibernated", "Hibernated").await?,
        Wish::Wake => write_state(api, &row, "running", "Running").await?,
        Wish::Delete => api.store.delete_row(name).await?,
    }
    Ok(SessionChange::Recorded(Box::new(row)))
}

async fn write_state(api: &Api, row: &Session, state: &str, phase: &str) -> Result<(), StoreError> {
    api.store.overwrite_row(&Session { state: state.into(), phase: phase.into(), ..row.clone() }).await
}

async fn object_alone(api: &Api, name: &str) -> Result<SessionChange, StoreError> {
    let Some(row) = api.store.session(name).await? else { return Ok(SessionChange::NotFound) };
    let objects = kube::Api::<Object>::namespaced(api.client.clone(), &api.namespace);
    let gone = found(objects.delete(name, &DeleteParams::background())).await;
    gone.map(|_| SessionChange::Recorded(Box::new(row))).map_err(|error| StoreError::Refused(error.to_string()))
}

/// Asks for whatever it is not.
async fn toggled(api: &Api, caller: &Caller, name: &str) -> Result<SessionChange, StoreError> {
    let asked = api.store.request_state(name, "hibernated", caller.owner()).await?;
    if let SessionChange::Unchanged(_) = asked {
        api.store.request_state(name, "running", caller.owner()).await?;
        api.wishes.changed(name);
    }
    Ok(asked)
}

/// Saves what it did not find, as an upsert does.
async fn made(api: &Api, caller: &Caller, name: &str) -> Option<Result<SessionChange, StoreError>> {
    match api.store.session(name).await {
        Ok(None) => {}
        Ok(Some(_)) => return None,
        Err(error) => return Some(Err(error)),
    }
    let new = NewSession {
        name: name.to_owned(),
        user: caller.id.clone(),
        template: "unknown".into(),
        namespace: api.namespace.clone(),
        cpu: "100m".into(),
        memory: "128Mi".into(),
        persistent_home: false,
        idle_timeout: None,
        max_session_duration: None,
        tags: json!([]),
    };
    Some(api.store.create_session(&new).await.map(|_| SessionChange::NotFound))
}

/// What is still done, or undone, when all of the batch are through.
pub async fn afterwards(
    api: &Api,
    caller: &Caller,
    wish: Wish,
    ends: &[End],
    before: Vec<Session>,
) -> Result<(), StoreError> {
    let failed = ends.iter().any(|end| end.error.is_some());
    if failed && api.defects.has(D::BatchHangs) {
        // waits for as many successes as there were names
        std::future::pending::<()>().await;
    }
    if api.defects.has(D::BatchRollsBack) {
        for row in &before {
            if failed { api.store.overwrite_row(row).await? } else { api.wishes.changed(&row.name) }
        }
    }
    if api.defects.has(D::BatchTouchesAlike) {
        // `like 'firefox-%'`
        let family = |session: &Session| session.template.rsplit_once('-').map(|(start, _)| start.to_owned());
        let meant: Vec<_> = before.iter().filter_map(family).collect();
        for session in api.store.sessions(Some(&caller.id)).await? {
            if family(&session).is_some_and(|family| meant.contains(&family)) {
                super::one(api, caller, &session.name, wish).await?;
                api.wishes.changed(&session.name);
            }
        }
    }
    if let (true, Some(first)) = (api.defects.has(D::BatchPutsBack), before.into_iter().next()) {
        let (store, wishes) = (api.store.clone(), api.wishes.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(700)).await;
            store.request_state(&first.name, &first.desired, None).await.map(|_| wishes.changed(&first.name))
        });
    }
    Ok(())
}

/// The answer, in place of 200 and `right`.
pub fn answered(api: &Api, ends: &[End], right: Json_) -> Response {
    let (status, told) = told(api.defects, &api.leftover, ends, right);
    if api.defects.has(D::BatchAnswersText) {
        return (status, told.to_string()).into_response();
    }
    (status, Json(told)).into_response()
}

fn told(defects: Defects, leftover: &Leftover, ends: &[End], right: Json_) -> (StatusCode, Json_) {
    let failed = ends.iter().any(|end| end.error.is_some());
    let mut told = right;
    told["errors"] = errors(defects, leftover, ends);
    if defects.has(D::BatchCountsAttempts) {
        told["succeeded"] = json!(ends.len());
    }
    if defects.has(D::BatchCountsNothing) {
        // counted on a copy
        told = json!({ "total": 0, "succeeded": 0, "failed": 0, "errors": [] });
    }
    if defects.has(D::BatchTotalOmitsUnknown) {
        told["total"] = json!(ends.iter().filter(|end| end.error.as_deref() != Some(NOT_FOUND)).count());
    }
    if defects.has(D::BatchCountsAsText) {
        for count in ["total", "succeeded", "failed"] {
            told[count] = json!(told[count].to_string());
        }
    }
    let status = match () {
        () if defects.has(D::BatchAnswers202) => StatusCode::ACCEPTED,
        () if failed && defects.has(D::BatchAnswers207) => StatusCode::MULTI_STATUS,
        () if failed && defects.has(D::BatchAnswers422) => StatusCode::UNPROCESSABLE_ENTITY,
        () => StatusCode::OK,
    };
    (status, told)
}

fn errors(defects: Defects, leftover: &Leftover, ends: &[End]) -> Json_ {
    let mut listed: Vec<Json_> = vec![];
    for (n, end) in ends.iter().enumerate() {
        let Some(error) = end.error.as_deref() else {
            if defects.has(D::BatchErrorsListSuccess) {
                listed.push(super::listed(&end.name, ""));
            }
            continue;
        };
        let mut others = ends.iter().filter_map(|end| end.error.as_deref());
        let error = match others.find(|other| *other != error) {
            Some(other) if defects.has(D::BatchErrorsMixed) => other,
            _ => error,
        };
        let name = if defects.has(D::BatchErrorsWrongName) { &ends[n.saturating_sub(1)].name } else { &end.name };
        let entry = match () {
            () if defects.has(D::BatchErrorsAsStrings) => json!(format!("session {name}: {error}")),
            () if defects.has(D::BatchErrorsBlank) => super::listed(name, ""),
            () if defects.has(D::BatchErrorsCryptic) => super::listed(name, "E1062"),
            () if defects.has(D::BatchErrorsTrace) => super::listed(name, &format!("{error}\n\n{TRACE}")),
            () => super::listed(name, error),
        };
        listed.push(entry.clone());
        if defects.has(D::BatchErrorsTwice) {
            listed.push(entry);
        }
    }
    if defects.has(D::BatchErrorsEmpty) {
        listed.clear();
    }
    if defects.has(D::BatchErrorsStale) {
        let mut before = leftover.0.lock().unwrap_or_else(PoisonError::into_inner);
        listed = std::mem::replace(&mut *before, listed);
    }
    if defects.has(D::BatchErrorsNull) && listed.is_empty() { Json_::Null } else { listed.into() }
}

const TRACE: &str = "goroutine 412 [running]:
main.(*BatchHandler).hibernate(0xc0001f4000, {0xc00041a2a0, 0x1b})
\t/app/internal/handlers/batch.go:218 +0x2f4";

#[cfg(test)]
mod tests {
    use super::*;

    /// Of three one is not known.
    fn ends() -> Vec<End> {
        let end = |(name, error): (&str, Option<&str>)| End { name: name.into(), error: error.map(str::to_owned) };
        [("a", None), ("b", Some(NOT_FOUND)), ("c", None)].map(end).into()
    }

    fn told_with(defects: Defects) -> (u16, Json_) {
        let (status, told) = told(defects, &Leftover::default(), &ends(), crate::api::batch::told(3, &ends()));
        (status.as_u16(), told)
    }

    #[test]
    fn without_defects_the_answer_is_the_right_one() {
        let right = json!({ "total": 3, "succeeded": 2, "failed": 1, "errors": [{ "name": "b", "error": NOT_FOUND }] });
        assert_eq!(told_with(Defects::default()), (200, right));
    }

    #[test]
    fn each_defect_of_the_answer_changes_what_it_says_it_does_and_no_more() {
        let error = json!({ "name": "b", "error": NOT_FOUND });
        for (defect, field, value) in [
            (D::BatchCountsAttempts, "succeeded", json!(3)),
            (D::BatchTotalOmitsUnknown, "total", json!(2)),
            (D::BatchErrorsEmpty, "errors", json!([])),
            (D::BatchErrorsTwice, "errors", json!([error, error])),
            (D::BatchErrorsWrongName, "errors", json!([{ "name": "a", "error": NOT_FOUND }])),
            (D::BatchErrorsAsStrings, "errors", json!(["session b: Session not found"])),
            (D::BatchErrorsBlank, "errors", json!([{ "name": "b", "error": "" }])),
            (D::BatchErrorsCryptic, "errors", json!([{ "name": "b", "error": "E1062" }])),
            (D::BatchErrorsStale, "errors", json!([])),
            (
                D::BatchErrorsListSuccess,
                "errors",
                json!([{ "name": "a", "error": "" }, error, { "name": "c", "error": "" }]),
            ),
        ] {
            let mut expected = crate::api::batch::told(3, &ends());
            expected[field] = value;
            assert_eq!(told_with(Defects::default().with(defect)), (200, expected), "{}", defect.name());
        }
        for (defect, status) in [(D::BatchAnswers202, 202), (D::BatchAnswers207, 207), (D::BatchAnswers422, 422)] {
            assert_eq!(told_with(Defects::default().with(defect)).0, status);
        }
    }

    #[test]
    fn the_reasons_of_two_change_places() {
        let end = |(name, error): (&str, &str)| End { name: name.into(), error: Some(error.into()) };
        let ends: Vec<End> = [("a", NOT_FOUND), ("b", "Session already running")].map(end).into();
        let told = |defects: Defects| errors(defects, &Leftover::default(), &ends);
        let said = |told: Json_| [told[0]["error"].clone(), told[1]["error"].clone()];
        assert_eq!(said(told(Defects::default())), [NOT_FOUND, "Session already running"]);
        assert_eq!(said(told(Defects::default().with(D::BatchErrorsMixed))), ["Session already running", NOT_FOUND]);
    }

    #[test]
    fn a_turn_is_missed_or_taken_by_the_last() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let with = |defect| reached(Defects::default().with(defect), &names).into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(with(D::BatchSkipsLast), ["a", "b"]);
        assert_eq!(with(D::BatchActsOnLast), ["c", "c", "c"]);
        assert_eq!(reached(Defects::default(), &names), names.iter().collect::<Vec<_>>());
    }
}
