//! Plans in the styles of many teams, each with its expected reading beside it.
use super::outline;
use std::path::{Path, PathBuf};
use tp_runner::import::{Kind, Tier, import, line_words, skeleton};

fn plans() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/plans");
    let mut plans: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of the fixtures")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e != "golden"))
        .collect();
    plans.sort();
    assert!(plans.len() >= 12, "{plans:?}");
    plans
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|n| n.to_str()).expect("a name in UTF-8")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a readable fixture")
}

/// `UPDATE_FIXTURES=1 cargo test` writes the expected readings; read them before they are committed.
#[test]
fn reads_each_fixture_as_expected() {
    for path in plans() {
        let found = outline::outline(&import(&text(&path), name(&path)));
        let golden = PathBuf::from(format!("{}.golden", path.display()));
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::write(&golden, &found).expect("a writable fixture");
        }
        let expected = text(&golden);
        for (i, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "{}:{}", golden.display(), i + 1);
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "{}", golden.display());
    }
}

#[test]
fn writes_all_words_of_each_fixture_and_valid_yaml() {
    for path in plans() {
        let text = text(&path);
        let plan = import(&text, name(&path));
        let yaml = skeleton(&plan, name(&path));
        let labels = plan.labels.iter().map(|l| l.text.as_str());
        let mut known = outline::words_of_yaml(&yaml);
        known.extend(labels.flat_map(outline::words));
        for (i, line) in text.lines().enumerate() {
            for word in line_words(line.trim_start_matches('\u{feff}')) {
                assert!(known.contains(&word), "{}:{}: `{word}` is lost", path.display(), i + 1);
            }
        }
        outline::assert_same_sentences(&plan, &yaml);
    }
}

#[test]
fn finds_an_expected_result_for_each_case_of_the_fixtures() {
    for path in plans() {
        let plan = import(&text(&path), name(&path));
        assert!(!plan.cases.is_empty(), "{}", path.display());
        for case in &plan.cases {
            let index_only = path.ends_with("checklist.md") || path.ends_with("prose.md");
            assert!(!case.expected.is_empty() || index_only, "{}: {}", path.display(), case.id);
        }
    }
}

const EXAMPLE: &str = "# Test Plan: Sessions

**Test Plan ID**: TP-9

## Objective

Validate the parts
and the whole.

---

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

**Test File**: `tests/a.go`

## Success Criteria

### Must Pass
- A-1: Batch
";

