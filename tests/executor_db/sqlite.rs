//! Tests on SQLite.
use super::*;
use sqlx::{ConnectOptions, Executor, sqlite::SqliteConnectOptions};

#[tokio::test]
async fn sqlite_binds_and_decodes_values_with_their_types() {
    let (s, _dir) = sqlite().await;
    let s = s
        .with("name", "it's; drop table t")
        .with("ok", true)
        .with("x", Value::Float(1.5))
        .with("list", value(json!({ "a": [1, null] })));
    let made =
        s.output("sql: 'insert into t (id, name, ok, x, b) values (${1}, ${name}, ${ok}, ${x}, x''00ff'')'").await;
    assert_eq!(at(&made, "affected"), Value::Int(1));
    let output = s.output("sql: 'select *, ${list} as j, null as n from t where name = ${name} and ok = ${ok}'").await;
    let expected = json!([{ "id": 1, "name": "it's; drop table t", "ok": true, "x": 1.5, "b": "\\x00ff", "p": null,
        "j": "{\"a\":[1,null]}", "n": null }]);
    assert_eq!(at(&output, "rows"), value(expected));
    assert_eq!(at(&output, "affected"), Value::Int(0), "a select affects no rows");
    let request = s.take_evidence(EvidenceKind::Request);
    assert!(request.contains("name = ?2 and ok = ?3") && request.contains("?2 = 'it''s; drop table t'"), "{request}");
}

#[tokio::test]
async fn client_command_is_quoted_for_sql_and_for_the_shell() {
    let (s, dir) = sqlite().await;
    let s = s.with("name", "it's");
    s.output("sql: select id from t where name = ${name}").await;
    let line = s.take_evidence(EvidenceKind::Reproduce);
    assert_eq!(line, r"sqlite3 a.db 'select id from t where name = '\''it'\'''\''s'\'''");
    for (text, rows) in [("insert into t (id) values (1) -- it's", "1"), ("insert into t (id) values (2); oops;", "0")]
    {
        std::fs::write(dir.path().join("a b.sql"), text).unwrap();
        let _ = s.perform("{ file: a b.sql }").await;
        let line = s.take_evidence(EvidenceKind::Reproduce);
        let counted = format!(
            "cd {0}; sqlite3 a.db 'delete from t'; {line}; sqlite3 a.db 'select count(*) from t'",
            dir.path().display()
        );
        assert_eq!(shell(&counted).trim(), rows, "a file is run in one transaction: {line}");
        shell(&format!("sqlite3 {}/a.db 'delete from t'", dir.path().display()));
    }
}

