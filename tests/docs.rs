//! Checks the README and the pages under `docs/`: every YAML block is valid for the runner, every link has a target,
//! and tables match the code.
//!
//! The word after ```` ```yaml ```` says what a block is:
//!
//! | Word | Checked as |
//! |---|---|
//! | `plan` | a complete plan |
//! | `environment` | an environment file whose environment is called `staging` |
//! | `actions` | a list under `do`, put into a case |
//! | `expected` | a list under `expected`, put into a case |
//! | `definitions` | a map under `actions` of a plan |
//! | `fragment` | YAML |
//!
//! `reads=a,b` after the word lists names that a block reads without binding them. Blocks without a word are allowed in
//! `docs/verbs`, where a unit test of the executors compiles them. Blocks with `file=NAME` or `in=NAME` are left to
//! `tests/tutorials.rs`, which performs the pages for newcomers.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};
use tp_runner::{cli::exit, outcome::Verdict, report::gate::RunVerdict, source::Source};
use tp_runner_sandbox::defect::Defect;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Not written by this project, so its text is not checked.
const MARKDOWN_PLAN: &str = "docs/TP-004.md";
/// Its blocks are invalid on purpose; `tests/diagnostics` checks them.
const DIAGNOSTICS: &str = "docs/diagnostics.md";

/// Every page, relative to the root of the repository.
fn pages() -> Vec<PathBuf> {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(Path::new(ROOT).join(folder)).expect("a folder").map(|e| e.expect("an entry")) {
            let path = folder.join(entry.file_name());
            match path.extension() {
                _ if entry.path().is_dir() => collect(&path, into),
                Some(e) if e == "md" => into.push(path),
                _ => {}
            }
        }
    }
    let mut pages = vec![PathBuf::from("README.md"), PathBuf::from("CONTRIBUTING.md")];
    collect(Path::new("docs"), &mut pages);
    collect(Path::new("examples"), &mut pages);
    pages.retain(|p| p != Path::new(MARKDOWN_PLAN));
    pages.sort();
    pages
}

fn read(page: &Path) -> String {
    fs::read_to_string(Path::new(ROOT).join(page)).unwrap_or_else(|e| panic!("{}: {e}", page.display()))
}

/// Whether `tests/tutorials.rs` performs the page.
fn is_performed(page: &Path) -> bool {
    page.starts_with("docs/how-to") || ["docs/quick-start.md", "docs/tutorial.md"].iter().any(|p| page == Path::new(p))
}

/// Info string, text and line number of each fenced block.
fn blocks(page: &str) -> Vec<(String, String, usize)> {
    let mut out: Vec<(String, String, usize)> = vec![];
    let mut open = false;
    for (i, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(_), true) => open = false,
            (Some(info), false) => {
                out.push((info.trim().to_string(), String::new(), i + 1));
                open = true;
            }
            (None, true) => {
                let text = &mut out.last_mut().expect("an open block").1;
                text.push_str(line);
                text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!open, "a block that is never closed");
    out
}

/// The text without fenced blocks.
fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook build them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page);
    let headings =
        headings.lines().filter_map(|l| l.trim_start_matches('#').strip_prefix(' ').filter(|_| l.starts_with('#')));
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|l| if l.is_empty() { "\n".into() } else { format!("{}{l}\n", " ".repeat(by)) }).collect()
}

/// Completes a block to a file; also returns whether it is an environment file.
fn complete(kind: &str, reads: &str, text: &str) -> Result<(String, bool), String> {
    let vars: String = reads.split(',').filter(|n| !n.is_empty()).map(|n| format!("  {n}: a value\n")).collect();
    let head = format!("plan: a-page\nenvironment: sandbox\n{}{vars}", if vars.is_empty() { "" } else { "vars:\n" });
    let case = "cases:\n  - id: PAGE-1\n    tier: must\n";
    let closing = "    expected:\n      - result: It is valid\n        unproven: part of a page\n";
    Ok(match kind {
        "plan" => (text.to_string(), false),
        "environment" => (text.to_string(), true),
        "actions" => {
            let steps = format!("    steps:\n      - step: It is valid\n        do:\n{}", indented(text, 10));
            (format!("{head}{case}{steps}{closing}"), false)
        }
        "expected" => (format!("{head}{case}    expected:\n{}", indented(text, 6)), false),
        "definitions" => (format!("{head}actions:\n{}{case}{closing}", indented(text, 2)), false),
        other => return Err(format!("expected a kind of block after `yaml`, found `{other}`")),
    })
}

