//! Plants secrets in all places where a run meets them, and searches everything that it prints, records, passes on and leaves behind.
mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};
use support::{SandboxProcess, Workspace, unused_address};

/// What each secret is, in the order of their numbers.
const PLACES: [&str; 33] = [
    "`secrets`: a text",
    "`secrets`: a file",
    "`secrets`: a command",
    "an environment variable named like a secret",
    "the password of a database URL",
    "a basic identity",
    "a bearer identity",
    "a literal header of a target",
    "a literal header of an identity",
    "the password of the URL of a target",
    "a header of a plan",
    "a query of a plan",
    "a field of a JSON body",
    "a field of a form",
    "a part of a multipart body",
    "a field of a response",
    "a nested field of a response",
    "a cookie of a response",
    "a header of a response",
    "a CSRF token",
    "a webhook's signature secret",
    "a header of a webhook",
    "a field of a webhook",
    "the data of a Kubernetes Secret",
    "the stringData of a Kubernetes Secret",
    "an annotation of a Kubernetes object",
    "a parameter of SQL",
    "a column of SQL",
    "a log line",
    "an argument of a log command",
    "a variable of `exec`",
    "the output of `exec`",
    "an argument of a fault's command",
];

/// The value of a secret, by its number from 1. It has characters that encodings write differently, and no part in common with others.
fn secret(number: usize) -> String {
    let mut state = number * 7919 + 13;
    let mut letter = || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        char::from(b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"[state / 65_536 % 48])
    };
    let mut part = |length: usize| (0..length).map(|_| letter()).collect::<String>();
    format!("{}{number:02}+{}/{}~{}", part(4), part(5), part(4), part(4))
}

/// Beginnings and inner parts of the secret in the encodings that programs use.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let hex = |separator: &str| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(separator);
    let percent = |c: char| {
        if c.is_ascii_alphanumeric() || "~-_.".contains(c) { c.to_string() } else { format!("%{:02X}", c as u32) }
    };
    // without the characters that depend on what is beside the secret
    let shifted = |n: usize| {
        let text = STANDARD.encode([&b"abc"[..n], bytes].concat());
        text[4 * n.div_ceil(3)..text.len() - 4].to_string()
    };
    let mut forms =
        vec![secret.to_string(), hex(""), hex(":"), secret.chars().map(percent).collect(), secret.replace('/', "\\/")];
    forms.extend((0..3).map(shifted));
    forms.extend([
        hex("").to_uppercase(),
        secret.replace('+', "&#43;"),
        secret.chars().map(|c| format!("\\u{:04x}", c as u32)).collect(),
    ]);
    forms
}

/// Responds to each request with the planted values, and with all that the request had.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap_or(0);
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                let _ = reader.read_exact(&mut body);
                let echo = serde_json::json!({
                    "api_key": secret(16),
                    "session": { "dbPassword": secret(17), "csrf_token": secret(20) },
                    "head": head,
                    "body": String::from_utf8_lossy(&body),
                    "encoded": STANDARD.encode(format!("user:{}", secret(16))),
                    "hex": forms(&secret(1))[1],
                });
                let (echo, cookie, token) = (echo.to_string(), secret(18), secret(19));
                let _ = write!(
                    &stream,
                    "HTTP/1.1 200 OK\r\nset-cookie: sid={cookie}; Path=/\r\nx-auth-token: {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{echo}",
                    echo.len()
                );
            });
        }
    });
    address
}

