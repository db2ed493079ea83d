//! The report in the plan's own shape: its headings, its sentences in its words and order, each with what was observed. Equal runs
//! give equal text but for times and generated names. Knows nothing of how a run came about.
pub mod escape;

use super::{
    gate::{Gate, RunVerdict, gate},
    ledger::{ActionIndex, CaseIndex, RunIndex, Seen, SentenceIndex, UndoRow},
    wording::{self, and, count, duration},
};
use crate::{
    event::{EvidenceKind, Part},
    outcome::{Status, Verdict},
    source::Location,
};
use escape::{Spot, anchor, block, code, cut_block, prose};
use std::io::{self, Write};

/// Observations shown of a sentence that passed.
const SEEN: usize = 3;
/// Actions shown in full of a sentence that did not, results of one action, lines of one answer.
const CAUSES: usize = 4;
const FINDINGS: usize = 20;
const EVIDENCE_LINES: usize = 20;

/// Writes one case at a time, so that memory stays flat.
pub fn write(run: &RunIndex, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    first_lines(run, &mut text);
    table_of_cases(run, &mut text);
    what_went_wrong(run, &mut text);
    plan(run, &mut text);
    out.write_all(text.as_bytes())?;
    if !run.cases.is_empty() {
        out.write_all(b"\n## Test Cases\n")?;
    }
    for case in &run.cases {
        let mut text = String::new();
        self::case(run, case, &mut text);
        out.write_all(text.as_bytes())?;
    }
    let mut text = String::new();
    not_verified(run, &mut text);
    around(run, &mut text);
    depended_on(run, &mut text);
    notes(run, &mut text);
    if let Some(notice) = notice(run) {
        text += &format!("\n---\n\n{notice}\n");
    }
    out.write_all(text.as_bytes())
}

fn notice(run: &RunIndex) -> Option<String> {
    let notice = run.start.environment.notice.as_deref()?;
    let mut rest = notice.chars();
    let capitalised: String = rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect();
    Some(format!("**{}.**", line(&capitalised)))
}

fn line(text: &str) -> String {
    prose(text, Spot::Line)
}

/// A text of the plan.
fn words(text: &str) -> String {
    escape::words(text, Spot::Line)
}

fn cell(text: &str) -> String {
    match text.is_empty() {
        true => "–".to_owned(),
        false => prose(text, Spot::Cell),
    }
}

fn file_and_line(location: &Location, spot: Spot) -> String {
    code(&format!("{}:{}", location.file, location.line), spot)
}

fn of_mark(status: Status) -> &'static str {
    match status {
        Status::Passed => "✅",
        Status::Failed => "❌",
        Status::Errored => "⚠️",
        Status::NotReached => "⏭️",
        Status::NotVerified | Status::Unproven => "❔",
        Status::Skipped => "➖",
        Status::Interrupted => "⏹️",
    }
}

fn of_verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✅",
        Verdict::Failed => "❌",
        Verdict::KnownFailure => "🟡",
        Verdict::Blocked => "⛔",
        Verdict::Errored => "⚠️",
        Verdict::Interrupted => "⏹️",
        Verdict::Skipped => "➖",
    }
}

fn of_run(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::Passed => "✅ PASSED",
        RunVerdict::Failed => "❌ FAILED",
        RunVerdict::Errored => "⚠️ ERRORED",
        RunVerdict::Interrupted => "⏹️ INTERRUPTED",
        RunVerdict::Undecided => "➖ UNDECIDED",
    }
}

fn heading(case: &CaseIndex) -> String {
    format!("{}: {}", case.outline.id, wording::one_line(&case.outline.title, wording::SHORT))
}

fn link(case: &CaseIndex, spot: Spot) -> String {
    let id = prose(&case.outline.id, spot);
    match case.outline.selected {
        true => format!("[{id}](#{})", anchor(&heading(case))),
        false => id,
    }
}

