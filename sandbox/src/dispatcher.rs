//! The webhook dispatcher: signs, sends and retries deliveries.
//!
//! The dispatcher keeps a delivery in memory until it succeeds or is given up, so an unreachable database delays only
//! the record.
mod attempt;
mod defects;

use self::{
    attempt::AttemptResult,
    defects::{Memory, classify},
};
use super::{
    defect::{Defect, Defects},
    delays::Delays,
    link::{Backoff, error_chain},
    log::Log,
    store::{Attempt, Delivery, RetryPolicy, Store, StoreError},
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Timeout for an endpoint's response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit of concurrent requests.
const MAX_CONCURRENT_REQUESTS: usize = 64;
/// Limit of the recorded part of a response.
const MAX_RECORDED_BYTES: usize = 1024;
const MAX_DELAY_SECONDS: f64 = 24.0 * 3600.0;

#[derive(Clone)]
pub struct Dispatcher {
    inbox: mpsc::UnboundedSender<Vec<Delivery>>,
}

impl Dispatcher {
    /// Queues deliveries and returns at once.
    pub fn send(&self, deliveries: Vec<Delivery>) {
        if !deliveries.is_empty() {
            // no receiver means shutdown; the next process finds them pending in the database
            let _ = self.inbox.send(deliveries);
        }
    }
}

struct Sender {
    store: Store,
    defects: Defects,
    delays: Delays,
    log: Log,
    http: reqwest::Client,
    permits: Semaphore,
    memory: Memory,
}

pub fn start(
    store: Store,
    defects: Defects,
    delays: Delays,
    log: Log,
    pending: Vec<Delivery>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Dispatcher, reqwest::Error> {
    let http = reqwest::Client::builder()
        .timeout(RESPONSE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent("StreamSpace-Webhook/1.0")
        .build()?;
    let (permits, memory) = (Semaphore::new(MAX_CONCURRENT_REQUESTS), Memory::default());
    let sender = Arc::new(Sender { store, defects, delays, log, http, permits, memory });
    let (inbox, mut arrivals) = mpsc::unbounded_channel::<Vec<Delivery>>();
    let dispatcher = Dispatcher { inbox };
    dispatcher.send(pending);
    let (tracker, stop) = (tasks.clone(), stop.clone());
    tasks.spawn(async move {
        loop {
            let deliveries = tokio::select! {
                () = stop.cancelled() => return,
                arrived = arrivals.recv() => arrived,
            };
            let Some(deliveries) = deliveries else { return };
            for delivery in sender.memory.accepted(sender.defects, deliveries) {
                let (worker, stop) = (sender.clone(), stop.clone());
                let ended = tracker.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = worker.deliver(delivery) => {}
                    }
                });
                if sender.defects.has(Defect::WebhookOneByOne) {
                    let _ = ended.await;
                }
            }
        }
    });
    Ok(dispatcher)
}

impl Sender {
    async fn deliver(&self, mut delivery: Delivery) {
        defects::wait_before(self.defects, &delivery).await;
        let mut once_more = self.defects.has(Defect::WebhookRetriesSuccess);
        for attempts in delivery.attempts + 1.. {
            if attempts > 1 && self.defects.has(Defect::WebhookRetryChanges) {
                delivery.body = with_attempt(&delivery.body, attempts);
            }
            let signature = self.signature(&delivery, attempts).await;
            let result = self.attempt(&delivery, attempts, &signature).await;
            let at = Timestamp::now();
            let policy = &delivery.webhook.retry_policy;
            let mut wait = next_delay(self.defects, policy, attempts, &result);
            if attempts > 1 && matches!(result, AttemptResult::Delivered(..)) && std::mem::take(&mut once_more) {
                wait = Some(retry_delay(policy, 1));
            }
            if attempts == 1 && matches!(result, AttemptResult::Delivered(..)) {
                wait = wait.or(defects::repeat_delay(self.defects));
            }
            self.memory.remember(&delivery, &result, wait);
            let attempt = self.summarize(&delivery, attempts, result, at, wait);
            let next = wait.map(|wait| tokio::time::Instant::now() + wait);
            let webhook_deleted =
                !self.record(&attempt, next).await && !self.defects.has(Defect::WebhookRemovedRetries);
            let (Some(next), false) = (next, webhook_deleted) else { return };
            tokio::time::sleep_until(next).await;
        }
    }

    async fn signature(&self, delivery: &Delivery, attempts: u32) -> Option<String> {
        if self.defects.has(Defect::WebhookUnsigned) {
            return None;
        }
        let mut secret = delivery.webhook.secret.clone();
        let is_wrong = self.defects.has(Defect::WebhookWrongSecret)
            || attempts > 1 && self.defects.has(Defect::WebhookRetryWrongSecret);
        if is_wrong && let Ok(Some(oldest)) = self.store.webhooks().await.map(|all| all.into_iter().next()) {
            secret = oldest.secret;
        }
        let mut bytes = delivery.body.clone();
        if self.defects.has(Defect::WebhookSignsOtherBytes) {
            bytes = reserialized(&bytes);
        }
        if attempts > 1 && self.defects.has(Defect::WebhookRetryUnsigned) {
            bytes.clear();
        }
        let signature = sign(&secret, bytes.as_bytes());
        if self.defects.has(Defect::WebhookSignsBase64) {
            return Some(STANDARD.encode(hex::decode(signature).unwrap_or_default()));
        }
        Some(signature)
    }

