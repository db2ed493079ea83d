//! The lines about the running cases, in the columns that there are.
use super::{
    layout::{columns, fit},
    state::{Activity, ActivityKind, RunState, RunningCase},
};
use crate::report::wording::{count, one_line};
use jiff::Timestamp;
use std::time::Duration;

/// Running cases shown at once.
const MAX_RUNNING_SHOWN: usize = 12;
const MAX_ID_CHARS: usize = 24;

/// `3/10 cases, 1 not passed, 42 s`, as far as it fits.
pub fn overall(state: &RunState, now: Timestamp, width: usize) -> String {
    let counts = format!("{}/{}", state.ended, state.total);
    let time = seconds(state.elapsed(now));
    let not_passed = match state.not_passed {
        0 => String::new(),
        n => format!(", {n} not passed"),
    };
    let texts = [
        format!("{counts} cases{not_passed}, {time}"),
        format!("{counts}{not_passed}, {time}"),
        format!("{counts}{not_passed}"),
    ];
    first_that_fits(&texts, width)
}

/// A line for each running case, at most `width` columns wide.
pub fn rows(state: &RunState, now: Timestamp, width: usize) -> Vec<String> {
    let shown = || state.running.iter().take(MAX_RUNNING_SHOWN);
    let id_columns = shown().map(|case| columns(&id(case))).max().unwrap_or(0);
    let mut rows: Vec<String> = shown().map(|case| row(case, now, id_columns, width)).collect();
    let more = state.running.len() - rows.len();
    if more > 0 {
        rows.push(fit(&format!("  and {} running", count(more, "more case")), width));
    }
    rows
}

fn id(case: &RunningCase) -> String {
    one_line(&case.id, MAX_ID_CHARS)
}

fn row(case: &RunningCase, now: Timestamp, id_columns: usize, width: usize) -> String {
    let id = id(case);
    let head = format!("  {id}{}  ", " ".repeat(id_columns - columns(&id)));
    let left = width.saturating_sub(columns(&head));
    if left < 8 {
        return fit(head.trim_end(), width);
    }
    head + &activity(case, now, left)
}

/// `waiting for status.phase = Hibernated, 12 of 30 s, attempt 40`. What does not fit is left out: first the sentence, then the attempt,
/// then the end of the condition.
fn activity(case: &RunningCase, now: Timestamp, width: usize) -> String {
    let activity = case.activity(now);
    let (verb, time) = (verb(activity.kind), time(&activity));
    let attempt = if activity.attempt > 1 { format!(", attempt {}", activity.attempt) } else { String::new() };
    let what = &activity.what;
    let failed = match case.failed {
        0 => String::new(),
        n => format!("{n} failed; "),
    };
    let sentence = match case.sentence.is_empty() || case.sentence == *what {
        true => String::new(),
        false => format!("{}: ", case.sentence),
    };
    if what.is_empty() {
        // between two sentences
        return fit(failed.trim_end_matches("; "), width);
    }
    let texts = [
        format!("{failed}{sentence}{verb}{what}{time}{attempt}"),
        format!("{failed}{verb}{what}{time}{attempt}"),
        format!("{failed}{verb}{what}{time}"),
        format!("{verb}{what}{time}"),
        format!("{what}{time}"),
    ];
    match texts.iter().find(|text| columns(text) <= width) {
        Some(text) => text.clone(),
        None => fit(what, width.saturating_sub(columns(&time))) + &fit(&time, width),
    }
}

fn verb(kind: ActivityKind) -> &'static str {
    match kind {
        ActivityKind::Performs => "",
        ActivityKind::Awaits => "waiting for ",
        ActivityKind::Watches => "watching that it holds: ",
        ActivityKind::Undoes => "undo: ",
        ActivityKind::Collects => "collecting evidence: ",
    }
}

/// `, 12 of 30 s`. Empty for an action that has just started.
fn time(activity: &Activity) -> String {
    match activity.limit {
        Some(limit) if limit < Duration::from_secs(90) => {
            let limit_seconds = limit.as_millis() as f64 / 1000.0;
            format!(", {} of {limit_seconds} s", activity.elapsed.min(limit).as_secs())
        }
        Some(limit) => format!(", {} of {}", seconds(activity.elapsed.min(limit)), seconds(limit)),
        None if activity.elapsed < Duration::from_secs(1) => String::new(),
        None => format!(", {}", seconds(activity.elapsed)),
    }
}

/// Whole seconds: `42 s`, `2 min 5 s`.
pub fn seconds(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, s) => format!("{s} s"),
        (m, 0) => format!("{m} min"),
        (m, s) => format!("{m} min {s} s"),
    }
}

fn first_that_fits(texts: &[String], width: usize) -> String {
    let fitting = texts.iter().find(|text| columns(text) <= width);
    fitting.cloned().unwrap_or_else(|| fit(texts.last().map_or("", String::as_str), width))
}

