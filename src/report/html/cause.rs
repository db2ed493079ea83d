//! An action that did not pass: what did not hold, the attempts of its wait, and its exchanges.
use super::{
    attempts, difference, exchange,
    text::{Text, prose},
    words::{items, of_status, place},
};
use crate::{
    outcome::Status,
    report::{
        run_index::{ActionEntry, SentenceEntry},
        wording::{count, duration, one_line, unmet_text},
    },
};
use maud::{Markup, html};

const MAX_RESULTS: usize = 20;
/// Items named that failed in the same way.
const MAX_ITEMS: usize = 12;

/// Actions that failed in the same way for several items of a `foreach`.
pub struct Group<'a> {
    pub first: &'a ActionEntry,
    others: Vec<&'a ActionEntry>,
}

/// Groups actions that have the same place in the plan, status and unmet assertions.
pub fn groups(causes: Vec<&ActionEntry>) -> Vec<Group<'_>> {
    let is_same = |a: &ActionEntry, b: &ActionEntry| {
        let texts = |a: &ActionEntry| a.unmet().map(unmet_text).collect::<Vec<_>>();
        let reason = |a: &ActionEntry| a.own_reason().map(str::to_owned);
        a.status == b.status
            && a.address.without_items() == b.address.without_items()
            && reason(a) == reason(b)
            && texts(a) == texts(b)
    };
    let mut groups: Vec<Group<'_>> = vec![];
    for cause in causes {
        match groups.iter_mut().find(|group| is_same(group.first, cause)) {
            Some(group) => group.others.push(cause),
            None => groups.push(Group { first: cause, others: vec![] }),
        }
    }
    groups
}

pub fn block(s: &SentenceEntry, group: &Group<'_>) -> Markup {
    let a = group.first;
    // a `check` or `expect` written directly on the sentence makes no observation
    let is_assertion_only = a.attempts == 0 && a.took.is_zero() && a.unmet().next().is_some();
    let (class, _) = of_status(a.status);
    html! {
        div class={ "cause " (class) } {
            p.path {
                @for b in s.ancestors(a).iter().filter(|b| b.summary != a.summary && !is_assertion_only) {
                    code { (Text(&b.summary)) } " › "
                }
                @if is_assertion_only { "assertion" }
                @else if a.summary.is_empty() { "an action" }
                @else { code { (Text(&a.summary)) } }
                (items(a)) ": " strong class=(class) { (a.status.as_str()) }
                @if !a.took.is_zero() { " after " (duration(a.took)) }
                @if a.attempts > 1 { " and " (count(a.attempts as usize, "attempt")) }
                @if let Some(location) = a.location() { " " (place(location)) }
            }
            @if let Some(reason) = a.own_reason() { p.why { (prose(&one_line(reason, 2_000))) } }
            @if !group.others.is_empty() {
                p {
                    (count(group.others.len(), "other item")) " failed in the same way: "
                    @for (i, other) in group.others.iter().take(MAX_ITEMS).enumerate() {
                        @if i > 0 { ", " } code { (Text(&other.items().join(" › "))) }
                    }
                    @if group.others.len() > MAX_ITEMS { ", …" }
                }
            }
            (details(a))
        }
    }
}

/// Differences, attempts and exchanges of an action.
pub fn details(a: &ActionEntry) -> Markup {
    let unmet: Vec<_> = a.unmet().collect();
    html! {
        @for result in unmet.iter().take(MAX_RESULTS) { (difference::of(result)) }
        @if let more @ 1.. = unmet.len().saturating_sub(MAX_RESULTS) + a.omitted {
            p.muted { "… and " (count(more, "assertion")) " more that did not hold" }
        }
        (attempts::of(a))
        (exchange::of(a, a.status != Status::NotReached))
    }
}
