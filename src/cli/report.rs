//! `report`: writes the report of a recorded run or of several that are merged, its failures as known failures, or its entry in an
//! agent log.
use super::{
    args, compare, exit,
    failure::Failure,
    history, output, print,
    reports::Reports,
    runs::{find_journal, read_index},
};
use crate::report::{
    agent_log,
    formats::{Format, MARKDOWN},
    gate::gate,
    known_failures, merge,
    run_index::RunIndex,
};

/// Writes entries for `known_failures`, which are not a format of the report.
static KNOWN_FAILURES: Format = Format {
    name: "known-failures",
    extension: "yaml",
    write: |run, _, out| known_failures::write(run, out),
    is_neutral: false,
};

pub fn command(args: args::Report) -> Result<u8, Failure> {
    if let Some(plan) = &args.history {
        return history::command(&args, plan.as_deref());
    }
    if let Some(against) = &args.against {
        return compare::command(&args, against);
    }
    let index = read_runs(&args.runs)?;
    // several runs were performed by several commands, so that none of them had the exit code of the whole
    let code = if args.runs.len() > 1 { exit::of_run(gate(&index).verdict) } else { exit::SUCCESS };
    write(&args, &index)?;
    Ok(code)
}

/// Writes what was asked for of a run.
fn write(args: &args::Report, index: &RunIndex) -> Result<(), Failure> {
    if args.agent_log.agent_log.is_some() {
        return match args.dry_run {
            true => args.agent_log.preview(&agent_log::entry(index, &rest(index))),
            false => args.agent_log.add(index, &rest(index)),
        };
    }
    let format = match args.format.as_slice() {
        _ if args.known_failures => &KNOWN_FAILURES,
        [] => &MARKDOWN,
        [format] => *format,
        several => return write_several(args, several, index),
    };
    output::write(args.output.as_deref(), format.is_neutral, |out| (format.write)(index, &rest(index), out))
}

/// Where the rest of something is that a format cuts.
fn rest(index: &RunIndex) -> String {
    format!("tp-runner report {}", index.start.run)
}

fn write_several(args: &args::Report, formats: &[&'static Format], index: &RunIndex) -> Result<(), Failure> {
    let Some(file) = &args.output else {
        let message = "error: several formats need a file\n\
                       help: name the Markdown report with `--output FILE`; the others are written beside it";
        return Err(Failure::usage(message));
    };
    let (_, failures) = Reports::new(file.clone(), formats).write(index);
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// The index of a run, or of several that are merged.
fn read_runs(runs: &[String]) -> Result<RunIndex, Failure> {
    let mut all = vec![];
    for run in runs {
        all.push(read_index(&find_journal(run)?)?);
    }
    if all.len() == 1 {
        return Ok(all.remove(0));
    }
    let merged = merge::merge(all).map_err(|e| Failure::usage(format!("error: cannot merge the runs: {e}")))?;
    for note in &merged.notes {
        print::err(format_args!("note: {note}\n"));
    }
    Ok(merged)
}
