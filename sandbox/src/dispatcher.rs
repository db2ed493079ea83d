//! The webhook dispatcher: signs, sends, and sends again.
//!
//! It owns a delivery from the moment it is handed over until it succeeded or was given up. It must not know what an event
//! means. What it is about to do it holds in memory, so a database that is away delays only the record.
use super::{
    defect::{Defect, Defects},
    delays::Delays,
    link::{Patience, chain},
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

/// How long an endpoint may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// So many requests at once.
const AT_ONCE: usize = 64;
/// How much of an endpoint's answer is kept.
const KEPT: usize = 1024;
const LONGEST_DELAY: f64 = 24.0 * 3600.0;

#[derive(Clone)]
pub struct Dispatcher {
    inbox: mpsc::UnboundedSender<Vec<Delivery>>,
}

impl Dispatcher {
    /// Returns at once; the sending happens behind.
    pub fn send(&self, deliveries: Vec<Delivery>) {
        if !deliveries.is_empty() {
            // Nobody listens only after shutdown, and then the next process finds them pending in the store.
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
    room: Semaphore,
}

pub fn start(
    store: Store,
    defects: Defects,
    delays: Delays,
    log: Log,
    left: Vec<Delivery>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Dispatcher, reqwest::Error> {
    let http = reqwest::Client::builder()
        .timeout(ANSWER)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent("StreamSpace-Webhook/1.0")
        .build()?;
    let sender = Arc::new(Sender { store, defects, delays, log, http, room: Semaphore::new(AT_ONCE) });
    let (inbox, mut arrivals) = mpsc::unbounded_channel::<Vec<Delivery>>();
    let dispatcher = Dispatcher { inbox };
    dispatcher.send(left);
    let (tracker, stop) = (tasks.clone(), stop.clone());
    tasks.spawn(async move {
        loop {
            let deliveries = tokio::select! {
                () = stop.cancelled() => return,
                arrived = arrivals.recv() => arrived,
            };
            let Some(deliveries) = deliveries else { return };
            for delivery in sender.taken(deliveries) {
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

#[derive(Debug)]
enum Answer {
    Taken(u16, String),
    /// It will not take it however often it is asked.
    Refused(u16, String),
    /// Another time, perhaps.
    Failed(Option<u16>, String),
}

impl Sender {
    fn taken(&self, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        match () {
            () if self.defects.has(Defect::WebhookSilent) => vec![],
            () if self.defects.has(Defect::WebhookTwice) => {
                deliveries.iter().flat_map(|d| [d.clone(), d.clone()]).collect()
            }
            () => deliveries,
        }
    }

    async fn deliver(&self, mut delivery: Delivery) {
        if self.defects.has(Defect::WebhookLate) {
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        let mut once_more = self.defects.has(Defect::WebhookRetriesSuccess);
        for attempts in delivery.attempts + 1.. {
            if attempts > 1 && self.defects.has(Defect::WebhookRetryChanges) {
                delivery.body = numbered(&delivery.body, attempts);
            }
            let signature = self.signature(&delivery, attempts).await;
            let answer = self.attempt(&delivery, &signature).await;
            let at = Timestamp::now();
            let policy = &delivery.webhook.retry_policy;
            let mut wait = again(self.defects, policy, attempts, &answer);
            if attempts > 1 && matches!(answer, Answer::Taken(..)) && std::mem::take(&mut once_more) {
                wait = Some(delay(policy, 1));
            }
            let attempt = self.account(&delivery, attempts, answer, at, wait);
            let next = wait.map(|wait| tokio::time::Instant::now() + wait);
            let webhook_gone = !self.record(&attempt, next).await;
            let (Some(next), false) = (next, webhook_gone) else { return };
            tokio::time::sleep_until(next).await;
        }
    }

    async fn signature(&self, delivery: &Delivery, attempts: u32) -> Option<String> {
        if self.defects.has(Defect::WebhookUnsigned) {
            return None;
        }
        let mut secret = delivery.webhook.secret.clone();
        if self.defects.has(Defect::WebhookWrongSecret)
            && let Ok(Some(oldest)) = self.store.webhooks().await.map(|all| all.into_iter().next())
        {
            secret = oldest.secret;
        }
        let mut bytes = delivery.body.clone();
        if self.defects.has(Defect::WebhookSignsOtherBytes) {
            bytes = written_anew(&bytes);
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

    async fn attempt(&self, delivery: &Delivery, signature: &Option<String>) -> Answer {
        self.delays.wait().await;
        let _room = self.room.acquire().await;
        let request = self.http.post(&delivery.webhook.url).body(delivery.body.clone());
        let answer = request.headers(headers(delivery, signature.as_deref())).send().await;
        match answer {
            Ok(answer) => {
                let status = answer.status();
                let text = kept(answer).await;
                match status.as_u16() {
                    200..=299 => Answer::Taken(status.as_u16(), text),
                    500..=599 | 429 => Answer::Failed(Some(status.as_u16()), text),
                    _ => Answer::Refused(status.as_u16(), text),
                }
            }
            // The address may carry a token, so it stays out of what is recorded.
            Err(error) => Answer::Failed(None, chain(&error.without_url())),
        }
    }

    fn account(
        &self,
        delivery: &Delivery,
        attempts: u32,
        answer: Answer,
        at: Timestamp,
        wait: Option<Duration>,
    ) -> Attempt {
        let (status, status_code, response, error) = match answer {
            Answer::Taken(code, text) => ("success", Some(code), Some(text), None),
            Answer::Refused(code, text) => ("failed", Some(code), Some(text), Some(format!("refused with {code}"))),
            Answer::Failed(code, text) => {
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

    /// Writes down what happened: until `next` if another attempt is due then, whose record takes this one's place; else
    /// for as long as it takes. False if the webhook is gone, and its deliveries with it.
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
            let wake = tokio::time::Instant::now() + Patience::after(tries);
            if !matches!(error, StoreError::Unavailable(_)) || next.is_some_and(|next| wake >= next) {
                break;
            }
            tokio::time::sleep_until(wake).await;
        }
        true
    }
}

/// Ours stand above those that the webhook's owner chose.
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

/// The beginning of an answer, however long it is.
async fn kept(mut answer: reqwest::Response) -> String {
    let mut bytes = vec![];
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= KEPT {
            break;
        }
    }
    bytes.truncate(KEPT);
    String::from_utf8_lossy(&bytes).replace('\0', "")
}

/// Lower-case hex HMAC-SHA256 of exactly these bytes, with the whole secret.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Whether there is to be another attempt, and after how long.
fn again(defects: Defects, policy: &RetryPolicy, attempts: u32, answer: &Answer) -> Option<Duration> {
    let failed = match answer {
        Answer::Taken(..) => false,
        Answer::Refused(..) => defects.has(Defect::WebhookRetriesRefusals),
        Answer::Failed(None, _) => !defects.has(Defect::WebhookNoRetryUnanswered),
        Answer::Failed(..) => true,
    };
    let most = match () {
        () if defects.has(Defect::WebhookNoRetry) => 0,
        () if defects.has(Defect::WebhookRetriesOnce) => 1,
        () if defects.has(Defect::WebhookRetriesForEver) => u32::MAX,
        () => policy.max_retries,
    };
    let pause = if defects.has(Defect::WebhookRetriesAtOnce) { Duration::ZERO } else { delay(policy, attempts) };
    (failed && attempts <= most).then_some(pause)
}

/// The same JSON, with other spaces.
fn written_anew(body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    json.and_then(|json| serde_json::to_string_pretty(&json).ok()).unwrap_or_default()
}

fn numbered(body: &str, attempt: u32) -> String {
    let mut json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    json["attempt"] = attempt.into();
    json.to_string()
}

/// How long to wait after so many attempts.
fn delay(policy: &RetryPolicy, attempts: u32) -> Duration {
    let grown = policy.backoff_multiplier.max(0.0).powf(f64::from(attempts - 1));
    let seconds = policy.retry_delay_seconds.max(0.0) * grown;
    // Not a number and beyond all bounds come out as the bound.
    Duration::from_secs_f64(if seconds.is_finite() { seconds.min(LONGEST_DELAY) } else { LONGEST_DELAY })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_rfc_4231_says() {
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn waits_longer_each_time_but_not_for_ever() {
        let policy = RetryPolicy { max_retries: 3, retry_delay_seconds: 1.5, backoff_multiplier: 2.0 };
        let waits: Vec<_> = (1..=3).map(|n| delay(&policy, n).as_millis()).collect();
        assert_eq!(waits, [1500, 3000, 6000]);
        assert_eq!(delay(&policy, 4000), Duration::from_secs(24 * 3600));
        let odd = RetryPolicy { max_retries: 1, retry_delay_seconds: -3.0, backoff_multiplier: f64::NAN };
        assert_eq!(delay(&odd, 1), Duration::ZERO);
    }

    #[test]
    fn what_is_tried_again_and_how_often() {
        let policy = RetryPolicy { max_retries: 3, retry_delay_seconds: 1.0, backoff_multiplier: 1.0 };
        let (taken, refused) = (Answer::Taken(200, String::new()), Answer::Refused(400, String::new()));
        let (failed, silent) = (Answer::Failed(Some(503), String::new()), Answer::Failed(None, String::new()));
        let attempts = |wrong: &[Defect], answer: &Answer| {
            let defects: Defects = wrong.iter().copied().collect();
            (1..=10).find(|n| again(defects, &policy, *n, answer).is_none())
        };
        for (wrong, of_taken, of_refused, of_failed, of_silent) in [
            (None, Some(1), Some(1), Some(4), Some(4)),
            (Some(Defect::WebhookNoRetry), Some(1), Some(1), Some(1), Some(1)),
            (Some(Defect::WebhookRetriesOnce), Some(1), Some(1), Some(2), Some(2)),
            (Some(Defect::WebhookRetriesForEver), Some(1), Some(1), None, None),
            (Some(Defect::WebhookRetriesRefusals), Some(1), Some(4), Some(4), Some(4)),
            (Some(Defect::WebhookNoRetryUnanswered), Some(1), Some(1), Some(4), Some(1)),
        ] {
            let wrong: Vec<Defect> = wrong.into_iter().collect();
            let got = [&taken, &refused, &failed, &silent].map(|answer| attempts(&wrong, answer));
            assert_eq!(got, [of_taken, of_refused, of_failed, of_silent], "{wrong:?}");
        }
        let at_once = Defects::default().with(Defect::WebhookRetriesAtOnce);
        assert_eq!(again(at_once, &policy, 1, &failed), Some(Duration::ZERO));
        assert_eq!(again(Defects::default(), &policy, 1, &failed), Some(Duration::from_secs(1)));
    }

    #[test]
    fn other_bytes_say_the_same() {
        let body = r#"{"event":"session.created","data":{"name":"a"}}"#;
        let same = |a: &str, b: &str| {
            serde_json::from_str::<serde_json::Value>(a).unwrap()
                == serde_json::from_str::<serde_json::Value>(b).unwrap()
        };
        assert!(written_anew(body) != body && same(&written_anew(body), body));
        assert!(numbered(body, 2).contains(r#""attempt":2"#) && numbered(body, 2).contains(r#""name":"a""#));
    }
}
