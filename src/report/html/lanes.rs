//! The cases over time, a row each, with their waits and faults.
use super::{
    text::{Text, id},
    words::of_verdict,
};
use crate::report::{
    run_index::{CaseEntry, RunIndex, Span, SpanKind},
    wording::{count, duration, one_line},
};
use maud::{Markup, html};
use std::time::Duration;

/// Width of a row in units of its drawing.
const WIDTH: f64 = 1000.0;
const TICKS: u32 = 4;

pub fn section(run: &RunIndex) -> Markup {
    let ends = run.cases.iter().filter_map(|c| Some(c.started? + c.took));
    let total = ends.chain([run.took]).max().unwrap_or_default();
    let started: Vec<&CaseEntry> = run.cases.iter().filter(|c| c.started.is_some()).collect();
    html! {
        @if !started.is_empty() && !total.is_zero() {
            section aria-labelledby="time" {
                h2 #time { "Cases over time" }
                p.key {
                    span.swatch.run { } " case " span.swatch.wait { } " waits for a condition "
                    span.swatch.fault { } " a dependency is broken on purpose"
                }
                ol.lanes {
                    li.axis aria-hidden="true" {
                        span { } span.ticks { @for i in 0..=TICKS { span { (duration(total * i / TICKS)) } } } span { }
                    }
                    @for case in started { (lane(case, total)) }
                }
            }
        }
    }
}

fn lane(case: &CaseEntry, total: Duration) -> Markup {
    let start = case.started.unwrap_or_default();
    let of = |kind| case.spans.iter().filter(move |s| s.kind == kind);
    let (waits, faults) = (of(SpanKind::Wait).count(), of(SpanKind::Fault).count());
    let (class, symbol) = of_verdict(case.verdict);
    let label = format!(
        "{}, from {} for {}, {}, {}",
        case.verdict,
        duration(start),
        duration(case.took),
        count(waits, "wait"),
        count(faults, "fault")
    );
    html! {
        li.lane {
            a href={ "#" (id(&case.outline.id)) } { (Text(&case.outline.id)) }
            svg role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " 20" } preserveAspectRatio="none" {
                (bar(class, start, case.took, total, (2, 16), &case.outline.title))
                @for s in of(SpanKind::Wait) { (span("wait", s, total, (7, 6))) }
                @for s in of(SpanKind::Fault) { (span("fault", s, total, (15, 5))) }
            }
            span class={ "took " (class) } { span aria-hidden="true" { (symbol) } " " (duration(case.took)) }
        }
    }
}

fn span(class: &str, s: &Span, total: Duration, rows: (u32, u32)) -> Markup {
    bar(class, s.since, s.took, total, rows, &format!("{}: {}", duration(s.took), one_line(&s.summary, 120)))
}

/// A bar with its vertical position and height.
fn bar(class: &str, since: Duration, took: Duration, total: Duration, (y, height): (u32, u32), title: &str) -> Markup {
    let scale = |d: Duration| (d.as_secs_f64() / total.as_secs_f64() * WIDTH).clamp(0.0, WIDTH);
    let (x, width) = (scale(since), scale(took).max(2.0));
    html! {
        rect class=(class) x=(format!("{:.1}", x.min(WIDTH - 2.0))) y=(y) width=(format!("{width:.1}")) height=(height) {
            title { (Text(title)) }
        }
    }
}
