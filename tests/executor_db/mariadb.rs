//! Tests on MariaDB.
use super::*;

#[tokio::test]
#[ignore = "needs MariaDB: tests/run"]
async fn mariadb_decodes_every_type() {
    let s = mariadb().await;
    s.output(
        "sql: create table t (i1 tinyint, b boolean, i2 smallint, i3 mediumint, i4 int, i8 bigint, u1 tinyint unsigned, \
         u8 bigint unsigned, n decimal(20,4), whole decimal(10,0), f4 float, f8 double, d date, dt datetime(6), ts timestamp(3) null, \
         tm time(2), y year, c char(3), v varchar(20), tx text, bin binary(2), vb varbinary(9), bl blob, bi bit(12), \
         e enum('ok', 'bad'), st set('a', 'b', 'c'), j json, bincol varchar(9) collate utf8mb4_bin, u uuid, ip inet6, nul int)",
    )
    .await;
    s.output(
        "sql: |\n  insert into t values (-1, true, -2, -3, -4, 9007199254740993, 255, 18446744073709551615, 12345.6700, 42, 0.1, 1.5, \
         '2026-11-22', '2026-11-22 08:00:00.25', '2026-11-22 08:00:00.5', '-100:05:06.5', 2026, 'c', 'ü', 'x', x'00ff', x'dead', \
         x'beef', b'101010101010', 'bad', 'a,c', '{\"a\": [1, null]}', 'Ab', '6ba7b810-9dad-11d1-80b4-00c04fd430c8', '::1', null)",
    )
    .await;
    let expected = json!({ "i1": -1, "b": true, "i2": -2, "i3": -3, "i4": -4, "i8": 9007199254740993i64, "u1": 255,
        "u8": 18446744073709551615u64, "n": "12345.6700", "whole": 42, "f4": 0.1, "f8": 1.5, "d": "2026-11-22",
        "dt": "2026-11-22T08:00:00.25", "ts": "2026-11-22T08:00:00.5Z", "tm": "-100:05:06.5", "y": 2026, "c": "c", "v": "ü", "tx": "x",
        "bin": "\\x00ff", "vb": "\\xdead", "bl": "\\xbeef", "bi": 2730, "e": "bad", "st": "a,c", "j": "{\"a\": [1, null]}",
        "bincol": "Ab", "u": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "ip": "::1", "nul": null });
    let bound = s.output("sql: select * from t").await;
    // A file uses the text format.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.sql");
    std::fs::write(&file, "select * from t;").unwrap();
    let scripted = s.output(&format!("file: {}", file.display())).await;
    for (key, wanted) in value(expected).as_map().unwrap() {
        assert_eq!(&at(&bound, &format!("rows.0.{key}")), wanted, "{key}");
        assert_eq!(&at(&scripted, &format!("rows.0.{key}")), wanted, "{key}, from a file");
    }
    // Zero dates, times without a fraction, undecodable types.
    let odd = s
        .output(
            "sql: select cast('0000-00-00' as date) as zero, cast('12:00' as time) as noon, 1 = 1 as yes, sum(1) as s, \
        point(1, 2) as p, 1e300 as far",
        )
        .await;
    assert_eq!(at(&odd, "rows.0.noon"), Value::text("12:00:00"));
    assert_eq!(at(&odd, "rows.0.s"), Value::Int(1));
    assert_eq!(at(&odd, "rows.0.far"), Value::Float(1e300));
    assert!(at(&odd, "rows.0.p").as_str().unwrap().starts_with("\\x"), "{odd}");
    assert!(s.take_evidence(EvidenceKind::Note).contains("cannot decode the type of column `p`"));
}