fn first_lines(run: &RunIndex, out: &mut String) {
    let start = &run.start;
    if !run.begun {
        *out += "# Test report\n\n**⏹️ INTERRUPTED**: the journal ends before the run began; nothing is known of it.\n";
        return;
    }
    let gate = gate(run);
    let name = [start.plan.id.as_str(), start.plan.title.as_str()].join(" ");
    *out += &format!("# Test report: {}\n\n", line(name.trim()));
    *out += &format!("**{}**: {}\n\n", of_run(gate.verdict), verdict_in_words(run, &gate));
    if let Some(notice) = notice(run) {
        *out += &format!("> {notice}\n\n");
    }
    let mut row = |name: &str, value: String| *out += &format!("- **{name}**: {value}\n");
    let about = match start.environment.about.is_empty() {
        true => String::new(),
        false => format!(" ({})", line(&start.environment.about)),
    };
    row("Environment", format!("{}{about}", line(&start.environment.name)));
    row("Selection", line(&start.selection));
    row("Gate", tiers_in_words(&gate));
    row("Verified", unverified_in_words(run));
    let when = start.started.strftime("%Y-%m-%d %H:%M:%S UTC");
    row("Run", format!("{}, {when}, took {}", code(&start.run, Spot::Line), duration(run.took)));
}

fn verdict_in_words(run: &RunIndex, gate: &Gate) -> String {
    let deciding = |c: &&CaseIndex| c.outline.selected && run.start.gate.contains(&c.outline.tier);
    let deciders: Vec<_> = gate.tiers.iter().filter(|t| t.decides).map(|t| t.tier).collect();
    let who = match deciders.len() {
        0 => "no tier of the plan decides".to_owned(),
        n => format!("{} decide{}", wording::tiers(&deciders), if n == 1 { "s" } else { "" }),
    };
    let mut said = match (gate.deciding, gate.passed) {
        (0, _) => format!("no deciding case was selected ({who})."),
        (1, 1) => format!("the one deciding case passed ({who})."),
        (all, passed) if all == passed => format!("all {all} deciding cases passed ({who})."),
        (all, passed) => {
            let others = by_verdict(run.cases.iter().filter(deciding));
            format!("{passed} of {} passed; {others} ({who}).", count(all, "deciding case"))
        }
    };
    let beside = by_verdict(run.cases.iter().filter(|c| c.is_red() && !deciding(c)));
    if !beside.is_empty() {
        said += &format!(" Of the other cases, {beside}.");
    }
    if run.cancelled {
        said += " The run was cancelled.";
    } else if !run.complete {
        said += " The journal ends before the run did: what had begun and never ended is interrupted.";
    }
    said
}

/// `2 failed and 1 blocked`; those that passed left out.
fn by_verdict<'c>(cases: impl Iterator<Item = &'c CaseIndex>) -> String {
    let cases: Vec<_> = cases.map(|c| c.verdict).collect();
    use Verdict::*;
    let said: Vec<String> = [Failed, KnownFailure, Blocked, Errored, Interrupted, Skipped]
        .into_iter()
        .map(|v| (cases.iter().filter(|c| **c == v).count(), v))
        .filter(|(n, _)| *n > 0)
        .map(|(n, v)| format!("{n} {v}"))
        .collect();
    and(&said)
}

fn tiers_in_words(gate: &Gate) -> String {
    let said: Vec<String> = gate
        .tiers
        .iter()
        .map(|t| {
            let mut said = match t.selected {
                0 => format!("{} not selected", t.tier),
                n => format!("{} {}/{n}", t.tier, t.passed),
            };
            let mut aside = Vec::new();
            if t.selected > 0 && t.selected < t.in_plan {
                aside.push(format!("of {} in the plan", t.in_plan));
            }
            if t.selected > 0 && !t.decides {
                aside.push("does not decide".to_owned());
            }
            if !aside.is_empty() {
                said += &format!(" ({})", aside.join(", "));
            }
            said
        })
        .collect();
    if said.is_empty() { "the plan has no cases".to_owned() } else { said.join(" · ") }
}

/// Sentences of which this run says nothing.
fn open_sentences(run: &RunIndex) -> impl Iterator<Item = (&CaseIndex, &SentenceIndex)> {
    let open = |s: &&SentenceIndex| {
        matches!(s.status, Status::NotVerified | Status::Unproven | Status::NotReached | Status::Interrupted)
    };
    run.cases
        .iter()
        .filter(|c| c.verdict != Verdict::Skipped)
        .flat_map(move |c| c.sentences.iter().filter(open).map(move |s| (c, s)))
}

