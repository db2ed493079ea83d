//! Who may import whom. A file may use its own folder, what lies below its floor, and nothing else of ours; and no two of the top
//! modules import each other in a circle.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const VOCABULARY: &[&str] = &["address", "language", "outcome", "secrets", "source", "diagnostic", "value", "yaml"];

/// Module, and what it may import beside itself.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let below = |more: &[&'static str]| VOCABULARY.iter().chain(more).copied().collect::<BTreeSet<_>>();
    let only = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    BTreeMap::from([
        ("address", only(&[])),
        ("language", only(&[])),
        ("outcome", only(&[])),
        ("secrets", only(&[])),
        ("source", only(&[])),
        ("value", only(&[])),
        ("diagnostic", only(&["language", "source"])),
        ("yaml", only(&["diagnostic", "source", "value"])),
        ("expr", below(&[])),
        ("plan", below(&["expr"])),
        ("event", below(&["expr"])),
        ("executor", below(&["expr", "event"])),
        ("engine", below(&["plan", "expr", "executor", "event"])),
        ("executors", below(&["executor", "expr", "event"])),
        ("report", only(&["event", "outcome", "address", "value", "source"])),
        ("replay", below(&["engine", "plan", "expr", "executor", "event"])),
        ("prove", below(&["replay", "engine", "plan", "expr", "executor", "event"])),
        // outside: it knows nothing of ours
        ("relay", only(&[])),
    ])
}

/// These see everything.
const ABOVE: &[&str] = &["cli", "main", "lib"];

/// The top module that a file belongs to.
fn module(path: &Path, src: &Path) -> String {
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_string()
}

/// The top modules that a file's text names by `crate::` or by enough `super::`.
fn imports(text: &str, depth: usize) -> BTreeSet<String> {
    let code: String =
        text.lines().map(|l| l.split("//").next().unwrap_or_default()).map(|l| format!("{l}\n")).collect();
    let mut found = BTreeSet::new();
    // the module `a/b.rs` has depth 2: `super::super` is the crate; inner test modules only go deeper
    let up = "super::".repeat(depth);
    for root in ["crate::", up.as_str()] {
        for (i, _) in code.match_indices(root) {
            let before = code[..i].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &code[i + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                found.extend(heads(group));
            } else {
                found.extend(word(rest));
            }
        }
    }
    found.remove("super");
    found.remove("self");
    found
}

fn word(text: &str) -> Option<String> {
    let w: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!w.is_empty()).then_some(w)
}

/// The first words of the parts of `a::b, c::{d, e}}`.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut out) = (0usize, true, vec![]);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && depth == 0 && !c.is_whitespace() => {
                out.extend(word(&group[i..]));
                start = false;
            }
            _ => {}
        }
    }
    out
}

/// What each file imports that it may not, and the imports of each module.
fn examine(files: &[(String, usize, String)]) -> (Vec<String>, BTreeMap<String, BTreeSet<String>>) {
    let allowed = allowed();
    let known: BTreeSet<&str> = allowed.keys().copied().chain(ABOVE.iter().copied()).collect();
    let mut wrong = vec![];
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, depth, text) in files {
        if !known.contains(module.as_str()) {
            wrong.push(format!("`{module}` has no floor: give it one in this test"));
        }
        for import in imports(text, *depth).into_iter().filter(|i| i != module && known.contains(i.as_str())) {
            if allowed.get(module.as_str()).is_some_and(|a| !a.contains(import.as_str())) {
                wrong.push(format!("`{module}` imports `{import}`"));
            }
            graph.entry(module.clone()).or_default().insert(import);
        }
    }
    (wrong, graph)
}

/// A way from a module back to itself.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        at: &str,
        graph: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(i) = way.iter().position(|w| w == at) {
            return Some(way[i..].iter().cloned().chain([at.to_string()]).collect());
        }
        if !done.insert(at.to_string()) {
            return None;
        }
        way.push(at.to_string());
        let found = graph.get(at).into_iter().flatten().find_map(|next| walk(next, graph, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|k| walk(k, graph, &mut vec![], &mut done))
}

fn sources() -> Vec<(String, usize, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> = vec![src.clone()];
    let mut all = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(&src).unwrap();
                let parts = inside.components().count();
                let depth = if path.ends_with("mod.rs") { parts - 1 } else { parts };
                let text = fs::read_to_string(&path).unwrap();
                // tests may look further
                let is_test = inside.components().any(|c| c.as_os_str() == "tests")
                    || path.ends_with("tests.rs")
                    || path.ends_with("stage.rs");
                if !is_test {
                    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_string();
                    all.push((module(&path, &src), depth, product));
                }
            }
        }
    }
    all
}

#[test]
fn nobody_imports_from_above_or_beside() {
    let (wrong, graph) = examine(&sources());
    let wrong: BTreeSet<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(graph["cli"].len() > 5, "the test reads imports: {graph:?}");
}

#[test]
fn there_is_no_circle() {
    let (_, mut graph) = examine(&sources());
    for above in ABOVE {
        graph.remove(*above);
    }
    assert_eq!(circle(&graph), None);
}

#[test]
fn this_test_can_fail() {
    let file = |module: &str, depth, text: &str| (module.to_string(), depth, text.to_string());
    for (bad, said) in [
        (file("expr", 2, "use crate::engine::step;"), "`expr` imports `engine`"),
        (file("report", 2, "use crate::{\n    event::Event,\n    plan::{Plan, Case},\n};"), "`report` imports `plan`"),
        (file("relay", 1, "use super::value::Value;"), "`relay` imports `value`"),
        (file("relay", 3, "fn f() -> super::super::super::outcome::Tier {}"), "`relay` imports `outcome`"),
        (file("plan", 2, "let x = crate::event::Part::Step;"), "`plan` imports `event`"),
        (file("novel", 2, ""), "`novel` has no floor"),
    ] {
        let (wrong, _) = examine(&[bad]);
        assert!(wrong.iter().any(|w| w.contains(said)), "{said}: {wrong:?}");
    }
    for good in [
        file("report", 2, "// use crate::plan::Plan;\nuse crate::event::Event;"),
        file("engine", 2, "use super::step::Step; use super::super::expr::Scope;"),
        file("relay", 3, "use super::super::store::Asked;"),
    ] {
        assert_eq!(examine(&[good]).0, Vec::<String>::new());
    }
    let (_, graph) = examine(&[
        file("expr", 2, "use crate::value::Value;"),
        file("value", 1, "use crate::yaml::Node;"),
        file("yaml", 1, "use crate::expr::Tree;"),
    ]);
    assert_eq!(circle(&graph).unwrap().len(), 4);
}
