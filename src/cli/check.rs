//! `check`: everything that is wrong, without any network.
use super::{Failure, args, exit, files, plans};
use crate::{engine::compile, executors};

pub fn command(args: args::Check) -> Result<u8, Failure> {
    let registry = executors::registry();
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let environments = match files::environment_file(args.place.config.as_deref())? {
        Some(source) => {
            let (environments, problems) = plans::read_environments(&source, &registry);
            if problems.errors() > 0 {
                return Err(plans::bad(&problems, colour));
            }
            environments
        }
        None => None,
    };
    let mut code = exit::GREEN;
    for found in files::plans(&args.plans)? {
        let environment = match &args.place.env {
            None => None,
            Some(name) => match environments.as_ref().filter(|e| e.get(name).is_some()) {
                Some(_) => {
                    // read again: a compiled environment is used up
                    let source = files::environment_file(args.place.config.as_deref())?;
                    let environments = source.and_then(|s| plans::read_environments(&s, &registry).0);
                    environments.and_then(|e| e.all.into_iter().find(|e| e.name == *name))
                }
                None => return Err(Failure::usage(format!("error: there is no environment `{name}`"))),
            },
        };
        let (plan, mut problems) = plans::read(&found, &registry);
        let mut cases = 0;
        if let Some(plan) = plan {
            cases = plan.cases.len();
            let (_, more) = compile::compile(plan, &registry, environment, vec![], &|_| true);
            problems.extend(more);
        }
        problems.sort();
        anstream::eprint!("{}", plans::draw(&problems, colour));
        let plural = if cases == 1 { "" } else { "s" };
        anstream::println!("{}: {cases} case{plural}, {}", found.source.name, plans::count(&problems));
        if problems.errors() > 0 {
            code = exit::USAGE;
        }
    }
    Ok(code)
}
