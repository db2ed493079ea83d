//! No input makes the runner panic or hang: plans, environments, templates, expressions and journals, random or
//! mutated.
use proptest::{prelude::*, test_runner::Config};
use std::sync::Arc;
use tp_runner::{
    diagnostic::Diagnostics,
    engine::compile::compile,
    event::EventSink,
    executors,
    expr::{Expression, Pattern, Scope, Tree, assertion::evaluate_checks, matching::match_pattern},
    journal::lines,
    plan::{Reader, environment, markdown},
    report::index_builder::IndexBuilder,
    source::Source,
    testing::NoFiles,
    value::Value,
    yaml,
};

const PLAN: &str = include_str!("../plans/TP-004.yaml");
const MARKDOWN_PLAN: &str = include_str!("../docs/TP-004.md");
const ENVIRONMENT: &str = "default: staging
environments:
  staging:
    targets:
      api: { http: 'https://x.example', headers: { Authorization: 'Bearer ${token}' } }
      cluster: { k8s: { context: staging, namespace: streamspace } }
      database: { db: '${env.DATABASE_URL}' }
      inbox: { webhook: '127.0.0.1:0', signature: { header: X-S, scheme: hmac-sha256-hex } }
      log: { logs: { file: x.log } }
    secrets: { token: '${env.TOKEN}' }
    setup:
      - http: { request: POST /login, json: { password: '${token}' } }
        save: { fresh: secret(body.token) }
    faults:
      database-down: { relay: { listen: '127.0.0.1:6432', upstream: 'db:5432' } }
      other: { do: [{ http: { request: POST /cut }, check: status == 200 }], heal: [{ http: { request: POST /heal }, as: h }], refused: h.body.n }
";

/// Does everything that a command does with its files before a run, including the display of diagnostics. Returns a
/// number that depends on all of them.
fn check(plan: &str, environment_text: &str, markdown_plan: &str) -> usize {
    let registry = executors::registry();
    let mut reader = Reader::new(registry.verbs().collect(), &NoFiles);
    let source = |name: &str, text: &str| Arc::new(Source::new(name, text));
    let plan = reader.plan(&source("plan.yaml", plan));
    let environments = environment::read(&mut reader, &source("env.yaml", environment_text));
    let mut problems = reader.problems;
    if let Some(plan) = plan {
        markdown::compare(&plan, "plan.md", markdown_plan, &mut problems);
        let environment = environments.and_then(|e| e.all.into_iter().next());
        problems.extend(compile(plan, &registry, environment, vec![], &|_| true).1);
    }
    problems.sort();
    problems.0.iter().take(20).map(|d| d.render(true).len() + d.span.location().column).sum()
}

