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

/// The sentences of a case judge the response of `http POST /batch`, bound as `batch` in another one.
fn run(verdict: Verdict) -> SampleRun {
    let sentences =
        [(Part::Step, "Send the batch"), (Part::Expected, "All are accepted"), (Part::Expected, "None has an error")];
    let mut case = samples::case("TC-1", "A batch", Tier::Must, &sentences);
    let actions = vec![Address::new("TC-1/steps/0/do/0")];
    let input = SentenceInput { name: "batch".into(), actions };
    case.sentences.iter_mut().skip(1).for_each(|s| s.inputs = vec![input.clone()]);
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
    let (first, second) = report.split_once("None has an error").expect("two sentences");
    let first = first.split_once("All are accepted").expect("the first one").1;
    for text in [
        "Judged: `http POST /batch`, `plans/TP-900.yaml:30`",
        r"curl -sS -i -X POST http://orders.example/batch -H 'content-type: a/b' --data-raw 'it'\''s'",
        "POST http://orders.example/batch\n  content-type: a/b\n\n  it's",
        "HTTP/1.1 200 OK\n  content-length: 2\n\n  {}",
    ] {
        assert!(first.contains(text), "{text}\n{report}");
    }
    let again = "Judged, shown above: `http POST /batch`, `plans/TP-900.yaml:30`: `POST http://orders.example/batch` → \
                 `HTTP/1.1 200 OK`";
    assert!(second.contains(again) && !second.contains("curl"), "{report}");
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