/// The environment. `P_NN` holds secret NN.
fn environments(api: SocketAddr, kubeconfig: &str, masked_fields: &str) -> String {
    let nowhere = unused_address();
    format!(
        r#"default: here
environments:
  here:
    allow: {{ exec: true }}
{masked_fields}    secrets:
      text: "${{env.P_01}}"
      file: {{ file: secret.txt }}
      command: {{ command: [sh, -c, 'env > env-of-secrets; printf "%s" "$P_03"'] }}
      bearer: "${{env.P_07}}"
      basic: "${{env.P_06}}"
      data: "${{env.P_24}}"
      parameter: "${{env.P_27}}"
      argument: "${{env.P_30}}"
      cut: "${{env.P_33}}"
    vars:
      header_api_key: "${{env.P_11}}"
      query_api_key: "${{env.P_12}}"
      json_password: "${{env.P_13}}"
      client_secret: "${{env.P_14}}"
      access_key: "${{env.P_15}}"
      signing_secret: "${{env.P_21}}"
      hook_token: "${{env.P_22}}"
      hook_password: "${{env.P_23}}"
      k8s_token: "${{env.P_24}}"
      string_token: "${{env.P_25}}"
      annotation_token: "${{env.P_26}}"
      sql_parameter: "${{parameter}}"
      row_password: "${{env.P_28}}"
      exec_password: "${{env.P_31}}"
      exec_secret: "${{env.P_32}}"
      declared: "${{text}}"
      from_file: "${{file}}"
      from_command: "${{command}}"
    targets:
      api:
        http: http://{api}
        headers: {{ X-Target-Code: '{target_header}', X-Declared: "${{text}}" }}
        identities:
          basic: {{ basic: {{ user: someone, password: "${{basic}}" }} }}
          bearer: {{ bearer: "${{bearer}}" }}
          guest: {{ headers: {{ X-Guest-Code: '{guest_header}' }} }}
      with_password: {{ http: 'http://someone:{url_password}@{api}' }}
      named: {{ http: 'http://{api}', headers: {{ Authorization: "Token ${{env.PLANTED_TOKEN}}" }} }}
      data: {{ db: 'sqlite://data.db?mode=rwc' }}
      far: {{ db: 'postgres://someone:{dsn_password}@{nowhere}/x' }}
      hub: {{ webhook: "127.0.0.1:0", signature: github }}
      cluster: {{ k8s: {{ kubeconfig: '{kubeconfig}', namespace: streamspace }} }}
      log: {{ logs: {{ file: app.log }} }}
      printed: {{ logs: {{ command: [sh, -c, 'env > env-of-logs; echo "given $0"', "${{argument}}"] }} }}
    setup:
      - exec: {{ run: [sh, -c, 'env > env-of-setup'] }}
        expect: {{ exit: 0 }}
    faults:
      down:
        do: [{{ exec: {{ run: [echo, --password, "${{cut}}"] }}, expect: {{ exit: 0 }} }}]
        heal: [{{ exec: {{ run: [echo, healed] }}, expect: {{ exit: 0 }} }}]
"#,
        target_header = secret(8),
        guest_header = secret(9),
        url_password = percent_encoded(&secret(10)),
        dsn_password = percent_encoded(&secret(5)),
    )
}

fn percent_encoded(text: &str) -> String {
    text.replace('+', "%2B").replace('/', "%2F")
}

const PLAN: &str = r#"plan: PLANTED
report: report.md
vars:
  header_api_key: ""
  query_api_key: ""
  json_password: ""
  client_secret: ""
  access_key: ""
  signing_secret: ""
  hook_token: ""
  hook_password: ""
  k8s_token: ""
  string_token: ""
  annotation_token: ""
  sql_parameter: ""
  row_password: ""
  exec_password: ""
  exec_secret: ""
  declared: ""
  from_file: ""
  from_command: ""
cases:
"#;