/// What runs, for a log: a line for the run, and one for each running case.
pub fn heartbeat(state: &RunState, now: Timestamp, width: usize) -> Vec<String> {
    let head = format!("running for {}, {}/{} cases ended", seconds(state.elapsed(now)), state.ended, state.total);
    std::iter::once(head).chain(rows(state, now, width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{ActionOutline, EventKind, Part},
        outcome::{Status, Tier, Verdict},
        report::samples::{self, SampleRun, location, result},
    };

    fn sample(cases: &[(&str, &str)]) -> SampleRun {
        let case = |(id, sentence): &(&str, &str)| samples::case(id, "Title", Tier::Must, &[(Part::Step, sentence)]);
        SampleRun::begin(cases.iter().map(case).collect(), |_| {})
    }

    fn state(run: &SampleRun) -> RunState {
        let mut state = RunState::default();
        run.events.iter().for_each(|event| state.apply(event));
        state
    }

    fn begin(run: &mut SampleRun, case: &str, eventually: Option<u64>, always: Option<u64>) -> String {
        let at = format!("{case}/steps/0/do/0");
        run.emit(case, EventKind::CaseStarted);
        run.emit(&format!("{case}/steps/0"), EventKind::SentenceStarted);
        let of = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        let action = ActionOutline {
            eventually: of(eventually),
            always: of(always),
            ..ActionOutline::new("k8s get session".into(), location(3))
        };
        run.emit(&at, EventKind::ActionStarted { action });
        at
    }

    fn waiting() -> SampleRun {
        let mut run = sample(&[("TC-INT-001", "Wait for the sessions to hibernate")]);
        let at = begin(&mut run, "TC-INT-001", Some(30), None);
        for number in 0..39 {
            run.wait(307).attempt(
                &at,
                number,
                vec![result("status.phase", false, "\"Hibernated\"", "\"Running\"")],
                vec![],
            );
        }
        run.wait(100);
        run
    }

    #[test]
    fn a_row_says_what_is_awaited_and_for_how_long() {
        let run = waiting();
        let state = state(&run);
        for (width, text) in [
            (
                120,
                "  TC-INT-001  Wait for the sessions to hibernate: waiting for status.phase = Hibernated, 12 of 30 s, attempt 40",
            ),
            (80, "  TC-INT-001  waiting for status.phase = Hibernated, 12 of 30 s, attempt 40"),
            (65, "  TC-INT-001  waiting for status.phase = Hibernated, 12 of 30 s"),
            (55, "  TC-INT-001  status.phase = Hibernated, 12 of 30 s"),
            (40, "  TC-INT-001  status.phase…, 12 of 30 s"),
            (20, "  TC-INT-001"),
        ] {
            assert_eq!(rows(&state, run.now, width), [text]);
        }
        assert_eq!(overall(&state, run.now, 40), "0/1 cases, 12 s");
        assert_eq!(overall(&state, run.now, 9), "0/1, 12 s");
    }

    #[test]
    fn a_row_follows_the_events_of_its_case() {
        let mut run = sample(&[("A", "First"), ("Long-Id", "Second")]);
        let at = begin(&mut run, "A", Some(10), Some(5));
        begin(&mut run, "Long-Id", None, None);
        let shown = |run: &SampleRun| rows(&state(run), run.now, 100);
        assert_eq!(shown(&run), ["  A        First: k8s get session, 0 of 10 s", "  Long-Id  Second: k8s get session"]);
        run.wait(1_500).attempt(&at, 0, vec![], vec![]);
        run.wait(2_200);
        assert_eq!(shown(&run)[0], "  A        First: watching that it holds: k8s get session, 2 of 5 s, attempt 2");
        assert_eq!(shown(&run)[1], "  Long-Id  Second: k8s get session, 3 s");
        run.finish(&at, Status::Failed, vec![result("a", false, "1", "2")], None, 2, 9);
        run.sentence("A/steps/0", Status::Failed, None);
        run.start("A/steps/0/do/0/undo/0", "http DELETE /a", 9);
        assert_eq!(shown(&run)[0], "  A        1 failed; undo: http DELETE /a");
        run.verdict("A", Verdict::Failed, None, None, 9);
        assert_eq!(shown(&run), ["  Long-Id  Second: k8s get session, 3 s"]);
        assert_eq!(overall(&state(&run), run.now, 99), "1/2 cases, 1 not passed, 3 s");
    }

    #[test]
    fn long_waits_have_minutes() {
        let mut run = sample(&[("A", "First")]);
        let at = begin(&mut run, "A", Some(300), None);
        run.wait(65_000).attempt(&at, 0, vec![result("pods", false, "an empty list", "[1]")], vec![]);
        assert_eq!(
            rows(&state(&run), run.now, 70),
            ["  A  waiting for pods: an empty list, 1 min 5 s of 5 min, attempt 2"]
        );
    }

    #[test]
    fn many_running_cases_are_counted() {
        let ids: Vec<String> = (0..20).map(|n| format!("TC-{n}")).collect();
        let mut run = sample(&ids.iter().map(|id| (id.as_str(), "漢字 🎉")).collect::<Vec<_>>());
        ids.iter().for_each(|id| run.emit(id, EventKind::CaseStarted));
        let rows = rows(&state(&run), run.now, 80);
        assert_eq!((rows.len(), rows[12].as_str()), (13, "  and 8 more cases running"));
    }

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        let mut run = sample(&[("ケース-001-漢字漢字漢字", "漢字漢字漢字漢字 🎉🎉🎉 und so weiter")]);
        let at = begin(&mut run, "ケース-001-漢字漢字漢字", Some(30), None);
        run.wait(9_000).attempt(&at, 0, vec![result("漢字.漢字漢字", false, "\"🎉🎉 🎉🎉\"", "1")], vec![]);
        for width in 1..150 {
            for line in rows(&state(&run), run.now, width).iter().chain([&overall(&state(&run), run.now, width)]) {
                assert!(columns(line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn the_heartbeat_says_what_runs() {
        let run = waiting();
        assert_eq!(
            heartbeat(&state(&run), run.now, usize::MAX),
            [
                "running for 12 s, 0/1 cases ended",
                "  TC-INT-001  Wait for the sessions to hibernate: waiting for status.phase = Hibernated, 12 of 30 s, attempt 40"
            ]
        );
    }
}
