//! The attempts of a wait over time.
use super::text::prose;
use crate::report::{
    run_index::ActionEntry,
    wording::{count, duration},
};
use maud::{Markup, html};

/// Entries shown from the beginning, and as many from the end.
const ENDS: usize = 10;

pub fn of(a: &ActionEntry) -> Markup {
    let all = a.timeline.len();
    html! {
        @if all == 1 && a.unmet().next().is_some() {
            p.muted { "Nothing changed in " (count(a.attempts as usize, "attempt")) "." }
        } @else if all > 0 {
            details.attempts open[all <= 2 * ENDS] {
                summary { "While waiting: " (count(a.attempts as usize, "attempt")) ", " (count(all, "observation")) }
                ol {
                    @for (i, entry) in a.timeline.iter().enumerate() {
                        @if all > 2 * ENDS && i == ENDS { li.muted { "… " (all - 2 * ENDS) " more …" } }
                        @if all <= 2 * ENDS || !(ENDS..all - ENDS).contains(&i) {
                            li {
                                span.at { (duration(entry.since)) } " "
                                span { (prose(&entry.message)) }
                                @if entry.attempts > 1 { " " span.muted { "(" (entry.attempts) " attempts)" } }
                            }
                        }
                    }
                }
            }
        }
    }
}
