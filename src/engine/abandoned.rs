//! Requests that were abandoned: sent, and cut before their response.
use super::observation::{ObservationRequest, request_line};
use crate::event::Evidence;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Number of abandoned requests that are named; the others are counted.
const MAX_NAMED: usize = 10;

/// The abandoned requests of a run, each with the address of its action.
#[derive(Default)]
pub struct Abandoned(Mutex<Vec<String>>);

impl Abandoned {
    /// The number of requests and the first of them, in a sentence, or `None`.
    pub fn in_words(&self) -> Option<String> {
        let all = self.0.lock();
        let count = match all.len() {
            0 => return None,
            1 => "1 request was".to_string(),
            n => format!("{n} requests were"),
        };
        let named = all.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = all.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("{count} abandoned before the response: {named}{more}"))
    }
}

/// One attempt. Dropped before its end, it counts its request as abandoned, if that was sent.
pub struct InFlight<'a> {
    pub request: &'a ObservationRequest<'a>,
    pub sent: &'a AtomicBool,
    pub evidence: &'a Mutex<Vec<Evidence>>,
    pub abandoned: &'a Abandoned,
    pub is_over: bool,
}

impl InFlight<'_> {
    /// The attempt is over.
    pub fn complete(mut self) {
        self.is_over = true;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.sent.load(Ordering::SeqCst) {
            let request = request_line(&self.evidence.lock()).unwrap_or_else(|| self.request.action.summary());
            self.abandoned.0.lock().push(format!("`{request}` ({})", self.request.at));
        }
    }
}