    async fn attempt(&self, delivery: &Delivery, attempts: u32, signature: &Option<String>) -> AttemptResult {
        self.delays.wait().await;
        let _permit = self.permits.acquire().await;
        let request = self.http.post(&delivery.webhook.url).body(delivery.body.clone());
        let mut headers = headers(delivery, signature.as_deref());
        if attempts > 1 {
            defects::change_headers(self.defects, &mut headers, attempts);
        }
        let sent = request.headers(headers).send().await;
        match sent {
            Ok(response) => {
                let status = response.status();
                let text = read_start(response).await;
                classify(self.defects, status.as_u16(), text)
            }
            // the URL may contain a token, so it is not recorded
            Err(error) => AttemptResult::Failed(None, error_chain(&error.without_url())),
        }
    }

    fn summarize(
        &self,
        delivery: &Delivery,
        attempts: u32,
        result: AttemptResult,
        at: Timestamp,
        wait: Option<Duration>,
    ) -> Attempt {
        let (status, status_code, response, error) = match result {
            AttemptResult::Delivered(code, text) => ("success", Some(code), Some(text), None),
            AttemptResult::Refused(code, text) => {
                ("failed", Some(code), Some(text), Some(format!("refused with {code}")))
            }
            AttemptResult::Failed(code, text) => {
                let status = if wait.is_some() { "pending" } else { "failed" };
                match code {
                    Some(code) => (status, Some(code), Some(text), Some(format!("answered {code}"))),
                    None => (status, None, None, Some(text)),
                }
            }
        };
        let wait = wait.and_then(|wait| SignedDuration::try_from(wait).ok());
        if let Some(cause) = &error {
            let fields: [(&str, &dyn std::fmt::Display); 6] = [
                ("delivery", &delivery.id),
                ("webhook", &delivery.webhook.id),
                ("event", &delivery.event),
                ("attempt", &attempts),
                ("again", &wait.is_some()),
                ("cause", cause),
            ];
            self.log.warn("webhook not delivered", &fields);
        }
        Attempt {
            delivery: delivery.id,
            attempts,
            status,
            status_code,
            response,
            error,
            next_retry_at: wait.and_then(|wait| at.checked_add(wait).ok()),
            at,
        }
    }

    /// Records an attempt, retrying until the next attempt is due, or without limit after the last. False if the
    /// webhook was deleted.
    async fn record(&self, attempt: &Attempt, next: Option<tokio::time::Instant>) -> bool {
        for tries in 1.. {
            let error = match self.store.record_attempt(attempt).await {
                Ok(there) => return there,
                Err(error) => error,
            };
            self.log.error(
                "database: a webhook delivery could not be recorded",
                &[("delivery", &attempt.delivery), ("cause", &error)],
            );
            let wake = tokio::time::Instant::now() + Backoff::after(tries);
            if !matches!(error, StoreError::Unavailable(_)) || next.is_some_and(|next| wake >= next) {
                break;
            }
            tokio::time::sleep_until(wake).await;
        }
        true
    }
}

/// The platform's headers override those of the webhook.
fn headers(delivery: &Delivery, signature: Option<&str>) -> HeaderMap {
    let id = delivery.id.to_string();
    let ours = [
        ("content-type", "application/json"),
        ("x-streamspace-event", &delivery.event),
        ("x-streamspace-delivery", &id),
    ];
    let ours = ours.into_iter().chain(signature.map(|signature| ("x-streamspace-signature", signature)));
    let theirs = delivery.webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut headers = HeaderMap::new();
    for (name, value) in theirs.chain(ours) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The first `MAX_RECORDED_BYTES` of a response.
async fn read_start(mut response: reqwest::Response) -> String {
    let mut bytes = vec![];
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= MAX_RECORDED_BYTES {
            break;
        }
    }
    bytes.truncate(MAX_RECORDED_BYTES);
    String::from_utf8_lossy(&bytes).replace('\0', "")
}

