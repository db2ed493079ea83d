//! The tables `webhooks` and `webhook_deliveries`.
use super::{
    open::Store,
    sql::{Row, StoreError, Work},
};
use crate::defect::{Defect, Defects};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, time::Duration};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    pub max_retries: u32,
    #[serde(serialize_with = "integer_if_whole")]
    pub retry_delay_seconds: f64,
    #[serde(serialize_with = "integer_if_whole")]
    pub backoff_multiplier: f64,
}

/// Serialises 60.0 as 60, as clients sent it.
fn integer_if_whole<S: serde::Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    #[allow(clippy::cast_possible_truncation)]
    if number.fract() == 0.0 && number.abs() < 1e15 {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { max_retries: 3, retry_delay_seconds: 60.0, backoff_multiplier: 2.0 }
    }
}

#[derive(Debug, Clone)]
pub struct NewWebhook {
    pub name: String,
    pub description: String,
    pub url: String,
    pub secret: String,
    pub events: Vec<String>,
    pub headers: BTreeMap<String, String>,
    pub enabled: bool,
    pub retry_policy: RetryPolicy,
    pub created_by: String,
}

#[derive(Debug, Clone)]
pub struct Webhook {
    pub id: i64,
    pub name: String,
    pub description: String,
    pub url: String,
    pub secret: String,
    pub events: Vec<String>,
    pub headers: BTreeMap<String, String>,
    pub enabled: bool,
    pub retry_policy: RetryPolicy,
    pub created_by: Option<String>,
    pub created_at: Timestamp,
}

/// A delivery with its webhook, so that sending requires no database.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: i64,
    pub event: String,
    pub body: String,
    pub attempts: u32,
    pub webhook: Webhook,
}

/// The result of one attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub delivery: i64,
    pub attempts: u32,
    /// `pending`, `success` or `failed`
    pub status: &'static str,
    pub status_code: Option<u16>,
    pub response: Option<String>,
    pub error: Option<String>,
    pub next_retry_at: Option<Timestamp>,
    pub at: Timestamp,
}

/// A delivery as the API returns it.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryRecord {
    pub id: i64,
    pub webhook_id: i64,
    pub event: String,
    pub payload: Json,
    pub status: String,
    pub status_code: Option<i64>,
    pub response_body: Option<String>,
    pub error_message: Option<String>,
    pub attempts: i64,
    pub next_retry_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
}

const WEBHOOK_COLUMNS: &str = "w.id as webhook, w.name, w.description, w.url, w.secret, w.events, w.headers, w.enabled,
                       w.retry_policy, w.created_by, w.created_at as webhook_created_at";

fn webhook(row: &Row) -> Result<Webhook, StoreError> {
    fn decode<T: for<'a> Deserialize<'a> + Default>(json: Json) -> T {
        serde_json::from_value(json).unwrap_or_default()
    }
    Ok(Webhook {
        id: row.int("webhook")?,
        name: row.string("name")?,
        description: row.string("description")?,
        url: row.string("url")?,
        secret: row.string("secret")?,
        events: decode(row.json("events")?),
        headers: decode(row.json("headers")?),
        enabled: row.bool("enabled")?,
        retry_policy: decode(row.json("retry_policy")?),
        created_by: row.optional_string("created_by")?,
        created_at: row.time("webhook_created_at")?.unwrap_or_default(),
    })
}