#[tokio::test]
#[ignore = "needs MariaDB: tests/run"]
async fn mariadb_binds_values_with_their_types() {
    let s = mariadb().await;
    s.output("sql: create table t (id int primary key, b boolean, u bigint unsigned, n decimal(20,4), f double, v varchar(30), j json, \
        dt datetime(6), tm time(3), x int)").await;
    let s = s
        .with("name", r"it's \' or 1 = 1 -- ")
        .with("big", Value::Uint(u64::MAX))
        .with("doc", value(json!({ "a": [1, "x"] })))
        .with("at", "2026-11-22T08:00:00.000001Z".parse::<jiff::Timestamp>().unwrap())
        .with("took", Value::Duration(jiff::SignedDuration::from_millis(-3_661_500)))
        .with("ids", value(json!([1, 5])))
        .with("none", value(json!([])))
        .with("nothing", Value::Null);
    let made = s
        .output("sql: insert into t values (${1}, ${true}, ${big}, ${'12345.6700'}, ${1.5}, ${name}, ${doc}, ${at}, ${took}, ${nothing}) returning *")
        .await;
    let expected = json!([{ "id": 1, "b": true, "u": u64::MAX, "n": "12345.6700", "f": 1.5, "v": r"it's \' or 1 = 1 -- ",
        "j": "{\"a\":[1,\"x\"]}", "dt": "2026-11-22T08:00:00.000001", "tm": "-01:01:01.5", "x": null }]);
    assert_eq!((at(&made, "rows"), at(&made, "affected")), (value(expected), Value::Int(1)));
    for (sql, rows) in [
        ("select id from t where v = ${name} and b = ${true}", 1),
        ("select id from t where id in (${ids})", 1),
        ("select id from t where id in (${none})", 0),
        ("select id from t where n = ${12345.67}", 1),
        ("select id from t where u = ${big} and dt <= ${at}", 1),
        ("select id from t where dt < ${timestamp('2026-11-22T08:00:00.5Z')}", 1),
        ("select id from t where x <=> ${nothing}", 1),
        (r"select id from t where v like ${name.substring(0, 3) + '%'} and 'a\'b' <> ${'?'}", 1),
    ] {
        let output = s.output(&format!("sql: |\n  {sql}")).await;
        assert_eq!(at(&output, "rows").as_list().map(<[Value]>::len), Some(rows), "{sql}: {output}");
    }
    let e = s.error("sql: select id from t where id not in (${none})").await;
    assert!(e.to_string().contains("empty list"), "{e}");
    // Quotes and comments of the dialect.
    for (sql, expected) in [
        (r#"select "it's ${name}""#, "a name cannot be bound"),
        (r"select 'a\', ${name}", "inside quotes"),
        ("select 1 # ${name}", "in a comment"),
        ("select id from t where id = ?", "unexpected `?`"),
    ] {
        match compile(&Db, &format!("sql: |\n  {sql}")) {
            Ok(action) => {
                let e = action.perform(&s.context()).await.err().unwrap_or_else(|| panic!("{sql}"));
                assert!(e.to_string().contains(expected), "{e}");
            }
            Err(problems) => assert!(problems.iter().any(|p| p.message.contains(expected)), "{problems:?}"),
        }
    }
    // `||` keeps the meaning of the server's SQL mode.
    assert_eq!(at(&s.output("sql: select 0 || 1 as x").await, "rows.0.x"), Value::Int(1));
}

#[tokio::test]
#[ignore = "needs MariaDB: tests/run"]
async fn mariadb_rolls_back_failed_transactions_and_files() {
    let s = mariadb().await;
    s.output("sql: create table t (id int primary key)").await;
    let e = s.error("transaction: [insert into t values (1), insert into t values (1)]").await;
    assert!(
        matches!(&e, ActionError::Invalid(m) if m.contains("Duplicate entry '1'") && m.contains("1062, 23000")),
        "{e}"
    );
    assert_eq!(at(&s.output("sql: select * from t").await, "rows"), value(json!([])));
    let done =
        s.output("{ transaction: [insert into t values (1), select count(*) as n from t], rollback: true }").await;
    assert_eq!((at(&done, "rows.0.n"), at(&done, "affected")), (Value::Int(1), Value::Int(1)));
    assert_eq!(at(&s.output("sql: select * from t").await, "rows"), value(json!([])));
    let e = s.error("transaction: [insert into t values (1), create table u (id int)]").await;
    assert!(e.to_string().contains("`create` is not allowed in a transaction"), "{e}");
    assert_eq!(at(&s.output("sql: select * from t").await, "rows"), value(json!([])), "nothing was executed");

    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("file: {}", path.display())
    };
    let e = s.error(&file("bad.sql", "insert into t values (3); insert into nowhere values (1);")).await;
    assert!(e.to_string().contains("nowhere' doesn't exist"), "{e}");
    assert_eq!(at(&s.output("sql: select * from t").await, "rows"), value(json!([])));
    let seed = file(
        "seed.sql",
        "insert into t values (1), (2); -- it's\nselect 7 as seven; update t set id = 3 where id = 2;",
    );
    let done = s.output(&seed).await;
    assert_eq!((at(&done, "rows"), at(&done, "affected")), (value(json!([{ "seven": 7 }])), Value::Int(3)));
}

