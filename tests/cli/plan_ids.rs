//! Plans by id: exact names win, prefixes must be unique.
use crate::runner::Fixture;
use std::fs;

fn plan(id: &str, case: &str) -> String {
    format!(
        "plan: {id}\ncases:\n  - id: {case}\n    tier: must\n    expected:\n      - result: It is so\n        do:\n          \
         - exec: {{ run: [printf, \"1\"] }}\n            expect: {{ stdout: \"1\" }}\n"
    )
}

#[test]
fn a_plan_is_found_by_its_exact_id_before_a_prefix() {
    let files = [
        ("TP-004-adapted", "ADAPTED"),
        ("SHOP-1", "SHOP-1"),
        ("SHOP-1-late", "LATE"),
        ("login", "TP-007"),
        ("PAY-1-card", "PAY-1-CARD"),
        ("PAY-1-cash", "CASH"),
        ("twice-a", "TWICE"),
        ("twice-b", "TWICE"),
        ("ALONE-9-long", "LONG"),
    ];
    let fixture = Fixture::new();
    let folder = fixture.path().join("shop");
    fs::create_dir_all(folder.join("plans")).unwrap();
    for (name, id) in files {
        fs::write(folder.join(format!("plans/{name}.yaml")), plan(id, &format!("in-{name}"))).unwrap();
    }
    for (asked, expected) in [
        ("TP-004", "TC-INT-001"),
        ("TP-004-adapted", "in-TP-004-adapted"),
        ("ADAPTED", "in-TP-004-adapted"),
        ("SHOP-1", "in-SHOP-1 "),
        ("TP-007", "in-login"),
        ("PAY-1-CARD", "in-PAY-1-card"),
        ("ALONE-9", "in-ALONE-9-long"),
        ("PAY-1", "error: several plans fit `PAY-1`: plans/PAY-1-card.yaml, plans/PAY-1-cash.yaml"),
        ("TWICE", "error: several plans fit `TWICE`: plans/twice-a.yaml, plans/twice-b.yaml"),
        ("TP-04", "did you mean `TP-004`?"),
        ("SHOP1", "did you mean `SHOP-1`?"),
        ("SHOP", "error: several plans fit `SHOP`"),
    ] {
        let output = fixture.command(&["list", asked]).current_dir(&folder).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(expected), "{asked}: {text}");
    }
}