/// A small change to a text.
#[derive(Clone, Debug)]
enum Change {
    Byte(usize, u8),
    Drop(usize),
    Twice(usize),
    Swap(usize, usize),
    Cut(usize),
    Insert(usize, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<usize>();
    let odd = prop::sample::select(vec![
        "${",
        "}",
        "{",
        "[",
        "]",
        "\"",
        "'",
        ": ",
        "- ",
        "\t",
        "&a ",
        "*a",
        "!x ",
        "|",
        ">-\n",
        "#",
        "ä€𝄞",
        "\0",
        "\r",
        "~",
        "$set",
        "---\n",
        "<<: *a",
        "? ",
        "\u{feff}",
        "9999999999999999999999",
        "1e999",
        "${ {'a': '}'} }",
        "((((((",
        "%",
    ]);
    prop_oneof![
        (at, any::<u8>()).prop_map(|(i, b)| Change::Byte(i, b)),
        at.prop_map(Change::Drop),
        at.prop_map(Change::Twice),
        (at, at).prop_map(|(a, b)| Change::Swap(a, b)),
        at.prop_map(Change::Cut),
        (at, odd).prop_map(|(i, s)| Change::Insert(i, s)),
    ]
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut text = text.to_string();
    for c in changes {
        if text.is_empty() {
            break;
        }
        let lines = |t: &str| t.split_inclusive('\n').map(str::to_string).collect::<Vec<_>>();
        match *c {
            Change::Byte(i, b) => {
                let mut bytes = text.into_bytes();
                let at = i % bytes.len();
                bytes[at] = b;
                text = String::from_utf8_lossy(&bytes).into_owned();
            }
            Change::Cut(i) => text.truncate(text.floor_char_boundary(i % text.len())),
            Change::Insert(i, s) => text.insert_str(text.floor_char_boundary(i % text.len()), s),
            Change::Drop(i) => {
                let mut l = lines(&text);
                l.remove(i % l.len());
                text = l.concat();
            }
            Change::Twice(i) => {
                let mut l = lines(&text);
                let at = i % l.len();
                l.insert(at, l[at].clone());
                text = l.concat();
            }
            Change::Swap(a, b) => {
                let mut l = lines(&text);
                let n = l.len();
                l.swap(a % n, b % n);
                text = l.concat();
            }
        }
    }
    text
}

/// The first two cases of TP-004, to keep debug builds fast.
fn short_plan() -> String {
    let mut ends = PLAN.match_indices("\n  - id: ").map(|(i, _)| i);
    let second = ends.nth(2).unwrap_or(PLAN.len());
    PLAN[..second].to_string()
}

/// Compiles and evaluates a text as an expression, a template and a pattern. Returns a number that depends on all
/// results.
fn expression(text: &str) -> usize {
    let source = Arc::new(Source::new("e", serde_json::Value::from(text).to_string()));
    let Ok(node) = yaml::parse(&source) else { return 0 };
    let scope = Scope::default()
        .with("a", Value::from(serde_json::json!({"b": [1, "x", null, {"c": 1.5}], "n": 3})))
        .with("s", "text");
    let mut size = 0;
    match Expression::compile(&node, 0..node.as_str().map_or(0, str::len)) {
        Ok(e) => {
            let mut results = vec![];
            evaluate_checks(&[(e, node.span.clone())], &scope, &mut results);
            size += results.iter().map(|f| f.operands.len()).sum::<usize>();
        }
        Err(ds) => size += ds.iter().map(|d| d.render(false).len() + d.span.location().column).sum::<usize>(),
    }
    let mut problems = Diagnostics::default();
    let _ = Tree::compile(&node, &mut problems).render(&scope);
    let pattern = Pattern::compile(&node, &mut problems);
    let mut results = vec![];
    match_pattern(&pattern, "x", scope.get("a"), &scope, &mut results);
    size + problems.0.iter().map(|d| d.render(false).len()).sum::<usize>()
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn accepts_or_refuses_a_mutated_plan(changes in prop::collection::vec(change(), 1..6)) {
        check(&changed(&short_plan(), &changes), "environments: {}", MARKDOWN_PLAN);
    }

    #[test]
    fn accepts_or_refuses_a_mutated_environment(changes in prop::collection::vec(change(), 1..6)) {
        check("plan: T\ncases:\n  - { id: A, tier: must, expected: [{ result: r, do: [{ http: { request: GET /x }, check: status == 200 }] }] }\n", &changed(ENVIRONMENT, &changes), "");
    }

    #[test]
    fn reads_a_mutated_markdown_plan(changes in prop::collection::vec(change(), 1..9)) {
        let text = changed(MARKDOWN_PLAN, &changes);
        prop_assert!(markdown::read(&text).cases.len() < 100);
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn accepts_or_refuses_any_text(text in "(?s).{0,200}") {
        check(&text, &text, &text);
    }

    #[test]
    fn accepts_or_refuses_yaml_like_text(text in "([a-z$\\{\\}\\[\\]\"':,|>&*!#?~ä \\n-]|cases: |plan: T\\n|  - id: |\\$\\{|do: |http: ){0,60}") {
        check(&text, &text, &text);
    }

    #[test]
    fn evaluates_or_refuses_any_expression(text in "(a|b|s|n|it|x|1|0|-|!|\"|'|\\(|\\)|\\[|\\]|\\{|\\}|\\.|,|:|\\?| |==|&&|\\|\\||\\+|%|/|size|has|map|all|ä|\\$\\{|\\$set|9223372036854775807|1e400|duration|timestamp|matches|format){0,30}") {
        expression(&text);
    }

    #[test]
    fn accepts_or_refuses_any_journal(changes in prop::collection::vec(change(), 0..5), junk in "(?s).{0,80}") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let good = r#"{"seq":1,"at":"2026-01-02T03:04:05Z","address":"A","event":"case-started"}
{"seq":2,"at":"2026-01-02T03:04:05Z","address":"A/steps/1/do/0","event":"observed","attempt":0,"began":"2026-01-02T03:04:05Z","took":5,"value":{"a":{"$time":"2026-01-02T03:04:05Z"},"d":{"$duration":"PT1S"}},"error":null,"error_kind":null,"unmet":[],"evidence":[]}
{"seq":3,"at":"2026-01-02T03:04:05Z","address":"A","event":"case-finished","verdict":"passed","blame":null,"reason":null,"took":1}
"#;
        std::fs::write(&path, changed(&format!("{good}{junk}"), &changes)).unwrap();
        let mut builder = IndexBuilder::default();
        let _ = lines::for_each(&path, |e| {
            let _ = builder.on_event(&e);
        });
        let mut out = vec![];
        let _ = tp_runner::report::markdown::write(&builder.index(), &mut out);
    }
}

/// Runs `f` with the stack of a main thread, which is four times as large as that of a test thread.
fn on_a_main_stack(f: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(8 << 20).spawn(f).unwrap().join().unwrap();
}

#[test]
fn refuses_deep_and_long_expressions() {
    on_a_main_stack(deep_expressions);
}

fn deep_expressions() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{1: ", "}"),
        ("!", ""),
        ("-", ""),
        ("a.", ""),
        ("size(", ")"),
        ("a ? ", " : 1"),
        ("1 + ", ""),
        ("a[", "]"),
        ("- ", ""),
        ("! ", ""),
    ] {
        for n in [1, 20, 39, 41, 148, 200, 1000, 100_000] {
            expression(&format!("{}1{}", open.repeat(n), close.repeat(n)));
        }
    }
    expression(&format!("'{}' == s", "x".repeat(4000)));
    expression(&"a && ".repeat(819));
    expression(&format!("{}a.n == 3", "a.n == 3 || ".repeat(330)));
}

