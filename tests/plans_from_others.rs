//! A plan may be from a stranger: what it may not use unless the user allows it, and what no message shows.
mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use support::{RunOutput, run_in};

const SECRET: &str = "hunter2-correct-horse";

/// A folder with a project, and a file beside it that no plan may use.
struct Place(tempfile::TempDir);

impl Place {
    /// `head` belongs to the plan, `expected` are the actions of its only result, `environment` are settings of its only environment.
    fn new(head: &str, expected: &str, environment: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.project().join("plans")).unwrap();
        fs::write(place.project().join("data.db"), "").unwrap();
        fs::write(place.path("secret.txt"), format!("root:x:{SECRET}\n\t: [")).unwrap();
        let result = format!("    expected: [{{ result: r, do: [{expected}] }}]\n");
        let plan = format!("plan: T\n{head}cases:\n  - id: A\n    tier: must\n{result}");
        fs::write(place.project().join("plans/T.yaml"), plan).unwrap();
        let environments = format!("default: here\nenvironments:\n  here:\n{environment}\n");
        fs::write(place.project().join("tp-runner.yaml"), environments).unwrap();
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn project(&self) -> std::path::PathBuf {
        self.path("project")
    }

    /// Runs the binary in the project. Nothing of the secret file may be printed.
    #[track_caller]
    fn run(&self, args: &[&str], code: i32) -> RunOutput {
        let ran = run_in(&self.project(), args).assert_code(code);
        assert!(!ran.text().contains(SECRET) && !ran.text().contains("root:x"), "{}", ran.text());
        ran
    }
}

const TRUE: &str = "{ check: run.id != '' }";
const NO_TARGETS: &str = "    targets: {}";

#[test]
fn refuses_files_outside_of_the_project_before_anything_is_read_or_written() {
    for (head, action, at) in [
        ("report: ../written.md\n", TRUE, "T.yaml:2:9"),
        ("report: link/written.md\n", TRUE, "T.yaml:2:9"),
        ("include: ../../secret.txt\n", TRUE, "T.yaml:2:10"),
        ("include: [/etc/passwd]\n", TRUE, "T.yaml:2:11"),
        ("source: ../secret.txt\n", TRUE, "T.yaml:2:9"),
        ("prove: { guards: ../../secret.txt }\n", TRUE, "T.yaml:2:18"),
        ("", "{ expect: { run: { $schema: { file: ../../secret.txt } } } }", "T.yaml:5:"),
        ("", "{ expect: { run: { $schema: { openapi: /etc/passwd, schema: X } } } }", "T.yaml:5:"),
    ] {
        let place = Place::new(head, action, NO_TARGETS);
        symlink(place.path("."), place.project().join("link")).unwrap();
        for command in ["check", "list", "run", "doctor"] {
            let text = place.run(&[command, "plans/T.yaml"], 2).text();
            assert!(text.contains("[not-allowed]") && text.contains(at), "{command} {head}{action}: {text}");
            assert!(text.contains("outside of the project folder") && text.contains("--allow-path"), "{text}");
        }
        assert!(!place.path("written.md").exists(), "{head}");
    }
}

#[test]
fn a_path_is_allowed_by_an_argument_or_the_environment_and_never_where_it_is_protected() {
    let head = "report: ../written.md\n";
    for (environment, more, code) in [
        (NO_TARGETS, &["--allow-path", "../written.md"][..], 0),
        (NO_TARGETS, &["--allow-path", ".."], 0),
        (NO_TARGETS, &["--allow-path", "../other"], 2),
        ("    allow: { paths: ../written.md }\n    targets: {}", &[], 0),
        ("    protected: true\n    allow: { paths: [..] }\n    targets: {}", &["--allow-path", ".."], 2),
        ("    protected: true\n    targets: {}", &["--allow-path", "..", "--allow-destructive", "here"], 0),
    ] {
        let place = Place::new(head, TRUE, environment);
        let ran = place.run(&[&["run", "plans/T.yaml"], more].concat(), code);
        assert_eq!(place.path("written.md").exists(), code == 0, "{environment} {more:?}: {}", ran.text());
        if environment.contains("protected") && code == 2 {
            assert!(ran.text().contains("the environment `here` is protected, and never allows it"), "{}", ran.text());
        }
    }
}

