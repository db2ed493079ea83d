//! Where an entry is inserted, and that nothing else changes.
use super::{Entry, Refusal, edit, entry};
use crate::report::samples;
use proptest::prelude::*;
use std::sync::Arc;

fn sample(run: &str) -> Entry {
    let lines = ["#### Validator - TP-900 run (03:04)", "", "**PASSED**", ""].map(str::to_owned);
    Entry { run: run.into(), date: "2026-01-02".into(), lines: lines.into() }
}

const ENTRY: &str = "<!-- tp-runner run r1 -->\n#### Validator - TP-900 run (03:04)\n\n**PASSED**\n\n<!-- end of tp-runner run r1 -->\n";

fn inserted(document: &str, create: bool) -> String {
    edit(document, &sample("r1"), create).unwrap().apply(document)
}

#[test]
fn an_entry_follows_those_of_its_day() {
    for (document, expected) in [
        // its day exists
        (
            "## Agent Communication Log\n\n### 2026-01-02\n\nold\n",
            "## Agent Communication Log\n\n### 2026-01-02\n\nold\n\nENTRY",
        ),
        // no line end at the end
        (
            "## agent communication LOG\n\n### 2026-01-02\n\nold",
            "## agent communication LOG\n\n### 2026-01-02\n\nold\n\nENTRY",
        ),
        // a rule closes the section
        (
            "## Agent Communication Log\n### 2026-01-02\nold\n\n---\n\nmore\n\n---\n\n## Next\n",
            "## Agent Communication Log\n### 2026-01-02\nold\n\n---\n\nmore\n\nENTRY\n---\n\n## Next\n",
        ),
        // no blank line before the next heading
        (
            "## Agent Communication Log\n### 2026-01-02\nold\n## Next\n",
            "## Agent Communication Log\n### 2026-01-02\nold\n\nENTRY\n## Next\n",
        ),
        // its day does not exist
        ("## Agent Communication Log\n\n## Next\n", "## Agent Communication Log\n\n### 2026-01-02\n\nENTRY\n## Next\n"),
        (
            "## Agent Communication Log\n\n### 2025-12-01\n\nold\n",
            "## Agent Communication Log\n\n### 2025-12-01\n\nold\n\n### 2026-01-02\n\nENTRY",
        ),
        // newest first
        (
            "## Agent Communication Log\n\n### 2025-12-02\n\nb\n\n### 2025-12-01\n\na\n",
            "## Agent Communication Log\n\n### 2026-01-02\n\nENTRY\n### 2025-12-02\n\nb\n\n### 2025-12-01\n\na\n",
        ),
        // headings in code
        (
            "```\n## Agent Communication Log\n```\n## Agent Communication Log\n```sh\n# comment\n## Next\n```\n",
            "```\n## Agent Communication Log\n```\n## Agent Communication Log\n```sh\n# comment\n## Next\n```\n\n### 2026-01-02\n\nENTRY",
        ),
    ] {
        assert_eq!(inserted(document, false), expected.replace("ENTRY", ENTRY), "{document}");
    }
}

#[test]
fn a_missing_section_is_created_only_when_asked() {
    let section = format!("## Agent Communication Log\n\n### 2026-01-02\n\n{ENTRY}");
    for (document, expected) in [
        ("", section.clone()),
        ("# Plan\n", format!("# Plan\n\n{section}")),
        ("# Plan\n\n## Notes and Blockers\nx\n", format!("# Plan\n\n{section}\n---\n\n## Notes and Blockers\nx\n")),
    ] {
        assert_eq!(inserted(document, true), expected);
        assert_eq!(edit(document, &sample("r1"), false).unwrap_err(), Refusal::NoSection("Agent Communication Log"));
    }
}

#[test]
fn line_ends_of_the_document_are_used() {
    let document = "# Plan\r\n\r\n## Agent Communication Log\r\n\r\n## Next\r\n";
    let result = inserted(document, false);
    assert_eq!(result.matches('\n').count(), result.matches("\r\n").count());
    assert_eq!(result.replace("\r\n", "\n"), inserted(&document.replace("\r\n", "\n"), false));
}

#[test]
fn the_entry_of_the_same_run_is_replaced() {
    let document = "## Agent Communication Log\n\n### 2026-01-02\n\nold\n\n## Next\n";
    let once = inserted(document, false);
    assert_eq!(inserted(&once, false), once);
    let mut changed = sample("r1");
    changed.lines[2] = "**FAILED**".into();
    let twice = edit(&once, &changed, false).unwrap().apply(&once);
    assert_eq!(twice, once.replace("PASSED", "FAILED"));
    let other = edit(&once, &sample("r2"), false).unwrap().apply(&once);
    assert_eq!(other.matches("**PASSED**").count(), 2);
}

#[test]
fn refuses_what_it_cannot_change_safely() {
    let section = "## Agent Communication Log\n";
    for (document, expected) in [
        (
            format!("{section}<<<<<<< HEAD\n"),
            "line 2: expected no merge conflict, found `<<<<<<<`; resolve the conflict first",
        ),
        (
            format!("{section}\n```\n"),
            "line 3: expected the end of the code block, found the end of the file; close it first",
        ),
        (
            format!("{section}\n{section}"),
            "line 3: expected one heading `## Agent Communication Log`, found a second one; rename one of them",
        ),
        (
            format!("{section}\n<!-- tp-runner run r1 -->\n"),
            "line 3: expected one entry of the run `r1` between its two comments, found another form; remove the entry first",
        ),
        (
            format!("{section}<!-- tp-runner run r1 -->\n## Other\n<!-- end of tp-runner run r1 -->\n"),
            "line 2: expected one entry of the run `r1` between its two comments, found another form; remove the entry first",
        ),
    ] {
        assert_eq!(edit(&document, &sample("r1"), true).unwrap_err().to_string(), expected);
    }
}