#[tokio::test]
#[ignore = "needs MariaDB: tests/run"]
async fn mariadb_recovers_from_errors_altered_tables_and_dead_connections() {
    let s = mariadb().await;
    s.output("sql: create table t (id int primary key)").await;
    s.output("sql: insert into t values (1)").await;
    let e = s.error("sql: selct 1").await;
    assert!(matches!(&e, ActionError::Invalid(m) if m.contains("1064, 42000") && m.contains("near 'selct 1'")), "{e}");
    s.output("sql: select * from t").await;
    s.output("sql: alter table t add column late varchar(9) default 'x'").await;
    assert_eq!(at(&s.output("sql: select * from t").await, "rows"), value(json!([{ "id": 1, "late": "x" }])));
    // `affected` counts the rows that an update matches, even if their values stay the same.
    assert_eq!(at(&s.output("sql: update t set late = 'x'").await, "affected"), Value::Int(1));
    let id = at(&s.output("sql: select connection_id() as i").await, "rows.0.i");
    let killer = mariadb().await.with("id", id.clone());
    killer.output("sql: kill ${id}").await;
    let now = at(&s.output("sql: select connection_id() as i").await, "rows.0.i");
    assert_ne!(now, id, "an idle connection that died is replaced silently");
    killer.output(&format!("sql: kill {now}")).await;
    assert_eq!(at(&s.output("sql: insert into t (id) values (2)").await, "affected"), Value::Int(1));
    assert!(s.target.as_ref().unwrap().version().await.unwrap().starts_with("MariaDB "));
}

#[tokio::test]
#[ignore = "needs MariaDB: tests/run"]
async fn mariadb_client_command_does_the_same() {
    let s = mariadb().await;
    s.output("sql: create table t (id int, v varchar(30))").await;
    let s = s.with("name", r"it's \' x");
    s.output("transaction: ['insert into t values (1, ${name})', 'insert into t values (2, ${name})']").await;
    s.take_evidence(EvidenceKind::Reproduce);
    s.output("sql: select id from t where v = ${name} order by id").await;
    assert_eq!(shell(&s.take_evidence(EvidenceKind::Reproduce)), "id\n1\n2\n");
    s.output("{ transaction: ['delete from t where v = ${name}'], rollback: true }").await;
    shell(&s.take_evidence(EvidenceKind::Reproduce));
    assert_eq!(at(&s.output("sql: select count(*) as n from t").await, "rows.0.n"), Value::Int(2));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a b.sql");
    std::fs::write(&file, "delete from t where id = 1").unwrap();
    s.take_evidence(EvidenceKind::Reproduce);
    s.output(&format!("file: {}", file.display())).await;
    shell(&s.take_evidence(EvidenceKind::Reproduce));
}
