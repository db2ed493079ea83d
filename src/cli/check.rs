//! `check`: validates plans without network access.
use super::{args, exit, failure::Failure, files, fix, plans, print};
use crate::{
    engine::compile::weak_secrets,
    executors,
    plan::{Plan, Sentence},
    report::wording::{count, one_line},
};
use std::fmt::Write;

/// Sentences without actions that are listed.
const MAX_LISTED: usize = 100;
const MAX_TEXT_CHARS: usize = 80;

pub fn command(args: args::Check) -> Result<u8, Failure> {
    let registry = executors::registry();
    let environments = plans::environments(args.environment.config.as_deref(), &registry)?;
    let default = environments.as_ref().and_then(|e| e.get(e.default.as_deref()?)).cloned();
    let environment = match &args.environment.env {
        None => None,
        Some(name) => {
            let all = environments.map(|e| e.all).unwrap_or_default();
            let known: Vec<&str> = all.iter().map(|e| e.name.as_str()).collect();
            let unknown = Failure::unknown_environment(name, &known);
            let mut named = all.into_iter().find(|e| e.name == *name).ok_or(unknown)?;
            args.environment.apply_to(&mut named);
            Some(named)
        }
    };
    let variables = plans::process_scope();
    let mut code = exit::SUCCESS;
    for mut file in files::plans(&args.plans)? {
        if args.fix {
            file = fix::repaired(file, &args.environment, &registry, &|draft| draft.check(environment.as_ref()))?;
        }
        let draft = plans::read(&file, &args.environment, &registry);
        let cases = draft.plan.as_ref().map_or(0, |p| p.cases.len());
        let (mut problems, mut blocked) = match &environment {
            Some(chosen) => draft.check_in(chosen),
            None => (draft.check(None), vec![]),
        };
        if let (Some(plan), Some(chosen)) = (&draft.plan, environment.as_ref().or(default.as_ref())) {
            problems.extend(weak_secrets(plan, chosen, &variables));
            if environment.is_none() {
                // of the default environment only what this machine lacks is reported
                let (mut unset, of_default) = draft.check_in(chosen);
                unset.0.retain(|d| d.code == "unset-variable");
                problems.extend(unset);
                blocked = of_default;
            }
            problems.sort();
        }
        print::err(format_args!("{}", plans::render(&problems)));
        if let Some(plan) = &draft.plan {
            print::err(format_args!("{}", without_actions(plan)));
        }
        if let Some(chosen) = environment.as_ref().or(default.as_ref()) {
            for (case, why) in blocked {
                print::err(format_args!("{case} will be blocked in `{}`: {why}\n", chosen.name));
            }
        }
        print::out(format_args!("{}: {}, {}\n", file.source.name, count(cases, "case"), plans::count(&problems)));
        if problems.errors() > 0 {
            code = exit::USAGE;
        }
    }
    Ok(code)
}

/// The preconditions and steps without actions; an expected result without an assertion is an error.
fn without_actions(plan: &Plan) -> String {
    let bare = |sentences: &'_ [Sentence], name: &'static str| -> Vec<(&'static str, String, String)> {
        let bare = sentences.iter().filter(|s| s.actions.is_empty() && s.assertions.is_empty() && s.unproven.is_none());
        bare.map(|s| (name, s.text.span.location().to_string(), one_line(&s.text.text, MAX_TEXT_CHARS))).collect()
    };
    let of_case = |case: &crate::plan::Case| [bare(&case.preconditions, "given"), bare(&case.steps, "step")].concat();
    let all: Vec<_> = plan.cases.iter().flat_map(of_case).collect();
    let mut out = String::new();
    if !all.is_empty() {
        out = format!("{} without actions: reports say \"not verified\"\n", count(all.len(), "sentence"));
    }
    for (name, place, text) in all.iter().take(MAX_LISTED) {
        let _ = writeln!(out, "  {place}: {name}: {text}");
    }
    if let Some(more @ 1..) = all.len().checked_sub(MAX_LISTED) {
        let _ = writeln!(out, "  and {more} more");
    }
    out
}
