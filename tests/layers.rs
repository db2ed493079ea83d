//! The architecture: which module may import which, no import cycle between files, and no file above 500 lines.
//!
//! Reads imports from the text of `src` and `sandbox/src`: `use` trees and qualified paths. Resolves relative paths and
//! re-exports. Leaves out tests.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const MAX_LINES: usize = 500;

const VOCABULARY: &[&str] =
    &["access", "address", "language", "outcome", "secrets", "shell", "source", "diagnostic", "value", "yaml"];

/// For each module of the runner: the modules it may import.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let vocabulary_and = |more: &[&'static str]| VOCABULARY.iter().chain(more).copied().collect::<BTreeSet<_>>();
    let only = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    BTreeMap::from([
        ("access", only(&[])),
        ("address", only(&[])),
        ("language", only(&[])),
        ("outcome", only(&[])),
        ("secrets", only(&[])),
        ("shell", only(&[])),
        ("source", only(&[])),
        ("value", only(&[])),
        ("diagnostic", only(&["language", "source"])),
        ("yaml", only(&["diagnostic", "language", "source", "value"])),
        ("expr", vocabulary_and(&[])),
        ("import", only(&["outcome"])),
        ("init", only(&["import"])),
        ("plan", vocabulary_and(&["expr", "import"])),
        ("event", vocabulary_and(&["expr"])),
        ("executor", vocabulary_and(&["expr", "event"])),
        ("engine", vocabulary_and(&["plan", "expr", "executor", "event"])),
        ("executors", vocabulary_and(&["executor", "expr", "event", "file"])),
        ("file", only(&[])),
        ("journal", only(&["access", "event", "file"])),
        ("report", only(&["event", "outcome", "address", "value", "source", "secrets", "shell"])),
        ("traces", vocabulary_and(&["event"])),
        ("replay", vocabulary_and(&["engine", "plan", "expr", "executor", "event"])),
        ("prove", vocabulary_and(&["replay", "engine", "plan", "expr", "executor", "event"])),
        ("reference", only(&["language", "executor"])),
        // independent of the other modules
        ("relay", only(&[])),
    ])
}

/// Modules that may import everything.
const TOP: &[&str] = &["cli", "main", "lib", "testing"];

/// A source file of a crate.
#[derive(Default)]
struct File {
    /// Relative to the crate's `src`.
    path: String,
    /// Its module: `["engine", "case"]` for `engine/case.rs`.
    module: Vec<String>,
    uses: Vec<Use>,
    /// Qualified paths outside of `use`, as returned by [`absolute`].
    paths: Vec<Vec<String>>,
    /// Names of the items that the file defines.
    items: BTreeSet<String>,
    /// Modules that exist for tests only.
    test_modules: Vec<Vec<String>>,
}

/// One leaf of a `use` tree.
struct Use {
    path: Vec<String>,
    /// The name that the leaf binds; `*` for all names.
    name: String,
    public: bool,
}