/// HMAC-SHA256 of the body in lower-case hex.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// The delay before the next attempt; `None` after the last.
fn next_delay(defects: Defects, policy: &RetryPolicy, attempts: u32, result: &AttemptResult) -> Option<Duration> {
    let failed = match result {
        AttemptResult::Delivered(..) => false,
        AttemptResult::Refused(..) => defects.has(Defect::WebhookRetriesRefusals),
        AttemptResult::Failed(None, cause) => {
            let was_reset = cause.contains("reset") && defects.has(Defect::WebhookNoRetryReset);
            !was_reset && !defects.has(Defect::WebhookNoRetryUnanswered)
        }
        AttemptResult::Failed(..) => true,
    };
    let max_retries = match () {
        () if defects.has(Defect::WebhookNoRetry) => 0,
        () if defects.has(Defect::WebhookRetriesOnce) => 1,
        () if defects.has(Defect::WebhookRetriesForEver) => u32::MAX,
        () => policy.max_retries,
    };
    let delay = match () {
        () if defects.has(Defect::WebhookRetriesAtOnce) => Duration::ZERO,
        () if defects.has(Defect::WebhookRetriesLate) => retry_delay(policy, attempts) + Duration::from_secs(6),
        () => retry_delay(policy, attempts),
    };
    (failed && attempts <= max_retries).then_some(delay)
}

/// The same JSON with other whitespace.
fn reserialized(body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    json.and_then(|json| serde_json::to_string_pretty(&json).ok()).unwrap_or_default()
}

fn with_attempt(body: &str, attempt: u32) -> String {
    let mut json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    json["attempt"] = attempt.into();
    json.to_string()
}

/// The delay after this many attempts.
fn retry_delay(policy: &RetryPolicy, attempts: u32) -> Duration {
    let grown = policy.backoff_multiplier.max(0.0).powf(f64::from(attempts - 1));
    let seconds = policy.retry_delay_seconds.max(0.0) * grown;
    // NaN and infinity become the maximum
    Duration::from_secs_f64(if seconds.is_finite() { seconds.min(MAX_DELAY_SECONDS) } else { MAX_DELAY_SECONDS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_matches_rfc_4231() {
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn retry_delay_grows_up_to_a_limit() {
        let policy = RetryPolicy { max_retries: 3, retry_delay_seconds: 1.5, backoff_multiplier: 2.0 };
        let waits: Vec<_> = (1..=3).map(|n| retry_delay(&policy, n).as_millis()).collect();
        assert_eq!(waits, [1500, 3000, 6000]);
        assert_eq!(retry_delay(&policy, 4000), Duration::from_secs(24 * 3600));
        let odd = RetryPolicy { max_retries: 1, retry_delay_seconds: -3.0, backoff_multiplier: f64::NAN };
        assert_eq!(retry_delay(&odd, 1), Duration::ZERO);
    }

    #[test]
    fn retries_failures_as_policy_and_defects_say() {
        let policy = RetryPolicy { max_retries: 3, retry_delay_seconds: 1.0, backoff_multiplier: 1.0 };
        let (delivered, refused) =
            (AttemptResult::Delivered(200, String::new()), AttemptResult::Refused(400, String::new()));
        let (failed, unanswered) =
            (AttemptResult::Failed(Some(503), String::new()), AttemptResult::Failed(None, String::new()));
        let attempts = |wrong: &[Defect], answer: &AttemptResult| {
            let defects: Defects = wrong.iter().copied().collect();
            (1..=10).find(|n| next_delay(defects, &policy, *n, answer).is_none())
        };
        for (wrong, of_delivered, of_refused, of_failed, of_unanswered) in [
            (None, Some(1), Some(1), Some(4), Some(4)),
            (Some(Defect::WebhookNoRetry), Some(1), Some(1), Some(1), Some(1)),
            (Some(Defect::WebhookRetriesOnce), Some(1), Some(1), Some(2), Some(2)),
            (Some(Defect::WebhookRetriesForEver), Some(1), Some(1), None, None),
            (Some(Defect::WebhookRetriesRefusals), Some(1), Some(4), Some(4), Some(4)),
            (Some(Defect::WebhookNoRetryUnanswered), Some(1), Some(1), Some(4), Some(1)),
        ] {
            let wrong: Vec<Defect> = wrong.into_iter().collect();
            let got = [&delivered, &refused, &failed, &unanswered].map(|answer| attempts(&wrong, answer));
            assert_eq!(got, [of_delivered, of_refused, of_failed, of_unanswered], "{wrong:?}");
        }
        let at_once = Defects::default().with(Defect::WebhookRetriesAtOnce);
        assert_eq!(next_delay(at_once, &policy, 1, &failed), Some(Duration::ZERO));
        assert_eq!(next_delay(Defects::default(), &policy, 1, &failed), Some(Duration::from_secs(1)));
    }

    #[test]
    fn reserialized_json_is_equal() {
        let body = r#"{"event":"session.created","data":{"name":"a"}}"#;
        let same = |a: &str, b: &str| {
            serde_json::from_str::<serde_json::Value>(a).unwrap()
                == serde_json::from_str::<serde_json::Value>(b).unwrap()
        };
        assert!(reserialized(body) != body && same(&reserialized(body), body));
        assert!(with_attempt(body, 2).contains(r#""attempt":2"#) && with_attempt(body, 2).contains(r#""name":"a""#));
    }
}
