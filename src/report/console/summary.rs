//! The summary of a run on the terminal.
use super::{
    failure::{Page, failure},
    layout::columns,
    style::{foreground, paint, verdict_style},
};
use crate::{
    outcome::{Status, Tier, Verdict},
    report::{
        gate::{RunVerdict, gate},
        run_index::{CaseEntry, RunIndex},
        verdict_words::{count_by_verdict, verdict_in_words},
        wording::{self, MAX_INLINE_CHARS, count, duration, join_with_and, one_line, tally},
    },
};
use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, ContentArrangement, Table, presets};

/// Lines of a case that did not pass.
const MAX_FAILURE_LINES: usize = 15;
/// In the order of the columns.
const VERDICTS: [Verdict; 8] = [
    Verdict::Passed,
    Verdict::Failed,
    Verdict::KnownFailure,
    Verdict::Flaky,
    Verdict::Blocked,
    Verdict::Errored,
    Verdict::Interrupted,
    Verdict::Skipped,
];

#[derive(Clone, Debug, Default)]
pub struct SummaryOptions {
    pub page: Page,
    /// Print the verdict, the failures and the reports: nothing was printed before.
    pub quiet: bool,
    /// Paths of the written reports.
    pub reports: Vec<String>,
}

/// The text printed to stdout at the end of a run.
pub fn summary(run: &RunIndex, options: &SummaryOptions) -> String {
    let page = options.page;
    let mut lines = vec![];
    let problems = || run.cases.iter().filter(|c| c.has_problem());
    if options.quiet {
        verdict(run, page, &mut lines);
        for case in problems() {
            lines.extend(case_line(case, page));
            if case.verdict != Verdict::KnownFailure {
                lines.extend(failure(case, page, MAX_FAILURE_LINES - 2));
            }
        }
    } else {
        if run.cases.iter().any(|c| c.outline.selected) {
            lines.extend(by_tier(run, page));
            lines.push(String::new());
        }
        verdict(run, page, &mut lines);
        let mut cases = problems().peekable();
        if cases.peek().is_some() {
            lines.push(String::new());
        }
        for case in problems() {
            lines.extend(case_line(case, page));
            lines.extend(deciding_line(case, page));
        }
        if cases.peek().is_some() {
            lines.push(String::new());
        }
    }
    remarks(run, options, &mut lines);
    lines.into_iter().map(|line| line + "\n").collect()
}