/// Writes a delivery for each webhook that is subscribed to the event.
pub(super) async fn emit(
    work: &mut Work,
    defects: Defects,
    event: &str,
    data: Json,
) -> Result<Vec<Delivery>, StoreError> {
    // the lock keeps a concurrently deleted webhook from failing this transaction
    let lock = work.key_share_clause();
    let disabled_hear = defects.has(Defect::WebhookDisabledHears) || defects.has(Defect::WebhookDisabledHearsLate);
    let condition = if disabled_hear { "" } else { "where w.enabled = true" };
    let all_hear = defects.has(Defect::WebhookAllEvents) || defects.has(Defect::WebhookAllEventsLate);
    let mut skips = defects.has(Defect::WebhookSkipsOldest);
    let sql = format!("select {WEBHOOK_COLUMNS} from webhooks w {condition} order by w.id{lock}");
    let rows = work.rows(&sql, vec![]).await?;
    let now = Timestamp::now();
    let event_name = if defects.has(Defect::WebhookWrongEvent) { event.trim_end_matches('d') } else { event };
    let at = if defects.has(Defect::WebhookWrongZone) { now + Duration::from_secs(3600) } else { now };
    let oldest = match defects.has(Defect::WebhookOtherSession) || defects.has(Defect::WebhookLastPayload) {
        true => Some(oldest_of_same_user(work, data.clone()).await?),
        false => None,
    };
    let data = if defects.has(Defect::WebhookOtherSession) { oldest.clone().unwrap_or_default() } else { data };
    let mut payload =
        json!({ "event": event_name, "timestamp": format!("{at:.6}"), "data": payload_data(defects, data) });
    let body = payload.to_string();
    let mut deliveries = vec![];
    for row in rows {
        let webhook = webhook(&row)?;
        if !webhook.events.iter().any(|wanted| wanted == event) && !all_hear || std::mem::take(&mut skips) {
            continue;
        }
        let row = work
            .row(
                "insert into webhook_deliveries (webhook_id, event, payload, body, status, created_at)
                 values ($1, $2, $3, $4, 'pending', $5) returning id",
                vec![webhook.id.into(), event_name.into(), payload.clone().into(), (&body).into(), now.into()],
            )
            .await?;
        let id = row.map_or(Ok(0), |row| row.int("id"))?;
        deliveries.push(Delivery { id, event: event_name.to_owned(), body: body.clone(), attempts: 0, webhook });
    }
    if let (true, Some(oldest), [_, .., last]) = (defects.has(Defect::WebhookLastPayload), oldest, &mut deliveries[..])
    {
        payload["data"] = oldest;
        last.body = payload.to_string();
    }
    Ok(deliveries)
}

fn payload_data(defects: Defects, mut data: Json) -> Json {
    if defects.has(Defect::WebhookDefaultResources) {
        data["resources"] = json!({ "cpu": "1000m", "memory": "2Gi" });
    }
    if defects.has(Defect::WebhookWrongState) {
        data["state"] = json!("hibernated");
    }
    if defects.has(Defect::WebhookThin) { json!({ "name": data["name"] }) } else { data }
}

async fn oldest_of_same_user(work: &mut Work, data: Json) -> Result<Json, StoreError> {
    let sql = "select id, template_name, state from sessions where user_id = $1 order by created_at, id limit 1";
    let found = work.row(sql, vec![data["user"].as_str().unwrap_or_default().into()]).await?;
    let Some(row) = found else { return Ok(data) };
    let mut other = data;
    other["name"] = json!(row.string("id")?);
    other["template"] = json!(row.string("template_name")?);
    other["state"] = json!(row.string("state")?);
    Ok(other)
}