#[test]
fn refuses_a_plan_that_is_a_link_out_of_its_folder() {
    let place = Place::new("", TRUE, NO_TARGETS);
    symlink(place.path("secret.txt"), place.project().join("plans/U.yaml")).unwrap();
    let text = place.run(&["check"], 2).text();
    assert!(text.contains("[not-allowed]") && text.contains("plans/U.yaml"), "{text}");
}

#[test]
fn quotes_no_file_that_is_neither_a_plan_nor_a_schema() {
    for (head, action) in [
        ("include: ../settings.ini\n", TRUE),
        ("source: settings.ini\n", TRUE),
        ("", "{ expect: { run: { $schema: { file: ../settings.ini } } } }"),
        ("", "{ expect: { run: { $schema: { openapi: ../settings.ini, operation: getX } } } }"),
    ] {
        let place = Place::new(head, action, NO_TARGETS);
        for text in [
            format!("password = {SECRET}\nroot:x:0\n"),
            format!("{{\"root:x\": \"{SECRET}\"}}"),
            format!("root:x: {SECRET}\n"),
            format!("\"{SECRET}\""),
            format!("- [{SECRET}, root:x"),
        ] {
            fs::write(place.project().join("settings.ini"), text).unwrap();
            let text = place.run(&["check"], 2).text();
            assert!(text.contains("settings.ini"), "{text}");
        }
    }
}

#[test]
fn exec_needs_an_environment_or_an_argument_that_allows_it() {
    let exec = "{ exec: { run: [touch, made] }, expect: { exit: 0 } }";
    for (environment, more, code) in [
        (NO_TARGETS, &[][..], 2),
        (NO_TARGETS, &["--allow-exec"], 0),
        ("    allow: { exec: true }\n    targets: {}", &[], 0),
        ("    protected: true\n    allow: { exec: true }\n    targets: {}", &["--allow-exec"], 2),
    ] {
        let place = Place::new("", exec, environment);
        for command in ["check", "run"] {
            let env: &[&str] = if command == "check" { &["--env", "here"] } else { &[] };
            let ran = place.run(&[&[command, "plans/T.yaml"], env, more].concat(), code);
            assert_eq!(code == 2, ran.text().contains("T.yaml:5:"), "{}", ran.text());
            assert_eq!(place.project().join("made").exists(), code == 0 && command == "run");
        }
    }
    // in an undo, a branch, and an action that is used
    let nested = "{ parallel: { branches: [{ use: { make: {} } }, { use: { keep: {} }, undo: [{ exec: { run: [rm] } }] }] } }, { check: run.id != '' }";
    let head = "actions: { make: { do: [{ exec: { run: [ls] }, expect: { exit: 0 } }] }, keep: { do: [{ check: run.id != '' }] } }\n";
    let text = Place::new(head, nested, NO_TARGETS).run(&["run", "plans/T.yaml"], 2).text();
    assert_eq!(text.matches("[not-allowed]").count(), 2, "{text}");
}

/// Counts its requests, and redirects `/away` to `to`.
fn counting_server(to: Option<SocketAddr>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = count.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let line = lines.next().unwrap_or_default();
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            counter.fetch_add(1, Ordering::SeqCst);
            let head = match to {
                Some(to) if line.contains("/away") => format!("302 Found\r\nLocation: http://{to}/x"),
                _ => "200 OK".into(),
            };
            let _ = (&stream)
                .write_all(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
        }
    });
    (address, count)
}

