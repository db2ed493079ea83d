//! Reading plans is linear: four times as much input takes about four times as long. Prints the times and the ratio of each kind of
//! input, and fails where it is nearer to that of quadratic time, which is sixteen.
//!
//! `cargo bench --bench reading`
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tp_runner::{
    diagnostic::Diagnostics,
    engine::compile::compile,
    executors,
    plan::{FileLoader, Reader, environment, markdown},
    source::Source,
};

/// Generous for a busy machine.
const MAX_RATIO: f64 = 9.0;
/// The smaller input takes at least this long.
const MIN_TIME: Duration = Duration::from_millis(60);
/// A shorter time says nothing.
const MEASURABLE: Duration = Duration::from_millis(400);
const MAX_BYTES: usize = 12 << 20;

/// Every file has one action, which includes the next.
struct Includes;

impl FileLoader for Includes {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        Ok(format!("actions:\n  a{name}:\n    do: [{{ check: \"run.id != ''\" }}]\n"))
    }
}

const ENVIRONMENTS: &str = "environments:\n  a: { targets: { api: { http: 'http://127.0.0.1:1' } } }\n";

/// A plan with a case that has this check, and an `expect` with these entries.
fn plan(check: &str, expect: &str) -> String {
    format!(
        "plan: T\nvars: {{ x: a }}\ncases:\n  - id: A\n    tier: must\n    expected:\n      - result: r\n        do:\n          - http: {{ \
         request: GET /x }}\n            check: {check}\n            expect:\n              status: 200\n{expect}"
    )
}

fn repeated(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).map(line).collect()
}

type Generator = fn(usize) -> String;

/// Plans of about `n` parts.
const PLANS: &[(&str, Generator)] = &[
    ("spaces in a plain scalar", |n| plan(&format!("x == 'a' &&{}status == 200", " ".repeat(n)), "")),
    ("spaces in a quoted scalar", |n| plan(&format!("\"x == 'a' &&{}status == 200\"", " ".repeat(n)), "")),
    ("spaces in a folded scalar", |n| plan(&format!(">-\n              x == 'a' &&{}b", " ".repeat(n)), "")),
    ("keys of a pattern", |n| plan("status == 200", &repeated(n, |i| format!("              k{i}: {i}\n")))),
    ("equal keys of a pattern", |n| plan("status == 200", &repeated(n, |_| "              k: 1\n".into()))),
    ("placeholders in one text", |n| plan("status == 200", &format!("              k: '{}'\n", "${x}".repeat(n)))),
    ("wrong placeholders in one text", |n| {
        plan("status == 200", &format!("              k: '{}'\n", "${y}".repeat(n)))
    }),
    ("brackets in one text", |n| plan("status == 200", &format!("              k: '{}'\n", "{{".repeat(n)))),
    ("cases", |n| {
        let case = |i| format!("  - {{ id: C-{i}, tier: must, expected: [{{ result: r{i}, check: x == 'a' }}] }}\n");
        format!("plan: T\nvars: {{ x: a }}\ncases:\n{}", repeated(n, case))
    }),
    ("cases in one line", |n| {
        let case = |i| format!("{{ id: C-{i}, tier: must, expected: [{{ result: r{i}, check: x == 'a' }}] }}, ");
        format!("plan: T\nvars: {{ x: a }}\ncases: [{}]\n", repeated(n, case))
    }),
    ("cases with an error", |n| {
        let case = |i| format!("  - {{ id: C-{i}, tier: most, expected: [{{ result: r{i}, check: y == 'a' }}] }}\n");
        format!("plan: T\ncases:\n{}", repeated(n, case))
    }),
    ("equal cases", |n| {
        let case = |_| "  - { id: C, tier: must, expected: [{ result: r, check: run.id != '' }] }\n".into();
        format!("plan: T\ncases:\n{}", repeated(n, case))
    }),
    ("steps of a case that bind a name", |n| {
        let step = |i| format!("      - {{ step: s{i}, do: [{{ save: {{ n{i}: \"run.id + '{i}'\" }} }}] }}\n");
        format!(
            "plan: T\ncases:\n  - id: A\n    tier: must\n    steps:\n{}    expected: [{{ result: r, check: run.id != '' }}]\n",
            repeated(n, step)
        )
    }),
    ("empty lines", |n| {
        format!(
            "plan: T\n{}cases:\n{}  - {{ id: A, tier: must, expected: [{{ result: r, check: run.id != '' }}] }}\n{}",
            "\n".repeat(n),
            "\n".repeat(n),
            "\n".repeat(n)
        )
    }),
    ("an unknown key that is long", |n| format!("plan: T\n{}: 1\ncases: []\n", "k".repeat(n))),
    ("a wrong expression that is long", |n| plan(&"a+".repeat(n), "")),
    ("variables", |n| {
        let vars = repeated(n, |i| format!("  v{i}: {i}\n"));
        format!(
            "plan: T\nvars:\n{vars}cases:\n  - {{ id: A, tier: must, expected: [{{ result: r, check: v1 == 1 }}] }}\n"
        )
    }),
    ("actions", |n| {
        let actions = repeated(n, |i| format!("  a{i}:\n    do: [{{ check: \"run.id != ''\" }}]\n"));
        format!(
            "plan: T\nactions:\n{actions}cases:\n  - {{ id: A, tier: must, expected: [{{ result: r, do: [{{ use: {{ a1: {{}} }} }}] }}] }}\n"
        )
    }),
    ("actions that use the one before", |n| {
        let before =
            |i: usize| if i == 0 { "check: \"run.id != ''\"".into() } else { format!("use: {{ a{}: {{}} }}", i - 1) };
        let actions = repeated(n, |i| format!("  a{i}:\n    do: [{{ {} }}]\n", before(i)));
        let case =
            format!("{{ id: A, tier: must, expected: [{{ result: r, do: [{{ use: {{ a{}: {{}} }} }}] }}] }}", n - 1);
        format!("plan: T\nactions:\n{actions}cases:\n  - {case}\n")
    }),
    ("includes", |n| {
        let files = repeated(n, |i| format!("  - f{i}.yaml\n"));
        format!(
            "plan: T\ninclude:\n{files}cases:\n  - {{ id: A, tier: must, expected: [{{ result: r, do: [{{ use: {{ af1: {{}} }} }}] }}] }}\n"
        )
    }),
    ("nested lists", |n| {
        plan("status == 200", &format!("              k: {}\n", "[[[[1]]]], ".repeat(n).trim_end_matches(", ")))
    }),
    ("empty quoted scalars", |n| plan("status == 200", &format!("              k: [{}]\n", "'', ".repeat(n)))),
    ("merged maps", |n| {
        let entries = repeated(n, |i| format!("  k{i}: {i}\n"));
        format!("x: &a\n{entries}y:\n  <<: *a\n  k0: 1\nplan: T\n")
    }),
];

