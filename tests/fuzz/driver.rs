//! Runs a target until its time is over, and keeps what it found.
use std::{
    any::Any,
    collections::HashSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// An input that takes longer is a finding. It is generous, for a debug build on a busy machine.
const SLOW: Duration = Duration::from_secs(15);
/// An input that takes longer ends the process: it may never end.
const HANGS: Duration = Duration::from_secs(120);
/// Most memory of a process with one target, in KiB.
const MAX_MEMORY_KIB: u64 = 400 << 10;
const MAX_POOL: usize = 4000;
/// Stack of the binary's main thread.
const STACK_BYTES: usize = 8 << 20;

pub struct Target {
    name: &'static str,
    pool: Vec<String>,
}

/// What a target returns for an input: inputs of one outcome reach the same code, as far as it can tell.
pub struct Outcome(u64);

impl Outcome {
    pub fn of(parts: impl Hash) -> Outcome {
        let mut hasher = DefaultHasher::new();
        parts.hash(&mut hasher);
        Outcome(hasher.finish())
    }
}

impl Target {
    pub fn new(name: &'static str, pool: Vec<String>) -> Target {
        assert!(!pool.is_empty(), "{name} has no inputs to start from");
        Target { name, pool }
    }

    /// Changes inputs of the pool with `change`, and runs `test` on each.
    pub fn run(self, change: fn(&mut fastrand::Rng, &[String]) -> String, test: fn(&str) -> Outcome) {
        let fuzz = move || self.fuzz(change, test);
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(fuzz).expect("a thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    fn fuzz(mut self, change: fn(&mut fastrand::Rng, &[String]) -> String, test: fn(&str) -> Outcome) {
        let seconds = std::env::var("TP_TEST_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
        // the ordinary suite repeats the same inputs
        let seed = std::env::var("TP_TEST_FUZZ_SEED").ok().and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or_else(|| if seconds.is_some() { fastrand::u64(..) } else { 1 });
        let mut rng = fastrand::Rng::with_seed(seed);
        let watch = Watch::start(self.name);
        let (begun, limit) = (Instant::now(), Duration::from_secs(seconds.unwrap_or(1)));
        let (mut outcomes, mut findings) = (HashSet::new(), vec![]);
        let (mut inputs, mut slowest) = (0u64, Duration::ZERO);
        let first = self.pool.clone();
        let mut unchanged = first.into_iter();
        while begun.elapsed() < limit && findings.len() < 10 {
            let input = unchanged.next().unwrap_or_else(|| change(&mut rng, &self.pool));
            inputs += 1;
            watch.begin(&input);
            let at = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| test(&input)));
            let took = at.elapsed();
            watch.end();
            slowest = slowest.max(took);
            if took > SLOW {
                findings.push(format!("{took:.1?}: {}", save(self.name, &input).display()));
            }
            match result {
                Ok(outcome) => {
                    if outcomes.insert(outcome.0) && self.pool.len() < MAX_POOL {
                        self.pool.push(input);
                    }
                }
                Err(panic) => {
                    findings.push(format!("{}: {}", message(&*panic), save(self.name, &input).display()));
                }
            }
        }
        let memory = peak_memory_kib();
        println!(
            "{}: {inputs} inputs in {:.0?}, {} outcomes, slowest {slowest:.2?}, {} MiB, {} findings, seed {seed}",
            self.name,
            begun.elapsed(),
            outcomes.len(),
            memory.unwrap_or_default() >> 10,
            findings.len()
        );
        write_json(&serde_json::json!({
            "suite": "fuzz", "target": self.name, "inputs": inputs, "seconds": begun.elapsed().as_secs(), "seed": seed,
            "outcomes": outcomes.len(), "slowest_seconds": slowest.as_secs_f64(), "max_kib": memory, "findings": findings.len(),
        }));
        assert!(findings.is_empty(), "{}, seed {seed}:\n{}", self.name, findings.join("\n"));
        // in the ordinary suite the targets share a process
        if seconds.is_some() {
            assert!(memory.is_none_or(|kib| kib < MAX_MEMORY_KIB), "{} used {memory:?} KiB, seed {seed}", self.name);
        }
    }
}

/// Adds a line to the file `JSON`, for tests/long/reliability.
pub fn write_json(figures: &serde_json::Value) {
    if let Ok(path) = std::env::var("JSON") {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).expect("a file");
        file.write_all(format!("{figures}\n").as_bytes()).expect("a file");
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "a panic".into())
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Saves an input under the hash of its text.
fn save(name: &str, input: &str) -> PathBuf {
    let path = folder().join(format!("{name}-{:016x}", Outcome::of(input).0));
    fs::write(&path, input).expect("a file");
    path
}

/// `None` where the system does not say it.
fn peak_memory_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Keeps the input under test in a file, so that it is there after an abort, and ends the process if it never ends.
struct Watch {
    name: &'static str,
    path: PathBuf,
    running: Arc<Mutex<Option<Instant>>>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    fn start(name: &'static str) -> Watch {
        let path = folder().join(format!("{name}.current"));
        let (running, is_over) = (Arc::new(Mutex::new(None::<Instant>)), Arc::new(AtomicBool::new(false)));
        let watch = Watch { name, path: path.clone(), running: running.clone(), is_over: is_over.clone() };
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_secs(1));
                if running.lock().expect("a lock").is_some_and(|begun| begun.elapsed() > HANGS) {
                    eprintln!("error: an input did not end within {HANGS:?}: {}", path.display());
                    std::process::exit(1);
                }
            }
        });
        watch
    }

    fn begin(&self, input: &str) {
        fs::write(&self.path, input).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        *self.running.lock().expect("a lock") = Some(Instant::now());
    }

    fn end(&self) {
        *self.running.lock().expect("a lock") = None;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = fs::remove_file(&self.path);
    }
}
