//! Exit codes, documented in `docs/exit-codes.md`.
use crate::report::gate::RunVerdict;

pub const SUCCESS: u8 = 0;
/// The product gave a wrong response or none; for `prove`, an assertion or a defect survived.
pub const FAILED: u8 = 1;
/// The plan, the environment file or the arguments are invalid.
pub const USAGE: u8 = 2;
/// The product could not be reached, or the runner itself failed.
pub const UNREACHABLE: u8 = 3;
/// No case was selected, or none in a tier of the gate.
pub const NOTHING_SELECTED: u8 = 4;
/// The journal or the report could not be written.
pub const NO_REPORT: u8 = 5;
/// Ctrl-C or SIGTERM.
pub const INTERRUPTED: u8 = 130;

pub fn of_run(verdict: RunVerdict) -> u8 {
    match verdict {
        RunVerdict::Passed => SUCCESS,
        RunVerdict::Failed => FAILED,
        RunVerdict::Errored => UNREACHABLE,
        RunVerdict::Undecided => NOTHING_SELECTED,
        RunVerdict::Interrupted => INTERRUPTED,
    }
}

/// The code of two parts together: a failure outweighs all other codes.
pub fn worse(a: u8, b: u8) -> u8 {
    if a == FAILED || b == FAILED { FAILED } else { a.max(b) }
}
