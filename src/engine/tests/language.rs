//! Names, scopes, and what `save` and `as` bind.
use super::harness::{HERE, Setting, compiled, run, run_with};
use crate::outcome::{Status, Verdict};

async fn holds(cases: &str) {
    let result = run(cases).await;
    assert_eq!(result.verdict("A"), Verdict::Passed, "{:?}", result.case("A"));
}

#[tokio::test]
async fn foreach_binds_a_list_for_a_list_and_a_map_for_a_map() {
    holds(
        "
  - id: A
    tier: must
    steps:
      - step: both
        do:
          - fake: { says: ['${item}${item}'] }
            foreach: [b, a]
            as: listed
            save: { texts: answer }
          - fake: { says: ['${item}'] }
            foreach: { first: 1, second: 2 }
            as: mapped
            save: { numbers: answer }
    expected:
      - result: r
        check:
          - listed[0].answer == 'bb' && listed[1].answer == 'aa' && texts == ['bb', 'aa']
          - mapped.first.answer == 1 && mapped.second.answer == 2 && numbers.second == 2
",
    )
    .await;
}

#[tokio::test]
async fn a_use_sees_its_inputs_and_no_names_of_its_caller() {
    holds(
        "
plan: T
vars: { fixed: v }
actions:
  shout:
    inputs: { word: null, status: '!' }
    do: [{ fake: { says: ['${fixed}${inputs.word}${inputs.status}'] }, as: inner }]
    outputs: { said: inner.answer }
cases:
  - id: A
    tier: must
    steps:
      - step: use
        do:
          - use: { shout: { word: '${item}' } }
            foreach: [a, b]
            as: heard
          - use: { shout: { word: c, status: '?' } }
            save: { last: said }
    expected: [{ result: r, check: 'heard.map(h, h.said) == [\"va!\", \"vb!\"] && last == \"vc?\"' }]
",
    )
    .await;
}

#[test]
fn names_bound_in_a_use_are_not_visible_outside() {
    for (text, name) in [
        // of an action
        (
            "plan: T\nactions:\n  a: { do: [{ fake: {}, as: inner }], outputs: { n: inner.answer } }\ncases:\n  - { id: A, tier: must, steps: [{ step: s, do: [{ use: { a: {} }, as: x }] }], expected: [{ result: r, check: x.n == 1 && inner.answer }] }",
            "inner",
        ),
        // of the caller
        (
            "plan: T\nactions:\n  a: { do: [{ fake: { says: ['${outer.answer}'] }, as: inner }], outputs: { n: inner.answer } }\ncases:\n  - { id: A, tier: must, steps: [{ step: s, do: [{ fake: {}, as: outer }, { use: { a: {} }, as: x }] }], expected: [{ result: r, check: x.n == 1 && outer.answer }] }",
            "outer",
        ),
        // of another case
        (
            "  - { id: A, tier: must, steps: [{ step: s, do: [{ fake: {}, as: mine }] }], expected: [{ result: r, check: mine.answer }] }\n  - { id: B, tier: must, expected: [{ result: r, check: mine.answer }] }",
            "mine",
        ),
        // of a branch
        (
            "  - { id: A, tier: must, steps: [{ step: s, do: [{ parallel: [{ fake: {}, as: branch }, { fake: {} }] }] }], expected: [{ result: r, check: branch.answer }] }",
            "branch",
        ),
        // of a round
        (
            "  - { id: A, tier: must, steps: [{ step: s, do: [{ fake: {}, foreach: [1] }] }], expected: [{ result: r, check: item == 1 }] }",
            "item",
        ),
        // of an undo
        (
            "  - { id: A, tier: must, steps: [{ step: s, do: [{ fake: {}, undo: [{ fake: {}, as: gone, check: answer }] }] }], expected: [{ result: r, check: gone.answer }] }",
            "gone",
        ),
        // of an output
        (
            "  - { id: A, tier: must, steps: [{ step: s, do: [{ fake: {}, check: answer }] }], expected: [{ result: r, check: answer }] }",
            "answer",
        ),
    ] {
        let drawn = compiled(text, &Default::default(), HERE).err().unwrap_or_else(|| panic!("it compiles: {text}"));
        assert!(drawn.contains(&format!("undefined name `{name}`")), "{drawn}");
        assert_eq!(drawn.matches("error[").count(), 1, "{drawn}");
    }
}

#[tokio::test]
async fn names_do_not_leak_between_cases() {
    let result = run("
  - { id: A, tier: must, steps: [{ step: s, do: [{ save: { n: 1 } }] }], expected: [{ result: r, check: n == 1 }] }
  - { id: B, tier: must, steps: [{ step: s, do: [{ save: { n: 2 } }] }], expected: [{ result: r, check: n == 2 }] }
")
    .await;
    assert_eq!((result.verdict("A"), result.verdict("B")), (Verdict::Passed, Verdict::Passed));
}

#[tokio::test]
async fn binds_built_in_names_and_overrides_variables_by_the_environment() {
    let setting = Setting { environment: format!("{HERE}vars: {{ user: '${{run.id}}-admin' }}"), ..Setting::default() };
    let result = run_with(
        "
plan: T
vars: { user: nobody, twice: '${user} ${user}' }
cases:
  - id: A
    tier: must
    expected:
      - result: r
        check: [run.id == 'r1', case.id == 'A', now() >= run.started, user == 'r1-admin', twice == 'r1-admin r1-admin']
",
        setting,
    )
    .await;
    assert_eq!(result.verdict("A"), Verdict::Passed, "{:?}", result.case("A"));
}

#[tokio::test]
async fn a_single_placeholder_keeps_its_type_and_a_dollar_escapes_it() {
    holds("
  - id: A
    tier: must
    steps:
      - step: say
        do:
          - save: { n: 3, list: '[1, 2]' }
          - fake: { says: [{ say: { n: '${n}', text: 'n=${n}', list: '${list}', raw: '$${n}', deep: \"${ {'a': '}'} }\" } }] }
            as: seen
    expected: [{ result: r, check: 'seen.answer == {\"n\": 3, \"text\": \"n=3\", \"list\": [1, 2], \"raw\": \"$\" + \"{n}\", \"deep\": {\"a\": \"}\"}}' }]
")
    .await;
}

#[tokio::test]
async fn renders_a_duration_and_does_not_reach_an_invalid_one() {
    let result = run("
plan: T
vars: { settle: 1s, wrong: soon }
cases:
  - { id: A, tier: must, expected: [{ result: r, do: [{ fake: {}, eventually: '${settle}', check: answer }] }] }
  - { id: B, tier: must, expected: [{ result: r, do: [{ fake: {}, eventually: '${wrong}', check: answer }] }] }
")
    .await;
    assert_eq!(result.verdict("A"), Verdict::Passed);
    assert_eq!(result.status("B/expected/1"), Status::NotReached);
    assert!(result.sentence("B/expected/1").1.contains("soon"), "{:?}", result.sentence("B/expected/1"));
}
