//! Why a case did not pass, in a few lines.
use super::{
    layout::{columns, fit, wrap, wrap_command},
    style::{paint, status_style},
};
use crate::{
    event::{AssertionResult, EvidenceKind},
    report::{
        difference::sides,
        run_index::CaseEntry,
        sentences,
        wording::{self, MAX_INLINE_CHARS, count, one_line},
    },
};
use anstyle::Style;

/// Where the lines go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page {
    /// `None`: lines are not wrapped.
    pub width: Option<usize>,
    pub colour: bool,
}

const MAX_RESULTS: usize = 3;
const MAX_VALUE_BYTES: usize = 64;
const MAX_COMMAND_LINES: usize = 4;

/// Lines that belong together. Without enough room, those with the highest number go first, and those with 0 stay.
struct Section(u8, Vec<String>);

/// The deciding sentence of a case, its place in the plan, expected and actual values, the reason, and the commands to repeat it: at most
/// `max` lines.
pub fn failure(case: &CaseEntry, page: Page, max: usize) -> Vec<String> {
    let mut sections = vec![];
    if let Some(reason) = case.own_reason() {
        sections.push(Section(2, page.text(2, &one_line(reason, 2 * MAX_INLINE_CHARS), 3)));
    }
    sentence(case, page, &mut sections);
    let left: Vec<_> = case.not_undone.iter().map(|u| one_line(&u.summary, MAX_INLINE_CHARS)).collect();
    if let [first, others @ ..] = &left[..] {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        sections.push(Section(3, page.text(4, &format!("left behind: {first}{more}"), 2)));
    }
    sections.push(Section(0, page.command("again:", &case.again)));
    while sections.iter().map(|s| s.1.len()).sum::<usize>() > max {
        let Some(least) = (0..sections.len()).rev().max_by_key(|i| sections[*i].0).filter(|i| sections[*i].0 > 0)
        else {
            break;
        };
        sections.remove(least);
    }
    sections.into_iter().flat_map(|s| s.1).collect()
}

fn sentence(case: &CaseEntry, page: Page, sections: &mut Vec<Section>) {
    let Some(sentence) = case.deciding_sentence() else { return };
    let place = sentences::place(case, sentence);
    let text = format!("{place} {}: {}", sentence.status, one_line(&sentence.outline.text, MAX_INLINE_CHARS));
    let style = status_style(sentence.status);
    let painted =
        |line: String| line.replacen(sentence.status.as_str(), &paint(page.colour, style, sentence.status.as_str()), 1);
    sections.push(Section(
        0,
        page.text(2, &text, 3).into_iter().enumerate().map(|(i, l)| if i == 0 { painted(l) } else { l }).collect(),
    ));
    let at = &sentence.outline.location;
    sections.push(Section(0, page.text(4, &one_line(&format!("{}:{}", at.file, at.line), MAX_INLINE_CHARS), 2)));

    let cause = sentence.causes().into_iter().find(|c| c.status == sentence.status);
    let unmet: Vec<_> = cause.iter().flat_map(|c| c.unmet()).collect();
    for (i, f) in unmet.iter().take(MAX_RESULTS).enumerate() {
        sections.push(Section(if i == 0 { 0 } else { 4 + i as u8 }, page.text(4, &difference(f), 3)));
    }
    if unmet.len() > MAX_RESULTS {
        sections.push(Section(6, page.text(4, &format!("and {} more", unmet.len() - MAX_RESULTS), 1)));
    }
    let reason = match unmet.is_empty() {
        true => sentence.worst_cause().0,
        false => cause.and_then(|c| c.own_reason()).map(str::to_owned),
    };
    if let Some(reason) = reason {
        let importance = if unmet.is_empty() { 0 } else { 3 };
        sections.push(Section(importance, page.text(4, &one_line(&reason, 2 * MAX_INLINE_CHARS), 3)));
    }
    if let Some(said) = case.product_words(sentence) {
        sections.push(Section(4, page.text(4, &format!("the product says: {said}"), 2)));
    }
    let (follow, others) = case.other_problems();
    if follow > 0 {
        let verb = if follow == 1 { "follows" } else { "follow" };
        sections.push(Section(7, page.text(4, &format!("{follow} more {verb} from it"), 1)));
    }
    if others > 0 {
        let text = format!("and {} that did not hold", count(others, "more sentence"));
        sections.push(Section(7, page.text(4, &text, 1)));
    }
    let made_by = cause.and_then(|c| case.judged_by(sentence, c).into_iter().next());
    let mut evidence = cause.into_iter().chain(made_by).flat_map(|a| &a.evidence);
    if let Some(command) = evidence.find(|e| e.kind == EvidenceKind::Reproduce) {
        // joins lines that end in a backslash, so that the command can be copied
        let command = wording::sanitize(&command.text).replace("\\\n", "");
        let lines = page.command("by hand:", command.trim());
        if lines.len() <= MAX_COMMAND_LINES {
            sections.push(Section(8, lines));
        }
    }
}