#[test]
fn reads_what_the_source_comparison_needs() {
    let plan = import(EXAMPLE, "docs/sessions.md");
    assert_eq!((plan.plan.as_str(), plan.title.as_deref()), ("TP-9", Some("Sessions")));
    assert_eq!(plan.objective.as_deref(), Some("Validate the parts and the whole."));
    let [case] = plan.cases.as_slice() else { panic!("{:?}", plan.cases) };
    assert_eq!((case.id.as_str(), case.title.as_str()), ("A-1", "Batch Hibernate"));
    assert_eq!((case.tier, case.priority.as_deref()), (Some(Tier::Must), Some("High")));
    assert_eq!(case.field("type"), Some("Integration"));
    assert_eq!(case.field("Related Issue"), Some("#12"));
    assert_eq!(case.field("Test File"), Some("tests/a.go"));
    let texts = |list: &[tp_runner::import::Sentence]| -> Vec<String> { list.iter().map(|s| s.text.clone()).collect() };
    assert_eq!(texts(&case.preconditions), ["A session runs"]);
    assert_eq!(texts(&case.steps), ["Create with: 2 valid names, 1 other", "Execute `POST /batch`"]);
    assert_eq!(texts(&case.expected), ["It returns", "{ \"total\": 4 }", "No orphans"]);
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn reads_a_complete_plan() {
    let text = include_str!("plans/tp-004.md");
    let plan = import(text, "TP-004.md");
    let count = |kind| plan.cases.iter().map(|c| c.list(kind).len()).sum::<usize>();
    assert_eq!(plan.cases.len(), 10);
    assert_eq!((count(Kind::Precondition), count(Kind::Step), count(Kind::Expected)), (11, 57, 34));
    assert_eq!(plan.cases.iter().filter(|c| c.tier == Some(Tier::Must)).count(), 3);
    let four = &plan.cases[3];
    assert_eq!(four.priority.as_deref(), Some("High"));
    assert!(four.steps[0].text.starts_with("Create batch request with: 2 valid session names, 1 nonexistent"));
    assert!(plan.cases[0].expected[0].text.contains("\"succeeded\": 4"));
    assert_eq!(plan.cases[0].field("Test File"), Some("tests/integration/batch_hibernate_test.go"));
}

#[test]
fn drafts_a_pattern_from_json_that_can_be_uncommented() {
    let yaml = skeleton(&import(EXAMPLE, "sessions.md"), "sessions.md");
    let draft = yaml.lines().find(|l| l.contains("# expect:")).expect("a draft");
    let text = draft.trim_start().trim_start_matches("# ");
    let value: serde_json::Value = serde_saphyr::from_str(text).expect("a valid pattern");
    assert_eq!(value["expect"]["response"]["body"]["total"], 4);
}

#[test]
fn escapes_placeholders_and_dollar_keys() {
    let text = "## T-1: x\n\n**Steps:**\n1. Send `${name}`\n\n**Expected:**\n```json\n{\"$id\": \"${a}\"}\n```\n";
    let yaml = skeleton(&import(text, "t.md"), "t.md");
    assert!(yaml.contains("Send `$${name}`"), "{yaml}");
    assert!(yaml.contains(r#"{"$$id":"$${a}"}"#), "{yaml}");
}

#[test]
fn criteria_decide_before_priorities() {
    let text = "# P\n\n## A-1: x\n**Priority:** Low\n**Expected:** y\n\n## A-2: x\n**Priority:** Low\n\
                **Expected:** y\n\n## Success criteria\n\n**Must:** A-1\n";
    let plan = import(text, "p.md");
    assert_eq!(plan.cases.iter().map(|c| c.tier).collect::<Vec<_>>(), [Some(Tier::Must), Some(Tier::Nice)]);
}

#[test]
fn without_p0_the_first_priority_is_a_must() {
    let tiers = |first: &str, second: &str| {
        let text = format!("## A-1: x\nPriority: {first}\nExpected: y\n\n## A-2: x\nPriority: {second}\nExpected: y\n");
        import(&text, "p.md").cases.iter().map(|c| c.tier.map_or("-", Tier::as_str)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(tiers("P0", "P1"), "must should");
    assert_eq!(tiers("P1", "P2"), "must should");
    assert_eq!(tiers("P1 - High", "P2 - Low"), "must nice");
    assert_eq!(tiers("Critical", "Medium"), "must should");
}

#[test]
fn warns_of_made_ids_duplicate_ids_and_missing_results() {
    let text =
        "# P\n\n## Test Case 1: a\n**Steps:**\n1. Do it\n\n## A-1: b\n**Expected:** y\n\n## A-1: c\n**Expected:** z\n";
    let plan = import(text, "my plan.md");
    let ids: Vec<&str> = plan.cases.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["MY-PLAN-1", "A-1", "A-1-2"]);
    let all: Vec<String> = plan.warnings.iter().map(|w| format!("{} {}", w.line, w.text)).collect();
    assert!(all.contains(&"3 case `MY-PLAN-1` has no expected result: add at least one".into()), "{all:?}");
    assert!(all.contains(&"3 the case has no id in the document: made `MY-PLAN-1`".into()), "{all:?}");
    assert!(all.contains(&"10 duplicate id `A-1`: this case is called `A-1-2`".into()), "{all:?}");
}

#[test]
fn keeps_unclassified_lines_with_a_warning() {
    let plan = import("# P\n\nA stray line.\n\n## A-1: x\n**Expected:** y\n", "p.md");
    assert_eq!(plan.comments[0].text, "A stray line.");
    assert_eq!(plan.warnings[0].line, 3);
    assert!(skeleton(&plan, "p.md").contains("# A stray line."));
}
