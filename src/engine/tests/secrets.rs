//! Secrets are masked in every event, while checks see their values.
use super::harness::{HERE, Setting, TestRun, run_with};
use crate::outcome::Verdict;
use base64::{Engine, engine::general_purpose::STANDARD};

const TOKEN: &str = "s3cr3t-token-value";

async fn with_secret(cases: &str) -> TestRun {
    let setting = Setting { environment: format!("{HERE}secrets: {{ token: {TOKEN} }}"), ..Setting::default() };
    run_with(cases, setting).await
}

fn nowhere(result: &TestRun, text: &str) {
    assert!(!result.lines.is_empty());
    for line in &result.lines {
        assert!(!line.contains(text), "`{text}` is in {line}");
    }
    assert!(!format!("{:?}", result.events).contains(text), "`{text}` is in an event");
}

#[tokio::test]
async fn masks_a_secret_in_every_form_while_checks_see_its_value() {
    let basic = STANDARD.encode(format!("admin:{TOKEN}"));
    let result = with_secret(&format!(
        "
  - id: A
    tier: must
    steps:
      - step: say it
        do:
          - fake: {{ says: [{{ say: {{ plain: 'x {TOKEN} y', base64: {}, basic: 'Basic {basic}' }} }}] }}
            as: seen
            expect: {{ answer: {{ plain: something else }} }}
            check: answer.plain == 'nothing'
    expected:
      - result: it is there
        check: [seen.answer.plain == 'x {TOKEN} y', seen.answer.basic.endsWith('{basic}'), 'secrets_in(seen.answer) == [\"token\"]']
",
        STANDARD.encode(TOKEN)
    ))
    .await;
    assert_eq!(result.status("A/expected/1"), crate::outcome::Status::Passed, "{:?}", result.sentence("A/expected/1"));
    nowhere(&result, TOKEN);
    nowhere(&result, &STANDARD.encode(TOKEN));
    nowhere(&result, &basic);
    let all = result.lines.join("\n");
    assert!(all.contains("‹token›") && all.contains("‹token:base64›"), "{all}");
}

#[tokio::test]
async fn masks_a_saved_secret_in_the_observation_that_contains_it() {
    let result = with_secret(
        "
plan: T
actions:
  login:
    do:
      - fake: { says: [{ say: { key: freshly-made-key } }] }
        save: { key: secret(answer.key) }
    outputs: { key: key }
cases:
  - id: A
    tier: must
    steps:
      - step: log in
        do:
          - fake: { says: [{ say: { token: fresh-token-of-today } }] }
            save: { fresh: secret(answer.token) }
          - use: { login: {} }
            save: { key: key }
    expected: [{ result: r, check: 'fresh == \"fresh\" + \"-token-of-today\" && key.startsWith(\"freshly\")' }]
",
    )
    .await;
    assert_eq!(result.verdict("A"), Verdict::Passed, "{:?}", result.case("A"));
    nowhere(&result, "fresh-token-of-today");
    nowhere(&result, "freshly-made-key");
}

#[tokio::test]
async fn masks_a_secret_in_a_reason_a_note_and_a_key() {
    let result = with_secret(&format!(
        "
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - fake: {{ says: [{{ say: {{ '{TOKEN}': 1 }} }}] }}
            as: seen
            undo: [{{ fake: {{ says: ['{TOKEN}'] }}, expect: {{ answer: 1 }} }}]
    expected: [{{ result: r, check: seen.answered }}]
"
    ))
    .await;
    assert_eq!(result.verdict("A"), Verdict::Errored);
    nowhere(&result, TOKEN);
    assert!(result.notes()[0].contains("‹token›"), "{:?}", result.notes());
}
