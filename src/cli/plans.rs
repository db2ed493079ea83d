//! From files to a schedule: reading, comparing with the Markdown, compiling, and drawing what is wrong.
use super::{
    Failure,
    args::Selection,
    exit,
    files::{Disk, Found},
};
use crate::{
    diagnostic::{Diagnostics, Severity},
    engine::{compile, schedule::Schedule},
    executor::Registry,
    expr::Tree,
    plan::{Case, Environment, Environments, Plan, environment, markdown, read::Reader},
    source::Source,
    value::Value,
};
use std::sync::Arc;

/// Reads a plan and compares it with its Markdown. Everything that is wrong is in the diagnostics.
pub fn read(found: &Found, registry: &Registry) -> (Option<Plan>, Diagnostics) {
    let mut reader = Reader::new(registry.verbs().collect(), &Disk);
    let plan = reader.plan(&found.source);
    let mut problems = reader.problems;
    if let Some(plan) = &plan
        && let Some(source) = &plan.source
    {
        let text = match found.built_in {
            Some(text) => Ok(text.to_string()),
            None => std::fs::read_to_string(found.root.join(&source.text)),
        };
        match text {
            Ok(text) => markdown::compare(plan, &source.text, &text, &mut problems),
            Err(e) => problems.push(crate::diagnostic::Diagnostic::error(
                "source-missing",
                &source.span,
                format!("`{}` cannot be read: {e}", found.root.join(&source.text).display()),
            )),
        }
    }
    (plan, problems)
}

pub fn read_environments(source: &Arc<Source>, registry: &Registry) -> (Option<Environments>, Diagnostics) {
    let mut reader = Reader::new(registry.verbs().collect(), &Disk);
    let environments = environment::read(&mut reader, source);
    (environments, reader.problems)
}

/// Reads and compiles; fails with everything that is wrong, drawn.
pub fn schedule(
    found: &Found,
    registry: &Registry,
    environment: Option<Environment>,
    set: &[String],
    selected: &dyn Fn(&Case) -> bool,
    colour: bool,
) -> Result<(Schedule, Diagnostics), Failure> {
    let (plan, mut problems) = read(found, registry);
    let Some(plan) = plan else { return Err(bad(&problems, colour)) };
    let (schedule, more) = compile::compile(plan, registry, environment, variables(set)?, selected);
    problems.extend(more);
    problems.sort();
    match schedule {
        Some(s) if problems.errors() == 0 => Ok((s, problems)),
        _ => Err(bad(&problems, colour)),
    }
}

/// `NAME=VALUE`: a value that reads as JSON is that, else it is a text.
fn variables(set: &[String]) -> Result<Vec<(String, Tree)>, Failure> {
    set.iter()
        .map(|s| {
            let (name, value) = s
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("error: `--set {s}` is not like NAME=VALUE")))?;
            let value =
                serde_json::from_str(value).map_or_else(|_| Value::text(value), |j: serde_json::Value| Value::from(j));
            Ok((name.to_string(), Tree::Value(value)))
        })
        .collect()
}

pub fn draw(problems: &Diagnostics, colour: bool) -> String {
    problems.0.iter().map(|d| format!("{}\n\n", d.render(colour))).collect()
}

/// `3 errors, 1 warning`
pub fn count(problems: &Diagnostics) -> String {
    let errors = problems.errors();
    let warnings = problems.0.iter().filter(|d| d.severity == Severity::Warning).count();
    let one = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => "nothing is wrong".into(),
        (e, 0) => one(e, "error"),
        (0, w) => one(w, "warning"),
        (e, w) => format!("{}, {}", one(e, "error"), one(w, "warning")),
    }
}

pub fn bad(problems: &Diagnostics, colour: bool) -> Failure {
    Failure { message: format!("{}{}", draw(problems, colour), count(problems)), code: exit::USAGE }
}

/// Whether a case is selected, and the selection in words.
pub fn selector(selection: &Selection) -> Result<impl Fn(&Case) -> bool + use<>, Failure> {
    let mut patterns = vec![];
    for p in &selection.case {
        let glob =
            globset::Glob::new(p).map_err(|e| Failure::usage(format!("error: `--case {p}` is no pattern: {e}")))?;
        patterns.push(glob.compile_matcher());
    }
    let tiers = selection.tier.clone();
    Ok(move |case: &Case| {
        (tiers.is_empty() || tiers.contains(&case.tier))
            && (patterns.is_empty() || patterns.iter().any(|p| p.is_match(&case.id.text)))
    })
}

pub fn selection_words(selection: &Selection, chosen: usize, all: usize) -> String {
    let mut parts = vec![];
    if !selection.tier.is_empty() {
        parts.push(format!("tier {}", selection.tier.iter().map(|t| t.word()).collect::<Vec<_>>().join(", ")));
    }
    if !selection.case.is_empty() {
        parts.push(format!("case {}", selection.case.join(", ")));
    }
    if parts.is_empty() { format!("all {all} cases") } else { format!("{}: {chosen} of {all} cases", parts.join("; ")) }
}
