//! Colours of the terminal output.
use crate::outcome::{Status, Verdict};
use anstyle::{AnsiColor, Style};

pub fn paint(colour: bool, style: Style, text: &str) -> String {
    if colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

pub fn foreground(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(colour.into()))
}

pub fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Passed => foreground(AnsiColor::Green),
        Verdict::Failed | Verdict::Blocked => foreground(AnsiColor::Red),
        Verdict::Errored | Verdict::Interrupted | Verdict::KnownFailure | Verdict::Flaky => {
            foreground(AnsiColor::Yellow)
        }
        Verdict::Skipped => Style::new().dimmed(),
    }
}

pub fn status_style(status: Status) -> Style {
    match status {
        Status::Passed => foreground(AnsiColor::Green),
        Status::Failed => foreground(AnsiColor::Red),
        Status::Errored | Status::NotReached | Status::Interrupted => foreground(AnsiColor::Yellow),
        Status::NotVerified | Status::Unproven | Status::Skipped => Style::new().dimmed(),
    }
}
