//! Defects after a batch, and in its response.
use super::{
    apply, other_defects,
    result::{BatchOperation, ItemResult, NOT_FOUND, error_json},
};
use crate::{
    api::{
        auth::Caller,
        state::{Api, PreviousErrors},
    },
    defect::{Defect as D, Defects},
    store::{Session, StoreError},
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value as Json_, json};
use std::{sync::PoisonError, time::Duration};

/// Defects that act after all sessions were processed.
pub async fn after_batch(
    api: &Api,
    caller: &Caller,
    operation: BatchOperation,
    results: &[ItemResult],
    before: Vec<Session>,
) -> Result<(), StoreError> {
    other_defects::act_on_others(api, caller, operation, results).await?;
    other_defects::act_later(api, caller, results, &before);
    let failed = results.iter().any(|item| item.error.is_some());
    if failed && api.defects.has(D::BatchHangs) {
        // like a handler that waits for as many successes as there are names
        std::future::pending::<()>().await;
    }
    if api.defects.has(D::BatchRollsBack) {
        for row in &before {
            if failed { api.store.overwrite_row(row).await? } else { api.changes.notify(&row.name) }
        }
    }
    if api.defects.has(D::BatchTouchesAlike) {
        // finds sessions by `like 'firefox-%'`
        let family = |session: &Session| session.template.rsplit_once('-').map(|(start, _)| start.to_owned());
        let families: Vec<_> = before.iter().filter_map(family).collect();
        for session in api.store.sessions(Some(&caller.id)).await? {
            if family(&session).is_some_and(|family| families.contains(&family)) {
                apply::apply(api, caller, &session.name, operation).await?;
                api.changes.notify(&session.name);
            }
        }
    }
    if let (true, Some(first)) = (api.defects.has(D::BatchPutsBack), before.into_iter().next()) {
        let (store, changes) = (api.store.clone(), api.changes.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(700)).await;
            store.request_state(&first.name, &first.desired, None).await.map(|_| changes.notify(&first.name))
        });
    }
    Ok(())
}

/// The response with status and body as the defects change them.
pub fn respond(api: &Api, results: &[ItemResult], right: Json_) -> Response {
    let (status, body) = apply_defects(api.defects, &api.previous_errors, results, right);
    if api.defects.has(D::BatchAnswersText) {
        return (status, body.to_string()).into_response();
    }
    (status, Json(body)).into_response()
}

fn apply_defects(
    defects: Defects,
    previous: &PreviousErrors,
    results: &[ItemResult],
    right: Json_,
) -> (StatusCode, Json_) {
    let failed = results.iter().any(|item| item.error.is_some());
    let mut body = right;
    body["errors"] = errors(defects, previous, results);
    if defects.has(D::BatchCountsAttempts) {
        body["succeeded"] = json!(results.len());
    }
    if defects.has(D::BatchCountsNothing) {
        // the counters are those of a copy
        body = json!({ "total": 0, "succeeded": 0, "failed": 0, "errors": [] });
    }
    if defects.has(D::BatchTotalOmitsUnknown) {
        body["total"] = json!(results.iter().filter(|item| item.error.as_deref() != Some(NOT_FOUND)).count());
    }
    if defects.has(D::BatchCountsAsText) {
        for count in ["total", "succeeded", "failed"] {
            body[count] = json!(body[count].to_string());
        }
    }
    let status = match () {
        () if defects.has(D::BatchAnswers202) => StatusCode::ACCEPTED,
        () if failed && defects.has(D::BatchAnswers207) => StatusCode::MULTI_STATUS,
        () if failed && defects.has(D::BatchAnswers422) => StatusCode::UNPROCESSABLE_ENTITY,
        () => StatusCode::OK,
    };
    (status, body)
}

