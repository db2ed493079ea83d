//! The summary of a run on the terminal.
use super::style::{foreground, paint, status_style, verdict_style};
use crate::{
    event::EvidenceKind,
    outcome::{Status, Verdict},
    report::{
        gate::{RunVerdict, gate},
        run_index::{CaseEntry, RunIndex},
        wording::{self, MAX_INLINE_CHARS, count, duration, join_with_and, one_line, tally},
    },
};
use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use std::fmt::Write as _;

/// Maximum number of lines shown of the command that reproduces a failure.
const MAX_COMMAND_LINES: usize = 12;

#[derive(Clone, Debug, Default)]
pub struct SummaryOptions {
    pub colour: bool,
    /// Paths of the written reports.
    pub reports: Vec<String>,
}

/// The text printed to stdout at the end of a run.
pub fn summary(run: &RunIndex, options: &SummaryOptions) -> String {
    let mut out = String::new();
    let notice = run.start.environment.notice.as_deref().map(|n| one_line(n, 4 * MAX_INLINE_CHARS));
    if let Some(notice) = &notice {
        let _ = writeln!(out, "{}\n", paint(options.colour, Style::new().bold(), notice));
    }
    if !run.cases.is_empty() {
        let _ = writeln!(out, "{}\n", table(run, options));
    }
    for case in run.cases.iter().filter(|c| c.has_problem()) {
        failure(case, options, &mut out);
    }
    verdict(run, options, &mut out);
    match run.left_and_undone() {
        (0, 0) => {}
        (0, _) => out.push_str("cleaned up, nothing is left\n"),
        (left, _) => {
            let run = one_line(&run.start.run, MAX_INLINE_CHARS);
            let _ = writeln!(out, "{} left behind: `tp-runner cleanup {run}`", count(left, "thing"));
        }
    }
    for note in &run.notes {
        let _ = writeln!(out, "note: {}", one_line(note, 4 * MAX_INLINE_CHARS));
    }
    for report in &options.reports {
        let _ = writeln!(out, "report: {report}");
    }
    if let Some(notice) = &notice {
        let _ = writeln!(out, "{}", paint(options.colour, Style::new().bold(), notice));
    }
    out
}

