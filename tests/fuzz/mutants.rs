//! Changed copies of all shipped files through the binary: `check` of a plan beside its environment and Markdown, and `report` of a
//! journal. No abort, and each ends in time and with little memory.
use super::{corpus, journal, mutate};
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
    let pools = [corpus::plans(), corpus::environments(), corpus::markdown(), journal::recorded()];
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut findings = vec![];
        let (mut slowest, mut largest, mut refused) = (Duration::ZERO, 0, 0);
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return (findings, slowest, largest, refused);
            }
            let folder = tempfile::tempdir().expect("a folder");
            let args = write(&mut Rng::with_seed(seed ^ (i as u64) << 20), &pools, folder.path());
            let ended = start(&binary, folder.path(), &args);
            slowest = slowest.max(ended.took);
            largest = largest.max(ended.memory_kib);
            refused += usize::from(ended.code == Some(2));
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
    let slowest = results.iter().map(|r| r.1).max().unwrap_or_default();
    let largest = results.iter().map(|r| r.2).max().unwrap_or_default() >> 10;
    let refused: usize = results.iter().map(|r| r.3).sum();
    let findings: Vec<String> = results.into_iter().flat_map(|r| r.0).collect();
    println!(
        "{count} mutants, seed {seed}: {refused} refused, slowest {slowest:.2?}, {largest} MiB, {} findings",
        findings.len()
    );
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// Whether it is the first line of a panic, and not a line of a plan that is quoted.
fn is_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ")
}

/// Writes a mutant and the files beside it. Returns the arguments of the binary.
fn write(rng: &mut Rng, pools: &[Vec<String>; 4], folder: &Path) -> Vec<&'static str> {
    let [plans, environments, markdown, journals] = pools;
    let file = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file");
    let kind = rng.u8(..10);
    if kind >= 8 {
        file("events.jsonl", &journal::changed(rng, journals));
        return vec!["report", "."];
    }
    let shipped = |name: &str| fs::read_to_string(Path::new(corpus::ROOT).join(name)).expect("a file");
    let plan = if kind < 5 { mutate::yaml(rng, plans) } else { shipped("examples/09-beside-its-markdown.yaml") };
    let environment = if kind == 5 { mutate::yaml(rng, environments) } else { shipped("examples/tp-runner.yaml") };
    let written = if kind > 5 { mutate::lines(rng, markdown) } else { shipped("examples/09-beside-its-markdown.md") };
    fs::create_dir(folder.join("docs")).expect("a folder");
    file("docs/TP-004.md", &shipped("docs/TP-004.md"));
    file("plan.yaml", &plan);
    file("tp-runner.yaml", &environment);
    file("09-beside-its-markdown.md", &written);
    vec!["check", "plan.yaml"]
}

fn start(binary: &str, folder: &Path, args: &[&str]) -> Ended {
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
