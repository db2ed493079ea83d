//! From files to a schedule: reading, comparing with the Markdown, compiling, and drawing what is wrong.
use super::{
    args::Selection,
    exit,
    failure::Failure,
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

/// A plan as it was read, with everything that is wrong with it so far.
pub struct Draft {
    plan: Option<Plan>,
    problems: Diagnostics,
}

/// Reads a plan and compares it with its Markdown.
pub fn read(found: &Found, registry: &Registry) -> Draft {
    let mut reader = Reader::new(registry.verbs().collect(), &Disk);
    let plan = reader.plan(&found.source);
    let mut problems = reader.problems;
    if let Some(plan) = &plan
        && let Some(source) = &plan.source
    {
        let text = match found.built_in {
            Some(plan) => Ok(plan.markdown.to_string()),
            None => std::fs::read_to_string(found.root.join(&source.text)),
        };
        match text {
            Ok(text) => markdown::compare(plan, &source.text, &text, &mut problems),
            Err(e) => problems.push(crate::diagnostic::Diagnostic::error(
                "source-not-found",
                &source.span,
                format!("`{}` cannot be read: {e}", found.root.join(&source.text).display()),
            )),
        }
    }
    Draft { plan, problems }
}

impl Draft {
    /// What the plan is called, where it runs when nobody says otherwise, and how many cases it has.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Everything that is wrong with it, alone or in an environment.
    pub fn check(&self, registry: &Registry, environment: Option<&Environment>) -> Diagnostics {
        self.compiled(registry, environment, vec![], &|_| true).1
    }

    /// Fails with everything that is wrong, drawn.
    pub fn compile(
        &self,
        registry: &Registry,
        environment: Option<&Environment>,
        set: &[String],
        selected: &dyn Fn(&Case) -> bool,
        colour: bool,
    ) -> Result<Schedule, Failure> {
        let (schedule, problems) = self.compiled(registry, environment, variables(set)?, selected);
        schedule.filter(|_| problems.errors() == 0).ok_or_else(|| bad(&problems, colour))
    }

    /// With the variables that the plan sets for being proved; those of the command line stand above them.
    #[cfg(feature = "sandbox")]
    pub fn compile_for_proof(
        &self,
        registry: &Registry,
        environment: Option<&Environment>,
        set: &[String],
    ) -> Result<Schedule, Failure> {
        let own = self.plan.iter().flat_map(|p| &p.prove.set).map(|(n, t)| (n.text.clone(), t.clone()));
        let all = own.chain(variables(set)?).collect();
        let (schedule, problems) = self.compiled(registry, environment, all, &|_| true);
        schedule.filter(|_| problems.errors() == 0).ok_or_else(|| bad(&problems, false))
    }

    fn compiled(
        &self,
        registry: &Registry,
        environment: Option<&Environment>,
        set: Vec<(String, Tree)>,
        selected: &dyn Fn(&Case) -> bool,
    ) -> (Option<Schedule>, Diagnostics) {
        let mut problems = self.problems.clone();
        let Some(plan) = self.plan.clone() else { return (None, problems) };
        let (schedule, more) = compile::compile(plan, registry, environment.cloned(), set, selected);
        problems.extend(more);
        problems.sort();
        (schedule, problems)
    }
}

pub fn read_environments(source: &Arc<Source>, registry: &Registry) -> (Option<Environments>, Diagnostics) {
    let mut reader = Reader::new(registry.verbs().collect(), &Disk);
    let environments = environment::read(&mut reader, source);
    (environments, reader.problems)
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
