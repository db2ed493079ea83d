//! What was observed of a sentence that did not pass, as plain text of limited size: for readers that cut long texts or refuse them.
//! No text contains commands for terminals or CI servers.
use super::{
    console::neutral::neutral,
    difference::{around, sides},
    run_index::{ActionEntry, CaseEntry, SentenceEntry},
    wording::{self, duration, one_line, sanitize},
};
use crate::event::{AssertionResult, Evidence, EvidenceKind};

/// What a format carries of one sentence.
pub const MAX_SENTENCE_BYTES: usize = 4 << 10;
/// The reasons get this much of it, the evidence what they leave.
const MAX_REASONS_BYTES: usize = 2 << 10;
const MAX_VALUE_BYTES: usize = 240;
const MAX_REQUEST_LINE_BYTES: usize = 200;
const MAX_CAUSES: usize = 4;
const MAX_RESULTS: usize = 6;
/// Observations of other sentences that are shown.
const MAX_JUDGED: usize = 2;
/// Timeline entries shown from the beginning, and as many from the end.
const TIMELINE_ENDS: usize = 3;

/// Together at most [`MAX_SENTENCE_BYTES`].
pub struct Excerpt {
    /// Where it failed, expected and actual values, what the product said.
    pub reasons: String,
    /// The command to repeat it, the timeline of a wait, response and request.
    pub evidence: String,
}

impl Excerpt {
    /// Both texts.
    pub fn text(&self) -> String {
        match self.evidence.is_empty() {
            true => self.reasons.clone(),
            false => format!("{}\n\n{}", self.reasons, self.evidence),
        }
    }
}

/// Of a sentence that did not pass. `rest` says where everything is, as a path or a command.
pub fn sentence(case: &CaseEntry, s: &SentenceEntry, rest: &str) -> Excerpt {
    let mut reasons = Limited::new(MAX_REASONS_BYTES - 2, rest);
    let causes = s.causes();
    reasons.line(&format!("{}:{}", s.outline.location.file, s.outline.location.line));
    if let Some(reason) = s.own_reason() {
        reasons.line(&one_line(reason, 2 * wording::MAX_INLINE_CHARS));
    }
    if let Some(said) = case.product_words(s) {
        reasons.line(&format!("the product says: {}", one_line(said, wording::MAX_INLINE_CHARS)));
    }
    for cause in causes.iter().take(MAX_CAUSES) {
        reasons.line(&head(cause));
        for result in cause.unmet().take(MAX_RESULTS) {
            difference(result, &mut reasons);
        }
        reasons.more(cause.unmet().count().saturating_sub(MAX_RESULTS) + cause.omitted, "assertion");
    }
    reasons.more(causes.len().saturating_sub(MAX_CAUSES) + s.omitted, "action");
    let reasons = reasons.end();
    let judged: Vec<_> =
        causes.first().into_iter().flat_map(|cause| case.judged_by(s, cause)).take(MAX_JUDGED).collect();
    let requests: Vec<String> = causes.first().into_iter().chain(&judged).filter_map(|a| request_line(a)).collect();
    let reserved: usize = requests.iter().map(String::len).sum();
    let mut evidence = Limited::new(MAX_SENTENCE_BYTES - 2 - reasons.len() - reserved, rest);
    evidence.line(&format!("again: {}", one_line(&case.again, 2 * wording::MAX_INLINE_CHARS)));
    if let Some(cause) = causes.first() {
        observed(cause, &mut evidence);
        for input in judged {
            evidence.line(&format!("judged: {}", head(input)));
            observed(input, &mut evidence);
        }
    }
    let evidence = evidence.end();
    // a long response leaves no room for the request
    let lost = requests.into_iter().filter(|line| !evidence.contains(line.trim_end()));
    Excerpt { reasons, evidence: lost.collect::<String>() + &evidence }
}

