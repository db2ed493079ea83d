//! Tests on PostgreSQL.
use super::*;

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_decodes_every_type() {
    let s = postgres().await;
    s.output("sql: \"create type mood as enum ('ok', 'bad')\"").await;
    s.output("sql: create domain email as text").await;
    let output = s
        .output(
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
        assert_eq!(&at(&output, &format!("rows.0.{key}")), wanted, "{key}");
    }
    // A file uses the text format.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.sql");
    std::fs::write(
        &file,
        "select 12345.6700::numeric as n, true as b, '{\"z\": 1}'::jsonb as jb, array['a', null, 'c \"d'] as ta, \
        '{{1,2},{3,4}}'::int[] as ia, '2026-11-22 08:00:00.25+02'::timestamptz as tz, '\\xdead'::bytea as ba, 7 as i",
    )
    .unwrap();
    let output = s.output(&format!("file: {}", file.display())).await;
    let expected = json!([{ "n": "12345.6700", "b": true, "jb": { "z": 1 }, "ta": ["a", null, "c \"d"], "ia": [[1, 2], [3, 4]],
        "tz": "2026-11-22T06:00:00.25Z", "ba": "\\xdead", "i": 7 }]);
    assert_eq!(at(&output, "rows"), value(expected));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_reads_unsupported_types_as_text() {
    let s = postgres().await;
    s.output("sql: create table w (id int, r int4range, ip inet)").await;
    let s = s.with("ip", "10.0.0.1");
    let made = s.output("sql: \"insert into w values (1, '[1,5)', ${ip}) returning *, 7 as \\\"se\\\"\"").await;
    assert_eq!(at(&made, "rows"), value(json!([{ "id": 1, "r": "[1,5)", "ip": "10.0.0.1", "se": 7 }])));
    assert_eq!(
        at(&s.output("sql: select count(*) as n from w").await, "rows.0.n"),
        Value::Int(1),
        "the statement ran once"
    );
    assert!(s.take_evidence(EvidenceKind::Note).contains("columns read as text: r (INT4RANGE)"));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_binds_values_with_the_inferred_types() {
    let s = postgres().await;
    s.output("sql: \"create type mood as enum ('ok', 'bad')\"").await;
    s.output("sql: create table t (id int primary key, u uuid, i8 bigint, n numeric, m mood, tz timestamptz, d date, tm time, jb jsonb, \
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
        .output(
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
        let output = s.output(&format!("sql: \"{sql}\"")).await;
        assert_eq!(at(&output, "rows").as_list().map(<[Value]>::len), Some(rows), "{sql}: {output}");
    }
    for (sql, expected) in [
        ("select id from t where u = ${bad}", "parameter $1 (UUID): invalid value `not-a-uuid`"),
        ("select id from t where id = ${1} and tz > ${bad}", "parameter $2 (TIMESTAMPTZ)"),
        ("select id from t where id = ${99999999999}", "out of range"),
    ] {
        let e = s.error(&format!("sql: {sql}")).await;
        assert!(matches!(&e, ActionError::Invalid(m) if m.contains(expected)), "{e}");
    }
    for n in ["0", "-0.5", "10000", "99999999", "0.00001", "123456789012345678901234567890.123456789", "-1e-3", "100"] {
        let s = postgres().await.with("n", n);
        let output = s.output("sql: select ${n}::numeric as n, ${n}::text::numeric as same").await;
        assert_eq!(at(&output, "rows.0.n"), at(&output, "rows.0.same"), "{n}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_reports_errors_with_position_and_continues() {
    let s = postgres().await;
    s.output("sql: create table t (id int primary key)").await;
    let e = s.error("sql: select idd from t").await.to_string();
    assert!(
        e.contains("42703") && e.contains("at character 8: `idd from t`") && e.contains("hint: Perhaps you meant"),
        "{e}"
    );
    s.output("sql: insert into t values (1)").await;
    let e = s.error("sql: insert into t values (1)").await;
    assert!(
        matches!(&e, ActionError::Invalid(m) if m.contains("23505") && m.contains("detail: Key (id)=(1) already exists")),
        "{e}"
    );
    let e = s.error("transaction: [insert into t values (2), insert into t values (1)]").await;
    assert!(e.to_string().contains("23505"), "{e}");
    assert_eq!(at(&s.output("sql: select id from t").await, "rows"), value(json!([{ "id": 1 }])));
    // A statement that was prepared before the table was altered.
    s.output("sql: select * from t").await;
    s.output("sql: alter table t add column late text default 'x'").await;
    assert_eq!(at(&s.output("sql: select * from t").await, "rows"), value(json!([{ "id": 1, "late": "x" }])));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_recovers_from_dropped_statements_and_dead_connections() {
    let s = postgres().await;
    for _ in 0..12 {
        let dropped = tokio::time::timeout(Duration::from_millis(40), s.perform("sql: select pg_sleep(20)")).await;
        assert!(dropped.is_err());
    }
    assert_eq!(at(&s.output("sql: select 1 as one").await, "rows.0.one"), Value::Int(1));
    let pid = at(&s.output("sql: select pg_backend_pid() as p").await, "rows.0.p");
    let killer = postgres().await.with("pid", pid.clone());
    killer.output("sql: select pg_terminate_backend(${pid})").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let now = at(&s.output("sql: select pg_backend_pid() as p").await, "rows.0.p");
    assert_ne!(now, pid, "an idle connection that died is replaced silently");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_decodes_unusual_types_without_panicking() {
    let s = postgres().await;
    s.output("sql: create type pair as (a int, b text)").await;
    s.output("sql: create domain small as int check (value < 10)").await;
    let unresolved = ["array[3]::small[]", "'1 2'::int2vector"];
    for (sql, expected) in [
        ("12.5::numeric::money", json!("$12.50")),
        ("'10.0.0.1'::inet", json!("10.0.0.1")),
        ("'10.0.0.0/8'::cidr", json!("10.0.0.0/8")),
        ("'fe80::1/64'::inet", json!("fe80::1/64")),
        ("array['::1'::inet]", json!(["::1"])),
        ("'08:00:2b:01:02:03'::macaddr", json!("08:00:2b:01:02:03")),
        ("B'1010'::bit(4)", json!("1010")),
        ("'[1,5)'::int4range", json!("[1,5)")),
        ("'{[1,3),[5,7)}'::int4multirange", json!("{[1,3),[5,7)}")),
        ("'{\"[1,5)\"}'::int4range[]", json!("{\"[1,5)\"}")),
        ("row(1, 'x')", json!("(1,x)")),
        ("row(1, 'x')::pair", json!("(1,x)")),
        ("array[row(1, 'x')::pair]", json!("{\"(1,x)\"}")),
        ("3::small", json!(3)),
        ("array[3]::small[]", json!([3])),
        ("point(1, 2)", json!("(1,2)")),
        ("to_tsvector('simple', 'a b')", json!("'a':1 'b':2")),
        ("'16/B374D848'::pg_lsn", json!("16/B374D848")),
        ("'pg_class'::regclass", json!("pg_class")),
        ("'1 2'::int2vector", json!([1, 2])),
        ("'a'::\"char\"", json!("a")),
        ("'$.a'::jsonpath", json!("$.\"a\"")),
        ("'<a/>'::xml", json!("<a/>")),
        ("'[0:1]={1,2}'::int[]", json!([1, 2])),
        ("'infinity'::timestamp", json!("infinity")),
        ("'-infinity'::timestamptz", json!("-infinity")),
        ("'294276-12-31'::date", json!("294276-12-31")),
        ("'24:00'::time", json!("24:00:00")),
        ("'0044-03-15 BC'::date", json!("-0043-03-15")),
        ("'0044-03-15 08:00:00.5 BC'::timestamp", json!("-0043-03-15T08:00:00.5")),
        ("'0044-03-15 08:00:00+00 BC'::timestamptz", json!("-0043-03-15T08:00:00Z")),
        ("array['0001-12-31 BC'::date]", json!(["0000-12-31"])),
        ("'08:00+05'::timetz", json!("08:00:00+05:00")),
        ("'1 day 2 seconds'::interval", json!("P1DT2S")),
        ("'1 year 2 mons -3 days -100:05:06.7'::interval", json!("P1Y2M-3DT-360306.7S")),
        ("'-1 year -2 mons'::interval", json!("P-1Y-2M")),
        ("'-1 day +02:03:00'::interval", json!("P-1DT7380S")),
        ("'0'::interval", json!("PT0S")),
        ("array['1 mon'::interval, null]", json!(["P1M", null])),
        ("'08:00+05:30'::timetz", json!("08:00:00+05:30")),
        ("'04:05:06.789-08:30:15'::timetz", json!("04:05:06.789-08:30:15")),
        ("'04:05:06+00:00:09'::timetz", json!("04:05:06+00:00:09")),
        ("'NaN'::numeric", json!("NaN")),
        ("'-Infinity'::numeric", json!("-Infinity")),
        ("9223372036854775807", json!(9223372036854775807i64)),
        ("18446744073709551615::numeric", json!("18446744073709551615")),
        ("pg_sleep(0)", json!(null)),
        ("'{}'::text[]", json!([])),
        ("null::pair", json!(null)),
    ] {
        let output = s.output(&format!("sql: |\n  select {sql} as x")).await;
        assert_eq!(at(&output, "rows.0.x"), value(expected.clone()), "{sql}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.sql");
        std::fs::write(&file, format!("select {sql} as x")).unwrap();
        let scripted = s.output(&format!("file: {}", file.display())).await;
        // A script does not resolve the types that are no scalars of the server's own.
        if !unresolved.contains(&sql) {
            assert_eq!(at(&scripted, "rows.0.x"), value(expected), "{sql}, from a file");
        }
    }
    let e = s.error("sql: \"select '{[1,3)}'::int4multirange as m where ${1} = 1\"").await;
    assert!(e.to_string().contains("cast it: `x::text`"), "{e}");
    // A statement that cannot be wrapped: values are shown as received. Within a transaction too, which continues.
    s.output("sql: create table w (id int, r int4range)").await;
    let written = "with d as (insert into w values (1, '[1,5)') returning *) select * from d";
    let output = s.output(&format!("transaction: [\"{written}\", \"select count(*) as n from w\"]")).await;
    assert_eq!(at(&output, "rows.0.n"), Value::Int(1));
    s.take_evidence(EvidenceKind::Note);
    let output = s.output(&format!("sql: \"{written}\"")).await;
    assert!(at(&output, "rows.0.r").as_str().unwrap().starts_with("\\x"), "{output}");
    assert!(s.take_evidence(EvidenceKind::Note).contains("cannot decode the type of column `r`"));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_rolls_back_failed_transactions_and_files() {
    let s = postgres().await;
    s.output("sql: create table t (id int primary key)").await;
    let done =
        s.output("{ transaction: [insert into t values (1), select count(*) as n from t], rollback: true }").await;
    assert_eq!((at(&done, "rows.0.n"), at(&done, "affected")), (Value::Int(1), Value::Int(1)));
    assert_eq!(at(&s.output("sql: select * from t").await, "rows"), value(json!([])));
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("file: {}", path.display())
    };
    let e = s.error(&file("bad.sql", "insert into t values (3);\ninsert into nowhere values (1);")).await;
    assert!(e.to_string().contains("42P01") && e.to_string().contains("`nowhere values (1);`"), "{e}");
    // `copy` needs psql. It is refused, and the transaction is rolled back.
    for copy in
        ["insert into t values (4);\ncopy t from stdin;\n5\n\\.\n", "insert into t values (4); copy t to stdout;"]
    {
        let e = s.error(&file("copy.sql", copy)).await;
        assert!(matches!(&e, ActionError::Invalid(m) if m.contains("write `insert`")), "{e}");
    }
    let e = s.error("sql: copy t from stdin").await;
    assert!(matches!(&e, ActionError::Invalid(m) if m.contains("write `insert`")), "{e}");
    assert_eq!(at(&s.output("sql: select * from t").await, "rows"), value(json!([])));
    let seed = file(
        "seed.sql",
        "insert into t values (1), (2); -- it's\nselect 7 as seven; update t set id = 3 where id = 2;",
    );
    let done = s.output(&seed).await;
    assert_eq!((at(&done, "rows"), at(&done, "affected")), (value(json!([{ "seven": 7 }])), Value::Int(3)));
    s.output(&file("empty.sql", "-- nothing\n")).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_client_command_does_the_same() {
    let s = postgres().await;
    s.output("sql: create table t (id int, v text)").await;
    let s = s.with("name", r"it's \' x").with("ids", value(json!([1, 2])));
    s.output("transaction: ['insert into t values (1, ${name})', 'insert into t values (2, ${name})']").await;
    s.take_evidence(EvidenceKind::Reproduce);
    s.output("sql: select id from t where v = ${name} and id = any(${ids}) order by id").await;
    let line = s.take_evidence(EvidenceKind::Reproduce).replacen("psql ", "psql -At ", 1);
    assert_eq!(shell(&line), "1\n2\n");
}