#[test]
fn an_entry_names_totals_cases_and_issues() {
    let entry = entry(&samples::mixed().index(), "tests/reports/greetings.md");
    let expected = r#"#### Validator - TP-900 run k3x9q (03:04)

**FAILED**: Greetings (sample)

- **Total**: 5 (1 failed, 1 blocked, 1 errored, 1 interrupted, 1 skipped)
- **Coverage**: 5 of 15 sentences verified
- **Gate**: must, should and nice
- **Environment**: staging (the shared cluster)
- **Started**: 2026-01-02 03:04 UTC, took 2.2 s
- **Report**: `tests/reports/greetings.md`

- ❌ FAIL TC-1: Wrong Response
- ⚠️ ERRORED TC-2: Unknown Host
- ⚠️ BLOCKED TC-3: Not Ready
- ⚠️ INTERRUPTED TC-4: Cancelled Run
- ⚠️ SKIPPED TC-5: Too Late

**Issues Found**:

- TC-1 (must, priority high): Greet everyone
  - `status`: expected `201`, found `500`; `a == 2 && (b || c)` does not hold: `a` is `1` and `b || c` is `false`
  - in the plan: `plans/TP-900.yaml:42`
  - to repeat it: `curl -X POST https://greeter.example/greetings \ -d '{"to": "Ann"}'`"#;
    assert!(entry.lines.join("\n").starts_with(expected), "{}", entry.lines.join("\n"));
    assert_eq!((entry.run.as_str(), entry.date.as_str()), ("k3x9q", "2026-01-02"));
}

/// Lines of which documents are made: what the outline distinguishes, and hostile ones.
fn any_document() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => Just("text".to_owned()),
        3 => Just(String::new()),
        3 => Just("## Agent Communication Log".to_owned()),
        3 => Just("### 2026-01-02".to_owned()),
        1 => prop::sample::select(vec![
            "# One", "## Notes and Blockers", "### 2025-12-31", "### 2026-03-01", "```", "~~~", "````sh", "---", "===",
            "<!-- note -->", "<!--", "-->", "<pre>", "</pre>", "- item", "    ## code", "> ## quote", "| a | b |",
            "<!-- tp-runner run r1 -->", "<!-- end of tp-runner run r1 -->", "#### Validator", "\u{feff}", "1. one",
        ]).prop_map(str::to_owned),
        1 => "[ -~é#`<>-]{0,12}",
    ];
    let line_end = prop::sample::select(vec!["\n", "\n", "\r\n"]);
    (prop::collection::vec((line, line_end), 0..14), any::<bool>()).prop_map(|(lines, ends)| {
        let text: String = lines.iter().map(|(line, end)| format!("{line}{end}")).collect();
        if ends { text } else { text.trim_end_matches(['\r', '\n']).to_owned() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_other_byte_is_kept(document in any_document(), create in any::<bool>()) {
        if let Ok(first) = edit(&document, &sample("r1"), create) {
            let once = first.apply(&document);
            prop_assert!(once.starts_with(&document[..first.range.start]));
            prop_assert!(once.ends_with(&document[first.range.end..]));
            // what is replaced is an entry of the same run
            let replaced = &document[first.range.clone()];
            prop_assert!(replaced.is_empty() || replaced.starts_with("<!-- tp-runner run r1 -->"), "{replaced:?}");
            // the entry is there once: adding it again changes nothing
            let second = edit(&once, &sample("r1"), false);
            let second = second.map_err(|e| TestCaseError::fail(format!("{e}: {once:?}")))?;
            prop_assert_eq!(second.apply(&once), once.clone());
            let entries = |text: &str| text.matches("<!-- end of tp-runner run r1 -->").count();
            prop_assert!(!replaced.is_empty() || entries(&once) == entries(&document) + 1);
        }
    }

    #[test]
    fn no_text_of_a_run_changes_the_structure(text in "[#`<>~=\\-|\\\\\n\r!\\[\\]()a-c 0-9.*_]{0,40}") {
        let mut run = samples::mixed().index();
        run.start.plan.title.clone_from(&text);
        run.start.plan.id.clone_from(&text);
        run.start.environment.name.clone_from(&text);
        for case in &mut run.cases {
            Arc::make_mut(&mut case.outline).id.clone_from(&text);
            Arc::make_mut(&mut case.outline).title.clone_from(&text);
            case.reason = Some(text.clone());
            case.sentences.iter_mut().for_each(|s| Arc::make_mut(&mut s.outline).text.clone_from(&text));
        }
        let document = "# Plan\n\n## Agent Communication Log\n\n## Next\n";
        let result = edit(document, &entry(&run, &text), false).map(|e| e.apply(document));
        let result = result.map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(edit(&result, &entry(&run, &text), false).unwrap().apply(&result), result);
    }
}
