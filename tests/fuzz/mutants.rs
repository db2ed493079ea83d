//! Changed copies of all shipped files through the binary: `check` of a plan beside its environment and Markdown, and `report` of a
//! journal. No abort, and each ends in time and with little memory. At least a third is accepted: what is refused at its first line
//! tests only the reader.
use super::{corpus, driver, gentle, journal, mutate};
use fastrand::Rng;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// For a release build.
const MAX_TIME: Duration = Duration::from_secs(5);
/// The ordinary suite runs a debug build beside other tests.
const MAX_DEBUG_TIME: Duration = Duration::from_secs(60);
const MAX_MEMORY_KIB: u64 = 200 << 10;
const DEFAULT_COUNT: usize = 60;
/// A smaller number says nothing about the share of accepted ones.
const MIN_COUNT_FOR_SHARE: usize = 200;

/// One run of the binary.
struct Ended {
    code: Option<i32>,
    took: Duration,
    memory_kib: u64,
    stderr: String,
}

/// Runs `TP_TEST_MUTANTS` mutants with the binary `BIN`; without them, few with the debug build.
pub fn run() {
    let count = std::env::var("TP_TEST_MUTANTS").ok().and_then(|n| n.parse().ok());
    let binary = std::env::var("BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tp-runner").into());
    let seed = std::env::var("TP_TEST_FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let max_time = if count.is_some() { MAX_TIME } else { MAX_DEBUG_TIME };
    let count = count.unwrap_or(DEFAULT_COUNT);
    let starts = Starts::all();
    let next = AtomicUsize::new(0);
    let worker = || {
        let (mut findings, mut sum) = (vec![], Sum::default());
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return (findings, sum);
            }
            let folder = tempfile::tempdir().expect("a folder");
            let args = starts.write(&mut Rng::with_seed(seed ^ (i as u64) << 20), folder.path());
            let ended = start(&binary, folder.path(), &args);
            sum.add(&ended);
            let is_known = matches!(ended.code, Some(0..=5));
            if !is_known
                || ended.stderr.lines().any(is_panic)
                || ended.took > max_time
                || ended.memory_kib > MAX_MEMORY_KIB
            {
                let (code, took, kib) = (ended.code, ended.took, ended.memory_kib);
                let kept = folder.keep();
                findings.push(format!("{args:?} in {}: exit code {code:?}, {took:.1?}, {kib} KiB", kept.display()));
            }
        }
    };
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|w| w.join().expect("a worker")).collect()
    });
    let sum = results.iter().fold(Sum::default(), |sum, (_, other)| sum.with(other));
    let findings: Vec<String> = results.into_iter().flat_map(|(findings, _)| findings).collect();
    let Sum { accepted, slowest, largest_kib } = sum;
    println!(
        "{count} mutants, seed {seed}: {accepted} accepted, slowest {slowest:.2?}, {} MiB, {} findings",
        largest_kib >> 10,
        findings.len()
    );
    driver::write_json(&serde_json::json!({
        "suite": "mutants", "mutants": count, "seed": seed, "accepted": accepted, "slowest_seconds": slowest.as_secs_f64(),
        "max_kib": largest_kib, "findings": findings.len(),
    }));
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    assert!(count < MIN_COUNT_FOR_SHARE || accepted * 3 >= count, "only {accepted} of {count} mutants are accepted");
}

#[derive(Default)]
struct Sum {
    accepted: usize,
    slowest: Duration,
    largest_kib: u64,
}

impl Sum {
    fn add(&mut self, ended: &Ended) {
        self.accepted += usize::from(ended.code == Some(0));
        self.slowest = self.slowest.max(ended.took);
        self.largest_kib = self.largest_kib.max(ended.memory_kib);
    }

    fn with(self, other: &Sum) -> Sum {
        Sum {
            accepted: self.accepted + other.accepted,
            slowest: self.slowest.max(other.slowest),
            largest_kib: self.largest_kib.max(other.largest_kib),
        }
    }
}

/// Whether it is the first line of a panic, and not a line of a plan that is quoted.
fn is_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ")
}

/// A file and its text.
type File = (String, String);

/// What mutants are made of. All of it is accepted as it is, except for the whole `cases`.
struct Starts {
    examples: Vec<File>,
    /// What the examples read.
    beside_examples: Vec<File>,
    cases: Vec<File>,
    beside_cases: Vec<File>,
    journals: Vec<String>,
    /// For the mutations that combine two texts.
    plans: Vec<String>,
    environments: Vec<String>,
    markdown: Vec<String>,
}

impl Starts {
    fn all() -> Starts {
        let read = |name: &str| (name.to_string(), corpus::text(name));
        let is_plan = |file: &File| file.0.ends_with(".yaml") && file.1.contains("\ncases:");
        let (examples, beside_examples) = corpus::named("examples").into_iter().partition(is_plan);
        let mut cases: Vec<File> = corpus::named("tests/cases/plans");
        cases.iter_mut().for_each(|(_, text)| *text = corpus::shortened(text));
        Starts {
            examples,
            beside_examples,
            cases,
            beside_cases: vec![read("tests/cases/tp-runner.yaml"), read("tests/cases/openapi.yaml")],
            journals: journal::recorded(),
            plans: corpus::plans(),
            environments: corpus::environments(),
            markdown: corpus::markdown(),
        }
    }

    /// Writes a mutant and the files beside it. Returns the arguments of the binary.
    fn write(&self, rng: &mut Rng, folder: &Path) -> Vec<String> {
        if rng.u8(..5) == 0 {
            write_all(folder, &[("events.jsonl".into(), journal::changed(rng, &self.journals))]);
            return vec!["report".into(), "events.jsonl".into()];
        }
        let (plans, beside) =
            if rng.bool() { (&self.examples, &self.beside_examples) } else { (&self.cases, &self.beside_cases) };
        let plan = &plans[rng.usize(..plans.len())];
        let mut files = vec![plan.clone()];
        files.extend(beside.iter().cloned());
        // the plan, or one of the files beside it
        let changed = if rng.u8(..3) > 0 { 0 } else { rng.usize(..files.len()) };
        let (name, text) = &mut files[changed];
        *text = if rng.u8(..4) > 0 {
            gentle::changed(rng, text)
        } else if name.ends_with(".md") {
            mutate::lines(rng, &self.markdown)
        } else if changed == 0 {
            mutate::yaml(rng, &self.plans)
        } else if name.ends_with("tp-runner.yaml") {
            mutate::yaml(rng, &self.environments)
        } else {
            mutate::yaml(rng, std::slice::from_ref(text))
        };
        write_all(folder, &files);
        vec!["check".into(), plan.0.clone()]
    }
}

fn write_all(folder: &Path, files: &[File]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}

fn start(binary: &str, folder: &Path, args: &[String]) -> Ended {
    let stderr = folder.join("stderr");
    let begun = Instant::now();
    let mut child = Command::new(binary)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&stderr).expect("a file"))
        .spawn()
        .expect("the binary starts");
    let mut memory_kib = 0;
    let status = loop {
        memory_kib = peak_memory_kib(child.id()).unwrap_or_default().max(memory_kib);
        if let Some(status) = child.try_wait().expect("a child") {
            break Some(status);
        }
        if begun.elapsed() > 2 * MAX_DEBUG_TIME {
            child.kill().expect("a child");
            child.wait().expect("a child");
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let stderr = String::from_utf8_lossy(&fs::read(stderr).expect("a file")).into_owned();
    Ended { code: status.and_then(|s| s.code()), took: begun.elapsed(), memory_kib, stderr }
}

/// `None` after its end, and where the system does not say it.
fn peak_memory_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
