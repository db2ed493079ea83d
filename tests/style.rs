//! Checks wording and layout: no phrase of `style/phrases.txt` in pages, code and comments, and short lines and table
//! cells in pages.
use regex::{Regex, RegexBuilder};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// External text, generated text, and the phrases themselves.
const IGNORED: &[&str] = &[
    "docs/TP-004.md",
    "docs/TP-004-proof.md",
    "docs/commands.md",
    "docs/words.md",
    "tests/style",
    "tests/style.rs",
    "tests/fixtures",
];
const MAX_COLUMNS: usize = 120;
const MAX_CELL_CHARS: usize = 160;

struct Phrase {
    pattern: Regex,
    ordinary: Option<Regex>,
    instead: String,
}

fn fields(file: &str) -> Vec<[String; 3]> {
    let text = fs::read_to_string(Path::new(ROOT).join("tests/style").join(file)).expect("a list");
    let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let mut parts = line.splitn(3, ';').map(|p| p.trim().to_string());
            std::array::from_fn(|_| parts.next().unwrap_or_else(|| panic!("{file}: expected three fields in `{line}`")))
        })
        .collect()
}

fn phrases() -> Vec<Phrase> {
    let compile = |p: &str| RegexBuilder::new(p).case_insensitive(true).build().expect("a pattern");
    let phrase = |[pattern, ordinary, instead]: [String; 3]| Phrase {
        pattern: compile(&format!(r"\b(?:{pattern})\b")),
        ordinary: (!ordinary.is_empty()).then(|| compile(&format!(r"\b(?:{ordinary})"))),
        instead,
    };
    fields("phrases.txt").into_iter().map(phrase).collect()
}

/// Every text file under version control, relative to the root of the repository.
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(ROOT).output();
    let listed = String::from_utf8(listed.expect("git starts").stdout).expect("names in UTF-8");
    let texts = [Some("rs"), Some("md"), Some("yaml"), None];
    let files = listed.lines().map(PathBuf::from).filter(|f| texts.contains(&f.extension().and_then(|e| e.to_str())));
    let files: Vec<PathBuf> = files.filter(|f| !f.ends_with("LICENSE") && Path::new(ROOT).join(f).exists()).collect();
    assert!(files.len() > 100, "only {} files", files.len());
    files
}

fn is_checked(file: &Path) -> bool {
    !IGNORED.iter().any(|i| file.starts_with(i))
}

fn read(file: &Path) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The words of a file, joined by single spaces, and the line number of each byte. Splits identifiers into words; keeps
/// only the comments of YAML.
fn words(file: &Path, text: &str) -> (String, Vec<usize>) {
    let (mut out, mut lines) = (String::new(), vec![]);
    let yaml = file.extension().is_some_and(|e| e == "yaml");
    for (i, line) in text.lines().enumerate() {
        let line = match line.find("# ") {
            Some(at) if yaml => &line[at..],
            None if yaml => "",
            _ => line,
        };
        let line = line.trim_start().trim_start_matches(['/', '!', '#', '*', '-', '>', ' ']);
        let mut last = ' ';
        for c in line.chars().chain([' ']) {
            if c.is_uppercase() && last.is_lowercase() {
                out.push(' ');
            }
            let c = if c == '_' || c.is_whitespace() { ' ' } else { c };
            if c != ' ' || !out.ends_with(' ') {
                out.push(c);
            }
            last = c;
        }
        lines.resize(out.len(), i + 1);
    }
    (out, lines)
}

/// Line number, text and replacement of each phrase in a file.
fn found(file: &Path, text: &str, phrases: &[Phrase]) -> Vec<(usize, String, String)> {
    let (words, lines) = words(file, text);
    let mut found = vec![];
    for phrase in phrases {
        for m in phrase.pattern.find_iter(&words) {
            let ordinary = phrase.ordinary.as_ref().and_then(|o| o.find_at(&words, m.start()));
            if ordinary.is_none_or(|o| o.start() != m.start()) {
                found.push((lines[m.start()], m.as_str().to_lowercase(), phrase.instead.clone()));
            }
        }
    }
    found
}

