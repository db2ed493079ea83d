//! Checks every diagnostic with its place. `fixtures/diagnostics/CODE.yaml` has plans in which one mistake is marked
//! «like this». Each must yield exactly one diagnostic, of that code, whose underline starts at the mark.
//!
//! Fixtures are separated by `-----`. One that starts with `-` is a list of actions. An environment file may follow
//! after `===`, with or without the mark, or a Markdown plan after `===md`.
mod positions;

use positions::{EXCEPTIONS, position, wanted};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};
use tp_runner::{
    diagnostic::{Diagnostics, Severity},
    engine::compile::compile,
    executors,
    expr::Scope,
    language::explanation,
    plan::{FileLoader, Reader, environment, markdown},
    source::Source,
    value::Value,
};

struct FixtureFiles;
impl FileLoader for FixtureFiles {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        match path.file_name().and_then(|n| n.to_str()) {
            Some("empty.yaml") => Ok("actions: {}\n".into()),
            Some("api.yaml") => {
                Ok("openapi: 3.1.0\npaths:\n  /x:\n    get: { operationId: getX, responses: {} }\n".into())
            }
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

const MINIMAL_PLAN: &str =
    "plan: T\ncases:\n  - { id: A, tier: must, expected: [{ result: r, check: run.id != '' }] }\n";

/// All problems of a plan, with an environment and a Markdown plan.
fn problems(plan: &str, environment_text: Option<&str>, written: Option<&str>) -> Diagnostics {
    let registry = executors::registry();
    let mut reader = Reader::new(registry.verbs().collect(), &FixtureFiles);
    // without any variables of the process
    reader.variables = Some(Scope::default().with("env", Value::map([])));
    let plan = reader.plan(&Arc::new(Source::new("plan.yaml", plan)));
    let environments =
        environment_text.and_then(|text| environment::read(&mut reader, &Arc::new(Source::new("env.yaml", text))));
    let mut problems = reader.problems;
    if let (Some(plan), Some(text)) = (&plan, written) {
        markdown::compare(plan, "t.md", text, &mut problems);
    }
    if let Some(plan) = plan {
        let environment = environments.and_then(|e| e.all.into_iter().next());
        problems.extend(compile(plan, &registry, environment, vec![], &|_| true).1);
    }
    problems.sort();
    problems
}

/// The text without marks, and line and column of the first mark, from 1, in characters.
fn unmarked(text: &str) -> (String, Option<(usize, usize)>) {
    let at = text.find('«').map(|i| {
        let before = &text[..i];
        (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
    });
    (text.replace(['«', '»'], ""), at)
}

fn complete(snippet: &str) -> String {
    if !snippet.starts_with('-') {
        return snippet.to_string();
    }
    let steps = snippet.lines().map(|l| format!("          {l}\n")).collect::<String>();
    let head = "plan: T\ncases:\n  - id: A\n    tier: must\n    steps:\n      - step: s\n        do:\n";
    format!("{head}{steps}    expected: [{{ result: r, check: run.id != '' }}]\n")
}

fn check(code: &str, fixture: &str) -> Result<(), String> {
    let (plan, rest) = match fixture.split_once("\n===") {
        Some((plan, rest)) => (plan, Some(rest)),
        None => (fixture, None),
    };
    let is_environment = plan.starts_with("environments:") || plan.starts_with("default:");
    let (text, mut place) = unmarked(&if is_environment { plan.to_string() } else { complete(plan) });
    let found = match rest {
        Some(rest) if rest.starts_with("md") => problems(&text, None, Some(&rest[2..])),
        Some(rest) => {
            let (environment, there) = unmarked(rest.trim_start_matches('\n'));
            place = place.or(there);
            problems(&text, Some(&environment), None)
        }
        None if is_environment => problems(MINIMAL_PLAN, Some(&text), None),
        None => problems(&text, None, None),
    };
    let drawn = || found.0.iter().map(|d| d.render(false) + "\n").collect::<String>();
    let [one] = &found.0[..] else {
        return Err(format!("expected one diagnostic, found {}:\n{fixture}\n{}", found.0.len(), drawn()));
    };
    let at = one.span.location();
    if one.code != code || Some((at.line, at.column)) != place {
        return Err(format!("expected `{code}` at {place:?}:\n{fixture}\n{}at {}:{}\n", drawn(), at.line, at.column));
    }
    Ok(())
}

fn fixtures() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diagnostics");
    let mut all = vec![];
    for file in fs::read_dir(folder).expect("there are fixtures") {
        let path = file.expect("a file").path();
        let code = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("it can be read");
        all.extend(text.split("\n-----\n").map(|f| (code.clone(), f.to_string())));
    }
    all.sort();
    all
}

#[test]
fn each_mistake_yields_one_diagnostic_at_its_place() {
    let all = || fixtures().iter().filter_map(|(code, fixture)| check(code, fixture).err()).collect();
    // the stack of a main thread
    let wrong: Vec<String> = std::thread::Builder::new().stack_size(8 << 20).spawn(all).unwrap().join().unwrap();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), fixtures().len(), wrong.join("\n"));
}

