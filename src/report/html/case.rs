//! The article of a case: verdict, how to run it again, its sentences, what was left behind.
use super::{
    exchange,
    sentence::{self, Shown},
    text::{Text, id, prose},
    words::{badge, command, of_status, of_verdict, place},
};
use crate::{
    event::Part,
    outcome::Verdict,
    report::{
        run_index::{CaseEntry, UndoEntry},
        wording::{self, count, duration},
    },
};
use maud::{Markup, html};

pub fn article(case: &CaseEntry) -> Markup {
    let (class, _) = of_verdict(case.verdict);
    let address = id(&case.outline.id);
    let is_problem = case.has_problem();
    html! {
        article.case.problem[is_problem] id=(address) data-verdict=(class) data-tier=(case.outline.tier.as_str()) {
            a.permalink href={ "#" (address) } aria-label={ "Link to " (Text(&case.outline.id)) } { "#" }
            @if case.verdict == Verdict::Skipped { div.head { (head(case)) } } @else {
                details open[is_problem] {
                    summary.head { (head(case)) }
                    div.body { (body(case)) }
                }
            }
        }
    }
}

fn head(case: &CaseEntry) -> Markup {
    html! {
        h3 { (Text(&case.outline.id)) " " span.title { (Text(&case.outline.title)) } }
        (badge(of_verdict(case.verdict), case.verdict.as_str()))
        span.muted {
            @if case.verdict == Verdict::Skipped {
                (Text(case.reason.as_deref().unwrap_or("skipped")))
            } @else {
                "in " (duration(case.took)) (wording::out_of_time(case.out_of_time))
            }
            " · tier " (case.outline.tier.as_str())
        }
    }
}

/// What did not pass in the attempts before the last one.
fn earlier_attempts(case: &CaseEntry) -> Markup {
    html! {
        @if !case.earlier.is_empty() {
            h4 { "Earlier attempts" }
            ol {
                @for attempt in &case.earlier {
                    li {
                        (attempt.verdict.as_str()) " in " (duration(attempt.took))
                        @for s in attempt.sentences.iter().filter(|s| s.status.is_unsuccessful()) {
                            p { (Text(&s.outline.text)) ": " (prose(&s.worst_cause().0.unwrap_or_default())) }
                        }
                    }
                }
            }
        }
    }
}

fn body(case: &CaseEntry) -> Markup {
    let mut fields: Vec<(&str, &str)> = case.outline.priority.iter().map(|p| ("Priority", p.as_str())).collect();
    fields.extend(case.outline.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let mut shown = Shown::new(case);
    html! {
        @if let Some(reason) = case.own_reason() { p.why { (prose(reason)) } }
        @if !fields.is_empty() {
            p.muted { @for (i, (name, value)) in fields.iter().enumerate() {
                @if i > 0 { " · " } (Text(name)) ": " (prose(value))
            } }
        }
        @if case.has_problem() { (command("Run this case again", &case.again)) }
        @for (part, title) in
            [(Part::Precondition, "Preconditions"), (Part::Step, "Steps"), (Part::Expected, "Expected results")] {
            @if case.sentences.iter().any(|s| s.outline.part == part) {
                h4 { (title) }
                ol.sentences {
                    @for s in case.sentences.iter().filter(|s| s.outline.part == part) { (sentence::item(s, &mut shown)) }
                }
            }
        }
        (earlier_attempts(case))
        (undo(case))
        @if !case.on_failure.is_empty() {
            h4 { "Collected after the failure" }
            @for action in &case.on_failure {
                div.cause {
                    p {
                        (badge(of_status(action.status), action.status.as_str())) " " code { (Text(&action.summary)) }
                        @if let Some(reason) = &action.reason { ": " (prose(reason)) }
                    }
                    (exchange::of(action, false))
                }
            }
        }
    }
}

fn undo(case: &CaseEntry) -> Markup {
    let (left, undone) = (case.not_undone.len(), case.undone_count);
    html! {
        @if left == 0 {
            p.muted { "Nothing left behind" @if undone > 0 { " (" (undone) " undone)" } "." }
        } @else {
            h4 { "Left behind: " (left) " of " (count(left + undone, "thing")) }
            ul.plain { @for entry in &case.not_undone { (not_undone(entry)) } }
        }
    }
}

fn not_undone(entry: &UndoEntry) -> Markup {
    html! {
        li.cause {
            p {
                @match entry.status {
                    Some(status) => (badge(of_status(status), status.as_str())),
                    None => span.badge.interrupted { "not attempted" },
                }
                " " code { (Text(&entry.summary)) } " "
                @if let Some(location) = &entry.location { (place(location)) }
            }
            @if let Some(reason) = &entry.reason { p { (prose(reason)) } }
            @for action in entry.actions.iter().filter(|a| a.status.is_unsuccessful()) { (super::cause::details(action)) }
        }
    }
}
