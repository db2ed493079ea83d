//! Any text in any place of a run: the report keeps its structure, and passes the rules of markdownlint that a text could break.
use super::{assert_intact, replace_texts, small};
use crate::report::samples;
use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof},
    sample::select,
    test_runner::{Config, TestRunner},
};

/// What means something in Markdown or HTML, alone and after a line end.
const PIECES: &[&str] = &[
    "\n",
    "\r\n",
    "\n\n",
    "\0",
    "\t",
    " ",
    "    ",
    "`",
    "``",
    "```",
    "~~~~",
    "#",
    "# EVIL",
    "=====",
    "-----",
    "---",
    "- EVIL",
    "> EVIL",
    "1. EVIL",
    "*",
    "**",
    "_",
    "[",
    "](",
    ")",
    "![",
    "<",
    ">",
    "</details>",
    "<details>",
    "<!--",
    "-->",
    "</summary>",
    "<script>",
    "|",
    "\\|",
    "\\",
    "&lt;",
    "&#124;",
    "http://evil.example",
    "www.evil.example",
    "$",
    "{",
    "}",
    "\u{202e}",
    "\u{2028}",
    "🎉",
    "漢字",
    "[^1]",
    ":",
];

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![9 => select(PIECES).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_text_changes_the_structure() {
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let case = |text: String| {
        for mut run in [small(), samples::mixed()] {
            run.events.iter_mut().for_each(|event| replace_texts(event, &text));
            let report = run.markdown();
            assert_intact(&report);
            assert_no_setext_heading(&report);
        }
        Ok(())
    };
    runner.run(&hostile(), case).unwrap();
}

/// A line of `=` or `-` below a text would make it a heading; the only rule of ours is between empty lines.
fn assert_no_setext_heading(report: &str) {
    let lines: Vec<&str> = outside_of_fences(report);
    for (above, line) in lines.iter().zip(&lines[1..]) {
        let text = line.trim();
        let is_underline = !text.is_empty() && (text.chars().all(|c| c == '=') || text.chars().all(|c| c == '-'));
        assert!(!is_underline || above.trim().is_empty(), "{above}\n{line}");
    }
}

/// The lines of a report; those of a fenced block are left out, its fences are not.
fn outside_of_fences(report: &str) -> Vec<&str> {
    let mut fence: Option<&str> = None;
    let mut lines = vec![];
    for line in report.lines() {
        let text = line.trim_start();
        match fence {
            Some(open) if text == open => {
                lines.push(line);
                fence = None;
            }
            Some(_) => {}
            None => {
                lines.push(line);
                let ticks = text.len() - text.trim_start_matches('`').len();
                fence = (ticks >= 3).then(|| &text[..ticks]);
            }
        }
    }
    lines
}

/// The rules of markdownlint that depend on how the parts of a report are put together, by their numbers.
#[test]
fn reports_pass_the_rules_of_markdownlint() {
    for run in [small(), samples::mixed(), samples::passing()] {
        let report = run.markdown();
        let lines = outside_of_fences(&report);
        let mut headings = std::collections::HashSet::new();
        for (i, line) in lines.iter().enumerate() {
            let text = line.trim();
            let (above, below) =
                (if i == 0 { "" } else { lines[i - 1].trim() }, lines.get(i + 1).map_or("", |l| l.trim()));
            assert_eq!(line.trim_end(), *line, "MD009: {line}");
            assert!(
                i == 0 || !(text.is_empty() && above.is_empty()),
                "MD012: after {:?}",
                lines.get(i.saturating_sub(2))
            );
            if text.starts_with('#') {
                assert!(above.is_empty() && below.is_empty(), "MD022: {line}\n{report}");
                assert!(headings.insert(text), "MD024: {line}");
            }
            if text.starts_with("```") && text.len() > 3 {
                assert!(above.is_empty(), "MD031: {line}\n{report}");
            }
            assert!(
                text != "```" || above.starts_with("```"),
                "MD040: a fence without a language below {above}\n{report}"
            );
            assert!(
                !(text.starts_with("**")
                    && text.ends_with("**")
                    && above.is_empty()
                    && below.is_empty()
                    && !text.ends_with(".**")),
                "MD036: {line}"
            );
            assert!(!text.starts_with("|--"), "MD060: {line}");
        }
        assert!(report.ends_with('\n') && !report.ends_with("\n\n"), "MD047");
    }
}
