//! The cases: arguments and the files they work on.

/// A command line and what runs before it.
pub struct Case {
    /// Group and name of the snapshot.
    pub name: &'static str,
    /// `RUN` is replaced by the id of the run that `before` recorded.
    pub args: &'static [&'static str],
    pub before: &'static [&'static [&'static str]],
}

const fn case(name: &'static str, args: &'static [&'static str]) -> Case {
    Case { name, args, before: &[] }
}

const fn after(before: &'static [&'static [&'static str]], name: &'static str, args: &'static [&'static str]) -> Case {
    Case { name, args, before }
}

const PLAN: &[u8] = br#"plan: SMALL
title: A small plan
prove: { guards: SMALL.guards.json }
vars: { word: hello }
cases:
  - id: SMALL-1
    title: Prints a word
    tier: must
    priority: high
    steps:
      - step: Print
        do:
          - exec: { run: [printf, "${word}"] }
            as: printed
            expect: { exit: 0 }
    expected:
      - result: The word is printed
        check: printed.stdout.contains("hello")
  - id: SMALL-2
    title: Prints a number
    tier: nice
    preconditions:
      - given: Paper is in the printer
    expected:
      - result: The number is printed
        do:
          - exec: { run: [printf, "42"] }
            check: stdout == "42"
      - result: The number is beautiful
        unproven: beauty is not measured
"#;

const FAILING: &[u8] = br#"plan: FAILING
cases:
  - id: FAIL-1
    tier: must
    expected:
      - result: Three is printed
        do:
          - exec: { run: [printf, "4"] }
            expect: { stdout: "3" }
  - id: FAIL-2
    tier: should
    expected:
      - result: A program runs
        do:
          - exec: { run: [no-such-program] }
            check: exit == 0
  - id: FAIL-3
    tier: nice
    expected:
      - result: Two is printed
        do:
          - exec: { run: [printf, "2"] }
            expect: { stdout: "2" }
"#;

const BROKEN: &[u8] = br#"plan: BROKEN
cases:
  - id: B-1
    tier: must
    tier: nice
    expected:
      - result: Something
        chekc: 1 == 1
"#;

const OUTSIDE: &[u8] = b"plan: OUTSIDE
report: ../outside.md
cases:
  - { id: O-1, tier: must, expected: [{ result: It is so, check: run.id != '' }] }
";

const HOST: &[u8] = b"plan: HOST
cases:
  - id: H-1
    tier: must
    expected: [{ result: It is healthy, do: [{ http: { request: 'GET http://127.0.0.1:2/health' }, expect: { status: 200 } }] }]
";

/// No message quotes them.
const OTHER_FILES: &[u8] = br#"plan: OTHER
include: [settings.ini, settings.json]
cases:
  - id: X-1
    tier: must
    expected:
      - result: It fits
        expect: { run: { $schema: { file: settings.ini } } }
      - result: It fits again
        expect: { run: { $schema: { file: settings.json } } }
      - result: It fits the service
        expect: { run: { $schema: { openapi: settings.json, operation: getX } } }
"#;

const ENVIRONMENTS: &[u8] = br#"default: here
environments:
  here: { allow: { exec: true }, targets: {} }
  strict: { targets: {} }
  protected:
    protected: true
    allow: { exec: true }
    targets: {}
  secretive:
    allow: { exec: true }
    secrets: { password: '${env.TP_TEST_UNSET}' }
    targets: {}
  unreachable:
    targets: { api: { http: 'http://127.0.0.1:1' } }
"#;

const WRITTEN: &[u8] = br#"# Orders

**Test Plan ID**: TP-7

Remember to reset the clock.

### ORD-1: Place an order

**Priority**: P0
**Preconditions**:
- A customer exists

**Steps**:
1. Place an order of 3 items
2. Wait for the confirmation

**Expected Results**:
- The order is confirmed
  ```json
  { "status": "confirmed", "items": 3 }
  ```

### ORD-2: Cancel an order

**Priority**: P1
**Steps**:
1. Cancel the order

**Expected Results**:
- The stock is as before
"#;

/// As it was before the written plan changed.
const OLDER: &[u8] = br#"plan: TP-7
title: Orders
source: written.md
cases:
  - id: ORD-1
    title: Place an order
    tier: must
    priority: P0
    preconditions: [{ given: A customer exists }]
    steps:
      - step: Place an order of 2 items
      - step: Wait for the confirmation
    expected:
      - { result: The order is confirmed, check: run.id != '' }
  - id: ORD-3
    tier: nice
    expected: [{ result: The bill is paid, check: run.id != '' }]
"#;

/// As `import` leaves it, with one case written.
const UNWRITTEN: &[u8] = br#"plan: UNWRITTEN
cases:
  - id: U-1
    tier: must
    expected: [{ result: It is so, check: run.id != '' }]
  - id: U-2
    tier: must
    expected: [{ result: What is expected is not known }]
"#;

/// Each word has one obvious repair, but the last one.
const MISSPELLED: &[u8] = br#"plan: MISSPELLED
cases:
  - id: M-1
    teir: must
    steps:
      - step: Print
        do:
          - "exce": { run: [printf, 3] }
            as: printed
            expect: { exti: 0 }
    expected:
      - result: It is printed
        check: printde.stdout.contains("3")
      - result: It is empty
        expect: { printed: { stderr: $nonemty } }
      - result: It is quick
        check: printed.took < 5
"#;

pub const FILES: &[(&str, &[u8])] = &[
    ("small.yaml", PLAN),
    ("failing.yaml", FAILING),
    ("broken.yaml", BROKEN),
    ("tp-runner.yaml", ENVIRONMENTS),
    ("not-utf8.yaml", b"plan: \xff\n"),
    ("journal.jsonl", b"not an event\nnot an event either\n"),
    ("other.yaml", b"environments: { elsewhere: { allow: { exec: true }, targets: {} } }\n"),
    ("inner/outside.yaml", OUTSIDE),
    ("host.yaml", HOST),
    ("other-files.yaml", OTHER_FILES),
    ("written.md", WRITTEN),
    ("older.yaml", OLDER),
    ("misspelled.yaml", MISSPELLED),
    ("unwritten.yaml", UNWRITTEN),
    ("api.yaml", b"openapi: 3.1.0\ninfo: { title: Shop, version: '1' }\npaths: { /orders: { get: { responses: { '200': { description: ok } } } } }\n"),
    ("none.yaml", b"environments: {}\n"),
    ("two.yaml", b"environments: { here: { targets: {} }, there: { targets: {} } }\n"),
    (
        "plans/inner.yaml",
        b"plan: INNER\ncases:\n  - id: INNER-1\n    tier: must\n    expected: [{ result: r, check: run.id != '' }]\n",
    ),
    ("settings.ini", b"password = hunter2-correct-horse\n\t- not: [yaml\n"),
    ("settings.json", b"{\"password\": \"hunter2-correct-horse\"}\n"),
    ("log.md", b"# Plan\n\n## Agent Communication Log\n\n---\n\n## Notes and Blockers\n\nNone.\n"),
    ("conflict.md", b"## Agent Communication Log\n\n<<<<<<< HEAD\n=======\n>>>>>>> theirs\n"),
    ("broken-environment.yaml", b"environments: { here: { targetz: {} } }\n"),
];

const IMPORTED: &[&[&str]] = &[&["import", "written.md"]];
const RUN_SMALL: &[&[&str]] = &[&["run", "small.yaml", "--quiet"]];
const RUN_FAILING: &[&[&str]] = &[&["run", "failing.yaml", "--quiet"]];

pub const CASES: &[Case] = &[
    case("help/root", &["--help"]),
    case("help/short", &["-h"]),
    case("help/version", &["--version"]),
    case("help/run", &["run", "--help"]),
    case("help/check", &["check", "--help"]),
    case("help/list", &["list", "--help"]),
    case("help/doctor", &["doctor", "--help"]),
    case("help/prove", &["prove", "--help"]),
    case("help/report", &["report", "--help"]),
    case("help/cleanup", &["cleanup", "--help"]),
    case("help/runs", &["runs", "--help"]),
    case("help/relay", &["relay", "--help"]),
    case("help/sandbox", &["sandbox", "--help"]),
    case("help/import", &["import", "--help"]),
    case("help/sync", &["sync", "--help"]),
    case("help/init", &["init", "--help"]),
    case("init/no-such-file", &["init", "--from", "missing.yaml"]),
    case("init/not-a-document", &["init", "http://127.0.0.1:1", "--from", "small.yaml", "--yes"]),
    case("init/without-url", &["init", "--from", "api.yaml"]),
    case("init/unreachable", &["init", "http://127.0.0.1:1", "--id", "SHOP", "--env", "there", "--ci", "none"]),
    case("init/unknown-system", &["init", "shop"]),
    case("init/unknown-scheme", &["init", "ftp://127.0.0.1"]),
    case("init/environment-exists", &["init", "http://127.0.0.1:1", "--set", "id=1"]),
    case("init/invalid-set", &["init", "http://127.0.0.1:1", "--set", "id"]),
    case("init/invalid-id", &["init", "sandbox", "--id", "../x"]),
    case("help/try", &["try", "--help"]),
    case("help/explain", &["explain", "--help"]),
    case("help/schema", &["schema", "--help"]),
    case("help/completions", &["completions", "--help"]),
    case("help/man", &["man", "--help"]),
    case("explain/all", &["explain"]),
    case("explain/key-in-several-places", &["explain", "timeout"]),
    case("explain/key-of-a-verb", &["explain", "http.request"]),
    case("explain/matcher", &["explain", "$nonempty"]),
    case("explain/function", &["explain", "size"]),
    case("explain/code", &["explain", "unknown-key"]),
    case("explain/verdict", &["explain", "blocked"]),
    case("explain/exit-code", &["explain", "3"]),
    case("explain/verb", &["explain", "fault"]),
    case("explain/unknown", &["explain", "eventualy"]),
    case("explain/search", &["explain", "--search", "redirect"]),
    case("explain/search-nothing", &["explain", "--search", "flux capacitor"]),
    case("explain/word-and-search", &["explain", "http", "--search", "x"]),
    case("explain/unknown-shell", &["completions", "tcsh"]),
    case("explain/unknown-schema", &["schema", "report"]),
    case("try/exec", &["try", "exec: { run: [printf, hello] }", "--env", "elsewhere", "--config", "other.yaml"]),
    case("try/failed-assertion", &["try", "{ exec: { run: [printf, hello] }, expect: { stdout: bye } }"]),
    case("try/foreach", &["try", "{ foreach: [a, b], exec: { run: [printf, '${item}'] } }", "--quiet"]),
    case("try/not-allowed", &["try", "exec: { run: [printf, hello] }", "--env", "strict"]),
    case("try/allow-exec", &["try", "exec: { run: [printf, hello] }", "--env", "strict", "--allow-exec"]),
    case("try/protected", &["try", "exec: { run: [printf, hello] }", "--env", "protected"]),
    case(
        "try/allow-destructive",
        &["try", "exec: { run: [printf, hi] }", "--env", "protected", "--allow-destructive", "protected"],
    ),
    case("try/unreachable", &["try", "http: { request: GET /x }", "--env", "unreachable"]),
    case(
        "try/allow-host",
        &[
            "try",
            "http: { request: 'GET http://127.0.0.1:2/x' }",
            "--env",
            "unreachable",
            "--allow-host",
            "127.0.0.1:2",
        ],
    ),
    case(
        "try/allow-path",
        &[
            "try",
            "http: { request: POST /x, file: /nonexistent/x }",
            "--env",
            "unreachable",
            "--allow-path",
            "/nonexistent",
        ],
    ),
    case("try/set", &["try", "exec: { run: [printf, hello] }", "--set", "word=x"]),
    case("try/without-braces", &["try", "exec: { run: [printf, hello] }, expect: { stdout: hello }", "--quiet"]),
    case("try/as-in-a-list", &["try", "- exec: { run: [printf, hello] }", "--quiet"]),
    case("try/invalid", &["try", "htp: { request: GET /x }"]),
    case("try/not-an-action", &["try", "GET /x"]),
    case("check/fix", &["check", "misspelled.yaml", "--fix"]),
    after(RUN_SMALL, "run/from", &["run", "small.yaml", "--from", "RUN"]),
    case("run/from-unknown", &["run", "small.yaml", "--from", "r1234567"]),
    after(RUN_SMALL, "run/from-and-keep", &["run", "small.yaml", "--from", "RUN", "--keep"]),
    case("usage/no-command", &[]),
    case("usage/unknown-command", &["perform"]),
    case("usage/similar-command", &["chekc"]),
    case("usage/similar-tier", &["run", "small.yaml", "--tier", "shuold"]),
    case("usage/similar-case", &["run", "small.yaml", "--case", "SMALL-1", "--case", "SMAL-2"]),
    case("usage/similar-environment", &["run", "small.yaml", "--env", "protcted"]),
    case("usage/case-as-plan", &["run", "INNER-1"]),
    case("usage/several-environments", &["run", "small.yaml", "--config", "two.yaml"]),
    case("run/only-environment", &["run", "small.yaml", "--config", "other.yaml", "--quiet"]),
    case("run/case-beside-unwritten", &["run", "unwritten.yaml", "--case", "U-1", "--quiet"]),
    case("run/unwritten", &["run", "unwritten.yaml", "--quiet"]),
    after(RUN_SMALL, "report/latest", &["report", "latest"]),
    case("report/latest-of-none", &["report", "latest"]),
    case("usage/similar-plan", &["run", "TP-04"]),
    case("usage/unknown-flag", &["run", "small.yaml", "--fast"]),
    case("usage/quiet-and-verbose", &["run", "small.yaml", "--quiet", "--verbose"]),
    case("usage/invalid-color", &["run", "small.yaml", "--color", "blue"]),
    case("usage/invalid-tier", &["run", "small.yaml", "--tier", "high"]),
    case("usage/invalid-gate", &["run", "small.yaml", "--gate", "high"]),
    case("usage/invalid-glob", &["run", "small.yaml", "--case", "SMALL-["]),
    case("usage/no-jobs", &["run", "small.yaml", "--jobs", "0"]),
    case("usage/invalid-seed", &["run", "small.yaml", "--shuffle=seed"]),
    case("usage/invalid-set", &["run", "small.yaml", "--set", "word"]),
    case("usage/unknown-variable", &["run", "small.yaml", "--set", "wrod=hello"]),
    case("usage/unknown-plan", &["run", "TP-999"]),
    case("usage/missing-file", &["run", "missing.yaml"]),
    case("usage/folder-without-plans", &["run", "empty"]),
    case("usage/no-plans-folder", &["run"]),
    case("usage/not-utf8", &["run", "not-utf8.yaml"]),
    case("usage/broken-plan", &["run", "broken.yaml"]),
    case("usage/unknown-environment", &["run", "small.yaml", "--env", "nowhere"]),
    case("usage/no-environment", &["run", "small.yaml", "--config", "none.yaml"]),
    case("usage/missing-config", &["run", "small.yaml", "--config", "missing.yaml"]),
    case("usage/config-is-a-folder", &["run", "small.yaml", "--config", "empty"]),
    case("usage/broken-config", &["run", "small.yaml", "--config", "broken-environment.yaml"]),
    case("usage/unset-secret", &["run", "small.yaml", "--env", "secretive"]),
    case("usage/unknown-format", &["run", "small.yaml", "--format", "junit,pdf"]),
    case("usage/unknown-defect", &["run", "small.yaml", "--defect", "lost-wakup"]),
    case("run/passing", &["run", "small.yaml", "--jobs", "1"]),
    case("run/failing", &["run", "failing.yaml", "--jobs", "1"]),
    case("run/several-plans", &["run", "failing.yaml", "small.yaml", "--jobs", "1"]),
    case("run/quiet", &["run", "small.yaml", "--quiet"]),
    case("run/verbose", &["run", "small.yaml", "--verbose", "--jobs", "1"]),
    case("run/color", &["run", "failing.yaml", "--color", "always", "--quiet"]),
    case("run/dry-run", &["run", "small.yaml", "--dry-run"]),
    case("run/tier", &["run", "small.yaml", "--tier", "nice"]),
    case("run/case", &["run", "small.yaml", "--case", "SMALL-1"]),
    case("run/nothing-selected", &["run", "small.yaml", "--tier", "should"]),
    case("run/gate", &["run", "failing.yaml", "--gate", "nice", "--jobs", "1"]),
    case("run/gate-without-cases", &["run", "small.yaml", "--gate", "should", "--jobs", "1"]),
    case("run/shuffle", &["run", "small.yaml", "--shuffle=7", "--jobs", "1"]),
    after(RUN_FAILING, "run/failed", &["run", "failing.yaml", "--failed", "--jobs", "1"]),
    after(RUN_FAILING, "run/failed-and-tier", &["run", "failing.yaml", "--failed", "--tier", "should", "--quiet"]),
    after(RUN_SMALL, "run/failed-none", &["run", "small.yaml", "--failed"]),
    case("run/failed-without-run", &["run", "small.yaml", "--failed"]),
    case("run/retries", &["run", "failing.yaml", "--retries", "1", "--jobs", "1"]),
    case("run/retries-and-keep", &["run", "small.yaml", "--retries", "1", "--keep"]),
    case("run/too-many-retries", &["run", "small.yaml", "--retries", "99"]),
    case("run/fail-fast", &["run", "failing.yaml", "--fail-fast", "--jobs", "1"]),
    case("run/set", &["run", "small.yaml", "--set", "word=goodbye", "--jobs", "1"]),
    case("run/report-dir", &["run", "small.yaml", "--report-dir", "out", "--quiet"]),
    case("run/format", &["run", "failing.yaml", "--format", "junit,json,ctrf,html", "--jobs", "1"]),
    case("run/otlp-invalid", &["run", "small.yaml", "--otlp", "collector:4318"]),
    case("run/agent-log", &["run", "small.yaml", "--agent-log", "log.md", "--quiet"]),
    case("run/agent-log-create", &["run", "small.yaml", "--agent-log", "new/log.md", "--agent-log-create", "--quiet"]),
    case("run/agent-log-missing", &["run", "small.yaml", "--agent-log", "new/log.md", "--quiet"]),
    case("run/agent-log-conflict", &["run", "small.yaml", "--agent-log", "conflict.md", "--quiet"]),
    case("run/agent-log-dry-run", &["run", "small.yaml", "--agent-log", "log.md", "--dry-run"]),
    case("run/report-not-writable", &["run", "small.yaml", "--report-dir", "small.yaml", "--quiet"]),
    case("run/env", &["run", "small.yaml", "--env", "elsewhere", "--config", "other.yaml", "--quiet"]),
    case("run/time-limit", &["run", "small.yaml", "--time-limit", "soon"]),
    case("run/keep", &["run", "small.yaml", "--keep", "--quiet"]),
    case("run/cleanup-first", &["run", "small.yaml", "--cleanup-first", "--quiet"]),
    case("run/protected", &["run", "small.yaml", "--env", "protected"]),
    case(
        "run/allow-destructive",
        &["run", "small.yaml", "--env", "protected", "--allow-destructive", "protected", "--quiet"],
    ),
    case("run/exec-not-allowed", &["run", "small.yaml", "--env", "strict"]),
    case("run/allow-exec", &["run", "small.yaml", "--env", "strict", "--allow-exec", "--quiet"]),
    case("run/protected-allows-nothing", &["run", "small.yaml", "--env", "protected", "--allow-exec"]),
    case("run/path-not-allowed", &["run", "inner/outside.yaml"]),
    case("run/allow-path", &["run", "inner/outside.yaml", "--allow-path", "outside.md", "--quiet"]),
    case("run/host-not-allowed", &["run", "host.yaml", "--env", "unreachable"]),
    case("run/allow-host", &["run", "host.yaml", "--env", "unreachable", "--allow-host", "127.0.0.1:2", "--quiet"]),
    case("run/database", &["run", "small.yaml", "--env", "sandbox", "--database", "nonsense"]),
    case("run/kubeconfig", &["run", "small.yaml", "--env", "sandbox", "--kubeconfig", "missing"]),
    case("run/quota", &["run", "small.yaml", "--env", "sandbox", "--quota", "many"]),
    case("run/variation", &["run", "small.yaml", "--env", "sandbox", "--variation", "delete-205"]),
    case("run/as-built", &["run", "small.yaml", "--env", "sandbox", "--as-built", "--allow-exec", "--quiet"]),
    case(
        "run/defect",
        &["run", "small.yaml", "--env", "sandbox", "--defect", "lost-wakeup", "--allow-exec", "--quiet"],
    ),
    case("run/delays", &["run", "small.yaml", "--delays", "long"]),
    case("import/to-stdout", &["import", "written.md", "--output", "-"]),
    case("import/to-a-file", &["import", "written.md"]),
    case("import/exists", &["import", "written.md", "--output", "small.yaml"]),
    case("import/no-case", &["import", "log.md"]),
    case("import/missing", &["import", "no-such-plan.md"]),
    after(IMPORTED, "import/then-check", &["check", "plans/TP-7.yaml"]),
    after(IMPORTED, "sync/same", &["sync", "plans/TP-7.yaml"]),
    case("sync/differs", &["sync", "older.yaml"]),
    case("sync/allow-path", &["sync", "older.yaml", "--allow-path", "outside.md"]),
    case("sync/no-source", &["sync", "small.yaml"]),
    case("check/written-plan", &["check", "written.md"]),
    case("check/written-plan-without-yaml", &["check", "log.md"]),
    case("check/valid", &["check", "small.yaml"]),
    case("check/broken", &["check", "broken.yaml", "small.yaml"]),
    case("check/env", &["check", "small.yaml", "--env", "protected"]),
    case("check/allow-destructive", &["check", "small.yaml", "--env", "protected", "--allow-destructive", "protected"]),
    case("check/allow-exec", &["check", "small.yaml", "--env", "strict", "--allow-exec"]),
    case("check/allow-path", &["check", "inner/outside.yaml", "--allow-path", "outside.md"]),
    case("check/allow-host", &["check", "host.yaml", "--env", "unreachable", "--allow-host", "127.0.0.1"]),
    case("check/other-files", &["check", "other-files.yaml"]),
    case("check/similar-environment", &["check", "small.yaml", "--env", "protcted"]),
    case("check/config", &["check", "small.yaml", "--config", "other.yaml", "--env", "here"]),
    case("list/all", &["list", "small.yaml", "failing.yaml"]),
    case("list/tier", &["list", "small.yaml", "--tier", "must"]),
    case("list/case", &["list", "small.yaml", "--case", "*-2"]),
    case("list/path-not-allowed", &["list", "inner/outside.yaml"]),
    case("list/allow-path", &["list", "inner/outside.yaml", "--allow-path", "."]),
    case("list/nothing-selected", &["list", "small.yaml", "--case", "X"]),
    after(RUN_SMALL, "report/passing", &["report", "RUN"]),
    after(RUN_FAILING, "report/failing", &["report", "RUN"]),
    after(RUN_SMALL, "report/known-failures-of-none", &["report", "RUN", "--known-failures"]),
    after(RUN_FAILING, "report/known-failures", &["report", "RUN", "--known-failures"]),
    after(RUN_SMALL, "report/output", &["report", "RUN", "--output", "copy.md"]),
    after(RUN_SMALL, "report/output-not-writable", &["report", "RUN", "--output", "small.yaml/copy.md"]),
    after(RUN_FAILING, "report/format", &["report", "RUN", "--format", "junit"]),
    after(RUN_SMALL, "report/several-formats", &["report", "RUN", "--format", "json,junit", "--output", "out/copy.md"]),
    after(RUN_SMALL, "report/several-formats-without-file", &["report", "RUN", "--format", "json,junit"]),
    after(RUN_SMALL, "report/format-and-known-failures", &["report", "RUN", "--format", "json", "--known-failures"]),
    after(RUN_FAILING, "report/agent-log-dry-run", &["report", "RUN", "--agent-log", "log.md", "--dry-run"]),
    after(
        RUN_SMALL,
        "report/agent-log-create",
        &["report", "RUN", "--agent-log", "small.yaml", "--agent-log-create", "--dry-run"],
    ),
    case("report/dry-run-without-agent-log", &["report", "r0000000", "--dry-run"]),
    case("report/unknown-run", &["report", "r0000000"]),
    after(RUN_SMALL, "cleanup/runs-dir", &["cleanup", "--runs-dir", "elsewhere"]),
    case("cleanup/no-runs", &["runs"]),
    case("cleanup/nothing", &["cleanup"]),
    case("cleanup/unknown-run", &["cleanup", "r0000000"]),
    after(RUN_SMALL, "cleanup/finished", &["cleanup", "RUN"]),
    after(RUN_SMALL, "cleanup/dry-run", &["cleanup", "RUN", "--dry-run"]),
    after(RUN_SMALL, "cleanup/forget", &["cleanup", "RUN", "--forget"]),
    after(RUN_SMALL, "cleanup/force", &["cleanup", "--force"]),
    after(RUN_SMALL, "cleanup/config", &["cleanup", "--config", "other.yaml", "--env", "here"]),
    case("cleanup/env-without-config", &["cleanup", "--env", "here"]),
    case("cleanup/forget-without-run", &["cleanup", "--forget"]),
    case("report/invalid-journal", &["report", "journal.jsonl"]),
    case("report/no-run", &["report"]),
    after(RUN_FAILING, "report/against", &["report", "RUN", "--against", "RUN"]),
    after(RUN_SMALL, "report/against-without-other", &["report", "--against", "RUN"]),
    after(RUN_SMALL, "report/against-in-junit", &["report", "RUN", "--against", "RUN", "--format", "junit"]),
    after(RUN_SMALL, "report/against-in-markdown", &["report", "RUN", "--against", "RUN", "--format", "markdown"]),
    after(RUN_FAILING, "report/history", &["report", "--history"]),
    after(RUN_SMALL, "report/history-of-other-plan", &["report", "--history", "OTHER"]),
    case("report/history-of-nothing", &["report", "--history"]),
    after(RUN_SMALL, "report/merge-the-same", &["report", "RUN", "RUN"]),
    after(RUN_SMALL, "prove/baseline-missing", &["prove", "--run", "RUN"]),
    after(RUN_SMALL, "prove/accept", &["prove", "small.yaml", "--run", "RUN", "--accept"]),
    after(RUN_SMALL, "prove/report-dir", &["prove", "--run", "RUN", "--accept", "--report-dir", "out"]),
    after(RUN_SMALL, "prove/other-plan", &["prove", "failing.yaml", "--run", "RUN"]),
    after(RUN_SMALL, "prove/set", &["prove", "--run", "RUN", "--accept", "--set", "word=goodbye"]),
    after(RUN_FAILING, "prove/failed-run", &["prove", "--run", "RUN"]),
    case("prove/failing-plan", &["prove", "failing.yaml", "--env", "here", "--quiet"]),
    case("prove/accept-without-run", &["prove", "small.yaml", "--accept"]),
    case("prove/config", &["prove", "small.yaml", "--config", "missing.yaml"]),
    case("prove/allow-destructive", &["prove", "failing.yaml", "--env", "protected", "--allow-destructive", "here"]),
    case("prove/allow-exec", &["prove", "broken.yaml", "--allow-exec"]),
    case("prove/allow-path", &["prove", "broken.yaml", "--allow-path", "."]),
    case("prove/allow-host", &["prove", "broken.yaml", "--allow-host", "here"]),
    case("prove/jobs", &["prove", "small.yaml", "--jobs", "0"]),
    case("prove/database", &["prove", "small.yaml", "--env", "sandbox", "--database", "nonsense"]),
    case("prove/kubeconfig", &["prove", "small.yaml", "--env", "sandbox", "--kubeconfig", "missing"]),
    case("prove/quota", &["prove", "broken.yaml", "--quota", "5"]),
    case("prove/variation", &["prove", "broken.yaml", "--variation", "slow"]),
    case("prove/as-built", &["prove", "broken.yaml", "--as-built"]),
    case("prove/defect", &["prove", "small.yaml", "--defect", "none"]),
    case("prove/delays", &["prove", "small.yaml", "--delays", "long"]),
    case("doctor/no-problems", &["doctor", "small.yaml"]),
    case("doctor/unreachable", &["doctor", "small.yaml", "--env", "unreachable"]),
    case("doctor/unset-secret", &["doctor", "small.yaml", "--env", "secretive"]),
    case("doctor/config", &["doctor", "small.yaml", "--config", "missing.yaml"]),
    case("doctor/allow-destructive", &["doctor", "small.yaml", "--env", "protected", "--allow-destructive", "here"]),
    case("doctor/allow-exec", &["doctor", "small.yaml", "--env", "strict", "--allow-exec"]),
    case("doctor/allow-path", &["doctor", "inner/outside.yaml", "--allow-path", "."]),
    case("doctor/allow-host", &["doctor", "host.yaml", "--env", "strict", "--allow-host", "here"]),
    case("doctor/faults", &["doctor", "small.yaml", "--env", "protected", "--faults"]),
    case("doctor/set", &["doctor", "small.yaml", "--set", "wrod=hello"]),
    case("doctor/database", &["doctor", "small.yaml", "--env", "sandbox", "--database", "nonsense"]),
    case("doctor/kubeconfig", &["doctor", "small.yaml", "--env", "sandbox", "--kubeconfig", "missing"]),
    case("doctor/quota", &["doctor", "broken.yaml", "--quota", "5"]),
    case("doctor/variation", &["doctor", "broken.yaml", "--variation", "slow"]),
    case("doctor/as-built", &["doctor", "broken.yaml", "--as-built"]),
    case("doctor/defect", &["doctor", "small.yaml", "--defect", "none"]),
    case("doctor/delays", &["doctor", "small.yaml", "--delays", "long"]),
    case("relay/no-addresses", &["relay"]),
    case("relay/listen", &["relay", "--listen", "nowhere", "--upstream", "127.0.0.1:1"]),
    case("relay/upstream", &["relay", "--listen", "127.0.0.1:0", "--upstream", "nowhere"]),
    case("relay/control", &["relay", "state", "--control", "missing.sock"]),
    case(
        "relay/control-is-a-file",
        &["relay", "--listen", "127.0.0.1:0", "--upstream", "here:1", "--control", "small.yaml"],
    ),
    case("relay/fault", &["relay", "break", "delay"]),
    case("sandbox/env-file-not-writable", &["sandbox", "--env-file", "small.yaml/standing.yaml"]),
    case("sandbox/listen", &["sandbox", "--listen", "nowhere"]),
    case("sandbox/database", &["sandbox", "--database", "nonsense"]),
    case("sandbox/kubeconfig", &["sandbox", "--kubeconfig", "missing"]),
    case("sandbox/defect", &["sandbox", "--defect", "none"]),
    case("sandbox/delays", &["sandbox", "--delays", "long"]),
    case("sandbox/quota", &["sandbox", "--quota", "5", "--listen", "nowhere"]),
    case("sandbox/variation", &["sandbox", "--variation", "slow", "--listen", "nowhere"]),
    case("sandbox/as-built", &["sandbox", "--as-built", "--listen", "nowhere"]),
];