const ENVIRONMENT_FILES: &[(&str, Generator)] = &[
    ("environments", |n| {
        format!(
            "environments:\n{}",
            repeated(n, |i| format!("  e{i}: {{ targets: {{ api: {{ http: 'http://127.0.0.1:1' }} }} }}\n"))
        )
    }),
    ("environments that extend the one before", |n| {
        let after = |i: usize| if i == 0 { String::new() } else { format!("extends: e{}, ", i - 1) };
        format!("environments:\n{}", repeated(n, |i| format!("  e{i}: {{ {}targets: {{}} }}\n", after(i))))
    }),
    ("targets", |n| {
        let target = |i| format!("      t{i}: {{ http: 'http://127.0.0.1:1' }}\n");
        format!("environments:\n  a:\n    targets:\n{}", repeated(n, target))
    }),
    ("secrets", |n| {
        format!("environments:\n  a:\n    secrets:\n{}", repeated(n, |i| format!("      s{i}: '${{env.S{i}}}'\n")))
    }),
];

const MARKDOWN_FILES: &[(&str, Generator)] = &[
    ("cases in Markdown", |n| repeated(n, |i| format!("### C-{i}: t\n**Priority**: High\n**Steps**:\n1. a\n"))),
    ("rows of a table in Markdown", |n| format!("## Objective\n{}", repeated(n, |i| format!("| {i} | a |\n")))),
    ("nested items in Markdown", |n| {
        format!("### C-1: t\n**Steps**:\n1. a\n{}", repeated(n, |i| format!("   - x{i}\n")))
    }),
];

fn check(plan: &str, environments: &str, written: &str) -> usize {
    let registry = executors::registry();
    let source = |name: &str, text: &str| Arc::new(Source::new(name, text));
    let mut reader = Reader::new(registry.verbs().collect(), &Includes);
    let plan = reader.plan(&source("plan.yaml", plan));
    let environments = environment::read(&mut reader, &source("env.yaml", environments));
    let mut problems: Diagnostics = reader.problems;
    if let Some(plan) = plan {
        markdown::compare(&plan, "plan.md", written, &mut problems);
        let environment = environments.and_then(|e| e.all.into_iter().next());
        problems.extend(compile(plan, &registry, environment, vec![], &|_| true).1);
    }
    problems.sort();
    problems.0.iter().map(|d| d.render(true).len()).sum()
}

/// The least of three times.
fn time(check: &dyn Fn() -> usize) -> Duration {
    let once = || {
        let begun = Instant::now();
        std::hint::black_box(check());
        begun.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap_or_default()
}

/// Times of inputs of `n` and `4 * n` parts, with the least `n` that takes long enough.
fn measure(name: &str, generate: Generator, check: &dyn Fn(&str) -> usize) -> bool {
    let mut n = 250;
    loop {
        let text = generate(n);
        let short = time(&|| check(&text));
        if short < MIN_TIME && text.len() * 8 < MAX_BYTES {
            n *= 2;
            continue;
        }
        let long = time(&|| check(&generate(4 * n)));
        let ratio = long.as_secs_f64() / short.as_secs_f64();
        let is_linear = ratio < MAX_RATIO || long < MEASURABLE;
        let verdict = if is_linear { "" } else { "  NOT LINEAR" };
        println!("{name:40} {n:8} parts {short:10.1?}, four times as many {long:10.1?}, ratio {ratio:5.1}{verdict}");
        return is_linear;
    }
}

fn main() {
    if std::env::args().any(|a| a == "--list" || a == "--test") {
        return;
    }
    const PLAN: &str = "plan: T\ncases:\n  - { id: A, tier: must, expected: [{ result: r, check: run.id != '' }] }\n";
    let wanted = std::env::args().nth(1).filter(|a| !a.starts_with('-')).unwrap_or_default();
    type Check = fn(&str) -> usize;
    let kinds: [(&[(&str, Generator)], Check); 3] = [
        (PLANS, |text| check(text, ENVIRONMENTS, "")),
        (ENVIRONMENT_FILES, |text| check(PLAN, text, "")),
        (MARKDOWN_FILES, |text| check(PLAN, ENVIRONMENTS, text)),
    ];
    let mut failed = vec![];
    for (generators, check) in kinds {
        for (name, generate) in generators.iter().filter(|(name, _)| name.contains(&wanted)) {
            if !measure(name, *generate, &check) {
                failed.push(*name);
            }
        }
    }
    if !failed.is_empty() {
        eprintln!("error: reading takes more than linear time: {}", failed.join(", "));
        std::process::exit(1);
    }
}