fn check(folder: &Path, (text, environment): (String, bool)) -> Result<(), String> {
    let path = folder.join("page.yaml");
    fs::write(&path, text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tp-runner"));
    command.current_dir(folder).arg("check");
    match environment {
        true => command.args([&format!("{ROOT}/plans/TP-004.yaml"), "--config", "page.yaml", "--env", "staging"]),
        false => command.arg("page.yaml"),
    };
    let output = command.output().expect("the binary starts");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn every_yaml_block_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    // included by plans on the pages
    fs::create_dir_all(folder.path().join("shared")).expect("a folder");
    fs::copy(Path::new(ROOT).join("examples/shared/sessions.yaml"), folder.path().join("shared/sessions.yaml"))
        .expect("a copy");
    let (mut wrong, mut checked) = (vec![], 0);
    for page in pages().into_iter().filter(|p| p != Path::new(DIAGNOSTICS)) {
        for (info, text, line) in blocks(&read(&page)) {
            let Some(kind) = info.strip_prefix("yaml") else { continue };
            let is_file = |word: &str| word.starts_with("file=") || word.starts_with("in=");
            if is_performed(&page) && kind.split_whitespace().any(is_file) {
                continue;
            }
            let mut words = kind.split_whitespace();
            let kind = match words.next() {
                None if page.starts_with("docs/verbs") => continue,
                kind => kind.unwrap_or("nothing"),
            };
            let reads = words.find_map(|w| w.strip_prefix("reads=")).unwrap_or_default();
            checked += 1;
            let result = if kind == "fragment" {
                let source = Arc::new(Source::new("page", text));
                tp_runner::yaml::parse(&source).map(drop).map_err(|d| d.render(false))
            } else {
                complete(kind, reads, &text).and_then(|file| check(folder.path(), file))
            };
            if let Err(e) = result {
                wrong.push(format!("{}:{line}\n{e}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 15, "only {checked} blocks");
}

#[test]
fn every_link_has_a_target() {
    let mut wrong = vec![];
    for page in pages() {
        let text = read(&page);
        for part in prose(&text).split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.contains("://") {
                continue;
            }
            let file = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            let exists = Path::new(ROOT).join(&file).exists();
            if !exists || !(anchor.is_empty() || anchors(&read(&file)).contains(anchor)) {
                wrong.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_summary_lists_every_page_of_docs() {
    let summary = read(Path::new("docs/SUMMARY.md"));
    let listed: BTreeSet<&str> = summary.split("](").skip(1).filter_map(|p| p.split(')').next()).collect();
    let pages = pages().into_iter().chain([MARKDOWN_PLAN.into()]);
    let missing: Vec<PathBuf> = pages
        .filter_map(|p| Some(p.strip_prefix("docs").ok()?.to_path_buf()))
        .filter(|p| p != Path::new("SUMMARY.md") && !listed.contains(p.to_str().expect("a name in UTF-8")))
        .collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}

#[test]
fn every_path_in_the_text_exists() {
    const FOLDERS: &[&str] = &["src/", "tests/", "sandbox/", "docs/", "examples/", "plans/", "benches/"];
    // history, and two pages that still name files of the old layout
    const UNCHECKED: &[&str] = &["docs/CHANGELOG.md", "docs/decisions/0003-embedded-sandbox.md", "docs/sandbox.md"];
    let mut wrong = vec![];
    // on performed pages, paths are those of the reader
    let is_checked = |p: &PathBuf| !UNCHECKED.contains(&p.to_str().expect("a name in UTF-8")) && !is_performed(p);
    for page in pages().into_iter().filter(is_checked) {
        for path in prose(&read(&page)).split('`').skip(1).step_by(2) {
            let is_path = FOLDERS.iter().any(|f| path.starts_with(f)) && !path.contains(['<', '*', ' ', '…']);
            if is_path && !path.starts_with("tests/reports") && !Path::new(ROOT).join(path).exists() {
                wrong.push(format!("{}: {path}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readme_shows_every_tier_of_tp004_passed() {
    let (readme, plan) = (read(Path::new("README.md")), read(Path::new("plans/TP-004.yaml")));
    let screen = blocks(&readme).into_iter().find(|(_, t, _)| t.contains(" TIER ")).expect("a block with output").1;
    let tiers: Vec<&str> = plan.lines().filter_map(|line| line.strip_prefix("    tier: ")).collect();
    for tier in ["must", "should", "nice"] {
        let count = tiers.iter().filter(|t| **t == tier).count();
        let row = screen.lines().find(|l| l.starts_with(&format!(" {tier} "))).expect("a row");
        assert!(count > 0 && row.ends_with(&format!(" {count} of {count}")), "{row}");
    }
    let sandbox = "sandbox (embedded reference platform): no deployment was tested";
    assert_eq!(screen.matches(sandbox).count(), 1);
    assert!(screen.contains(&format!("\nPASSED: all {} deciding cases passed ", tiers.len())));
    assert!(screen.contains("\nreport: tests/reports/integration-test-report.md"));
}

#[test]
fn the_page_of_exit_codes_matches_the_code() {
    let page = read(Path::new("docs/exit-codes.md"));
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|l| l.starts_with("| "))
        .map(|l| l.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let codes: Vec<u8> = rows.iter().filter_map(|r| r[0].trim_matches('`').parse().ok()).collect();
    let expected = [
        exit::SUCCESS,
        exit::FAILED,
        exit::USAGE,
        exit::UNREACHABLE,
        exit::NOTHING_SELECTED,
        exit::NO_REPORT,
        exit::INTERRUPTED,
    ];
    assert_eq!(codes, expected, "the table of exit codes");
    let gate = [
        (RunVerdict::Passed, exit::SUCCESS),
        (RunVerdict::Failed, exit::FAILED),
        (RunVerdict::Errored, exit::UNREACHABLE),
        (RunVerdict::Undecided, exit::NOTHING_SELECTED),
        (RunVerdict::Interrupted, exit::INTERRUPTED),
    ];
    for (verdict, code) in gate {
        assert_eq!(exit::of_run(verdict), code, "{}", verdict.as_str());
    }
    // the last cell of a verdict is its exit code
    let verdicts = [
        (Verdict::Passed, "0"),
        (Verdict::Failed, "1"),
        (Verdict::KnownFailure, "0"),
        (Verdict::Flaky, "0; in tier `must` 1 or 3"),
        (Verdict::Blocked, "1 or 3"),
        (Verdict::Errored, "3"),
        (Verdict::Interrupted, "130"),
        (Verdict::Skipped, ""),
    ];
    for (verdict, code) in verdicts {
        let row = rows.iter().find(|r| r[0] == verdict.as_str()).unwrap_or_else(|| panic!("no row for {verdict}"));
        assert!(row.last().is_some_and(|c| c.starts_with(code)), "{row:?}");
        assert_eq!(row.last().is_some_and(|c| c.is_empty()), code.is_empty(), "{row:?}");
    }
}

#[test]
fn the_proof_page_lists_every_defect_as_caught() {
    let text = read(Path::new("docs/TP-004-proof.md"));
    let results: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| {
            let name = line.split('|').nth(1)?.trim().strip_prefix('`')?.strip_suffix('`')?;
            // the last cell is the duration
            Some((name, line.rsplit('|').nth(2)?.trim()))
        })
        .collect();
    let caught: BTreeSet<&str> =
        results.iter().filter(|(_, result)| **result == "caught").map(|(name, _)| *name).collect();
    let all: BTreeSet<&str> = Defect::ALL.iter().map(|d| d.name()).collect();
    let other: Vec<_> = all.symmetric_difference(&caught).collect();
    assert!(!all.is_empty() && other.is_empty(), "not caught in the proof, or no defects: {other:?}");
}
