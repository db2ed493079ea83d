//! The waits and faults of a case over time.
use super::{
    retention::shorten,
    run_index::{Span, SpanKind},
};
use crate::address::Address;
use jiff::Timestamp;
use std::time::Duration;

/// Spans kept for each case.
const MAX_SPANS: usize = 64;

#[derive(Default)]
pub struct Spans(Vec<RecordedSpan>);

struct RecordedSpan {
    kind: SpanKind,
    summary: String,
    from: Timestamp,
    /// `None` for a fault that is in force.
    to: Option<Timestamp>,
    address: Option<Address>,
}

impl Spans {
    /// An action made more than one attempt.
    pub fn waited(&mut self, from: Timestamp, to: Timestamp, summary: &str) {
        let summary = shorten(summary);
        self.add(RecordedSpan { kind: SpanKind::Wait, summary, from, to: Some(to), address: None });
    }

    /// A fault came into force. It is healed by the undo at `address`.
    pub fn broke(&mut self, address: &Address, from: Timestamp, summary: &str) {
        let (summary, address) = (shorten(summary), Some(address.clone()));
        self.add(RecordedSpan { kind: SpanKind::Fault, summary, from, to: None, address });
    }

    /// The last fault at this address that is in force was healed, if there is one.
    pub fn healed(&mut self, address: &Address, to: Timestamp) {
        let fault = self.0.iter_mut().rfind(|span| span.to.is_none() && span.address.as_ref() == Some(address));
        if let Some(fault) = fault {
            fault.to = Some(to);
        }
    }

    fn add(&mut self, span: RecordedSpan) {
        if self.0.len() < MAX_SPANS {
            self.0.push(span);
        }
    }

    /// By their start. A fault that is in force ends at `end`.
    pub fn list(&self, start: Timestamp, end: Timestamp) -> Vec<Span> {
        let between = |from: Timestamp, to: Timestamp| Duration::try_from(to.duration_since(from)).unwrap_or_default();
        let span = |s: &RecordedSpan| Span {
            kind: s.kind,
            summary: s.summary.clone(),
            since: between(start, s.from),
            took: between(s.from, s.to.unwrap_or(end)),
        };
        let mut spans: Vec<Span> = self.0.iter().map(span).collect();
        spans.sort_by_key(|s| s.since);
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_waits_and_faults_by_their_start() {
        let at = |ms: i64| Timestamp::from_millisecond(1_000_000 + ms).unwrap();
        let (mut spans, address) = (Spans::default(), Address::new("TC-1/steps/1/fault"));
        spans.waited(at(30), at(70), "k8s get x");
        spans.broke(&address, at(10), "heal events");
        spans.healed(&Address::new("TC-1/steps/2"), at(40));
        spans.healed(&address, at(50));
        spans.broke(&address, at(80), "heal events");
        let shown: Vec<(SpanKind, u128, u128)> =
            spans.list(at(0), at(100)).iter().map(|s| (s.kind, s.since.as_millis(), s.took.as_millis())).collect();
        assert_eq!(shown, [(SpanKind::Fault, 10, 40), (SpanKind::Wait, 30, 40), (SpanKind::Fault, 80, 20)]);
    }
}