#[test]
fn refuses_hosts_that_are_no_target_also_of_redirects_and_placeholders() {
    let (other, requests) = counting_server(None);
    let (target, _) = counting_server(Some(other));
    let host = other.to_string();
    let literal = format!("{{ http: {{ request: 'GET http://{other}/x' }}, expect: {{ status: 200 }} }}");
    let computed = "{ http: { request: 'GET ${url}/x' }, expect: { status: 200 } }".to_string();
    let redirected = "{ http: { request: GET /away, follow: true }, expect: { status: 200 } }".to_string();
    let (of_plan, nowhere) = (format!("vars: {{ url: 'http://{other}' }}\n"), "vars: { url: http://nowhere }\n");
    let of_environment = format!("    vars: {{ url: 'http://{other}' }}\n");
    for (action, head, vars, refused) in [
        (&literal, "", "", 3),
        (&computed, &of_plan, "", 3),
        (&redirected, "", "", 3),
        // what the environment names is the user's choice
        (&computed, nowhere, &of_environment, 0),
        (&redirected, nowhere, &of_environment, 0),
    ] {
        let environment = |more: &str| format!("{more}{vars}    targets: {{ api: {{ http: 'http://{target}' }} }}");
        for (settings, more, code) in [
            ("", &[][..], refused),
            ("", &["--allow-host", &host], 0),
            ("", &["--allow-host", "127.0.0.1"], 0),
            ("", &["--allow-host", "127.0.0.1:1"], refused),
            ("    allow: { hosts: 127.0.0.1 }\n", &[], 0),
            ("    protected: true\n    allow: { hosts: 127.0.0.1 }\n", &["--allow-host", &host], 3),
        ] {
            let before = requests.load(Ordering::SeqCst);
            let place = Place::new(head, action, &environment(settings));
            let ran = place.run(&[&["run", "plans/T.yaml"], more].concat(), code);
            let sent = requests.load(Ordering::SeqCst) > before;
            assert_eq!(sent, code == 0, "{action} {settings}{more:?}: {}", ran.text());
            if code != 0 {
                assert!(
                    ran.text().contains(&format!("`{other}` belongs to no target of the environment")),
                    "{}",
                    ran.text()
                );
            }
        }
    }
}

#[test]
fn names_of_hosts_are_compared_as_they_are_written() {
    let (target, requests) = counting_server(None);
    let port = target.port();
    for (of_target, of_plan, code) in [
        ("localhost", "localhost", 0),
        ("localhost", "LOCALHOST", 0),
        ("localhost", "127.0.0.1", 2),
        ("127.0.0.1", "localhost", 2),
    ] {
        let before = requests.load(Ordering::SeqCst);
        let action = format!("{{ http: {{ request: GET http://{of_plan}:{port}/x }}, expect: {{ status: 200 }} }}");
        let place =
            Place::new("", &action, &format!("    targets: {{ api: {{ http: 'http://{of_target}:{port}' }} }}"));
        let text = place.run(&["run", "plans/T.yaml"], code).text();
        assert_eq!(text.contains("belongs to no target of the environment"), code != 0, "{of_plan}: {text}");
        assert_eq!(requests.load(Ordering::SeqCst) > before, code == 0, "{of_plan}");
    }
}

#[test]
fn a_literal_host_is_refused_before_the_run() {
    let action = "{ http: { request: GET http://169.254.169.254/latest }, expect: { status: 200 } }";
    let place = Place::new("", action, "    targets: { api: { http: 'http://127.0.0.1:1' } }");
    let text = place.run(&["check", "plans/T.yaml", "--env", "here"], 2).text();
    assert!(text.contains("[not-allowed]") && text.contains("`169.254.169.254:80` belongs to no target"), "{text}");
    place.run(&["check", "plans/T.yaml"], 0);
}

