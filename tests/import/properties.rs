//! What holds for all documents: nothing is lost, the YAML is valid, ids are unique, and reading takes linear time.
use super::outline;
use proptest::prelude::*;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use tp_runner::import::{import, line_words, skeleton, sync};

/// Pieces of plans: labels, markers, and characters that Markdown, Gherkin, CSV or YAML give a meaning.
const PIECES: &[&str] = &[
    "# ",
    "## ",
    "### ",
    "#### Steps\n",
    "\n",
    "\n\n",
    "- ",
    "* ",
    "1. ",
    "2) ",
    "  - ",
    "    ",
    "- [ ] ",
    "- [x] ",
    "> ",
    "**Steps:**\n",
    "**Expected Results**:\n",
    "**Preconditions**: ",
    "**Priority**: ",
    "Expected: ",
    "Cleanup:\n",
    "TC-1: ",
    "TC-2 - ",
    "Test Case 3: ",
    "Step 1: ",
    "Given ",
    "When ",
    "Then ",
    "And ",
    "Scenario: ",
    "Feature: ",
    "Background:\n",
    "Examples:\n",
    "| a | b |\n|---|---|\n",
    "| ID | Title | Steps | Expected |\n|--|--|--|--|\n",
    "| # | Action | Expected |\n|--|--|--|\n",
    "| TC-9 | x | 1. y<br>2. z | w |\n",
    "| 1 | open | it opens |\n",
    "|",
    "\\|",
    "```\n",
    "```json\n",
    "{\"a\": [1, \"${b}\"]}\n",
    "```gherkin\n",
    "~~~\n",
    "<table><tr><td>",
    "</td></tr></table>",
    "<br>",
    "<details><summary>",
    "<!-- note -->",
    "<name>",
    "&amp;",
    "&nbsp;",
    "---\n",
    "===\n",
    "***",
    "`code`",
    "**bold**",
    "_it_",
    "[a](http://b.c)",
    "![i](j.png)",
    "[r]: http://d.e \"t\"\n",
    ": definition\n",
    "✅ ",
    "🔴 ",
    "→ ",
    "=> ",
    "${x}",
    "$${y}",
    "'",
    "\"",
    ": ",
    " #",
    "%",
    "@",
    "!",
    "&",
    "*",
    "?",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    "\t",
    "\r\n",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\0",
    "é",
    "Ж",
    "語",
    "null",
    "yes",
    "1.10",
    "0x1F",
    "Success Criteria\n",
    "Must Pass\n",
    "Scope\n",
    "In Scope:\n",
    "Objective\n",
    "P0",
    "High",
    "Title",
    "the user logs in",
    "Verify that it works",
    "word",
    "N/A",
    "-",
    "@tag ",
    "\"\"\"\n",
    "# language: de\n",
    "Angenommen ",
    "title: x\n",
    "sep=;\n",
];

fn documents() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(str::to_string),
        1 => "\\PC{0,12}",
        1 => any::<String>(),
        1 => "[a-z]{3,8}( [a-z]{2,8}){0,3}\n",
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn check(text: &str, path: &str) {
    let plan = import(text, path);
    let yaml = skeleton(&plan, path);
    outline::assert_same_sentences(&plan, &yaml);
    let mut ids = HashSet::new();
    for case in &plan.cases {
        assert!(!case.id.is_empty() && ids.insert(case.id.as_str()), "{}: {text:?}", case.id);
    }
    let labels = plan.labels.iter().map(|l| l.text.as_str());
    let mut known = outline::words_of_yaml(&yaml);
    known.extend(labels.flat_map(outline::words));
    let read = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    for (i, line) in read.lines().enumerate() {
        for word in line_words(line) {
            assert!(known.contains(&word), "line {}: `{word}` is lost\n{text:?}\n{yaml}", i + 1);
        }
    }
    let lines = read.lines().count().max(1) + 1;
    for warning in &plan.warnings {
        assert!((1..=lines).contains(&warning.line), "{warning:?}\n{text:?}");
    }
    let changes = sync::sync(&sync::Existing::from(&plan), &plan);
    assert!(changes.cases.is_empty(), "{changes}\n{text:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn keeps_all_words_of_any_markdown(text in documents()) {
        check(&text, "docs/any plan.md");
    }

    #[test]
    fn keeps_all_words_of_any_gherkin(text in documents()) {
        check(&text, "any.feature");
        check(&format!("Feature: x\n{text}"), "any.feature");
    }

    #[test]
    fn keeps_all_words_of_any_csv(text in documents()) {
        check(&text, "any.csv");
        check(&format!("ID,Title,Steps,Expected Result,Priority\n{text}"), "any.csv");
    }
}

/// Reads a text of about a megabyte made of `piece`, which must take seconds, not minutes.
fn is_fast(piece: &str, path: &str) {
    let text = piece.repeat(1_000_000 / piece.len());
    let start = Instant::now();
    let plan = import(&text, path);
    let read = start.elapsed();
    let yaml = skeleton(&plan, path);
    assert!(!yaml.is_empty());
    assert!(start.elapsed() < Duration::from_secs(20), "{piece:?}: {read:?}, {:?}", start.elapsed());
}

#[test]
fn reads_a_megabyte_in_linear_time() {
    for piece in [
        "# TC-1: a\n**Steps:**\n1. b\n\n**Expected:** c\n\n",
        "- ",
        "> ",
        "- a\n",
        "1. a → b is shown\n",
        "# a\n",
        "**a**\n\n- b\n\n",
        "| ID | Steps | Expected |\n|-|-|-|\n| TC-1 | a | b |\n\n",
        "word ",
        "1. ",
        "**",
        "[",
        "<",
        "<td>",
        "<!--",
        "`",
        "&",
        "\n",
        "Given a when b then c\n\n",
        "Given ",
        "```\n",
        "a\n: b\n\n",
        "(TC-1 ",
    ] {
        is_fast(piece, "p.md");
    }
    for piece in ["Scenario: a\n  Given b\n", "|a|b|\n", "@a ", "\"\"\"\n", "* \n"] {
        is_fast(&format!("Feature: x\n{piece}"), "p.feature");
        is_fast(piece, "p.feature");
    }
    for piece in ["a,b\n", "\"", "ID,Steps,Expected\n", "TC-1,1. a 2. b,c\n", "\n", ","] {
        is_fast(piece, "p.csv");
    }
}

#[test]
fn reads_long_lists_and_tables_in_linear_time() {
    let rows = "| TC-1 | open | it opens |\n".repeat(30_000);
    is_fast_once(&format!("| ID | Steps | Expected |\n|-|-|-|\n{rows}"), "p.md");
    let steps = "1. Click on it and wait for the answer\n".repeat(25_000);
    is_fast_once(&format!("## TC-1: x\n\n**Steps:**\n{steps}\n**Expected:** y\n"), "p.md");
    let nested = "- a\n  - b\n    - c\n".repeat(30_000);
    is_fast_once(&format!("## TC-1: x\n\n**Steps:**\n{nested}"), "p.md");
    let lost = (0..20_000).map(|i| format!("[r{i}]: http://x/{i}\n")).collect::<String>();
    is_fast_once(&lost, "p.md");
    let inline = (1..20_000).map(|i| format!("{i}. a ")).collect::<String>();
    is_fast_once(&format!("ID,Steps\nTC-1,\"{inline}\"\n"), "p.csv");
}

fn is_fast_once(text: &str, path: &str) {
    let start = Instant::now();
    let plan = import(text, path);
    let yaml = skeleton(&plan, path);
    assert!(!yaml.is_empty());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?} for {:?}", start.elapsed(), &text[..60.min(text.len())]);
}
