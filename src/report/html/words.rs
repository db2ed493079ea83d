//! The symbols, labels and commands that several parts of the page share.
use super::text::Text;
use crate::{
    event::Part,
    outcome::{Status, Verdict},
    report::{
        gate::RunVerdict,
        run_index::{ActionEntry, CaseEntry, SentenceEntry},
    },
    source::Location,
};
use maud::{Markup, html};

pub fn of_verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Passed => ("passed", "✓"),
        Verdict::Failed => ("failed", "✗"),
        Verdict::KnownFailure => ("known-failure", "≈"),
        Verdict::Flaky => ("flaky", "↻"),
        Verdict::Blocked => ("blocked", "⊘"),
        Verdict::Errored => ("errored", "!"),
        Verdict::Interrupted => ("interrupted", "■"),
        Verdict::Skipped => ("skipped", "–"),
    }
}

pub fn of_run(verdict: RunVerdict) -> (&'static str, &'static str) {
    match verdict {
        RunVerdict::Passed => ("passed", "✓"),
        RunVerdict::Failed => ("failed", "✗"),
        RunVerdict::Errored => ("errored", "!"),
        RunVerdict::Interrupted => ("interrupted", "■"),
        RunVerdict::Undecided => ("skipped", "–"),
    }
}

pub fn of_status(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Passed => ("passed", "✓"),
        Status::Failed => ("failed", "✗"),
        Status::Errored => ("errored", "!"),
        Status::NotReached => ("not-reached", "↷"),
        Status::NotVerified | Status::Unproven => ("not-verified", "?"),
        Status::Skipped => ("skipped", "–"),
        Status::Interrupted => ("interrupted", "■"),
    }
}

/// A verdict or status with its symbol.
pub fn badge((class, symbol): (&str, &str), words: &str) -> Markup {
    html! { span class={ "badge " (class) } { span aria-hidden="true" { (symbol) } " " (words) } }
}

/// `plans/TP-004.yaml:42`.
pub fn place(location: &Location) -> Markup {
    let text = format!("{}:{}", location.file, location.line);
    html! { code.place { (Text(&text)) } }
}

/// `, item 2 › 3`. Empty outside of a `foreach`.
pub fn items(a: &ActionEntry) -> Markup {
    let items = a.items();
    html! { @if !items.is_empty() { ", item " code { (Text(&items.join(" › "))) } } }
}

/// `step 2`: unique within its case.
pub fn number(case: &CaseEntry, s: &SentenceEntry) -> String {
    let part = match s.outline.part {
        Part::Precondition => "precondition",
        Part::Step => "step",
        Part::Expected => "expected result",
    };
    let same_part = case.sentences.iter().filter(|o| o.outline.part == s.outline.part);
    format!("{part} {}", 1 + same_part.take_while(|o| !std::ptr::eq(*o, s)).count())
}

/// A command that can be copied.
pub fn command(label: &str, text: &str) -> Markup {
    html! { div.command { p.label { (label) } pre { code { (Text(text)) } } } }
}
