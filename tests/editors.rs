//! The published JSON Schemas in an editor: what a real yaml-language-server proposes, explains and underlines with them.
#[path = "support/language_server.rs"]
mod language_server;

use language_server::{LanguageServer, place_behind};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const VERBS: &[&str] =
    &["http", "k8s", "db", "webhook", "logs", "exec", "use", "parallel", "fault", "every_observation"];
const COMMON_KEYS: &[&str] = &[
    "as",
    "save",
    "expect",
    "check",
    "foreach",
    "if",
    "eventually",
    "always",
    "give_up_if",
    "still_at_end",
    "timeout",
    "undo",
    "target",
    "blame",
];
const MAP_MATCHERS: &[&str] = &["$set", "$contains", "$each", "$in", "$regex", "$type", "$schema", "$that"];
const WORD_MATCHERS: &[&str] = &["$absent", "$nonempty", "$time"];

fn server() -> LanguageServer {
    let schema = |kind: &str| Path::new(ROOT).join(format!("docs/{kind}.schema.json"));
    LanguageServer::start(&[("plan", &schema("plan")), ("environment", &schema("environment"))])
}

/// A place of a document: the schema, and a template with the text at `@`, which is indented alike.
#[derive(Clone, Copy)]
struct Place(&'static str, &'static str);

const PLAN: Place = Place("plan", "@");
const CASE: Place = Place("plan", "plan: a\ncases:\n  - id: A-1\n    @");
const STEP: Place =
    Place("plan", "plan: a\ncases:\n  - id: A-1\n    tier: must\n    steps:\n      - step: Ask\n        @");
const RESULT: Place =
    Place("plan", "plan: a\ncases:\n  - id: A-1\n    tier: must\n    expected:\n      - result: It is so\n        @");
/// An action; its text starts behind the dash.
const ACTION: Place = Place(
    "plan",
    "plan: a\ncases:\n  - id: A-1\n    tier: must\n    expected:\n      - result: It is so\n        do:\n          - @",
);
const LIST_OF_ACTIONS: Place = Place(
    "plan",
    "plan: a\ncases:\n  - id: A-1\n    tier: must\n    expected:\n      - result: It is so\n        do:\n          @",
);
const LIST_OF_RESULTS: Place = Place("plan", "plan: a\ncases:\n  - id: A-1\n    tier: must\n    expected:\n      @");
const DEFINITIONS: Place = Place("plan", "plan: a\ncases: []\nactions:\n  @");
const BARE_ENVIRONMENT: Place = Place("environment", "environments:\n  staging:\n    @");
const TARGETS: Place = Place("environment", "environments:\n  staging:\n    targets:\n      @");
const ENVIRONMENT: Place = Place("environment", "environments:\n  staging:\n    targets: {}\n    @");
const TARGET: Place = Place("environment", "environments:\n  staging:\n    targets:\n      api:\n        @");
const FILE: Place = Place("environment", "@");

impl Place {
    fn with(self, text: &str) -> String {
        let Place(_, template) = self;
        let (before, after) = template.split_once('@').expect("a place");
        let indentation = " ".repeat(before.rsplit('\n').next().expect("a line").len());
        format!("{before}{}{after}\n", text.replace('\n', &format!("\n{indentation}")))
    }
}