fn unverified_in_words(run: &RunIndex) -> String {
    let all = run.cases.iter().filter(|c| c.verdict != Verdict::Skipped).map(|c| c.sentences.len()).sum();
    let statuses: Vec<Status> = open_sentences(run).map(|(_, s)| s.status).collect();
    let said: Vec<String> = [Status::NotVerified, Status::Unproven, Status::NotReached, Status::Interrupted]
        .into_iter()
        .map(|status| (statuses.iter().filter(|m| **m == status).count(), status))
        .filter(|(n, _)| *n > 0)
        .map(|(n, status)| format!("**{n} {status}**"))
        .collect();
    match (all, said.is_empty()) {
        (0, _) => "nothing".to_owned(),
        (all, true) => format!("all {}", count(all, "sentence")),
        (all, false) => format!(
            "{} of {}; {} ([which](#what-was-not-verified))",
            all - statuses.len(),
            count(all, "sentence"),
            and(&said)
        ),
    }
}

fn table_of_cases(run: &RunIndex, out: &mut String) {
    if run.cases.is_empty() {
        return;
    }
    *out += "\n| Case | Title | Tier | Priority | Verdict | Time |\n|---|---|---|---|---|---:|\n";
    for case in &run.cases {
        let o = &case.outline;
        let verdict = match (case.verdict, &case.reason) {
            (Verdict::Skipped, Some(why)) => format!("{} {}", of_verdict(case.verdict), cell(why)),
            (v, _) if case.attempts > 1 => format!("{} {v} (attempt {})", of_verdict(v), case.attempts),
            (v, _) => format!("{} {v}", of_verdict(v)),
        };
        let time = if case.verdict == Verdict::Skipped { "–".to_owned() } else { duration(case.took) };
        let priority = cell(o.priority.as_deref().unwrap_or_default());
        *out += &format!(
            "| {} | {} | {} | {priority} | {verdict} | {time} |\n",
            link(case, Spot::Cell),
            cell(&o.title),
            o.tier
        );
    }
}

fn what_went_wrong(run: &RunIndex, out: &mut String) {
    if !run.cases.iter().any(CaseIndex::is_red) {
        return;
    }
    *out += "\n## What Went Wrong\n\n";
    for case in run.cases.iter().filter(|c| c.is_red()) {
        *out += &format!("- {} {} **{}**", of_verdict(case.verdict), link(case, Spot::Line), case.verdict);
        let Some(sentence) = case.first_red() else {
            *out += &format!(": {}\n", line(case.reason.as_deref().unwrap_or("for a reason that is not known")));
            continue;
        };
        let text = match is_block(&sentence.outline.text) {
            true => "the answer given in the plan".to_owned(),
            false => format!("“{}”", words(&sentence.outline.text)),
        };
        *out += &format!(" in {text}");
        let (why, location) = sentence.first_cause();
        if let Some(why) = why.or(case.reason.clone()) {
            *out += &format!(": {}", line(&why));
        }
        *out += &format!(" ({})", file_and_line(location, Spot::Line));
        if let (Verdict::KnownFailure, Some(until)) = (case.verdict, &case.reason) {
            *out += &format!("; {}", line(until));
        }
        *out += "\n";
    }
}

fn plan(run: &RunIndex, out: &mut String) {
    let plan = &run.start.plan;
    if let Some(objective) = &plan.objective {
        *out += &format!("\n## Objective\n\n{}\n", words(objective));
    }
    if !plan.scope_in.is_empty() || !plan.scope_out.is_empty() {
        *out += "\n## Scope\n";
    }
    for (name, items) in [("In Scope", &plan.scope_in), ("Out of Scope", &plan.scope_out)] {
        if !items.is_empty() {
            *out += &format!("\n### {name}\n\n");
            items.iter().for_each(|item| *out += &format!("- {}\n", words(item)));
        }
    }
}

