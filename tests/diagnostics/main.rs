//! Every diagnostic that there is, with its place: `fixtures/diagnostics/CODE.yaml` holds plans in which one mistake is marked
//! «like this». Each must give exactly one diagnostic, of that code, whose underline begins where the mark does.
//!
//! Fixtures are separated by `-----`. One that begins with a `-` is a list of actions; one may end in an environment file behind
//! `===`, where the mark may stand as well, or in the Markdown plan behind `===md`.
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
    plan::{
        environment, markdown,
        read::{FileLoader, Reader},
    },
    source::Source,
};

struct Shelf;
impl FileLoader for Shelf {
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

const ENOUGH: &str = "plan: T\ncases:\n  - { id: A, tier: must, expected: [{ result: r, check: 1 == 1 }] }\n";

/// Everything that is wrong with a plan, in an environment, beside its Markdown.
fn problems(plan: &str, environment_text: Option<&str>, written: Option<&str>) -> Diagnostics {
    let registry = executors::registry();
    let mut reader = Reader::new(registry.verbs().collect(), &Shelf);
    let plan = reader.plan(&Arc::new(Source { name: "plan.yaml".into(), text: plan.into() }));
    let environments = environment_text.and_then(|text| {
        environment::read(&mut reader, &Arc::new(Source { name: "env.yaml".into(), text: text.into() }))
    });
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

/// The text without its marks, and where the first one stood: line and column from 1, in characters.
fn unmarked(text: &str) -> (String, Option<(usize, usize)>) {
    let at = text.find('«').map(|i| {
        let before = &text[..i];
        (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
    });
    (text.replace(['«', '»'], ""), at)
}

fn whole(snippet: &str) -> String {
    if !snippet.starts_with('-') {
        return snippet.to_string();
    }
    let steps = snippet.lines().map(|l| format!("          {l}\n")).collect::<String>();
    let head = "plan: T\ncases:\n  - id: A\n    tier: must\n    steps:\n      - step: s\n        do:\n";
    format!("{head}{steps}    expected: [{{ result: r, check: 1 == 1 }}]\n")
}

fn judge(code: &str, fixture: &str) -> Result<(), String> {
    let (plan, rest) = match fixture.split_once("\n===") {
        Some((plan, rest)) => (plan, Some(rest)),
        None => (fixture, None),
    };
    let is_environment = plan.starts_with("environments:") || plan.starts_with("default:");
    let (text, mut place) = unmarked(&if is_environment { plan.to_string() } else { whole(plan) });
    let found = match rest {
        Some(rest) if rest.starts_with("md") => problems(&text, None, Some(&rest[2..])),
        Some(rest) => {
            let (environment, there) = unmarked(rest.trim_start_matches('\n'));
            place = place.or(there);
            problems(&text, Some(&environment), None)
        }
        None if is_environment => problems(ENOUGH, Some(&text), None),
        None => problems(&text, None, None),
    };
    let drawn = || found.0.iter().map(|d| d.render(false) + "\n").collect::<String>();
    let [one] = &found.0[..] else {
        return Err(format!("{} diagnostics and not one:\n{fixture}\n{}", found.0.len(), drawn()));
    };
    let at = one.span.location();
    if one.code != code || Some((at.line, at.column)) != place {
        return Err(format!(
            "`{code}` at {place:?} was expected:\n{fixture}\n{}at {}:{}\n",
            drawn(),
            at.line,
            at.column
        ));
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
fn each_mistake_gives_its_one_diagnostic_where_it_stands() {
    let all = || fixtures().iter().filter_map(|(code, fixture)| judge(code, fixture).err()).collect();
    // a stack as large as the main thread's
    let wrong: Vec<String> = std::thread::Builder::new().stack_size(8 << 20).spawn(all).unwrap().join().unwrap();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), fixtures().len(), wrong.join("\n"));
}

#[test]
fn every_code_has_a_fixture_at_each_position_where_it_can_stand() {
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
    assert!(idle.is_empty(), "no such code, or excepted twice: {idle:?}");
}

/// Every code that the sources say.
fn codes() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let said = regex::Regex::new(r#"(?:\b(?:error|warning|fail)\(|\(\s*|\{ )"([a-z]+(?:-[a-z]+)*)"(?:,| \})"#).unwrap();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let shown = path.to_string_lossy().into_owned();
            if shown.ends_with("tests.rs") || ["/src/report/", "/tests/"].iter().any(|p| shown.contains(p)) {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for (i, _) in product
                .match_indices("Diagnostic::error(")
                .chain(product.match_indices("Diagnostic::warning("))
                .chain(product.match_indices(".error("))
                .chain(product.match_indices("fail("))
            {
                let rest = product[i..].split_once('(').unwrap().1.trim_start();
                if let Some(code) = rest.strip_prefix('"').and_then(|r| r.split('"').next()) {
                    codes.insert(code.to_string());
                } else if rest.starts_with("code,") || rest.starts_with("if ") {
                    // chosen just before: both are literals nearby
                    let near = &product[product.floor_char_boundary(i.saturating_sub(350))
                        ..product.floor_char_boundary((i + 120).min(product.len()))];
                    codes.extend(said.captures_iter(near).map(|c| c[1].to_string()).filter(|c| c.contains('-')));
                }
            }
        }
    }
    codes
}

#[test]
fn every_code_has_a_fixture_and_a_paragraph() {
    let codes = codes();
    assert!(codes.len() > 60 && codes.contains("invalid-address") && codes.contains("wrong-type"), "{codes:?}");
    let mut with_fixture: BTreeSet<String> = fixtures().into_iter().map(|(code, _)| code).collect();
    with_fixture.insert("source-not-found".into()); // a test of its own
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md")).unwrap();
    let explained: BTreeSet<String> =
        page.lines().filter_map(|l| Some(l.strip_prefix("### `")?.strip_suffix('`')?.to_string())).collect();
    assert_eq!(codes.difference(&with_fixture).collect::<Vec<_>>(), Vec::<&String>::new(), "without fixture");
    assert_eq!(codes.difference(&explained).collect::<Vec<_>>(), Vec::<&String>::new(), "not in docs/diagnostics.md");
    assert_eq!(explained.difference(&codes).collect::<Vec<_>>(), Vec::<&String>::new(), "explained, and never said");
}

#[test]
fn a_missing_source_is_said_at_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.yaml");
    fs::write(&file, ENOUGH.replace("plan: T\n", "plan: T\nsource: none.md\n")).unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_tp-runner")).arg("check").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("source-not-found") && said.contains(":2:9"), "{said}");
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn twelve_mistakes_in_one_file_are_twelve_diagnostics() {
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
fn a_warning_is_no_error() {
    let found = problems(&ENOUGH.replace("plan: T\n", "plan: T\nvars: { unread: 1 }\n"), None, None);
    assert_eq!((found.errors(), found.0.len(), found.0[0].severity), (0, 1, Severity::Warning));
}
