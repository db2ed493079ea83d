//! Content of the Markdown report, and its resistance to hostile text.
use crate::{
    event::{ActionOutline, AssertionResult, Event, EventKind, EvidenceKind, Part},
    outcome::{Blame, Status, Tier, Verdict},
    report::{
        gate::{RunVerdict, gate},
        index_builder::IndexBuilder,
        run_index::CaseEntry,
        samples::{self, SampleRun, evidence, markdown, passed, result},
    },
};
use std::sync::Arc;

mod hostile;
mod judged;

/// A case that passes and one that fails.
fn small() -> SampleRun {
    let mut cases = vec![
        samples::case(
            "TC-1",
            "Good Morning",
            Tier::Must,
            &[(Part::Step, "Greet 2 people"), (Part::Expected, "{\n  \"n\": 2\n}")],
        ),
        samples::case(
            "TC-2",
            "Good Night",
            Tier::Nice,
            &[
                (Part::Precondition, "It is dark"),
                (Part::Step, "Greet"),
                (Part::Step, "Leave"),
                (Part::Expected, "All sleep"),
            ],
        ),
    ];
    Arc::make_mut(&mut cases[1].sentences[3]).unproven = Some("bedrooms are private".into());
    let mut s = SampleRun::begin(cases, |start| start.gate = vec![Tier::Must]);
    s.emit("TC-1", EventKind::CaseStarted);
    s.passing_sentence("TC-1/steps/0", "http POST /greetings", vec![passed("status", "201")]);
    s.passing_sentence("TC-1/expected/0", "check", vec![samples::check("n == 2")]);
    s.verdict("TC-1", Verdict::Passed, None, None, 340);
    s.emit("TC-2", EventKind::CaseStarted);
    s.sentence("TC-2/preconditions/0", Status::NotVerified, None);
    s.emit("TC-2/steps/0", EventKind::SentenceStarted);
    let at = "TC-2/steps/0/do/0";
    s.emit(&format!("{at}/undo"), samples::undo_planned("http DELETE /1", 33));
    s.start(at, "http POST /greetings", 32);
    let wrong = vec![result("status", false, "201", "500")];
    let sleepy = vec![
        evidence(EvidenceKind::Response, "500\n\n{\"error\": \"sleepy\"}"),
        evidence(EvidenceKind::Reproduce, "curl -X POST http://greeter.example/greetings"),
    ];
    s.attempt(at, 0, wrong.clone(), vec![]);
    s.wait(1_500).attempt(at, 1, wrong.clone(), sleepy);
    s.finish(at, Status::Failed, wrong, Some("condition not met within 1s (2 attempts)"), 2, 1_500);
    s.sentence("TC-2/steps/0", Status::Failed, Some("condition not met within 1s (2 attempts)"));
    s.sentence("TC-2/steps/1", Status::NotReached, Some("the steps ended before it"));
    s.sentence("TC-2/expected/0", Status::Unproven, None);
    let summary = "http DELETE /1".into();
    s.emit(&format!("{at}/undo"), EventKind::UndoFinished { status: Status::Passed, summary, reason: None });
    let why = Some("condition not met within 1s (2 attempts)");
    s.verdict("TC-2", Verdict::Failed, Some(Blame::Product), why, 1_600);
    s.end(&["a note"])
}

#[test]
fn report_is_complete() {
    let report = small().markdown();
    assert_eq!(report, SMALL, "\n{report}");
}

const SMALL: &str = r##"# Test report: TP-900 Greetings (sample)

**✅ PASSED**: the one deciding case passed (must decides). Of the other cases, 1 failed.

> **Sandbox (embedded reference platform): no deployment was tested.**

