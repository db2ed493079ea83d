//! `check`: everything that is wrong, without any network.
use super::{args, exit, failure::Failure, files, plans};
use crate::{executors, plan::Environment};

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
    let mut code = exit::SUCCESS;
    let environment = match &args.place.env {
        None => None,
        Some(name) => match environments.as_ref().and_then(|e| e.get(name)) {
            None => return Err(Failure::usage(format!("error: there is no environment `{name}`"))),
            found => found
                .cloned()
                .map(|e| Environment { protected: e.protected && args.place.i_mean.as_deref() != Some(name), ..e }),
        },
    };
    for found in files::plans(&args.plans)? {
        let draft = plans::read(&found, &registry);
        let cases = draft.plan().map_or(0, |p| p.cases.len());
        let problems = draft.check(&registry, environment.as_ref());
        anstream::eprint!("{}", plans::draw(&problems, colour));
        let plural = if cases == 1 { "" } else { "s" };
        anstream::println!("{}: {cases} case{plural}, {}", found.source.name, plans::count(&problems));
        if problems.errors() > 0 {
            code = exit::USAGE;
        }
    }
    Ok(code)
}
