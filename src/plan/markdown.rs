//! Reads the Markdown plan that a YAML plan implements, and compares the two word for word. Case, punctuation and list
//! markers do not count; a code block counts as its words.
use super::model::{Case, Plan, Sentence, Spanned};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    import::{Sentence as WrittenSentence, import},
    outcome::Tier,
};
use std::collections::{HashMap, HashSet};

/// A case of the Markdown plan.
#[derive(Debug, Default)]
pub struct MarkdownCase {
    pub id: String,
    pub title: String,
    pub priority: Option<String>,
    pub fields: HashMap<String, String>,
    pub preconditions: Vec<String>,
    pub steps: Vec<String>,
    pub expected: Vec<String>,
}

/// The parts of a Markdown plan that are compared.
#[derive(Debug, Default)]
pub struct MarkdownPlan {
    pub cases: Vec<MarkdownCase>,
    /// As far as the plan names them.
    pub tiers: HashMap<String, Tier>,
}

/// The compared parts of a Markdown plan, of any layout that `import` reads.
pub fn read(text: &str) -> MarkdownPlan {
    let plan = import(text, "plan.md");
    let mut document = MarkdownPlan::default();
    for mut case in plan.cases {
        // any word before a colon may be an id of the YAML plan
        if !case.id_is_written
            && let Some((id, title)) = case.title.split_once(':').filter(|(id, _)| !id.contains(' '))
        {
            (case.id, case.title) = (id.into(), title.trim().into());
        }
        if let Some(tier) = case.tier.filter(|_| case.tier_is_written) {
            document.tiers.insert(case.id.clone(), tier);
        }
        let texts = |sentences: Vec<WrittenSentence>| sentences.into_iter().map(|s| s.text).collect();
        document.cases.push(MarkdownCase {
            id: case.id,
            title: case.title,
            priority: case.priority,
            fields: case.fields.into_iter().map(|field| (field.label, field.value)).collect(),
            preconditions: texts(case.preconditions),
            steps: texts(case.steps),
            expected: texts(case.expected),
        });
    }
    document
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// Reports each title, priority, tier, field and sentence that differs from the Markdown plan `name`.
pub fn compare(plan: &Plan, name: &str, text: &str, problems: &mut Diagnostics) {
    let document = read(text);
    let source = plan.source.as_ref().map_or(&plan.span, |s| &s.span);
    // the first of two cases with one id
    let by_id: HashMap<&str, &Case> = plan.cases.iter().rev().map(|c| (c.id.text.as_str(), c)).collect();
    let written_ids: HashSet<&str> = document.cases.iter().map(|c| c.id.as_str()).collect();
    for written in &document.cases {
        let Some(case) = by_id.get(written.id.as_str()) else {
            let d =
                Diagnostic::error("missing-case", source, format!("expected a case `{}`, as in `{name}`", written.id));
            problems.push(d.help("add the case, or remove it from the Markdown plan"));
            continue;
        };
        compare_head(case, written, document.tiers.get(&written.id), name, problems);
        for (here, there, what) in [
            (&case.preconditions[..], &written.preconditions, "precondition"),
            (&case.steps[..], &written.steps, "step"),
            (&case.expected[..], &written.expected, "expected result"),
        ] {
            compare_sentences((here, &case.id), there, what, name, problems);
        }
    }
    for case in plan.cases.iter().filter(|c| !written_ids.contains(c.id.text.as_str())) {
        let message = format!("case `{}` is not in `{name}`", case.id.text);
        let d = Diagnostic::error("extra-case", &case.id.span, message);
        problems.push(d.suggest(&case.id.text, document.cases.iter().map(|w| w.id.as_str())));
    }
}

/// Compares title, priority, tier and other fields.
fn compare_head(case: &Case, written: &MarkdownCase, tier: Option<&Tier>, name: &str, problems: &mut Diagnostics) {
    let mut differs = |what: &str, expected: &str| {
        let message = format!("{what} of `{}` differs from `{name}`", written.id);
        problems.push(Diagnostic::error("source-mismatch", &case.id.span, message).help(format!("write: {expected}")));
    };
    if words(&case.title) != words(&written.title) {
        differs("title", &written.title);
    }
    if let Some(priority) = written.priority.as_ref().map(|p| p.to_lowercase())
        && case.priority.as_deref().map(str::to_lowercase).as_ref() != Some(&priority)
    {
        differs("priority", &priority);
    }
    if let Some(tier) = tier.filter(|tier| **tier != case.tier) {
        differs("tier", &tier.to_string());
    }
    for (label, value) in &case.fields {
        if let Some(expected) = written.fields.get(label).filter(|there| words(there) != words(value)) {
            differs(&format!("`{label}`"), expected);
        }
    }
}

/// Compares the sentences of one kind with those of the Markdown file `name`.
fn compare_sentences(
    (here, case): (&[Sentence], &Spanned),
    there: &[String],
    what: &str,
    name: &str,
    problems: &mut Diagnostics,
) {
    for (i, (own, expected)) in here.iter().zip(there).enumerate() {
        if words(&own.text.text) != words(expected) {
            let message = format!("{what} {} differs from `{name}`", i + 1);
            let d = Diagnostic::error("source-mismatch", &own.text.span, message);
            problems.push(d.help(format!("write: {}", expected.trim())));
        }
    }
    let last = here.last().map_or(case, |s| &s.text);
    for expected in there.iter().skip(here.len()) {
        let message = format!("expected another {what} of `{}` after this, as in `{name}`", case.text);
        let d = Diagnostic::error("missing-sentence", &last.span, message);
        problems.push(d.help(format!("add: {}", expected.trim())));
    }
    for own in here.iter().skip(there.len()) {
        let Spanned { text, span } = &own.text;
        let d = Diagnostic::error("extra-sentence", span, format!("{what} is not in `{name}`: {}", text.trim()));
        problems.push(d.help("remove it, or merge it into the sentence it belongs to"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TP_004: &str = include_str!("../../docs/TP-004.md");

    #[test]
    fn reads_a_complete_plan() {
        let d = read(TP_004);
        assert_eq!(d.cases.len(), 10);
        let count = |f: fn(&MarkdownCase) -> usize| d.cases.iter().map(f).sum::<usize>();
        assert_eq!(
            (count(|c| c.preconditions.len()), count(|c| c.steps.len()), count(|c| c.expected.len())),
            (11, 57, 34)
        );
        assert_eq!(d.tiers.values().filter(|t| **t == Tier::Must).count(), 3);
        let four = &d.cases[3];
        assert_eq!(four.priority.as_deref(), Some("High"));
        assert!(
            four.steps[0].starts_with("Create batch request with: 2 valid session names, 1 nonexistent"),
            "{}",
            four.steps[0]
        );
        assert!(d.cases[0].expected[0].contains("\"succeeded\": 4"));
        assert_eq!(d.cases[0].fields["Test File"], "tests/integration/batch_hibernate_test.go");
    }

    /// Code, underlined text, and message with help of each problem.
    fn problems(yaml: &str, written: &str) -> Vec<(&'static str, String, String)> {
        struct Nothing;
        impl crate::plan::FileLoader for Nothing {
            fn read(&self, _: &std::path::Path) -> std::io::Result<String> {
                Err(std::io::ErrorKind::NotFound.into())
            }
        }
        let mut reader = crate::plan::Reader::new(vec![], &Nothing);
        let source = crate::source::Source::new("t.yaml", yaml);
        let plan = reader.plan(&std::sync::Arc::new(source)).expect("it is a plan");
        assert_eq!(reader.problems.errors(), 0, "{:?}", reader.problems);
        let mut found = Diagnostics::default();
        compare(&plan, "t.md", written, &mut found);
        found
            .0
            .into_iter()
            .map(|d| (d.code, d.span.text().to_string(), format!("{} {}", d.message, d.help.unwrap_or_default())))
            .collect()
    }

    const WRITTEN: &str = "# Plan

## Test Cases

### A-1: Batch *Hibernate*

**Priority**: High
**Type**: Integration
**Related Issue**: #12

**Preconditions**:
- A session runs

**Steps**:
1. Create with:
   - 2 valid names
   - 1 other
2. Execute `POST /batch`

**Expected Results**:
- It returns
  ```json
  { \"total\": 4 }
  ```
- No orphans

## Success Criteria

### Must Pass
- A-1: Batch
";

    const HERE: &str = "plan: T
source: t.md
cases:
  - id: A-1
    title: batch hibernate
    tier: must
    priority: high
    type: Integration
    preconditions: [{ given: a session runs }]
    steps: [{ step: 'Create with 2 valid names, 1 other' }, { step: Execute POST batch }]
    expected: [{ result: It returns, check: run.id != '' }, { result: total 4, check: run.id != '' }, { result: no orphans, check: run.id != '' }]
";

    #[test]
    fn ignores_case_punctuation_and_list_markers() {
        assert_eq!(problems(HERE, WRITTEN), []);
    }

    #[test]
    fn reports_each_difference_once_with_its_location() {
        for (here, there, code, under, word) in [
            ("batch hibernate", "batch hibernates", "source-mismatch", "A-1", "Batch Hibernate"),
            ("priority: high", "priority: low", "source-mismatch", "A-1", "high"),
            ("tier: must", "tier: nice", "source-mismatch", "A-1", "must"),
            ("type: Integration", "type: Unit", "source-mismatch", "A-1", "Integration"),
            ("a session runs", "no session runs", "source-mismatch", "no session runs", "A session runs"),
            (
                "2 valid names",
                "3 valid names",
                "source-mismatch",
                "'Create with 3 valid names, 1 other'",
                "2 valid names",
            ),
            ("total 4", "total 5", "source-mismatch", "total 5", "\"total\": 4"),
            (", { result: no orphans, check: run.id != '' }", "", "missing-sentence", "total 4", "No orphans"),
            (
                "{ step: Execute POST batch }",
                "{ step: Execute POST batch }, { step: Rest }",
                "extra-sentence",
                "Rest",
                "step is not in",
            ),
            ("[{ given: a session runs }]", "[]", "missing-sentence", "A-1", "A session runs"),
        ] {
            assert!(HERE.contains(here), "{here}");
            let found = problems(&HERE.replacen(here, there, 1), WRITTEN);
            assert_eq!(found.len(), 1, "{there}: {found:?}");
            assert_eq!((found[0].0, found[0].1.as_str()), (code, under), "{there}");
            assert!(found[0].2.contains(word), "{there}: {found:?}");
        }
    }

    #[test]
    fn reports_missing_and_extra_cases() {
        let found = problems(&HERE.replace("A-1", "A-2"), WRITTEN);
        let codes: Vec<_> = found.iter().map(|f| (f.0, f.1.as_str())).collect();
        assert_eq!(codes, [("missing-case", "t.md"), ("extra-case", "A-2")]);
        assert!(found[1].2.contains("did you mean `A-1`?"), "{found:?}");
    }

    #[test]
    fn reports_swapped_sentences() {
        let swapped = HERE.replace(
            "[{ step: 'Create with 2 valid names, 1 other' }, { step: Execute POST batch }]",
            "[{ step: Execute POST batch }, { step: 'Create with 2 valid names, 1 other' }]",
        );
        assert_eq!(problems(&swapped, WRITTEN).len(), 2);
    }
}
