//! Sample runs for the tests of reports: a builder of event sequences, and runs that several tests share.
use super::{index_builder::IndexBuilder, run_index::RunIndex};
use crate::{
    address::Address,
    event::*,
    outcome::{Blame, Status, Tier, Verdict},
    source::Location,
    value::Value,
};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};

pub struct SampleRun {
    pub events: Vec<Event>,
    pub now: Timestamp,
}

pub fn location(line: usize) -> Location {
    Location { file: "plans/TP-900.yaml".into(), line, column: 9 }
}

pub fn undo_planned(summary: &str, line: usize) -> EventKind {
    let location = location(line);
    EventKind::UndoPlanned { summary: summary.into(), location, names: Value::Null, heals: None }
}

pub fn result(subject: &str, holds: bool, expected: &str, actual: &str) -> AssertionResult {
    AssertionResult {
        subject: subject.into(),
        holds,
        inconclusive: false,
        expected: expected.into(),
        actual: actual.into(),
        operands: vec![],
        location: None,
        assertion: None,
    }
}

pub fn passed(subject: &str, value: &str) -> AssertionResult {
    result(subject, true, value, value)
}

pub fn check(expression: &str) -> AssertionResult {
    result(expression, true, "true", "true")
}

pub fn evidence(kind: EvidenceKind, text: &str) -> Evidence {
    Evidence { kind, text: text.into() }
}

pub fn case(id: &str, title: &str, tier: Tier, sentences: &[(Part, &str)]) -> CaseOutline {
    let mut count = [0; 3];
    let sentences = sentences.iter().enumerate().map(|(line, (part, text))| {
        let (n, name) = match part {
            Part::Precondition => (&mut count[0], "preconditions"),
            Part::Step => (&mut count[1], "steps"),
            Part::Expected => (&mut count[2], "expected"),
        };
        let address = Address::new(id).child(name).child(*n);
        *n += 1;
        Arc::new(SentenceOutline {
            address,
            part: *part,
            text: (*text).into(),
            location: location(20 + line),
            unproven: None,
            inputs: vec![],
        })
    });
    CaseOutline {
        id: id.into(),
        title: title.into(),
        tier,
        priority: Some("high".into()),
        selected: true,
        fields: vec![("Type".into(), "Integration".into())],
        sentences: sentences.collect(),
    }
}

impl SampleRun {
    pub fn begin(cases: Vec<CaseOutline>, change: impl FnOnce(&mut RunStarted)) -> Self {
        let started: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut start = RunStarted {
            run: "k3x9q".into(),
            started,
            plan: PlanOutline {
                id: "TP-900".into(),
                title: "Greetings (sample)".into(),
                file: "plans/TP-900.yaml".into(),
                source: Some("docs/TP-900.md".into()),
                objective: Some("Show what a report looks like.".into()),
                scope_in: vec!["Greetings".into()],
                scope_out: vec!["Farewells".into()],
                vars: vec![("settle".into(), "30s".into())],
                digest: Some("0f".repeat(32)),
            },
            environment: EnvironmentOutline {
                name: "sandbox".into(),
                about: "the embedded reference platform".into(),
                notice: Some("sandbox (embedded reference platform): no deployment was tested".into()),
                targets: vec![("api".into(), "http://127.0.0.1:41001".into())],
                replaced: vec![],
                ends_with_run: false,
            },
            selection: format!("all {} cases", cases.len()),
            gate: Tier::ALL.to_vec(),
            versions: vec![("tp-runner".into(), "0.1.0".into())],
            ci: vec![],
            trace: None,
            arguments: vec![],
            cases: cases.into_iter().map(Arc::new).collect(),
        };
        change(&mut start);
        let mut run = SampleRun { events: vec![], now: started };
        run.emit("", EventKind::RunStarted(Box::new(start)));
        run
    }

    pub fn emit(&mut self, at: &str, kind: EventKind) {
        let seq = self.events.len() as u64 + 1;
        self.events.push(Event { seq, at: self.now, address: Address::new(at), kind });
    }