#[test]
#[ignore = "needs yaml-language-server: tests/run"]
fn keys_verbs_and_matchers_complete() {
    let verbs_and_keys: Vec<&str> = VERBS.iter().chain(COMMON_KEYS).copied().collect();
    let all_but = |left_out: &str| -> Vec<&'static str> {
        verbs_and_keys.iter().filter(|k| **k != left_out).map(|k| &**k).collect::<Vec<_>>().leak().to_vec()
    };
    let (actions, beside_http) = (all_but(""), all_but("http"));
    #[rustfmt::skip]
    let cases: &[(Place, &str, &[&str])] = &[
        (PLAN, "|", &["plan", "title", "objective", "scope", "source", "report", "environment", "vars", "actions", "include", "prove",
            "requires", "cases"]),
        (PLAN, "plan: a\nca|", &["cases"]),
        (CASE, "|", &["tier", "title", "priority", "type", "preconditions", "steps", "expected", "exclusive", "timeout",
            "related_issue", "test_file"]),
        (CASE, "tier: |", &["must", "should", "nice"]),
        (CASE, "exclusive: |", &["true", "false"]),
        (STEP, "|", &["do"]),
        (RESULT, "|", &["do", "expect", "check", "unproven"]),
        (ACTION, "|", &actions),
        (ACTION, "h|", &["http"]),
        (ACTION, "http: { request: GET / }\n|", &beside_http),
        (ACTION, "http:\n  |", &["request", "query", "headers", "json", "form", "multipart", "text", "file", "identity", "follow",
            "limit", "events", "messages"]),
        (ACTION, "http: { request: GET /, j| }", &["json"]),
        (ACTION, "http: { r| }", &["request"]),
        (ACTION, "http:\n  request: GET /\n  events:\n    |", &["count", "until", "within"]),
        (ACTION, "k8s:\n  |", &["get", "list", "create", "apply", "patch", "delete", "events", "namespace"]),
        (ACTION, "k8s:\n  delete: pods/web\n  propagation: |", &["background", "foreground", "orphan"]),
        (ACTION, "db:\n  |", &["sql", "transaction", "file"]),
        (ACTION, "webhook:\n  |", &["open", "replies", "about", "received", "secret"]),
        (ACTION, "logs:\n  |", &["since", "tail"]),
        (ACTION, "exec:\n  |", &["run", "stdin", "env", "limit"]),
        (ACTION, "parallel:\n  |", &["overlap", "branches"]),
        (ACTION, "parallel:\n  branches:\n    - |", &["http", "do"]),
        (ACTION, "fault:\n  |", &["break", "heal"]),
        (ACTION, "http: { request: GET / }\nundo:\n  - |", &actions),
        (ACTION, "http: { request: GET / }\nblame: |", &["environment"]),
        (ACTION, "http: { request: GET / }\nexpect:\n  status:\n    |", MAP_MATCHERS),
        (ACTION, "http: { request: GET / }\nexpect:\n  body:\n    items:\n      $each:\n        name:\n          |", MAP_MATCHERS),
        (ACTION, "http: { request: GET / }\nexpect:\n  body:\n    id: |", WORD_MATCHERS),
        (ACTION, "http: { request: GET / }\nexpect: { status: { $i| } }", &["$in"]),
        (ACTION, "http: { request: GET / }\nexpect:\n  body:\n    id:\n      $type: |",
            &["string", "int", "float", "number", "bool", "list", "map", "time", "duration"]),
        (RESULT, "expect:\n  made:\n    status:\n      |", MAP_MATCHERS),
        (FILE, "|", &["default", "environments", "runs"]),
        (FILE, "environments: {}\nruns:\n  |", &["folder", "keep", "max_age"]),
        (ENVIRONMENT, "|", &["about", "extends", "secrets", "vars", "actions", "setup", "teardown", "on_failure", "known_failures",
            "allow", "masked_fields", "protected", "faults", "jobs", "undo_timeout", "versions", "notice"]),
        (ENVIRONMENT, "setup:\n  - |", &["http", "exec", "save"]),
        (ENVIRONMENT, "allow:\n  |", &["paths", "exec", "hosts"]),
        (ENVIRONMENT, "secrets:\n  password:\n    |", &["file", "command"]),
        (ENVIRONMENT, "faults:\n  down:\n    |", &["relay", "do", "heal"]),
        (TARGET, "|", &["http", "k8s", "db", "webhook", "logs"]),
        (TARGET, "http: https://a.example\n|", &["headers", "login", "cookies", "csrf", "identities", "ca", "insecure", "proxy"]),
    ];
    let mut server = server();
    let mut wrong = vec![];
    for (place, text, expected) in cases {
        let proposals = server.completions(place.0, &place.with(text));
        let offered: Vec<&str> = proposals.iter().map(|p| p.label.as_str()).collect();
        let missing: Vec<&str> = expected.iter().filter(|e| !offered.contains(e)).copied().collect();
        if !missing.is_empty() {
            wrong.push(format!("{}\n  not offered: {missing:?}\n  offered: {offered:?}", place.with(text)));
        }
        let silent = proposals.iter().filter(|p| expected.contains(&p.label.as_str()) && p.documentation.is_empty());
        // the words of a type need no explanation
        let silent: Vec<&str> = silent.map(|p| p.label.as_str()).filter(|l| !matches!(*l, "true" | "false")).collect();
        if !silent.is_empty() {
            wrong.push(format!("{}\n  offered without an explanation: {silent:?}", place.with(text)));
        }
    }
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n\n"));
    server.shut_down();
}