/// `status: expected 201, found 500`, cut around the difference.
fn difference(f: &AssertionResult) -> String {
    if wording::is_expression(f) {
        return wording::unmet_with_quotes(f, "");
    }
    let (expected, actual) = sides(f, MAX_VALUE_BYTES);
    let one_line = |text: &str| one_line(text, MAX_VALUE_BYTES);
    format!("{}: expected {}, found {}", one_line(wording::subject(f)), one_line(&expected), one_line(&actual))
}

impl Page {
    /// The lines of a text, indented; at most `max`, the last of which then ends in `…`.
    pub fn text(self, indent: usize, text: &str, max: usize) -> Vec<String> {
        let first = self.width.map_or(usize::MAX, |w| w.saturating_sub(indent));
        let rest = self.width.map_or(usize::MAX, |w| w.saturating_sub(indent + 2));
        let mut lines = wrap(text, first, rest);
        if lines.len() > max {
            lines.truncate(max);
            if let Some(last) = lines.last_mut() {
                // as long as it would be with another word
                let longer = format!("{last} {}", "x".repeat(rest.min(1_000)));
                let text = format!("{last} …");
                *last = if columns(&text) <= rest { text } else { fit(&longer, rest) };
            }
        }
        let indented =
            |(i, line): (usize, String)| format!("{}{line}", " ".repeat(if i == 0 { indent } else { indent + 2 }));
        lines.into_iter().enumerate().map(indented).collect()
    }

    /// A command after what it is for, or below it if it takes more than a line.
    fn command(self, label: &str, command: &str) -> Vec<String> {
        let dimmed = |text: &str| paint(self.colour, Style::new().dimmed(), text);
        let room = self.width.map_or(usize::MAX, |w| w.saturating_sub(6));
        let lines: Vec<String> = command.lines().flat_map(|line| wrap_command(line, room)).collect();
        match &lines[..] {
            [line] if columns(line) + label.len() + 5 <= room => {
                vec![format!("    {} {line}", dimmed(label))]
            }
            lines => std::iter::once(format!("    {}", dimmed(label)))
                .chain(lines.iter().map(|l| format!("      {l}")))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::EventKind, report::samples};

    fn of(case: usize, width: Option<usize>, max: usize) -> Vec<String> {
        let run = samples::mixed().index();
        failure(&run.cases[case], Page { width, colour: false }, max)
    }

    #[test]
    fn says_what_failed_where_and_how_to_repeat_it() {
        let text = of(0, None, 15).join("\n");
        let expected = "  \
  step 1 failed: Greet everyone
    plans/TP-900.yaml:21
    status: expected 201, found 500
    a == 2 && (b || c) does not hold: a is 1 and b || c is false
    1 more follows from it
    and 1 more sentence that did not hold
    by hand: curl -X POST https://greeter.example/greetings -d '{\"to\": \"Ann\"}'
    left behind: http DELETE /greetings/2
    again: tp-runner run TP-900 --case TC-1 --env staging";
        assert_eq!(text, expected, "\n{text}");
        assert_eq!(
            of(1, None, 15),
            [
                "  step 1 errored: Connect",
                "    plans/TP-900.yaml:20",
                "    cannot resolve `greeter.example`",
                "    2 more follow from it",
                "    again: tp-runner run TP-900 --case TC-2 --env staging"
            ]
        );
    }

    #[test]
    fn fits_into_columns_and_lines() {
        for (case, width) in (0..4).flat_map(|case| (40..=250).step_by(10).map(move |width| (case, width))) {
            for max in [10, 15] {
                let lines = of(case, Some(width), max);
                assert!(lines.len() <= max, "{lines:#?}");
                assert!(lines.iter().all(|line| columns(line) <= width), "{width} {lines:#?}");
                assert!(lines.concat().contains("TC-"), "the command is always there: {lines:#?}");
            }
        }
    }

    #[test]
    fn an_environment_that_ended_has_no_command_by_hand() {
        let mut run = samples::mixed();
        if let EventKind::RunStarted(start) = &mut run.events[0].kind {
            start.environment.ends_with_run = true;
        }
        let text = failure(&run.index().cases[0], Page::default(), 15).join("\n");
        assert!(!text.contains("curl") && text.contains("tp-runner run"), "{text}");
    }
}