/// How many cases of each tier have each verdict.
fn by_tier(run: &RunIndex, page: Page) -> Vec<String> {
    let of = |tier: Tier| run.cases.iter().filter(move |c| c.outline.selected && c.outline.tier == tier);
    let tiers = || Tier::ALL.into_iter().filter(|tier| of(*tier).next().is_some());
    let occurs = |verdict: &Verdict| {
        matches!(verdict, Verdict::Passed) || run.cases.iter().any(|c| c.outline.selected && c.verdict == *verdict)
    };
    let verdicts: Vec<Verdict> = VERDICTS.into_iter().filter(occurs).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
    let title = |verdict: &Verdict| verdict.as_str().to_uppercase();
    table.set_header(std::iter::once("TIER".to_owned()).chain(verdicts.iter().map(title)));
    for tier in tiers() {
        let all = of(tier).count();
        let decides = run.start.gate.contains(&tier);
        let name = if decides { tier.as_str().to_owned() } else { format!("{tier} (does not decide)") };
        let cells =
            verdicts.iter().map(|verdict| match (of(tier).filter(|c| c.verdict == *verdict).count(), verdict) {
                (passed, Verdict::Passed) => format!("{passed} of {all}"),
                (0, _) => String::new(),
                (n, _) => n.to_string(),
            });
        table.add_row(std::iter::once(name).chain(cells).map(Cell::new));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    match page.width {
        Some(width) if lines.iter().any(|line| columns(line) > width) => {
            let line = |tier| {
                let others = count_by_verdict(of(tier));
                let separator = if others.is_empty() { "" } else { ", " };
                let passed = of(tier).filter(|c| c.verdict == Verdict::Passed).count();
                page.text(0, &format!("{tier}: {passed} of {} passed{separator}{others}", of(tier).count()), 3)
            };
            tiers().flat_map(line).collect()
        }
        _ => lines,
    }
}

/// `failed TC-1 Wrong Response`.
fn case_line(case: &CaseEntry, page: Page) -> Vec<String> {
    let word = case.verdict.as_str();
    let late = wording::out_of_time(case.out_of_time);
    let head = format!("{} {}", one_line(&case.outline.id, 40), one_line(&case.outline.title, 60));
    let mut lines = page.text(0, &format!("{word} {}{late}", head.trim_end()), 3);
    if let Some(first) = lines.first_mut() {
        *first = first.replacen(word, &paint(page.colour, verdict_style(case.verdict), word), 1);
    }
    lines
}

/// Where a case failed and why, shortly: everything was printed when it ended.
fn deciding_line(case: &CaseEntry, page: Page) -> Vec<String> {
    let sentence = case.deciding_sentence();
    let why = sentence.and_then(|s| s.worst_cause().0).or(case.reason.clone()).unwrap_or_default();
    let why = one_line(&why.replace('`', ""), 2 * MAX_INLINE_CHARS);
    let text = match sentence {
        Some(s) => {
            let at = &s.outline.location;
            format!("{}: {why} ({}:{})", one_line(&s.outline.text, MAX_INLINE_CHARS), at.file, at.line)
        }
        None => why,
    };
    page.text(2, &text, 4)
}

/// The verdict and the gate in words, and the notice of the environment.
fn verdict(run: &RunIndex, page: Page, lines: &mut Vec<String>) {
    let gate = gate(run);
    let style = match gate.verdict {
        RunVerdict::Passed => foreground(AnsiColor::Green),
        RunVerdict::Failed => foreground(AnsiColor::Red),
        _ => foreground(AnsiColor::Yellow),
    };
    let word = gate.verdict.as_str().to_uppercase();
    let in_words = match run.has_started {
        true => verdict_in_words(run, &gate),
        false => "the journal ends before the run started.".to_owned(),
    };
    let time = if run.has_started { format!(" It took {}.", duration(run.took)) } else { String::new() };
    let mut text = page.text(0, &format!("{word}: {in_words}{time}"), 8);
    if let Some(first) = text.first_mut() {
        *first = first.replacen(&word, &paint(page.colour, style.bold(), &word), 1);
    }
    lines.extend(text);
    if let Some(notice) = &run.start.environment.notice {
        let bold = |line: String| paint(page.colour, Style::new().bold(), &line);
        lines.extend(page.text(0, &one_line(notice, 4 * MAX_INLINE_CHARS), 4).into_iter().map(bold));
    }
}

fn remarks(run: &RunIndex, options: &SummaryOptions, lines: &mut Vec<String>) {
    let mut say = |text: &str| lines.extend(options.page.text(0, text, 8));
    for remark in run.cases.iter().filter_map(CaseEntry::known_remark) {
        say(&one_line(&remark, MAX_INLINE_CHARS));
    }
    if run.cases.iter().any(|c| !c.outline.selected) {
        say(&format!("selected: {}", one_line(&run.start.selection, MAX_INLINE_CHARS)));
    }
    let statuses = run.cases.iter().flat_map(|c| &c.sentences).map(|s| s.status);
    let unverified = tally(statuses, &[Status::NotVerified, Status::Unproven]);
    let unverified: Vec<_> = unverified.iter().map(|(n, s)| format!("{} {s}", count(*n, "sentence"))).collect();
    if !unverified.is_empty() {
        say(&join_with_and(&unverified));
    }
    match run.left_and_undone() {
        (0, 0) => {}
        (0, _) => say("cleaned up, nothing is left"),
        (left, _) => {
            let run = one_line(&run.start.run, MAX_INLINE_CHARS);
            say(&format!("{} left behind: `tp-runner cleanup {run}`", count(left, "thing")));
        }
    }
    for note in &run.notes {
        say(&format!("note: {}", one_line(note, 4 * MAX_INLINE_CHARS)));
    }
    for report in &options.reports {
        say(&format!("report: {report}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{index_builder::IndexBuilder, samples};

    #[test]
    fn summary_counts_by_tier_and_names_each_problem() {
        let options =
            SummaryOptions { reports: vec!["tests/reports/greetings.md".into()], ..SummaryOptions::default() };
        let text = summary(&samples::mixed().index(), &options);
        let expected = "\x20TIER    PASSED  FAILED  BLOCKED  ERRORED  INTERRUPTED  SKIPPED
 must    0 of 2  1                1
 should  0 of 1          1
 nice    0 of 2                            1            1

FAILED: 0 of 5 deciding cases passed; 1 failed, 1 blocked, 1 errored, 1 interrupted and 1 skipped (must, should and nice decide). The run was cancelled. It took 2.2 s.

failed TC-1 Wrong Response
  Greet everyone: status: expected 201, found 500; a == 2 && (b || c) does not hold: a is 1 and b || c is false (plans/TP-900.yaml:21)
errored TC-2 Unknown Host
  Connect: cannot resolve greeter.example (plans/TP-900.yaml:20)
blocked TC-3 Not Ready
  The stage is ready: rows[0].set: expected true, found null (plans/TP-900.yaml:20)
interrupted TC-4 Cancelled Run
  End: cancelled while the case was running (plans/TP-900.yaml:21)

selected: 5 of 6 cases
1 sentence not verified and 1 sentence unproven
1 thing left behind: `tp-runner cleanup RUN`
report: tests/reports/greetings.md
";
        assert_eq!(text, expected.replace("RUN", &samples::mixed().index().start.run), "\n{text}");
    }

    #[test]
    fn quiet_has_the_verdict_the_failures_and_the_reports() {
        let reports = vec!["r.md".to_owned()];
        let text =
            summary(&samples::mixed().index(), &SummaryOptions { quiet: true, reports, ..SummaryOptions::default() });
        assert!(text.starts_with("FAILED: 0 of 5 deciding cases passed"), "{text}");
        assert!(text.contains("\nfailed TC-1 Wrong Response\n  step 1 failed: Greet everyone\n"), "{text}");
        assert!(text.contains("    again: tp-runner run TP-900 --case TC-1 --env staging\n"), "{text}");
        assert!(text.ends_with("report: r.md\n") && !text.contains("TIER"), "{text}");
    }

    #[test]
    fn the_notice_appears_once() {
        for quiet in [true, false] {
            let text = summary(&samples::passing().index(), &SummaryOptions { quiet, ..SummaryOptions::default() });
            assert_eq!(text.matches("no deployment was tested").count(), 1, "{text}");
            assert!(
                text.contains("PASSED: all 3 deciding cases passed (must and nice decide). It took 1.2 s."),
                "{text}"
            );
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for (width, quiet) in (40..250).step_by(7).flat_map(|width| [(width, true), (width, false)]) {
            let page = Page { width: Some(width), colour: false };
            let options = SummaryOptions { page, quiet, reports: vec!["tests/reports/greetings.md".into()] };
            for line in summary(&samples::mixed().index(), &options).lines() {
                assert!(columns(line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn empty_journal_has_a_summary() {
        let text = summary(&IndexBuilder::build([]), &SummaryOptions::default());
        assert_eq!(text, "INTERRUPTED: the journal ends before the run started.\n");
    }
}
