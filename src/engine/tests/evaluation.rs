//! Evaluations end at a time limit and with Ctrl-C, in cases and outside of them, also over very many elements.
use super::harness::{HERE, Setting, TestRun, run, run_with};
use crate::outcome::{Status, Verdict};
use std::time::{Duration, Instant};

/// Takes some seconds, and holds.
const SLOW_CHECK: &str = "lists.range(3000).all(a, lists.range(3000).all(b, a + b >= answer))";
/// A list that takes very long to compare with `lists.range(100000)`.
const REVERSED: &str = "lists.range(100000).map(i, 99999 - i)";
const PASSING: &str = "
  - id: A
    tier: must
    expected: [{ result: r, do: [{ fake: { says: [1] }, check: answer == 1 }] }]
";

fn stopped(result: &TestRun, at: &str) -> bool {
    let is_stopped = |actual: &str| actual.contains("was stopped: cancelled");
    result.results(at).iter().any(|r| !r.holds && r.inconclusive && is_stopped(&r.actual))
}

/// One case with this action.
async fn run_action(timeout: &str, action: &str) -> TestRun {
    let steps = format!("    steps: [{{ step: s, do: [{{ {action} }}] }}]\n");
    run(&format!(
        "\n  - id: A\n    tier: must\n    timeout: {timeout}\n{steps}    expected: [{{ result: r, check: run.id != '' }}]\n"
    ))
    .await
}

#[tokio::test]
async fn a_check_in_setup_ends_with_ctrl_c() {
    let setup = format!("setup: [{{ fake: {{ says: [{{ cancel: true, say: 0 }}] }}, check: '{SLOW_CHECK}' }}]\n");
    let result = run_with(PASSING, Setting { environment: format!("{HERE}{setup}"), ..Setting::default() }).await;
    assert!(stopped(&result, "setup/0"), "{:?}", result.results("setup/0"));
    assert_eq!(result.verdict("A"), Verdict::Interrupted);
}

#[tokio::test]
async fn a_check_in_teardown_ends_with_the_second_ctrl_c() {
    let teardown = format!("teardown: [{{ fake: {{ says: [{{ kill: true, say: 0 }}] }}, check: '{SLOW_CHECK}' }}]\n");
    let result = run_with(PASSING, Setting { environment: format!("{HERE}{teardown}"), ..Setting::default() }).await;
    assert!(stopped(&result, "teardown/0"), "{:?}", result.results("teardown/0"));
}

#[tokio::test]
async fn an_assertion_over_very_many_elements_ends_with_ctrl_c() {
    let list = "fake: { says: ['${lists.range(200000)}'] }, as: big }, {";
    let says = "says: [{ cancel: true, say: '${big.answer}' }]";
    let expect = "expect: { answer: { $each: { $type: int } } }";
    let result = run_action("60s", &format!("{list} fake: {{ {says} }}, {expect}")).await;
    let results = result.results("A/steps/1/do/1");
    assert!(results.len() < 10_000, "{} results", results.len());
    assert!(results.iter().any(|r| r.inconclusive && r.actual.contains("cancelled")), "{:?}", results.last());
}

#[tokio::test]
async fn an_assertion_that_compares_each_with_each_ends_at_the_time_limit_of_the_case() {
    for matcher in ["$contains", "$set"] {
        let begun = Instant::now();
        let action = format!(
            "fake: {{ says: ['${{lists.range(100000)}}'] }}, expect: {{ answer: {{ {matcher}: '${{{REVERSED}}}' }} }}"
        );
        let result = run_action("3s", &action).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{matcher}: {:?}", begun.elapsed());
        let results = result.results("A/steps/1/do/0");
        assert!(results.iter().any(|r| r.inconclusive && r.actual.contains("time limit of 3s")), "{results:?}");
    }
}

#[tokio::test]
async fn an_assertion_ends_soon_after_the_timeout_of_its_action() {
    let begun = Instant::now();
    let says = "says: ['${lists.range(100000)}']";
    let expect = format!("expect: {{ answer: {{ $contains: '${{{REVERSED}}}' }} }}");
    let result = run_action("60s", &format!("fake: {{ {says} }}, timeout: 3s, {expect}")).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(result.action("A/steps/1/do/0").0, Status::Errored);
    let results = result.results("A/steps/1/do/0");
    assert!(results.iter().any(|r| r.inconclusive && r.actual.contains("time limit of 3s")), "{results:?}");
}

#[tokio::test]
async fn an_assertion_over_very_many_elements_reports_the_first_ones_and_what_does_not_hold() {
    let of = async |pattern: &str| {
        let action =
            format!("fake: {{ says: ['${{lists.range(50000)}}'] }}, expect: {{ answer: {{ $each: {pattern} }} }}");
        let result = run_action("60s", &action).await;
        (result.action("A/steps/1/do/0").0, result.results("A/steps/1/do/0"))
    };
    let (status, results) = of("{ $type: int }").await;
    assert_eq!((status, results.len()), (Status::Passed, 1001));
    assert!(results[1000].holds && results[1000].actual == "all 49000 hold", "{:?}", results[1000]);
    let (status, results) = of("{ $that: it < 49999 }").await;
    assert_eq!(status, Status::Failed);
    let failed: Vec<_> = results.iter().filter(|r| !r.holds).map(|r| r.subject.as_str()).collect();
    assert_eq!(failed, ["answer[49999]", "answer[1000…]"]);
    assert_eq!(results.last().unwrap().actual, "1 of 49000 do not hold");
}
