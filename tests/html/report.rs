//! HTML reports of made-up runs, from events.
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};
use tp_runner::{
    address::Address,
    event::*,
    outcome::{Blame, Status, Tier, Verdict},
    report::{formats::FORMATS, index_builder::IndexBuilder},
    source::Location,
    value::Value,
};

/// Cases that passed and failed in turn, each with a number of steps; each text of plan and product begins with `text`.
pub struct Run<'t> {
    pub cases: usize,
    pub steps: usize,
    pub text: &'t str,
}

const VERDICTS: [(Verdict, Status); 3] =
    [(Verdict::Passed, Status::Passed), (Verdict::Failed, Status::Failed), (Verdict::Errored, Status::Errored)];

impl Run<'_> {
    pub fn html(&self) -> String {
        let format = FORMATS.into_iter().find(|f| f.name == "html").expect("the format");
        let index = IndexBuilder::build(&self.events());
        let mut out = vec![];
        (format.write)(&index, "", &mut out).expect("HTML");
        String::from_utf8(out).expect("UTF-8")
    }

    fn location(&self, line: usize) -> Location {
        Location { file: "plans/TP-900.yaml".into(), line, column: 5 }
    }

    fn result(&self, holds: bool) -> AssertionResult {
        AssertionResult {
            subject: "body.sessions[1].state".into(),
            holds,
            inconclusive: false,
            expected: "\"hibernated\"".into(),
            actual: format!("\"{}\"", if holds { "hibernated" } else { self.text }),
            operands: vec![],
            location: Some(self.location(42)),
            assertion: None,
        }
    }

    fn case(&self, n: usize) -> CaseOutline {
        let sentence = |i: usize| {
            Arc::new(SentenceOutline {
                address: Address::new(format!("TC-{n}")).child("steps").child(i + 1),
                part: if i + 1 == self.steps { Part::Expected } else { Part::Step },
                text: format!("{} Put `session {i}` to sleep and wait until it is hibernated", self.text),
                location: self.location(20 + i),
                unproven: (i == 3).then(|| format!("{} no metric", self.text)),
                inputs: vec![],
            })
        };
        CaseOutline {
            id: format!("TC-{n}"),
            title: format!("{} Batch of {}", self.text, self.steps),
            tier: Tier::ALL[n % 3],
            priority: Some(self.text.into()),
            selected: true,
            fields: vec![("Type".into(), self.text.into())],
            sentences: (0..self.steps).map(sentence).collect(),
        }
    }

    fn attempt(&self, number: u32, began: Timestamp, unmet: Vec<AssertionResult>) -> Box<Attempt> {
        let evidence = |kind, text: String| Evidence { kind, text };
        let body = format!(
            "{{\"sessions\": [{{\"state\": \"running\"}}, {{\"state\": \"pending\", \"x\": {:?}}}]}}",
            self.text
        );
        Box::new(Attempt {
            number,
            began,
            took: Duration::from_millis(3),
            value: None,
            error: None,
            error_kind: None,
            unmet,
            evidence: vec![
                evidence(EvidenceKind::Request, "GET /api/v1/sessions HTTP/1.1\naccept: application/json\n\n".into()),
                evidence(
                    EvidenceKind::Response,
                    format!("HTTP/1.1 200 OK\nx: {}\n\n{body}", self.text.replace('\n', " ")),
                ),
                evidence(EvidenceKind::Reproduce, format!("curl -sS 'https://api.example/{}'", self.text)),
                evidence(EvidenceKind::Note, self.text.into()),
            ],
        })
    }

    fn events(&self) -> Vec<Event> {
        let mut now: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
        let mut events = vec![];
        let mut emit = |now: Timestamp, at: &str, kind| {
            events.push(Event { seq: events.len() as u64 + 1, at: now, address: Address::new(at), kind });
        };
        let start = RunStarted {
            run: "k3x9q".into(),
            started: now,
            plan: PlanOutline {
                id: "TP-900".into(),
                title: format!("{} Sessions", self.text),
                file: "plans/TP-900.yaml".into(),
                objective: Some(self.text.into()),
                scope_in: vec![self.text.into()],
                vars: vec![(self.text.into(), self.text.into())],
                ..PlanOutline::default()
            },
            environment: EnvironmentOutline {
                name: "staging".into(),
                about: self.text.into(),
                targets: vec![("api".into(), "https://api.example".into()), ("db".into(), self.text.into())],
                ..EnvironmentOutline::default()
            },
            selection: format!("all {} cases", self.cases),
            gate: Tier::ALL.to_vec(),
            versions: vec![("tp-runner".into(), "0.1.0".into())],
            ci: vec![("Commit".into(), "0123abc".into())],
            cases: (0..self.cases).map(|n| Arc::new(self.case(n))).collect(),
            ..RunStarted::default()
        };
        emit(now, "", EventKind::RunStarted(Box::new(start)));
        for n in 0..self.cases {
            let (verdict, worst) = VERDICTS[n % 3];
            let case = format!("TC-{n}");
            emit(now, &case, EventKind::CaseStarted);
            let fault = EventKind::UndoPlanned {
                summary: format!("fault heal {}", self.text),
                location: self.location(9),
                names: Value::Null,
                heals: Some("events".into()),
            };
            emit(now, &format!("{case}/steps/1/do/0/undo"), fault);
            for i in 0..self.steps {
                let at = format!("{case}/steps/{}", i + 1);
                let status = if i % 5 == 1 { worst } else { Status::Passed };
                emit(now, &at, EventKind::SentenceStarted);
                let action = format!("{at}/do/0");
                let outline = ActionOutline::new(format!("http GET {}", self.text), self.location(40));
                emit(now, &action, EventKind::ActionStarted { action: outline });
                let unmet = if status == Status::Passed { vec![] } else { vec![self.result(false)] };
                let results = vec![self.result(status == Status::Passed)];
                if !unmet.is_empty() {
                    emit(now, &action, EventKind::Observed(self.attempt(0, now, vec![])));
                    now += SignedDuration::from_millis(20);
                }
                let finished = EventKind::ActionFinished {
                    status,
                    results,
                    reason: (status != Status::Passed).then(|| self.text.to_owned()),
                    attempts: 2,
                    took: Duration::from_millis(20),
                    wait: None,
                    last: Some(self.attempt(1, now, unmet)),
                };
                now += SignedDuration::from_millis(5);
                emit(now, &action, finished);
                emit(now, &at, EventKind::SentenceFinished { status, reason: None });
            }
            let took = Duration::from_millis(25 * self.steps as u64);
            let finished =
                EventKind::CaseFinished { verdict, blame: Some(Blame::Product), reason: None, took, out_of_time: None };
            emit(now, &case, finished);
        }
        let notes = vec![self.text.to_owned()];
        emit(now, "", EventKind::RunFinished { took: Duration::from_secs(2), notes });
        events
    }
}
