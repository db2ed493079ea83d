//! Tests `db` on SQLite, and on the PostgreSQL and MariaDB servers in `TP_TEST_POSTGRES` and `TP_TEST_MARIADB`.
mod body;
mod cancel;
mod connect_errors;
mod hostile_servers;
mod mariadb;
mod postgres;
mod read_only;
mod sqlite;

use serde_json::json;
use sqlx::{ConnectOptions, Connection, Executor, sqlite::SqliteConnectOptions};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tp_runner::{
    event::EvidenceKind,
    executor::ActionError,
    executors::db::Db,
    testing::{Harness, at, compile},
    value::Value,
};

fn value(json: serde_json::Value) -> Value {
    Value::from(json)
}

async fn sqlite() -> (Harness, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(dir.path().join("a.db")).create_if_missing(true);
    let mut c = options.connect().await.unwrap();
    c.execute("create table t (id integer primary key, name text unique, ok boolean, x real, b blob, p integer references t(id))")
        .await
        .unwrap();
    c.close().await.unwrap();
    let harness = Harness::new(&Db, dir.path()).open("db: a.db").await.unwrap();
    (harness, dir)
}

/// The address of a test server. Tests that call this are ignored by `cargo test`; `tests/run` starts the servers.
fn server(variable: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run the ignored tests with `tests/run`"))
}

fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("tp_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst))
}

/// The URL with another user and database, and optionally another host and port.
fn address(url: &str, user: &str, host: Option<&str>, database: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let own = rest.rsplit_once('@').map_or(rest, |(_, h)| h);
    let own = own.split(['/', '?']).next().unwrap();
    format!("{scheme}://{user}@{}/{database}", host.unwrap_or(own))
}

/// A harness with its own schema.
async fn postgres() -> Harness {
    let (url, schema) = (server("TP_TEST_POSTGRES"), unique());
    let glue = if url.contains('?') { '&' } else { '?' };
    let with_schema = format!("db: '{url}{glue}options=-c%20search_path%3D{schema}'");
    let harness = Harness::new(&Db, ".").open(&with_schema).await.expect("connect to TP_TEST_POSTGRES");
    harness.output(&format!("sql: create schema {schema}")).await;
    harness
}

/// A harness with its own database.
async fn mariadb() -> Harness {
    let (url, name) = (server("TP_TEST_MARIADB"), unique());
    let harness = Harness::new(&Db, ".").open(&format!("db: '{url}'")).await.expect("connect to TP_TEST_MARIADB");
    harness.output(&format!("sql: create database {name}")).await;
    let user = url.split_once("://").unwrap().1.split_once('@').expect("a user in TP_TEST_MARIADB").0;
    let own = address(&url, user, None, &name);
    Harness::new(&Db, ".").open(&format!("db: '{own}'")).await.expect("connect to the new database")
}

/// The output of a shell command.
fn shell(line: &str) -> String {
    let done = std::process::Command::new("sh").arg("-c").arg(line).output().unwrap();
    assert!(done.status.success(), "{line}\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
