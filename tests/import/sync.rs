//! What changed between two readings of a document.
use tp_runner::import::{
    Kind, import,
    sync::{CaseChange, Change, Existing, ExistingCase, sync},
};

const OLD: &str = "# P

## A-1: Log in

**Priority:** High

**Preconditions:**
- A user exists

**Steps:**
1. Open the page
2. Enter the name of the user
3. Press the button

**Expected:**
- The dashboard opens
- A cookie is set

## A-2: Log out

**Steps:**
1. Press Log out

**Expected:**
- The login page opens
";

fn changes(from: &[(&str, &str)]) -> Vec<CaseChange> {
    let mut text = OLD.to_string();
    for (old, new) in from {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    sync(&Existing::from(&import(OLD, "p.md")), &import(&text, "p.md")).cases
}

fn in_first(from: &[(&str, &str)]) -> Vec<Change> {
    match changes(from).as_slice() {
        [CaseChange::Changed { id, was: None, line: 3, changes }] if id == "A-1" => changes.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn finds_nothing_if_only_case_and_punctuation_differ() {
    assert_eq!(changes(&[("Open the page", "open the `page`."), ("- A cookie", "* A cookie")]), []);
}

#[test]
fn finds_added_removed_and_changed_sentences_with_their_lines() {
    let changed = in_first(&[("Enter the name of the user", "Enter the name of the admin")]);
    let [Change::Changed { kind: Kind::Step, from, to, line: 12 }] = changed.as_slice() else { panic!("{changed:?}") };
    assert_eq!((from.as_str(), to.as_str()), ("Enter the name of the user", "Enter the name of the admin"));
    let added = in_first(&[("- A cookie is set", "- A cookie is set\n- An audit entry exists")]);
    assert_eq!(added, [Change::Added { kind: Kind::Expected, text: "An audit entry exists".into(), line: 18 }]);
    let removed = in_first(&[("- A cookie is set\n", "")]);
    assert_eq!(removed, [Change::Removed { kind: Kind::Expected, text: "A cookie is set".into() }]);
}

#[test]
fn finds_sentences_that_moved_within_a_list_or_to_another() {
    let moved =
        in_first(&[("1. Open the page\n", ""), ("3. Press the button", "3. Press the button\n4. Open the page")]);
    let text = "Open the page".to_string();
    assert_eq!(moved, [Change::Moved { from: Kind::Step, to: Kind::Step, text, line: 13 }]);
    let moved = in_first(&[("3. Press the button\n", ""), ("- A user exists", "- A user exists\n- Press the button")]);
    let text = "Press the button".to_string();
    assert_eq!(moved, [Change::Moved { from: Kind::Step, to: Kind::Precondition, text, line: 9 }]);
}

#[test]
fn finds_other_titles_tiers_and_priorities() {
    let changed = in_first(&[("Log in", "Sign in"), ("High", "Low")]);
    let field = |name, from: &str, to: &str| Change::Field { name, from: from.into(), to: to.into() };
    assert_eq!(
        changed,
        [field("title", "Log in", "Sign in"), field("tier", "must", "nice"), field("priority", "High", "Low")]
    );
}

#[test]
fn finds_new_removed_and_renamed_cases() {
    let renamed = changes(&[("A-2", "B-7")]);
    assert_eq!(
        renamed,
        [CaseChange::Changed { id: "B-7".into(), was: Some("A-2".into()), line: 19, changes: Vec::new() }]
    );
    let removed = changes(&[(
        "A-2: Log out\n\n**Steps:**\n1. Press Log out\n\n**Expected:**\n- The login page opens",
        "A-3: Pay\n\n**Expected:** The invoice is written",
    )]);
    assert_eq!(
        removed,
        [
            CaseChange::Added { id: "A-3".into(), title: "Pay".into(), line: 19 },
            CaseChange::Removed { id: "A-2".into(), title: "Log out".into() },
        ]
    );
}

#[test]
fn compares_a_yaml_plan_that_has_no_lines() {
    let case = ExistingCase {
        id: "A-2".into(),
        title: "Log out".into(),
        steps: vec!["Press Log out".into()],
        expected: vec!["The start page opens".into()],
        ..ExistingCase::default()
    };
    let found = sync(&Existing { cases: vec![case] }, &import(OLD, "p.md"));
    assert_eq!(
        found.to_string(),
        "new case A-1: Log in (line 3)\ncase A-2 (line 19)\n  changed expected result (line 25)\n    \
         - The start page opens\n    + The login page opens\n"
    );
}

#[test]
fn says_that_nothing_changed() {
    let plan = import(OLD, "p.md");
    assert_eq!(sync(&Existing::from(&plan), &plan).to_string(), "no changes\n");
}
