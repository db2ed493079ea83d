//! Secrets are masked in everything that is told, while checks see the true value.
use super::stage::{HERE, Setting, Told, perform};
use crate::outcome::Verdict;
use base64::{Engine, engine::general_purpose::STANDARD};

const TOKEN: &str = "s3cr3t-token-value";

async fn with_secret(cases: &str) -> Told {
    let setting = Setting { environment: format!("{HERE}secrets: {{ token: {TOKEN} }}"), ..Setting::default() };
    perform(cases, setting).await
}

fn nowhere(told: &Told, text: &str) {
    assert!(!told.lines.is_empty());
    for line in &told.lines {
        assert!(!line.contains(text), "`{text}` is in {line}");
    }
    assert!(!format!("{:?}", told.events).contains(text), "`{text}` is in an event");
}

#[tokio::test]
async fn a_secret_is_masked_in_every_form_while_checks_see_the_true_value() {
    let basic = STANDARD.encode(format!("admin:{TOKEN}"));
    let told = with_secret(&format!(
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
    assert_eq!(told.status("A/expected/1"), crate::outcome::Status::Passed, "{:?}", told.sentence("A/expected/1"));
    nowhere(&told, TOKEN);
    nowhere(&told, &STANDARD.encode(TOKEN));
    nowhere(&told, &basic);
    let all = told.lines.join("\n");
    assert!(all.contains("‹token›") && all.contains("‹token:base64›"), "{all}");
}

#[tokio::test]
async fn what_a_save_calls_secret_is_masked_in_the_very_look_that_brought_it() {
    let told = with_secret(
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
    assert_eq!(told.verdict("A"), Verdict::Passed, "{:?}", told.case("A"));
    nowhere(&told, "fresh-token-of-today");
    nowhere(&told, "freshly-made-key");
}

#[tokio::test]
async fn a_secret_in_a_reason_a_note_and_a_key_is_masked() {
    let told = with_secret(&format!(
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
    assert_eq!(told.verdict("A"), Verdict::Errored);
    nowhere(&told, TOKEN);
    assert!(told.notes()[0].contains("‹token›"), "{:?}", told.notes());
}
