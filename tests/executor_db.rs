//! The verb `db`, black box, on SQLite and, where `TP_TEST_POSTGRES` names a server, on PostgreSQL.
mod executor_stage;

use executor_stage::{Stage, at, compile};
use serde_json::json;
use sqlx::{ConnectOptions, Connection, Executor, sqlite::SqliteConnectOptions};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tp_runner::{event::EvidenceKind, executor::StepError, value::Value};

fn value(json: serde_json::Value) -> Value {
    Value::from(json)
}

async fn lite() -> (Stage, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(dir.path().join("a.db")).create_if_missing(true);
    let mut c = options.connect().await.unwrap();
    c.execute("create table t (id integer primary key, name text unique, ok boolean, x real, b blob, p integer references t(id))")
        .await
        .unwrap();
    c.close().await.unwrap();
    let stage = Stage::new("db", dir.path()).open("db: a.db").await.unwrap();
    (stage, dir)
}

/// `None` where the tests may do without; each stage has a schema of its own.
async fn postgres() -> Option<Stage> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Ok(url) = std::env::var("TP_TEST_POSTGRES") else {
        assert!(
            std::env::var("TP_TEST_QUICK").is_ok_and(|v| v == "1"),
            "TP_TEST_POSTGRES must name a PostgreSQL server (postgres://user@host:port/name); TP_TEST_QUICK=1 does without"
        );
        eprintln!("skipped: TP_TEST_QUICK=1 and no TP_TEST_POSTGRES");
        return None;
    };
    let schema = format!("tp_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
    let glue = if url.contains('?') { '&' } else { '?' };
    let with_schema = format!("db: '{url}{glue}options=-c%20search_path%3D{schema}'");
    let stage = Stage::new("db", ".").open(&with_schema).await.expect("TP_TEST_POSTGRES answers");
    stage.see(&format!("sql: create schema {schema}")).await;
    Some(stage)
}

#[tokio::test]
async fn sqlite_values_keep_their_types_both_ways() {
    let (s, _dir) = lite().await;
    let s = s
        .with("name", "it's; drop table t")
        .with("ok", true)
        .with("x", Value::Float(1.5))
        .with("list", value(json!({ "a": [1, null] })));
    let made = s.see("sql: 'insert into t (id, name, ok, x, b) values (${1}, ${name}, ${ok}, ${x}, x''00ff'')'").await;
    assert_eq!(at(&made, "affected"), Value::Int(1));
    let seen = s.see("sql: 'select *, ${list} as j, null as n from t where name = ${name} and ok = ${ok}'").await;
    let expected = json!([{ "id": 1, "name": "it's; drop table t", "ok": true, "x": 1.5, "b": "\\x00ff", "p": null,
        "j": "{\"a\":[1,null]}", "n": null }]);
    assert_eq!(at(&seen, "rows"), value(expected));
    assert_eq!(at(&seen, "affected"), Value::Int(0), "what is only looked at is not affected");
    let request = s.noted(EvidenceKind::Request);
    assert!(request.contains("name = ?2 and ok = ?3") && request.contains("?2 = 'it''s; drop table t'"), "{request}");
}

#[tokio::test]
async fn the_line_by_hand_is_quoted_for_sql_and_for_the_shell() {
    let (s, dir) = lite().await;
    let s = s.with("name", "it's");
    s.see("sql: select id from t where name = ${name}").await;
    let line = s.noted(EvidenceKind::Reproduce);
    assert_eq!(line, r"sqlite3 'a.db' 'select id from t where name = '\''it'\'''\''s'\'''");
    drop(dir);
}

