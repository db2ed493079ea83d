//! `check`: validates plans without network access.
use super::{args, exit, failure::Failure, files, plans};
use crate::{executors, plan::Environment};

pub fn command(args: args::Check) -> Result<u8, Failure> {
    let registry = executors::registry();
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let environments = plans::environments(args.environment.config.as_deref(), &registry, colour)?;
    let environment = match &args.environment.env {
        None => None,
        Some(name) => match environments.as_ref().and_then(|e| e.get(name)) {
            None => return Err(Failure::usage(format!("error: unknown environment `{name}`"))),
            Some(environment) => {
                let allowed = args.environment.allow_destructive.as_deref() == Some(name);
                Some(Environment { protected: environment.protected && !allowed, ..environment.clone() })
            }
        },
    };
    let mut code = exit::SUCCESS;
    for file in files::plans(&args.plans)? {
        let draft = plans::read(&file, &registry);
        let cases = draft.plan().map_or(0, |p| p.cases.len());
        let problems = draft.check(&registry, environment.as_ref());
        anstream::eprint!("{}", plans::render(&problems, colour));
        let plural = if cases == 1 { "" } else { "s" };
        anstream::println!("{}: {cases} case{plural}, {}", file.source.name, plans::count(&problems));
        if problems.errors() > 0 {
            code = exit::USAGE;
        }
    }
    Ok(code)
}