impl Store {
    pub async fn create_webhook(&self, new: &NewWebhook) -> Result<Webhook, StoreError> {
        let now = Timestamp::now();
        let mut work = self.db.write().await?;
        let row = work
            .row(
                "insert into webhooks (name, description, url, secret, events, headers, enabled, retry_policy, created_by,
                                       created_at, updated_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) returning id",
                vec![
                    (&new.name).into(),
                    (&new.description).into(),
                    (&new.url).into(),
                    (&new.secret).into(),
                    json!(new.events).into(),
                    json!(new.headers).into(),
                    new.enabled.into(),
                    json!(new.retry_policy).into(),
                    (&new.created_by).into(),
                    now.into(),
                ],
            )
            .await?;
        let id = row.map_or(Ok(0), |row| row.int("id"))?;
        if !self.defects.has(Defect::WebhookNotKept) {
            work.commit().await?;
        }
        let new = new.clone();
        Ok(Webhook {
            id,
            name: new.name,
            description: new.description,
            url: new.url,
            secret: new.secret,
            events: new.events,
            headers: new.headers,
            enabled: new.enabled,
            retry_policy: new.retry_policy,
            created_by: Some(new.created_by),
            created_at: now,
        })
    }

    pub async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        let mut work = self.db.read().await?;
        let removed = if self.defects.has(Defect::WebhookRemovedHears) { "where w.metadata is null" } else { "" };
        work.rows(&format!("select {WEBHOOK_COLUMNS} from webhooks w {removed} order by w.id"), vec![])
            .await?
            .iter()
            .map(webhook)
            .collect()
    }

    /// Deletes a webhook with its deliveries. False if it does not exist.
    pub async fn delete_webhook(&self, id: i64) -> Result<bool, StoreError> {
        let mut work = self.db.write().await?;
        let sql = if self.defects.has(Defect::WebhookRemovedHears) {
            "update webhooks set metadata = '{\"removed\": true}' where id = $1 and metadata is null"
        } else if self.defects.has(Defect::WebhookRemovesAlike) {
            "delete from webhooks where name = (select name from webhooks where id = $1)"
        } else {
            "delete from webhooks where id = $1"
        };
        let touched = work.execute(sql, vec![id.into()]).await?;
        work.commit().await?;
        Ok(touched > 0)
    }

    /// Defect: emits `session.created` when no session was created.
    pub async fn emit_wrongly(&self, data: Json) -> Result<Vec<Delivery>, StoreError> {
        let mut work = self.db.write().await?;
        let deliveries = emit(&mut work, self.defects, "session.created", data).await?;
        work.commit().await?;
        Ok(deliveries)
    }

    /// A page of the deliveries, newest first, and their total number; `None` if the webhook does not exist.
    pub async fn deliveries(
        &self,
        webhook: i64,
        offset: i64,
        limit: i64,
    ) -> Result<Option<(Vec<DeliveryRecord>, i64)>, StoreError> {
        let mut work = self.db.read().await?;
        if work.row("select id from webhooks where id = $1", vec![webhook.into()]).await?.is_none() {
            return Ok(None);
        }
        let count = work
            .row("select count(*) as n from webhook_deliveries where webhook_id = $1", vec![webhook.into()])
            .await?;
        let total = count.map_or(Ok(0), |row| row.int("n"))?;
        let rows = work
            .rows(
                "select id, webhook_id, event, payload, status, status_code, response_body, error_message, attempts,
                        next_retry_at, delivered_at, created_at
                 from webhook_deliveries where webhook_id = $1 order by id desc limit $2 offset $3",
                vec![webhook.into(), limit.into(), offset.into()],
            )
            .await?;
        let records = rows.iter().map(|row| {
            Ok(DeliveryRecord {
                id: row.int("id")?,
                webhook_id: row.int("webhook_id")?,
                event: row.string("event")?,
                payload: row.json("payload")?,
                status: row.string("status")?,
                status_code: row.optional_int("status_code")?,
                response_body: row.optional_string("response_body")?,
                error_message: row.optional_string("error_message")?,
                attempts: row.int("attempts")?,
                next_retry_at: row.time("next_retry_at")?,
                delivered_at: row.time("delivered_at")?,
                created_at: row.time("created_at")?,
            })
        });
        Ok(Some((records.collect::<Result<_, StoreError>>()?, total)))
    }

    /// Deliveries that an earlier process left pending.
    pub async fn pending_deliveries(&self) -> Result<Vec<Delivery>, StoreError> {
        let mut work = self.db.read().await?;
        let sql = format!(
            "select d.id, d.event, d.body, d.attempts, {WEBHOOK_COLUMNS}
             from webhook_deliveries d join webhooks w on w.id = d.webhook_id where d.status = 'pending' order by d.id"
        );
        let rows = work.rows(&sql, vec![]).await?;
        let deliveries = rows.iter().map(|row| {
            Ok(Delivery {
                id: row.int("id")?,
                event: row.string("event")?,
                body: row.string("body")?,
                attempts: u32::try_from(row.int("attempts")?).unwrap_or_default(),
                webhook: webhook(row)?,
            })
        });
        deliveries.collect()
    }

    /// Records an attempt. False if the webhook was deleted meanwhile, together with its deliveries.
    pub async fn record_attempt(&self, attempt: &Attempt) -> Result<bool, StoreError> {
        let mut work = self.db.write().await?;
        let touched = work
            .execute(
                "update webhook_deliveries set attempts = $2, status = $3, status_code = $4, response_body = $5,
                        error_message = $6, next_retry_at = $7, delivered_at = $8 where id = $1",
                vec![
                    attempt.delivery.into(),
                    i64::from(attempt.attempts).into(),
                    attempt.status.into(),
                    attempt.status_code.map(i64::from).into(),
                    attempt.response.as_deref().into(),
                    attempt.error.as_deref().into(),
                    attempt.next_retry_at.into(),
                    (attempt.status == "success").then_some(attempt.at).into(),
                ],
            )
            .await?;
        work.commit().await?;
        Ok(touched > 0)
    }
}