#[tokio::test]
async fn a_list_becomes_as_many_placeholders_and_an_empty_one_matches_nothing() {
    let (s, _dir) = lite().await;
    s.see("sql: insert into t (id, name) values (1, 'a'), (2, 'b'), (3, 'c')").await;
    let s = s.with("ids", value(json!([1, 3, 99]))).with("none", value(json!([])));
    let ids = async |sql: &str| at(&s.see(&format!("sql: {sql}")).await, "rows").to_string();
    assert_eq!(ids("select id from t where id in (${ids}) order by id").await, r#"[{"id":1},{"id":3}]"#);
    assert_eq!(ids("select id from t where id in (${none})").await, "[]");
    assert_eq!(ids("select id from t where id not in (${ids})").await, r#"[{"id":2}]"#);
    let e = s.fail("sql: select id from t where id NOT  IN (${none})").await;
    assert!(e.to_string().contains("empty list"), "{e}");
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing_and_so_is_a_file() {
    let (s, dir) = lite().await;
    let e = s
        .fail(
            "transaction: [\"insert into t (id, name) values (1, 'a')\", \"insert into t (id, name) values (2, 'a')\"]",
        )
        .await;
    assert!(matches!(&e, StepError::Invalid(m) if m.contains("UNIQUE constraint failed: t.name")), "{e}");
    assert_eq!(at(&s.see("sql: select * from t").await, "rows"), value(json!([])));
    let done = s
        .see("transaction: [insert into t (id) values (1), insert into t (id) values (2), select count(*) as n from t]")
        .await;
    assert_eq!((at(&done, "affected"), at(&done, "rows.0.n")), (Value::Int(2), Value::Int(2)));

    std::fs::write(dir.path().join("bad.sql"), "insert into t (id) values (3); insert into nowhere values (1);")
        .unwrap();
    let e = s.fail("file: bad.sql").await;
    assert!(e.to_string().contains("no such table: nowhere"), "{e}");
    std::fs::write(dir.path().join("good.sql"), "insert into t (id) values (3); -- it's\nselect max(id) as m from t;")
        .unwrap();
    let done = s.see("file: good.sql").await;
    assert_eq!((at(&done, "rows"), at(&done, "affected")), (value(json!([{ "m": 3 }])), Value::Int(1)));
    assert!(s.fail("file: missing.sql").await.to_string().contains("cannot read"), "names the file");
    // Foreign keys hold, as they do for the platform.
    assert!(s.fail("sql: insert into t (id, p) values (9, 77)").await.to_string().contains("FOREIGN KEY"));
}

#[tokio::test]
async fn sqlite_sees_a_table_that_was_altered_meanwhile_and_waits_for_a_lock() {
    let (s, dir) = lite().await;
    s.see("sql: insert into t (id) values (1)").await;
    s.see("sql: select * from t").await;
    let mut other = SqliteConnectOptions::new().filename(dir.path().join("a.db")).connect().await.unwrap();
    other.execute("alter table t add column late text default 'x'").await.unwrap();
    assert_eq!(at(&s.see("sql: select * from t").await, "rows.0.late"), Value::text("x"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.execute("alter table t add column later text default 'y'").await.unwrap();
    assert_eq!(at(&s.see("sql: select * from t").await, "rows.0.later"), Value::text("y"));
    other.execute("begin immediate").await.unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.execute("commit").await.unwrap();
    };
    let (made, ()) = futures::join!(s.see("sql: insert into t (id) values (2)"), release);
    assert_eq!(at(&made, "affected"), Value::Int(1));
}

#[tokio::test]
async fn a_missing_file_is_said_and_not_made() {
    let dir = tempfile::tempdir().unwrap();
    for target in ["db: nowhere.db", "db: 'sqlite://nowhere.db?mode=rwc'"] {
        let e = Stage::new("db", dir.path()).open(target).await.err().expect("there is none");
        assert!(matches!(&e, StepError::Unreachable(m) if m.contains("there is no database file")), "{e}");
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    let e =
        Stage::new("db", ".").open("db: 'postgres://ann:s3cret@127.0.0.1:1/x'").await.err().expect("nobody listens");
    assert!(
        matches!(&e, StepError::Unreachable(m) if m.contains("refused") && m.contains("ann@127.0.0.1:1") && !m.contains("s3cret")),
        "{e}"
    );
}

#[tokio::test]
async fn a_dropped_statement_leaves_a_usable_target() {
    let (s, _dir) = lite().await;
    let long =
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000000) select max(i) from n";
    for _ in 0..12 {
        let dropped = tokio::time::timeout(Duration::from_millis(5), s.perform(&format!("sql: {long}"))).await;
        assert!(dropped.is_err(), "it takes longer than that");
    }
    assert_eq!(at(&s.see("sql: select 1 as one").await, "rows.0.one"), Value::Int(1));
}

#[tokio::test]
async fn two_columns_of_one_name_are_noted() {
    let (s, _dir) = lite().await;
    assert_eq!(at(&s.see("sql: select 1 as a, 2 as a").await, "rows"), value(json!([{ "a": 2 }])));
    assert!(s.noted(EvidenceKind::Note).contains("two columns are called `a`"));
    let e = s.fail("sql: select * from t where id = ?").await;
    assert!(e.to_string().contains("`?`"), "{e}");
}

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
    ] {
        let problems = compile("db", body).err().unwrap_or_else(|| panic!("{body} compiles"));
        assert!(problems.iter().any(|(_, m)| m.contains(expected)), "{body}: {problems:?}");
    }
    assert!(!compile("db", "sql: 'select 1;'").unwrap().changes());
    assert!(compile("db", "sql: 'delete from t where a = ${x}'").unwrap().changes());
    assert!(compile("db", "file: x.sql").unwrap().changes());
}

#[tokio::test]
async fn postgres_values_come_with_their_types() {
    let Some(s) = postgres().await else { return };
    s.see("sql: \"create type mood as enum ('ok', 'bad')\"").await;
    s.see("sql: create domain email as text").await;
    let seen = s
        .see(
            r#"sql: |
              select true as b, 1::int2 as i2, -2::int4 as i4, 9007199254740993 as i8, 1.5::float4 as f4, 'NaN'::float8 as nan,
                12345.6700::numeric as n, 42::numeric as whole, 0.0001::numeric as small, -10000.5::numeric as neg, 1e20::numeric as big,
                sum(i) as s, 'x'::text as t, 'c'::char(3) as c, null::int as nul,
                '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid as u, '{"a": [1, null]}'::json as j, '{"z": 1}'::jsonb as jb,
                '2026-11-22 08:00:00.25+02'::timestamptz as tz, '2026-11-22 08:00:00'::timestamp as ts, '2026-11-22'::date as d,
                '08:00:00.5'::time as tm, 'infinity'::timestamptz as inf, '-infinity'::date as minf, '12345-01-01'::timestamp as far,
                '0044-03-15 BC'::date as bc, '1 day 2 seconds'::interval as iv, '\xdead'::bytea as ba,
                array['a', null, 'c d'] as ta, '{{1,2},{3,4}}'::int[] as ia, '{}'::int[] as ea, 'ok'::mood as m,
                array['ok', 'bad']::mood[] as ma, 'a@b'::email as e, array['2026-01-01'::timestamptz] as tza
              from (values (1::bigint), (2)) v(i)"#,
        )
        .await;
    let expected = json!([{ "b": true, "i2": 1, "i4": -2, "i8": 9007199254740993i64, "f4": 1.5, "nan": "NaN", "n": "12345.6700",
        "whole": 42, "small": "0.0001", "neg": "-10000.5", "big": "100000000000000000000", "s": 3, "t": "x", "c": "c  ", "nul": null,
        "u": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "j": { "a": [1, null] }, "jb": { "z": 1 }, "tz": "2026-11-22T06:00:00.25Z",
        "ts": "2026-11-22T08:00:00", "d": "2026-11-22", "tm": "08:00:00.5", "inf": "infinity", "minf": "-infinity",
        "far": "12345-01-01T00:00:00", "bc": "-0043-03-15", "iv": "P1DT2S", "ba": "\\xdead", "ta": ["a", null, "c d"],
        "ia": [[1, 2], [3, 4]], "ea": [], "m": "ok", "ma": ["ok", "bad"], "e": "a@b", "tza": ["2026-01-01T00:00:00Z"] }]);
    for (key, wanted) in value(expected).at(0).unwrap().as_map().unwrap() {
        assert_eq!(&at(&seen, &format!("rows.0.{key}")), wanted, "{key}");
    }
    // The same as text, as a file reads them.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.sql");
    std::fs::write(
        &file,
        "select 12345.6700::numeric as n, true as b, '{\"z\": 1}'::jsonb as jb, array['a', null, 'c \"d'] as ta, \
        '{{1,2},{3,4}}'::int[] as ia, '2026-11-22 08:00:00.25+02'::timestamptz as tz, '\\xdead'::bytea as ba, 7 as i",
    )
    .unwrap();
    let seen = s.see(&format!("file: {}", file.display())).await;
    let expected = json!([{ "n": "12345.6700", "b": true, "jb": { "z": 1 }, "ta": ["a", null, "c \"d"], "ia": [[1, 2], [3, 4]],
        "tz": "2026-11-22T06:00:00.25Z", "ba": "\\xdead", "i": 7 }]);
    assert_eq!(at(&seen, "rows"), value(expected));
}

#[tokio::test]
async fn postgres_types_that_we_cannot_read_come_as_the_servers_text() {
    let Some(s) = postgres().await else { return };
    s.see("sql: create table w (id int, r int4range, ip inet)").await;
    let s = s.with("ip", "10.0.0.1");
    let made = s.see("sql: \"insert into w values (1, '[1,5)', ${ip}) returning *, 7 as \\\"se\\\"\"").await;
    assert_eq!(at(&made, "rows"), value(json!([{ "id": 1, "r": "[1,5)", "ip": "10.0.0.1/32", "se": 7 }])));
    assert_eq!(at(&s.see("sql: select count(*) as n from w").await, "rows.0.n"), Value::Int(1), "it ran once");
    assert!(s.noted(EvidenceKind::Note).contains("columns read as text: r (INT4RANGE), ip (INET)"));
}

#[tokio::test]
async fn postgres_binds_by_the_types_that_the_server_infers() {
    let Some(s) = postgres().await else { return };
    s.see("sql: \"create type mood as enum ('ok', 'bad')\"").await;
    s.see("sql: create table t (id int primary key, u uuid, i8 bigint, n numeric, m mood, tz timestamptz, d date, tm time, jb jsonb, \
        ta text[], b bool, f float8, ba bytea, name varchar(20))").await;
    let s = s
        .with("u", "6ba7b810-9dad-11d1-80b4-00c04fd430c8")
        .with("n", "12345.6700")
        .with("at", "2026-11-22T08:00:00.000001Z".parse::<jiff::Timestamp>().unwrap())
        .with("doc", value(json!({ "a": [1, "x"] })))
        .with("tags", value(json!(["a", null, "c,d"])))
        .with("ids", value(json!([1, 5])))
        .with("bad", "not-a-uuid")
        .with("nothing", Value::Null);
    let made = s
        .see(
            "sql: insert into t values (${1}, ${u}, ${9007199254740993}, ${n}, ${'ok'}, ${at}, ${'2026-11-22'}, ${'08:00'}, ${doc}, \
             ${tags}::text[], ${true}, ${1.5}, ${'bytes'}, ${'x'.replace('x', 'y')}) returning *",
        )
        .await;
    let row = at(&made, "rows.0");
    for (key, expected) in [
        ("u", json!("6ba7b810-9dad-11d1-80b4-00c04fd430c8")),
        ("i8", json!(9007199254740993i64)),
        ("n", json!("12345.6700")),
        ("m", json!("ok")),
        ("tz", json!("2026-11-22T08:00:00.000001Z")),
        ("d", json!("2026-11-22")),
        ("tm", json!("08:00:00")),
        ("jb", json!({ "a": [1, "x"] })),
        ("ta", json!(["a", null, "c,d"])),
        ("b", json!(true)),
        ("f", json!(1.5)),
        ("ba", json!("\\x6279746573")),
    ] {
        assert_eq!(at(&row, key), value(expected), "{key}");
    }
    for (sql, rows) in [
        ("select id from t where u = ${u} and n > ${1} and m = ${'ok'} and tz = ${at}", 1),
        ("select id from t where id in (${ids})", 1),
        ("select id from t where id = any(${ids})", 1),
        ("select id from t where id in (${[]})", 0),
        ("select id from t where jb @> ${doc}", 1),
        ("select id from t where u is not distinct from ${nothing}", 0),
        ("select id from t where n = ${12345.67}", 1),
        ("select id from t where tz < ${'infinity'}", 1),
    ] {
        let seen = s.see(&format!("sql: \"{sql}\"")).await;
        assert_eq!(at(&seen, "rows").as_list().map(<[Value]>::len), Some(rows), "{sql}: {seen}");
    }
    for (sql, expected) in [
        ("select id from t where u = ${bad}", "parameter $1 (UUID): `not-a-uuid` does not fit"),
        ("select id from t where id = ${1} and tz > ${bad}", "parameter $2 (TIMESTAMPTZ)"),
        ("select id from t where id = ${99999999999}", "too large"),
    ] {
        let e = s.fail(&format!("sql: {sql}")).await;
        assert!(matches!(&e, StepError::Invalid(m) if m.contains(expected)), "{e}");
    }
    for n in ["0", "-0.5", "10000", "99999999", "0.00001", "123456789012345678901234567890.123456789", "-1e-3", "100"] {
        let s = Stage::new("db", ".").with("n", n);
        let s = Stage { target: postgres().await.unwrap().target, ..s };
        let seen = s.see("sql: select ${n}::numeric as n, ${n}::text::numeric as same").await;
        assert_eq!(at(&seen, "rows.0.n"), at(&seen, "rows.0.same"), "{n}");
    }
}

#[tokio::test]
async fn postgres_says_what_is_wrong_and_where_and_goes_on() {
    let Some(s) = postgres().await else { return };
    s.see("sql: create table t (id int primary key)").await;
    let e = s.fail("sql: select idd from t").await.to_string();
    assert!(
        e.contains("42703") && e.contains("at character 8: `idd from t`") && e.contains("hint: Perhaps you meant"),
        "{e}"
    );
    s.see("sql: insert into t values (1)").await;
    let e = s.fail("sql: insert into t values (1)").await;
    assert!(
        matches!(&e, StepError::Invalid(m) if m.contains("23505") && m.contains("detail: Key (id)=(1) already exists")),
        "{e}"
    );
    let e = s.fail("transaction: [insert into t values (2), insert into t values (1)]").await;
    assert!(e.to_string().contains("23505"), "{e}");
    assert_eq!(at(&s.see("sql: select id from t").await, "rows"), value(json!([{ "id": 1 }])));
    // A statement that was prepared before the table changed.
    s.see("sql: select * from t").await;
    s.see("sql: alter table t add column late text default 'x'").await;
    assert_eq!(at(&s.see("sql: select * from t").await, "rows"), value(json!([{ "id": 1, "late": "x" }])));
}

#[tokio::test]
async fn postgres_survives_dropped_statements_and_dead_connections() {
    let Some(s) = postgres().await else { return };
    for _ in 0..12 {
        let dropped = tokio::time::timeout(Duration::from_millis(40), s.perform("sql: select pg_sleep(20)")).await;
        assert!(dropped.is_err());
    }
    assert_eq!(at(&s.see("sql: select 1 as one").await, "rows.0.one"), Value::Int(1));
    let pid = at(&s.see("sql: select pg_backend_pid() as p").await, "rows.0.p");
    let killer = postgres().await.unwrap().with("pid", pid.clone());
    killer.see("sql: select pg_terminate_backend(${pid})").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let now = at(&s.see("sql: select pg_backend_pid() as p").await, "rows.0.p");
    assert_ne!(now, pid, "a connection that died while nobody used it is replaced without a word");
}