fn table(run: &RunIndex, options: &SummaryOptions) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    table.set_content_arrangement(ContentArrangement::Disabled);
    if options.colour {
        table.enforce_styling();
    }
    table.set_header(["CASE", "TITLE", "TIER", "VERDICT", "TIME"]);
    for case in run.cases.iter().filter(|c| c.outline.selected) {
        let time = if case.verdict == Verdict::Skipped { String::new() } else { duration(case.took) };
        let mut verdict = Cell::new(case.verdict.as_str());
        if options.colour {
            verdict = verdict.fg(match case.verdict {
                Verdict::Passed => Color::DarkGreen,
                Verdict::Failed | Verdict::Blocked => Color::DarkRed,
                Verdict::Errored | Verdict::Interrupted | Verdict::KnownFailure | Verdict::Flaky => Color::DarkYellow,
                Verdict::Skipped => Color::DarkGrey,
            });
        }
        table.add_row([
            Cell::new(one_line(&case.outline.id, 40)),
            Cell::new(one_line(&case.outline.title, 60)),
            Cell::new(case.outline.tier.as_str()),
            verdict,
            Cell::new(time).set_alignment(CellAlignment::Right),
        ]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Writes the deciding sentence of a case, its cause, and how many others there are.
fn failure(case: &CaseEntry, options: &SummaryOptions, out: &mut String) {
    let head = format!("{} {}", one_line(&case.outline.id, 40), one_line(&case.outline.title, 60));
    let word = paint(options.colour, verdict_style(case.verdict), case.verdict.as_str());
    let late = wording::out_of_time(case.out_of_time);
    let _ = writeln!(out, "{} {word}{late}", paint(options.colour, Style::new().bold(), &head));
    if let Some(reason) = case.own_reason() {
        let _ = writeln!(out, "  {}", one_line(reason, 2 * MAX_INLINE_CHARS));
    }
    let Some(sentence) = case.deciding_sentence() else {
        out.push('\n');
        return;
    };
    let text = one_line(&sentence.outline.text, MAX_INLINE_CHARS);
    let (why, location) = sentence.worst_cause();
    let _ =
        writeln!(out, "  {}: {text}", paint(options.colour, status_style(sentence.status), sentence.status.as_str()));
    let cause = sentence.causes().into_iter().find(|c| c.status == sentence.status);
    let unmet: Vec<_> = cause.iter().flat_map(|c| c.unmet()).collect();
    for f in unmet.iter().take(4) {
        let _ = writeln!(out, "    {}", wording::unmet_with_quotes(f, ""));
    }
    if unmet.len() > 4 {
        let _ = writeln!(out, "    and {} more", unmet.len() - 4);
    }
    let reason = match unmet.is_empty() {
        true => why,
        false => cause.and_then(|c| c.own_reason()).map(str::to_owned),
    };
    if let Some(reason) = reason {
        let _ = writeln!(out, "    {}", one_line(&reason, 2 * MAX_INLINE_CHARS));
    }
    if let Some(said) = case.product_words(sentence) {
        let _ = writeln!(out, "    the product says: {said}");
    }
    let _ = writeln!(out, "    at {}", one_line(&format!("{}:{}", location.file, location.line), MAX_INLINE_CHARS));
    let made_by = cause.and_then(|c| case.judged_by(sentence, c).into_iter().next());
    let evidence = cause.into_iter().chain(made_by).flat_map(|a| &a.evidence);
    let reproduce = evidence.into_iter().find(|e| e.kind == EvidenceKind::Reproduce);
    if let Some(reproduce) = reproduce {
        // Joins lines that end in a backslash, so that the command can be copied.
        let (command, more) = wording::first_lines(
            &reproduce.text.replace("\\\r\n", "\\\n").replace("\\\n", ""),
            MAX_COMMAND_LINES,
            2_000,
        );
        let mut prompt = "$ ";
        for line in command.lines() {
            let _ = writeln!(out, "    {}{line}", paint(options.colour, Style::new().dimmed(), prompt));
            prompt = "  ";
        }
        if more > 0 {
            let _ = writeln!(out, "      and {}: see the report", count(more, "more line"));
        }
    }
    let (follow, others) = case.other_problems();
    match follow {
        0 => {}
        1 => out.push_str("    1 more follows from it\n"),
        n => {
            let _ = writeln!(out, "    {n} more follow from it");
        }
    }
    if others > 0 {
        let _ = writeln!(out, "    and {} that did not hold", count(others, "more sentence"));
    }
    for entry in &case.not_undone {
        let _ = writeln!(out, "    left behind: {}", one_line(&entry.summary, MAX_INLINE_CHARS));
    }
    out.push('\n');
}

fn verdict(run: &RunIndex, options: &SummaryOptions, out: &mut String) {
    let gate = gate(run);
    let style = match gate.verdict {
        RunVerdict::Passed => foreground(AnsiColor::Green),
        RunVerdict::Failed => foreground(AnsiColor::Red),
        _ => foreground(AnsiColor::Yellow),
    };
    let tiers: Vec<String> = gate
        .tiers
        .iter()
        .filter(|t| t.selected > 0)
        .map(|t| {
            let remark = if t.decides { "" } else { " (does not decide)" };
            format!("{} {}/{}{remark}", t.tier, t.passed, t.selected)
        })
        .collect();
    let word = paint(options.colour, style.bold(), &gate.verdict.as_str().to_uppercase());
    let tiers = if tiers.is_empty() { "no case was selected".to_owned() } else { tiers.join(", ") };
    let _ = writeln!(out, "{word}: {tiers}, in {}", duration(run.took));
    for remark in run.cases.iter().filter_map(CaseEntry::known_remark) {
        let _ = writeln!(out, "{}", one_line(&remark, MAX_INLINE_CHARS));
    }
    if run.cases.iter().any(|c| !c.outline.selected) {
        let _ = writeln!(out, "selected: {}", one_line(&run.start.selection, MAX_INLINE_CHARS));
    }
    if !run.has_started {
        let _ = writeln!(out, "the journal ends before the run started");
    } else if !run.complete && !run.cancelled {
        let _ = writeln!(out, "the journal ends before the run finished");
    }
    let statuses = run.cases.iter().flat_map(|c| &c.sentences).map(|s| s.status);
    let unverified = tally(statuses, &[Status::NotVerified, Status::Unproven]);
    let unverified: Vec<_> = unverified.iter().map(|(n, s)| format!("{} {s}", count(*n, "sentence"))).collect();
    if !unverified.is_empty() {
        let _ = writeln!(out, "{}", join_with_and(&unverified));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{index_builder::IndexBuilder, samples};

    #[test]
    fn summary_shows_each_problem() {
        let options =
            SummaryOptions { reports: vec!["tests/reports/greetings.md".into()], ..SummaryOptions::default() };
        let text = summary(&samples::mixed().index(), &options);
        let expected = r#" CASE  TITLE           TIER    VERDICT      TIME
 TC-1  Wrong Response  must    failed        2.1 s
 TC-2  Unknown Host    must    errored        9 ms
 TC-3  Not Ready       should  blocked       15 ms
 TC-4  Cancelled Run   nice    interrupted  140 ms
 TC-5  Too Late        nice    skipped

TC-1 Wrong Response failed
  failed: Greet everyone
    status: expected 201, found 500
    a == 2 && (b || c) does not hold: a is 1 and b || c is false
    at plans/TP-900.yaml:42
    $ curl -X POST https://greeter.example/greetings   -d '{"to": "Ann"}'
    1 more follows from it
    and 1 more sentence that did not hold
    left behind: http DELETE /greetings/2

TC-2 Unknown Host errored
  errored: Connect
    cannot resolve `greeter.example`
    at plans/TP-900.yaml:60
    2 more follow from it

TC-3 Not Ready blocked
  a precondition does not hold
  failed: The stage is ready
    rows[0].set: expected true, found null
    at plans/TP-900.yaml:70
    1 more follows from it

TC-4 Cancelled Run interrupted
  cancelled while the case was running
  interrupted: End
    at plans/TP-900.yaml:80
    1 more follows from it

FAILED: must 0/2, should 0/1, nice 0/2, in 2.2 s
selected: 5 of 6 cases
1 sentence not verified and 1 sentence unproven
1 thing left behind: `tp-runner cleanup RUN`
report: tests/reports/greetings.md
"#
        .replace("RUN", &samples::mixed().index().start.run);
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn notice_is_first_and_last_line() {
        let text = summary(&samples::passing().index(), &SummaryOptions::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.first(), lines.last());
        assert!(lines[0].contains("no deployment was tested"));
        assert!(text.contains("PASSED: must 2/2, nice 1/1, in 1.2 s\n"), "{text}");
    }

    #[test]
    fn empty_journal_has_a_summary() {
        let text = summary(&IndexBuilder::build([]), &SummaryOptions::default());
        assert_eq!(text, "INTERRUPTED: no case was selected, in 0 ms\nthe journal ends before the run started\n");
    }
}
