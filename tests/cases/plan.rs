//! A plan of this folder: its cases, and what is expected of each.
use std::{ops::RangeInclusive, path::Path};

/// Beginnings of the secret as programs write them.
pub const FORMS_OF_THE_SECRET: [&str; 8] =
    ["Zx8/kQ", "Zx8%2", "Zx8\\", "Zx8&", "5a78382f6b51", "5A78382F6B51", "5a:78:38:2f", "Wng4L2tR"];

pub struct Case {
    pub id: String,
    pub verdict: String,
    pub words: String,
    text: String,
}

pub struct Plan {
    /// What stands before the cases.
    head: String,
    pub cases: Vec<Case>,
}

impl Plan {
    pub fn read(name: &str) -> Plan {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/plans/{name}.yaml"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut parts = text.split("\n  - id: ");
        let head = parts.next().unwrap().to_string();
        let cases: Vec<Case> = parts.map(|part| Case::read(part, name)).collect();
        assert!(!cases.is_empty(), "{name} has no cases");
        Plan { head, cases }
    }

    /// A plan of the cases that `check` refuses, and one of the others.
    pub fn split(&self) -> (Option<String>, Option<String>) {
        let part = |refused: bool| {
            let cases = self.cases.iter().filter(|c| (c.verdict == "refused") == refused);
            let text: String = cases.map(|c| c.text.as_str()).collect();
            (!text.is_empty()).then(|| format!("{}{text}\n", self.head))
        };
        (part(true), part(false))
    }
}

impl Case {
    fn read(part: &str, plan: &str) -> Case {
        let (first, _) = part.split_once('\n').expect("a case of several lines");
        let (id, expected) = first.split_once(" # ").unwrap_or_else(|| panic!("{plan}: {first}: no verdict"));
        let (verdict, words) = expected.split_once(": ").unwrap_or((expected, ""));
        let is_right = match verdict {
            "passed" => id.starts_with("GREEN-"),
            "failed" | "errored" | "refused" => id.starts_with("RED-") && !words.is_empty(),
            _ => false,
        };
        assert!(is_right, "{plan}: {first}");
        Case { id: id.into(), verdict: verdict.into(), words: words.into(), text: format!("\n  - id: {part}") }
    }
}

/// The lines of a case.
pub fn lines_of(plan: &str, id: &str) -> RangeInclusive<usize> {
    let starts: Vec<_> = plan.lines().enumerate().filter(|(_, l)| l.starts_with("  - id: ")).collect();
    let at = starts.iter().position(|(_, l)| l.starts_with(&format!("  - id: {id} "))).expect("a case");
    starts[at].0 + 1..=starts.get(at + 1).map_or(usize::MAX, |(n, _)| *n)
}

/// The line and the text of each diagnostic.
pub fn diagnostics(stderr: &str) -> Vec<(usize, String)> {
    let blocks = stderr.split("\n\n").filter(|block| block.starts_with("error") || block.starts_with("warning"));
    let line = |block: &str| block.split("plan.yaml:").nth(1)?.split(':').next()?.parse().ok();
    blocks.filter(|b| b.starts_with("error")).filter_map(|b| Some((line(b)?, b.to_string()))).collect()
}

/// What the terminal says about a case that did not pass.
pub fn block(terminal: &str, id: &str) -> String {
    let is_head = |line: &&str| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(|word| ["failed", "errored"].contains(&word)) && words.nth(1) == Some(id)
    };
    let mut lines = terminal.lines().skip_while(|line| !is_head(line));
    let head = lines.next().into_iter();
    head.chain(lines.take_while(|line| line.starts_with("  "))).collect::<Vec<_>>().join("\n")
}
