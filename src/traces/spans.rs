//! Makes spans of events: one for the run, each case, sentence, action and attempt. Names of attributes are those of OpenTelemetry's
//! semantic conventions where it has one, and begin with `tp_runner.` where it has none.
use crate::{
    address::Address,
    event::{ActionOutline, AssertionResult, Attempt, Event, EventKind, EvidenceKind, RunStarted},
    outcome::{Status as Outcome, Tier, Verdict},
};
use jiff::Timestamp;
use opentelemetry::{
    InstrumentationScope, KeyValue, Value,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::{collections::HashMap, time::SystemTime};

/// Longer texts are cut.
const MAX_TEXT_BYTES: usize = 4 << 10;

/// The spans of a run that are open.
pub struct Spans {
    trace: TraceId,
    scope: InstrumentationScope,
    /// By address; an action that is repeated at one address has several.
    open: HashMap<Address, Vec<Open>>,
    /// Names of cases and sentences, by address, and the tiers of cases.
    names: HashMap<Address, (String, Option<Tier>)>,
    last_event: Timestamp,
}

struct Open {
    id: SpanId,
    parent: SpanId,
    name: String,
    began: Timestamp,
    attributes: Vec<KeyValue>,
}

impl Spans {
    /// `trace` is an id of 32 hexadecimal digits.
    pub fn new(trace: &str) -> Spans {
        Spans {
            trace: TraceId::from_hex(trace).unwrap_or(TraceId::INVALID),
            scope: InstrumentationScope::builder("tp-runner").with_version(env!("CARGO_PKG_VERSION")).build(),
            open: HashMap::new(),
            names: HashMap::new(),
            last_event: Timestamp::UNIX_EPOCH,
        }
    }

    /// The spans that end with this event.
    pub fn on_event(&mut self, event: &Event) -> Vec<SpanData> {
        self.last_event = event.at;
        let at = &event.address;
        match &event.kind {
            EventKind::RunStarted(start) => self.begin_run(start, event.at),
            EventKind::CaseStarted | EventKind::SentenceStarted => {
                let (name, tier) = self.names.get(at).cloned().unwrap_or_else(|| (at.to_string(), None));
                let attributes =
                    tier.map(|tier| vec![text("test.case.name", &name), text("tp_runner.tier", tier.as_str())]);
                self.begin(at, name, event.at, attributes.unwrap_or_default());
            }
            EventKind::ActionStarted { action } => {
                self.begin(at, action.summary.clone(), event.at, attributes_of(at, action));
            }
            EventKind::Observed(attempt) => return vec![self.attempt(at, attempt)],
            EventKind::ActionFinished { status, reason, attempts, last, .. } => {
                let attempt = last.as_ref().map(|attempt| self.attempt(at, attempt));
                let more = vec![
                    text("tp_runner.status", status.as_str()),
                    KeyValue::new("tp_runner.attempts", i64::from(*attempts)),
                ];
                let action = self.end(at, event.at, more, status_of(*status, reason.as_deref()));
                return attempt.into_iter().chain(action).collect();
            }
            EventKind::SentenceFinished { status, reason } => {
                let more = vec![text("tp_runner.status", status.as_str())];
                return self.end(at, event.at, more, status_of(*status, reason.as_deref())).into_iter().collect();
            }
            // each attempt at a case has a span
            EventKind::CaseFinished { verdict, reason, .. } | EventKind::CaseRetried { verdict, reason, .. } => {
                let tier = self.names.get(at).and_then(|(_, tier)| *tier);
                let is_accepted = tier.is_some_and(|tier| verdict.is_accepted(tier));
                let result = if is_accepted { "pass" } else { "fail" };
                let more = vec![text("test.case.result.status", result), text("tp_runner.verdict", verdict.as_str())];
                let status = match verdict {
                    Verdict::Passed => Status::Ok,
                    Verdict::Skipped | Verdict::KnownFailure => Status::Unset,
                    Verdict::Flaky if is_accepted => Status::Unset,
                    _ => error(reason.as_deref().unwrap_or(verdict.as_str())),
                };
                return self.end(at, event.at, more, status).into_iter().collect();
            }
            EventKind::RunFinished { .. } => return self.end_all(),
            _ => {}
        }
        vec![]
    }

    /// Ends all open spans at the time of the last event: the innermost first.
    pub fn end_all(&mut self) -> Vec<SpanData> {
        let mut addresses: Vec<Address> = self.open.keys().cloned().collect();
        addresses.sort_by_key(|at| std::cmp::Reverse(at.as_str().len()));
        let at = self.last_event;
        let end = |at_address: &Address| {
            let count = self.open.get(at_address).map_or(0, Vec::len);
            (0..count).filter_map(|_| self.end(at_address, at, vec![], Status::Unset)).collect::<Vec<_>>()
        };
        addresses.iter().flat_map(end).collect()
    }

    fn begin_run(&mut self, start: &RunStarted, at: Timestamp) {
        for case in &start.cases {
            let name = format!("{} {}", case.id, case.title);
            self.names.insert(Address::of_case(&case.id), (name, Some(case.tier)));
            let sentences = case.sentences.iter().map(|s| (s.address.clone(), (s.text.clone(), None)));
            self.names.extend(sentences);
        }
        let attributes = vec![
            text("test.suite.name", &start.plan.id),
            text("tp_runner.run", &start.run),
            text("deployment.environment.name", &start.environment.name),
        ];
        self.begin(&Address::new(""), format!("{} {}", start.plan.id, start.plan.title), at, attributes);
    }

    fn begin(&mut self, at: &Address, name: String, began: Timestamp, attributes: Vec<KeyValue>) {
        let open = Open { id: random_id(), parent: self.parent_of(at), name, began, attributes };
        self.open.entry(at.clone()).or_default().push(open);
    }

    /// The innermost open span that contains this address.
    fn parent_of(&self, at: &Address) -> SpanId {
        let ancestors: Vec<Address> = at.ancestors().filter(|ancestor| ancestor != at).collect();
        let containing = ancestors.into_iter().rev().chain([Address::new("")]);
        containing.filter_map(|ancestor| self.innermost(&ancestor)).next().unwrap_or(SpanId::INVALID)
    }

    fn innermost(&self, at: &Address) -> Option<SpanId> {
        self.open.get(at)?.last().map(|open| open.id)
    }

    fn end(&mut self, at: &Address, ended: Timestamp, more: Vec<KeyValue>, status: Status) -> Option<SpanData> {
        let open = self.open.get_mut(at)?.pop()?;
        if self.open.get(at).is_some_and(Vec::is_empty) {
            self.open.remove(at);
        }
        let Open { id, parent, name, began, mut attributes } = open;
        attributes.extend(more);
        Some(self.span(id, parent, SpanKind::Internal, name, (began, ended), attributes, status))
    }

    /// An attempt of the action at `at`. Its id is that which the request carried.
    fn attempt(&self, at: &Address, attempt: &Attempt) -> SpanData {
        let request = attempt.evidence.iter().rfind(|e| e.kind == EvidenceKind::Request).map(|e| &*e.text);
        let carried = request.and_then(|request| carried_id(request, self.trace));
        let parent = self.innermost(at).unwrap_or_else(|| self.parent_of(at));
        let name = request.and_then(|r| r.lines().next()).map_or_else(|| "attempt".into(), |line| cut(line).into());
        let mut attributes = vec![KeyValue::new("tp_runner.attempt", i64::from(attempt.number) + 1)];
        if let Some((method, url)) = carried.and(request).and_then(|r| r.lines().next()?.split_once(' ')) {
            attributes.extend([text("http.request.method", method), text("url.full", url)]);
            let status = attempt.value.as_ref().and_then(|value| value.as_map()?.get("status")?.as_i64());
            attributes.extend(status.map(|status| KeyValue::new("http.response.status_code", status)));
        }
        let unmet = |a: &AssertionResult| {
            format!("{}: expected {}, found {}", cut(&a.subject), cut(&a.expected), cut(&a.actual))
        };
        let unmet: Vec<String> = attempt.unmet.iter().map(unmet).collect();
        if !unmet.is_empty() {
            let unmet = unmet.into_iter().map(Into::into).collect::<Vec<opentelemetry::StringValue>>();
            attributes.push(KeyValue::new("tp_runner.unmet", Value::Array(unmet.into())));
        }
        let status = attempt.error.as_deref().map_or(Status::Unset, error);
        let kind = if carried.is_some() { SpanKind::Client } else { SpanKind::Internal };
        let ended = attempt.began.checked_add(attempt.took).unwrap_or(attempt.began);
        let id = carried.unwrap_or_else(random_id);
        self.span(id, parent, kind, name, (attempt.began, ended), attributes, status)
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a span")]
    fn span(
        &self,
        id: SpanId,
        parent: SpanId,
        span_kind: SpanKind,
        name: String,
        (began, ended): (Timestamp, Timestamp),
        attributes: Vec<KeyValue>,
        status: Status,
    ) -> SpanData {
        SpanData {
            span_context: SpanContext::new(self.trace, id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind,
            name: name.into(),
            start_time: SystemTime::from(began),
            end_time: SystemTime::from(ended.max(began)),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// The id of the span that a request carried in `traceparent: 00-TRACE-SPAN-01`. `None` if it belongs to another trace.
fn carried_id(request: &str, trace: TraceId) -> Option<SpanId> {
    let head = request.split("\n\n").next()?;
    let value = head.lines().find_map(|line| line.strip_prefix("traceparent: "))?;
    let mut parts = value.split('-').skip(1);
    let (of, span) = (parts.next()?, parts.next()?);
    (TraceId::from_hex(of).ok()? == trace).then(|| SpanId::from_hex(span).ok())?
}

fn attributes_of(at: &Address, action: &ActionOutline) -> Vec<KeyValue> {
    vec![
        text("tp_runner.address", at.as_str()),
        text("code.file.path", &action.location.file),
        KeyValue::new("code.line.number", i64::try_from(action.location.line).unwrap_or(i64::MAX)),
    ]
}

fn status_of(status: Outcome, reason: Option<&str>) -> Status {
    match status {
        Outcome::Passed => Status::Ok,
        status if status.is_unsuccessful() => error(reason.unwrap_or(status.as_str())),
        _ => Status::Unset,
    }
}

fn error(why: &str) -> Status {
    Status::error(cut(why).to_string())
}

fn text(key: &'static str, value: &str) -> KeyValue {
    KeyValue::new(key, cut(value).to_string())
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}

fn random_id() -> SpanId {
    SpanId::from_bytes(fastrand::u64(1..).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{retry_tests::retried, samples};
    use std::collections::HashSet;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn spans_of(events: &[Event]) -> Vec<SpanData> {
        let mut spans = Spans::new(TRACE);
        let mut ended: Vec<SpanData> = events.iter().flat_map(|event| spans.on_event(event)).collect();
        ended.extend(spans.end_all());
        assert!(spans.open.is_empty());
        ended
    }

    fn count(events: &[Event], is: impl Fn(&EventKind) -> bool) -> usize {
        events.iter().filter(|event| is(&event.kind)).count()
    }

    #[test]
    fn run_cases_sentences_actions_and_attempts_are_spans_within_each_other() {
        for run in [samples::passing(), samples::mixed(), retried()] {
            let events = &run.events;
            let spans = spans_of(events);
            let is_begin = |kind: &EventKind| {
                use EventKind::{ActionStarted, CaseStarted, RunStarted, SentenceStarted};
                matches!(kind, RunStarted(_) | CaseStarted | SentenceStarted | ActionStarted { .. })
            };
            let attempts = count(events, |kind| kind.attempt().is_some());
            assert!(attempts > 0);
            assert_eq!(spans.len(), count(events, is_begin) + attempts);
            let ids: HashSet<SpanId> = spans.iter().map(|span| span.span_context.span_id()).collect();
            assert_eq!(ids.len(), spans.len(), "ids are unique");
            let roots: Vec<_> = spans.iter().filter(|span| span.parent_span_id == SpanId::INVALID).collect();
            assert_eq!(roots.len(), 1);
            assert!(roots[0].name.starts_with("TP-900 "), "{}", roots[0].name);
            for span in &spans {
                assert!(span.parent_span_id == SpanId::INVALID || ids.contains(&span.parent_span_id), "{}", span.name);
                assert!(span.start_time <= span.end_time, "{}", span.name);
                assert_eq!(span.span_context.trace_id().to_string(), TRACE);
            }
        }
    }

    #[test]
    fn a_failed_case_is_an_error_with_its_reason() {
        let spans = spans_of(&samples::mixed().events);
        let with = |key: &str, value: &str| {
            let is_it = |a: &KeyValue| a.key.as_str() == key && a.value.as_str() == value;
            spans.iter().filter(move |span| span.attributes.iter().any(is_it)).collect::<Vec<_>>()
        };
        let failed = with("tp_runner.verdict", "failed");
        assert!(!failed.is_empty());
        assert!(
            failed.iter().all(|span| matches!(&span.status, Status::Error { description } if !description.is_empty()))
        );
        assert!(with("tp_runner.verdict", "passed").iter().all(|span| span.status == Status::Ok));
    }

    #[test]
    fn an_attempt_has_the_id_that_its_request_carried() {
        let mut run = samples::passing();
        let request = |trace: &str| {
            let text = format!(
                "GET http://api/x\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\n\ntraceparent: 00-{TRACE}-1-01"
            );
            vec![samples::evidence(EvidenceKind::Request, &text)]
        };
        let mut attempts = run.events.iter_mut().filter_map(|event| event.kind.attempt_mut());
        attempts.next().unwrap().evidence = request(TRACE);
        attempts.next().unwrap().evidence = request("00000000000000000000000000000001");
        let spans = spans_of(&run.events);
        let sent: Vec<_> = spans.iter().filter(|span| span.name == "GET http://api/x").collect();
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].span_context.span_id().to_string(), "00f067aa0ba902b7");
        assert_eq!((&sent[0].span_kind, &sent[1].span_kind), (&SpanKind::Client, &SpanKind::Internal));
        assert_ne!(sent[1].span_context.span_id().to_string(), "00f067aa0ba902b7");
    }

    #[test]
    fn an_interrupted_run_ends_what_is_open_and_long_texts_are_cut() {
        let mut events = samples::passing().events;
        let started = events.iter().position(|event| matches!(event.kind, EventKind::ActionStarted { .. })).unwrap();
        events.truncate(started + 1);
        let EventKind::ActionStarted { action } = &mut events[started].kind else { unreachable!() };
        action.location.file = "é".repeat(MAX_TEXT_BYTES);
        let spans = spans_of(&events);
        assert_eq!(spans.len(), count(&events, |_| true));
        let longest = spans.iter().flat_map(|span| &span.attributes).map(|a| a.value.as_str().len()).max();
        assert_eq!(longest, Some(MAX_TEXT_BYTES));
    }
}