    pub fn wait(&mut self, ms: i64) -> &mut Self {
        self.now += SignedDuration::from_millis(ms);
        self
    }

    pub fn start(&mut self, at: &str, summary: &str, line: usize) {
        self.emit(at, EventKind::ActionStarted { action: ActionOutline::new(summary.into(), location(line)) });
    }

    pub fn attempt(&mut self, at: &str, number: u32, unmet: Vec<AssertionResult>, evidence: Vec<Evidence>) {
        let attempt = Attempt { unmet, evidence, ..self.new_attempt(number, 12) };
        self.emit(at, EventKind::Observed(Box::new(attempt)));
    }

    pub fn fail_attempt(&mut self, at: &str, number: u32, error: &str) {
        let (error, error_kind) = (Some(error.to_string()), Some(ErrorKind::Unreachable));
        let attempt = Attempt { error, error_kind, ..self.new_attempt(number, 3) };
        self.emit(at, EventKind::Observed(Box::new(attempt)));
    }

    fn new_attempt(&self, number: u32, took_ms: u64) -> Attempt {
        Attempt {
            number,
            began: self.now,
            took: Duration::from_millis(took_ms),
            value: None,
            error: None,
            error_kind: None,
            unmet: vec![],
            evidence: vec![],
        }
    }

    pub fn finish(
        &mut self,
        at: &str,
        status: Status,
        results: Vec<AssertionResult>,
        reason: Option<&str>,
        attempts: u32,
        ms: u64,
    ) {
        let reason = reason.map(str::to_owned);
        let took = Duration::from_millis(ms);
        let last = match self.events.pop_if(|event| event.address.as_str() == at) {
            Some(Event { kind: EventKind::Observed(attempt), .. }) => Some(attempt),
            other => {
                self.events.extend(other);
                None
            }
        };
        self.emit(at, EventKind::ActionFinished { status, results, reason, attempts, took, wait: None, last });
    }

    /// Finishes an action with `eventually`.
    pub fn finish_wait(&mut self, at: &str, status: Status, wait: WaitOutcome) {
        let took = wait.held_after.unwrap_or(wait.limit);
        let (results, reason, attempts, last) = (vec![], None, 3, None);
        self.emit(at, EventKind::ActionFinished { status, results, reason, attempts, took, wait: Some(wait), last });
    }

    /// Emits a sentence with one action that passes.
    pub fn passing_sentence(&mut self, at: &str, summary: &str, results: Vec<AssertionResult>) {
        self.emit(at, EventKind::SentenceStarted);
        let action = format!("{at}/do/0");
        self.start(&action, summary, 30);
        self.wait(40).attempt(
            &action,
            0,
            vec![],
            vec![evidence(EvidenceKind::Response, "evidence of a passed action")],
        );
        self.finish(&action, Status::Passed, results, None, 1, 40);
        self.sentence(at, Status::Passed, None);
    }

    pub fn sentence(&mut self, at: &str, status: Status, reason: Option<&str>) {
        self.emit(at, EventKind::SentenceFinished { status, reason: reason.map(str::to_owned) });
    }

    pub fn verdict(&mut self, id: &str, verdict: Verdict, blame: Option<Blame>, reason: Option<&str>, ms: u64) {
        let reason = reason.map(str::to_owned);
        self.emit(
            id,
            EventKind::CaseFinished { verdict, blame, reason, took: Duration::from_millis(ms), out_of_time: None },
        );
    }

    pub fn end(mut self, notes: &[&str]) -> Self {
        let notes = notes.iter().map(|n| (*n).to_owned()).collect();
        self.emit("", EventKind::RunFinished { took: Duration::from_millis(1_240), notes });
        self
    }

    pub fn index(&self) -> RunIndex {
        IndexBuilder::build(&self.events)
    }

    pub fn markdown(&self) -> String {
        markdown(&self.index())
    }
}