- **Environment**: sandbox (the embedded reference platform)
- **Tested**: api `http://127.0.0.1:41001`
- **Versions**: tp-runner `0.1.0`
- **Run by**: hand, not in a CI job
- **Selection**: all 2 cases
- **Gate**: must 1/1 · nice 0/1 (does not decide)
- **Verified**: 3 of 6 sentences; **1 not verified**, **1 unproven** and **1 not reached** ([details](#what-was-not-verified))
- **Run**: `k3x9q`, 2026-01-02 03:04:05 UTC, took 1.2 s

## What Went Wrong

- ❌ [TC-2](#tc-2-good-night) **failed** in “Greet”: `status`: expected `201`, found `500` (`plans/TP-900.yaml:21`, by `plans/TP-900.yaml:32`)
  - From it follow: “Leave”

## Success Criteria

### Must Pass: 1 of 1 passed

- ✅ [TC-1](#tc-1-good-morning): Good Morning: **passed** in 340 ms

### Nice to Have: 0 of 1 passed

- ❌ [TC-2](#tc-2-good-night): Good Night: **failed** in 1.6 s

## Objective

Show what a report looks like.

## Scope

### In Scope

- Greetings

### Out of Scope

- Farewells

## Test Cases

### TC-1: Good Morning

✅ **passed** in 340 ms

**Tier**: must · **Priority**: high · **Type**: Integration

**Steps**:

1. ✅ Greet 2 people
   - `status` is `201`

**Expected Results**:

- ✅

  ```json
  {
    "n": 2
  }
  ```

  - `n == 2`

**Left behind**: nothing

### TC-2: Good Night

❌ **failed** in 1.6 s

To see it again:

```sh
tp-runner run TP-900 --case TC-2 --env sandbox
```

**Tier**: nice · **Priority**: high · **Type**: Integration

**Preconditions**:

- ❔ **not verified**: It is dark
  - no action verifies it

**Steps**:

1. ❌ **failed**: Greet (`plans/TP-900.yaml:21`)

   `http POST /greetings`, `plans/TP-900.yaml:32`: **failed** after 1.5 s: condition not met within 1s (2 attempts)

   | What | Expected | Actual |
   | --- | --- | --- |
   | `status` | `201` | `500` |

   Nothing changed while waiting.

   By hand:

   ```sh
   curl -X POST http://greeter.example/greetings
   ```

   <details><summary>Evidence: response</summary>

   ```text
   500

   {"error": "sleepy"}
   ```

   </details>

2. ⏭️ **not reached**: Leave (`plans/TP-900.yaml:22`)
   - the steps ended before it

**Expected Results**:

- ❔ **unproven**: All sleep
  - bedrooms are private

**Left behind**: nothing (1 undone)

## What Was Not Verified

| Case | Sentence | Status | Why |
| --- | --- | --- | --- |
| [TC-2](#tc-2-good-night) | It is dark | ❔ not verified | no action verifies it |
| [TC-2](#tc-2-good-night) | Leave | ⏭️ not reached | the steps ended before it |
| [TC-2](#tc-2-good-night) | All sleep | ❔ unproven | bedrooms are private |

## What This Run Depended On

- **Plan**: `plans/TP-900.yaml`, which implements `docs/TP-900.md`

### Variables

| Variable | Value |
| --- | --- |
| settle | `30s` |

## Notes

- a note

<!-- markdownlint-disable-file MD013 MD033 -->

---

**Sandbox (embedded reference platform): no deployment was tested.**
"##;

/// Parses enough Markdown to show that foreign text did not change the structure.
fn assert_intact(report: &str) {
    let mut fence = 0;
    let mut columns = None;
    let mut details = 0i32;
    for line in report.lines() {
        let text = line.trim_start();
        let ticks = text.len() - text.trim_start_matches('`').len();
        if fence > 0 {
            if ticks >= fence && text.len() == ticks {
                fence = 0;
            }
            continue;
        }
        if ticks >= 3 && !text[ticks..].contains('`') {
            fence = ticks;
            continue;
        }
        assert!(!text.trim_start_matches('#').starts_with(" EVIL"), "a foreign heading: {line}");
        assert!(!text.starts_with("- EVIL") && !text.starts_with("> EVIL"), "a foreign block: {line}");
        if text.starts_with('|') {
            let cells = text.replace("\\\\", "").replace("\\|", "").matches('|').count();
            assert_eq!(*columns.get_or_insert(cells), cells, "a broken row: {line}");
        } else {
            columns = None;
        }
        let bare = without_code(text).replace("\\<", "").replace("<!-- markdownlint-disable-file MD013 MD033 -->", "");
        let mut rest = bare.as_str();
        while let Some(i) = rest.find('<') {
            rest = &rest[i..];
            if let Some(end) = rest.strip_prefix("<a id=\"").and_then(|id| id.find("\"></a>")) {
                assert!(rest[7..7 + end].chars().all(|c| c.is_alphanumeric() || "-_".contains(c)), "{line}");
                rest = &rest[7 + end..];
                continue;
            }
            let ours = ["<details><summary>", "</summary>", "</details>", "<br>", "<code>", "</code>"];
            let tag = ours.into_iter().find(|tag| rest.starts_with(tag));
            let Some(tag) = tag else { panic!("a foreign tag: {line}") };
            details += i32::from(tag == ours[0]) - i32::from(tag == ours[2]);
            assert!((0..=1).contains(&details), "{line}");
            rest = &rest[tag.len()..];
        }
        assert!(line.chars().count() < 20_000, "too long: {} characters", line.chars().count());
        assert!(!line.contains(['\r', '\u{1b}', '\0', '\u{202e}']), "{line:?}");
    }
    assert_eq!((fence, details), (0, 0), "unclosed fence or details");
}

fn without_code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(i) = rest.find('`') {
        // an even number of backslashes escapes each other
        let before = rest[..i].len() - rest[..i].trim_end_matches('\\').len();
        if before % 2 == 1 {
            out += &rest[..=i];
            rest = &rest[i + 1..];
            continue;
        }
        let after = rest[i..].trim_start_matches('`');
        let fence = &rest[i..rest.len() - after.len()];
        let mut end = None;
        let mut from = 0;
        while let Some(j) = after[from..].find('`') {
            let run = after[from + j..].len() - after[from + j..].trim_start_matches('`').len();
            if run == fence.len() {
                end = Some(from + j + run);
                break;
            }
            from += j + run;
        }
        out += &rest[..i];
        match end {
            Some(end) => rest = &after[end..],
            None => {
                out += fence;
                rest = after;
            }
        }
    }
    out + rest
}

#[test]
fn assert_intact_rejects_broken_markdown() {
    for broken in
        ["<b>", "# EVIL HEADING", "```\nopen", "| a | b |\n|---|---|\n| a | b | c |", "</details>", "a `b` <i>"]
    {
        assert!(std::panic::catch_unwind(|| assert_intact(broken)).is_err(), "{broken}");
    }
    assert_intact("`<b>` \\<b> ``a`<i>`` | x\n```\n<b>\n# EVIL HEADING\n```\n| a \\| b |\n|---|");
}

#[test]
fn hostile_text_does_not_change_the_structure() {
    let long = "x | ".repeat(10_000);
    let hostile: &[&str] = &[
        "a | b || c\\| d \\",
        "`` ``` `",
        "`|`",
        "\\`|\\|`",
        "</details></summary><script>alert(1)</script>",
        "one\r\n# EVIL HEADING\r\n\r\n- EVIL\n> EVIL\n```\n~~~\n</details>",
        "```\n# EVIL HEADING\n````\n</details>\n`````",
        "# EVIL HEADING",
        "🦀🦀 abc\u{1b}[31m\0 \u{202e}x",
        "[x](javascript:alert(1)) ![y](z) <https://evil.example>",
        "<!-- ",
        "&lt;b&gt; &#60;b&#62;",
        "",
        "   ",
        &long,
    ];
    for text in hostile {
        for mut run in [small(), samples::mixed()] {
            for event in &mut run.events {
                replace_texts(event, text);
            }
            assert_intact(&run.markdown());
        }
    }
}

/// Replaces every text of an event.
fn replace_texts(event: &mut Event, text: &str) {
    let into = |s: &mut String| *s = text.to_owned();
    let maybe = |s: &mut Option<String>| {
        if let Some(s) = s {
            *s = text.to_owned();
        }
    };
    let results = |fs: &mut Vec<AssertionResult>| {
        for f in fs {
            for s in [&mut f.subject, &mut f.expected, &mut f.actual] {
                *s = text.to_owned();
            }
            f.operands = vec![(text.to_owned(), text.to_owned())];
        }
    };
    if let Some(attempt) = event.kind.attempt_mut() {
        maybe(&mut attempt.error);
        results(&mut attempt.unmet);
        attempt.evidence.iter_mut().for_each(|e| into(&mut e.text));
    }
    match &mut event.kind {
        EventKind::RunStarted(r) => {
            [&mut r.run, &mut r.selection, &mut r.plan.title, &mut r.plan.file].into_iter().for_each(into);
            [&mut r.environment.name, &mut r.environment.about].into_iter().for_each(into);
            maybe(&mut r.plan.objective);
            maybe(&mut r.plan.source);
            let lists = [&mut r.plan.scope_in, &mut r.plan.scope_out, &mut r.environment.replaced];
            lists.into_iter().flatten().for_each(into);
            let described = r.environment.targets.iter_mut().chain(&mut r.versions).chain(&mut r.ci);
            for (a, b) in r.plan.vars.iter_mut().chain(described) {
                into(a);
                into(b);
            }
            for case in &mut r.cases {
                let case = Arc::make_mut(case);
                into(&mut case.title);
                maybe(&mut case.priority);
                case.fields.iter_mut().for_each(|(a, b)| {
                    into(a);
                    into(b);
                });
                for s in &mut case.sentences {
                    let s = Arc::make_mut(s);
                    into(&mut s.text);
                    into(&mut s.location.file);
                    maybe(&mut s.unproven);
                }
            }
        }
        EventKind::ActionStarted { action: ActionOutline { summary, location, .. } }
        | EventKind::UndoPlanned { summary, location, .. } => {
            into(summary);
            into(&mut location.file);
        }
        EventKind::Observed(_) => {}
        EventKind::ActionFinished { results: fs, reason, .. } => {
            results(fs);
            maybe(reason);
        }
        EventKind::SentenceFinished { reason, .. }
        | EventKind::CaseFinished { reason, .. }
        | EventKind::CaseRetried { reason, .. } => maybe(reason),
        EventKind::UndoFinished { summary, reason, .. } => {
            into(summary);
            maybe(reason);
        }
        EventKind::RunFinished { notes, .. } => notes.iter_mut().for_each(into),
        EventKind::EnvironmentDescribed { targets, versions } => {
            targets.iter_mut().chain(versions).for_each(|(_, value)| into(value));
        }
        EventKind::NamesBound { .. }
        | EventKind::UndoBound { .. }
        | EventKind::CleanupStarted
        | EventKind::CleanupFinished { .. }
        | EventKind::CaseStarted
        | EventKind::SentenceStarted
        | EventKind::CancelRequested => {}
    }
}

#[test]
fn recorded_run_gives_the_same_report() {
    for run in [small(), samples::passing(), samples::mixed()] {
        let lines: Vec<String> = run.events.iter().map(|e| serde_json::to_string(e).unwrap()).collect();
        let read: Vec<Event> = lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(markdown(&IndexBuilder::build(&read)), run.markdown());
    }
}

#[test]
fn report_keeps_the_order_of_the_plan() {
    let run = samples::passing();
    let mut other = run.events.clone();
    // Events sorted by case; the stable sort keeps the order within a case.
    let last = other.len() - 1;
    other[1..last].sort_by(|a, b| b.address.case().cmp(&a.address.case()));
    assert_eq!(markdown(&IndexBuilder::build(&other)), run.markdown());
    // The items of a `foreach` in another order.
    let mut other = run.events.clone();
    for event in &mut other {
        let turned = event.address.as_str().replace("#0", "#x").replace("#2", "#0").replace("#x", "#2");
        event.address = crate::address::Address::new(turned);
        if let EventKind::ActionFinished { results, .. } = &mut event.kind {
            for f in results.iter_mut().filter(|f| f.subject == "body.n" && f.actual != "1") {
                let n = if f.actual == "0" { "2" } else { "0" };
                (f.expected, f.actual) = (n.into(), n.into());
            }
        }
    }
    assert_eq!(markdown(&IndexBuilder::build(&other)), run.markdown());
}

#[test]
fn journal_may_end_after_any_event() {
    for run in [small(), samples::passing(), samples::mixed()] {
        for n in 0..run.events.len() {
            let index = IndexBuilder::build(&run.events[..n]);
            let report = markdown(&index);
            assert_intact(&report);
            let undecided = |c: &CaseEntry| index.start.gate.contains(&c.outline.tier) && c.verdict != Verdict::Passed;
            if index.cases.iter().any(undecided) || n == 0 {
                assert_ne!(gate(&index).verdict, RunVerdict::Passed, "after {n} events:\n{report}");
                assert!(!report.contains("PASSED"), "after {n} events:\n{report}");
            }
            assert!(!index.complete);
        }
    }
}

#[test]
fn incomplete_run_is_interrupted_and_lists_pending_undo() {
    let run = small();
    let observed = run.events.iter().rposition(|e| e.kind.attempt().is_some()).unwrap();
    let mut events = run.events[..=observed].to_vec();
    events[observed].kind = EventKind::Observed(Box::new(events[observed].kind.attempt().unwrap().clone()));
    let index = IndexBuilder::build(&events);
    assert_eq!(index.cases[0].verdict, Verdict::Passed);
    assert_eq!(index.cases[1].verdict, Verdict::Interrupted);
    let statuses: Vec<Status> = index.cases[1].sentences.iter().map(|s| s.status).collect();
    assert_eq!(statuses, [Status::NotVerified, Status::Interrupted, Status::NotReached, Status::Unproven]);
    let report = markdown(&index);
    for text in ["| `http DELETE /1` | ⏹️ not attempted | `plans/TP-900.yaml:33` |", "| `status` | `201` | `500` |"]
    {
        assert!(report.contains(text), "{text}\n{report}");
    }
}

#[test]
fn notice_is_first_and_last_line() {
    let report = samples::passing().markdown();
    let text = "no deployment was tested";
    assert!(report.lines().take(6).any(|l| l.contains(text)) && report.lines().last().unwrap().contains(text));
    assert!(!samples::mixed().markdown().contains(text));
}

#[test]
fn header_counts_unverified_sentences() {
    let report = samples::mixed().markdown();
    let first: String = report.lines().take(16).collect();
    for text in ["**1 unproven**", "**1 not verified**", "**5 not reached**", "**1 interrupted**", "FAILED", "must 0/2"]
    {
        assert!(first.contains(text), "{text}: {first}");
    }
}

#[test]
fn values_of_one_subject_are_merged() {
    let report = samples::passing().markdown();
    assert!(report.contains("\n   - `status` is `201` (3 times) · `body.n` is `0` and 2 other values\n"), "{report}");
}

#[test]
fn explains_every_verdict() {
    let report = samples::mixed().markdown();
    assert_intact(&report);
    for text in [
        "[TC-1](#tc-1-wrong-response) **failed** in “Greet everyone”: `status`: expected `201`, found `500`",
        "`use greet` › `http POST /greetings`, item `1`, `plans/TP-900.yaml:42`",
        "| `a == 2 && (b \\|\\| c)` | `true` | `a` is `1`<br>`b \\|\\| c` is `false` |",
        "   curl -X POST https://greeter.example/greetings",
        "   - from 0 ms: connection refused\n   - from 500 ms: `body.echo`: expected `3`, found `0` (3 attempts)\n   - from 2.0 s",
        "   line 20\n   ```\n\n   … and 5 more lines.",
        "TC-2](#tc-2-unknown-host) **errored** in “Connect”: cannot resolve `greeter.example`",
        "assertion, `plans/TP-900.yaml:70`: **failed**\n",
        "⛔ **blocked** in 15 ms: a precondition does not hold",
        "- ➖ TC-6: Not Chosen: not selected",
        "➖ **skipped**: cancelled before the case started",
        "| `http DELETE /greetings/2` | ⚠️ errored | `plans/TP-900.yaml:43` | connection refused |",
        "12:00 panic averted",
        "- **Replaced by the environment**: `greet`",
    ] {
        assert!(report.contains(text), "{text}\n{report}");
    }
    assert!(!report.contains("line 21"), "a long response is cut");
    assert!(!report.contains("evidence of a passed action"), "passed actions show no evidence");
}
