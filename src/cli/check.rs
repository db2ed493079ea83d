//! `check`: validates plans without network access.
use super::{args, exit, failure::Failure, files, plans};
use crate::{executors, report::wording::count};

pub fn command(args: args::Check) -> Result<u8, Failure> {
    let registry = executors::registry();
    let environments = plans::environments(args.environment.config.as_deref(), &registry)?;
    let environment = match &args.environment.env {
        None => None,
        Some(name) => {
            let named = environments.into_iter().flat_map(|e| e.all).find(|e| e.name == *name);
            let mut named = named.ok_or_else(|| Failure::usage(format!("error: unknown environment `{name}`")))?;
            named.protected &= args.environment.allow_destructive.as_ref() != Some(name);
            Some(named)
        }
    };
    let mut code = exit::SUCCESS;
    for file in files::plans(&args.plans)? {
        let draft = plans::read(&file, &registry);
        let cases = draft.plan.as_ref().map_or(0, |p| p.cases.len());
        let problems = draft.check(environment.as_ref());
        anstream::eprint!("{}", plans::render(&problems));
        anstream::println!("{}: {}, {}", file.source.name, count(cases, "case"), plans::count(&problems));
        if problems.errors() > 0 {
            code = exit::USAGE;
        }
    }
    Ok(code)
}