/// Splits code into identifiers, `::` and single characters. Comments, strings, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<String> {
    let c: Vec<char> = text.chars().collect();
    let at = |i: usize| c.get(i).copied().unwrap_or('\0');
    let (mut out, mut i) = (vec![], 0);
    while i < c.len() {
        if at(i) == '/' && at(i + 1) == '/' {
            while i < c.len() && c[i] != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= c.len() {
                    break;
                }
            }
        } else if at(i) == '"' {
            i += 1;
            while i < c.len() && c[i] != '"' {
                i += if c[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if at(i) == '\'' {
            let is_character = at(i + 1) == '\\' || at(i + 2) == '\'';
            i += 1;
            if is_character {
                while i < c.len() && c[i] != '\'' {
                    i += if c[i] == '\\' { 2 } else { 1 };
                }
                i += 1;
            } else {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
            }
        } else if at(i).is_alphabetic() || at(i) == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let word: String = c[start..i].iter().collect();
            let hashes = (i..).take_while(|&j| at(j) == '#').count();
            if ["r", "br", "cr"].contains(&word.as_str()) && at(i + hashes) == '"' {
                let end: String = format!("\"{}", "#".repeat(hashes));
                i += hashes + 1;
                while i < c.len() && !c[i..].iter().take(hashes + 1).eq(end.chars().collect::<Vec<_>>().iter()) {
                    i += 1;
                }
                i += hashes + 1;
            } else {
                out.push(word);
            }
        } else if at(i) == ':' && at(i + 1) == ':' {
            out.push("::".into());
            i += 2;
        } else {
            if !c[i].is_whitespace() {
                out.push(c[i].to_string());
            }
            i += 1;
        }
    }
    out
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The index after the item that begins at `i`: after its `;` or its block.
fn end_of_item(t: &[String], mut i: usize) -> usize {
    let is_use = t[i..].iter().take_while(|t| *t != "{").any(|t| t == "use");
    let mut depth = 0;
    while i < t.len() {
        match t[i].as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth -= 1;
                if depth == 0 && t[i] == "}" && !is_use {
                    return i + 1;
                }
            }
            ";" if depth == 0 => return i + 1,
            _ => {}
        }
        i += 1;
    }
    i
}

/// Reads the leaves of the `use` tree that begins at `i`; returns the index after the tree.
fn use_tree(t: &[String], mut i: usize, prefix: &[String], public: bool, out: &mut Vec<Use>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match t.get(i).map(String::as_str) {
            Some("::") => i += 1,
            Some("{") => {
                i += 1;
                while t.get(i).is_some_and(|t| t != "}") {
                    i = use_tree(t, i, &path, public, out);
                    if t.get(i).is_some_and(|t| t == ",") {
                        i += 1;
                    }
                }
                return i + 1;
            }
            Some("*") => {
                out.push(Use { path, name: "*".into(), public });
                return i + 1;
            }
            Some("as") => {
                out.push(Use { path, name: t[i + 1].clone(), public });
                return i + 2;
            }
            Some("self") if !path.is_empty() => i += 1,
            Some(name) if is_name(name) => {
                path.push(name.into());
                i += 1;
            }
            _ => {
                let name = path.last().cloned().unwrap_or_default();
                out.push(Use { path, name, public });
                return i;
            }
        }
    }
}

fn parse(path: &str, text: &str) -> File {
    let mut module: Vec<String> = path.trim_end_matches(".rs").split('/').map(String::from).collect();
    if module.last().is_some_and(|last| ["mod", "lib"].contains(&last.as_str())) {
        module.pop();
    }
    let mut file = File { path: path.into(), module: module.clone(), ..File::default() };
    let t = tokens(text);
    // open blocks: `Some` with the name of an inline module
    let mut blocks: Vec<Option<String>> = vec![];
    let mut i = 0;
    while i < t.len() {
        let here: Vec<String> = module.iter().cloned().chain(blocks.iter().flatten().cloned()).collect();
        let is = |n: usize, s: &str| t.get(i + n).is_some_and(|t| t == s);
        if is(0, "#") && is(1, "[") && is(2, "cfg") && is(3, "(") && is(4, "test") && is(5, ")") {
            let end = end_of_item(&t, i + 7);
            if let Some(n) = t[i..end].iter().position(|t| t == "mod") {
                file.test_modules.push(here.iter().chain([&t[i + n + 1]]).cloned().collect());
            }
            i = end;
        } else if is(0, "mod") && is(2, "{") {
            blocks.push(Some(t[i + 1].clone()));
            i += 3;
        } else if is(0, "{") {
            blocks.push(None);
            i += 1;
        } else if is(0, "}") {
            blocks.pop();
            i += 1;
        } else if is(0, "use") {
            let public = i > 0 && (t[i - 1] == "pub" || t[i - 1] == ")");
            let mut leaves = vec![];
            i = use_tree(&t, i + 1, &[], public, &mut leaves);
            file.uses.extend(leaves.into_iter().map(|u| Use { path: absolute(&here, &u.path), ..u }));
        } else if ["struct", "enum", "trait", "fn", "type", "const", "static"].contains(&t[i].as_str()) {
            file.items.extend(t.get(i + 1).filter(|n| is_name(n)).cloned());
            i += 1;
        } else if is_name(&t[i]) && is(1, "::") && (i == 0 || t[i - 1] != "::") {
            let mut segments = vec![t[i].clone()];
            i += 1;
            while t.get(i).is_some_and(|t| t == "::") && t.get(i + 1).is_some_and(|t| is_name(t)) {
                segments.push(t[i + 1].clone());
                i += 2;
            }
            file.paths.push(absolute(&here, &segments));
        } else {
            i += 1;
        }
    }
    file
}