fn case(run: &RunIndex, case: &CaseIndex, out: &mut String) {
    if !case.outline.selected {
        return;
    }
    *out += &format!("\n### {}\n\n", line(&heading(case)));
    *out += &format!("{} **{}**", of_verdict(case.verdict), case.verdict);
    if case.verdict != Verdict::Skipped {
        *out += &format!(" in {}", duration(case.took));
    }
    if case.attempts > 1 {
        *out += &format!(", at attempt {}", case.attempts);
    }
    if let Some(reason) = case.own_reason() {
        *out += &format!(": {}", line(reason));
    }
    *out += "\n\n";
    let mut fields = vec![("Tier", case.outline.tier.word())];
    fields.extend(case.outline.priority.iter().map(|p| ("Priority", p.as_str())));
    fields.extend(case.outline.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let fields: Vec<String> = fields.iter().map(|(n, v)| format!("**{}**: {}", words(n), words(v))).collect();
    *out += &format!("{}\n", fields.join(" · "));
    if case.verdict == Verdict::Skipped {
        return;
    }
    for (part, name) in
        [(Part::Precondition, "Preconditions"), (Part::Step, "Steps"), (Part::Expected, "Expected Results")]
    {
        let sentences: Vec<_> = case.sentences.iter().filter(|s| s.outline.part == part).collect();
        if sentences.is_empty() {
            continue;
        }
        room(out);
        *out += &format!("**{name}**\n\n");
        for (n, sentence) in sentences.into_iter().enumerate() {
            let bullet = if part == Part::Step { format!("{}. ", n + 1) } else { "- ".to_owned() };
            self::sentence(sentence, &bullet, out);
        }
    }
    left_behind(run, case, out);
    collected(case, out);
}

/// Whether a sentence of the plan is a block of code, such as an answer in JSON.
fn is_block(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("```") || (text.contains('\n') && text.starts_with(['{', '[']) && text.ends_with(['}', ']']))
}

/// The words of a block, without the fence that it may have brought along.
fn block_words(text: &str) -> &str {
    let text = text.trim();
    match text.strip_prefix("```").and_then(|t| t.split_once('\n')) {
        Some((_, rest)) => rest.trim_end().trim_end_matches('`'),
        None => text,
    }
}

/// One empty line before what follows.
fn room(out: &mut String) {
    while !out.ends_with("\n\n") {
        out.push('\n');
    }
}

/// Everything after the bullet stands under it, indented by its width.
fn sentence(s: &SentenceIndex, bullet: &str, out: &mut String) {
    let status = match s.status {
        Status::Passed => of_mark(s.status).to_owned(),
        status => format!("{} **{status}**", of_mark(status)),
    };
    let mut under = String::new();
    if is_block(&s.outline.text) {
        *out += &format!("{bullet}{status}\n");
        under += &format!("\n{}\n", block(block_words(&s.outline.text), "json"));
    } else if s.status == Status::Passed {
        *out += &format!("{bullet}{status} {}\n", words(&s.outline.text));
    } else {
        *out += &format!("{bullet}{status}: {}\n", words(&s.outline.text));
    }
    match s.status {
        Status::Passed => under += &observed(s),
        Status::NotVerified | Status::Unproven => under += &format!("- {}\n", words(why_open(s))),
        _ => not_passed(s, &mut under),
    }
    indented(&under, bullet.len(), out);
    // What is more than a line needs room before the next sentence.
    if under.contains("\n\n") {
        room(out);
    }
}

fn indented(text: &str, by: usize, out: &mut String) {
    for l in text.lines() {
        if !l.is_empty() {
            *out += &" ".repeat(by);
            *out += l;
        }
        out.push('\n');
    }
}

/// Why nothing is known of a sentence.
fn why_open(s: &SentenceIndex) -> &str {
    let given = match s.status {
        Status::Unproven => s.outline.unproven.as_deref().or(s.reason.as_deref()),
        _ => s.reason.as_deref(),
    };
    given.unwrap_or(match s.status {
        Status::NotVerified => "the plan says it, and nothing attempts at it",
        Status::Unproven => "the plan gives no reason",
        _ => "",
    })
}

/// One short line of what was seen where a sentence held: each subject once, with the value that it had.
fn observed(s: &SentenceIndex) -> String {
    let mut subjects: Vec<(&Seen, usize)> = Vec::new();
    for seen in &s.seen {
        match subjects.iter_mut().find(|(first, _)| first.result.subject == seen.result.subject) {
            Some((_, others)) => *others += 1,
            None => subjects.push((seen, 0)),
        }
    }
    let mut said: Vec<String> = s.reason.iter().map(|r| line(r)).collect();
    for (seen, others) in subjects.iter().take(SEEN) {
        let (subject, actual) = wording::held(&seen.result);
        let mut one = code(subject, Spot::Line);
        if let Some(actual) = actual {
            one += &format!(" is {}", code(&wording::one_line(actual, 60), Spot::Line));
        }
        match others {
            0 if seen.times > 1 => one += &format!(" ({} times)", seen.times),
            0 => {}
            n => one += &format!(" and {}", count(*n, "other value")),
        }
        said.push(one);
    }
    let more = subjects.len().saturating_sub(SEEN);
    if more > 0 {
        said.push(format!("{more} more"));
    }
    if said.is_empty() { String::new() } else { format!("- {}\n", said.join(" · ")) }
}

fn not_passed(s: &SentenceIndex, out: &mut String) {
    let causes = s.causes();
    if let Some(reason) = s.own_reason() {
        *out += &format!("- {}\n", line(reason));
    }
    for cause in causes.iter().take(CAUSES) {
        self::cause(s, cause, out);
    }
    let more = causes.len().saturating_sub(CAUSES) + s.left_out;
    if more > 0 {
        *out += &format!("\n… and {} more that did not pass.\n", count(more, "action"));
    }
}

fn cause(s: &SentenceIndex, a: &ActionIndex, out: &mut String) {
    // A check that attempts at nothing of its own is the sentence itself: its location says enough.
    let bare = a.attempts == 0 && a.took.is_zero() && a.unmet().next().is_some();
    let mut way: Vec<String> =
        s.around(a).iter().filter(|b| b.what != a.what).map(|b| code(&b.what, Spot::Line)).collect();
    way.push(match a.what.as_str() {
        _ if bare => "what was asked".to_owned(),
        "" => "an action".to_owned(),
        what => code(what, Spot::Line),
    });
    let mut head = way.join(" › ");
    let items = a.items();
    if !items.is_empty() {
        head += &format!(", item {}", items.iter().map(|i| code(i, Spot::Line)).collect::<Vec<_>>().join(" › "));
    }
    if let Some(location) = a.location() {
        head += &format!(", {}", file_and_line(location, Spot::Line));
    }
    if a.status == Status::NotReached && a.unmet().next().is_none() {
        let why = a.reason.as_ref().map(|r| format!(": {}", line(r))).unwrap_or_default();
        let status = if s.status == Status::NotReached { "" } else { "not reached: " };
        *out += &format!("- {status}{head}{why}\n");
        return;
    }
    let counted = a.own_reason().is_some_and(|r| r.contains(" attempts"));
    let attempts = if a.attempts > 1 && !counted { format!(" and {} attempts", a.attempts) } else { String::new() };
    if out.is_empty() {
        out.push('\n');
    } else {
        room(out);
    }
    let after = if bare { String::new() } else { format!(" after {}{attempts}", duration(a.took)) };
    *out += &format!("{head}: **{}**{after}", a.status);
    if let Some(reason) = a.own_reason() {
        *out += &format!(": {}", line(reason));
    }
    *out += "\n";
    results(a, out);
    timeline(a, out);
    evidence(a, out);
}

fn results(a: &ActionIndex, out: &mut String) {
    let unmet: Vec<_> = a.unmet().collect();
    if unmet.is_empty() {
        return;
    }
    *out += "\n| What | Expected | Actual |\n|---|---|---|\n";
    for f in unmet.iter().take(FINDINGS) {
        let actual = match f.operands.is_empty() {
            true => code(&f.actual, Spot::Cell),
            false => {
                let of = |(name, value): &(String, String)| {
                    format!("{} is {}", code(name, Spot::Cell), code(value, Spot::Cell))
                };
                let error = (f.actual != "false").then(|| cell(&f.actual));
                error.into_iter().chain(f.operands.iter().take(FINDINGS).map(of)).collect::<Vec<_>>().join("<br>")
            }
        };
        let (subject, expected) = (code(wording::subject(f), Spot::Cell), code(&f.expected, Spot::Cell));
        *out += &format!("| {subject} | {expected} | {actual} |\n");
    }
    let more = unmet.len().saturating_sub(FINDINGS) + a.left_out;
    if more > 0 {
        *out += &format!("\n… and {more} more that did not hold.\n");
    }
}

fn timeline(a: &ActionIndex, out: &mut String) {
    /// So many of the beginning, and so many of the end.
    const ENDS: usize = 6;
    if a.timeline.is_empty() {
        return;
    }
    let all = a.timeline.len();
    if all == 1 && a.unmet().next().is_some() {
        *out += "\nNothing changed while waiting.\n";
        return;
    }
    *out += "\nSeen while waiting:\n\n";
    for (i, moment) in a.timeline.iter().enumerate() {
        if all > 2 * ENDS && i == ENDS {
            *out += &format!("- … {} more …\n", all - 2 * ENDS);
        }
        if all > 2 * ENDS && (ENDS..all - ENDS).contains(&i) {
            continue;
        }
        let times = if moment.attempts > 1 { format!(" ({} attempts)", moment.attempts) } else { String::new() };
        *out += &format!("- from {}: {}{times}\n", duration(moment.since), line(&moment.said));
    }
}

fn evidence(a: &ActionIndex, out: &mut String) {
    for e in a.evidence.iter().filter(|e| e.kind == EvidenceKind::Reproduce) {
        *out += &format!("\nThe same by hand:\n\n{}", block(&e.text, "sh"));
    }
    let shown: Vec<_> =
        a.evidence.iter().filter(|e| e.kind != EvidenceKind::Reproduce && !e.text.trim().is_empty()).collect();
    if shown.is_empty() {
        return;
    }
    let name = |kind| match kind {
        EvidenceKind::Request => "what was sent",
        EvidenceKind::Response => "what came back",
        _ => "what was noted",
    };
    let mut names: Vec<&str> = shown.iter().map(|e| name(e.kind)).collect();
    names.dedup();
    *out += &format!("\n<details><summary>Evidence: {}</summary>\n", and(&names));
    for e in shown {
        *out += &format!("\n{}", cut_block(&e.text, "", EVIDENCE_LINES));
    }
    *out += "\n</details>\n";
}

fn left_behind(run: &RunIndex, case: &CaseIndex, out: &mut String) {
    room(out);
    if case.left.is_empty() {
        let undone = if case.undone > 0 { format!(" ({} undone)", case.undone) } else { String::new() };
        *out += &format!("**Left behind**: nothing{undone}\n");
        return;
    }
    *out += &format!(
        "**Left behind**: {} of {}\n\n| What was to be undone | Undo | Location | Why |\n|---|---|---|---|\n",
        case.left.len(),
        count(case.left.len() + case.undone, "thing")
    );
    for row in &case.left {
        let status = row.status.map_or_else(|| "⏹️ never tried".to_owned(), |m| format!("{} {m}", of_mark(m)));
        let location = row.location.as_ref().map_or_else(|| "–".to_owned(), |p| file_and_line(p, Spot::Cell));
        *out += &format!("| {} | {status} | {location} | {} |\n", code(&row.what, Spot::Cell), why_left(row));
    }
    if case.left.iter().any(|row| row.status.is_none()) {
        *out += &format!("\nTo undo it: {}\n", code(&format!("tp-runner cleanup {}", run.start.run), Spot::Line));
    }
    for action in case.left.iter().flat_map(|row| row.actions.iter().filter(|a| a.status.is_red())) {
        evidence(action, out);
    }
}

fn why_left(row: &UndoRow) -> String {
    let mut said: Vec<String> = row.reason.iter().map(|r| cell(r)).collect();
    for action in &row.actions {
        said.extend(action.reason.iter().filter(|r| Some(*r) != row.reason.as_ref()).map(|r| cell(r)));
        said.extend(action.unmet().take(2).map(|f| cell(&wording::unmet(f))));
    }
    if said.is_empty() { "–".to_owned() } else { said.join("<br>") }
}

fn collected(case: &CaseIndex, out: &mut String) {
    if case.collected.is_empty() {
        return;
    }
    *out += "\n**Collected when the case went red**\n";
    for action in &case.collected {
        let why = action.reason.as_ref().map(|r| format!(": {}", line(r))).unwrap_or_default();
        *out += &format!("\n{} {}{why}\n", of_mark(action.status), code(&action.what, Spot::Line));
        evidence(action, out);
    }
}

fn not_verified(run: &RunIndex, out: &mut String) {
    if !run.begun {
        return;
    }
    *out += "\n## What Was Not Verified\n\n";
    let rows: Vec<String> = open_sentences(run)
        .map(|(case, s)| {
            let text = match is_block(&s.outline.text) {
                true => code(block_words(&s.outline.text), Spot::Cell),
                false => escape::words(&s.outline.text, Spot::Cell),
            };
            let why = cell(why_open(s));
            format!("| {} | {text} | {} {} | {why} |\n", link(case, Spot::Cell), of_mark(s.status), s.status)
        })
        .collect();
    let skipped: Vec<String> = run
        .cases
        .iter()
        .filter(|c| c.verdict == Verdict::Skipped)
        .map(|c| format!("- {}: {}\n", line(&heading(c)), line(c.reason.as_deref().unwrap_or("skipped"))))
        .collect();
    if rows.is_empty() && skipped.is_empty() {
        *out += "Nothing: every sentence of the plan was looked at.\n";
    }
    if !rows.is_empty() {
        *out += &format!("| Case | Sentence | Status | Why |\n|---|---|---|---|\n{}", rows.concat());
    }
    if !skipped.is_empty() {
        let gap = if rows.is_empty() { "" } else { "\n" };
        *out += &format!("{gap}{} did not run:\n\n{}", count(skipped.len(), "case"), skipped.concat());
    }
}

fn around(run: &RunIndex, out: &mut String) {
    if run.around.is_empty() {
        return;
    }
    *out += "\n## Around the Cases\n";
    for action in &run.around {
        let location = action.location().map(|p| format!(", {}", file_and_line(p, Spot::Line))).unwrap_or_default();
        let why = action.reason.as_ref().map(|r| format!(": {}", line(r))).unwrap_or_default();
        let what = code(&action.what, Spot::Line);
        *out += &format!("\n{} **{}**: {what}{location}{why}\n", of_mark(action.status), action.status);
        results(action, out);
        timeline(action, out);
        evidence(action, out);
    }
}

fn depended_on(run: &RunIndex, out: &mut String) {
    let start = &run.start;
    if !run.begun {
        return;
    }
    *out += "\n## What This Run Depended On\n\n";
    *out += &format!("- **Plan**: {}", code(&start.plan.file, Spot::Line));
    if let Some(source) = &start.plan.source {
        *out += &format!(", which carries out {}", code(source, Spot::Line));
    }
    *out += "\n";
    if !start.environment.replaced.is_empty() {
        let names: Vec<String> = start.environment.replaced.iter().map(|r| code(r, Spot::Line)).collect();
        *out += &format!("- **Replaced by the environment**: {}\n", and(&names));
    }
    for (title, name, value, rows) in [
        ("Targets", "Target", "Address", &start.environment.targets),
        ("Versions", "Of", "Version", &start.versions),
        ("Variables", "Variable", "Value", &start.plan.vars),
    ] {
        if rows.is_empty() {
            continue;
        }
        *out += &format!("\n### {title}\n\n| {name} | {value} |\n|---|---|\n");
        for (name, value) in rows {
            *out += &format!("| {} | {} |\n", cell(name), code(value, Spot::Cell));
        }
    }
}

fn notes(run: &RunIndex, out: &mut String) {
    if run.notes.is_empty() {
        return;
    }
    *out += "\n## Notes\n\n";
    for note in &run.notes {
        *out += &format!("- {}\n", line(note));
    }
}

#[cfg(test)]
mod tests;