#[test]
fn refuses_files_of_actions_also_those_that_a_placeholder_computes() {
    let (target, requests) = counting_server(None);
    let environment = format!(
        "    vars: {{ up: '..' }}\n    targets: {{ api: {{ http: 'http://{target}' }}, data: {{ db: 'sqlite://data.db?mode=rwc' }} }}"
    );
    for body in [
        "http: { request: POST /x, file: UP/secret.txt }, expect: { status: 200 }",
        "http: { request: POST /x, multipart: { a: { file: UP/secret.txt } } }, expect: { status: 200 }",
        "db: { file: UP/secret.txt }, expect: { affected: 0 }",
    ] {
        for (up, code) in [("..", 2), ("${up}", 3)] {
            let head = "vars: { up: x }\n";
            let used = format!(
                "{{ check: up != '' }}, {{ {} }}",
                body.replace("UP", up)
                    .replace(": ${", ": '${")
                    .replace(".txt", if up == ".." { ".txt" } else { ".txt'" })
            );
            let place = Place::new(head, &used, &environment);
            let ran = place.run(&["run", "plans/T.yaml"], code);
            assert!(ran.text().contains("secret.txt` is outside of the project folder"), "{}", ran.text());
        }
    }
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[test]
fn actions_of_the_environment_may_use_everything() {
    let environment = "    targets: {}\n    setup: [{ exec: { run: [cat, ../secret.txt] }, save: { x: size(stdout) } }]\n    actions:\n      make: { do: [{ exec: { run: [touch, made] }, expect: { exit: 0 } }] }";
    let head = "actions: { make: { do: [{ check: run.id != '' }] } }\n";
    let place = Place::new(head, "{ use: { make: {} } }, { check: run.id != '' }", environment);
    place.run(&["run", "plans/T.yaml"], 0);
    assert!(place.project().join("made").exists());
}

#[test]
fn statements_of_sqlite_open_only_files_of_the_project() {
    const OPENED: &str = "a plan may not open a file of SQLite by";
    const OUTSIDE: &str = "is outside of the project folder";
    let place = |statement: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("beside.db").to_str().unwrap().to_string();
        let action = format!(
            "{{ check: path != '' }}, {{ db: {{ sql: \"{}\" }}, expect: {{ affected: 0 }} }}",
            statement.replace("OUTSIDE", &path)
        );
        let environment =
            format!("    vars: {{ path: '{path}' }}\n    targets: {{ data: {{ db: 'sqlite://data.db' }} }}");
        (Place::new("vars: { path: x }\n", &action, &environment), folder)
    };
    for (statement, allowed, code, text) in [
        ("attach 'OUTSIDE' as other", false, 2, OUTSIDE),
        ("attach database '../secret.txt' as other", false, 2, OUTSIDE),
        ("vacuum into 'OUTSIDE'", false, 2, OUTSIDE),
        ("attach ${path} as other", false, 3, OUTSIDE),
        ("vacuum into ${path}", false, 3, OUTSIDE),
        ("attach 'file:OUTSIDE' as other", true, 2, OPENED),
        ("attach '../beside' || '.db' as other", true, 2, OPENED),
        ("pragma temp_store_directory = '..'", true, 2, OPENED),
        ("vacuum into 'OUTSIDE'", true, 0, ""),
        ("vacuum into ${path}", true, 0, ""),
        ("vacuum into 'inside.db'", false, 0, ""),
        ("attach ':memory:' as other", false, 0, ""),
    ] {
        let (place, folder) = place(statement);
        let beside = folder.path().join("beside.db");
        let arguments: &[&str] = if allowed { &["--allow-path", beside.to_str().unwrap()] } else { &[] };
        let ran = place.run(&[&["run", "plans/T.yaml"], arguments].concat(), code);
        assert!(ran.text().contains(text), "{statement}: {}", ran.text());
        assert_eq!(beside.exists(), allowed && code == 0, "{statement}");
    }
}

#[test]
fn scripts_of_sqlite_open_only_files_of_the_project() {
    let environment = "    targets: { data: { db: 'sqlite://data.db' } }";
    let action = "{ db: { file: script.sql }, expect: { affected: 0 } }";
    for (script, code) in [
        ("create table a (i);\n-- a comment\nattach '../beside.db' as other;", 3),
        ("select load_extension('./beside');", 3),
        ("create table a (i); select 'attach ../beside.db';", 0),
    ] {
        let place = Place::new("", action, environment);
        fs::write(place.project().join("script.sql"), script).unwrap();
        let ran = place.run(&["run", "plans/T.yaml"], code);
        let refused = ["is outside of the project folder", "not authorized"];
        assert_eq!(refused.iter().any(|text| ran.text().contains(text)), code != 0, "{script}: {}", ran.text());
        assert!(!place.path("beside.db").exists());
    }
}
