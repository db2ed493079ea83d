//! A statement that nobody waits for any more ends on the server too.
use super::*;

/// Drops a statement as soon as `seen` says that the server performs it.
async fn dropped(s: &Stage, body: &str, watch: &Stage, running: &str) {
    let action = s.action(body);
    let context = s.context();
    let mut performing = std::pin::pin!(action.perform(&context));
    let shows = async {
        while at(&watch.see(running).await, "rows.0.n") == Value::Int(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = &mut performing => panic!("it ended: {:?}", ended.err()),
        () = shows => {}
    }
}

/// Looks until the server performs it no more; it would for a minute.
async fn ends(watch: &Stage, running: &str) {
    for _ in 0..200 {
        if at(&watch.see(running).await, "rows.0.n") == Value::Int(0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server goes on");
}

#[tokio::test]
async fn postgres_shows_it_no_more() {
    let (Some(s), Some(watch)) = (postgres().await, postgres().await) else { return };
    let mark = unique();
    let running = format!(
        "sql: \"select count(*) as n from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like '%{mark}%'\""
    );
    dropped(&s, &format!("sql: select pg_sleep(60), '{mark}'"), &watch, &running).await;
    ends(&watch, &running).await;

    // Within a transaction: what it did is undone, and no lock is left.
    s.see("sql: create table t (id int primary key)").await;
    let slow = format!("transaction: [insert into t values (1), \"select pg_sleep(60), '{mark}'\"]");
    dropped(&s, &slow, &watch, &running).await;
    assert_eq!(at(&s.see("sql: insert into t values (1)").await, "affected"), Value::Int(1));
    ends(&watch, &running).await;

    at_the_end_of_a_run(postgres, format!("sql: select pg_sleep(60), '{mark}'"), running.clone());
    ends(&watch, &running).await;
}

/// The target is closed, and then the process ends, and with it everything that was left for later.
fn at_the_end_of_a_run<F: Future<Output = Option<Stage>>>(
    open: impl Fn() -> F + Send + 'static,
    slow: String,
    running: String,
) {
    let run = move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (s, watch) = (open().await.unwrap(), open().await.unwrap());
            dropped(&s, &slow, &watch, &running).await;
            s.target.as_ref().unwrap().close().await;
        });
    };
    std::thread::spawn(run).join().unwrap();
}

#[tokio::test]
async fn mariadb_shows_it_no_more() {
    let (Some(s), Some(watch)) = (mariadb().await, mariadb().await) else { return };
    let mark = unique();
    // Not `sleep`, which notices by itself that its client is gone.
    let running = format!(
        "sql: \"select count(*) as n from information_schema.processlist where command <> 'Sleep' and id <> connection_id() and info like '%{mark}%'\""
    );
    dropped(&s, &format!("sql: select benchmark(1000000000, sha2('x', 512)), '{mark}'"), &watch, &running).await;
    ends(&watch, &running).await;
    s.see("sql: create table t (id int primary key)").await;
    let slow =
        format!("transaction: [insert into t values (1), \"select benchmark(1000000000, sha2('x', 512)), '{mark}'\"]");
    dropped(&s, &slow, &watch, &running).await;
    assert_eq!(at(&s.see("sql: insert into t values (1)").await, "affected"), Value::Int(1));
    ends(&watch, &running).await;
    at_the_end_of_a_run(
        mariadb,
        format!("sql: select benchmark(1000000000, sha2('x', 512)), '{mark}'"),
        running.clone(),
    );
    ends(&watch, &running).await;
}

#[tokio::test]
async fn sqlite_gives_its_lock_back() {
    let (s, _dir) = lite().await;
    // Without an end: it holds the lock for writing until it is ended.
    let endless =
        "insert into t (id) with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n";
    for _ in 0..3 {
        let cut = tokio::time::timeout(Duration::from_millis(50), s.perform(&format!("sql: {endless}"))).await;
        assert!(cut.is_err(), "it has no end");
    }
    assert_eq!(at(&s.see("sql: insert into t (id) values (1)").await, "affected"), Value::Int(1));
}
