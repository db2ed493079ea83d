//! Compares `language`, the description of the plan language, with the pages that document it.
use std::collections::BTreeSet;
use tp_runner::language::*;

const PLAN_LANGUAGE: &str = include_str!("../docs/plan-language.md");
const ENVIRONMENTS: &str = include_str!("../docs/environments.md");
const PROVE: &str = include_str!("../docs/prove.md");

/// The first word of each code in the first column of the table after the text `before`: `key` for `key: VALUE`.
fn table(page: &str, before: &str) -> BTreeSet<String> {
    let rows = page.split(before).nth(1).unwrap_or_else(|| panic!("no `{before}`"));
    let rows = rows.lines().skip_while(|l| !l.starts_with('|')).skip(2).take_while(|l| l.starts_with('|'));
    let cells = rows.map(|l| l.split(" | ").next().unwrap_or_default());
    let codes = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    codes.map(|code| code.split([':', '(', ' ', ',']).next().unwrap_or_default().to_string()).collect()
}

fn keys(keys: &[Key]) -> BTreeSet<String> {
    keys.iter().map(|k| k.name.to_string()).collect()
}

fn assert_documented(page: &str, words: impl IntoIterator<Item = &'static str>) {
    let missing: Vec<_> = words
        .into_iter()
        .filter(|w| !["`", ": ", ":\n", ":`"].iter().any(|end| page.contains(&format!("{w}{end}"))))
        .collect();
    assert!(missing.is_empty(), "not documented: {missing:?}");
}

fn key_names(groups: &[&[Key]]) -> Vec<&'static str> {
    groups.iter().flat_map(|g| g.iter().map(|k| k.name)).collect()
}

#[test]
fn tables_of_keys_are_complete() {
    assert_eq!(table(PLAN_LANGUAGE, "Keys of a plan:"), keys(PLAN_KEYS));
    assert_eq!(table(PLAN_LANGUAGE, "Keys of a case:"), keys(CASE_KEYS));
    assert_eq!(table(PLAN_LANGUAGE, "## Actions"), keys(ACTION_KEYS));
    assert_eq!(table(ENVIRONMENTS, "## Keys"), keys(ENVIRONMENT_KEYS));
}

#[test]
fn other_keys_are_documented() {
    let sentences = [SCOPE_KEYS, INCLUDE_KEYS, DEFINITION_KEYS, PRECONDITION_KEYS, STEP_KEYS, RESULT_KEYS];
    assert_documented(PLAN_LANGUAGE, key_names(&sentences));
    assert_documented(PLAN_LANGUAGE, key_names(&[PARALLEL_KEYS, FAULT_KEYS]));
    let environments = [
        ENVIRONMENT_FILE_KEYS,
        ALLOW_KEYS,
        MASKED_FIELDS_KEYS,
        RUNS_KEYS,
        SECRET_KEYS,
        KNOWN_FAILURE_KEYS,
        FAULT_ACTION_KEYS,
        FAULT_RELAY_KEYS,
        RELAY_KEYS,
    ];
    assert_documented(ENVIRONMENTS, key_names(&environments));
    assert_documented(PROVE, key_names(&[PROVE_KEYS]));
}

#[test]
fn tables_of_matchers_functions_and_relay_modes_are_complete() {
    let matchers = table(PLAN_LANGUAGE, "## Matchers");
    let documented: BTreeSet<String> = matchers.into_iter().filter(|word| word.starts_with('$')).collect();
    assert_eq!(documented, names(MATCHERS).map(String::from).collect());
    assert_eq!(table(PLAN_LANGUAGE, "### Functions"), names(RUNNER_FUNCTIONS).map(String::from).collect());
    let modes = RELAY_MODES.iter().map(|m| m.to_string());
    assert_eq!(table(ENVIRONMENTS, "### Relays"), modes.collect());
}

#[test]
fn verbs_types_and_tiers_are_documented() {
    assert_documented(PLAN_LANGUAGE, names(BUILTIN_VERBS));
    assert!(PLAN_LANGUAGE.contains(&format!("`{}`", TYPES.join(" "))), "types");
    assert_documented(PLAN_LANGUAGE, TIERS.iter().copied());
}

#[test]
fn names_are_unique() {
    for group in [PLAN_KEYS, CASE_KEYS, ACTION_KEYS, ENVIRONMENT_KEYS, RELAY_KEYS] {
        assert_eq!(keys(group).len(), group.len());
    }
    assert!(RELAY_MODES.iter().all(|m| RELAY_KEYS.iter().any(|k| k.name == *m)));
}
