//! `explain`, `schema`, `completions` and `man`: what they print is complete, and what is published is up to date.
mod support;

use serde_json::Value as Json;
use std::{collections::BTreeSet, fs, path::Path, process::Command};
use support::{BINARY, ROOT, RunOutput};
use tp_runner::{
    executors, language,
    reference::{Kind, entries},
};

fn runner(args: &[&str]) -> RunOutput {
    let folder = tempfile::tempdir().expect("a folder");
    run_there(args, folder.path())
}

fn run_there(args: &[&str], folder: &Path) -> RunOutput {
    let output = Command::new(BINARY).args(args).current_dir(folder).env_remove("TP_RUNNER_COMPLETE").output();
    RunOutput::from(output.expect("the binary starts"))
}

#[test]
fn every_word_of_the_language_is_explained() {
    let registry = executors::registry();
    let all = entries(&registry);
    let words: BTreeSet<&str> = all.iter().map(|e| e.word.as_str()).collect();
    let keys = [language::PLAN_KEYS, language::CASE_KEYS, language::ACTION_KEYS, language::ENVIRONMENT_KEYS];
    let named = language::names(language::MATCHERS)
        .chain(language::names(language::BUILTIN_VERBS))
        .chain(language::names(language::CEL_FUNCTIONS))
        .chain(language::names(language::RUNNER_FUNCTIONS))
        .chain(keys.into_iter().flatten().map(|k| k.name))
        .chain(registry.verbs())
        .chain(language::codes())
        .chain(["passed", "blocked", "errored", "not reached", "0", "3", "130", "tier", "undo"]);
    let missing: Vec<_> = named.filter(|word| !words.contains(word)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // one process explains a word of each kind as the library does
    for kind in [Kind::Verb, Kind::Key, Kind::Field, Kind::Matcher, Kind::Function, Kind::Code, Kind::Status] {
        let entry = all.iter().find(|e| e.kind == kind).expect("an entry");
        let shown = runner(&["explain", &entry.word]).assert_code(0).stdout;
        assert!(shown.contains(&entry.summary), "{}: {shown}", entry.word);
    }
}

/// `SNAPSHOTS=overwrite` writes them.
#[test]
fn published_schemas_are_what_the_binary_prints() {
    for kind in ["plan", "environment"] {
        let printed = runner(&["schema", kind]).assert_code(0).stdout;
        let path = Path::new(ROOT).join(format!("docs/{kind}.schema.json"));
        if std::env::var("SNAPSHOTS").is_ok_and(|v| v == "overwrite") {
            fs::write(&path, &printed).expect("it can be written");
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert!(printed == published, "docs/{kind}.schema.json is not what `tp-runner schema {kind}` prints");
    }
}

/// Every YAML file of plans and environments in the repository, with the schema that is for it.
fn valid_files() -> Vec<(std::path::PathBuf, &'static str)> {
    fn collect(folder: &Path, into: &mut Vec<(std::path::PathBuf, &'static str)>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry")) {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                collect(&path, into);
            } else if name.ends_with(".yaml") {
                let text = fs::read_to_string(&path).expect("a text");
                match () {
                    () if text.lines().any(|l| l.starts_with("environments:")) => into.push((path, "environment")),
                    () if text.lines().any(|l| l.starts_with("plan:")) => into.push((path, "plan")),
                    () => {}
                }
            }
        }
    }
    let mut all = vec![];
    for folder in ["plans", "examples"] {
        collect(&Path::new(ROOT).join(folder), &mut all);
    }
    assert!(all.len() >= 14, "{all:?}");
    all
}

fn as_json(text: &str) -> Json {
    let source = std::sync::Arc::new(tp_runner::source::Source::new("t.yaml", text));
    let node = tp_runner::yaml::parse(&source).unwrap_or_else(|d| panic!("{}", d.render(false)));
    node.to_value().to_json()
}

#[test]
fn schemas_accept_every_valid_file_and_refuse_slips() {
    let registry = executors::registry();
    let schemas = [
        ("plan", tp_runner::reference::schema::plan(&registry)),
        ("environment", tp_runner::reference::schema::environment(&registry)),
    ];
    let validators = schemas.map(|(kind, schema)| (kind, jsonschema::draft7::new(&schema).expect("a valid schema")));
    let of = |kind: &str| &validators.iter().find(|(k, _)| *k == kind).expect("a schema").1;
    for (path, kind) in valid_files() {
        let json = as_json(&fs::read_to_string(&path).expect("a text"));
        let problems: Vec<_> = of(kind).iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", path.display());
    }
    let plan = "plan: T\ncases:\n  - { id: A, tier: must, steps: [{ step: s, do: [DO] }], expected: [{ result: r, check: x == 1 }] }\n";
    let valid = |action: &str| of("plan").is_valid(&as_json(&plan.replace("DO", action)));
    for action in [
        "{ http: { request: GET /x }, expect: { status: 200, body: { $contains: 3, $$ref: x, list: [$nonempty, '${x}'] } } }",
        "{ http: { request: GET /x, events: { until: 'it.x' } }, eventually: '${limit}', always: 2s }",
        "{ k8s: { apply: { file: x.yaml }, manager: m }, undo: [{ k8s: { delete: pods/x } }] }",
        "{ parallel: [{ do: [{ exec: { run: [ls] } }] }, { exec: { run: [ls] } }], foreach: { a: 1 } }",
        "{ use: { create: { name: x } }, as: made }",
        "{ fault: { break: database-down } }",
        "{ webhook: { open: box, replies: [503, drop, { status: 200, delay: 1s }] } }",
        "{ check: [x == 1, true], save: { y: x + 1 } }",
    ] {
        assert!(valid(action), "{action}");
    }
    for action in [
        "{ htp: { request: GET /x } }",
        "{ http: { requst: GET /x } }",
        "{ http: GET /x }",
        "{ http: { request: GET /x }, eventualy: 3s }",
        "{ http: { request: GET /x }, eventually: soon }",
        "{ http: { request: GET /x }, db: { sql: select 1 } }",
        "{ http: { request: GET /x }, expect: { body: { $contain: 3 } } }",
        "{ http: { request: GET /x }, expect: { body: $absnt } }",
        "{ http: { request: GET /x }, expect: { body: { $type: integer } } }",
        "{ k8s: { get: pods/x, propagation: backgruond } }",
        "[]",
    ] {
        assert!(!valid(action), "{action}");
    }
    let target = |target: &str| {
        of("environment")
            .is_valid(&as_json(&format!("environments: {{ local: {{ targets: {{ api: {target} }} }} }}\n")))
    };
    for valid in [
        "{ http: 'https://x' }",
        "{ http: { url: 'https://x', login: { request: POST /login, token: body.token } } }",
        "{ http: 'https://x', headers: { A: b }, identities: { robot: { basic: { user: a, password: b } } } }",
        "{ k8s: }",
        "{ k8s: in-cluster }",
        "{ webhook: 127.0.0.1:0, signature: github }",
        "{ webhook: 127.0.0.1:0, signature: { scheme: stripe, tolerance: 10m } }",
        "{ logs: { k8s: app=api, previous: true } }",
        "{ db: ./x.db, limit: 1 MiB }",
    ] {
        assert!(target(valid), "{valid}");
    }
    for slip in ["{ http: 'https://x', heders: {} }", "{ htp: 'https://x' }", "{ logs: { flie: x } }"] {
        assert!(!target(slip), "{slip}");
    }
}

/// The words that a shell would offer after `tp-runner ARGS`, whose last word is being typed.
fn completed(folder: &Path, args: &[&str]) -> Vec<String> {
    let index = args.len().to_string();
    let output = Command::new(BINARY)
        .args(["--", "tp-runner"])
        .args(args)
        .current_dir(folder)
        .envs([("TP_RUNNER_COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", &index), ("_CLAP_COMPLETE_COMP_TYPE", "9")])
        .envs([("_CLAP_COMPLETE_SPACE", "true"), ("_CLAP_IFS", "\n"), ("IFS", "\n")])
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect()
}

#[test]
fn completions_know_the_plans_cases_environments_and_runs_of_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write(
        "plans/orders.yaml",
        "plan: ORD-1\ncases:\n  - id: ORD-1-A\n    tier: must\n    expected: [{ result: r, check: run.id != '' }]\n",
    );
    write("tp-runner.yaml", "environments: { here: { targets: {} }, there: { targets: {} } }\n");
    let found = |args: &[&str]| completed(folder.path(), args);
    assert_eq!(found(&["che"]), ["check"]);
    assert_eq!(found(&["run", "O"]), ["ORD-1"]);
    assert_eq!(found(&["run", "TP-"]), ["TP-004"]);
    assert_eq!(found(&["run", "ORD-1", "--case", "ORD"]), ["ORD-1-A"]);
    assert_eq!(found(&["run", "--env", "t"]), ["there"]);
    assert_eq!(found(&["run", "--tier", "m"]), ["must"]);
    assert_eq!(found(&["explain", "eventu"]), ["eventually"]);
    run_there(&["run", "ORD-1", "--env", "here", "--quiet"], folder.path()).assert_code(0);
    let runs = found(&["report", "r"]);
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(found(&["run", "--from", "r"]), runs);
}

