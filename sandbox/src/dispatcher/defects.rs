//! Defects of deliveries.
use super::attempt::AttemptResult;
use crate::{
    defect::{Defect as D, Defects},
    store::Delivery,
};
use axum::http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What the defects remember of earlier deliveries.
#[derive(Default)]
pub struct Memory {
    /// The webhooks that have received an event.
    served: Mutex<HashSet<i64>>,
    /// The webhooks of which an attempt failed.
    unsteady: Mutex<HashSet<i64>>,
    gave_up: AtomicBool,
}

fn locked(webhooks: &Mutex<HashSet<i64>>) -> std::sync::MutexGuard<'_, HashSet<i64>> {
    webhooks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// The deliveries to send, as the defects change them.
    pub fn accepted(&self, defects: Defects, mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
        let has = |defect| defects.has(defect);
        if has(D::WebhookSilent) || has(D::WebhookStopsAfterFailure) && self.gave_up.load(Ordering::SeqCst) {
            return vec![];
        }
        if has(D::WebhookOnlyFirstEvent) {
            deliveries.retain(|delivery| locked(&self.served).insert(delivery.webhook.id));
        }
        if has(D::WebhookDropsUnsteady) {
            deliveries.retain(|delivery| !locked(&self.unsteady).contains(&delivery.webhook.id));
        }
        if let (true, [_, .., last]) = (has(D::WebhookLastUnsigned), &mut deliveries[..]) {
            last.webhook.secret.clear();
        }
        if has(D::WebhookTwice) { deliveries.iter().flat_map(|d| [d.clone(), d.clone()]).collect() } else { deliveries }
    }

    pub fn remember(&self, delivery: &Delivery, result: &AttemptResult, wait: Option<Duration>) {
        if matches!(result, AttemptResult::Failed(..)) {
            locked(&self.unsteady).insert(delivery.webhook.id);
            self.gave_up.fetch_or(wait.is_none(), Ordering::SeqCst);
        }
    }
}

/// Waits before the first attempt.
pub async fn wait_before(defects: Defects, delivery: &Delivery) {
    let webhook = &delivery.webhook;
    let is_wrong = !webhook.enabled && defects.has(D::WebhookDisabledHearsLate)
        || !webhook.events.contains(&delivery.event) && defects.has(D::WebhookAllEventsLate);
    match () {
        () if defects.has(D::WebhookLate) => tokio::time::sleep(Duration::from_secs(6)).await,
        () if is_wrong => tokio::time::sleep(Duration::from_secs(3)).await,
        () => {}
    }
}

/// When a successful delivery is repeated.
pub fn repeat_delay(defects: Defects) -> Option<Duration> {
    defects.has(D::WebhookRepeatsLater).then(|| Duration::from_secs(3))
}

/// What a response means.
pub fn classify(defects: Defects, status: u16, text: String) -> AttemptResult {
    match status {
        201 | 202 if defects.has(D::WebhookSuccessOnly200) => AttemptResult::Failed(Some(status), text),
        404 | 410 if defects.has(D::WebhookRetriesGone) => AttemptResult::Failed(Some(status), text),
        200..=299 => AttemptResult::Delivered(status, text),
        500 | 503 => AttemptResult::Failed(Some(status), text),
        500..=599 if defects.has(D::WebhookRetriesSome5xx) => AttemptResult::Refused(status, text),
        500..=599 | 429 => AttemptResult::Failed(Some(status), text),
        _ => AttemptResult::Refused(status, text),
    }
}

/// Changes the headers of a retry.
pub fn change_headers(defects: Defects, headers: &mut HeaderMap, attempts: u32) {
    if defects.has(D::WebhookRetryNewId) {
        headers.insert("x-streamspace-delivery", HeaderValue::from(uuid::Uuid::new_v4().as_fields().0 / attempts));
    }
    if defects.has(D::WebhookRetryWithoutEvent) {
        headers.remove("x-streamspace-event");
    }
    if defects.has(D::WebhookRetryAsText) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_responses_as_defects_say() {
        let kind = |wrong: Option<D>, status: u16| {
            let defects: Defects = wrong.into_iter().collect();
            match classify(defects, status, String::new()) {
                AttemptResult::Delivered(..) => "delivered",
                AttemptResult::Refused(..) => "refused",
                AttemptResult::Failed(..) => "failed",
            }
        };
        let statuses = [200, 202, 302, 400, 410, 429, 500, 502, 503];
        let right = ["delivered", "delivered", "refused", "refused", "refused", "failed", "failed", "failed", "failed"];
        for (wrong, changed, kind_of_it) in [
            (None, 0, ""),
            (Some(D::WebhookSuccessOnly200), 202, "failed"),
            (Some(D::WebhookRetriesGone), 410, "failed"),
            (Some(D::WebhookRetriesSome5xx), 502, "refused"),
        ] {
            for (status, right) in statuses.into_iter().zip(right) {
                assert_eq!(
                    kind(wrong, status),
                    if status == changed { kind_of_it } else { right },
                    "{wrong:?} {status}"
                );
            }
        }
    }

    #[test]
    fn changes_one_header_of_a_retry() {
        for (wrong, header) in [
            (D::WebhookRetryNewId, "x-streamspace-delivery"),
            (D::WebhookRetryWithoutEvent, "x-streamspace-event"),
            (D::WebhookRetryAsText, "content-type"),
        ] {
            let mut headers = HeaderMap::new();
            for name in ["x-streamspace-delivery", "x-streamspace-event", "content-type"] {
                headers.insert(name, HeaderValue::from_static("right"));
            }
            change_headers([wrong].into_iter().collect(), &mut headers, 2);
            for name in ["x-streamspace-delivery", "x-streamspace-event", "content-type"] {
                assert_eq!(headers.get(name).is_some_and(|value| value == "right"), name != header, "{wrong:?} {name}");
            }
        }
    }
}
