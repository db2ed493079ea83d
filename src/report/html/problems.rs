//! What went wrong: for each case that did not pass, the sentence that decides, why, and where.
use super::{
    order::in_order,
    text::{Text, id, plan_text, prose},
    words::{badge, number, of_verdict, place},
};
use crate::report::{
    run_index::{CaseEntry, RunIndex},
    wording,
};
use maud::{Markup, html};

pub fn section(run: &RunIndex) -> Markup {
    html! {
        @if run.cases.iter().any(CaseEntry::has_problem) {
            section aria-labelledby="problems" {
                h2 #problems { "What went wrong" }
                ol.problems { @for case in in_order(run).filter(|c| c.has_problem()) { (problem(case)) } }
            }
        }
    }
}

fn problem(case: &CaseEntry) -> Markup {
    let (class, _) = of_verdict(case.verdict);
    html! {
        li class={ "problem " (class) } {
            p.title {
                (badge(of_verdict(case.verdict), case.verdict.as_str())) " "
                a href={ "#" (id(&case.outline.id)) } { (Text(&case.outline.id)) } " " (Text(&case.outline.title))
                @if case.out_of_time.is_some() { (wording::out_of_time(case.out_of_time)) }
            }
            @match case.deciding_sentence() {
                None => p { (prose(case.reason.as_deref().unwrap_or("unknown reason"))) },
                Some(s) => {
                    @let (why, location) = s.worst_cause();
                    p {
                        a href={ "#" (id(s.outline.address.as_str())) } { (number(case, s)) } ": "
                        (plan_text(&s.outline.text))
                    }
                    @if let Some(why) = why.or(case.reason.clone()) { p.why { (prose(&why)) } }
                    @if let Some(said) = case.product_words(s) { p { "The product says: " q { (Text(said)) } } }
                    p.muted {
                        (place(location))
                        @if let n @ 1.. = case.consequences().len() {
                            " · " (wording::count(n, "other sentence")) @if n == 1 { " follows" } @else { " follow" }
                            " from it"
                        }
                        @if let n @ 1.. = case.other_problems().1 {
                            " · " (wording::count(n, "sentence")) " did not pass for another reason"
                        }
                    }
                }
            }
            @if let (Some(reason), true) = (&case.reason, case.verdict == crate::outcome::Verdict::KnownFailure) {
                p.muted { (prose(reason)) }
            }
        }
    }
}
