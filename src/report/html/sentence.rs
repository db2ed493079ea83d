//! A sentence of the plan with what was observed: folded if it passed or follows from another one, open if it is a cause.
use super::{
    cause, exchange,
    overview::why_unverified,
    text::{Text, id, plan_text, prose},
    words::{items, number, of_status, place},
};
use crate::{
    address::Address,
    outcome::Status,
    report::{
        run_index::{CaseEntry, PassedAssertion, SentenceEntry},
        sentences,
        wording::{self, MAX_INLINE_CHARS, count, duration, one_line},
    },
};
use maud::{Markup, html};
use std::collections::HashSet;

/// Observations shown that a failed action judges.
const MAX_JUDGED: usize = 3;
/// Failed actions shown for a sentence, each with the items that failed in the same way.
const MAX_CAUSES: usize = 8;

/// The observations of a case that other sentences judge. Each is shown whole once.
pub struct Shown<'a> {
    case: &'a CaseEntry,
    deciding: Option<&'a SentenceEntry>,
    consequences: Vec<&'a SentenceEntry>,
    observations: HashSet<&'a Address>,
}

impl<'a> Shown<'a> {
    pub fn new(case: &'a CaseEntry) -> Self {
        let deciding = case.deciding_sentence();
        Shown { case, deciding, consequences: case.consequences(), observations: HashSet::new() }
    }
}

pub fn item<'a>(s: &'a SentenceEntry, shown: &mut Shown<'a>) -> Markup {
    let (class, symbol) = of_status(s.status);
    let (address, number) = (id(s.outline.address.as_str()), number(shown.case, s));
    let is_deciding = shown.deciding.is_some_and(|d| std::ptr::eq(d, s));
    let cause = shown.deciding.filter(|_| shown.consequences.iter().any(|c| std::ptr::eq(*c, s)));
    let below = below(s, shown, cause);
    let head = html! {
        span class={ "symbol " (class) } aria-hidden="true" { (symbol) }
        span.what {
            @if s.status == Status::Passed { span.hidden { "passed: " } } @else { strong class=(class) { (s.status.as_str()) } " " }
            @if is_deciding { span.tag { "decides the verdict" } " " }
            (plan_text(&s.outline.text))
            @if let Some(observed) = brief(s) { span.muted.brief { (observed) } }
        }
        @if let took @ 1.. = sentences::took(s).as_millis() {
            span.muted.took { (duration(std::time::Duration::from_millis(took as u64))) }
        }
    };
    html! {
        li class={ "sentence " (class) @if is_deciding { " deciding" } } id=(address) {
            a.permalink href={ "#" (address) } aria-label={ "Link to " (number) } { "#" }
            @match below {
                None => div.line { (head) },
                Some(below) => details open[s.status.is_unsuccessful() && cause.is_none()] {
                    summary.line { (head) }
                    div.body { (below) }
                },
            }
        }
    }
}

/// What is said beside the sentence.
fn brief(s: &SentenceEntry) -> Option<Markup> {
    match s.status {
        Status::Passed => {
            let first = s.passed.first()?;
            let more = s.passed.len() - 1;
            Some(html! { (observed(first)) @if more > 0 { ", " (more) " more" } })
        }
        Status::NotVerified | Status::Unproven => Some(prose(why_unverified(s))),
        _ => None,
    }
}

/// What a sentence shows when it is open.
fn below<'a>(s: &'a SentenceEntry, shown: &mut Shown<'a>, cause: Option<&SentenceEntry>) -> Option<Markup> {
    match s.status {
        Status::Passed if s.passed.is_empty() && s.reason.is_none() => None,
        Status::Passed => Some(html! {
            @if let Some(reason) = &s.reason { p { (prose(reason)) } }
            @if !s.passed.is_empty() {
                ul.observed {
                    @for passed in &s.passed { li { (observed(passed)) @if passed.count > 1 { " (" (passed.count) " times)" } } }
                }
            }
            p.muted { (place(&s.outline.location)) }
        }),
        Status::NotVerified | Status::Unproven | Status::Skipped => None,
        _ => Some(not_passed(s, shown, cause)),
    }
}

fn observed(passed: &PassedAssertion) -> Markup {
    let (subject, value) = wording::subject_and_value(&passed.result);
    html! {
        code { (Text(&one_line(subject, MAX_INLINE_CHARS))) }
        @if let Some(value) = value { " is " code { (Text(&one_line(value, MAX_INLINE_CHARS))) } }
    }
}

fn not_passed<'a>(s: &'a SentenceEntry, shown: &mut Shown<'a>, cause: Option<&SentenceEntry>) -> Markup {
    let groups = cause::groups(s.causes());
    html! {
        @if let Some(cause) = cause {
            p.muted {
                "Follows from " a href={ "#" (id(cause.outline.address.as_str())) } { (number(shown.case, cause)) } "."
            }
        }
        @if let Some(reason) = s.own_reason() { p.why { (prose(reason)) } }
        @if let Some(said) = shown.case.product_words(s) { p { "The product says: " q { (Text(said)) } } }
        @for group in groups.iter().take(MAX_CAUSES) {
            (cause::block(s, group))
            (judged(s, group, shown))
        }
        @if let more @ 1.. = groups.len().saturating_sub(MAX_CAUSES) + s.omitted {
            p.muted { "… and " (count(more, "action")) " more that did not pass" }
        }
        p.muted { "In the plan: " (place(&s.outline.location)) }
    }
}

/// What the first action of a group judges.
fn judged<'a>(s: &'a SentenceEntry, group: &cause::Group<'a>, shown: &mut Shown<'a>) -> Markup {
    let judged = shown.case.judged_by(s, group.first);
    html! {
        @for entry in judged.iter().take(MAX_JUDGED) {
            div.judged {
                p {
                    "Judged: " code { (Text(&entry.summary)) } (items(entry)) " "
                    @if let Some(location) = &entry.location { (place(location)) }
                }
                @let is_new = shown.observations.insert(&entry.address);
                (exchange::judged(entry, group.first, is_new))
            }
        }
        @if let more @ 1.. = judged.len().saturating_sub(MAX_JUDGED) {
            p.muted { "… and " (count(more, "observation")) " more" }
        }
    }
}
