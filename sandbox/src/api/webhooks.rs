//! The webhook routes. The secret is generated here and returned once.
use super::{
    auth::Caller,
    error::Failure,
    extract::{Body, QueryParams},
    state::Api,
};
use crate::{
    defect::Defect,
    store::{NewWebhook, RetryPolicy, Webhook},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value as Json_, json};
use std::{collections::BTreeMap, sync::Arc};

/// The events that can be subscribed to.
const EVENTS: [&str; 5] =
    ["session.created", "session.started", "session.hibernated", "session.terminated", "session.failed"];

#[derive(Deserialize)]
pub struct Create {
    name: String,
    #[serde(default)]
    description: String,
    url: String,
    events: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    enabled: Option<bool>,
    #[serde(default)]
    retry_policy: RetryPolicy,
}

fn check(create: &Create) -> Result<(), Failure> {
    let invalid = |message: &str| Err(Failure::bad_request("invalid_webhook", message));
    if create.name.trim().is_empty() || create.name.chars().count() > 200 {
        return invalid("name must have 1 to 200 characters");
    }
    if create.description.chars().count() > 1000 {
        return invalid("description may have 1000 characters");
    }
    if [&create.name, &create.description, &create.url].iter().any(|text| text.contains('\0')) {
        return invalid("name, description and url may not contain a null character");
    }
    let url = reqwest::Url::parse(&create.url).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    if create.url.len() > 2048 || url.is_none() {
        return invalid("url must be an http or https address");
    }
    if create.events.is_empty() || create.events.len() > 50 {
        return invalid("events must name 1 to 50 events");
    }
    if create.events.iter().any(|event| !EVENTS.contains(&event.as_str())) {
        return invalid(&format!("events may be: {}", EVENTS.join(", ")));
    }
    // headers that the HTTP client sets
    let own = ["host", "content-length", "transfer-encoding", "connection"];
    let named = |name: &str| {
        axum::http::HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| !own.contains(&name.as_str()))
    };
    let valid = |value: &str| axum::http::HeaderValue::from_str(value).is_ok();
    if create.headers.len() > 50 || create.headers.iter().any(|(name, value)| !named(name) || !valid(value)) {
        return invalid("headers must be at most 50, with names and values that may be set");
    }
    let policy = create.retry_policy;
    if policy.max_retries > 20 {
        return invalid("retry_policy.max_retries may be 20");
    }
    if !(0.0..=86_400.0).contains(&policy.retry_delay_seconds) || !(0.0..=10.0).contains(&policy.backoff_multiplier) {
        return invalid("retry_policy.retry_delay_seconds may be 0 to 86400, backoff_multiplier 0 to 10");
    }
    Ok(())
}

fn webhook_json(webhook: &Webhook) -> Json_ {
    json!({
        "id": webhook.id, "name": webhook.name, "description": webhook.description, "url": webhook.url,
        "events": webhook.events, "headers": webhook.headers, "enabled": webhook.enabled,
        "retry_policy": webhook.retry_policy, "created_by": webhook.created_by, "created_at": webhook.created_at,
    })
}

fn require_operator(caller: &Caller) -> Result<(), Failure> {
    if ["admin", "operator"].contains(&caller.role.as_str()) { Ok(()) } else { Err(Failure::forbidden()) }
}

fn not_found() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "webhook_not_found", "Webhook not found")
}

pub async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(create): Body<Create>,
) -> Result<(StatusCode, Json<Json_>), Failure> {
    let created = insert_webhook(&api, &caller, create).await;
    let id = created.as_ref().map(|webhook| webhook.id.to_string()).unwrap_or_default();
    caller.record("create", "webhook", &id);
    let created = created?;
    if api.defects.has(Defect::AuditTellsWebhookSecret) {
        caller.trail.attach("response", json!({ "id": created.id, "secret": created.secret }));
    }
    let mut body = webhook_json(&created);
    body["secret"] = json!(created.secret);
    Ok((StatusCode::CREATED, Json(body)))
}

async fn insert_webhook(api: &Api, caller: &Caller, create: Create) -> Result<Webhook, Failure> {
    require_operator(caller)?;
    check(&create)?;
    let random = [*uuid::Uuid::new_v4().as_bytes(), *uuid::Uuid::new_v4().as_bytes()].concat();
    let random = if api.defects.has(Defect::WebhookOneSecret) { api.key.clone() } else { random };
    let no_creator = api.defects.has(Defect::WebhookCreateFails);
    let new = NewWebhook {
        name: create.name,
        description: create.description,
        url: create.url,
        secret: format!("whsec_{}", URL_SAFE_NO_PAD.encode(random)),
        events: create.events,
        headers: create.headers,
        enabled: create.enabled.unwrap_or(true),
        retry_policy: create.retry_policy,
        created_by: if no_creator { String::new() } else { caller.id.clone() },
    };
    Ok(api.store.create_webhook(&new).await?)
}

pub async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Json_>, Failure> {
    caller.record("list", "webhook", "");
    require_operator(&caller)?;
    let webhooks = api.store.webhooks().await?;
    Ok(Json(json!({ "webhooks": webhooks.iter().map(webhook_json).collect::<Vec<_>>(), "total": webhooks.len() })))
}

pub async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Json_>, Failure> {
    caller.record("delete", "webhook", &id);
    require_operator(&caller)?;
    let number: i64 = id.parse().map_err(|_| not_found())?;
    if api.store.delete_webhook(number).await? {
        Ok(Json(json!({ "message": "Webhook deleted", "id": number })))
    } else {
        Err(not_found())
    }
}

pub async fn deliveries(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    query: QueryParams,
) -> Result<Json<Json_>, Failure> {
    caller.record("list", "webhook_delivery", &id);
    require_operator(&caller)?;
    let id: i64 = id.parse().map_err(|_| not_found())?;
    let page = query.number("page", 1, 1_000_000)?;
    let size = query.number("page_size", 50, 500)?;
    let found = api.store.deliveries(id, (page - 1) * size, size).await?;
    let (deliveries, total) = found.ok_or_else(not_found)?;
    let pages = (total + size - 1) / size;
    Ok(Json(json!({
        "deliveries": deliveries, "page": page, "page_size": size, "total": total, "total_pages": pages,
    })))
}
