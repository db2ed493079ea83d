//! `check --fix`: makes the repairs that are obvious, in the files of the user.
use super::{args::EnvArgs, failure::Failure, files::PlanFile, plans, print};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    executor::Registry,
    file,
    report::wording::count,
    source::Source,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// One repair can show another problem.
const MAX_ROUNDS: usize = 10;

/// Repairs a plan, and the files that it includes. Returns the plan as it is then.
pub fn repaired(
    mut plan: PlanFile,
    args: &EnvArgs,
    registry: &Registry,
    check: &dyn Fn(&plans::Draft<'_>) -> Diagnostics,
) -> Result<PlanFile, Failure> {
    if plan.built_in.is_some() {
        return Err(Failure::usage("error: `--fix` cannot change a plan that is built in"));
    }
    let mut repairs = 0;
    let mut problems = check(&plans::read(&plan, args, registry));
    for _ in 0..MAX_ROUNDS {
        let texts = with_repairs(&problems);
        if texts.is_empty() {
            break;
        }
        let before: Vec<Arc<Source>> = texts.keys().filter_map(|name| source_of(&problems, name)).collect();
        for (name, (text, _)) in &texts {
            write(name, text)?;
        }
        let changed = texts.contains_key(&plan.source.name);
        let next = if changed { read_again(&plan)? } else { PlanFile { source: plan.source.clone(), ..plan } };
        let found = check(&plans::read(&next, args, registry));
        if found.errors() > problems.errors() {
            // not what was meant
            for source in before {
                write(&source.name, &source.text)?;
            }
            plan = if changed { read_again(&next)? } else { next };
            break;
        }
        for (_, notes) in texts.values() {
            notes.iter().for_each(|note| print::err(format_args!("{note}\n")));
            repairs += notes.len();
        }
        (plan, problems) = (next, found);
    }
    print::err(format_args!("{} made\n", count(repairs, "repair")));
    Ok(plan)
}

fn read_again(plan: &PlanFile) -> Result<PlanFile, Failure> {
    let path = Path::new(&plan.source.name);
    let text = file::read_text(path).map_err(|e| Failure::not_read(path, e))?;
    let source = Arc::new(Source::new(plan.source.name.clone(), text));
    Ok(PlanFile { source, root: plan.root.clone(), built_in: None })
}

fn write(name: &str, text: &str) -> Result<(), Failure> {
    let path = Path::new(name);
    file::replace(path, text.as_bytes()).map_err(|e| Failure::not_written(path, &e))
}

fn source_of(problems: &Diagnostics, name: &str) -> Option<Arc<Source>> {
    problems.0.iter().map(|d| &d.span.source).find(|source| source.name == name).cloned()
}

/// The text of each file with its repairs, and a line about each of them.
fn with_repairs(problems: &Diagnostics) -> BTreeMap<String, (String, Vec<String>)> {
    let mut by_file: BTreeMap<String, Vec<(&Diagnostic, &str)>> = BTreeMap::new();
    for problem in &problems.0 {
        if let Some(replacement) = &problem.replacement {
            by_file.entry(problem.span.source.name.clone()).or_default().push((problem, replacement));
        }
    }
    // a file that has changed since it was read is left alone
    by_file.retain(|name, repairs| {
        let read = file::read_text(Path::new(name));
        repairs.first().is_some_and(|(d, _)| read.is_ok_and(|text| text == d.span.source.text))
    });
    by_file.into_iter().map(|(name, repairs)| (name, apply(repairs))).collect()
}

fn apply(mut repairs: Vec<(&Diagnostic, &str)>) -> (String, Vec<String>) {
    repairs.sort_by_key(|(d, _)| (d.span.range.start, d.span.range.end));
    // of two that overlap, the first one
    let mut end = 0;
    repairs.retain(|(d, _)| {
        let keep = d.span.range.start >= end;
        if keep {
            end = d.span.range.end;
        }
        keep
    });
    let mut text = repairs.first().map(|(d, _)| d.span.source.text.clone()).unwrap_or_default();
    for (d, replacement) in repairs.iter().rev() {
        text.replace_range(d.span.range.clone(), replacement);
    }
    let note = |(d, replacement): &(&Diagnostic, &str)| {
        format!("{}: `{}` becomes `{replacement}`", d.span.location(), d.span.text())
    };
    (text, repairs.iter().map(note).collect())
}
