//! The inputs that each target starts from: files that the project ships, and pieces of them.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use tp_runner::{
    source::Source,
    yaml::{self, Kind, Node},
};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The text of a file of the project.
pub fn text(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// All files of plans directly in a folder or in `shared` of it, with their names.
pub fn named(folder: &str) -> Vec<(String, String)> {
    let mut all = vec![];
    for folder in [folder.to_string(), format!("{folder}/shared")] {
        let Ok(entries) = fs::read_dir(Path::new(ROOT).join(&folder)) else { continue };
        let names = entries.flatten().map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy()));
        let is_text = |name: &String| [".yaml", ".md", ".sql"].iter().any(|e| name.ends_with(e));
        let names = names.filter(|name| is_text(name) && !name.ends_with("README.md"));
        all.extend(names.map(|name| (name.clone(), text(&name))));
    }
    all.sort();
    all
}

/// The texts of all files with one of these extensions under these folders.
pub fn files(folders: &[&str], extensions: &[&str]) -> Vec<String> {
    let mut all = vec![];
    folders.iter().for_each(|folder| collect(&Path::new(ROOT).join(folder), extensions, &mut all));
    all.sort();
    all.into_iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

fn collect(path: &Path, extensions: &[&str], into: &mut Vec<PathBuf>) {
    if let Ok(folder) = fs::read_dir(path) {
        folder.flatten().for_each(|entry| collect(&entry.path(), extensions, into));
    } else if path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)) {
        into.push(path.to_path_buf());
    }
}

pub fn yaml() -> Vec<String> {
    files(&["plans", "examples", "tests/cases", "tests/fixtures", "sandbox/src"], &["yaml"])
}

/// Plans, the long ones cut after two cases.
pub fn plans() -> Vec<String> {
    let is_plan = |text: &String| text.contains("\ncases:");
    yaml().into_iter().filter(is_plan).map(|text| shortened(&text)).collect()
}

/// A plan without the cases after its second.
pub fn shortened(text: &str) -> String {
    text.match_indices("\n  - id: ").nth(2).map_or(text, |(at, _)| &text[..at]).to_string()
}

pub fn environments() -> Vec<String> {
    yaml().into_iter().filter(|text| text.contains("environments:")).collect()
}

pub fn markdown() -> Vec<String> {
    files(&["docs/TP-004.md", "examples", "docs/verbs"], &["md"])
}

/// All expressions of the shipped files: checks, saved values and placeholders.
pub fn expressions() -> Vec<String> {
    let is_expression = |key: &str| ["check", "if", "give_up_if", "$that", "until"].contains(&key);
    scalars(&is_expression).into_iter().chain(placeholders_of(&yaml())).collect()
}

/// Texts with placeholders.
pub fn placeholders() -> Vec<String> {
    scalars(&|_| true).into_iter().filter(|text| text.contains('$')).collect()
}

fn placeholders_of(texts: &[String]) -> BTreeSet<String> {
    let inner = |part: &str| part.split_once('}').map(|(inner, _)| inner.to_string());
    texts.iter().flat_map(|text| text.split("${").skip(1).filter_map(inner).collect::<Vec<_>>()).collect()
}

/// The texts under the keys that are `wanted`.
fn scalars(wanted: &dyn Fn(&str) -> bool) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    nodes(&mut |key, value| {
        let items = if let Kind::Seq(items) = &value.kind { &items[..] } else { std::slice::from_ref(value) };
        all.extend(items.iter().filter(|_| wanted(key)).filter_map(Node::as_str).map(str::to_string));
    });
    all
}

/// Patterns with a value for each to match.
pub fn patterns() -> Vec<String> {
    const VALUE: &str =
        "{ status: 200, body: { id: 1, items: [{ a: x }, { a: y, b: null }], name: abc, at: 2026-01-02T03:04:05Z } }";
    let mut all = BTreeSet::new();
    nodes(&mut |key, value| {
        if key == "expect" {
            let text = value.span.text();
            let (pattern, _) = if text.contains('\n') { (format!("\n    {text}"), ()) } else { (text.to_string(), ()) };
            all.insert(format!("pattern:\n  x: {pattern}\nvalue:\n  x: {VALUE}\n"));
        }
    });
    all.into_iter().collect()
}

/// Schemas and OpenAPI documents.
pub fn schemas() -> Vec<String> {
    let mut all = files(&["examples/shared", "tests/cases"], &["yaml"]);
    all.retain(|text| text.contains("openapi:"));
    nodes(&mut |key, value| {
        if key == "$schema" {
            all.push(format!("{}\n", value.span.text()));
        }
    });
    all.push("type: object\nrequired: [a]\nproperties:\n  a: { type: integer, minimum: 1 }\n  b: { $ref: '#/$defs/b' }\n$defs:\n  b:\n    oneOf:\n      - { type: string, pattern: '^a+$', maxLength: 3 }\n      - { type: array, items: { $ref: '#' }, uniqueItems: true }\n".into());
    all
}

pub fn kubeconfigs() -> Vec<String> {
    vec![
        "apiVersion: v1
kind: Config
current-context: a
clusters:
- name: one
  cluster:
    server: https://127.0.0.1:1
    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K
- name: two
  cluster: { server: 'http://127.0.0.1:1', insecure-skip-tls-verify: true, proxy-url: 'http://127.0.0.1:2', tls-server-name: x }
contexts:
- name: a
  context: { cluster: one, user: token, namespace: space }
- name: b
  context: { cluster: two, user: certificate }
- name: c
  context: { cluster: two, user: basic }
users:
- name: token
  user: { token: abc, tokenFile: /nowhere/token }
- name: certificate
  user: { client-certificate-data: LS0t, client-key-data: LS0t }
- name: basic
  user: { username: u, password: p, as: someone, as-groups: [g] }
"
        .into(),
        "{\"apiVersion\": \"v1\", \"kind\": \"Config\", \"current-context\": \"x\", \"clusters\": [{\"name\": \"x\", \"cluster\": {\"server\": \"http://[::1]:1/prefix\"}}], \"contexts\": [{\"name\": \"x\", \"context\": {\"cluster\": \"x\", \"user\": \"x\"}}], \"users\": [{\"name\": \"x\", \"user\": {}}]}\n".into(),
    ]
}

/// Calls `each` for every entry of every map of the shipped files.
fn nodes(each: &mut dyn FnMut(&str, &Node)) {
    for text in yaml() {
        if let Ok(root) = yaml::parse(&Source::new("corpus", text).into()) {
            walk(&root, each);
        }
    }
}

fn walk(node: &Node, each: &mut dyn FnMut(&str, &Node)) {
    match &node.kind {
        Kind::Seq(items) => items.iter().for_each(|item| walk(item, each)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                each(&key.key_text(), value);
                walk(value, each);
            }
        }
        _ => {}
    }
}