#[test]
fn every_code_has_a_fixture_at_each_possible_position() {
    let mut found: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
    for (code, fixture) in fixtures() {
        let marked = fixture.split("\n===\n").find(|file| file.contains('«')).unwrap_or_default();
        let at = marked.find('«').unwrap_or_else(|| panic!("`{code}` has a fixture without a mark:\n{fixture}"));
        found.entry(code).or_default().insert(position(&marked.replace(['«', '»'], ""), at));
    }
    let wrong: Vec<String> = found
        .iter()
        .filter(|(code, at)| **at != wanted(code))
        .map(|(code, at)| format!("`{code}` has {at:?} and needs {:?}", wanted(code)))
        .collect();
    assert!(wrong.is_empty(), "{} codes:\n{}", wrong.len(), wrong.join("\n"));
    let mut known: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let idle: Vec<_> = EXCEPTIONS.iter().flat_map(|(_, _, codes)| *codes).filter(|c| !known.remove(**c)).collect();
    assert!(idle.is_empty(), "unknown code, or listed twice: {idle:?}");
}

/// Literal codes in the sources. Those that are computed are checked when a diagnostic is created.
fn codes_in_sources() -> BTreeSet<String> {
    let created = regex::Regex::new(r#"(?:Diagnostic::(?:error|warning)|\.error)\(\s*"([a-z-]+)""#).unwrap();
    let mut codes = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                codes.extend(created.captures_iter(&text).map(|c| c[1].to_string()));
            }
        }
    }
    codes
}

#[test]
fn every_code_has_a_fixture_and_an_explanation() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md")).unwrap();
    let headings = page.lines().filter_map(|l| Some(l.strip_prefix("### `")?.strip_suffix('`')?.to_string()));
    let headings: Vec<String> = headings.collect();
    assert!(headings.is_sorted_by(|a, b| a < b), "sections of docs/diagnostics.md");
    let explained: BTreeSet<String> = headings.into_iter().collect();
    let in_sources = codes_in_sources();
    assert!(in_sources.len() > 60, "{in_sources:?}");
    assert_eq!(in_sources.difference(&explained).collect::<Vec<_>>(), Vec::<&String>::new(), "not explained");
    let mut with_fixture: BTreeSet<String> = fixtures().into_iter().map(|(code, _)| code).collect();
    with_fixture.insert("source-not-found".into()); // has a test of its own
    assert_eq!(with_fixture, explained);
    for code in explained {
        let text = explanation(&code).unwrap_or_default();
        assert!(text.contains("- Example: ") && text.contains("- What to do: "), "`{code}`: {text}");
    }
}

#[test]
fn reports_a_missing_source_at_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.yaml");
    fs::write(&file, MINIMAL_PLAN.replace("plan: T\n", "plan: T\nsource: none.md\n")).unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_tp-runner")).arg("check").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("source-not-found") && said.contains(":2:9"), "{said}");
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn reports_every_mistake_of_a_file() {
    let text = "plan: T
titel: x
vars: { settle: 5s }
actions:
  make:
    inputs: { size: null }
    do:
      - http: { request: 'GETT /${inputs.size}' }
        expect: { status: 200 }
cases:
  - id: A
    tier: mus
    steps:
      - step: one
        do:
          - use: { make: { sise: 1, size: 2 } }
          - htpp: { request: GET /x }
            as: lost
          - http: { request: 'GET /${nmae}' }
            expect: { stauts: 200 }
          - http: { request: GET /x }
            timeout: soon
            as: seen
          - check: size([1] == 1
          - http: { request: GET /x }
            eventually: ${settle}
    expected:
      - { result: r, check: lost.anything && seen.statsu == 1 }
      - { result: s }
";
    let found = problems(text, None, None);
    let codes: Vec<_> = found.0.iter().map(|d| d.code).collect();
    let wanted = [
        "unknown-key",
        "unknown-method",
        "unknown-tier",
        "unknown-input",
        "unknown-key",
        "undefined-name",
        "unknown-field",
        "invalid-duration",
        "expression-syntax",
        "missing-assertion",
        "unknown-field",
        "unverified-result",
    ];
    assert_eq!(codes, wanted, "{}", found.0.iter().map(|d| d.render(false) + "\n").collect::<String>());
}

#[test]
fn warnings_are_not_errors() {
    let found = problems(&MINIMAL_PLAN.replace("plan: T\n", "plan: T\nvars: { unread: 1 }\n"), None, None);
    assert_eq!((found.errors(), found.0.len(), found.0[0].severity), (0, 1, Severity::Warning));
}
