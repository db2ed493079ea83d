//! What the README and the pages under `docs/` say is true: every block of YAML is read by the runner as what it says that it is, every link
//! leads somewhere, and the tables of codes and verdicts are those of the code.
//!
//! The word after ```` ```yaml ```` says what a block is:
//!
//! | Word | Is checked as |
//! |---|---|
//! | `plan` | a plan of its own |
//! | `environment` | an environment file, with a plan; its environment is called `staging` |
//! | `actions` | what stands under `do`; put into a case |
//! | `expected` | what stands under `expected`; put into a case |
//! | `definitions` | what stands under `actions` of a plan |
//! | `fragment` | YAML, nothing more |
//!
//! `reads=a,b` after it names what a block reads and does not bind itself.
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
/// Not ours to hold: the plan as it was given, and the page of diagnostics, whose blocks are wrong on purpose.
const OTHERS: &[&str] = &["docs/TP-004.md", "docs/diagnostics.md"];

fn pages() -> Vec<PathBuf> {
    fn all(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()) {
            match entry.extension() {
                _ if entry.is_dir() => all(&entry, into),
                Some(e) if e == "md" => into.push(entry),
                _ => {}
            }
        }
    }
    let root = Path::new(ROOT);
    let mut pages = vec![root.join("README.md"), root.join("examples/README.md")];
    all(&root.join("docs"), &mut pages);
    pages.retain(|p| !OTHERS.iter().any(|o| root.join(o) == *p));
    pages.sort();
    pages
}

fn shown(page: &Path) -> String {
    page.strip_prefix(ROOT).unwrap_or(page).display().to_string()
}

/// Info string, text and line of each fenced block.
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

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|l| if l.is_empty() { "\n".into() } else { format!("{}{l}\n", " ".repeat(by)) }).collect()
}

/// A whole file around a block, and the arguments that check it.
fn whole(kind: &str, reads: &str, text: &str) -> Result<(String, bool), String> {
    let vars: String = reads.split(',').filter(|n| !n.is_empty()).map(|n| format!("  {n}: a value\n")).collect();
    let head = format!("plan: a-page\nenvironment: sandbox\n{}{vars}", if vars.is_empty() { "" } else { "vars:\n" });
    let case = "cases:\n  - id: PAGE-1\n    tier: must\n";
    let closing = "    expected:\n      - result: It is read\n        unproven: it is part of a page\n";
    Ok(match kind {
        "plan" => (text.to_string(), false),
        "environment" => (text.to_string(), true),
        "actions" => {
            let steps = format!("    steps:\n      - step: It is read\n        do:\n{}", indented(text, 10));
            (format!("{head}{case}{steps}{closing}"), false)
        }
        "expected" => (format!("{head}{case}    expected:\n{}", indented(text, 6)), false),
        "definitions" => (format!("{head}actions:\n{}{case}{closing}", indented(text, 2)), false),
        other => return Err(format!("`yaml {other}` is no kind of block")),
    })
}