/// The path from the crate root, for a path with `crate`, `self` or `super`. Puts `?` in front of any other path, which
/// needs the imports of its file.
fn absolute(module: &[String], path: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut rest = path;
    match path.first().map(String::as_str) {
        Some("crate") => {
            base.clear();
            rest = &path[1..];
        }
        Some("self") => rest = &path[1..],
        Some("super") => {
            while rest.first().is_some_and(|s| s == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        _ => return ["?".to_string()].iter().chain(path).cloned().collect(),
    }
    base.extend(rest.iter().cloned());
    base
}

struct Crate {
    files: Vec<File>,
    by_module: BTreeMap<Vec<String>, usize>,
}

impl Crate {
    fn new(sources: &[(String, String)]) -> Crate {
        let files: Vec<File> = sources.iter().map(|(path, text)| parse(path, text)).collect();
        let tests: Vec<Vec<String>> = files.iter().flat_map(|f| f.test_modules.clone()).collect();
        let is_test = |f: &File| tests.iter().any(|t| f.module.starts_with(t));
        let files: Vec<File> = files.into_iter().filter(|f| !is_test(f)).collect();
        let by_module = files.iter().enumerate().map(|(i, f)| (f.module.clone(), i)).collect();
        Crate { files, by_module }
    }

    fn file_of(&self, module: &[String]) -> Option<usize> {
        self.by_module.get(module).copied()
    }

    /// Resolves a path with `?` through the imports and child modules of its file; returns other paths as they are.
    /// `None` for names of other crates.
    fn in_file(&self, file: &File, path: &[String]) -> Option<Vec<String>> {
        if path.first().is_none_or(|first| first != "?") {
            return Some(path.to_vec());
        }
        let name = path.get(1)?;
        let child: Vec<String> = file.module.iter().chain([name]).cloned().collect();
        if self.file_of(&child).is_some() {
            return Some(child.into_iter().chain(path[2..].iter().cloned()).collect());
        }
        let import = file
            .uses
            .iter()
            .find(|u| u.name == *name && u.path.get(1) != Some(name))
            .or_else(|| file.uses.iter().find(|u| u.name == *name && u.path.first().is_some_and(|f| f != "?")))?;
        let target = self.in_file(file, &import.path)?;
        Some(target.into_iter().chain(path[2..].iter().cloned()).collect())
    }

    /// The file that defines the item of an absolute path, through re-exports. `None` for a module itself: only the use
    /// of an item in it is a dependency.
    fn defined_in(&self, path: &[String], depth: usize) -> Option<usize> {
        let length = (0..=path.len()).rev().find(|n| self.file_of(&path[..*n]).is_some())?;
        let (index, rest) = (self.file_of(&path[..length])?, &path[length..]);
        let file = &self.files[index];
        let name = rest.first()?;
        if depth == 0 || file.items.contains(name) {
            return Some(index);
        }
        let through = |u: &Use| {
            let target = self.in_file(file, &u.path)?;
            let target = target.into_iter().chain(if u.name == "*" { rest } else { &rest[1..] }.iter().cloned());
            self.defined_in(&target.collect::<Vec<_>>(), depth - 1)
        };
        if let Some(u) = file.uses.iter().find(|u| u.name == *name) {
            return through(u);
        }
        let mut globs = file.uses.iter().filter(|u| u.name == "*").filter_map(through);
        globs.find(|i| self.files[*i].items.contains(name)).or(Some(index))
    }

    /// For each file, the files that it depends on, each with one of the paths that it uses.
    fn dependencies(&self) -> BTreeMap<usize, BTreeMap<usize, String>> {
        let mut out: BTreeMap<usize, BTreeMap<usize, String>> = BTreeMap::new();
        for (from, file) in self.files.iter().enumerate() {
            let imports = file.uses.iter().filter(|u| !u.public).map(|u| &u.path);
            for path in imports.chain(&file.paths) {
                let Some(path) = self.in_file(file, path) else { continue };
                if let Some(to) = self.defined_in(&path, 8).filter(|to| *to != from) {
                    out.entry(from).or_default().entry(to).or_insert_with(|| path.join("::"));
                }
            }
        }
        out
    }

    /// Groups of files that import each other, each with the imports between them.
    fn cycles(&self) -> Vec<(Vec<&str>, Vec<String>)> {
        let graph = self.dependencies();
        let reach = |from: usize| {
            let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(at) = open.pop() {
                open.extend(graph.get(&at).into_iter().flat_map(|to| to.keys()).filter(|to| reached.insert(**to)));
            }
            reached
        };
        let all: Vec<BTreeSet<usize>> = (0..self.files.len()).map(reach).collect();
        let mut groups: BTreeSet<Vec<usize>> = BTreeSet::new();
        for i in (0..all.len()).filter(|i| all[*i].contains(i)) {
            groups.insert((0..all.len()).filter(|j| all[i].contains(j) && all[*j].contains(&i)).collect());
        }
        let name = |i: usize| self.files[i].path.as_str();
        groups
            .into_iter()
            .map(|group| {
                let edges = group.iter().flat_map(|a| graph[a].iter().map(move |(b, why)| (*a, *b, why)));
                let inside = edges.filter(|(_, b, _)| group.contains(b));
                let lines = inside.map(|(a, b, why)| format!("{} -> {}: {why}", name(a), name(b))).collect();
                (group.iter().map(|i| name(*i)).collect(), lines)
            })
            .collect()
    }

    /// For each top-level module, the other top-level modules that it uses.
    fn layers(&self) -> BTreeMap<String, BTreeSet<String>> {
        let tops: BTreeSet<&String> = self.files.iter().filter_map(|f| f.module.first()).collect();
        let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for file in self.files.iter().filter(|f| !f.module.is_empty()) {
            let named = file.uses.iter().map(|u| &u.path).chain(&file.paths).filter_map(|p| p.first());
            let others = named.filter(|n| tops.contains(n) && **n != file.module[0]);
            out.entry(file.module[0].clone()).or_default().extend(others.cloned());
        }
        out
    }
}

/// Imports that [`allowed`] does not list.
fn forbidden(layers: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let allowed = allowed();
    let mut out = vec![];
    for (module, imports) in layers.iter().filter(|(m, _)| !TOP.contains(&m.as_str())) {
        match allowed.get(module.as_str()) {
            None => out.push(format!("`{module}` has no layer: add it to `allowed` in this test")),
            Some(may) => {
                out.extend(
                    imports.iter().filter(|i| !may.contains(i.as_str())).map(|i| format!("`{module}` imports `{i}`")),
                );
            }
        }
    }
    out
}

/// Path and text of every file under a folder of the repository.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    let mut out = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("main.rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                out.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    out.sort();
    out
}

fn crate_of(files: &[(&str, &str)]) -> Crate {
    Crate::new(&files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect::<Vec<_>>())
}

#[test]
fn modules_import_only_lower_layers() {
    let layers = Crate::new(&sources("src")).layers();
    assert!(layers["cli"].len() > 5, "imports are found: {layers:?}");
    let forbidden = forbidden(&layers);
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

#[test]
fn no_files_import_each_other() {
    for folder in ["src", "sandbox/src"] {
        let code = Crate::new(&sources(folder));
        assert!(code.dependencies().len() > 20, "imports are found in {folder}");
        let shown: Vec<String> = code.cycles().into_iter().map(|(_, imports)| imports.join("\n  ")).collect();
        assert!(shown.is_empty(), "import cycles in {folder}:\n  {}", shown.join("\n\n  "));
    }
}

#[test]
fn files_are_short() {
    let mut long = vec![];
    for folder in ["src", "sandbox/src"] {
        let all = sources(folder);
        let code = Crate::new(&all);
        for (path, text) in all.iter().filter(|(path, _)| code.files.iter().any(|f| f.path == *path)) {
            let lines = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count();
            if lines > MAX_LINES {
                long.push(format!("{folder}/{path}: {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "files above {MAX_LINES} lines outside tests: {long:#?}");
}

#[test]
fn a_planted_forbidden_import_is_found() {
    let engine = ("engine/mod.rs", "");
    for (path, text, found) in [
        ("expr/cel.rs", "use crate::engine::Step;", "`expr` imports `engine`"),
        (
            "report/page.rs",
            "use crate::{\n    event::Event,\n    engine::{self, Case},\n};",
            "`report` imports `engine`",
        ),
        ("relay.rs", "use super::engine::Value;", "`relay` imports `engine`"),
        ("relay/a/b.rs", "fn f() -> super::super::super::engine::Tier {}", "`relay` imports `engine`"),
        ("plan/read.rs", "let x = crate::engine::Part::Step;", "`plan` imports `engine`"),
        ("novel/mod.rs", "", "`novel` has no layer"),
    ] {
        let found_all = forbidden(&crate_of(&[engine, (path, text)]).layers());
        assert!(found_all.iter().any(|f| f.contains(found)), "{found}: {found_all:?}");
    }
    for (path, text) in [
        ("report/page.rs", "// use crate::engine::Plan;\nconst X: &str = \"crate::engine::Plan\";"),
        ("relay/store.rs", "#[cfg(test)]\nmod tests {\n    use crate::engine::Plan;\n}"),
        ("prove/run.rs", "use crate::engine::Case;"),
    ] {
        assert_eq!(forbidden(&crate_of(&[engine, (path, text)]).layers()), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn a_planted_cycle_is_found() {
    let files = |a: &str, b: &str, root: &str| {
        let code = crate_of(&[("m/mod.rs", root), ("m/a.rs", a), ("m/b.rs", b)]);
        code.cycles().into_iter().map(|(files, _)| files.join(" ")).collect::<Vec<_>>()
    };
    let (a, plain) = ("use super::b::B;\npub struct A;", "mod a;\nmod b;");
    for b in [
        "use super::a::A;\npub struct B;",
        "use crate::m::{a::A as Other};\npub struct B;",
        "pub struct B(crate::m::a::A);",
        "use super::a;\npub fn b() -> a::A {}\npub struct B;",
        "mod inner {\n    use super::super::a::A;\n}\npub struct B;",
        "use super::a::*;\npub struct B; fn f() { super::a::A::new() }",
    ] {
        assert_eq!(files(a, b, plain), ["m/a.rs m/b.rs"], "{b}");
    }
    let facade = "mod a;\nmod b;\npub use a::A;\npub use self::b::*;";
    assert_eq!(files("use super::B;\npub struct A;", "use super::A;\npub struct B;", facade), ["m/a.rs m/b.rs"]);
    assert_eq!(
        files("use super::M;\npub fn a() {}", "", "mod a;\npub struct M;\nfn f() { a::a() }"),
        ["m/mod.rs m/a.rs"]
    );
    for b in [
        "pub struct B; // use super::a::A;",
        "pub struct B;\n#[cfg(test)]\nmod tests {\n    use crate::m::a::A;\n}",
        "use super::a;\npub struct B;",
    ] {
        assert_eq!(files(a, b, plain), Vec::<String>::new(), "{b}");
    }
    assert_eq!(files("use super::B;\npub struct A;", "pub struct B;", facade), Vec::<String>::new());
}
