//! What GitHub Actions shows of a run: annotations at the plan's file and line, printed as workflow commands, and the summary of the job.
use super::{
    console::neutral::neutral,
    excerpt, markdown,
    run_index::{CaseEntry, RunIndex, SentenceEntry},
    sentences::{self, Mark, why_incomplete},
    wording::{MAX_INLINE_CHARS, one_line},
};
use crate::{
    outcome::{Status, Verdict},
    source::Location,
};
use std::io::{self, Write};

/// GitHub refuses a summary of more than 1 MiB for all plans of a step together.
const MAX_SUMMARY_BYTES: usize = 256 << 10;

/// Gives the path of a file in the repository; `None` if it is not there.
pub type RepositoryPath<'p> = &'p dyn Fn(&str) -> Option<String>;

/// Writes a line per sentence that did not pass. GitHub shows only the first ten of a step: the deciding ones are first.
pub fn annotations(run: &RunIndex, path: RepositoryPath<'_>, rest: &str, out: &mut dyn Write) -> io::Result<()> {
    for action in &run.outside_cases {
        let text = excerpt::action(action, rest);
        annotation("error", action.location(), path, "outside the cases", &text, out)?;
    }
    if let Some(why) = why_incomplete(run) {
        annotation("error", None, path, &run.start.plan.id, why, out)?;
    }
    let selected = || run.cases.iter().filter(|c| c.outline.selected);
    for case in selected() {
        match case.deciding_sentence() {
            Some(s) => of_sentence(case, s, path, rest, out)?,
            None if case.verdict == Verdict::Flaky => flaky(case, path, rest, out)?,
            None => {
                if let Some((_, why)) = sentences::of_case_alone(case) {
                    let location = case.sentences.first().map(|s| &s.outline.location);
                    annotation("error", location, path, &case.outline.id, &why, out)?;
                }
            }
        }
    }
    for case in selected() {
        let deciding = case.deciding_sentence().map(|s| &s.outline.address);
        let others = case.sentences.iter().filter(|s| Some(&s.outline.address) != deciding);
        for s in others.filter(|s| matches!(s.status, Status::Failed | Status::Errored)) {
            of_sentence(case, s, path, rest, out)?;
        }
    }
    Ok(())
}

/// A case that passed when it was tried again, at the sentence that failed before.
fn flaky(case: &CaseEntry, path: RepositoryPath<'_>, rest: &str, out: &mut dyn Write) -> io::Result<()> {
    let level = if case.is_accepted() { "warning" } else { "error" };
    let (_, attempt) = case.deciding_attempt();
    let mut text = case.reason.clone().unwrap_or_default();
    let mut location = case.sentences.first().map(|s| &s.outline.location);
    if let Some(s) = attempt.deciding_sentence() {
        text += &format!("\n{}", excerpt::sentence(attempt, s, rest).text());
        location = Some(s.worst_cause().1);
    }
    let text = &text[..text.floor_char_boundary(excerpt::MAX_SENTENCE_BYTES)];
    annotation(level, location, path, &format!("{} is flaky", case.outline.id), text, out)
}

fn of_sentence(
    case: &CaseEntry,
    s: &SentenceEntry,
    path: RepositoryPath<'_>,
    rest: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    // a known failure does not fail the job
    let level = if sentences::mark(case, s) == Mark::Skipped { "warning" } else { "error" };
    let title = format!("{} {}", case.outline.id, sentences::name(case, s));
    let (why, location) = s.worst_cause();
    let mut text = excerpt::sentence(case, s, rest).text();
    if let (true, Some(why)) = (level == "warning" || text.is_empty(), case.reason.as_ref().or(why.as_ref())) {
        text = format!("{}\n{text}", one_line(why, MAX_INLINE_CHARS));
    }
    let start = text.floor_char_boundary(excerpt::MAX_SENTENCE_BYTES);
    annotation(level, Some(location), path, &title, &text[..start], out)
}

fn annotation(
    level: &str,
    location: Option<&Location>,
    path: RepositoryPath<'_>,
    title: &str,
    text: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut properties = vec![];
    if let Some((file, line)) = location.and_then(|l| Some((path(&l.file)?, l.line))) {
        properties.extend([format!("file={}", property(&file)), format!("line={line}")]);
    }
    properties.push(format!("title={}", property(&one_line(title, MAX_INLINE_CHARS))));
    writeln!(out, "::{level} {}::{}", properties.join(","), data(text))
}