/// Of an action outside of sentences, such as the environment's setup.
pub fn action(action: &ActionEntry, rest: &str) -> String {
    let mut text = Limited::new(MAX_SENTENCE_BYTES, rest);
    text.line(&head(action));
    for result in action.unmet().take(MAX_RESULTS) {
        difference(result, &mut text);
    }
    observed(action, &mut text);
    text.end()
}

/// `http POST /sessions, item 2: failed after 2 s and 5 attempts: reason (plans/TP.yaml:42)`.
fn head(a: &ActionEntry) -> String {
    let performed = a.performed();
    let summary = if performed.is_empty() { "an action" } else { &performed };
    let mut text = one_line(summary, wording::MAX_INLINE_CHARS);
    let items = a.items();
    if !items.is_empty() {
        text += &format!(", item {}", one_line(&items.join(" › "), 80));
    }
    text += &format!(": {}", a.status);
    if !a.took.is_zero() {
        text += &format!(" after {}", duration(a.took));
    }
    if a.attempts > 1 {
        text += &format!(", {} attempts", a.attempts);
    }
    if let Some(reason) = a.own_reason() {
        text += &format!(": {}", one_line(reason, 2 * wording::MAX_INLINE_CHARS));
    }
    if let Some(location) = a.location() {
        text += &format!(" ({}:{})", location.file, location.line);
    }
    text
}

/// Expected beside actual, cut around the first difference.
fn difference(f: &AssertionResult, out: &mut Limited<'_>) {
    if wording::is_expression(f) {
        out.line(&format!("  {}", wording::unmet_text(f)));
        return;
    }
    out.line(&format!("  {}", one_line(wording::subject(f), wording::MAX_INLINE_CHARS)));
    let (expected, actual) = sides(f, MAX_VALUE_BYTES);
    for (name, shown, value) in [("expected", expected, &f.expected), ("found   ", actual, &f.actual)] {
        out.cut |= shown.len() != sanitize(value).len();
        out.line(&format!("    {name} {}", shown.replace('\n', "\n             ")));
    }
}

/// The first line of the request of an action, with its line end.
fn request_line(a: &ActionEntry) -> Option<String> {
    let request = a.evidence.iter().rfind(|e| e.kind == EvidenceKind::Request)?;
    let line = around(&harmless(&sanitize(request.text.lines().next()?)), 0, MAX_REQUEST_LINE_BYTES);
    Some(format!("{line}\n"))
}

/// The evidence of an action: first what helps to repeat it.
fn observed(a: &ActionEntry, out: &mut Limited<'_>) {
    let of = |kind| a.evidence.iter().filter(move |e| e.kind == kind && !e.text.trim().is_empty());
    of(EvidenceKind::Reproduce).for_each(|e| out.block("to repeat it", e, 0));
    if a.timeline.len() > 1 {
        out.line("while waiting:");
    }
    for (i, entry) in a.timeline.iter().enumerate().filter(|_| a.timeline.len() > 1) {
        let skipped = a.timeline.len().saturating_sub(2 * TIMELINE_ENDS);
        if skipped > 0 && i == TIMELINE_ENDS {
            out.line(&format!("  … {skipped} more"));
        }
        if !(TIMELINE_ENDS..TIMELINE_ENDS + skipped).contains(&i) {
            let attempts = if entry.attempts > 1 { format!(" ({} attempts)", entry.attempts) } else { String::new() };
            out.line(&format!("  from {}: {}{attempts}", duration(entry.since), one_line(&entry.message, 120)));
        }
    }
    for (kind, name) in
        [(EvidenceKind::Response, "response"), (EvidenceKind::Note, "notes"), (EvidenceKind::Request, "request")]
    {
        // a command that is its own request
        let is_new = |e: &&Evidence| !of(EvidenceKind::Reproduce).any(|command| command.text == e.text);
        of(kind).filter(is_new).for_each(|e| out.block(name, e, place_of_difference(a, &e.text)));
    }
}

