//! Plans, environments and Markdown: everything that a command does with its files before a run, with the display of diagnostics.
use super::{corpus, driver::Outcome};
use std::{
    fs,
    path::Path,
    sync::{Arc, LazyLock},
};
use tp_runner::{
    diagnostic::Diagnostics,
    engine::compile::compile,
    executors,
    plan::{FileLoader, Plan, Reader, environment, markdown},
    source::Source,
};

const PLAN: &str = "plan: T
cases:
  - { id: A, tier: must, expected: [{ result: r, do: [{ http: { request: GET /x }, check: status == 200 }] }] }
";

/// The files beside the examples, which plans include.
struct Examples;

impl FileLoader for Examples {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        let name = path.file_name().ok_or(std::io::ErrorKind::NotFound)?;
        fs::read_to_string(Path::new(corpus::ROOT).join("examples/shared").join(name))
    }
}

fn source(name: &str, text: &str) -> Arc<Source> {
    Arc::new(Source::new(name, text))
}

/// The codes of the problems, after each is displayed.
fn check(plan: &str, environments: &str) -> Outcome {
    let registry = executors::registry();
    let mut reader = Reader::new(registry.verbs().collect(), &Examples);
    let plan = reader.plan(&source("plan.yaml", plan));
    let environments = environment::read(&mut reader, &source("env.yaml", environments));
    let mut problems = reader.problems;
    if let Some(plan) = plan {
        let environment = environments.and_then(|e| e.all.into_iter().next());
        problems.extend(compile(plan, &registry, environment, vec![], &|_| true).1);
    }
    outcome(problems)
}

fn outcome(mut problems: Diagnostics) -> Outcome {
    problems.sort();
    let mut codes: Vec<&str> = problems.0.iter().map(|d| d.code).collect();
    for d in problems.0.iter().take(30) {
        let shown = d.render(true);
        assert!(shown.len() < 64_000, "a diagnostic of {} bytes", shown.len());
        assert!(d.span.location().line > 0);
    }
    codes.dedup();
    Outcome::of(codes)
}

pub fn plan(text: &str) -> Outcome {
    static ENVIRONMENT: LazyLock<String> =
        LazyLock::new(|| fs::read_to_string(Path::new(corpus::ROOT).join("examples/tp-runner.yaml")).expect("a file"));
    check(text, &ENVIRONMENT)
}

pub fn environment(text: &str) -> Outcome {
    check(PLAN, text)
}

pub fn markdown(text: &str) -> Outcome {
    static TP_004: LazyLock<Plan> = LazyLock::new(|| {
        let text = fs::read_to_string(Path::new(corpus::ROOT).join("plans/TP-004.yaml")).expect("a file");
        let registry = executors::registry();
        Reader::new(registry.verbs().collect(), &Examples).plan(&source("plan.yaml", &text)).expect("a plan")
    });
    let mut problems = Diagnostics::default();
    markdown::compare(&TP_004, "plan.md", text, &mut problems);
    outcome(problems)
}
