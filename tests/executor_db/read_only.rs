//! Tests of reads in a protected environment: the server refuses what they would change.
use super::*;

/// Performs a read in a read-only transaction. Returns the error message, or else the first value of the first row.
async fn read(s: &Harness, sql: &str) -> Result<Value, String> {
    let output = s.perform(&format!("{{ sql: \"{sql}\" }}")).await.map_err(|e| e.to_string())?;
    Ok(at(&output.value, "rows.0.v"))
}

async fn assert_refused(s: &Harness, sql: &str, reason: &str) {
    let message = read(s, sql).await.unwrap_err();
    assert!(message.contains(reason), "{sql}: {message}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_refuses_reads_that_write() {
    let mut s = postgres().await;
    s.output("sql: create table t (id int)").await;
    s.output("sql: create sequence sq").await;
    let f = "create function add_one() returns int language sql as 'insert into t values (1) returning id'";
    s.output(&format!("sql: \"{f}\"")).await;
    assert_eq!(read(&s, "select add_one() as v").await, Ok(Value::Int(1)), "allowed without protection");
    s.read_only = true;
    for sql in [
        "select setval('sq', 5) as v",
        "select nextval('sq') as v",
        "select add_one() as v",
        "with a as (select add_one() as v) select v from a",
        "values (add_one())",
        "select id as v from t for update",
    ] {
        assert_refused(&s, sql, "read-only transaction").await;
    }
    assert_eq!(read(&s, "select count(*) as v from t").await, Ok(Value::Int(1)), "nothing was added");
    let line = s.take_evidence(EvidenceKind::Reproduce);
    assert!(line.contains("begin read only;") && line.contains("rollback"), "{line}");
    let several = "{ transaction: [ \"select 1 as v\", \"select setval('sq', 5) as v\" ] }";
    let e = s.error(several).await.to_string();
    assert!(e.contains("read-only transaction"), "{e}");
    let off = "select set_config('transaction_read_only', 'off', false), add_one() as v";
    assert_refused(&s, off, "read-write mode must be set before any query").await;
    // A change has an undo, or the plan would have been refused; rolled back, it needs none.
    s.output("sql: insert into t values (2)").await;
    s.output("{ transaction: [ \"insert into t values (3)\" ], rollback: true }").await;
    assert_eq!(read(&s, "select count(*) as v from t").await, Ok(Value::Int(2)));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_prepares_a_stale_read_again() {
    let mut s = postgres().await;
    s.output("sql: create table t (v int)").await;
    s.output("sql: insert into t values (7)").await;
    s.read_only = true;
    assert_eq!(read(&s, "select * from t").await, Ok(Value::Int(7)));
    s.output("sql: alter table t alter v type text").await;
    assert_eq!(read(&s, "select * from t").await, Ok("7".into()), "the type of the column has changed");
}

#[tokio::test]
#[ignore = "needs MariaDB: tests/run"]
async fn mariadb_refuses_reads_that_write() {
    let mut s = mariadb().await;
    s.output("sql: create table t (id int)").await;
    s.output("sql: create sequence sq").await;
    let f = "create function add_one() returns int modifies sql data begin insert into t values (1); return 1; end";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("function.sql");
    std::fs::write(&file, f).unwrap();
    s.output(&format!("file: {}", file.display())).await;
    assert_eq!(read(&s, "select add_one() as v").await, Ok(Value::Int(1)), "allowed without protection");
    s.read_only = true;
    assert_refused(&s, "select add_one() as v", "READ ONLY transaction").await;
    assert_refused(&s, "select setval(sq, 5) as v", "READ ONLY transaction").await;
    assert_eq!(read(&s, "select count(*) as v from t").await, Ok(Value::Int(1)), "nothing was added");
    s.output("sql: insert into t values (2)").await;
    assert_eq!(read(&s, "select count(*) as v from t").await, Ok(Value::Int(2)));
}

#[tokio::test]
async fn sqlite_refuses_reads_that_write() {
    let (mut s, _dir) = sqlite().await;
    s.read_only = true;
    assert_refused(&s, "pragma user_version(3)", "readonly").await;
    let version = at(&s.output("sql: pragma user_version").await, "rows.0.user_version");
    assert_eq!(version, Value::Int(0));
    s.output("sql: insert into t (id) values (1)").await;
    assert_eq!(read(&s, "select count(*) as v from t").await, Ok(Value::Int(1)));
    assert!(read(&s, "select oops").await.is_err());
    s.output("sql: insert into t (id) values (2)").await;
    assert_eq!(read(&s, "select count(*) as v from t").await, Ok(Value::Int(2)));
}