/// Where the value that differs is in a response: the value beside its key, else the key.
fn place_of_difference(a: &ActionEntry, text: &str) -> usize {
    let Some(result) = a.unmet().next() else { return 0 };
    let key = result.subject.rsplit(['.', '[']).next().unwrap_or_default().trim_end_matches(']');
    let key = format!("\"{key}\"");
    let values = text.match_indices(&key).map(|(at, _)| at);
    let beside_value = values.clone().find(|at| {
        let rest = text[at + key.len()..].trim_start_matches([':', ' ', '"']);
        !result.actual.is_empty() && rest.starts_with(result.actual.trim_matches('"'))
    });
    beside_value.or_else(|| values.clone().next()).unwrap_or(0)
}

/// The text without commands, and without the mark by which GitLab and Jenkins find attachments.
fn harmless(text: &str) -> String {
    neutral(text).replace("[[ATTACHMENT|", "[\\[ATTACHMENT|")
}

/// A text that grows up to a limit.
struct Limited<'r> {
    text: String,
    max: usize,
    rest: &'r str,
    cut: bool,
}

impl<'r> Limited<'r> {
    /// At most `max` bytes, with the place of the rest.
    fn new(max: usize, rest: &'r str) -> Self {
        Limited { text: String::new(), max, rest, cut: false }
    }

    fn pointer(&self) -> String {
        around(&format!("… cut; the rest: {}", neutral(&one_line(self.rest, 400))), 0, 500)
    }

    /// How many bytes can be added.
    fn left(&self) -> usize {
        self.max.saturating_sub(self.text.len() + self.pointer().len() + 1)
    }

    fn line(&mut self, line: &str) {
        let line = harmless(line);
        let fits = line.len() < self.left();
        if fits && !self.cut_off() {
            self.text += &line;
            self.text.push('\n');
        }
        self.cut |= !fits;
    }

    /// Whether nothing more is added.
    fn cut_off(&self) -> bool {
        self.left() < 80
    }

    fn more(&mut self, count: usize, noun: &str) {
        if count > 0 {
            self.cut = true;
            self.line(&format!("… and {} more", wording::count(count, noun)));
        }
    }

    /// A text with its name, cut around an offset.
    fn block(&mut self, name: &str, evidence: &Evidence, at: usize) {
        let clean = sanitize(&evidence.text[at.min(evidence.text.len())..]);
        let before = sanitize(&evidence.text[..at.min(evidence.text.len())]);
        let whole = harmless(&format!("{before}{clean}"));
        let whole = whole.trim_end();
        let room = self.left().saturating_sub(name.len() + 4);
        if room < 80 {
            self.cut = true;
            return;
        }
        let shown = around(whole, before.len(), room);
        self.cut |= shown.len() != whole.len();
        self.text += &format!("{name}:\n{shown}\n");
    }

    fn end(mut self) -> String {
        if self.cut {
            self.text += &self.pointer();
        }
        self.text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::SentenceInput,
        outcome::Status,
        report::samples::{self, evidence, result},
    };
    use std::sync::Arc;

    fn failed(change: impl FnOnce(&mut ActionEntry)) -> Excerpt {
        let mut case = samples::mixed().index().cases.remove(0);
        let s = case.sentences.iter_mut().find(|s| s.status == Status::Failed).unwrap();
        let cause = s.actions.iter_mut().find(|a| a.unmet().next().is_some()).unwrap();
        change(cause);
        let s = case.sentences.iter().find(|s| s.status == Status::Failed).unwrap();
        sentence(&case, s, "tests/reports/r.md")
    }

