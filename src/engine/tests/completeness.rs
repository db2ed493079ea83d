//! Whether an observation is complete: fields that count although the plan does not read them, and reports of changes that
//! cease.
use super::harness::{run, run_clocked};
use crate::outcome::Verdict;

#[tokio::test]
async fn an_implied_assertion_counts_unless_the_plan_reads_the_field() {
    let verdict = async |rest: &str, expected: &str| {
        let plan = format!(
            "
  - id: A
    tier: must
    steps: [{{ step: s, do: [{{ fake: {{ says: [2], implied: true }}, as: a{rest} }}] }}]
    expected: [{{ result: r, {expected} }}]
"
        );
        run(&plan).await.verdict("A")
    };
    let whole = "check: 'a.at > timestamp(0)'";
    for (rest, expected, passes) in [
        ("", whole, false),
        (", expect: { answer: 2 }", whole, true),
        (", check: answer > 1", whole, true),
        (", save: { n: answer }", "check: n == 2", true),
        ("", "check: 'a.answer == 2'", true),
        ("", "expect: { a: { answer: 2 } }", true),
        (", foreach: [1, 2]", "check: 'a.all(x, x.answer == 2)'", true),
        (", foreach: [1, 2]", "check: 'a[1].answer == 2'", true),
        (", foreach: [1, 2]", "check: 'a.all(x, x.at > timestamp(0))'", false),
        (", foreach: { k: 1 }", "check: a.k.answer == 2", true),
    ] {
        let wanted = if passes { Verdict::Passed } else { Verdict::Failed };
        assert_eq!(verdict(rest, expected).await, wanted, "{rest} {expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn observes_once_more_where_reports_of_changes_can_cease() {
    let verdict = async |says: &str, rest: &str| {
        let plan = format!(
            "
  - id: A
    tier: must
    expected: [{{ result: r, do: [{{ fake: {{ says: {says}, stalls: true }}, {rest} }}] }}]
"
        );
        let result = run_clocked(&plan).await;
        (result.verdict("A"), result.observations("A/expected/1/do/0").len())
    };
    for (says, rest, expected) in [
        ("[1, 1]", "always: 5s, expect: { answer: 1 }", (Verdict::Passed, 2)),
        ("[1, 2]", "always: 5s, expect: { answer: 1 }", (Verdict::Failed, 2)),
        ("[1, { error: unreachable }]", "always: 5s, expect: { answer: 1 }", (Verdict::Errored, 2)),
        ("[1, 2]", "eventually: 5s, expect: { answer: 2 }", (Verdict::Passed, 2)),
        ("[1, 1]", "eventually: 5s, expect: { answer: 2 }", (Verdict::Failed, 2)),
        ("[1, { error: unreachable }]", "eventually: 5s, expect: { answer: 2 }", (Verdict::Errored, 2)),
        ("[1, 2, 2]", "eventually: 5s, always: 3s, expect: { answer: 2 }", (Verdict::Passed, 3)),
        ("[1, 2, 3]", "eventually: 5s, always: 3s, expect: { answer: 2 }", (Verdict::Failed, 3)),
        ("[1, 2]", "expect: { answer: 1 }", (Verdict::Passed, 1)),
    ] {
        assert_eq!(verdict(says, rest).await, expected, "{says} {rest}");
    }
}
