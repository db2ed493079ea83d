//! Sentences that judge what another sentence observed.
use crate::{
    address::Address,
    event::{EventKind, EvidenceKind, Part, SentenceInput},
    outcome::{Blame, Status, Tier, Verdict},
    report::{
        index_builder::IndexBuilder,
        samples::{self, SampleRun, evidence, markdown, result},
    },
    value::Value,
};
use serde_json::json;
use std::sync::Arc;

/// The sentences of a case judge the response of `http POST /batch`, bound as `batch` in another one.
fn run(verdict: Verdict) -> SampleRun {
    let sentences =
        [(Part::Step, "Send the batch"), (Part::Expected, "All are accepted"), (Part::Expected, "None has an error")];
    let mut case = samples::case("TC-1", "A batch", Tier::Must, &sentences);
    let actions = vec![Address::new("TC-1/steps/0/do/0")];
    let input = SentenceInput { name: "batch".into(), actions };
    case.sentences.iter_mut().skip(1).for_each(|s| Arc::make_mut(s).inputs = vec![input.clone()]);
    let mut s = SampleRun::begin(vec![case], |_| {});
    s.emit("TC-1", EventKind::CaseStarted);
    s.emit("TC-1/steps/0", EventKind::SentenceStarted);
    let at = "TC-1/steps/0/do/0";
    s.start(at, "http POST /batch", 30);
    let sent = [
        evidence(EvidenceKind::Request, "POST http://orders.example/batch\ncontent-type: a/b\n\nit's"),
        evidence(EvidenceKind::Curl, " -X POST"),
        evidence(EvidenceKind::Response, "HTTP/1.1 200 OK"),
    ];
    s.attempt(at, 0, vec![], sent.into());
    let output = json!({ "status": 200, "headers": { "$headers": { "content-length": "2" } }, "text": "{}" });
    let output: Value = serde_json::from_value(output).unwrap();
    s.events.last_mut().unwrap().kind.attempt_mut().unwrap().value = Some(output);
    s.finish(at, Status::Passed, vec![], None, 1, 12);
    s.sentence("TC-1/steps/0", Status::Passed, None);
    for (n, subject) in [(0, "batch.body.succeeded"), (1, "size(batch.body.errors) == 0")] {
        let (at, action) = (format!("TC-1/expected/{n}"), format!("TC-1/expected/{n}/do/0"));
        s.emit(&at, EventKind::SentenceStarted);
        s.start(&action, "check", 40 + n);
        s.finish(&action, Status::Failed, vec![result(subject, false, "3", "2")], None, 0, 0);
        s.sentence(&at, Status::Failed, None);
    }
    s.verdict("TC-1", verdict, Some(Blame::Product), None, 20);
    s
}

#[test]
fn the_judged_request_and_response_are_shown_whole_once() {
    let report = markdown(&IndexBuilder::build(&run(Verdict::Failed).events));
    let (first, second) = report.rsplit_once("None has an error").expect("two sentences");
    let first = first.rsplit_once("All are accepted").expect("the first one").1;
    for text in [
        "Judged: `http POST /batch`, `plans/TP-900.yaml:30`",
        r"curl -sS -i -X POST http://orders.example/batch -H 'content-type: a/b' --data-raw 'it'\''s'",
        "POST http://orders.example/batch\n  content-type: a/b\n\n  it's",
        "HTTP/1.1 200 OK\n  content-length: 2\n\n  {}",
    ] {
        assert!(first.contains(text), "{text}\n{report}");
    }
    assert!(first.contains("<a id=\"tc-1-a-batch-observation-1\"></a>Judged: "), "{report}");
    let again = "Judged, [shown above](#tc-1-a-batch-observation-1): `http POST /batch`, `plans/TP-900.yaml:30`: `POST http://orders.example/batch` → \
                 `HTTP/1.1 200 OK`";
    assert!(second.contains(again) && !second.contains("curl"), "{report}");
}

#[test]
fn a_failed_use_shows_the_last_requests_inside_it() {
    let mut s = SampleRun::begin(vec![samples::case("TC-1", "Orders", Tier::Must, &[(Part::Step, "Wait")])], |_| {});
    s.emit("TC-1", EventKind::CaseStarted);
    s.emit("TC-1/steps/0", EventKind::SentenceStarted);
    let (at, inner) = ("TC-1/steps/0/do/0", "TC-1/steps/0/do/0/use/0");
    let unmet = || vec![result("order.state", false, "\"paid\"", "\"open\"")];
    s.start(at, "use look", 30);
    for number in 0..2 {
        s.start(inner, "http GET /orders/${inputs.id}", 31);
        let sent = evidence(EvidenceKind::Request, "GET http://orders.example/orders/7");
        s.attempt(inner, 0, vec![], vec![sent, evidence(EvidenceKind::Response, &format!("open {number}"))]);
        s.finish(inner, Status::Passed, vec![], None, 1, 5);
        s.attempt(at, number, unmet(), vec![]);
    }
    s.finish(at, Status::Failed, unmet(), Some("condition not met within 1s (2 attempts)"), 2, 1_000);
    s.sentence("TC-1/steps/0", Status::Failed, None);
    s.verdict("TC-1", Verdict::Failed, Some(Blame::Product), None, 20);
    let report = markdown(&IndexBuilder::build(&s.events));
    for text in
        ["Judged: `http GET /orders/7`, `plans/TP-900.yaml:31`", "GET http://orders.example/orders/7\n", "open 1\n"]
    {
        assert!(report.contains(text), "{text}\n{report}");
    }
    assert!(!report.contains("open 0"), "only the last request is shown:\n{report}");
}

#[test]
fn equal_failures_of_several_items_are_one() {
    let mut s = SampleRun::begin(vec![samples::case("TC-1", "Orders", Tier::Must, &[(Part::Step, "Send")])], |_| {});
    s.emit("TC-1", EventKind::CaseStarted);
    s.emit("TC-1/steps/0", EventKind::SentenceStarted);
    for item in 0..5 {
        let at = format!("TC-1/steps/0/do/0#{item}");
        s.start(&at, "http POST /orders", 30);
        let (status, results) = match item {
            2 => (Status::Passed, vec![]),
            _ => (Status::Failed, vec![result("status", false, "201", "500")]),
        };
        s.finish(&at, status, results, None, 1, 5);
    }
    s.sentence("TC-1/steps/0", Status::Failed, None);
    s.verdict("TC-1", Verdict::Failed, Some(Blame::Product), None, 20);
    let report = markdown(&IndexBuilder::build(&s.events));
    assert!(report.contains("`http POST /orders`, item `0` (4 of 5 items, the same: also `1, 3, 4`)"), "{report}");
    assert_eq!(report.matches("| `status` | `201` | `500` |").count(), 1, "{report}");
}

#[test]
fn a_case_that_passes_keeps_no_evidence() {
    let index = IndexBuilder::build(&run(Verdict::Passed).events);
    assert!(index.cases[0].inputs.is_empty());
}

#[test]
fn only_what_an_assertion_reads_is_shown() {
    let mut run = run(Verdict::Failed);
    for event in &mut run.events {
        if let EventKind::ActionFinished { results, .. } = &mut event.kind {
            results.iter_mut().for_each(|r| r.subject = r.subject.replace("batch", "other.batch"));
        }
    }
    assert!(!markdown(&IndexBuilder::build(&run.events)).contains("Judged"), "it reads `other`");
}