#[test]
fn refuses_deep_yaml() {
    on_a_main_stack(deep_yaml);
}

fn deep_yaml() {
    for n in [10, 100, 1000, 20_000] {
        check(&format!("{}1{}", "[".repeat(n), "]".repeat(n)), "environments: {}", "");
        check(&format!("{}1{}", "{a: ".repeat(n), "}".repeat(n)), "environments: {}", "");
        check(&"- ".repeat(n), "environments: {}", "");
        let steps = format!("{}http: {{ request: GET /x }}{}", "parallel: [{ do: [{ ".repeat(n), "}] }]".repeat(n));
        check(
            &format!(
                "plan: T\ncases:\n  - {{ id: A, tier: must, expected: [{{ result: r, do: [{{ {steps} }}] }}] }}\n"
            ),
            "environments: {}",
            "",
        );
    }
    let bomb: String = (1..30).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1)).collect();
    check(&format!("a0: &a0 [x]\n{bomb}"), "environments: {}", "");
}

/// All problems of a plan, displayed.
fn problems(plan: &str, environments: &str) -> Vec<String> {
    let registry = executors::registry();
    let mut reader = Reader::new(registry.verbs().collect(), &NoFiles);
    let source = |name: &str, text: &str| Arc::new(Source::new(name, text));
    let plan = reader.plan(&source("plan.yaml", plan));
    let environments = environment::read(&mut reader, &source("env.yaml", environments));
    let mut problems = reader.problems;
    if let Some(plan) = plan {
        let environment = environments.and_then(|e| e.all.into_iter().next());
        problems.extend(compile(plan, &registry, environment, vec![], &|_| true).1);
    }
    problems.0.iter().map(|d| d.render(false)).collect()
}

const CASES: &str = "cases: [{ id: A, tier: must, expected: [{ result: r, do: [{ use: { a0: {} } }] }] }]\n";

#[test]
fn refuses_long_chains_of_actions_and_environments() {
    let n = 5000;
    let action = |i: usize| format!("  a{i}:\n    do: [{{ use: {{ a{}: {{}} }} }}]\n", i + 1);
    let actions: String = (0..n).map(action).collect();
    let last = format!("  a{n}:\n    do: [{{ check: \"run.id != ''\" }}]\n");
    let found = problems(&format!("plan: T\nactions:\n{actions}{last}{CASES}"), "environments: {}");
    assert!(found.iter().any(|d| d.contains("at most 32 actions that use one another")), "{}", found[0]);
    let environment = |i: usize| format!("  e{i}: {{ extends: e{} }}\n", i + 1);
    let n = 500;
    let environments: String = (0..n).map(environment).collect();
    let found = problems(CASES, &format!("environments:\n{environments}  e{n}: {{}}\n"));
    assert!(found.iter().any(|d| d.contains("at most 32 environments that extend one another")), "{}", found.len());
}

#[test]
fn a_diagnostic_shows_the_part_of_a_long_line_around_its_place() {
    let before = "é".repeat(1_000_000);
    let found = problems(
        &format!("plan: T\nx: [\"{before}\", {{ a: 1, a: 2 }}]\n{}", "z".repeat(2_000_000)),
        "environments: {}",
    );
    let found = found.first().expect("a problem");
    assert!(found.len() < 3000, "{}", found.len());
    let found =
        problems(&format!("plan: T\nvars: {{ v: \"{before}\", w: \"${{size(}}\" }}\n{CASES}"), "environments: {}");
    let found = found.iter().find(|d| d.contains("invalid CEL expression")).expect("a problem");
    // the column of the place in the file
    assert!(found.len() < 3000 && found.contains("plan.yaml:2:10000"), "{found}");
    let long = "k".repeat(3_000_000);
    let found = problems(&format!("plan: T\n{long}: 1\n{CASES}"), "environments: {}");
    assert!(found.iter().all(|d| d.len() < 10_000), "{:?}", found.iter().map(String::len).collect::<Vec<_>>());
}
