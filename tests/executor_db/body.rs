//! What a plan may write.
use super::*;
use executor_stage::compile;

#[test]
fn a_body_that_cannot_be_performed_is_a_diagnostic() {
    for (body, expected) in [
        ("sql: \"select '%${x}%'\"", "inside quotes would not be bound"),
        ("sql: 'select \"${x}\"'", "a name cannot be bound"),
        ("sql: 'select 1 -- ${x}'", "in a comment"),
        ("sql: 'select $1'", "numbered placeholders"),
        ("sql: 'select 1; select 2'", "more than one statement"),
        ("sql: begin", "cannot be left open"),
        ("sql: '-- nothing'", "no statement"),
        ("transaction: []", "does nothing"),
        ("transaction: select 1", "a list of statements"),
        ("{ sql: select 1, file: x }", "exactly one"),
        ("{ sqll: select 1 }", "sql"),
        ("{ sql: select 1, rollback: true }", "belongs to a `transaction`"),
        ("{ transaction: [select 1], rollback: perhaps }", "`true` or `false`"),
    ] {
        let problems = compile("db", body).err().unwrap_or_else(|| panic!("{body} compiles"));
        assert!(problems.iter().any(|(_, m)| m.contains(expected)), "{body}: {problems:?}");
    }
    assert!(!compile("db", "sql: 'select 1;'").unwrap().changes());
    assert!(compile("db", "sql: 'delete from t where a = ${x}'").unwrap().changes());
    assert!(compile("db", "file: x.sql").unwrap().changes());
    assert!(compile("db", "transaction: [delete from t]").unwrap().changes());
    assert!(!compile("db", "{ transaction: [delete from t], rollback: true }").unwrap().changes());
    // What any of the servers takes is taken here: whose statement it is, the environment says.
    for body in [
        r"sql: |-
  select 'a\' b', ${x}",
        "sql: 'select `a''b`, ${x}'",
        "sql: 'select [a''b], ${x}'",
    ] {
        assert!(compile("db", body).is_ok(), "{body}");
    }
}