fn check(folder: &Path, (text, environment): (String, bool)) -> Result<(), String> {
    let path = folder.join("page.yaml");
    fs::write(&path, text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tp-runner"));
    command.current_dir(folder).arg("check");
    match environment {
        // pages call it `staging`, and take their examples from this plan
        true => command.args([&format!("{ROOT}/plans/TP-004.yaml"), "--config", "page.yaml", "--env", "staging"]),
        false => command.arg("page.yaml"),
    };
    let output = command.output().expect("the binary starts");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn every_block_of_yaml_is_what_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    // what whole plans on a page include and are compared with
    fs::create_dir_all(folder.path().join("shared")).expect("a folder");
    fs::copy(Path::new(ROOT).join("examples/shared/sessions.yaml"), folder.path().join("shared/sessions.yaml"))
        .expect("a copy");
    let (mut wrong, mut checked) = (vec![], 0);
    for page in pages() {
        for (info, text, line) in blocks(&fs::read_to_string(&page).expect("a page")) {
            let Some(kind) = info.strip_prefix("yaml") else { continue };
            let mut words = kind.split_whitespace();
            let kind = words.next().unwrap_or("without a word");
            let reads = words.find_map(|w| w.strip_prefix("reads=")).unwrap_or_default();
            checked += 1;
            let result = if kind == "fragment" {
                let source = Arc::new(Source { name: "page".into(), text });
                tp_runner::yaml::parse(&source).map(drop).map_err(|d| d.render(false))
            } else {
                whole(kind, reads, &text).and_then(|file| check(folder.path(), file))
            };
            if let Err(e) = result {
                wrong.push(format!("{}:{line}\n{e}", shown(&page)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 15, "only {checked} blocks");
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = vec![];
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for part in text.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if target.contains("://") || file.is_empty() {
                continue;
            }
            let leads = page.parent().expect("a folder").join(file);
            // written by somebody else, and perhaps later
            if !leads.exists() && !OTHERS.iter().any(|o| leads.ends_with(Path::new(o).file_name().expect("a name"))) {
                wrong.push(format!("{}: {target}", shown(&page)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readme_shows_the_plan_as_it_is() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("the README");
    let plan = fs::read_to_string(Path::new(ROOT).join("plans/TP-004.yaml")).expect("the plan");
    let screen = blocks(&readme).into_iter().find(|(_, t, _)| t.contains("TC-INT-001")).expect("a screenful").1;
    let titles = plan
        .lines()
        .zip(plan.lines().skip(1))
        .filter_map(|(a, b)| Some((a.strip_prefix("  - id: ")?, b.strip_prefix("    title: ")?)));
    let mut last = 0;
    for (id, title) in titles {
        let row = screen.lines().position(|l| l.starts_with(&format!(" {id}  {title} ")) && l.contains(" passed "));
        let row = row.unwrap_or_else(|| panic!("{id} is not on the screen"));
        assert!(row > last, "{id} is not in the plan's order");
        last = row;
    }
    let sandbox = "sandbox (embedded reference platform): no deployment was tested";
    assert_eq!(screen.matches(sandbox).count(), 2, "said in the first and in the last line");
    assert!(screen.contains("\nPASSED: must 3/3, should 4/4, nice 3/3, in "));
    assert!(screen.contains("\nreport: tests/reports/integration-test-report.md"));
}

#[test]
fn the_exit_codes_are_those_of_the_code() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/exit-codes.md")).expect("the page");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|l| l.starts_with("| "))
        .map(|l| l.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let codes: Vec<u8> = rows.iter().filter_map(|r| r[0].trim_matches('`').parse().ok()).collect();
    let own = [
        exit::GREEN,
        exit::RED,
        exit::USAGE,
        exit::COULD_NOT_ASK,
        exit::NOTHING_SELECTED,
        exit::NO_REPORT,
        exit::INTERRUPTED,
    ];
    assert_eq!(codes, own, "the table of exit codes");
    let gate = [
        (RunVerdict::Passed, exit::GREEN),
        (RunVerdict::Failed, exit::RED),
        (RunVerdict::Errored, exit::COULD_NOT_ASK),
        (RunVerdict::Undecided, exit::NOTHING_SELECTED),
        (RunVerdict::Interrupted, exit::INTERRUPTED),
    ];
    for (verdict, code) in gate {
        assert_eq!(verdict.exit_code(), code, "{}", verdict.word());
    }
    // the row of a verdict ends with the code that it decides
    let verdicts = [
        (Verdict::Passed, "0"),
        (Verdict::Failed, "1"),
        (Verdict::Blocked, "1 or 3"),
        (Verdict::Errored, "3"),
        (Verdict::Interrupted, "130"),
        (Verdict::Skipped, ""),
    ];
    for (verdict, code) in verdicts {
        let row = rows.iter().find(|r| r[0] == verdict.word()).unwrap_or_else(|| panic!("no row for {verdict}"));
        assert!(row.last().is_some_and(|c| c.starts_with(code)), "{row:?}");
        assert_eq!(row.last().is_some_and(|c| c.is_empty()), code.is_empty(), "{row:?}");
    }
}

/// The proof that is shown is of the sandbox as it is: each of its defects is in the table, and caught.
#[test]
fn the_proof_shows_every_defect_caught() {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/TP-004-proof.md")).unwrap();
    let fates: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| {
            let name = line.split('|').nth(1)?.trim().strip_prefix('`')?.strip_suffix('`')?;
            // before the last cell, which is the time that it took
            Some((name, line.rsplit('|').nth(2)?.trim()))
        })
        .collect();
    let caught: BTreeSet<&str> = fates.iter().filter(|(_, fate)| **fate == "caught").map(|(name, _)| *name).collect();
    let all: BTreeSet<&str> = Defect::ALL.iter().map(|d| d.name()).collect();
    let other: Vec<_> = all.symmetric_difference(&caught).collect();
    assert!(!all.is_empty() && other.is_empty(), "not caught in the proof, or no defects: {other:?}");
}
