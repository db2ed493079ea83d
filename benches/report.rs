//! Reports a recorded run of 100,000 actions in every format, each in a process of its own: time, peak memory and size of the report.
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tp_runner::{
    address::Address,
    event::{
        ActionOutline, AssertionResult, Attempt, CaseOutline, Event, EventKind, EventSink, Evidence, EvidenceKind,
        Part, RunStarted, SentenceOutline,
    },
    journal::lines::{self, JsonLines},
    outcome::{Blame, Status, Tier, Verdict},
    report::{
        formats::{FORMATS, Format},
        index_builder::IndexBuilder,
    },
    source::Location,
    value::Value,
};

/// The recorded actions, as cases, sentences of each case, and actions of each sentence. Every tenth case fails.
const SHAPES: [(usize, usize, usize); 2] = [(100, 10, 100), (1_000, 10, 10)];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|a| a == "--list") {
        return;
    }
    if let [_, child, format, journal] = &args[..]
        && child == "--one"
    {
        return report(format, Path::new(journal));
    }
    let shapes = if args.iter().any(|a| a == "--test") { vec![(10, 2, 5)] } else { SHAPES.to_vec() };
    let folder = tempfile::tempdir().expect("a folder");
    for (cases, sentences, actions) in shapes {
        let journal = folder.path().join(format!("{cases}.jsonl"));
        record(&journal, cases, sentences, actions);
        let megabytes = journal.metadata().expect("a journal").len() as f64 / 1e6;
        println!("{cases} cases of {sentences} sentences of {actions} actions, journal {megabytes:.0} MB:");
        for format in FORMATS {
            let output = Command::new(&args[0]).args(["--one", format.name]).arg(&journal).output().expect("a process");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            print!("  {:<10}{}", format.name, String::from_utf8_lossy(&output.stdout));
        }
    }
}

/// Writes one report, and prints what it needed.
fn report(name: &str, journal: &Path) {
    let format: &Format = FORMATS.into_iter().find(|f| f.name == name).expect("a format");
    let begun = Instant::now();
    let mut builder = IndexBuilder::default();
    lines::for_each(journal, |event| builder.on_event(&event).expect("an event")).expect("a journal");
    let index = builder.index();
    let read = begun.elapsed();
    let mut out = BufWriter::new(File::create(journal.with_extension(name)).expect("a file"));
    (format.write)(&index, "tp-runner report rbench", &mut out).expect("a report");
    out.flush().expect("a report");
    let took = begun.elapsed();
    let megabytes = out.get_ref().metadata().expect("a file").len() as f64 / 1e6;
    println!(
        "{:>6.2} s ({:.2} s to read the journal), {:>6.1} MiB, report {megabytes:.1} MB",
        took.as_secs_f64(),
        read.as_secs_f64(),
        peak_memory()
    );
}

/// Of this process, in MiB.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    peak.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}

/// Records a run with that many cases, sentences of each case, and actions of each sentence.
fn record(journal: &Path, cases: usize, sentences: usize, actions: usize) {
    let mut recording =
        Recording { sink: JsonLines::open(journal).expect("a journal"), seq: 0, now: jiff::Timestamp::UNIX_EPOCH };
    let location = |line: usize| Location { file: "plans/bench.yaml".into(), line, column: 7 };
    let outline = |case: usize| CaseOutline {
        id: format!("BENCH-{case}"),
        title: "Many actions".into(),
        tier: Tier::Must,
        priority: None,
        selected: true,
        fields: vec![],
        sentences: (1..=sentences)
            .map(|n| {
                Arc::new(SentenceOutline {
                    address: Address::new(format!("BENCH-{case}/expected/{n}")),
                    part: Part::Expected,
                    text: format!("Session {n} of user {case} is running and reachable"),
                    location: location(case * sentences + n),
                    unproven: None,
                    inputs: vec![],
                })
            })
            .collect(),
    };
    let start = RunStarted {
        run: "rbench".into(),
        cases: (0..cases).map(outline).map(Arc::new).collect(),
        ..RunStarted::default()
    };
    recording.emit("", EventKind::RunStarted(Box::new(start)));
    for case in 0..cases {
        let id = format!("BENCH-{case}");
        let is_failed = case % 10 == 9;
        recording.emit(&id, EventKind::CaseStarted);
        for n in 1..=sentences {
            let at = format!("{id}/expected/{n}");
            let fails = is_failed && n == sentences;
            recording.emit(&at, EventKind::SentenceStarted);
            for action in 0..actions {
                recording.action(&format!("{at}/do/{action}"), &location(case), fails && action + 1 == actions);
            }
            let status = if fails { Status::Failed } else { Status::Passed };
            recording.emit(&at, EventKind::SentenceFinished { status, reason: None });
        }
        let (verdict, blame) =
            if is_failed { (Verdict::Failed, Some(Blame::Product)) } else { (Verdict::Passed, None) };
        let took = Duration::from_secs(1);
        recording.emit(&id, EventKind::CaseFinished { verdict, blame, reason: None, took, out_of_time: None });
    }
    recording.emit("", EventKind::RunFinished { took: Duration::from_secs(1), notes: vec![] });
    recording.sink.sync().expect("a journal");
}

struct Recording {
    sink: JsonLines,
    seq: u64,
    now: jiff::Timestamp,
}

impl Recording {
    fn emit(&mut self, at: &str, kind: EventKind) {
        self.seq += 1;
        self.now += jiff::SignedDuration::from_millis(1);
        let event = Event { seq: self.seq, at: self.now, address: Address::new(at), kind };
        self.sink.on_event(&event).expect("a journal");
    }

    fn action(&mut self, at: &str, location: &Location, fails: bool) {
        let summary = "http GET /api/v1/sessions/${id}".to_string();
        self.emit(at, EventKind::ActionStarted { action: ActionOutline::new(summary, location.clone()) });
        let seq = self.seq;
        let body = serde_json::json!({
            "name": format!("session-{seq}"), "user": "admin", "state": "running",
            "status": { "phase": "Running", "podName": format!("session-{seq}-0") },
        });
        let fields = [("answered", true.into()), ("status", 200.into()), ("body", body)];
        let value = Value::map(fields.map(|(name, json): (&str, serde_json::Value)| (name.to_string(), json.into())));
        let result = AssertionResult {
            subject: "body.state".into(),
            holds: !fails,
            inconclusive: false,
            expected: "\"running\"".into(),
            actual: if fails { "\"failed\"" } else { "\"running\"" }.into(),
            operands: vec![],
            location: Some(location.clone()),
            assertion: None,
        };
        let request = format!("GET http://127.0.0.1:8080/api/v1/sessions/session-{seq}\naccept: */*\n");
        let attempt = Attempt {
            number: 0,
            began: self.now,
            took: Duration::from_micros(700),
            value: Some(value),
            error: None,
            error_kind: None,
            unmet: if fails { vec![result.clone()] } else { vec![] },
            evidence: vec![Evidence { kind: EvidenceKind::Request, text: request }],
        };
        let status = if fails { Status::Failed } else { Status::Passed };
        let (took, last) = (Duration::from_micros(800), Some(Box::new(attempt)));
        self.emit(
            at,
            EventKind::ActionFinished {
                status,
                results: vec![result],
                reason: None,
                attempts: 1,
                took,
                wait: None,
                last,
            },
        );
    }
}