fn errors(defects: Defects, previous: &PreviousErrors, results: &[ItemResult]) -> Json_ {
    let mut entries: Vec<Json_> = vec![];
    for (n, item) in results.iter().enumerate() {
        let Some(error) = item.error.as_deref() else {
            if defects.has(D::BatchErrorsListSuccess) {
                entries.push(error_json(&item.name, ""));
            }
            continue;
        };
        let mut others = results.iter().filter_map(|item| item.error.as_deref());
        let error = match others.find(|other| *other != error) {
            Some(other) if defects.has(D::BatchErrorsMixed) => other,
            _ => error,
        };
        let name = if defects.has(D::BatchErrorsWrongName) { &results[n.saturating_sub(1)].name } else { &item.name };
        let entry = match () {
            () if defects.has(D::BatchErrorsCutName) => error_json(&name.chars().take(20).collect::<String>(), error),
            () if defects.has(D::BatchErrorsAsStrings) => json!(format!("session {name}: {error}")),
            () if defects.has(D::BatchErrorsBlank) => error_json(name, ""),
            () if defects.has(D::BatchErrorsCryptic) => error_json(name, "E1062"),
            () if defects.has(D::BatchErrorsTrace) => error_json(name, &format!("{error}\n\n{TRACE}")),
            () => error_json(name, error),
        };
        entries.push(entry.clone());
        if defects.has(D::BatchErrorsTwice) {
            entries.push(entry);
        }
    }
    if defects.has(D::BatchFirstError) {
        entries.truncate(1);
    }
    if let (true, Some(last)) = (defects.has(D::BatchErrorsOther), results.last()) {
        entries.push(error_json(&format!("{}-other", last.name), NOT_FOUND));
    }
    if defects.has(D::BatchErrorsEmpty) {
        entries.clear();
    }
    if defects.has(D::BatchErrorsStale) {
        let mut before = previous.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries = std::mem::replace(&mut *before, entries);
    }
    if defects.has(D::BatchErrorsNull) && entries.is_empty() { Json_::Null } else { entries.into() }
}

const TRACE: &str = "goroutine 412 [running]:
main.(*BatchHandler).hibernate(0xc0001f4000, {0xc00041a2a0, 0x1b})
\t/app/internal/handlers/batch.go:218 +0x2f4";

#[cfg(test)]
mod tests {
    use super::*;

    /// Three sessions, one of them unknown.
    fn results() -> Vec<ItemResult> {
        let item =
            |(name, error): (&str, Option<&str>)| ItemResult { name: name.into(), error: error.map(str::to_owned) };
        [("a", None), ("b", Some(NOT_FOUND)), ("c", None)].map(item).into()
    }

    fn response_with(defects: Defects) -> (u16, Json_) {
        let (status, body) = apply_defects(
            defects,
            &PreviousErrors::default(),
            &results(),
            crate::api::batch::result::result_json(3, &results()),
        );
        (status.as_u16(), body)
    }

    #[test]
    fn responds_correctly_without_defects() {
        let right = json!({ "total": 3, "succeeded": 2, "failed": 1, "errors": [{ "name": "b", "error": NOT_FOUND }] });
        assert_eq!(response_with(Defects::default()), (200, right));
    }

    #[test]
    fn each_response_defect_changes_one_field() {
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
            (D::BatchErrorsOther, "errors", json!([error, { "name": "c-other", "error": NOT_FOUND }])),
            (
                D::BatchErrorsListSuccess,
                "errors",
                json!([{ "name": "a", "error": "" }, error, { "name": "c", "error": "" }]),
            ),
        ] {
            let mut expected = crate::api::batch::result::result_json(3, &results());
            expected[field] = value;
            assert_eq!(response_with(Defects::default().with(defect)), (200, expected), "{}", defect.name());
        }
        for (defect, status) in [(D::BatchAnswers202, 202), (D::BatchAnswers207, 207), (D::BatchAnswers422, 422)] {
            assert_eq!(response_with(Defects::default().with(defect)).0, status);
        }
    }

    #[test]
    fn shortens_the_list_of_errors_or_their_names() {
        let item = |name: &str| ItemResult { name: name.into(), error: Some(NOT_FOUND.into()) };
        let results: Vec<ItemResult> = ["a-name-of-more-than-twenty-characters", "b"].map(item).into();
        let list = |defects: Defects| errors(defects, &PreviousErrors::default(), &results);
        assert_eq!(list(Defects::default().with(D::BatchFirstError)).as_array().map(Vec::len), Some(1));
        assert_eq!(list(Defects::default().with(D::BatchErrorsCutName))[0]["name"], "a-name-of-more-than-");
    }

    #[test]
    fn mixes_up_the_reasons_of_two_errors() {
        let item = |(name, error): (&str, &str)| ItemResult { name: name.into(), error: Some(error.into()) };
        let results: Vec<ItemResult> = [("a", NOT_FOUND), ("b", "Session already running")].map(item).into();
        let list = |defects: Defects| errors(defects, &PreviousErrors::default(), &results);
        let reasons = |listed: Json_| [listed[0]["error"].clone(), listed[1]["error"].clone()];
        assert_eq!(reasons(list(Defects::default())), [NOT_FOUND, "Session already running"]);
        assert_eq!(reasons(list(Defects::default().with(D::BatchErrorsMixed))), ["Session already running", NOT_FOUND]);
    }
}
