//! The Markdown report, in the shape of the plan: its headings and its sentences, in its order,
//! each with what was observed. Two equal runs give equal reports except for times and generated
//! names.
mod case;
mod details;
mod environment;
pub mod escape;
mod format;
mod summary;
#[cfg(test)]
mod tests;

use super::run_index::RunIndex;
use format::notice;
use regex::Regex;
use std::{
    io::{self, Write},
    sync::LazyLock,
};

/// Of markdownlint: lines are as long as what they show, and evidence is folded.
const LINTER: &str = "\n<!-- markdownlint-disable-file MD013 MD033 -->\n";

/// The head of the report, for a document that has no section to link to.
pub fn overview(run: &RunIndex) -> String {
    static LINK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(^|[^\\])\[((?:[^\[\]\\]|\\.)*)\]\(#[^()\s]*\)").expect("valid"));
    let mut text = String::new();
    summary::header(run, &mut text);
    summary::problems(run, &mut text);
    summary::success_criteria(run, &mut text);
    LINK.replace_all(&text, "$1$2").into_owned()
}

/// Writes one case at a time, so that memory stays flat.
pub fn write(run: &RunIndex, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    summary::header(run, &mut text);
    summary::problems(run, &mut text);
    summary::success_criteria(run, &mut text);
    summary::objective_and_scope(run, &mut text);
    out.write_all(text.as_bytes())?;
    if !run.cases.is_empty() {
        out.write_all(b"\n## Test Cases\n")?;
    }
    for case in &run.cases {
        let mut text = String::new();
        case::write(case, &mut text);
        out.write_all(text.as_bytes())?;
    }
    let mut text = String::new();
    summary::not_verified(run, &mut text);
    environment::outside_cases(run, &mut text);
    environment::dependencies(run, &mut text);
    environment::notes(run, &mut text);
    text += LINTER;
    if let Some(notice) = notice(run) {
        text += &format!("\n---\n\n{notice}\n");
    }
    out.write_all(text.as_bytes())
}
