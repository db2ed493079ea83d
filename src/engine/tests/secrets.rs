//! Secrets are masked in every event, while checks see their values.
use super::harness::{HERE, Setting, TestRun, run_with};
use crate::{
    event::EventSink,
    outcome::Verdict,
    report::{
        console::progress::{Console, Detail},
        index_builder::IndexBuilder,
        markdown,
    },
    secrets::{
        Secrets,
        tests::{encodings, innocent_texts, random_secrets},
    },
};
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
    assert_eq!(result.verdict("A"), Verdict::Failed);
    nowhere(&result, TOKEN);
    assert!(result.notes()[0].contains("‹token›"), "{:?}", result.notes());
}

/// A text as a scalar of a plan, without placeholders.
fn scalar(text: &str) -> String {
    serde_json::Value::from(text.replace("${", "$${")).to_string()
}

#[tokio::test]
async fn no_output_contains_one_of_many_secrets_in_any_encoding() {
    let secrets = random_secrets(200);
    let known = Secrets::default();
    let (mut environment, mut said, mut texts) = (format!("{HERE}secrets:"), vec![], vec![]);
    for (i, secret) in secrets.iter().enumerate() {
        known.add(&format!("s{i}"), secret);
        environment += &format!("\n  s{i}: {}", scalar(secret));
        for (j, (_, text)) in encodings(secret).into_iter().enumerate() {
            said.push(format!("e{i}x{j}: {}", scalar(&text)));
            texts.push(text);
        }
    }
    // those that a plan can spell
    let spelled = |text: &String| !text.chars().any(|c| ('\u{7f}'..'\u{a0}').contains(&c));
    let innocent: Vec<String> = innocent_texts(200).into_iter().filter(spelled).collect();
    said.extend(innocent.iter().enumerate().map(|(i, text)| format!("i{i}: {}", scalar(text))));
    let result = run_with(
        &format!(
            "
  - id: A
    tier: must
    steps:
      - step: s
        do:
          - fake: {{ says: [{{ say: {{ {} }} }}] }}
            as: seen
    expected: [{{ result: r, check: ['secrets_in(seen.answer) == []', 'seen.answer == null'] }}]
",
            said.join(", ")
        ),
        Setting { environment, ..Setting::default() },
    )
    .await;
    assert_eq!(result.verdict("A"), Verdict::Failed, "{:?}", result.case("A"));
    let (mut report, terminal) = (vec![], SharedText::default());
    markdown::write(&IndexBuilder::build(&result.events), &mut report).unwrap();
    let mut console = Console::lines(Box::new(terminal.clone()), None, Detail::Actions, false, IndexBuilder::default());
    result.events.iter().for_each(|event| console.on_event(event).unwrap());
    let journal = result.lines.join("\n");
    for output in [&journal, &String::from_utf8(report).unwrap(), &terminal.0.lock().unwrap()] {
        assert_eq!(known.mask(output), None);
        for text in texts.iter().chain(&secrets) {
            assert!(!output.contains(text.as_str()) && !output.contains(&scalar(text)), "{text}");
        }
    }
    for text in innocent {
        assert!(journal.contains(&serde_json::Value::from(text.as_str()).to_string()), "{text}");
    }
}

#[derive(Clone, Default)]
struct SharedText(std::sync::Arc<std::sync::Mutex<String>>);

impl std::io::Write for SharedText {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
