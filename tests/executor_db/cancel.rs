//! A dropped statement is cancelled on the server.
use super::*;

/// Drops a statement as soon as the query `running` finds it on the server.
async fn start_and_drop(s: &Harness, body: &str, watch: &Harness, running: &str) {
    let action = s.action(body);
    let context = s.context();
    let mut performing = std::pin::pin!(action.perform(&context));
    let is_running = async {
        while at(&watch.output(running).await, "rows.0.n") == Value::Int(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = &mut performing => panic!("the statement ended: {:?}", ended.err()),
        () = is_running => {}
    }
}

/// Waits until the server has ended the statement, which would otherwise run for a minute.
async fn wait_for_end(watch: &Harness, running: &str) {
    for _ in 0..200 {
        if at(&watch.output(running).await, "rows.0.n") == Value::Int(0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the statement is still running");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run"]
async fn postgres_cancels_a_dropped_statement() {
    let (s, watch) = (postgres().await, postgres().await);
    let marker = unique();
    let running = format!(
        "sql: \"select count(*) as n from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like '%{marker}%'\""
    );
    start_and_drop(&s, &format!("sql: select pg_sleep(60), '{marker}'"), &watch, &running).await;
    wait_for_end(&watch, &running).await;

    // In a transaction: it is rolled back and its lock is released.
    s.output("sql: create table t (id int primary key)").await;
    let slow = format!("transaction: [insert into t values (1), \"select pg_sleep(60), '{marker}'\"]");
    start_and_drop(&s, &slow, &watch, &running).await;
    assert_eq!(at(&s.output("sql: insert into t values (1)").await, "affected"), Value::Int(1));
    wait_for_end(&watch, &running).await;

    drop_at_the_end_of_a_run(postgres, format!("sql: select pg_sleep(60), '{marker}'"), running.clone());
    wait_for_end(&watch, &running).await;
}

/// Drops the statement, closes the target and ends the runtime, with all its background tasks.
fn drop_at_the_end_of_a_run<F: Future<Output = Harness>>(
    open: impl Fn() -> F + Send + 'static,
    slow: String,
    running: String,
) {
    let run = move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (s, watch) = (open().await, open().await);
            start_and_drop(&s, &slow, &watch, &running).await;
            s.target.as_ref().unwrap().close().await;
        });
    };
    std::thread::spawn(run).join().unwrap();
}

#[tokio::test]
#[ignore = "needs MariaDB: tests/run"]
async fn mariadb_cancels_a_dropped_statement() {
    let (s, watch) = (mariadb().await, mariadb().await);
    let marker = unique();
    // Not `sleep`, which ends when its client disconnects.
    let running = format!(
        "sql: \"select count(*) as n from information_schema.processlist where command <> 'Sleep' and id <> connection_id() and info like '%{marker}%'\""
    );
    start_and_drop(&s, &format!("sql: select benchmark(1000000000, sha2('x', 512)), '{marker}'"), &watch, &running)
        .await;
    wait_for_end(&watch, &running).await;
    s.output("sql: create table t (id int primary key)").await;
    let slow = format!(
        "transaction: [insert into t values (1), \"select benchmark(1000000000, sha2('x', 512)), '{marker}'\"]"
    );
    start_and_drop(&s, &slow, &watch, &running).await;
    assert_eq!(at(&s.output("sql: insert into t values (1)").await, "affected"), Value::Int(1));
    wait_for_end(&watch, &running).await;
    drop_at_the_end_of_a_run(
        mariadb,
        format!("sql: select benchmark(1000000000, sha2('x', 512)), '{marker}'"),
        running.clone(),
    );
    wait_for_end(&watch, &running).await;
}

#[tokio::test]
async fn sqlite_releases_the_lock_of_a_dropped_statement() {
    let (s, _dir) = sqlite().await;
    // Endless: it holds the write lock until it is cancelled.
    let endless =
        "insert into t (id) with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n";
    for _ in 0..3 {
        let cut = tokio::time::timeout(Duration::from_millis(50), s.perform(&format!("sql: {endless}"))).await;
        assert!(cut.is_err(), "the statement is endless");
    }
    assert_eq!(at(&s.output("sql: insert into t (id) values (1)").await, "affected"), Value::Int(1));
}
