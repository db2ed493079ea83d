//! Entries for the `known_failures` of an environment: the sentences that failed in a run. YAML, to be completed by hand.
use super::{
    run_index::{CaseEntry, RunIndex, SentenceEntry},
    wording::{MAX_INLINE_CHARS, count, one_line},
};
use crate::outcome::Status;
use jiff::{ToSpan, tz::TimeZone};
use std::io::{self, Write};

/// How long the printed entries are accepted.
const DAYS: i64 = 30;

/// Writes one entry for each case with failed sentences. Each sentence has a comment that says what was observed.
pub fn write(run: &RunIndex, out: &mut dyn Write) -> io::Result<()> {
    let until = run.start.started.to_zoned(TimeZone::UTC).date().saturating_add(DAYS.days());
    let failed = |c: &CaseEntry| c.sentences.iter().filter(|s| s.status == Status::Failed).count();
    let cases: Vec<&CaseEntry> = run.cases.iter().filter(|c| failed(c) > 0).collect();
    let sentences = cases.iter().map(|c| failed(c)).sum();
    let (listed, of) = (count(sentences, "failed sentence"), count(cases.len(), "case"));
    writeln!(out, "    # run {}: {listed} in {of}; for an environment in tp-runner.yaml", run.start.run)?;
    writeln!(out, "    known_failures:{}", if cases.is_empty() { " []" } else { "" })?;
    for case in cases {
        writeln!(out, "      - case: {}\n        sentences:", quoted(&case.outline.id))?;
        for sentence in case.sentences.iter().filter(|s| s.status == Status::Failed) {
            writeln!(out, "          # {}", observed(case, sentence))?;
            writeln!(out, "          - {}", quoted(&sentence.outline.text))?;
        }
        writeln!(out, "        issue: \"to do: where it is tracked\"\n        until: {until}")?;
    }
    Ok(())
}

fn observed(case: &CaseEntry, sentence: &SentenceEntry) -> String {
    let why = sentence.worst_cause().0.unwrap_or_default();
    let said = case.product_words(sentence).map(|said| format!("; the product says: {said}")).unwrap_or_default();
    one_line(&format!("{why}{said}"), MAX_INLINE_CHARS)
}

/// A text as a YAML scalar in double quotes, on one line and without placeholders.
fn quoted(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("${", "$${");
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;
    use std::sync::Arc;

    fn written(run: &RunIndex) -> String {
        let mut out = vec![];
        write(run, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lists_the_failed_sentences_of_each_case() {
        let mut run = samples::mixed().index();
        let failed = run.cases[0].sentences.iter_mut().find(|s| s.status == Status::Failed).unwrap();
        Arc::make_mut(&mut failed.outline).text = "Greet \"${name}\"\n  twice".into();
        let text = written(&run);
        assert!(text.contains("      - case: \"TC-1\"\n        sentences:\n          # "), "{text}");
        assert!(text.contains(r#"      - "Greet \"$${name}\" twice""#), "{text}");
        assert!(text.contains("until: 20"), "{text}");
        assert!(!text.contains("TC-2"), "an errored case has no entry: {text}");
    }

    #[test]
    fn a_run_without_failures_has_an_empty_list() {
        assert!(written(&samples::passing().index()).ends_with("\n    known_failures: []\n"));
    }
}
