//! Compiling the body of `db`.
use super::*;

#[test]
fn refuses_invalid_bodies() {
    for (body, expected) in [
        ("sql: \"select '%${x}%'\"", "inside quotes cannot be bound"),
        ("sql: 'select \"${x}\"'", "a name cannot be bound"),
        ("sql: 'select 1 -- ${x}'", "in a comment"),
        ("sql: 'select $1'", "numbered parameters"),
        ("sql: 'select 1; select 2'", "found several"),
        ("sql: begin", "cannot stay open"),
        ("sql: '-- nothing'", "expected a statement, found none"),
        ("transaction: []", "at least one statement"),
        ("transaction: select 1", "a list of statements"),
        ("{ sql: select 1, file: x }", "exactly one"),
        ("{ sqll: select 1 }", "sql"),
        ("{ sql: select 1, rollback: true }", "needs a `transaction`"),
        ("{ transaction: [select 1], rollback: perhaps }", "`true` or `false`"),
    ] {
        let problems = compile(&Db, body).err().unwrap_or_else(|| panic!("{body} compiles"));
        assert!(problems.iter().any(|p| p.message.contains(expected)), "{body}: {problems:?}");
    }
}

#[test]
fn detects_actions_that_change_data() {
    assert!(!compile(&Db, "sql: 'select 1;'").unwrap().changes());
    assert!(compile(&Db, "sql: 'delete from t where a = ${x}'").unwrap().changes());
    assert!(compile(&Db, "file: x.sql").unwrap().changes());
    assert!(compile(&Db, "transaction: [delete from t]").unwrap().changes());
    assert!(!compile(&Db, "{ transaction: [delete from t], rollback: true }").unwrap().changes());
}

/// The environment decides on the server, so any dialect is accepted.
#[test]
fn accepts_the_quotes_of_every_dialect() {
    for body in [
        r"sql: |-
  select 'a\' b', ${x}",
        "sql: 'select `a''b`, ${x}'",
        "sql: 'select [a''b], ${x}'",
    ] {
        assert!(compile(&Db, body).is_ok(), "{body}");
    }
}
