//! The terminal: whether there is one, what it can do, and how wide it is.
use super::args::OutputArgs;
use crate::report::{
    console::{
        failure::Page,
        progress::{Console, Width},
    },
    index_builder::IndexBuilder,
};
use anstream::{AutoStream, ColorChoice, stream::RawStream};
use comfy_table::Table;
use indicatif::ProgressDrawTarget;
use std::io::{IsTerminal, stderr, stdout};

/// Of a terminal that does not say it.
const DEFAULT_COLUMNS: usize = 80;

/// The progress of a run on stderr. The index gets each event before it does.
pub fn console(output: OutputArgs, index: IndexBuilder) -> Console {
    let colour = is_coloured(&stderr());
    let width = stderr().is_terminal().then(|| Box::new(|| columns(Table::new().use_stderr())) as Width);
    match width {
        Some(width) if can_draw(&|name| std::env::var(name).ok()) => {
            Console::live(ProgressDrawTarget::stderr(), width, output.detail(), colour, index)
        }
        width => Console::stderr(width, output.detail(), colour, index),
    }
}

/// Stdout, for the summary of a run.
pub fn stdout_page() -> Page {
    let width = stdout().is_terminal().then(|| columns(&mut Table::new()));
    Page { width, colour: is_coloured(&stdout()) }
}

fn is_coloured(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

fn columns(table: &mut Table) -> usize {
    table.width().map_or(DEFAULT_COLUMNS, usize::from)
}

/// Whether the terminal can move its cursor, and its output is not kept as the log of a CI job.
fn can_draw(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let is_ci = variable("CI").is_some_and(|value| !value.is_empty() && !value.eq_ignore_ascii_case("false"));
    !is_ci && variable("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::can_draw;

    #[test]
    fn plain_lines_in_ci_and_on_dumb_terminals() {
        for (variables, expected) in [
            (&[("TERM", "xterm-256color")][..], true),
            (&[], true),
            (&[("TERM", "dumb")], false),
            (&[("CI", "true"), ("TERM", "xterm")], false),
            (&[("CI", "1")], false),
            (&[("CI", "false")], true),
            (&[("CI", "")], true),
        ] {
            let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(can_draw(&variable), expected, "{variables:?}");
        }
    }
}