#[tokio::test]
async fn list_becomes_one_parameter_per_item_and_an_empty_list_matches_nothing() {
    let (s, _dir) = sqlite().await;
    s.output("sql: insert into t (id, name) values (1, 'a'), (2, 'b'), (3, 'c')").await;
    let s = s.with("ids", value(json!([1, 3, 99]))).with("none", value(json!([])));
    let ids = async |sql: &str| at(&s.output(&format!("sql: {sql}")).await, "rows").to_string();
    assert_eq!(ids("select id from t where id in (${ids}) order by id").await, r#"[{"id":1},{"id":3}]"#);
    assert_eq!(ids("select id from t where id in (${none})").await, "[]");
    assert_eq!(ids("select id from t where id not in (${ids})").await, r#"[{"id":2}]"#);
    let e = s.error("sql: select id from t where id NOT  IN (${none})").await;
    assert!(e.to_string().contains("empty list"), "{e}");
}

#[tokio::test]
async fn failed_transactions_and_files_are_rolled_back() {
    let (s, dir) = sqlite().await;
    let e = s
        .error(
            "transaction: [\"insert into t (id, name) values (1, 'a')\", \"insert into t (id, name) values (2, 'a')\"]",
        )
        .await;
    assert!(matches!(&e, ActionError::Invalid(m) if m.contains("UNIQUE constraint failed: t.name")), "{e}");
    assert_eq!(at(&s.output("sql: select * from t").await, "rows"), value(json!([])));
    let done = s
        .output(
            "transaction: [insert into t (id) values (1), insert into t (id) values (2), select count(*) as n from t]",
        )
        .await;
    assert_eq!((at(&done, "affected"), at(&done, "rows.0.n")), (Value::Int(2), Value::Int(2)));

    let rolled_back = "{ transaction: [insert into t (id) values (9), select count(*) as n from t], rollback: true }";
    let done = s.output(rolled_back).await;
    assert_eq!((at(&done, "affected"), at(&done, "rows.0.n")), (Value::Int(1), Value::Int(3)));
    assert_eq!(
        at(&s.output("sql: select count(*) as n from t").await, "rows.0.n"),
        Value::Int(2),
        "it was rolled back"
    );

    std::fs::write(dir.path().join("bad.sql"), "insert into t (id) values (3); insert into nowhere values (1);")
        .unwrap();
    let e = s.error("file: bad.sql").await;
    assert!(e.to_string().contains("no such table: nowhere"), "{e}");
    std::fs::write(dir.path().join("good.sql"), "insert into t (id) values (3); -- it's\nselect max(id) as m from t;")
        .unwrap();
    let done = s.output("file: good.sql").await;
    assert_eq!((at(&done, "rows"), at(&done, "affected")), (value(json!([{ "m": 3 }])), Value::Int(1)));
    assert!(s.error("file: missing.sql").await.to_string().contains("cannot read"), "the message names the file");
    // Foreign keys are enforced.
    assert!(s.error("sql: insert into t (id, p) values (9, 77)").await.to_string().contains("FOREIGN KEY"));
}

#[tokio::test]
async fn sqlite_notices_altered_tables_and_waits_for_locks() {
    let (s, dir) = sqlite().await;
    s.output("sql: insert into t (id) values (1)").await;
    s.output("sql: select * from t").await;
    let mut other = SqliteConnectOptions::new().filename(dir.path().join("a.db")).connect().await.unwrap();
    other.execute("alter table t add column late text default 'x'").await.unwrap();
    assert_eq!(at(&s.output("sql: select * from t").await, "rows.0.late"), Value::text("x"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.execute("alter table t add column later text default 'y'").await.unwrap();
    assert_eq!(at(&s.output("sql: select * from t").await, "rows.0.later"), Value::text("y"));
    other.execute("begin immediate").await.unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.execute("commit").await.unwrap();
    };
    let (made, ()) = futures::join!(s.output("sql: insert into t (id) values (2)"), release);
    assert_eq!(at(&made, "affected"), Value::Int(1));
}

#[tokio::test]
async fn missing_database_file_is_an_error_and_not_created() {
    let dir = tempfile::tempdir().unwrap();
    for target in ["db: nowhere.db", "db: 'sqlite://nowhere.db?mode=rwc'"] {
        let e = Harness::new(&Db, dir.path()).open(target).await.err().expect("the file does not exist");
        assert!(matches!(&e, ActionError::Unreachable(m) if m.contains("no such database file")), "{e}");
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    let e =
        Harness::new(&Db, ".").open("db: 'postgres://ann:s3cret@127.0.0.1:1/x'").await.err().expect("port 1 is closed");
    assert!(
        matches!(&e, ActionError::Unreachable(m) if m.contains("refused") && m.contains("ann@127.0.0.1:1") && !m.contains("s3cret")),
        "{e}"
    );
}

#[tokio::test]
async fn target_stays_usable_after_dropped_statements() {
    let (s, _dir) = sqlite().await;
    let long =
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000000) select max(i) from n";
    for _ in 0..12 {
        let dropped = tokio::time::timeout(Duration::from_millis(5), s.perform(&format!("sql: {long}"))).await;
        assert!(dropped.is_err(), "the statement takes longer");
    }
    assert_eq!(at(&s.output("sql: select 1 as one").await, "rows.0.one"), Value::Int(1));
}

#[tokio::test]
async fn a_name_of_several_columns_is_unset() {
    let (s, _dir) = sqlite().await;
    let out = s.output("sql: select 1 as a, 2 as a, 3 as b").await;
    assert_eq!(at(&out, "rows.0.b"), Value::Int(3));
    assert!(matches!(at(&out, "rows.0.a"), Value::Unset(why) if why.contains("several columns `a`")));
    let e = s.error("sql: select * from t where id = ?").await;
    assert!(e.to_string().contains("`?`"), "{e}");
}

#[tokio::test]
async fn rows_beyond_the_limit_are_counted_and_not_kept() {
    let (s, dir) = sqlite().await;
    drop(s);
    let s = Harness::new(&Db, dir.path()).open("{ db: a.db, limit: 40 MiB }").await.unwrap();
    let query = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100) \
                 select i, printf('%.*c', 1000000, 'x') as x from n";
    let output = s.output(&format!("sql: \"{query}\"")).await;
    let Value::Partial(rows) = at(&output, "rows") else { panic!("all rows are kept") };
    let kept = rows.value.as_list().unwrap().len();
    assert_eq!(kept, 41);
    let reason = "59 more rows were not kept: the result takes more than 40 MiB of memory (`limit`)";
    assert_eq!(&*rows.reason, reason);
    let large = s.output("sql: select zeroblob(20000000) as x, 1 as y").await;
    let reason = "the value has 20000000 bytes, more than 8 MiB: it was not read";
    assert_eq!((at(&large, "rows.0.x"), at(&large, "rows.0.y")), (Value::unset(reason), Value::Int(1)));
    let e = s.error("sql: select zeroblob(100000000) as x").await.to_string();
    assert!(e.contains("the statement needs more than 64 MiB of memory: select fewer or smaller values"), "{e}");
    let output = s.output("sql: select 1 as one").await;
    assert_eq!(at(&output, "rows").incomplete(), None, "the connection can be used");
}