    #[test]
    fn shows_place_difference_command_and_response() {
        let excerpt = failed(|_| {});
        let reasons = "plans/TP-900.yaml:21\n\
                       http POST /greetings, item 1: failed after 20 ms (plans/TP-900.yaml:42)\n  \
                         status\n    expected 201\n    found    500\n  \
                         `a == 2 && (b || c)` does not hold: `a` is `1` and `b || c` is `false`";
        assert_eq!(excerpt.reasons, reasons, "\n{}", excerpt.reasons);
        assert!(
            excerpt
                .evidence
                .starts_with("again: tp-runner run TP-900 --case TC-1 --env staging\nto repeat it:\ncurl -X POST"),
            "{}",
            excerpt.evidence
        );
        assert!(excerpt.evidence.ends_with("request:\nPOST /greetings\n\n{\"to\": \"Ann\"}"), "{}", excerpt.evidence);
    }

    #[test]
    fn shows_what_a_sentence_judges() {
        let mut case = samples::mixed().index().cases.remove(0);
        let s = case.sentences.iter_mut().find(|s| s.status == Status::Failed).unwrap();
        let mut maker = s.actions.iter().find(|a| a.unmet().next().is_some()).unwrap().clone();
        s.actions.iter_mut().for_each(|a| a.evidence.clear());
        let input = SentenceInput { name: "status".into(), actions: vec![maker.address.clone()] };
        Arc::make_mut(&mut s.outline).inputs = vec![input];
        (maker.status, maker.results, maker.summary) = (Status::Passed, vec![], "http GET /it".into());
        case.inputs = vec![maker];
        let s = case.sentences.iter().find(|s| s.status == Status::Failed).unwrap();
        let excerpt = sentence(&case, s, "tests/reports/r.md");
        assert!(
            excerpt.evidence.starts_with("again: tp-runner run TP-900 --case TC-1 --env staging\njudged: http GET /it"),
            "{}",
            excerpt.evidence
        );
        assert!(excerpt.evidence.contains("to repeat it:\ncurl -X POST"), "{}", excerpt.evidence);
    }

    #[test]
    fn cuts_values_and_responses_around_the_difference() {
        let filler = "é".repeat(5_000);
        let excerpt = failed(|a| {
            let actual = format!("{filler}WRONG{filler}");
            a.results = vec![result("body.name", false, &format!("{filler}RIGHT{filler}"), &actual)];
            let body = format!("{{\"a\": \"{filler}\", \"name\": \"{actual}\", \"z\": \"{filler}\"}}");
            a.evidence = vec![evidence(EvidenceKind::Response, &body)];
        });
        assert!(excerpt.reasons.contains("éWRONGé") && excerpt.reasons.contains("éRIGHTé"), "{}", excerpt.reasons);
        assert!(excerpt.evidence.contains("\"name\": \"éé"), "{}", excerpt.evidence);
        let text = excerpt.text();
        assert!(text.len() <= MAX_SENTENCE_BYTES && text.len() > MAX_SENTENCE_BYTES / 2, "{}", text.len());
        assert!(text.ends_with("… cut; the rest: tests/reports/r.md"), "{text}");
    }

    #[test]
    fn every_sentence_stays_within_the_limit() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let pieces = ["a", "\n", "::error::", "\u{1b}[2J", "é", "##vso[", "‹token›", "\u{202e}", "[[ATTACHMENT|"];
            let mut text = |max: usize| (0..random.usize(..max)).map(|_| pieces[random.usize(..9)]).collect::<String>();
            let excerpt = failed(|a| {
                a.summary = text(50);
                a.reason = Some(text(800));
                a.results = (0..20).map(|_| result(&text(60), false, &text(900), &text(900))).collect();
                a.evidence =
                    [EvidenceKind::Request, EvidenceKind::Response, EvidenceKind::Reproduce, EvidenceKind::Note]
                        .map(|kind| evidence(kind, &text(2_000)))
                        .to_vec();
            });
            let text = excerpt.text();
            assert!(text.len() <= MAX_SENTENCE_BYTES, "{}", text.len());
            assert_eq!(neutral(&text), text);
            assert!(!text.contains("[[ATTACHMENT|"));
        }
    }
}