#[test]
fn no_phrase_of_the_list_is_used() {
    let (phrases, exceptions) = (phrases(), fields("exceptions.txt"));
    let (mut wrong, mut used) = (vec![], BTreeSet::new());
    for file in files().into_iter().filter(|f| is_checked(f)) {
        for (line, phrase, instead) in found(&file, &read(&file), &phrases) {
            match exceptions.iter().position(|[f, p, _]| Path::new(f) == file && *p == phrase) {
                Some(i) => drop(used.insert(i)),
                None => wrong.push(format!("{}:{line}: `{phrase}`: write {instead}", file.display())),
            }
        }
    }
    let unused = exceptions.iter().enumerate().filter(|(i, _)| !used.contains(i));
    wrong.extend(unused.map(|(_, [file, phrase, _])| format!("tests/style/exceptions.txt: no `{phrase}` in {file}")));
    assert!(wrong.is_empty(), "{} problems\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_ignored_path_exists() {
    for path in IGNORED {
        assert!(Path::new(ROOT).join(path).exists(), "no such path: {path}");
    }
}

#[test]
fn finds_planted_phrases() {
    let cases = [
        ("a.rs", "/// Whoever calls it.", 1),
        ("a.rs", "    // this is no\n    // expression", 1),
        ("a.rs", "fn taken_back() {}\nstruct TakenBack;", 2),
        ("a.rs", "// it is no longer there, and came to the end\nif a.is_none() && b.is_none_or(c) {}", 0),
        ("a.yaml", "given: somebody waits   # nobody answers", 1),
        ("a.md", "What stands\nunder a key", 1),
    ];
    for (file, text, expected) in cases {
        let found = found(Path::new(file), text, &phrases());
        assert_eq!(found.len(), expected, "{text}: {found:?}");
    }
    let at = found(Path::new("a.rs"), "// one\n// two\n// this is no\n// three", &phrases());
    assert_eq!(at[0].0, 3);
}

/// Finds lines that are too long, outside code blocks, tables and links, and table cells that are too long.
fn layout(page: &str) -> Vec<String> {
    let (mut wrong, mut code) = (vec![], false);
    for (i, line) in page.lines().enumerate() {
        let at = |what: &str, chars: usize| format!("{}: expected at most {what}, found {chars}", i + 1);
        if line.starts_with("```") {
            code = !code;
        } else if line.starts_with('|') {
            let cells = line.split('|').map(|c| c.trim().chars().count());
            wrong.extend(
                cells.filter(|c| *c > MAX_CELL_CHARS).map(|c| at(&format!("{MAX_CELL_CHARS} characters per cell"), c)),
            );
        } else if !code && line.chars().count() > MAX_COLUMNS && !line.contains("](") && !line.contains("]: ") {
            wrong.push(at(&format!("{MAX_COLUMNS} columns"), line.chars().count()));
        }
    }
    wrong
}

#[test]
fn pages_have_short_lines_and_cells() {
    let pages = files().into_iter().filter(|f| f.extension().is_some_and(|e| e == "md") && is_checked(f));
    let wrong: Vec<String> =
        pages.flat_map(|f| layout(&read(&f)).into_iter().map(move |w| format!("{}:{w}", f.display()))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn finds_long_lines_and_cells() {
    let long = "x".repeat(MAX_CELL_CHARS + 1);
    assert_eq!(layout(&long).len(), 1);
    assert_eq!(layout(&format!("| a | {long} |")).len(), 1);
    assert_eq!(layout(&format!("| a | {} |", &long[1..])).len(), 0);
    assert_eq!(layout(&format!("```\n{long}\n```\nshort\n[a]({long})")).len(), 0);
}
