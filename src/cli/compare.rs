//! `report --against`: compares two recorded runs of a plan.
use super::{
    args, exit,
    failure::Failure,
    output::write_page,
    runs::{self, find_journal, read_index},
};
use crate::report::{compare, run_index::RunIndex};

pub fn command(args: &args::Report, against: &str) -> Result<u8, Failure> {
    let before = read_index(&find_journal(against)?)?;
    let after = match args.runs.as_slice() {
        [] => newest_other(&before)?,
        [run] => read_index(&find_journal(run)?)?,
        _ => return Err(Failure::usage("error: expected one run to compare, found several")),
    };
    let compared = compare::compare(&before, &after).map_err(|e| Failure::usage(format!("error: {e}")))?;
    write_page(args, &compared.page(), |out| compared.write_json(out))?;
    Ok(exit::SUCCESS)
}

/// The newest run of the same plan in the same environment, except for `run` itself.
fn newest_other(run: &RunIndex) -> Result<RunIndex, Failure> {
    let (plan, environment) = (&run.start.plan.id, &run.start.environment.name);
    let newest = runs::newest(&runs::found(), plan, environment, &|id| id != run.start.run);
    newest.ok_or_else(|| {
        let message =
            format!("error: no other run of {plan} in `{environment}` is recorded in this folder or a parent");
        Failure::usage(format!("{message}\nhelp: name the run to compare: `report RUN --against {}`", run.start.run))
    })
}