/// The keys in the first column of the table behind `heading` of a page.
fn keys_of_table(page: &str, heading: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(ROOT).join(page)).expect("a page");
    let (_, behind) = text.split_once(heading).unwrap_or_else(|| panic!("{page} has no `{heading}`"));
    let rows = behind.lines().skip_while(|l| !l.starts_with("| Key |")).take_while(|l| l.starts_with('|')).skip(2);
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    // `as: NAME` is the key `as`
    let keys: BTreeSet<String> = words.filter_map(|w| w.split(':').next()).map(str::to_owned).collect();
    assert!(keys.len() > 1, "{page}: no table behind `{heading}`");
    keys
}

#[test]
#[ignore = "needs yaml-language-server: tests/run"]
fn every_key_of_the_manuals_tables_completes() {
    let pages = [
        ("docs/plan-language.md", "Keys of a plan:", PLAN, "|"),
        ("docs/plan-language.md", "Keys of a case:", Place("plan", "plan: a\ncases:\n  - @"), "|"),
        ("docs/plan-language.md", "## Actions", ACTION, "|"),
        ("docs/verbs/http.md", "## Body", ACTION, "http:\n  |"),
        ("docs/verbs/k8s.md", "## Body", ACTION, "k8s:\n  |"),
        ("docs/verbs/db.md", "## Body", ACTION, "db:\n  |"),
        ("docs/verbs/webhook.md", "## Body", ACTION, "webhook:\n  |"),
        ("docs/verbs/logs.md", "## Body", ACTION, "logs:\n  |"),
        ("docs/verbs/exec.md", "## Body", ACTION, "exec:\n  |"),
        ("docs/environments.md", "## Keys", BARE_ENVIRONMENT, "|"),
    ];
    let mut server = server();
    let mut wrong = vec![];
    for (page, heading, place, text) in pages {
        let offered: BTreeSet<String> =
            server.completions(place.0, &place.with(text)).into_iter().map(|p| p.label).collect();
        let missing: Vec<String> = keys_of_table(page, heading).difference(&offered).cloned().collect();
        if !missing.is_empty() {
            wrong.push(format!("{page}, {heading}: not offered: {missing:?}, offered: {offered:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.shut_down();
}

#[test]
#[ignore = "needs yaml-language-server: tests/run"]
fn hover_explains_keys_verbs_and_matchers() {
    // Words of the meaning, in lower case.
    #[rustfmt::skip]
    let cases: &[(Place, &str, &str)] = &[
        (PLAN, "|plan: a\ncases: []", "id of the plan"),
        (PLAN, "plan: a\n|vars: { limit: 2s }\ncases: []", "variables"),
        (PLAN, "plan: a\n|cases: []", "cases"),
        (CASE, "|tier: must", "how important"),
        (CASE, "tier: |must", "should"),
        (CASE, "|exclusive: true", "no other case"),
        (CASE, "|timeout: 3m", "time limit"),
        (STEP, "|do: []", "performs"),
        (RESULT, "|unproven: it cannot be observed", "proves"),
        (ACTION, "|http: { request: GET / }", "sends one request"),
        (ACTION, "|k8s: { get: pods/web }", "kubernetes"),
        (ACTION, "|db: { sql: select 1 }", "sql"),
        (ACTION, "|webhook: { open: box }", "webhook"),
        (ACTION, "|logs: {}", "log lines"),
        (ACTION, "|exec: { run: [ls] }", "program"),
        (ACTION, "|use: { remove-session: { name: a } }", "reusable action"),
        (ACTION, "|parallel: { branches: [] }", "branches"),
        (ACTION, "|fault: { break: database-down }", "breaks or heals"),
        (ACTION, "|every_observation: http", "every observation"),
        (ACTION, "http: { |request: GET / }", "method"),
        (ACTION, "http: { request: GET /, |follow: true }", "redirects"),
        (ACTION, "k8s: { |patch: pods/web, merge: {} }", "changes an object"),
        (ACTION, "http: { request: GET / }\n|eventually: 30s", "retries"),
        (ACTION, "http: { request: GET / }\n|as: x", "bind"),
        (ACTION, "http: { request: GET / }\n|undo: []", "removes"),
        (ACTION, "http: { request: GET / }\n|expect: { status: 200 }", "output"),
        (ACTION, "http: { request: GET / }\nexpect: { status: { |$in: [200] } }", "one of"),
        (ACTION, "http: { request: GET / }\nexpect: { body: { a: { |$set: [1] } } }", "in any order"),
        (ACTION, "http: { request: GET / }\nexpect: { body: { a: [ { |$contains: x } ] } }", "contains"),
        (ACTION, "http: { request: GET / }\nexpect: { body: { a: |$absent } }", "missing"),
        (ACTION, "http: { request: GET / }\nexpect: { body: { |$that: it > 3 } }", "expression"),
        (RESULT, "expect: { made: { body: { |$each: 1 } } }", "every element"),
        (FILE, "environments: {}\n|runs: { keep: 3 }", "recorded"),
        (ENVIRONMENT, "|protected: true", "cannot be undone"),
        (ENVIRONMENT, "|jobs: 4", "at the same time"),
        (ENVIRONMENT, "setup:\n  - |http: { request: GET / }", "sends one request"),
        (TARGET, "http: https://a.example\n|insecure: true", "certificate"),
    ];
    let mut server = server();
    let mut wrong = vec![];
    for (place, text, part) in cases {
        let shown = server.hover(place.0, &place.with(text));
        // a title of a schema would be the heading of every explanation
        if shown.starts_with('#') || !shown.to_lowercase().contains(part) {
            wrong.push(format!("{}  expected: {part}\n  shown: {shown}", place.with(text)));
        }
    }
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n\n"));
    server.shut_down();
}

/// The places of the first character of a range and behind its last one, each with line and column.
type Range = ((usize, usize), (usize, usize));

/// A text without the marks `«` and `»`, and the ranges between them.
fn marked(text: &str) -> (String, Vec<Range>) {
    let (mut plain, mut ranges) = (String::new(), vec![]);
    for (i, part) in text.split(['«', '»']).enumerate() {
        let start = place_behind(&plain);
        plain.push_str(part);
        if i % 2 == 1 {
            ranges.push((start, place_behind(&plain)));
        }
    }
    (plain, ranges)
}

#[test]
#[ignore = "needs yaml-language-server: tests/run"]
fn slips_are_underlined_where_they_are() {
    // The marked ranges are underlined and no others, each with a message that contains the text.
    const OK: &str = "tier: must\nexpected: [{ result: It is so, check: run.id != '' }]";
    let case = |slip: &str| CASE.with(&format!("{slip}\n{OK}"));
    let action = |slip: &str| ACTION.with(slip);
    let environment = |slip: &str| ENVIRONMENT.with(slip);
    #[rustfmt::skip]
    let cases: Vec<(&str, String, &[&str])> = vec![
        ("plan", "plan: a\n«csaes»: 1\ncases: [{ id: A, tier: must, expected: [{ result: x, check: a }] }]\n".into(), &["csaes"]),
        ("plan", "«p»lan: a\n".into(), &["cases"]),
        ("plan", "plan: a\ncases:\n  «id: A-1\n  tier: must\n»".into(), &["array"]),
        ("plan", case("«stpes»: []"), &["stpes"]),
        ("plan", CASE.with("tier: «muss»\nexpected: [{ result: x, check: a }]"), &["\"must\", \"should\", \"nice\""]),
        ("plan", "plan: a\ncases:\n  - «i»d: A-1\n    tier: must\n".into(), &["expected"]),
        ("plan", case("exclusive: «often»"), &["placeholder"]),
        ("plan", case("timeout: «soon»"), &["30s"]),
        ("plan", case("steps:\n  - step: Ask\n    do: «{ http: { request: GET / } }»"), &["array"]),
        ("plan", case("steps:\n  - step: Ask\n    «od»: []"), &["od"]),
        ("plan", RESULT.with("«expct»: { a: 1 }\ncheck: a"), &["expct"]),
        ("plan", action("«htp»: { request: GET / }\nas: x"), &["htp"]),
        ("plan", action("http: { request: GET /, «jsn»: { a: 1 } }"), &["jsn"]),
        ("plan", action("http:\n  request: GET /\n  query: «[a]»"), &["object"]),
        ("plan", action("«http»: { «requst»: GET / }"), &["request", "requst"]),
        ("plan", action("http: «[GET /]»"), &[""]),
        ("plan", action("http: { request: GET / }\n«expct»: {}"), &["expct"]),
        ("plan", action("http: { request: GET / }\n«k8s»: { get: pods/web }"), &["one verb"]),
        ("plan", action("http: { request: GET / }\neventually: «soon»"), &["30s"]),
        ("plan", action("k8s: { «gte»: pods/web }"), &["gte"]),
        ("plan", action("k8s: { delete: pods/web, propagation: «backgrond» }"), &["\"background\""]),
        ("plan", action("http: { request: GET / }\nexpect: { status: { «$contain»: 3 } }"), &["$contain"]),
        ("plan", action("http: { request: GET / }\nexpect:\n  body:\n    items:\n      - name: a\n        tags: { «$sett»: [] }"), &["$sett"]),
        ("plan", action("http: { request: GET / }\nexpect: { body: { id: «$absnt» } }"), &["$absent"]),
        ("plan", action("http: { request: GET / }\nexpect: { body: { id: { $type: «strin» } } }"), &["\"string\""]),
        ("plan", action("http: { request: GET / }\nundo:\n  - http: { request: GET /, «jsn»: 1 }"), &["jsn"]),
        ("plan", action("parallel:\n  branches:\n    - http: { request: GET /, «jsn»: 1 }"), &["jsn"]),
        ("environment", "«defualt»: staging\nenvironments: { staging: { targets: {} } }\n".into(), &["defualt"]),
        ("environment", environment("«setpu»: []"), &["setpu"]),
        ("environment", environment("jobs: «many»"), &[""]),
        ("environment", environment("setup:\n  - http: { request: GET /, «jsn»: 1 }"), &["jsn"]),
        ("environment", TARGET.with("http: https://a.example\n«heders»: {}"), &["heders"]),
        ("environment", "environments:\n  s:\n    targets:\n      a:\n        «https»: x\n".into(), &["https"]),
        ("environment", environment("faults: { d: { relay: { «cntrol»: x } } }"), &["cntrol"]),
    ];
    let mut server = server();
    let mut wrong = vec![];
    let plain: Vec<_> = cases.iter().map(|(suffix, text, _)| (*suffix, marked(text))).collect();
    let found = server.problems_of_all(plain.iter().map(|(suffix, (plain, _))| (*suffix, plain.as_str())));
    for (((_, text, messages), (_, (_, ranges))), found) in cases.iter().zip(&plain).zip(found) {
        assert_eq!(ranges.len(), messages.len(), "{text}");
        let as_expected = found.len() == ranges.len()
            && found.iter().zip(ranges).zip(*messages).all(|((problem, (start, end)), message)| {
                problem.start == *start && problem.end == *end && problem.message.contains(message)
            });
        if !as_expected {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            wrong.push(format!("{text}  expected: {messages:?}\n  found: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n\n"));
    server.shut_down();
}

fn yaml_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            yaml_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "yaml") {
            into.push(path);
        }
    }
}

/// The schema, the place in the text for messages, and the text of each valid plan and environment in `plans` and `examples`.
fn valid_files() -> Vec<(&'static str, String, String)> {
    let mut files = vec![];
    yaml_files(&Path::new(ROOT).join("plans"), &mut files);
    yaml_files(&Path::new(ROOT).join("examples"), &mut files);
    files.sort();
    let mut valid = vec![];
    for path in files {
        let text = fs::read_to_string(&path).expect("a file");
        let has = |key: &str| text.lines().any(|l| l.starts_with(key));
        let kind = match (has("plan:"), has("environments:")) {
            (true, _) => "plan",
            (_, true) => "environment",
            // manifests, OpenAPI documents, actions for `include`
            _ => continue,
        };
        valid.push((kind, path.strip_prefix(ROOT).expect("below the root").to_string_lossy().into_owned(), text));
    }
    valid
}

/// The same for the blocks of YAML in the README and the manual, each put into its place: `tests/docs.rs` says what the word of a
/// block means. Blocks in `docs/verbs` have none, and are actions or targets.
fn valid_blocks() -> Vec<(&'static str, String, String)> {
    let mut pages = vec![PathBuf::from("README.md")];
    for folder in ["docs", "docs/verbs"] {
        let names =
            fs::read_dir(Path::new(ROOT).join(folder)).expect("a folder").map(|e| e.expect("an entry").file_name());
        pages.extend(
            names.map(|name| Path::new(folder).join(name)).filter(|p| p.extension().is_some_and(|e| e == "md")),
        );
    }
    // its blocks are invalid on purpose
    pages.retain(|page| page != Path::new("docs/diagnostics.md"));
    pages.sort();
    let mut valid = vec![];
    for page in pages {
        let text = fs::read_to_string(Path::new(ROOT).join(&page)).expect("a page");
        for (i, part) in text.split("\n```yaml").enumerate().skip(1) {
            let (info, block) = part.split_once('\n').expect("a line");
            let (block, _) = block.split_once("\n```").expect("the end of a block");
            let (kind, whole) = match info.split(' ').nth(1) {
                Some("plan") => ("plan", block.to_owned()),
                Some("environment") => ("environment", block.to_owned()),
                Some("actions") => ("plan", LIST_OF_ACTIONS.with(block)),
                Some("expected") => ("plan", LIST_OF_RESULTS.with(block)),
                Some("definitions") => ("plan", DEFINITIONS.with(block)),
                None if block.starts_with("- ") => ("plan", LIST_OF_ACTIONS.with(block)),
                None if block.starts_with("targets:") => ("environment", BARE_ENVIRONMENT.with(block)),
                None => ("environment", TARGETS.with(block)),
                Some(_) => continue,
            };
            valid.push((kind, format!("{}, block {i}", page.display()), whole));
        }
    }
    valid
}

#[test]
#[ignore = "needs yaml-language-server: tests/run"]
fn nothing_is_underlined_in_valid_plans_and_environments() {
    let mut valid = valid_files();
    let files = valid.len();
    valid.extend(valid_blocks());
    assert!(files >= 15 && valid.len() - files >= 50, "{files} files, {} blocks", valid.len() - files);
    let mut server = server();
    let found = server.problems_of_all(valid.iter().map(|(kind, _, text)| (*kind, text.as_str())));
    let lines = valid.iter().zip(found).flat_map(|((_, name, _), found)| {
        found.into_iter().map(move |problem| format!("{name}:{problem}")).collect::<Vec<_>>()
    });
    let wrong: Vec<String> = lines.collect();
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
    server.shut_down();
}

#[test]
#[ignore = "needs yaml-language-server: tests/run"]
fn a_comment_in_the_file_selects_the_schema() {
    let mut server = server();
    for kind in ["plan", "environment"] {
        let text = format!("# yaml-language-server: $schema={ROOT}/docs/{kind}.schema.json\nno-such-key: 1\n");
        // no setting is for files of this name
        let found = server.problems("other", &text);
        assert!(found.iter().any(|p| p.start == (2, 1) && p.message.contains("no-such-key")), "{kind}: {found:?}");
    }
    assert_eq!(server.problems("other", "no-such-key: 1\n"), []);
    server.shut_down();
}

#[test]
#[ignore = "needs yaml-language-server: tests/run"]
fn the_settings_of_the_page_select_the_schemas() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/editors.md")).expect("the page");
    let (_, settings) = page.split_once("```json\n").expect("a block of settings");
    let (settings, _) = settings.split_once("```").expect("its end");
    let settings: serde_json::Value = serde_json::from_str(settings).expect("JSON");
    // the server's patterns do not match folders with a dot
    let folder = tempfile::Builder::new().prefix("editors").tempdir().expect("a folder");
    fs::create_dir(folder.path().join("schemas")).expect("a folder");
    for name in ["plan.schema.json", "environment.schema.json"] {
        fs::copy(Path::new(ROOT).join("docs").join(name), folder.path().join("schemas").join(name)).expect("a copy");
    }
    let mut server = LanguageServer::in_folder(folder.path(), settings["yaml.schemas"].clone());
    for (file, missing) in [("plans/a.yaml", "cases"), ("tp-runner.yaml", "environments")] {
        let found = server.problems_at(&folder.path().join(file), "no-such-key: 1\n");
        assert!(found.iter().any(|p| p.message.contains(missing)), "{file}: {found:?}");
    }
    server.shut_down();
}