/// The actions of each case. The last assertion of each fails, so that its values are explained and printed.
const CASES: [(&str, &str); 11] = [
    (
        "HTTP",
        "http: { request: 'POST /a', headers: { X-Api-Key: '${header_api_key}', X-File: '${from_file}' }, query: { api_key: '${query_api_key}' }, json: { password: '${json_password}', more: [{ token: '${declared}' }], c: '${from_command}' } }\n            check: [status == 200, 'body.api_key == \"other\"', 'body.session.dbPassword == body.head', 'headers[\"x-auth-token\"] == \"\"']",
    ),
    (
        "FORM",
        "http: { request: POST /form, form: { client_secret: '${client_secret}' } }\n            check: [status == 200, 'body.body == \"\"']",
    ),
    (
        "PARTS",
        "http: { request: POST /parts, multipart: { access_key: '${access_key}' } }\n            check: [status == 200, 'body.body == \"\"']",
    ),
    (
        "IDENTITIES",
        "http: { request: GET /i, identity: '${item}' }\n            foreach: [basic, bearer, guest]\n            check: 'body.head == \"\"'",
    ),
    (
        "TARGETS",
        "http: { request: GET /t }\n            target: with_password\n            check: 'body.head == \"\"'\n          - http: { request: GET /t }\n            target: named\n            check: 'body.head == \"\"'",
    ),
    (
        "HOOK",
        "webhook: { open: hooks }\n            as: hooks\n          - http: { request: 'POST ${hooks.url}', headers: { X-Hook-Token: '${hook_token}', X-Hub-Signature-256: sha256=00 }, json: { password: '${hook_password}' } }\n            as: sent\n          - webhook: { received: hooks, secret: '${signing_secret}' }\n            check: 'deliveries == []'",
    ),
    (
        "K8S",
        "k8s: { create: { apiVersion: v1, kind: Secret, metadata: { name: '${run.id}-planted', annotations: { example/api-token: '${annotation_token}' } }, stringData: { string: '${string_token}', other: '${k8s_token}' } } }\n            as: made\n            undo: [{ k8s: { delete: 'secrets/${run.id}-planted' }, target: cluster }]\n          - k8s: { get: 'secrets/${run.id}-planted' }\n            check: 'object.metadata == {}'",
    ),
    (
        "SQL",
        "db: { sql: \"select ${row_password} as password, ${sql_parameter} as other\" }\n            check: 'rows == []'",
    ),
    ("FAR", "db: { sql: select 1 }\n            target: far\n            check: 'rows == []'"),
    (
        "LOGS",
        "logs: { tail: 5 }\n            target: log\n            check: 'lines == []'\n          - logs: { tail: 5 }\n            target: printed\n            check: 'lines == []'",
    ),
    (
        "EXEC",
        "exec: { run: [sh, -c, 'env > env-of-exec; printf \"{\\\"secret_key\\\": \\\"%s\\\"}\" \"$OUT_SECRET\"; echo \"$0\" >&2', '${declared}'], env: { DB_PASSWORD: '${exec_password}', OUT_SECRET: '${exec_secret}' } }\n            check: 'stdout == stderr'",
    ),
];

fn plan() -> String {
    let mut text = PLAN.to_string();
    for (id, actions) in CASES {
        text.push_str(&format!(
            "  - id: {id}\n    tier: must\n    steps:\n      - step: s\n        do:\n          - {actions}\n    expected: [{{ result: r, check: run.id != '' }}]\n"
        ));
    }
    text.push_str("  - id: FAULT\n    tier: must\n    steps: [{ step: s, do: [{ fault: { break: down } }, { fault: { heal: down }, as: healed }] }]\n    expected: [{ result: r, check: healed.refused != 1 }]\n");
    text
}

struct Planted {
    workspace: Workspace,
    _sandbox: SandboxProcess,
}

impl Planted {
    fn new(masked_fields: &str) -> Planted {
        let workspace = Workspace::new();
        let sandbox = SandboxProcess::start(&workspace, &[]);
        let folder = workspace.path("planted");
        fs::create_dir(&folder).unwrap();
        let environment = environments(server(), &sandbox.at["kubeconfig"], masked_fields);
        fs::write(folder.join("tp-runner.yaml"), environment).unwrap();
        fs::write(folder.join("plan.yaml"), plan()).unwrap();
        fs::write(folder.join("secret.txt"), secret(2)).unwrap();
        fs::write(folder.join("app.log"), format!("2026-01-02T03:04:05Z INFO login token={} user=x\n", secret(29)))
            .unwrap();
        fs::write(folder.join("data.db"), "").unwrap();
        fs::create_dir(folder.join("tmp")).unwrap();
        Planted { workspace, _sandbox: sandbox }
    }

    fn folder(&self) -> PathBuf {
        self.workspace.path("planted")
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(support::BINARY);
        command.args(args).current_dir(self.folder()).env("TMPDIR", self.folder().join("tmp"));
        for number in 1..=PLACES.len() {
            command.env(format!("P_{number:02}"), secret(number));
        }
        command.env("PLANTED_TOKEN", secret(4)).output().expect("the binary")
    }

    /// Everything that a run prints and leaves behind, by name.
    fn traces(&self) -> BTreeMap<String, Vec<u8>> {
        let ran = self.run(&["run", "plan.yaml", "--verbose"]);
        let mut traces = BTreeMap::from([("stdout".to_string(), ran.stdout), ("stderr".to_string(), ran.stderr)]);
        let runs = fs::read_dir(self.folder().join(".tp-runner/runs")).expect("a run").flatten().next().expect("a run");
        let id = runs.file_name().to_string_lossy().into_owned();
        for args in [
            &["report", &id][..],
            &["report", &id, "--known-failures"],
            &["doctor", "plan.yaml"],
            &["check", "plan.yaml", "--env", "here"],
            &["runs"],
            &["cleanup"],
        ] {
            let output = self.run(args);
            traces.insert(args.join(" "), [output.stdout, output.stderr].concat());
        }
        // what the test itself wrote
        let own = ["tp-runner.yaml", "secret.txt", "app.log", "data.db", "plan.yaml"];
        let mut folders = vec![self.folder()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().flatten().map(|e| e.path()) {
                let name = path.strip_prefix(self.folder()).unwrap().display().to_string();
                if path.is_dir() {
                    folders.push(path);
                } else if !own.contains(&&*name) {
                    traces.insert(name, fs::read(path).unwrap());
                }
            }
        }
        traces
    }
}

