//! Requests and responses of an action, the commands that repeat them, and notes.
use super::{message::Message, pretty, text::Text, words::command};
use crate::{
    event::{Evidence, EvidenceKind},
    report::{
        run_index::ActionEntry,
        wording::{MAX_INLINE_CHARS, count, one_line},
    },
};
use maud::{Markup, html};

/// Longer bodies are folded.
const MAX_OPEN_LINES: usize = 60;

/// What an action sent and received, with the values that its assertions are about marked.
pub fn of(a: &ActionEntry, is_open: bool) -> Markup {
    evidence(a, &subjects(a), is_open)
}

/// An observation that another action judges: whole the first time, later only its first lines.
pub fn judged(entry: &ActionEntry, judge: &ActionEntry, is_new: bool) -> Markup {
    if is_new {
        return evidence(entry, &subjects(judge), true);
    }
    let line = |kind| Some(entry.evidence.iter().rfind(|e| e.kind == kind)?.text.lines().next()?.to_owned());
    html! {
        p.muted {
            "Shown above: "
            @for (i, line) in [EvidenceKind::Request, EvidenceKind::Response].into_iter().filter_map(line).enumerate() {
                @if i > 0 { " → " } code { (Text(&one_line(&line, MAX_INLINE_CHARS))) }
            }
        }
    }
}

fn subjects(a: &ActionEntry) -> Vec<&str> {
    a.unmet().flat_map(|f| [f.subject.as_str()].into_iter().chain(f.operands.iter().map(|(o, _)| o.as_str()))).collect()
}

fn evidence(a: &ActionEntry, marked: &[&str], is_open: bool) -> Markup {
    let of = |kind| a.evidence.iter().filter(move |e| e.kind == kind && !e.text.trim().is_empty());
    html! {
        @for (request, response) in exchanges(a) { (exchange(request, response, marked, is_open)) }
        @for note in of(EvidenceKind::Note) {
            details.exchange open[is_open] {
                summary { span.label { "Notes" } }
                div.message { (body(&note.text, &[])) }
            }
        }
        @for reproduce in of(EvidenceKind::Reproduce) { (command("The same by hand", &reproduce.text)) }
    }
}

/// Each request with the response that follows it.
fn exchanges(a: &ActionEntry) -> Vec<(Option<&Evidence>, Option<&Evidence>)> {
    let mut out: Vec<(Option<&Evidence>, Option<&Evidence>)> = vec![];
    for e in a.evidence.iter().filter(|e| !e.text.trim().is_empty()) {
        match e.kind {
            EvidenceKind::Request => out.push((Some(e), None)),
            EvidenceKind::Response => match out.last_mut() {
                Some((_, response @ None)) => *response = Some(e),
                _ => out.push((None, Some(e))),
            },
            _ => {}
        }
    }
    out
}

fn exchange(request: Option<&Evidence>, response: Option<&Evidence>, marked: &[&str], is_open: bool) -> Markup {
    let sides: Vec<(&str, Message<'_>, &[&str])> =
        [("Request", request, [].as_slice()), ("Response", response, marked)]
            .into_iter()
            .filter_map(|(name, e, marked)| Some((name, Message::of(&e?.text), marked)))
            .collect();
    html! {
        details.exchange open[is_open] {
            summary {
                @for (i, (name, message, _)) in sides.iter().enumerate() {
                    @if i > 0 { span.arrow { " → " } }
                    span.label { (name) } " " code { (Text(&one_line(message.first_line, MAX_INLINE_CHARS))) }
                }
            }
            div.sides {
                @for (name, message, marked) in &sides {
                    @if !message.headers.is_empty() || !message.body.is_empty() {
                        div.message {
                            p.label { (name) }
                            @if !message.headers.is_empty() {
                                details.headers {
                                    summary { (count(message.headers.len(), "header")) }
                                    pre { code { @for header in &message.headers { (Text(header)) "\n" } } }
                                }
                            }
                            @if !message.body.is_empty() { (body(message.body, marked)) }
                        }
                    }
                }
            }
        }
    }
}

fn body(text: &str, marked: &[&str]) -> Markup {
    let lines = pretty::lines(text).map_or_else(|| text.lines().count(), |lines| lines.len());
    let block = html! { pre { code { (pretty::block(text, marked)) } } };
    html! {
        @if lines > MAX_OPEN_LINES { details { summary { (count(lines, "line")) } (block) } } @else { (block) }
    }
}