/// Escapes a text so that the command ends with it.
fn data(text: &str) -> String {
    neutral(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Writes the head of the Markdown report, for the file that `GITHUB_STEP_SUMMARY` names.
pub fn job_summary(run: &RunIndex, rest: &str, out: &mut dyn Write) -> io::Result<()> {
    let text = markdown::overview(run);
    let mut written = 0;
    for line in text.split_inclusive('\n') {
        written += line.len();
        if written > MAX_SUMMARY_BYTES {
            return writeln!(
                out,
                "\n… cut; the rest: {}\n",
                markdown::escape::code(rest, markdown::escape::Context::Line)
            );
        }
        out.write_all(line.as_bytes())?;
    }
    // the next plan of the step follows
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;
    use std::sync::Arc;

    fn printed(run: &RunIndex) -> Vec<String> {
        let mut out = vec![];
        annotations(run, &|file| Some(format!("sub/{file}")), "r.md", &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_failed_sentence_is_annotated_at_the_place_in_the_plan() {
        let lines = printed(&samples::mixed().index());
        let starts: Vec<&str> = lines.iter().map(|l| &l[..l[3..].find("::").unwrap() + 3]).collect();
        let expected = [
            "::error title=TP-900",
            "::error file=sub/plans/TP-900.yaml,line=42,title=TC-1 step 1%3A Greet everyone",
            "::error file=sub/plans/TP-900.yaml,line=60,title=TC-2 step 1%3A Connect",
            "::error file=sub/plans/TP-900.yaml,line=70,title=TC-3 precondition 1%3A The stage is ready",
            "::error file=sub/plans/TP-900.yaml,line=80,title=TC-4 step 2%3A End",
            "::error file=sub/plans/TP-900.yaml,line=50,title=TC-1 step 2%3A Wait for the echo",
        ];
        assert_eq!(starts, expected);
        assert!(lines[1].contains("%0A  status%0A    expected 201%0A    found    500%0A"), "{}", lines[1]);
        assert!(printed(&samples::passing().index()).is_empty());
    }

    #[test]
    fn a_text_cannot_issue_a_command() {
        let mut run = samples::mixed().index();
        let hostile = "100%\r\n::add-mask::x,file=y:z ##vso[task]";
        Arc::make_mut(&mut run.cases[0].outline).id = hostile.into();
        for s in &mut run.cases[0].sentences {
            Arc::make_mut(&mut s.outline).text = hostile.into();
            s.reason = Some(hostile.into());
            s.actions.iter_mut().for_each(|a| a.summary = hostile.into());
        }
        for line in printed(&run) {
            let (head, text) = line[2..].split_once("::").unwrap();
            assert!(head.starts_with("error ") && !line.contains("##vso["), "{line}");
            assert!(head.split(',').count() <= 3 && !text.contains(['\r', '\n']), "{line}");
            assert_eq!(
                line.matches('%').count(),
                line.matches("%25").count()
                    + line.matches("%0").count()
                    + line.matches("%3A").count()
                    + line.matches("%2C").count(),
                "{line}"
            );
        }
    }

    #[test]
    fn a_text_in_no_file_of_the_repository_has_no_place() {
        let mut out = vec![];
        annotations(&samples::mixed().index(), &|_| None, "r.md", &mut out).unwrap();
        assert!(!String::from_utf8(out).unwrap().contains("file="));
    }

    #[test]
    fn summary_has_the_verdict_and_no_links_within_the_report() {
        let mut out = vec![];
        job_summary(&samples::mixed().index(), "r.md", &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("**❌ FAILED**")
                && text.contains("- ❌ TC-1: Wrong Response")
                && text.contains("What Went Wrong"),
            "{text}"
        );
        assert!(!text.contains("](#"), "{text}");
    }

    #[test]
    fn a_long_summary_is_cut() {
        let mut run = samples::mixed().index();
        run.cases = std::iter::repeat_n(run.cases[0].clone(), 3_000).collect();
        let mut out = vec![];
        job_summary(&run, "r.md", &mut out).unwrap();
        assert!(out.len() < MAX_SUMMARY_BYTES + 100 && out.ends_with("… cut; the rest: `r.md`\n\n".as_bytes()));
    }
}