/// The places whose secrets are found in the traces, with the trace.
fn leaks(traces: &BTreeMap<String, Vec<u8>>) -> BTreeSet<(usize, String)> {
    let mut leaks = BTreeSet::new();
    for number in 1..=PLACES.len() {
        let forms = forms(&secret(number));
        for (name, content) in traces.iter().filter(|(name, _)| !name.starts_with("env-of-")) {
            let text = String::from_utf8_lossy(content);
            if forms.iter().any(|form| text.contains(form.as_str())) {
                leaks.insert((number, name.clone()));
            }
        }
    }
    leaks
}

fn described(leaks: &BTreeSet<(usize, String)>) -> String {
    leaks.iter().map(|(number, name)| format!("\n  {number} {}: in {name}", PLACES[number - 1])).collect()
}

#[test]
fn no_planted_secret_is_printed_recorded_passed_on_or_left_behind() {
    let planted = Planted::new("");
    let traces = planted.traces();
    let journal = String::from_utf8_lossy(&traces["stdout"]).into_owned();
    for (id, _) in CASES {
        assert!(journal.contains(id), "{id} did not run: {journal}");
    }
    let found = leaks(&traces);
    assert!(found.is_empty(), "secrets leaked:{}", described(&found));

    let variables = |name: &str| String::from_utf8_lossy(&traces[name]).into_owned();
    let has = |name: &str, number: usize| variables(name).contains(&secret(number));
    // a program of the plan gets what it names; one of the environment all but the declared secrets
    for number in 1..=PLACES.len() {
        assert_eq!(has("env-of-exec", number), [31, 32].contains(&number), "{}", PLACES[number - 1]);
        let declared = [1, 6, 7, 24, 27, 30, 33].contains(&number);
        for name in ["env-of-setup", "env-of-logs", "env-of-secrets"] {
            assert_eq!(has(name, number), !declared, "{name}: {}", PLACES[number - 1]);
        }
    }
    assert!(variables("env-of-exec").contains("PATH=") && !variables("env-of-exec").contains("P_02="));
}

#[test]
fn files_and_folders_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let planted = Planted::new("");
    planted.run(&["run", "plan.yaml", "--quiet"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut folders = vec![planted.folder().join(".tp-runner")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for path in fs::read_dir(folder).unwrap().flatten().map(|e| e.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != ".gitignore") {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files >= 3, "{files}");
    // of the sandbox: the folder protects what is in it
    assert_eq!(mode(&planted.workspace.path("standing.yaml")), 0o600);
    let kubeconfig = PathBuf::from(&planted._sandbox.at["kubeconfig"]);
    assert_eq!((mode(&kubeconfig), mode(kubeconfig.parent().unwrap())), (0o600, 0o700));
}

fn numbers(leaks: &BTreeSet<(usize, String)>) -> BTreeSet<usize> {
    leaks.iter().map(|(number, _)| *number).collect()
}

/// The search finds what is not masked: without the rule for fields, only what is declared or received is masked.
#[test]
fn the_search_finds_every_field_that_is_not_masked() {
    let found = leaks(&Planted::new("    masked_fields: false\n").traces());
    let fields = [8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 21, 22, 23, 25, 26, 28, 29, 31, 32];
    assert_eq!(numbers(&found), BTreeSet::from(fields), "{}", described(&found));
}

#[test]
fn the_search_finds_one_place_that_is_not_masked() {
    for (field, number) in [("X-Target-Code", 8), ("client_secret", 14), ("access_key", 15)] {
        let found = leaks(&Planted::new(&format!("    masked_fields: {{ except: {field} }}\n")).traces());
        assert_eq!(numbers(&found), BTreeSet::from([number]), "{field}:{}", described(&found));
    }
}