/// Asserts that the page `docs/reports.md` has a block that begins with a command and shows this text. `SNAPSHOTS=overwrite` rewrites it.
pub fn assert_shown(command: &str, text: &str) {
    let path = format!("{}/docs/reports.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(&path).unwrap();
    let head = format!("```text\n$ {command}\n");
    let start = page.find(&head).unwrap_or_else(|| panic!("no block begins with `$ {command}`")) + head.len();
    let end = start + page[start..].find("```").unwrap();
    if std::env::var("SNAPSHOTS").as_deref() == Ok("overwrite") {
        std::fs::write(&path, format!("{}{text}{}", &page[..start], &page[end..])).unwrap();
        return;
    }
    assert_eq!(&page[start..end], text, "`SNAPSHOTS=overwrite` rewrites the sample");
}

pub fn markdown(run: &RunIndex) -> String {
    let mut out = Vec::new();
    super::markdown::write(run, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Three cases that pass: two in tier `must`, one in tier `nice`.
pub fn passing() -> SampleRun {
    use Part::*;
    let greet = |id, title, tier| {
        case(
            id,
            title,
            tier,
            &[(Precondition, "The greeter is up"), (Step, "Greet 3 people"), (Expected, "All are greeted")],
        )
    };
    let cases = vec![
        greet("TC-1", "Good Morning", Tier::Must),
        greet("TC-2", "Good Night", Tier::Must),
        greet("TC-3", "Hello", Tier::Nice),
    ];
    let mut s = SampleRun::begin(cases, |_| {});
    for id in ["TC-2", "TC-1", "TC-3"] {
        s.emit(id, EventKind::CaseStarted);
        s.passing_sentence(&format!("{id}/preconditions/0"), "http GET /health", vec![passed("status", "200")]);
        let step = format!("{id}/steps/0");
        s.emit(&step, EventKind::SentenceStarted);
        for round in [2, 0, 1] {
            let at = format!("{step}/do/0#{round}");
            s.emit(&at, undo_planned("http DELETE /greetings", 33));
            s.start(&at, "http POST /greetings", 32);
            s.wait(5).attempt(&at, 0, vec![], vec![]);
            s.finish(
                &at,
                Status::Passed,
                vec![passed("status", "201"), passed("body.n", &round.to_string())],
                None,
                1,
                5,
            );
        }
        s.sentence(&step, Status::Passed, None);
        s.passing_sentence(&format!("{id}/expected/0"), "check", vec![check("size(greeted) == 3")]);
        for round in [2, 1, 0] {
            let summary = "http DELETE /greetings".into();
            s.emit(
                &format!("{step}/do/0#{round}"),
                EventKind::UndoFinished { status: Status::Passed, summary, reason: None },
            );
        }
        s.verdict(id, Verdict::Passed, None, None, 340);
    }
    s.end(&[])
}

/// Cases with every verdict other than passed and known failure, in a run that is cancelled and incomplete.
pub fn mixed() -> SampleRun {
    use Part::*;
    let mut cases = vec![
        case(
            "TC-1",
            "Wrong Response",
            Tier::Must,
            &[
                (Precondition, "The greeter is up"),
                (Step, "Greet everyone"),
                (Step, "Wait for the echo"),
                (Step, "Greet a stranger"),
                (Expected, "{\n  \"greeted\": 3\n}"),
                (Expected, "Guests are content"),
            ],
        ),
        case("TC-2", "Unknown Host", Tier::Must, &[(Step, "Connect"), (Step, "Reconnect"), (Expected, "A response")]),
        case("TC-3", "Not Ready", Tier::Should, &[(Precondition, "The stage is ready"), (Expected, "Applause")]),
        case("TC-4", "Cancelled Run", Tier::Nice, &[(Step, "Begin"), (Step, "End"), (Expected, "Done")]),
        case("TC-5", "Too Late", Tier::Nice, &[(Expected, "Anything")]),
        case("TC-6", "Not Chosen", Tier::Nice, &[(Expected, "Anything")]),
    ];
    Arc::make_mut(&mut cases[0].sentences[5]).unproven = Some("feelings cannot be measured".into());
    cases[5].selected = false;
    let mut s = SampleRun::begin(cases, |start| {
        start.selection = "5 of 6 cases".into();
        start.environment = EnvironmentOutline {
            name: "staging".into(),
            about: "the shared cluster".into(),
            notice: None,
            targets: vec![("api".into(), "https://greeter.example".into())],
            replaced: vec!["greet".into()],
            ends_with_run: false,
        };
    });

    s.emit("TC-1", EventKind::CaseStarted);
    s.sentence("TC-1/preconditions/0", Status::NotVerified, None);
    let at = "TC-1/steps/0";
    s.emit(at, EventKind::SentenceStarted);
    s.start("TC-1/steps/0/do/0", "use greet", 40);
    let inner = "TC-1/steps/0/do/0#1/use/0";
    s.emit(inner, undo_planned("http DELETE /greetings/2", 43));
    s.start(inner, "http POST /greetings", 42);
    let response = (1..=25).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
    let observed = vec![
        evidence(EvidenceKind::Request, "POST /greetings\n\n{\"to\": \"Ann\"}"),
        evidence(EvidenceKind::Response, &response),
        evidence(
            EvidenceKind::Reproduce,
            "curl -X POST https://greeter.example/greetings \\\n  -d '{\"to\": \"Ann\"}'",
        ),
    ];
    let wrong = vec![
        result("status", false, "201", "500"),
        passed("headers.server", "greeter"),
        AssertionResult {
            operands: vec![("a".into(), "1".into()), ("b || c".into(), "false".into())],
            ..result("a == 2 && (b || c)", false, "true", "false")
        },
    ];
    s.wait(20).attempt(inner, 0, wrong.clone(), observed);
    s.finish(inner, Status::Failed, wrong, None, 1, 20);
    s.finish("TC-1/steps/0/do/0", Status::Failed, vec![], Some("round 1 failed"), 1, 25);
    s.sentence(at, Status::Failed, None);
    let at = "TC-1/steps/1";
    s.emit(at, EventKind::SentenceStarted);
    let echo = "TC-1/steps/1/do/0";
    s.start(echo, "http GET /echo", 50);
    let not_yet = |n: &str| vec![result("body.echo", false, "3", n)];
    s.fail_attempt(echo, 0, "connection refused");
    for (attempt, n) in ["0", "0", "0", "2"].into_iter().enumerate() {
        s.wait(500).attempt(echo, attempt as u32 + 1, not_yet(n), vec![]);
    }
    s.finish(echo, Status::Failed, not_yet("2"), Some("did not hold within 2s"), 5, 2_000);
    s.sentence(at, Status::Failed, None);
    s.emit("TC-1/steps/2", EventKind::SentenceStarted);
    s.start("TC-1/steps/2/do/0", "http POST /greetings", 55);
    s.finish("TC-1/steps/2/do/0", Status::NotReached, vec![], Some("`ghost` was never bound"), 0, 0);
    s.sentence("TC-1/steps/2", Status::NotReached, Some("`ghost` was never bound"));
    s.passing_sentence("TC-1/expected/0", "check", vec![check("echo.body.greeted == 3")]);
    s.sentence("TC-1/expected/1", Status::Unproven, None);
    let summary = "http DELETE /greetings/2".to_owned();
    s.emit(
        inner,
        EventKind::UndoFinished { status: Status::Errored, summary, reason: Some("connection refused".into()) },
    );
    s.start("TC-1/on_failure/0", "logs tail 200", 5);
    s.attempt("TC-1/on_failure/0", 0, vec![], vec![evidence(EvidenceKind::Note, "12:00 panic averted")]);
    s.finish("TC-1/on_failure/0", Status::Passed, vec![], None, 1, 1);
    s.verdict("TC-1", Verdict::Failed, Some(Blame::Product), None, 2_100);

    s.emit("TC-2", EventKind::CaseStarted);
    s.emit("TC-2/steps/0", EventKind::SentenceStarted);
    s.start("TC-2/steps/0/do/0", "http GET /", 60);
    s.fail_attempt("TC-2/steps/0/do/0", 0, "cannot resolve `greeter.example`");
    s.finish("TC-2/steps/0/do/0", Status::Errored, vec![], Some("cannot resolve `greeter.example`"), 1, 3);
    s.sentence("TC-2/steps/0", Status::Errored, Some("cannot resolve `greeter.example`"));
    s.verdict("TC-2", Verdict::Errored, Some(Blame::Environment), None, 9);

    s.emit("TC-3", EventKind::CaseStarted);
    s.emit("TC-3/preconditions/0", EventKind::SentenceStarted);
    let unset = vec![result("rows[0].set", false, "true", "null")];
    s.start("TC-3/preconditions/0/check", "expected", 70);
    s.finish("TC-3/preconditions/0/check", Status::Failed, unset, None, 0, 0);
    s.sentence("TC-3/preconditions/0", Status::Failed, None);
    s.verdict("TC-3", Verdict::Blocked, Some(Blame::Product), Some("a precondition does not hold"), 15);

    s.emit("TC-4", EventKind::CaseStarted);
    s.passing_sentence("TC-4/steps/0", "http POST /begin", vec![passed("status", "200")]);
    s.emit("TC-4/steps/1", EventKind::SentenceStarted);
    s.start("TC-4/steps/1/do/0", "http POST /end", 80);
    s.wait(100).emit("", EventKind::CancelRequested);
    s
}

/// The mixed run with texts that end elements, start commands, or change how others are displayed, wherever a text comes from the plan or
/// the product.
pub fn hostile() -> RunIndex {
    let texts = [
        "]]> </testcase> <!-- & \" ' --> \u{0}\u{1}\u{8}\u{b}\u{1f}\u{7f}\u{9b}\u{fffe}\u{ffff}",
        "a\n::error::x\r\n  ::add-mask::y\r::stop-commands::z",
        "##vso[task.complete] ###[x] ##teamcity[y] \u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7}",
        "```\n## heading\n~~~~\n| cell | `tick` | \\ |\n<details>\n- list\n> quote",
        "🎉 \u{202e}right to left\u{202c} مرحبا \u{feff}\u{2028}\u{2066}e\u{301}",
        "</script></style></title></textarea><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">",
        "[[ATTACHMENT|../../etc/passwd]] 100% {\"a\": [1, null]} ${{ secrets.x }} %0A",
    ];
    let mut next = texts.iter().cycle();
    let mut change = |text: &mut String| *text = format!("{} {text}", next.next().unwrap());
    let mut run = mixed().index();
    let long = "long 🎉 ".repeat(3_000);
    let start = &mut run.start;
    let named = start.environment.targets.iter_mut().chain(&mut start.versions).chain(&mut start.plan.vars);
    named.for_each(|(name, value)| [name, value].into_iter().for_each(&mut change));
    [&mut start.plan.title, &mut start.environment.name, &mut start.selection].into_iter().for_each(&mut change);
    run.notes.push("note".into());
    run.notes.iter_mut().for_each(&mut change);
    for case in &mut run.cases {
        let outline = Arc::make_mut(&mut case.outline);
        [&mut outline.id, &mut outline.title].into_iter().for_each(&mut change);
        outline.priority.iter_mut().chain(&mut case.reason).for_each(&mut change);
        let undo = case.not_undone.iter_mut().flat_map(|u| [&mut u.summary].into_iter().chain(&mut u.reason));
        undo.for_each(&mut change);
        for s in &mut case.sentences {
            let outline = Arc::make_mut(&mut s.outline);
            change(&mut outline.text);
            s.reason.iter_mut().chain(&mut outline.unproven).for_each(&mut change);
            for a in s.actions.iter_mut().chain(&mut case.on_failure) {
                change(&mut a.summary);
                a.reason.iter_mut().for_each(&mut change);
                for f in &mut a.results {
                    [&mut f.subject, &mut f.expected, &mut f.actual].into_iter().for_each(&mut change);
                    f.actual += &long;
                }
                a.timeline.iter_mut().for_each(|t| change(&mut t.message));
                a.evidence.iter_mut().for_each(|e| change(&mut e.text));
                a.evidence.iter_mut().for_each(|e| e.text += &long);
            }
        }
    }
    run
}
