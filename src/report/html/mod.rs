//! The report as one HTML file that needs no network: verdict and gate, what went wrong, the cases over time, and each case with what was
//! observed. It works without JavaScript, and its content security policy lets nothing run but its own script.
mod attempts;
mod case;
mod cause;
mod difference;
mod exchange;
mod lanes;
mod message;
mod order;
mod overview;
mod page;
mod pretty;
mod problems;
mod sentence;
#[cfg(test)]
mod tests;
mod text;
mod words;

use super::run_index::RunIndex;
use order::in_order;
use std::io::{self, Write};

/// Writes one case at a time, so that memory stays flat. The same run gives the same bytes.
pub fn write(run: &RunIndex, out: &mut dyn Write) -> io::Result<()> {
    let mut put = |markup: maud::Markup| out.write_all(markup.into_string().as_bytes());
    put(page::begin(run))?;
    put(overview::header(run))?;
    put(page::begin_main())?;
    put(problems::section(run))?;
    put(lanes::section(run))?;
    put(overview::begin_cases(run))?;
    for case in in_order(run) {
        put(case::article(case))?;
    }
    put(page::end_section())?;
    put(overview::not_verified(run))?;
    put(overview::outside_cases(run))?;
    put(overview::plan(run))?;
    put(page::end(run))
}