/// A run that answers a shell, in place of testing, must not look passed.
#[test]
fn a_variable_that_is_not_for_completions_ends_no_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let code = |variable: &str| {
        let mut command = Command::new(BINARY);
        let output = command.args(["run", "no-such-plan"]).current_dir(folder.path()).env(variable, "1").output();
        output.expect("the binary starts").status.code()
    };
    assert_eq!(code("COMPLETE"), Some(2));
    assert_eq!(code("TP_RUNNER_COMPLETE"), Some(2));
}

#[test]
fn every_shell_gets_a_script_that_asks_the_binary() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = runner(&["completions", shell]).assert_code(0).stdout;
        assert!(script.contains("tp-runner") && script.contains("COMPLETE"), "{shell}: {script}");
    }
    // bash accepts it, and completes with it
    let script = "source <(\"$0\" completions bash); COMP_WORDS=(tp-runner che); COMP_CWORD=1; \
                  complete -p tp-runner > /dev/null || exit 9; bash -n <(\"$0\" completions bash)";
    let status = Command::new("bash").args(["-c", script, BINARY]).status().expect("bash starts");
    assert!(status.success(), "{status}");
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().expect("a folder");
    run_there(&["man", "pages"], folder.path()).assert_code(0);
    let names: BTreeSet<String> = fs::read_dir(folder.path().join("pages"))
        .expect("the pages")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let commands = tp_runner::cli::command();
    let expected: BTreeSet<String> = commands
        .get_subcommands()
        .filter(|c| c.get_name() != "help")
        .map(|c| format!("tp-runner-{}.1", c.get_name()))
        .chain(["tp-runner.1".to_string()])
        .collect();
    assert_eq!(names, expected);
    let page = fs::read_to_string(folder.path().join("pages/tp-runner-run.1")).expect("a page");
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
    assert!(page.contains("fail\\-fast"), "{page}");
    assert_eq!(
        runner(&["man"]).assert_code(0).stdout,
        fs::read_to_string(folder.path().join("pages/tp-runner.1")).expect("a page")
    );
}
