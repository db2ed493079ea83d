//! Compares 1,000 SQL selects in sequence, with a check each and evidence on disk, with a bare loop over the same client library: on
//! a SQLite file, and on PostgreSQL if `TP_TEST_POSTGRES` names a server.
//!
//! Both alternate for several rounds. The ratio of their medians is checked, since it does not depend on the machine; absolute
//! figures are only printed.
mod runner;

use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use std::time::{Duration, Instant};

const ACTIONS: usize = 1000;
const ROUNDS: usize = 9;
/// The largest accepted ratio of the runner to the bare loop.
const BUDGET: f64 = 1.5;

const TABLE: &str =
    "create table bench_sessions (id integer primary key, name text, owner text, state text, cpu double precision)";

fn main() {
    if std::env::args().any(|a| a == "--list") {
        return;
    }
    let quick = std::env::args().any(|a| a == "--test");
    let (actions, rounds) = if quick { (20, 1) } else { (ACTIONS, ROUNDS) };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(64 << 20)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bench.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let mut c: SqliteConnection = options.connect().await.expect("a file");
        c.execute(TABLE).await.expect("a table");
        c.execute(rows()).await.expect("rows");
        let bare = async || on_a_worker(sqlite(options.clone(), actions)).await;
        compare("SQLite", &file.to_string_lossy(), actions, rounds, bare).await;

        let Ok(url) = std::env::var("TP_TEST_POSTGRES") else {
            println!("PostgreSQL is left out: TP_TEST_POSTGRES names none");
            return;
        };
        let mut c = PgConnection::connect(&url).await.expect("TP_TEST_POSTGRES answers");
        c.execute("drop table if exists bench_sessions").await.expect("no table");
        c.execute(TABLE).await.expect("a table");
        c.execute(rows()).await.expect("rows");
        let bare = async || on_a_worker(postgres(url.clone(), actions)).await;
        compare("PostgreSQL", &url, actions, rounds, bare).await;
        c.execute("drop table bench_sessions").await.expect("no table");
    });
}

fn rows() -> sqlx::AssertSqlSafe<String> {
    let row = |i: usize| format!("({i}, 'admin-firefox-{i}', 'admin', 'running', 1.5)");
    sqlx::AssertSqlSafe(format!(
        "insert into bench_sessions values {}",
        (0..ACTIONS).map(row).collect::<Vec<_>>().join(", ")
    ))
}

async fn compare(server: &str, address: &str, actions: usize, rounds: usize, mut bare: impl AsyncFnMut() -> Duration) {
    bare().await;
    through_the_runner(address, actions.min(200)).await;
    let (bare, ours) = runner::in_turn(rounds, bare, async || through_the_runner(address, actions).await).await;
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!("{actions} selects on {server} one after the other, {rounds} rounds in turn, medians:");
    println!("  bare loop over sqlx            {:>7.1} ms", bare.as_secs_f64() * 1e3);
    println!("  tp-runner, a check, on disk    {:>7.1} ms", ours.as_secs_f64() * 1e3);
    println!("  ratio                          {ratio:>7.2}    (budget {BUDGET})");
    if actions == ACTIONS && ratio > BUDGET {
        println!("over budget");
    }
}

/// On a worker thread, like the runner's cases.
async fn on_a_worker(task: impl Future<Output = Duration> + Send + 'static) -> Duration {
    tokio::spawn(task).await.expect("the loop")
}

/// Runs the same selects with the same library, and reads each row.
async fn sqlite(options: SqliteConnectOptions, actions: usize) -> Duration {
    let mut c = options.connect().await.expect("a connection");
    let begun = Instant::now();
    for i in 0..actions {
        let select = sqlx::query("select * from bench_sessions where id = ?").bind(i64::try_from(i).expect("small"));
        let rows = select.fetch_all(&mut c).await.expect("rows");
        let (name, owner): (String, String) = (rows[0].get("name"), rows[0].get("owner"));
        let (state, cpu): (String, f64) = (rows[0].get("state"), rows[0].get("cpu"));
        assert!(rows.len() == 1 && state == "running" && name.starts_with(&owner) && cpu > 1.0);
    }
    begun.elapsed()
}

async fn postgres(url: String, actions: usize) -> Duration {
    let mut c = PgConnection::connect(&url).await.expect("a connection");
    let begun = Instant::now();
    for i in 0..actions {
        let select = sqlx::query("select * from bench_sessions where id = $1").bind(i32::try_from(i).expect("small"));
        let rows = select.fetch_all(&mut c).await.expect("rows");
        let (name, owner): (String, String) = (rows[0].get("name"), rows[0].get("owner"));
        let (state, cpu): (String, f64) = (rows[0].get("state"), rows[0].get("cpu"));
        assert!(rows.len() == 1 && state == "running" && name.starts_with(&owner) && cpu > 1.0);
    }
    begun.elapsed()
}

async fn through_the_runner(address: &str, actions: usize) -> Duration {
    let items = (0..actions).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let plan = format!(
        r#"
plan: bench
title: Selects one after the other
vars:
  ids: [{items}]
cases:
  - id: BENCH-1
    title: Selects
    tier: must
    expected:
      - result: Every row is right
        do:
          - db: {{ sql: "select * from bench_sessions where id = ${{item}}" }}
            foreach: ${{ids}}
            check: size(rows) == 1 && rows[0].state == "running"
"#
    );
    let environment = format!("environments:\n  here:\n    targets:\n      store: {{ db: \"{address}\" }}\n");
    runner::run_plan(&plan, &environment, actions).await
}
